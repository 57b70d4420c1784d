//! `weft-wire` from outside: bytes of all kinds, and how much memory they cost.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod batches;
mod fetched;
mod fuzz;
mod memory;
mod real_disk;
mod requests;
mod server;
mod simulated_disk;
