//! What can happen to a task, and what it wants done.

use bytes::Bytes;
use weft_model::progress::{ProgressValue, RecordProgress, WatermarkMs};

/// One record of an input, as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputRecord {
    /// Offset in its partition.
    pub offset: i64,
    /// Record timestamp; versions a tombstone, which has no columns. Milliseconds.
    pub timestamp_ms: i64,
    /// Key bytes.
    pub key: Option<Bytes>,
    /// Value bytes.
    pub value: Option<Bytes>,
    /// Header `weft`, decoded; none on topics that others write.
    pub progress: Option<RecordProgress>,
}

/// Something that wakes a task. Inputs are named by their position in `ir::SubTopology::inputs`.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskEvent {
    /// Records of one partition, in offset order, after all before.
    Records {
        /// Position of the input.
        input: usize,
        /// Its partition.
        partition: u32,
        /// The records.
        records: Vec<InputRecord>,
    },
    /// A progress record about a partition; it holds once the task has consumed everything below its offset.
    Progress {
        /// Position of the input.
        input: usize,
        /// Its partition.
        partition: u32,
        /// The writer it speaks for.
        writer: u32,
        /// What it says.
        value: ProgressValue,
    },
    /// All records below `offset` have been handed over: what lies between the last record and it are transaction
    /// markers and aborted records.
    Position {
        /// Position of the input.
        input: usize,
        /// Its partition.
        partition: u32,
        /// Next offset that may hold a record.
        offset: i64,
    },
    /// End of a partition when the runtime started: an `Observed` table without event time is complete once it is read
    /// to there.
    End {
        /// Position of the input.
        input: usize,
        /// Its partition.
        partition: u32,
        /// Last stable offset at start.
        offset: i64,
    },
}

/// What a task wants done, in order. `to` is a position in `ir::Program::destinations`.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Produce a record.
    Record {
        /// Position of the destination.
        to: usize,
        /// Its partition.
        partition: u32,
        /// Key bytes.
        key: Option<Bytes>,
        /// Value bytes; none deletes.
        value: Option<Bytes>,
        /// Record timestamp; never negative (Kafka refuses those). Milliseconds.
        timestamp_ms: i64,
        /// Header `weft`.
        progress: RecordProgress,
    },
    /// Declare progress on one partition of a destination: produce a `ProgressValue` with the offset after the last
    /// record this transaction produced to that partition, or after the last known one.
    Progress {
        /// Position of the destination.
        to: usize,
        /// Its partition.
        partition: u32,
        /// This task's number among the destination's writers.
        writer: u32,
        /// How many there are.
        writers: u32,
        /// No row with an earlier event time will come from this writer. Milliseconds.
        watermark: WatermarkMs,
        /// It will write no more.
        complete: bool,
    },
}

/// How far a task has come on one input partition: what a commit covers and a restart begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputPosition {
    /// Position of the input.
    pub input: usize,
    /// Its partition.
    pub partition: u32,
    /// Next offset to consume.
    pub offset: i64,
    /// Event-time watermark there; never moves back, across restarts too. Milliseconds.
    pub watermark: WatermarkMs,
}

/// Records handed over but not consumed yet: the runtime pauses a partition that has too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Position of the input.
    pub input: usize,
    /// Its partition.
    pub partition: u32,
    /// Records.
    pub records: usize,
    /// Bytes of their keys and values.
    pub bytes: usize,
}
