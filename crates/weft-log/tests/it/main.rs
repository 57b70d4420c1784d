//! The log from outside: frames as bytes, and librdkafka.
#![expect(clippy::disallowed_methods, reason = "tests live in the real world: its clock, its files")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod bad_input;
mod clients;
mod groups;
mod guarded;
mod raw;
mod records;
mod start;
mod topics;
mod transactions;
