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

use arrow::array::Array;
use weft_model::json::Scalar;

use super::json::scalar;

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
    push_scalar(out, &scalar(array, row));
}

/// Appends one value.
pub fn push_scalar(out: &mut Vec<u8>, value: &Scalar<'_>) {
    out.push(u8::from(!matches!(value, Scalar::Null)));
    match value {
        Scalar::Null => {}
        Scalar::String(text) => push_escaped(out, text.as_bytes()),
        Scalar::Bytes(bytes) => push_escaped(out, bytes),
        Scalar::Boolean(value) => out.push(u8::from(*value)),
        Scalar::Int64(value) | Scalar::Timestamp(value) => push_i64(out, *value),
        Scalar::Date(value) => out.extend_from_slice(&(value ^ i32::MIN).to_be_bytes()),
        Scalar::Decimal { unscaled, .. } => out.extend_from_slice(&(unscaled ^ i128::MIN).to_be_bytes()),
        Scalar::Float64(value) => {
            let bits = (value + 0.0).to_bits();
            let ordered = if bits >> 63 == 1 { !bits } else { bits ^ (1 << 63) };
            out.extend_from_slice(&ordered.to_be_bytes());
        }
    }
}
