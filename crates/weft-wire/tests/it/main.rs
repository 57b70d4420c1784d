//! `weft-wire` from outside: bytes of all kinds, and how much memory they cost.

mod batches;
mod fuzz;
mod memory;
mod requests;
mod server;
mod simulated_disk;
