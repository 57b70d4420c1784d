//! The engine and the views against a running log: one binary, many cases.

mod engine;
mod harness;
mod views;
