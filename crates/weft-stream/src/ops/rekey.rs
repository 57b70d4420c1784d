//! Rows on their way to another task.
//!
//! ```text
//!   record key    key bytes of the new key (weft_model::key): they choose the partition
//!   record value  version ‖ event time i64 BE ‖ row        header "weft" as on every record of ours
//! ```

use bytes::Bytes;

use super::BYTES_VERSION;
use super::batch::Batch;
use crate::codec::row;

/// Value of a repartition record.
pub(crate) fn encode(batch: &Batch, at: usize) -> Bytes {
    let mut out = Vec::with_capacity(9 + 12 * batch.columns.num_columns());
    out.push(BYTES_VERSION);
    out.extend_from_slice(&batch.meta[at].event_time.to_be_bytes());
    row::encode(&batch.columns, at, &mut out);
    Bytes::from(out)
}

/// Event time and row bytes; none = not of a version we know.
pub(crate) fn decode(value: &[u8]) -> Option<(i64, &[u8])> {
    let (time, row) = value.strip_prefix(&[BYTES_VERSION])?.split_first_chunk::<8>()?;
    Some((i64::from_be_bytes(*time), row))
}
