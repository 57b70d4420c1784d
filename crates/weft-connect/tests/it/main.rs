//! The CSV source against a broker: the embedded log, or any Kafka that `WEFT_TEST_KAFKA=host:port` names.
//!
//! `world` starts broker, mesh and files; `reader` is a consumer that reads what was committed; `proxy` cuts
//! connections at seeded moments.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is the finding")]

mod proxy;
mod reader;
mod world;

mod faults;
mod follow;
mod once;
mod restart;
mod rounds;
