//! Bytes on Kafka and in state ↔ Arrow columns.
//!
//! ```text
//!   JSON value ── json::Decoder ──► arrow::RecordBatch + one error per bad row
//!   arrow::RecordBatch ── json::Encoder ──► JSON text per row      key::KeyEncoder ──► key bytes per row
//!   arrow::RecordBatch ◄── row ──► version byte + row bytes (state values, repartition records)
//!   arrow::RecordBatch ─── ordered ──► bytes whose memcmp order is SQL's (state keys)
//! ```
//!
//! Columns have one Arrow type per contract type ([`arrow_type`]); timestamps are milliseconds in UTC without a zone.

pub mod json;
pub mod key;
pub mod ordered;
pub mod row;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
use weft_model::schema::{ColumnType, Schema};

/// Arrow type of a contract type.
pub fn arrow_type(column_type: ColumnType) -> DataType {
    match column_type {
        ColumnType::String => DataType::Utf8,
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Int64 => DataType::Int64,
        ColumnType::Float64 => DataType::Float64,
        ColumnType::Decimal { precision, scale } => DataType::Decimal128(precision, scale),
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, None),
        ColumnType::Date => DataType::Date32,
        ColumnType::Bytes => DataType::Binary,
    }
}

/// Arrow schema of a contract schema; every field is nullable in Arrow, the decoder checks `required`.
pub fn arrow_schema(schema: &Schema) -> SchemaRef {
    let field = |column: &weft_model::schema::Column| Field::new(&column.name, arrow_type(column.column_type), true);
    Arc::new(arrow::datatypes::Schema::new(schema.columns.iter().map(field).collect::<Vec<_>>()))
}
