//! Questions to a port and their answers: the words that doors (gateway) and views (stream) share.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::name::PortId;
use crate::progress::WatermarkMs;

/// What an answer speaks for: everything below these offsets, of this generation of the port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The port.
    pub port: PortId,
    /// Generation of the port (DESIGN §3).
    pub generation: u32,
    /// Kafka's id of the topic, where the cluster has ids.
    pub topic_id: Option<String>,
    /// Next offset per partition.
    pub offsets: BTreeMap<u32, i64>,
    /// Event-time watermark of the port there, if one is known. Milliseconds.
    pub watermark: Option<WatermarkMs>,
}

/// A bound on one column.
#[derive(Debug, Clone, PartialEq)]
pub enum Bound {
    /// `column = value`.
    Equal(serde_json::Value),
    /// `from <= column < to`, either side open.
    Range {
        /// Inclusive.
        from: Option<serde_json::Value>,
        /// Exclusive.
        to: Option<serde_json::Value>,
    },
}

/// A pull query on one port.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PullQuery {
    /// Bounds by column: key columns on `upsert`; the event time on `append`.
    pub bounds: BTreeMap<String, Bound>,
    /// `append`: from these offsets (inclusive).
    pub from_offsets: BTreeMap<u32, i64>,
    /// `append`: up to these offsets (exclusive).
    pub to_offsets: BTreeMap<u32, i64>,
    /// Rows per page, at most.
    pub rows_max: usize,
    /// Where the page before ended; opaque to the caller.
    pub page: Option<String>,
}

/// One row: a JSON object as text, so that integers stay exact.
pub type RowJson = String;

/// Rows with the position they speak for.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// JSON objects.
    pub rows: Vec<RowJson>,
    /// One per port read.
    pub position: Vec<Position>,
    /// Page token if there is more.
    pub next: Option<String>,
}

/// What a push query delivers.
#[derive(Debug, Clone, PartialEq)]
pub enum StreamEvent {
    /// A row, with a resume token that continues after it.
    Row {
        /// JSON object.
        row: RowJson,
        /// Resume token.
        token: String,
    },
    /// A key was deleted (`upsert`): its key columns as a JSON object.
    Delete {
        /// JSON object of the key columns.
        key: RowJson,
        /// Resume token.
        token: String,
    },
    /// The snapshot ends here; what follows is live.
    Live {
        /// Resume token.
        token: String,
    },
    /// The resume token is behind the log's start or of another generation: a new snapshot follows.
    Reset {
        /// Why.
        reason: String,
    },
}

/// Limits of one query. A query over one gets a named error, never a cut answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryLimits {
    /// Rows in the answer.
    pub rows_max: usize,
    /// Bytes of the answer as JSON.
    pub bytes_max: usize,
    /// Milliseconds from start to last row.
    pub time_ms_max: u64,
}
