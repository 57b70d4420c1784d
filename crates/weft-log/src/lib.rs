//! The embedded log: one node on one disk that any Kafka client can use without knowing.
//!
//! ```text
//!   client ──► weft_wire::server ──► api/kNN_….rs ──┬──► topics.rs ─────────► store/ (partitions, meta log)
//!                                                   ├──► group/ (core: pure) ──► meta log
//!                                                   └──► txn/   (core: pure) ──► meta log, markers in partitions
//! ```
//!
//! Invariants:
//! 1. What exists is what the meta log says; folders of partitions follow it.
//! 2. `PREPARE` in the meta log decides a transaction; from there it ends, whatever crashes.
//! 3. A batch verified for a transaction lands before that transaction's marker, or not at all.
//! 4. Nothing is answered before it is durable as the fsync mode has it.
//! 5. Only versions in `api/versions.rs` are advertised, and every one of them is served.
//! 6. Waiting is being woken: no loop polls.
//! 7. A guarded listener answers nobody but ApiVersions before a log-in (`sasl`), and every handler asks the authorizer.
//!
//! Start reading at [`Log::start`], then `api/mod.rs`, then `api/k00_produce.rs` and `store/mod.rs`.

pub mod authorizer;
pub mod error;
pub mod keys;
pub mod store;

mod api;
mod broker;
mod broker_config;
mod config;
mod deadlines;
mod group;
mod producer_ids;
mod records;
mod sasl;
mod service;
mod topic_config;
mod topics;
mod txn;

pub use config::Options;
pub use error::StartError;
pub use service::{Log, LogHandle};
pub use store::FsyncMode;
