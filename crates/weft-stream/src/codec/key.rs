//! Key bytes of rows (`weft_model::key` says which) and the rows of keys.

use arrow::array::{ArrayRef, RecordBatch};
use bytes::Bytes;
use weft_model::json::BadScalar;
use weft_model::key::{BadKey, key_bytes, parse_key};
use weft_model::schema::Column;

use super::arrow_schema;
use super::json::{ColumnBuilder, batch_of, scalar};

/// Key bytes of one row; none = a key without columns.
pub fn encode(batch: &RecordBatch, columns: &[usize], row: usize) -> Result<Option<Bytes>, BadScalar> {
    if columns.is_empty() {
        return Ok(None);
    }
    let values: Vec<_> = columns.iter().map(|&at| scalar(batch.column(at), row)).collect();
    key_bytes(&values).map(Some)
}

/// Key columns of one key as a batch of one row.
pub fn decode(bytes: &[u8], columns: &[Column]) -> Result<RecordBatch, BadKey> {
    let refs: Vec<&Column> = columns.iter().collect();
    let values = parse_key(bytes, &refs)?;
    let arrays: Vec<ArrayRef> = columns
        .iter()
        .zip(&values)
        .map(|(column, value)| {
            let mut builder = ColumnBuilder::new(column.column_type, 1);
            builder.push(value);
            builder.finish()
        })
        .collect();
    let schema = weft_model::schema::Schema { columns: columns.to_vec() };
    Ok(batch_of(arrow_schema(&schema), arrays, 1))
}
