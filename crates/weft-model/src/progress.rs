//! Progress is data: how far each writer of a topic partition has come in event time.
//!
//! ```text
//!   source ── record ─┐  header "weft": writer 0, writer_watermark, row_watermark
//!          ── record ─┤
//!          ── progress record on __weft.<mesh>.progress, same transaction:
//!                       (topic, partition, writer) → (offset, watermark, complete, writers)
//! ```
//!
//! A reader's time on a partition is the minimum over that partition's writers; a task's time is the minimum over its
//! partitions. A writer's time moves by the header of each of its records (it holds *before* the record) and by its
//! progress record once the reader's position on the partition has reached `offset`.
//!
//! `row_watermark` is the watermark that the row's own **source** partition had declared before the row: it travels with
//! the row through every repartition, and it alone decides whether the row is late. So lateness is a fact of the log, not
//! of pace, batch size or restart. `writer_watermark <= row_watermark` always.

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970; "no row with an earlier event time will come". `MIN` = nothing said yet, `MAX` = complete.
pub type WatermarkMs = i64;

/// Nothing declared yet.
pub const WATERMARK_NONE: WatermarkMs = i64::MIN;
/// A finite input has ended: every window closes.
pub const WATERMARK_COMPLETE: WatermarkMs = i64::MAX;

/// Name of the record header.
pub const HEADER: &str = "weft";
const HEADER_VERSION: u8 = 1;

/// What the header of one record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordProgress {
    /// Which writer of this topic wrote it: a source is writer 0, a task its partition number.
    pub writer: u32,
    /// The writer's time before this record.
    pub writer_watermark: WatermarkMs,
    /// Watermark the row's own source partition had declared before the row.
    pub row_watermark: WatermarkMs,
}

impl RecordProgress {
    /// 21 bytes: version, writer, writer_watermark, row_watermark, big-endian.
    pub fn encode(&self) -> [u8; 21] {
        let mut out = [0; 21];
        out[0] = HEADER_VERSION;
        out[1..5].copy_from_slice(&self.writer.to_be_bytes());
        out[5..13].copy_from_slice(&self.writer_watermark.to_be_bytes());
        out[13..21].copy_from_slice(&self.row_watermark.to_be_bytes());
        out
    }

    /// `None` if the bytes are not ours or of a version we do not know.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 21] = bytes.try_into().ok()?;
        if bytes[0] != HEADER_VERSION {
            return None;
        }
        let long = |at: usize| i64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        Some(Self {
            writer: u32::from_be_bytes(bytes[1..5].try_into().expect("four bytes")),
            writer_watermark: long(5),
            row_watermark: long(13),
        })
    }
}

/// Key of a progress record; JSON.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProgressKey {
    /// The topic written to.
    pub topic: String,
    /// Its partition.
    pub partition: u32,
    /// The writer.
    pub writer: u32,
}

/// Value of a progress record; JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressValue {
    /// Version of this shape.
    pub v: u32,
    /// It holds once a reader has read everything below this offset of (topic, partition).
    pub offset: i64,
    /// The writer's event-time watermark there. Milliseconds.
    pub watermark: WatermarkMs,
    /// The writer will write no more.
    pub complete: bool,
    /// How many writers the topic has, so that a reader can wait for all.
    pub writers: u32,
}
