//! How scalar values look in JSON, and how they are read back. One place, because keys decide partitions: their bytes
//! are fixed for ever, and every room must write the same ones.
//!
//! ```text
//!   String     "text", escaped as little as JSON allows     Timestamp  "2013-01-01T11:00:00.000Z"
//!   Int64      123, exact beyond 2⁵³                        Date       "2013-01-01"
//!   Float64    0.1, shortest that reads back the same       Bytes      base64, padded
//!   Decimal    "12.50", a string with all its digits        Boolean    true, false
//! ```
//!
//! NaN and infinities have no JSON form: writing one is an error that the caller turns into a row on the error port.

use std::borrow::Cow;
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::schema::ColumnType;

/// First millisecond RFC 3339 can write: 0000-01-01T00:00:00.000Z.
pub const TIMESTAMP_MS_MIN: i64 = -62_167_219_200_000;
/// Last millisecond RFC 3339 can write: 9999-12-31T23:59:59.999Z.
pub const TIMESTAMP_MS_MAX: i64 = 253_402_300_799_999;
/// Most digits a decimal can have.
pub const DECIMAL_DIGITS_MAX: u8 = 38;

const DAY_MS: i64 = 86_400_000;

/// One value of one column.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar<'a> {
    /// No value.
    Null,
    /// UTF-8 text.
    String(Cow<'a, str>),
    /// true or false.
    Boolean(bool),
    /// 64-bit signed integer.
    Int64(i64),
    /// IEEE 754 double.
    Float64(f64),
    /// `unscaled` × 10^−`scale`.
    Decimal {
        /// All digits as one integer.
        unscaled: i128,
        /// Digits after the point; a negative one means zeros before it.
        scale: i8,
    },
    /// Milliseconds since 1970-01-01T00:00:00Z.
    Timestamp(i64),
    /// Days since 1970-01-01.
    Date(i32),
    /// Opaque bytes.
    Bytes(Cow<'a, [u8]>),
}

impl Scalar<'_> {
    /// The same value, owning its bytes.
    pub fn into_owned(self) -> Scalar<'static> {
        match self {
            Scalar::Null => Scalar::Null,
            Scalar::String(text) => Scalar::String(Cow::Owned(text.into_owned())),
            Scalar::Boolean(value) => Scalar::Boolean(value),
            Scalar::Int64(value) => Scalar::Int64(value),
            Scalar::Float64(value) => Scalar::Float64(value),
            Scalar::Decimal { unscaled, scale } => Scalar::Decimal { unscaled, scale },
            Scalar::Timestamp(ms) => Scalar::Timestamp(ms),
            Scalar::Date(days) => Scalar::Date(days),
            Scalar::Bytes(bytes) => Scalar::Bytes(Cow::Owned(bytes.into_owned())),
        }
    }
}

/// Why a value has no JSON form, or a text no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadScalar {
    /// NaN or an infinity.
    #[error("{text} has no JSON form")]
    NotFinite {
        /// `NaN`, `inf` or `-inf`.
        text: String,
    },
    /// A timestamp outside the years 0000 to 9999.
    #[error("timestamp {ms} ms is outside the years 0000 to 9999")]
    TimestampRange {
        /// Milliseconds since 1970.
        ms: i64,
    },
    /// A text or JSON value that is not of the column's type.
    #[error("{text} is not {expected}")]
    NotOfType {
        /// What was found, shortened.
        text: String,
        /// What the column holds, with an example.
        expected: &'static str,
    },
    /// A decimal with more digits than its column has.
    #[error("{text} does not fit decimal({precision},{scale})")]
    DecimalRange {
        /// What was found, shortened.
        text: String,
        /// Digits in all.
        precision: u8,
        /// Digits after the point.
        scale: i8,
    },
}

/// Appends `text` as a JSON string: only `"`, `\` and control characters are escaped.
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut plain_from = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            0x08 => b'b',
            0x09 => b't',
            0x0a => b'n',
            0x0c => b'f',
            0x0d => b'r',
            0x00..=0x1f => 0,
            _ => continue,
        };
        out.extend_from_slice(&bytes[plain_from..at]);
        plain_from = at + 1;
        if short == 0 {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        } else {
            out.extend_from_slice(&[b'\\', short]);
        }
    }
    out.extend_from_slice(&bytes[plain_from..]);
    out.push(b'"');
}

/// Appends an integer.
pub fn push_int64(out: &mut Vec<u8>, value: i64) {
    write!(out, "{value}").expect("writing to a Vec does not fail");
}

/// Appends the shortest text that reads back as the same double; it always holds a point or an exponent.
pub fn push_float64(out: &mut Vec<u8>, value: f64) -> Result<(), BadScalar> {
    if !value.is_finite() {
        return Err(BadScalar::NotFinite { text: value.to_string() });
    }
    write!(out, "{value:?}").expect("writing to a Vec does not fail");
    Ok(())
}

/// Appends `"2013-01-01T11:00:00.000Z"`, quotes included.
pub fn push_timestamp_ms(out: &mut Vec<u8>, ms: i64) -> Result<(), BadScalar> {
    if !(TIMESTAMP_MS_MIN..=TIMESTAMP_MS_MAX).contains(&ms) {
        return Err(BadScalar::TimestampRange { ms });
    }
    out.push(b'"');
    out.extend_from_slice(&timestamp_text(ms));
    out.push(b'"');
    Ok(())
}

/// Appends a decimal as a JSON string with all its digits: `"12.50"`.
pub fn push_decimal(out: &mut Vec<u8>, unscaled: i128, scale: i8) {
    out.push(b'"');
    out.extend_from_slice(format_decimal(unscaled, scale).as_bytes());
    out.push(b'"');
}

/// Appends any scalar in its JSON form.
pub fn push_scalar(out: &mut Vec<u8>, value: &Scalar<'_>) -> Result<(), BadScalar> {
    match value {
        Scalar::Null => out.extend_from_slice(b"null"),
        Scalar::String(text) => push_string(out, text),
        Scalar::Boolean(true) => out.extend_from_slice(b"true"),
        Scalar::Boolean(false) => out.extend_from_slice(b"false"),
        Scalar::Int64(value) => push_int64(out, *value),
        Scalar::Float64(value) => push_float64(out, *value)?,
        Scalar::Decimal { unscaled, scale } => push_decimal(out, *unscaled, *scale),
        Scalar::Timestamp(ms) => push_timestamp_ms(out, *ms)?,
        Scalar::Date(days) => {
            out.push(b'"');
            out.extend_from_slice(format_date(*days).as_bytes());
            out.push(b'"');
        }
        Scalar::Bytes(bytes) => {
            out.push(b'"');
            out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
            out.push(b'"');
        }
    }
    Ok(())
}

/// `2013-01-01T11:00:00.000Z`; a value beyond RFC 3339's years is shown as its milliseconds (`123456789 ms`).
pub fn format_timestamp_ms(ms: i64) -> String {
    if !(TIMESTAMP_MS_MIN..=TIMESTAMP_MS_MAX).contains(&ms) {
        return format!("{ms} ms");
    }
    timestamp_text(ms).iter().map(|&byte| char::from(byte)).collect()
}

fn timestamp_text(ms: i64) -> [u8; 24] {
    let days = ms.div_euclid(DAY_MS);
    let in_day = ms.rem_euclid(DAY_MS);
    let (year, month, day) = civil_from_days(days);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    digits(&mut text[0..4], year);
    digits(&mut text[5..7], month);
    digits(&mut text[8..10], day);
    digits(&mut text[11..13], in_day / 3_600_000);
    digits(&mut text[14..16], in_day / 60_000 % 60);
    digits(&mut text[17..19], in_day / 1000 % 60);
    digits(&mut text[20..23], in_day % 1000);
    text
}

fn digits(into: &mut [u8], mut value: i64) {
    for digit in into.iter_mut().rev() {
        *digit = b'0' + u8::try_from(value % 10).expect("a digit of a non-negative number");
        value /= 10;
    }
}

/// Reads RFC 3339: `2013-01-01T11:00:00Z`, with any fraction (cut to milliseconds) and any offset; a blank may stand
/// for the `T`. `None` if it is anything else, or has no zone: a time without one is not an instant.
pub fn parse_timestamp_ms(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() < 20 || !matches!(bytes[10], b'T' | b't' | b' ') || bytes[13] != b':' || bytes[16] != b':' {
        return None;
    }
    let days = i64::from(parse_date(text.get(0..10)?)?);
    let hour = number(&bytes[11..13])?;
    let minute = number(&bytes[14..16])?;
    let second = number(&bytes[17..19])?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut rest = &bytes[19..];
    let mut ms = 0;
    if rest[0] == b'.' {
        let fraction = rest[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if fraction == 0 {
            return None;
        }
        for place in 0..3 {
            let digit = if place < fraction { i64::from(rest[1 + place] - b'0') } else { 0 };
            ms = ms * 10 + digit;
        }
        rest = &rest[1 + fraction..];
    }
    let offset_minutes = match rest {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let hours = number(&[*h1, *h2])?;
            let minutes = number(&[*m1, *m2])?;
            if hours > 23 || minutes > 59 {
                return None;
            }
            let sign = if *sign == b'+' { 1 } else { -1 };
            sign * (hours * 60 + minutes)
        }
        _ => return None,
    };
    let seconds = hour * 3600 + minute * 60 + second - offset_minutes * 60;
    let instant = days * DAY_MS + seconds * 1000 + ms;
    (TIMESTAMP_MS_MIN..=TIMESTAMP_MS_MAX).contains(&instant).then_some(instant)
}

/// `2013-01-01`.
pub fn format_date(days: i32) -> String {
    let (year, month, day) = civil_from_days(i64::from(days));
    format!("{year:04}-{month:02}-{day:02}")
}

/// Reads `2013-01-01` into days since 1970-01-01.
pub fn parse_date(text: &str) -> Option<i32> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let (year, month, day) = (number(&bytes[0..4])?, number(&bytes[5..7])?, number(&bytes[8..10])?);
    let days = days_from_civil(year, month, day);
    (civil_from_days(days) == (year, month, day)).then(|| i32::try_from(days).expect("four-digit years fit"))
}

fn number(digits: &[u8]) -> Option<i64> {
    let mut value = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i64::from(digit - b'0');
    }
    Some(value)
}

/// Proleptic Gregorian calendar, counted in years that start on 1 March, so that the leap day comes last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12; // March = 0
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

/// Inverse of `days_from_civil`. Example: day 0 → (1970, 1, 1).
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    const CYCLE: i64 = 146_097; // days of 400 years
    let days = days + 719_468;
    let cycle = days.div_euclid(CYCLE);
    let day_of_cycle = days.rem_euclid(CYCLE);
    let year_of_cycle = (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month = (5 * day_of_year + 2) / 153; // March = 0
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = cycle * 400 + year_of_cycle + i64::from(month <= 2);
    (year, month, day)
}

/// `12.50` for (1250, 2); `1200` for (12, −2).
pub fn format_decimal(unscaled: i128, scale: i8) -> String {
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = unscaled.unsigned_abs().to_string();
    match usize::try_from(scale) {
        Ok(0) => format!("{sign}{digits}"),
        Ok(scale) => {
            let padded = format!("{digits:0>width$}", width = scale + 1);
            let (whole, fraction) = padded.split_at(padded.len() - scale);
            format!("{sign}{whole}.{fraction}")
        }
        Err(_) if unscaled == 0 => "0".to_owned(),
        Err(_) => format!("{sign}{digits}{}", "0".repeat(usize::from(scale.unsigned_abs()))),
    }
}

/// Reads `-12.5` as `decimal(precision, scale)`: the unscaled integer. Never rounds: digits that do not fit are an error.
pub fn parse_decimal(text: &str, precision: u8, scale: i8) -> Result<i128, BadScalar> {
    let wrong = || BadScalar::NotOfType { text: shorten(text), expected: "a decimal such as \"12.50\"" };
    let range = || BadScalar::DecimalRange { text: shorten(text), precision, scale };
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || unsigned.ends_with('.') {
        return Err(wrong());
    }
    let mut unscaled: i128 = 0;
    let push = |unscaled: i128, digit: u8| {
        unscaled.checked_mul(10).and_then(|value| value.checked_add(i128::from(digit - b'0'))).ok_or_else(range)
    };
    for digit in whole.bytes() {
        unscaled = push(unscaled, digit)?;
    }
    let places = usize::from(scale.max(0).unsigned_abs());
    for (place, digit) in fraction.bytes().enumerate() {
        if place < places {
            unscaled = push(unscaled, digit)?;
        } else if digit != b'0' {
            return Err(range());
        }
    }
    for _ in fraction.len()..places {
        unscaled = push(unscaled, b'0')?;
    }
    for _ in 0..scale.min(0).unsigned_abs() {
        if unscaled % 10 != 0 {
            return Err(range());
        }
        unscaled /= 10;
    }
    if unscaled >= 10_i128.checked_pow(u32::from(precision)).unwrap_or(i128::MAX) {
        return Err(range());
    }
    Ok(if negative { -unscaled } else { unscaled })
}

/// Reads a text, such as a CSV field or a URL parameter, as a value of a column. Null is the caller's matter.
pub fn parse_text(text: &str, column_type: ColumnType) -> Result<Scalar<'_>, BadScalar> {
    let wrong = || BadScalar::NotOfType { text: format!("\"{}\"", shorten(text)), expected: expected(column_type) };
    match column_type {
        ColumnType::String => Ok(Scalar::String(Cow::Borrowed(text))),
        ColumnType::Boolean => match text {
            "true" | "TRUE" | "True" => Ok(Scalar::Boolean(true)),
            "false" | "FALSE" | "False" => Ok(Scalar::Boolean(false)),
            _ => Err(wrong()),
        },
        ColumnType::Int64 => text.parse().map(Scalar::Int64).map_err(|_| wrong()),
        ColumnType::Float64 => {
            let value: f64 = text.parse().map_err(|_| wrong())?;
            if value.is_finite() { Ok(Scalar::Float64(value)) } else { Err(wrong()) }
        }
        ColumnType::Decimal { precision, scale } => {
            parse_decimal(text, precision, scale).map(|unscaled| Scalar::Decimal { unscaled, scale })
        }
        ColumnType::Timestamp => parse_timestamp_ms(text).map(Scalar::Timestamp).ok_or_else(wrong),
        ColumnType::Date => parse_date(text).map(Scalar::Date).ok_or_else(wrong),
        ColumnType::Bytes => STANDARD.decode(text).map(|bytes| Scalar::Bytes(Cow::Owned(bytes))).map_err(|_| wrong()),
    }
}

/// Reads a JSON value as a value of a column; JSON null is `Null` in every type.
pub fn parse_value(value: &serde_json::Value, column_type: ColumnType) -> Result<Scalar<'_>, BadScalar> {
    use serde_json::Value;
    let wrong = || BadScalar::NotOfType { text: shorten(&value.to_string()), expected: expected(column_type) };
    match (value, column_type) {
        (Value::Null, _) => Ok(Scalar::Null),
        (Value::Bool(value), ColumnType::Boolean) => Ok(Scalar::Boolean(*value)),
        (Value::Number(number), ColumnType::Int64) => {
            if let Some(value) = number.as_i64() {
                return Ok(Scalar::Int64(value));
            }
            // 3.0 is an integer in JSON; beyond 2⁵³ a double no longer says which one.
            const EXACT: f64 = 9_007_199_254_740_992.0;
            match number.as_f64() {
                Some(value) if value.fract() == 0.0 && value.abs() <= EXACT => {
                    #[expect(clippy::cast_possible_truncation, reason = "integral and at most 2^53")]
                    let value = value as i64;
                    Ok(Scalar::Int64(value))
                }
                _ => Err(wrong()),
            }
        }
        (Value::Number(number), ColumnType::Float64) => match number.as_f64() {
            Some(value) if value.is_finite() => Ok(Scalar::Float64(value)),
            _ => Err(wrong()),
        },
        (Value::Number(number), ColumnType::Decimal { precision, scale }) => {
            parse_decimal(&number.to_string(), precision, scale).map(|unscaled| Scalar::Decimal { unscaled, scale })
        }
        (
            Value::String(text),
            ColumnType::String
            | ColumnType::Decimal { .. }
            | ColumnType::Timestamp
            | ColumnType::Date
            | ColumnType::Bytes,
        ) => parse_text(text, column_type),
        _ => Err(wrong()),
    }
}

fn expected(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::String => "a string",
        ColumnType::Boolean => "true or false",
        ColumnType::Int64 => "a 64-bit integer",
        ColumnType::Float64 => "a finite number",
        ColumnType::Decimal { .. } => "a decimal such as \"12.50\"",
        ColumnType::Timestamp => "a timestamp such as \"2013-01-01T11:00:00Z\"",
        ColumnType::Date => "a date such as \"2013-01-01\"",
        ColumnType::Bytes => "base64",
    }
}

/// At most 60 characters of a text, for a message.
pub(crate) fn shorten(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    if text.chars().count() <= CHARS_MAX {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(CHARS_MAX).collect();
    short.push('…');
    short
}
