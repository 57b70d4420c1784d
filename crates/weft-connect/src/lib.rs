//! Sources: outside data becomes records of a port, exactly once. First form: CSV files, replayed in event-time order.
//!
//! ```text
//!   file ──► CsvFile ──► Index ──► Replay ──► RowEncoder ──► TransactionalSink ──► port, errors
//!   .csv     plain       (time,    what is    bytes to        one transaction:      __weft.<mesh>.progress
//!   .gz      bytes,      line)     next, and  JSON, key,      rows + errors +       __weft.<mesh>.sources
//!   .zip     spooled     sorted    is it due  partition       progress + position
//! ```
//!
//! Always:
//! 1. Rows, their progress and the position that follows them are one Kafka transaction. What a restart reads again is
//!    at most the transaction that did not commit.
//! 2. The watermark never falls within one generation of a source; `complete` is written once, with the last position.
//! 3. A row is sent, or is on the `errors` port with its original bytes. Nothing is dropped.
//! 4. Memory: 24 bytes per row for the index, and the bounds in [`SourceLimits`] for everything else. The rows
//!    themselves stay in the file.
//! 5. If the outcome of a commit is unclear, the producer is thrown away and the position is read again: the log decides.
//!
//! Start reading in `service.rs`; `csv` knows files and rows, `kafka` knows the broker.

pub mod clock;
pub mod config;
mod csv;
pub mod error;
mod follow;
pub mod handle;
mod kafka;
mod position;
mod replay;
mod service;
mod session;

pub use clock::ReplayClock;
pub use config::{SourceLimits, SourceOptions};
pub use error::SourceError;
pub use handle::{SourceHandle, SourceState, SourceStatus};
pub use service::{CsvSource, restart_generation};
