//! The engine and the views against a running log: one binary, many cases.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is the finding")]

mod engine;
mod harness;
mod views;
