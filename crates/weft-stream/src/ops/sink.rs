//! Rows to a port: key bytes, JSON value, record timestamp.

use arrow::array::Array;
use bytes::Bytes;

use super::batch::Batch;
use crate::codec::json::{Encoder, scalar};
use crate::codec::key;
use weft_model::json::Scalar;

#[derive(Debug)]
pub(crate) struct Sink {
    pub(crate) destination: usize,
    pub(crate) key: Vec<usize>,
    pub(crate) event_time: Option<(usize, i64)>,
    /// Columns that the contract says are never null, with their names.
    pub(crate) required: Vec<(usize, String)>,
    pub(crate) encoder: Encoder,
}

/// A record's parts, or why the row has none.
pub(crate) type Encoded = Result<(Option<Bytes>, Bytes, i64), String>;

impl Sink {
    pub(crate) fn encode(&self, batch: &Batch, row: usize) -> Encoded {
        let key = key::encode(&batch.columns, &self.key, row).map_err(|error| format!("key: {error}"))?;
        let time = match self.event_time {
            None => 0,
            Some((column, offset_ms)) => match scalar(batch.columns.column(column), row) {
                Scalar::Timestamp(time) => time.saturating_add(offset_ms),
                _ => return Err("event time is null".to_owned()),
            },
        };
        if let Some((_, name)) = self.required.iter().find(|(at, _)| batch.columns.column(*at).is_null(row)) {
            return Err(format!("column \"{name}\" is null; its contract says required"));
        }
        let mut value = Vec::with_capacity(64 * batch.columns.num_columns());
        self.encoder.encode(&batch.columns, row, &mut value).map_err(|error| error.to_string())?;
        Ok((key, Bytes::from(value), time.max(0)))
    }
}
