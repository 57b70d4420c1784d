//! Rows to a port: key bytes, JSON value, record timestamp.

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
        let mut value = Vec::with_capacity(64 * batch.columns.num_columns());
        self.encoder.encode(&batch.columns, row, &mut value).map_err(|error| error.to_string())?;
        Ok((key, Bytes::from(value), time.max(0)))
    }
}
