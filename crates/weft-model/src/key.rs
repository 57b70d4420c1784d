//! Bytes of a record's key. They decide the partition, so they are fixed for ever.
//!
//! ```text
//!   one column, not null, String   its UTF-8                     EWR
//!   one column, not null, Int64    8 bytes, big-endian           00 00 00 00 00 00 06 09
//!   anything else                  canonical JSON array          ["EWR","UA",1545]
//! ```
//!
//! Canonical: no blanks, values exactly as `json` writes them, null as `null`.

use bytes::Bytes;

use crate::json::{self, BadScalar};
use crate::schema::{Column, ColumnType};

/// One key column's value.
pub use crate::json::Scalar as KeyValue;

/// Why bytes are not a key of these columns.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// A single string column whose bytes are not UTF-8.
    #[error("key is not UTF-8")]
    NotUtf8,
    /// A single integer column whose key is not eight bytes.
    #[error("key has {bytes} bytes, an int64 has 8")]
    NotInt64 {
        /// How many there are.
        bytes: usize,
    },
    /// Not a JSON array of as many values as there are key columns.
    #[error("key is not a JSON array of {columns} values")]
    NotArray {
        /// Key columns.
        columns: usize,
    },
    /// One of the values is not of its column's type.
    #[error("key column \"{column}\": {source}")]
    Column {
        /// Its name.
        column: String,
        /// What is wrong.
        source: BadScalar,
    },
}

/// Key bytes of the key columns' values, in the order of the key. A port without key columns has no key: do not ask.
pub fn key_bytes(values: &[KeyValue<'_>]) -> Result<Bytes, BadScalar> {
    assert!(!values.is_empty(), "a record without key columns has a null key, not an empty one");
    match values {
        [KeyValue::String(text)] => Ok(Bytes::copy_from_slice(text.as_bytes())),
        [KeyValue::Int64(value)] => Ok(Bytes::copy_from_slice(&value.to_be_bytes())),
        _ => {
            let mut out = Vec::with_capacity(16 * values.len());
            out.push(b'[');
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                json::push_scalar(&mut out, value)?;
            }
            out.push(b']');
            Ok(Bytes::from(out))
        }
    }
}

/// The values that `key_bytes` was given, for the key columns in their order.
pub fn parse_key(bytes: &[u8], columns: &[&Column]) -> Result<Vec<KeyValue<'static>>, BadKey> {
    if let [column] = columns {
        // `[null]` is how a single null is written; a string column may hold that text too, and then it is the text.
        match column.column_type {
            ColumnType::String => {
                let text = std::str::from_utf8(bytes).map_err(|_| BadKey::NotUtf8)?;
                if column.nullable && text == "[null]" {
                    return Ok(vec![KeyValue::Null]);
                }
                return Ok(vec![KeyValue::String(text.to_owned().into())]);
            }
            ColumnType::Int64 if column.nullable && bytes == b"[null]" => {
                return Ok(vec![KeyValue::Null]);
            }
            ColumnType::Int64 => {
                let long = bytes.try_into().map_err(|_| BadKey::NotInt64 { bytes: bytes.len() })?;
                return Ok(vec![KeyValue::Int64(i64::from_be_bytes(long))]);
            }
            _ => {}
        }
    }
    let not_array = || BadKey::NotArray { columns: columns.len() };
    let values: Vec<serde_json::Value> = serde_json::from_slice(bytes).map_err(|_| not_array())?;
    if values.len() != columns.len() {
        return Err(not_array());
    }
    let mut key = Vec::with_capacity(columns.len());
    for (value, column) in values.iter().zip(columns) {
        let value = json::parse_value(value, column.column_type)
            .map_err(|source| BadKey::Column { column: column.name.clone(), source })?;
        key.push(value.into_owned());
    }
    Ok(key)
}

/// The key as a JSON object of its columns: what a push query shows for a deleted row.
pub fn key_json(bytes: &[u8], columns: &[&Column]) -> Result<String, BadKey> {
    let values = parse_key(bytes, columns)?;
    let mut out = vec![b'{'];
    for (at, (value, column)) in values.iter().zip(columns).enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json::push_string(&mut out, &column.name);
        out.push(b':');
        json::push_scalar(&mut out, value).map_err(|source| BadKey::Column { column: column.name.clone(), source })?;
    }
    out.push(b'}');
    Ok(String::from_utf8(out).expect("pieces of UTF-8"))
}
