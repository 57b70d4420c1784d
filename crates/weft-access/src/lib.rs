//! Who is let in, to what, by whom and why: clients with keys, their requests, the decisions.
//!
//! ```text
//!   CLI, portal ─► Access::record ─► __weft.<mesh>.audit ─► every node folds it ─► State: who may read what, now
//!                                      append-only, kept for ever        │
//!                                                                        └─► changed: streams and connections end
//! ```
//!
//! Invariants:
//! 1. The state is the replay of the topic and of nothing else. Two nodes that have read as far agree.
//! 2. Of two decisions on one request the first on the topic counts; who wrote the second is told so, by the same fold.
//! 3. A key is shown once. What is kept of it checks a key and gives none: a SHA-256, and SCRAM's stored and server keys.
//! 4. What cannot be read closes: after a record of a newer version nobody but the operator is let in.
//!
//! Start reading in `record.rs` (what lies on the topic), then `state.rs` (what it means), then `service.rs`.
//! What it does *not* know: HTTP, the log's protocol, SQL, descriptors.

mod config;
pub mod error;
mod handle;
pub mod key;
pub mod record;
mod service;
pub mod state;
#[cfg(test)]
mod tests;
pub mod why;

pub use config::Options;
pub use error::AccessError;
pub use handle::{Access, Shrinks};
pub use key::Key;
pub use record::{Change, Event, Hand};
pub use state::{Client, Refusal, Request, Standing, State, Taken};
