//! Bytes whose memcmp order is SQL's order, nulls first: keys of state, and identity of groups.
//!
//! ```text
//!   null  00        value  01 ‖ body
//!     int64, timestamp, date, decimal   big-endian, sign bit flipped
//!     float64                           big-endian; all bits flipped if negative, else the sign bit; −0.0 is 0.0
//!     string, bytes                     every 00 as 00 FF, then 00 00
//!     boolean                           00 | 01
//! ```
//! No encoding is a prefix of another, so encodings of several columns can be joined.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMillisecondType,
};

/// Appends an i64, order-preserving.
pub fn push_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&(value ^ i64::MIN).to_be_bytes());
}

/// Reads what [`push_i64`] wrote at the start of `bytes`.
pub fn read_i64(bytes: &[u8]) -> Option<i64> {
    let head: [u8; 8] = bytes.get(..8)?.try_into().ok()?;
    Some(i64::from_be_bytes(head) ^ i64::MIN)
}

fn push_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.contains(&0) {
        for &byte in bytes {
            out.push(byte);
            if byte == 0 {
                out.push(0xff);
            }
        }
    } else {
        out.extend_from_slice(bytes);
    }
    out.extend_from_slice(&[0, 0]);
}

/// Appends one cell of a column of a contract type.
pub fn push_cell(out: &mut Vec<u8>, array: &dyn Array, row: usize) {
    if array.is_null(row) {
        out.push(0);
        return;
    }
    out.push(1);
    match array.data_type() {
        DataType::Utf8 => push_escaped(out, array.as_string::<i32>().value(row).as_bytes()),
        DataType::Binary => push_escaped(out, array.as_binary::<i32>().value(row)),
        DataType::Boolean => out.push(u8::from(array.as_boolean().value(row))),
        DataType::Int64 => push_i64(out, array.as_primitive::<Int64Type>().value(row)),
        DataType::Timestamp(..) => push_i64(out, array.as_primitive::<TimestampMillisecondType>().value(row)),
        DataType::Date32 => {
            let value = array.as_primitive::<Date32Type>().value(row);
            out.extend_from_slice(&(value ^ i32::MIN).to_be_bytes());
        }
        DataType::Decimal128(..) => {
            let value = array.as_primitive::<Decimal128Type>().value(row);
            out.extend_from_slice(&(value ^ i128::MIN).to_be_bytes());
        }
        DataType::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(row) + 0.0;
            let bits = value.to_bits();
            let ordered = if bits >> 63 == 1 { !bits } else { bits ^ (1 << 63) };
            out.extend_from_slice(&ordered.to_be_bytes());
        }
        other => panic!("columns have contract types, not {other}"),
    }
}
