//! The doors on real loopback sockets, with fake views behind them. The client is raw, so that it can be rude.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where by panicking")]

mod client;
mod fakes;

mod agents;
mod audit;
mod catalogue;
mod data;
mod described;
mod document;
mod gate;
mod headers;
mod limits;
mod streams;
