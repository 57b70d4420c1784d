//! Rows on their way through operators.

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{filter_record_batch, take_record_batch};
use bytes::Bytes;
use weft_model::progress::WatermarkMs;

/// `Meta::source` of rows that no single record gave: results of windows.
pub(crate) const NO_SOURCE: u32 = u32::MAX;

/// What travels with a row beside its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meta {
    /// Event time. Milliseconds.
    pub(crate) event_time: i64,
    /// Watermark that the row's own source partition had declared before the row; see `weft_model::progress`.
    pub(crate) row_watermark: WatermarkMs,
    /// Position in [`Sources::records`].
    pub(crate) source: u32,
}

/// Columns and what travels with them: `meta.len() == columns.num_rows()`.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) columns: RecordBatch,
    pub(crate) meta: Vec<Meta>,
}

impl Batch {
    pub(crate) fn rows(&self) -> usize {
        self.meta.len()
    }

    /// The rows for which `keep` is true.
    pub(crate) fn filter(&self, keep: &arrow::array::BooleanArray) -> Self {
        let columns = filter_record_batch(&self.columns, keep).expect("one flag per row");
        let kept =
            |(at, meta): (usize, &Meta)| (arrow::array::Array::is_valid(keep, at) && keep.value(at)).then_some(*meta);
        Self { columns, meta: self.meta.iter().enumerate().filter_map(kept).collect() }
    }

    /// These rows, in this order.
    pub(crate) fn take(&self, rows: &[u32]) -> Self {
        let columns =
            take_record_batch(&self.columns, &UInt32Array::from(rows.to_vec())).expect("rows are in the batch");
        Self { columns, meta: rows.iter().map(|&row| self.meta[row as usize]).collect() }
    }
}

/// The records that the batch in progress was decoded from: for the original bytes of late and bad rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    /// Topic, where it is a port's.
    pub(crate) topic: Option<String>,
    pub(crate) partition: u32,
    /// Offset and value.
    pub(crate) records: Vec<(i64, Option<Bytes>)>,
}
