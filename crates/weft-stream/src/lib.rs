//! The stream engine: continuous SQL from Kafka topics to Kafka topics, and answers over what they hold.
//!
//! ```text
//!   transform.sql ── sql::compile ──► ir::Program (versioned JSON, pinned)
//!                                        │ sub-topologies cut where the key changes
//!                                        ▼
//!   Kafka ──► runtime ── events ──► task::Task (clock-free) ── effects ──► runtime ──► Kafka, one transaction
//!                                     │ ops over Arrow batches
//!                                     └ state::State ── StateStore (fjall, memory)
//! ```
//!
//! Start reading in `ir`, then `task`; `offline` drives a whole program in memory and is what `weft test` runs.
//!
//! Invariants
//! 1. A row is counted once, sent to `late`, or sent to `errors`; never dropped.
//! 2. Whether a row is late is decided by its own header, so by the log: not by pace, batch size or restart.
//! 3. The watermark of an input never moves back, across restarts too.
//! 4. State is never ahead of the committed changelog: tasks cannot write a store.
//! 5. Stored bytes (program, state, repartition records) hold no Arrow or DataFusion layout.

pub mod codec;
pub mod config;
pub mod error;
pub mod ir;
pub mod offline;
mod ops;
pub mod runtime;
pub mod sql;
pub mod state;
pub mod task;
pub mod verdict;
pub mod views;

pub use sql::compile;
pub use verdict::{Verdict, verdict};

#[cfg(test)]
mod tests;
