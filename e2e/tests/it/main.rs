//! The e2e tier. A test fails where a peer is missing; `cargo xtask test` leaves those out and lists them.
#![expect(clippy::print_stdout, reason = "tests tell what they measured")]

mod access;
mod checks;
mod clients;
mod data;
mod deploy;
mod described;
mod descriptors;
mod equality;
mod garbage;
mod nodes;
mod on_kafka;
mod portal;
mod running;
mod secured;
mod settings;
mod shared_kafka;
mod streams;
mod surroundings;
mod tools;
