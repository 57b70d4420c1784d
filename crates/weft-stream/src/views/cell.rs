//! Rows and keys as the views hold them: scalars out of JSON text, and scalars as bytes whose order is SQL's.
//!
//! ```text
//!   ordered bytes of a scalar          memcmp order = SQL order, nulls first
//!     null       00
//!     present    01 ‖ body
//!       int64, timestamp, date, decimal   big-endian, sign bit flipped
//!       float64                           big-endian, all bits flipped when negative, else the sign bit
//!       string, bytes                     every 00 as 00 FF, then 00 00
//!       boolean                           00 | 01
//! ```
//! So the encodings of several scalars can be joined: none is a prefix of another, and a prefix of scalars is a prefix
//! of bytes.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use weft_model::json::{self, Scalar};
use weft_model::schema::{ColumnType, Schema};

pub(crate) type Cell = Scalar<'static>;

/// From the JSON text of one field. Numbers are read from their own text, so that the last digit is exact.
pub(crate) fn from_raw(raw: &RawValue, column_type: ColumnType) -> Result<Cell, String> {
    let text = raw.get();
    let number = text.as_bytes().first().is_some_and(|b| b.is_ascii_digit() || *b == b'-');
    if number && matches!(column_type, ColumnType::Float64) {
        return json::parse_text(text, column_type).map(Scalar::into_owned).map_err(|e| e.to_string());
    }
    if number
        && let Ok(value) = text.parse()
        && matches!(column_type, ColumnType::Int64)
    {
        return Ok(Scalar::Int64(value));
    }
    let value: serde_json::Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
    json::parse_value(&value, column_type).map(Scalar::into_owned).map_err(|e| e.to_string())
}

/// A bound of a query. A door hands over text out of a URL, so every type is also read from a string.
pub(crate) fn from_bound(value: &serde_json::Value, column_type: ColumnType) -> Result<Cell, String> {
    match value {
        serde_json::Value::String(text) => json::parse_text(text, column_type),
        other => json::parse_value(other, column_type),
    }
    .map(Scalar::into_owned)
    .map_err(|e| e.to_string())
}

/// Ordered bytes, appended.
pub(crate) fn write_ordered(cell: &Cell, out: &mut Vec<u8>) {
    if matches!(cell, Scalar::Null) {
        out.push(0);
        return;
    }
    out.push(1);
    match cell {
        Scalar::Null => {}
        Scalar::Boolean(value) => out.push(u8::from(*value)),
        Scalar::Int64(value) | Scalar::Timestamp(value) => {
            out.extend((value.cast_unsigned() ^ (1 << 63)).to_be_bytes());
        }
        Scalar::Date(value) => out.extend((value.cast_unsigned() ^ (1 << 31)).to_be_bytes()),
        Scalar::Decimal { unscaled, .. } => out.extend((unscaled.cast_unsigned() ^ (1 << 127)).to_be_bytes()),
        Scalar::Float64(value) => {
            // -0.0 and 0.0 are one key.
            let bits = if *value == 0.0 { 0 } else { value.to_bits() };
            let ordered = if bits >> 63 == 1 { !bits } else { bits ^ (1 << 63) };
            out.extend(ordered.to_be_bytes());
        }
        Scalar::String(text) => write_escaped(text.as_bytes(), out),
        Scalar::Bytes(bytes) => write_escaped(bytes, out),
    }
}

/// Ordered bytes of one cell.
pub(crate) fn ordered(cell: &Cell) -> Vec<u8> {
    let mut out = Vec::new();
    write_ordered(cell, &mut out);
    out
}

/// Ordered bytes of the next cell at the front of `bytes`, without decoding it; `bytes` moves past it. `None` if they
/// are not ours.
pub(crate) fn next_ordered<'a>(bytes: &mut &'a [u8], column_type: ColumnType) -> Option<&'a [u8]> {
    let body = match *bytes.first()? {
        0 => 0,
        _ => match column_type {
            ColumnType::Boolean => 1,
            ColumnType::Int64 | ColumnType::Timestamp | ColumnType::Float64 => 8,
            ColumnType::Date => 4,
            ColumnType::Decimal { .. } => 16,
            ColumnType::String | ColumnType::Bytes => {
                let mut at = 1;
                loop {
                    match (*bytes.get(at)?, bytes.get(at + 1)) {
                        (0, Some(0)) => break at + 1,
                        (0, _) => at += 2,
                        _ => at += 1,
                    }
                }
            }
        },
    };
    let (head, rest) = bytes.split_at_checked(1 + body)?;
    *bytes = rest;
    Some(head)
}

fn write_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        out.push(*byte);
        if *byte == 0 {
            out.push(0xff);
        }
    }
    out.extend([0, 0]);
}

/// The fields of a JSON object by column, undecoded; columns that are absent stay `None`, unknown fields are skipped.
pub(crate) fn raw_fields<'a>(value: &'a [u8], schema: &Schema) -> Result<Vec<Option<&'a RawValue>>, String> {
    let text = std::str::from_utf8(value).map_err(|_| "the value is not UTF-8".to_owned())?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let fields = reader.deserialize_map(Fields(schema)).map_err(|e| e.to_string())?;
    reader.end().map_err(|e| e.to_string())?;
    Ok(fields)
}

struct Fields<'s>(&'s Schema);

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = Vec<Option<&'de RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let columns = &self.0.columns;
        let mut fields = vec![None; columns.len()];
        // Our own rows come in the order of the contract, so the next column is nearly always the right one.
        let mut expected = 0;
        while let Some(name) = map.next_key::<Name<'de>>()? {
            let raw: &'de RawValue = map.next_value()?;
            let at = if columns.get(expected).is_some_and(|column| column.name == *name.0) {
                Some(expected)
            } else {
                columns.iter().position(|column| column.name == *name.0)
            };
            if let Some(at) = at {
                fields[at] = Some(raw);
                expected = at + 1;
            }
        }
        Ok(fields)
    }
}

struct Name<'de>(Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field name")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// Every column of a row, decoded and checked against the contract.
pub(crate) fn cells(value: &[u8], schema: &Schema) -> Result<Vec<Cell>, String> {
    let fields = raw_fields(value, schema)?;
    let mut cells = Vec::with_capacity(fields.len());
    for (raw, column) in fields.into_iter().zip(&schema.columns) {
        let cell = match raw {
            None => Scalar::Null,
            Some(raw) => {
                from_raw(raw, column.column_type).map_err(|because| format!("column \"{}\": {because}", column.name))?
            }
        };
        if matches!(cell, Scalar::Null) && !column.nullable {
            return Err(format!("column \"{}\" is null, the contract requires a value", column.name));
        }
        cells.push(cell);
    }
    Ok(cells)
}

/// A row as a JSON object, columns in contract order.
pub(crate) fn row_json(cells: &[Cell], schema: &Schema) -> Result<String, String> {
    let mut out = Vec::with_capacity(32 * cells.len());
    out.push(b'{');
    for (at, (cell, column)) in cells.iter().zip(&schema.columns).enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json::push_string(&mut out, &column.name);
        out.push(b':');
        json::push_scalar(&mut out, cell).map_err(|e| e.to_string())?;
    }
    out.push(b'}');
    Ok(String::from_utf8(out).expect("pieces of UTF-8"))
}

/// A record's value, checked and written in the one form that every door shows.
pub(crate) fn normal_row(value: &[u8], schema: &Schema) -> Result<(Vec<Cell>, String), String> {
    let cells = cells(value, schema)?;
    let row = row_json(&cells, schema)?;
    Ok((cells, row))
}
