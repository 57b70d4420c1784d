//! The doors on real loopback sockets, with fake views behind them. The client is raw, so that it can be rude.

mod client;
mod fakes;

mod catalogue;
mod data;
mod document;
mod headers;
mod limits;
mod streams;
