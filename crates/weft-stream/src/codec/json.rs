//! JSON objects ↔ Arrow columns. A row that cannot be read becomes an error of its own; its neighbours are not touched.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder,
    Int64Builder, RecordBatch, RecordBatchOptions, StringBuilder, TimestampMillisecondBuilder,
};
use arrow::datatypes::{Date32Type, Decimal128Type, Float64Type, Int64Type, SchemaRef, TimestampMillisecondType};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use weft_model::json::{self, BadScalar, Scalar};
use weft_model::schema::{Column, ColumnType, Schema};

use super::{arrow_schema, arrow_type};

/// Why one value is not a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// Column that is wrong, if it is one.
    pub column: Option<String>,
    /// Why, in a sentence.
    pub reason: String,
}

/// Rows that could be read, with the position of each among the values given, and those that could not.
#[derive(Debug)]
pub struct Decoded {
    /// Readable rows, in order.
    pub batch: RecordBatch,
    /// For each row of `batch`, its position among the values.
    pub rows: Vec<usize>,
    /// Position among the values, and why.
    pub errors: Vec<(usize, RowError)>,
}

/// Reads JSON objects into columns; fields it was not told of are skipped unread.
#[derive(Debug, Clone)]
pub struct Decoder {
    columns: Arc<[Column]>,
    schema: SchemaRef,
}

impl Decoder {
    /// For these columns.
    pub fn new(schema: &Schema) -> Self {
        Self { columns: schema.columns.clone().into(), schema: arrow_schema(schema) }
    }

    /// Arrow schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Reads values; each is one JSON object.
    pub fn decode<'a>(&self, values: impl ExactSizeIterator<Item = &'a [u8]>) -> Decoded {
        let mut builders: Vec<ColumnBuilder> =
            self.columns.iter().map(|column| ColumnBuilder::new(column.column_type, values.len())).collect();
        let mut rows = Vec::with_capacity(values.len());
        let mut errors = Vec::new();
        for (at, value) in values.enumerate() {
            let mut cells = vec![Scalar::Null; self.columns.len()];
            match self.read(value, &mut cells) {
                Ok(()) => {
                    for (builder, cell) in builders.iter_mut().zip(&cells) {
                        builder.push(cell);
                    }
                    rows.push(at);
                }
                Err(error) => errors.push((at, error)),
            }
        }
        let arrays: Vec<ArrayRef> = builders.into_iter().map(ColumnBuilder::finish).collect();
        let batch = batch_of(self.schema.clone(), arrays, rows.len());
        Decoded { batch, rows, errors }
    }

    fn read<'de>(&self, value: &'de [u8], cells: &mut [Scalar<'de>]) -> Result<(), RowError> {
        let mut wrong_column = None;
        let mut deserializer = serde_json::Deserializer::from_slice(value);
        let seed = RowSeed { columns: &self.columns, cells, wrong_column: &mut wrong_column };
        let read = seed.deserialize(&mut deserializer).and_then(|()| deserializer.end());
        if let Err(error) = read {
            return Err(RowError { column: wrong_column, reason: reason_of(&error) });
        }
        for (column, cell) in self.columns.iter().zip(cells.iter()) {
            if !column.nullable && matches!(cell, Scalar::Null) {
                return Err(RowError {
                    column: Some(column.name.clone()),
                    reason: format!("column \"{}\" is null or missing; its contract says required", column.name),
                });
            }
        }
        Ok(())
    }
}

/// serde_json's text without its " at line 1 column 7": a record has one line.
fn reason_of(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let cut = text.rfind(" at line ").unwrap_or(text.len());
    if error.is_data() { text[..cut].to_owned() } else { format!("value is not a JSON object: {}", &text[..cut]) }
}

struct RowSeed<'s, 'de> {
    columns: &'s [Column],
    cells: &'s mut [Scalar<'de>],
    wrong_column: &'s mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for RowSeed<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RowSeed<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        // Writers keep the order of the contract, so the next field is nearly always the next column.
        let mut next = 0;
        while let Some(name) = map.next_key_seed(NameSeed)? {
            let ahead = self.columns[next..].iter().position(|column| column.name == name).map(|at| next + at);
            let found = ahead.or_else(|| self.columns[..next].iter().position(|column| column.name == name));
            let Some(at) = found else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let column = &self.columns[at];
            let raw: &'de RawValue = map.next_value()?;
            match cell(raw, column.column_type) {
                Ok(value) => self.cells[at] = value,
                Err(reason) => {
                    *self.wrong_column = Some(column.name.clone());
                    return Err(A::Error::custom(format!("column \"{}\": {reason}", column.name)));
                }
            }
            next = at + 1;
        }
        Ok(())
    }
}

struct NameSeed;

impl<'de> DeserializeSeed<'de> for NameSeed {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for NameSeed {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// One field's text as a value. Numbers are read from their own digits, so that none is lost.
fn cell(raw: &RawValue, column_type: ColumnType) -> Result<Scalar<'_>, String> {
    let text = raw.get();
    let first = text.as_bytes().first().copied().unwrap_or(b' ');
    if text == "null" {
        return Ok(Scalar::Null);
    }
    if first == b'"' {
        let body = &text[1..text.len() - 1];
        let plain: Cow<'_, str> = if body.contains('\\') {
            let text: String = serde_json::from_str(text).map_err(|error| error.to_string())?;
            Cow::Owned(text)
        } else {
            Cow::Borrowed(body)
        };
        let textual = !matches!(column_type, ColumnType::Boolean | ColumnType::Int64 | ColumnType::Float64);
        if textual {
            return match plain {
                Cow::Borrowed(plain) => json::parse_text(plain, column_type),
                Cow::Owned(plain) => json::parse_text(&plain, column_type).map(Scalar::into_owned),
            }
            .map_err(|error| error.to_string());
        }
    }
    let number = first.is_ascii_digit() || first == b'-';
    match column_type {
        ColumnType::Int64 if number => {
            if let Ok(value) = text.parse() {
                return Ok(Scalar::Int64(value));
            }
        }
        ColumnType::Float64 if number => {
            return json::parse_text(text, column_type).map_err(|error| error.to_string());
        }
        ColumnType::Boolean if text == "true" => return Ok(Scalar::Boolean(true)),
        ColumnType::Boolean if text == "false" => return Ok(Scalar::Boolean(false)),
        _ => {}
    }
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    json::parse_value(&value, column_type).map(Scalar::into_owned).map_err(|error| error.to_string())
}

/// Builds one column.
#[derive(Debug)]
pub(crate) enum ColumnBuilder {
    String(StringBuilder),
    Boolean(BooleanBuilder),
    Int64(Int64Builder),
    Float64(Float64Builder),
    Decimal(Decimal128Builder),
    Timestamp(TimestampMillisecondBuilder),
    Date(Date32Builder),
    Bytes(BinaryBuilder),
}

impl ColumnBuilder {
    pub(crate) fn new(column_type: ColumnType, rows: usize) -> Self {
        match column_type {
            ColumnType::String => Self::String(StringBuilder::with_capacity(rows, rows * 8)),
            ColumnType::Boolean => Self::Boolean(BooleanBuilder::with_capacity(rows)),
            ColumnType::Int64 => Self::Int64(Int64Builder::with_capacity(rows)),
            ColumnType::Float64 => Self::Float64(Float64Builder::with_capacity(rows)),
            ColumnType::Decimal { .. } => {
                Self::Decimal(Decimal128Builder::with_capacity(rows).with_data_type(arrow_type(column_type)))
            }
            ColumnType::Timestamp => Self::Timestamp(TimestampMillisecondBuilder::with_capacity(rows)),
            ColumnType::Date => Self::Date(Date32Builder::with_capacity(rows)),
            ColumnType::Bytes => Self::Bytes(BinaryBuilder::with_capacity(rows, rows * 8)),
        }
    }

    /// Appends a value of the column's type, or null.
    pub(crate) fn push(&mut self, value: &Scalar<'_>) {
        match (self, value) {
            (Self::String(builder), Scalar::String(text)) => builder.append_value(text),
            (Self::String(builder), _) => builder.append_null(),
            (Self::Boolean(builder), Scalar::Boolean(value)) => builder.append_value(*value),
            (Self::Boolean(builder), _) => builder.append_null(),
            (Self::Int64(builder), Scalar::Int64(value)) => builder.append_value(*value),
            (Self::Int64(builder), _) => builder.append_null(),
            (Self::Float64(builder), Scalar::Float64(value)) => builder.append_value(*value),
            (Self::Float64(builder), _) => builder.append_null(),
            (Self::Decimal(builder), Scalar::Decimal { unscaled, .. }) => builder.append_value(*unscaled),
            (Self::Decimal(builder), _) => builder.append_null(),
            (Self::Timestamp(builder), Scalar::Timestamp(value)) => builder.append_value(*value),
            (Self::Timestamp(builder), _) => builder.append_null(),
            (Self::Date(builder), Scalar::Date(value)) => builder.append_value(*value),
            (Self::Date(builder), _) => builder.append_null(),
            (Self::Bytes(builder), Scalar::Bytes(value)) => builder.append_value(value),
            (Self::Bytes(builder), _) => builder.append_null(),
        }
    }

    pub(crate) fn finish(self) -> ArrayRef {
        match self {
            Self::String(mut builder) => Arc::new(builder.finish()),
            Self::Boolean(mut builder) => Arc::new(builder.finish()),
            Self::Int64(mut builder) => Arc::new(builder.finish()),
            Self::Float64(mut builder) => Arc::new(builder.finish()),
            Self::Decimal(mut builder) => Arc::new(builder.finish()),
            Self::Timestamp(mut builder) => Arc::new(builder.finish()),
            Self::Date(mut builder) => Arc::new(builder.finish()),
            Self::Bytes(mut builder) => Arc::new(builder.finish()),
        }
    }
}

/// A batch of columns that fit their schema; works for no columns too.
pub(crate) fn batch_of(schema: SchemaRef, arrays: Vec<ArrayRef>, rows: usize) -> RecordBatch {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, arrays, &options).expect("columns were built for this schema")
}

/// Value of one cell of a column of a contract type.
pub fn scalar(array: &dyn Array, row: usize) -> Scalar<'_> {
    use arrow::datatypes::DataType;
    if array.is_null(row) {
        return Scalar::Null;
    }
    match array.data_type() {
        DataType::Utf8 => Scalar::String(Cow::Borrowed(array.as_string::<i32>().value(row))),
        DataType::Boolean => Scalar::Boolean(array.as_boolean().value(row)),
        DataType::Int64 => Scalar::Int64(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => Scalar::Float64(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, scale) => {
            Scalar::Decimal { unscaled: array.as_primitive::<Decimal128Type>().value(row), scale: *scale }
        }
        DataType::Timestamp(..) => Scalar::Timestamp(array.as_primitive::<TimestampMillisecondType>().value(row)),
        DataType::Date32 => Scalar::Date(array.as_primitive::<Date32Type>().value(row)),
        DataType::Binary => Scalar::Bytes(Cow::Borrowed(array.as_binary::<i32>().value(row))),
        other => panic!("columns have contract types, not {other}"),
    }
}

/// Writes rows as JSON objects, columns in the order of the batch, nulls as null.
#[derive(Debug, Clone)]
pub struct Encoder {
    /// `,"name":` per column, the first without comma.
    names: Vec<Vec<u8>>,
    columns: Vec<usize>,
}

impl Encoder {
    /// For columns of these names at these positions of a batch.
    pub fn new<'a>(columns: impl IntoIterator<Item = (&'a str, usize)>) -> Self {
        let mut encoder = Self { names: Vec::new(), columns: Vec::new() };
        for (name, at) in columns {
            let mut text = Vec::new();
            if !encoder.names.is_empty() {
                text.push(b',');
            }
            json::push_string(&mut text, name);
            text.push(b':');
            encoder.names.push(text);
            encoder.columns.push(at);
        }
        encoder
    }

    /// For all columns of a schema.
    pub fn for_schema(schema: &Schema) -> Self {
        Self::new(schema.columns.iter().enumerate().map(|(at, column)| (column.name.as_str(), at)))
    }

    /// Appends one row; on error what was appended is to be thrown away.
    pub fn encode(&self, batch: &RecordBatch, row: usize, out: &mut Vec<u8>) -> Result<(), BadScalar> {
        out.push(b'{');
        for (name, &at) in self.names.iter().zip(&self.columns) {
            out.extend_from_slice(name);
            json::push_scalar(out, &scalar(batch.column(at), row))?;
        }
        out.push(b'}');
        Ok(())
    }
}
