//! Rows as bytes of our own: state values and repartition records. No Arrow layout inside, so an upgrade of Arrow reads
//! what its predecessor wrote.
//!
//! ```text
//!   null bits, 1 = null, ⌈columns / 8⌉ bytes ‖ per present column, little-endian:
//!     int64, timestamp, float64  8      date  4      decimal  16      boolean  1      string, bytes  length u32 ‖ bytes
//! ```
//! The version byte stands before the row, where the row is stored.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, SchemaRef, TimestampMillisecondType,
};
use std::borrow::Cow;
use weft_model::json::Scalar;
use weft_model::schema::{ColumnType, Schema};

use super::arrow_schema;
use super::json::{ColumnBuilder, batch_of};

/// Bytes that are not a row of these columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("row bytes end early or hold text that is not UTF-8")]
pub struct BadRow;

/// Appends one row of all columns.
pub fn encode(batch: &RecordBatch, row: usize, out: &mut Vec<u8>) {
    encode_columns(batch.columns(), row, out);
}

/// Appends one row of these columns.
pub fn encode_columns(columns: &[ArrayRef], row: usize, out: &mut Vec<u8>) {
    let nulls = out.len();
    out.resize(nulls + columns.len().div_ceil(8), 0);
    for (at, array) in columns.iter().enumerate() {
        if array.is_null(row) {
            out[nulls + at / 8] |= 1 << (at % 8);
            continue;
        }
        match array.data_type() {
            DataType::Utf8 => push_bytes(out, array.as_string::<i32>().value(row).as_bytes()),
            DataType::Binary => push_bytes(out, array.as_binary::<i32>().value(row)),
            DataType::Boolean => out.push(u8::from(array.as_boolean().value(row))),
            DataType::Int64 => out.extend_from_slice(&array.as_primitive::<Int64Type>().value(row).to_le_bytes()),
            DataType::Float64 => out.extend_from_slice(&array.as_primitive::<Float64Type>().value(row).to_le_bytes()),
            DataType::Timestamp(..) => {
                out.extend_from_slice(&array.as_primitive::<TimestampMillisecondType>().value(row).to_le_bytes());
            }
            DataType::Date32 => out.extend_from_slice(&array.as_primitive::<Date32Type>().value(row).to_le_bytes()),
            DataType::Decimal128(..) => {
                out.extend_from_slice(&array.as_primitive::<Decimal128Type>().value(row).to_le_bytes());
            }
            other => panic!("columns have contract types, not {other}"),
        }
    }
}

fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("a Kafka record is smaller than 4 GiB");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Collects rows into a batch.
#[derive(Debug)]
pub struct RowReader {
    types: Vec<ColumnType>,
    schema: SchemaRef,
    builders: Vec<ColumnBuilder>,
    rows: usize,
}

impl RowReader {
    /// For rows of these columns.
    pub fn new(schema: &Schema, rows: usize) -> Self {
        let types: Vec<ColumnType> = schema.columns.iter().map(|column| column.column_type).collect();
        let builders = types.iter().map(|&column_type| ColumnBuilder::new(column_type, rows)).collect();
        Self { types, schema: arrow_schema(schema), builders, rows: 0 }
    }

    /// Appends a row of nulls.
    pub fn push_nulls(&mut self) {
        for builder in &mut self.builders {
            builder.push(&Scalar::Null);
        }
        self.rows += 1;
    }

    /// Appends a row; the bytes end with it. A bad row appends nothing.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), BadRow> {
        let cells = read(bytes, &self.types)?;
        for (builder, cell) in self.builders.iter_mut().zip(&cells) {
            builder.push(cell);
        }
        self.rows += 1;
        Ok(())
    }

    /// The rows so far.
    pub fn finish(self) -> RecordBatch {
        let arrays = self.builders.into_iter().map(ColumnBuilder::finish).collect();
        batch_of(self.schema, arrays, self.rows)
    }
}

fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Result<&'a [u8; N], BadRow> {
    let (head, rest) = bytes.split_first_chunk::<N>().ok_or(BadRow)?;
    *bytes = rest;
    Ok(head)
}

/// Cells of one row.
pub fn read<'a>(bytes: &'a [u8], types: &[ColumnType]) -> Result<Vec<Scalar<'a>>, BadRow> {
    let (nulls, mut rest) = bytes.split_at_checked(types.len().div_ceil(8)).ok_or(BadRow)?;
    let mut cells = Vec::with_capacity(types.len());
    for (at, column_type) in types.iter().enumerate() {
        if nulls[at / 8] >> (at % 8) & 1 == 1 {
            cells.push(Scalar::Null);
            continue;
        }
        cells.push(match column_type {
            ColumnType::String | ColumnType::Bytes => {
                let length = u32::from_le_bytes(*take(&mut rest)?) as usize;
                let (text, after) = rest.split_at_checked(length).ok_or(BadRow)?;
                rest = after;
                if *column_type == ColumnType::Bytes {
                    Scalar::Bytes(Cow::Borrowed(text))
                } else {
                    Scalar::String(Cow::Borrowed(std::str::from_utf8(text).map_err(|_| BadRow)?))
                }
            }
            ColumnType::Boolean => Scalar::Boolean(take::<1>(&mut rest)?[0] != 0),
            ColumnType::Int64 => Scalar::Int64(i64::from_le_bytes(*take(&mut rest)?)),
            ColumnType::Float64 => Scalar::Float64(f64::from_le_bytes(*take(&mut rest)?)),
            ColumnType::Timestamp => Scalar::Timestamp(i64::from_le_bytes(*take(&mut rest)?)),
            ColumnType::Date => Scalar::Date(i32::from_le_bytes(*take(&mut rest)?)),
            ColumnType::Decimal { scale, .. } => {
                Scalar::Decimal { unscaled: i128::from_le_bytes(*take(&mut rest)?), scale: *scale }
            }
        });
    }
    if rest.is_empty() { Ok(cells) } else { Err(BadRow) }
}
