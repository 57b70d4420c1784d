//! Rows of JSON text as Arrow columns: only the columns a query wants are decoded.

use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder,
    RecordBatch, RecordBatchOptions, StringBuilder, TimestampMillisecondBuilder,
};
use arrow::datatypes::{Field, Schema as ArrowSchema, SchemaRef};
use arrow::error::ArrowError;
use weft_model::json::Scalar;
use weft_model::schema::{Column, ColumnType, Schema};

use crate::codec::arrow_type;
use crate::views::cell;

/// The columns of a port as a table. A key column of an upsert port is never null, others as the contract says.
pub(crate) fn arrow_schema(schema: &Schema) -> SchemaRef {
    let field = |column: &Column| Field::new(&column.name, arrow_type(column.column_type), column.nullable);
    Arc::new(ArrowSchema::new(schema.columns.iter().map(field).collect::<Vec<_>>()))
}

enum Builder {
    String(StringBuilder),
    Boolean(BooleanBuilder),
    Int64(Int64Builder),
    Float64(Float64Builder),
    Decimal(Decimal128Builder),
    Timestamp(TimestampMillisecondBuilder),
    Date(Date32Builder),
    Bytes(BinaryBuilder),
}

impl Builder {
    fn new(column_type: ColumnType) -> Self {
        let data_type = arrow_type(column_type);
        match column_type {
            ColumnType::String => Self::String(StringBuilder::new()),
            ColumnType::Boolean => Self::Boolean(BooleanBuilder::new()),
            ColumnType::Int64 => Self::Int64(Int64Builder::new()),
            ColumnType::Float64 => Self::Float64(Float64Builder::new()),
            ColumnType::Decimal { .. } => Self::Decimal(Decimal128Builder::new().with_data_type(data_type)),
            ColumnType::Timestamp => Self::Timestamp(TimestampMillisecondBuilder::new().with_data_type(data_type)),
            ColumnType::Date => Self::Date(Date32Builder::new()),
            ColumnType::Bytes => Self::Bytes(BinaryBuilder::new()),
        }
    }

    /// A cell of another type cannot come here: `cell` decodes by the same column type.
    fn append(&mut self, cell: Scalar<'_>) {
        match (self, cell) {
            (Self::String(b), Scalar::String(v)) => b.append_value(v),
            (Self::String(b), _) => b.append_null(),
            (Self::Boolean(b), Scalar::Boolean(v)) => b.append_value(v),
            (Self::Boolean(b), _) => b.append_null(),
            (Self::Int64(b), Scalar::Int64(v)) => b.append_value(v),
            (Self::Int64(b), _) => b.append_null(),
            (Self::Float64(b), Scalar::Float64(v)) => b.append_value(v),
            (Self::Float64(b), _) => b.append_null(),
            (Self::Decimal(b), Scalar::Decimal { unscaled, .. }) => b.append_value(unscaled),
            (Self::Decimal(b), _) => b.append_null(),
            (Self::Timestamp(b), Scalar::Timestamp(v)) => b.append_value(v),
            (Self::Timestamp(b), _) => b.append_null(),
            (Self::Date(b), Scalar::Date(v)) => b.append_value(v),
            (Self::Date(b), _) => b.append_null(),
            (Self::Bytes(b), Scalar::Bytes(v)) => b.append_value(v),
            (Self::Bytes(b), _) => b.append_null(),
        }
    }

    fn inner(&mut self) -> &mut dyn ArrayBuilder {
        match self {
            Self::String(b) => b,
            Self::Boolean(b) => b,
            Self::Int64(b) => b,
            Self::Float64(b) => b,
            Self::Decimal(b) => b,
            Self::Timestamp(b) => b,
            Self::Date(b) => b,
            Self::Bytes(b) => b,
        }
    }
}

/// Collects rows into batches.
pub(crate) struct BatchBuilder {
    schema: Schema,
    /// Wanted columns: place in the row, and how it is built.
    columns: Vec<(usize, Builder)>,
    arrow: SchemaRef,
    pub rows: usize,
}

impl BatchBuilder {
    /// `projection` lists the wanted columns by place.
    pub(crate) fn new(schema: &Schema, projection: &[usize], arrow: SchemaRef) -> Self {
        let columns = projection.iter().map(|at| (*at, Builder::new(schema.columns[*at].column_type))).collect();
        Self { schema: schema.clone(), columns, arrow, rows: 0 }
    }

    /// One row; `Err` says why it is none, and nothing was added.
    pub(crate) fn push(&mut self, row: &[u8]) -> Result<(), String> {
        let fields = cell::raw_fields(row, &self.schema)?;
        let mut cells = Vec::with_capacity(self.columns.len());
        for (at, _) in &self.columns {
            let column = &self.schema.columns[*at];
            let decoded = match fields[*at] {
                None => Scalar::Null,
                Some(raw) => cell::from_raw(raw, column.column_type)?,
            };
            if matches!(decoded, Scalar::Null) && !column.nullable {
                return Err(format!("column \"{}\" is null", column.name));
            }
            cells.push(decoded);
        }
        for ((_, builder), decoded) in self.columns.iter_mut().zip(cells) {
            builder.append(decoded);
        }
        self.rows += 1;
        Ok(())
    }

    /// What was collected so far.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let arrays = self.columns.iter_mut().map(|(_, builder)| builder.inner().finish()).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        self.rows = 0;
        RecordBatch::try_new_with_options(Arc::clone(&self.arrow), arrays, &options)
    }
}
