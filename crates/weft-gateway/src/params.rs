//! The query string of a pull, read by the schema of the port.
//!
//! ```text
//!   upsert   origin=EWR&carrier=UA&window_start.from=2013-01-01T11:00:00Z&window_start.to=…   key columns
//!   append   scheduled_at.from=…&scheduled_at.to=…   event time       from_offset.0=17&to_offset.0=42   offsets
//!   both     limit=100&page=TOKEN
//! ```
//!
//! Every range is half-open: `from` is in, `to` is out. A column that has the name of a parameter is written
//! `column.limit=…`. Anything that is not understood is an error, so a typing mistake never widens an answer.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use weft_model::json::{self, BadScalar, Scalar};
use weft_model::product::{OutputPort, PortKind};
use weft_model::query::{Bound, PullQuery};
use weft_model::schema::Column;

use crate::config::Options;
use crate::error::{self, Problem};
use weft_model::load::near::near_miss;

/// Decoded `name=value` pairs, in order.
pub(crate) fn pairs(query: &str) -> Result<Vec<(String, String)>, Problem> {
    let mut pairs = Vec::new();
    for piece in query.split('&').filter(|piece| !piece.is_empty()) {
        let Some((name, value)) = piece.split_once('=') else {
            let because = "it has no value".to_owned();
            return Err(error::bad_parameter(&shorten(piece), because, "write name=value".to_owned()));
        };
        pairs.push((decode(name, piece)?, decode(value, piece)?));
    }
    Ok(pairs)
}

/// `application/x-www-form-urlencoded`, but strict: a broken escape is an error, not a letter.
fn decode(text: &str, piece: &str) -> Result<String, Problem> {
    let broken = |because: &str| {
        let try_ = "write a % as %25 and other bytes of UTF-8 as %XX".to_owned();
        error::bad_parameter(&shorten(piece), because.to_owned(), try_)
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
                    return Err(broken("a % is not followed by two hexadecimal digits"));
                };
                bytes.push(u8::try_from(high * 16 + low).expect("two hexadecimal digits fit a byte"));
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).map_err(|_| broken("it is not UTF-8"))
}

/// What one column is asked for, while it is gathered.
#[derive(Default)]
struct Asked {
    equal: Option<Scalar<'static>>,
    from: Option<Scalar<'static>>,
    to: Option<Scalar<'static>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Equal,
    From,
    To,
}

/// Reads the query string of a pull on `port`.
pub(crate) fn pull_query(query: &str, port: &OutputPort, options: &Options) -> Result<PullQuery, Problem> {
    let mut asked: BTreeMap<String, Asked> = BTreeMap::new();
    let mut limit = None;
    let mut pull = PullQuery::default();
    for (name, value) in pairs(query)? {
        match name.as_str() {
            "limit" => set(&mut limit, &name, read_limit(&value, options)?)?,
            "page" => set(&mut pull.page, &name, read_page(value)?)?,
            _ => {
                if let Some((offsets, partition)) = offset_parameter(&name, &mut pull) {
                    read_offset(&name, partition, &value, port, offsets)?;
                    continue;
                }
                let (column, side) = column_parameter(&name, port)?;
                check_bindable(column, port)?;
                let value = read_value(&name, &value, column)?;
                let asked = asked.entry(column.name.clone()).or_default();
                let slot = match side {
                    Side::Equal => &mut asked.equal,
                    Side::From => &mut asked.from,
                    Side::To => &mut asked.to,
                };
                set(slot, &name, value)?;
            }
        }
    }
    for (column, asked) in asked {
        pull.bounds.insert(column.clone(), bound(&column, asked)?);
    }
    for (partition, from) in &pull.from_offsets {
        if pull.to_offsets.get(partition).is_some_and(|to| to < from) {
            let name = format!("to_offset.{partition}");
            let because = format!("it is below from_offset.{partition}, which is {from}");
            return Err(error::bad_parameter(
                &name,
                because,
                "the range runs from `from` up to, not including, `to`".to_owned(),
            ));
        }
    }
    pull.rows_max = limit.unwrap_or(options.rows_default);
    Ok(pull)
}

fn set<T>(slot: &mut Option<T>, name: &str, value: T) -> Result<(), Problem> {
    if slot.replace(value).is_some() {
        return Err(error::bad_parameter(name, "it is there twice".to_owned(), "give it once".to_owned()));
    }
    Ok(())
}

fn read_limit(value: &str, options: &Options) -> Result<usize, Problem> {
    let most = options.pull.rows_max;
    let try_ = || format!("give a number from 1 to {most}, and follow `next` for more");
    match value.parse::<usize>() {
        Ok(limit) if (1..=most).contains(&limit) => Ok(limit),
        Ok(0) => Err(error::bad_parameter("limit", "it is 0".to_owned(), try_())),
        Ok(limit) => {
            let because = format!("it is {limit}; `http.pull.rows_max` is {most}");
            Err(error::bad_parameter("limit", because, try_()))
        }
        Err(_) => Err(error::bad_parameter("limit", format!("\"{}\" is not a number of rows", shorten(value)), try_())),
    }
}

fn read_page(value: String) -> Result<String, Problem> {
    if value.is_empty() {
        let try_ = "leave it out for the first page; take `next` of an answer for the one after".to_owned();
        return Err(error::bad_parameter("page", "it is empty".to_owned(), try_));
    }
    Ok(value)
}

/// `from_offset.N` or `to_offset.N`: where it goes, and the text of N.
fn offset_parameter<'n, 'p>(name: &'n str, pull: &'p mut PullQuery) -> Option<(&'p mut BTreeMap<u32, i64>, &'n str)> {
    if let Some(partition) = name.strip_prefix("from_offset.") {
        return Some((&mut pull.from_offsets, partition));
    }
    name.strip_prefix("to_offset.").map(|partition| (&mut pull.to_offsets, partition))
}

fn read_offset(
    name: &str,
    partition: &str,
    value: &str,
    port: &OutputPort,
    into: &mut BTreeMap<u32, i64>,
) -> Result<(), Problem> {
    if port.kind == PortKind::Upsert {
        return Err(error::unbindable(
            name,
            format!("port \"{}\" is upsert: a table, of which the last row per key counts, not the offset", port.id),
            "select by key columns, or read the port's stream".to_owned(),
        ));
    }
    let try_ = || format!("write from_offset.P=N with a partition P from 0 to {}", port.partitions.saturating_sub(1));
    let number = partition.parse::<u32>().ok().filter(|number| number.to_string() == partition);
    let Some(number) = number.filter(|number| *number < port.partitions) else {
        let because = format!(
            "port \"{}\" has {} partitions and no partition \"{}\"",
            port.id,
            port.partitions,
            shorten(partition)
        );
        return Err(error::bad_parameter(name, because, try_()));
    };
    let Some(offset) = value.parse::<i64>().ok().filter(|offset| *offset >= 0) else {
        return Err(error::bad_parameter(name, format!("\"{}\" is not an offset", shorten(value)), try_()));
    };
    if into.insert(number, offset).is_some() {
        return Err(error::bad_parameter(name, "it is there twice".to_owned(), "give it once".to_owned()));
    }
    Ok(())
}

/// The column that a parameter speaks of: by its whole name first, so a column may end in `.from`.
fn column_parameter<'p>(name: &str, port: &'p OutputPort) -> Result<(&'p Column, Side), Problem> {
    let plain = name.strip_prefix("column.").filter(|_| port.schema.column(name).is_none()).unwrap_or(name);
    if let Some(column) = port.schema.column(plain) {
        return Ok((column, Side::Equal));
    }
    for (suffix, side) in [(".from", Side::From), (".to", Side::To)] {
        if let Some(column) = plain.strip_suffix(suffix).and_then(|plain| port.schema.column(plain)) {
            return Ok((column, side));
        }
    }
    let (stem, suffix) = match plain.rsplit_once('.') {
        Some((stem, suffix @ ("from" | "to"))) => (stem, format!(".{suffix}")),
        _ => (plain, String::new()),
    };
    let bindable = bindable(port);
    let columns = port.schema.columns.iter().map(|column| column.name.as_str());
    let because = format!("port \"{}\" has no column \"{}\", and it is no parameter of a pull", port.id, shorten(stem));
    let try_ = if let Some(near) = near_miss(plain, ["limit", "page"]).filter(|_| suffix.is_empty()) {
        format!("did you mean \"{near}\"?")
    } else if let Some(near) = near_miss(stem, columns) {
        format!("did you mean \"{near}{suffix}\"?")
    } else if bindable.is_empty() {
        "parameters are limit, page, from_offset.P and to_offset.P".to_owned()
    } else {
        format!("select by {}, as name=value or name.from= and name.to=", list(&bindable))
    };
    Err(error::unknown_parameter(&shorten(name), because, try_))
}

/// Columns that a pull on this port may select by.
fn bindable(port: &OutputPort) -> Vec<&str> {
    match port.kind {
        PortKind::Upsert => port.key.iter().map(String::as_str).collect(),
        PortKind::Append => port.event_time.iter().map(String::as_str).collect(),
    }
}

fn check_bindable(column: &Column, port: &OutputPort) -> Result<(), Problem> {
    let bindable = bindable(port);
    if bindable.contains(&column.name.as_str()) {
        return Ok(());
    }
    let because = match (port.kind, bindable.is_empty()) {
        (PortKind::Upsert, _) => {
            format!("port \"{}\" is upsert and is asked by its key columns: {}", port.id, list(&bindable))
        }
        (PortKind::Append, false) => {
            format!("port \"{}\" is append and is asked by offsets or by its event time, {}", port.id, list(&bindable))
        }
        (PortKind::Append, true) => {
            format!("port \"{}\" is append without an event time and is asked by offsets only", port.id)
        }
    };
    let try_ = format!("POST /v1/sql selects by any column: … WHERE \"{}\" = …", column.name);
    Err(error::unbindable(&column.name, because, try_))
}

fn read_value(name: &str, text: &str, column: &Column) -> Result<Scalar<'static>, Problem> {
    match json::parse_text(text, column.column_type) {
        Ok(value) => Ok(value.into_owned()),
        Err(wrong) => {
            let try_ = match &wrong {
                BadScalar::NotOfType { .. } if text.contains(' ') => {
                    "a + in a URL means a blank: write it as %2B".to_owned()
                }
                _ => String::new(),
            };
            Err(error::bad_value(name, wrong.to_string(), try_))
        }
    }
}

fn bound(column: &str, asked: Asked) -> Result<Bound, Problem> {
    match asked {
        Asked { equal: Some(value), from: None, to: None } => Ok(Bound::Equal(value_of(&value))),
        Asked { equal: Some(_), .. } => {
            let because = "it is given as a value and as a range".to_owned();
            Err(error::bad_parameter(column, because, "give one of the two".to_owned()))
        }
        Asked { equal: None, from, to } => {
            if let (Some(from), Some(to)) = (&from, &to)
                && compare(from, to) == Some(Ordering::Greater)
            {
                let because = "`to` is before `from`".to_owned();
                let try_ = "the range runs from `from` up to, not including, `to`".to_owned();
                return Err(error::bad_parameter(&format!("{column}.to"), because, try_));
            }
            Ok(Bound::Range { from: from.as_ref().map(value_of), to: to.as_ref().map(value_of) })
        }
    }
}

/// Order of two values of one column; `None` for kinds that a range has no business with.
fn compare(a: &Scalar<'_>, b: &Scalar<'_>) -> Option<Ordering> {
    match (a, b) {
        (Scalar::String(a), Scalar::String(b)) => Some(a.cmp(b)),
        (Scalar::Boolean(a), Scalar::Boolean(b)) => Some(a.cmp(b)),
        (Scalar::Int64(a), Scalar::Int64(b)) | (Scalar::Timestamp(a), Scalar::Timestamp(b)) => Some(a.cmp(b)),
        (Scalar::Date(a), Scalar::Date(b)) => Some(a.cmp(b)),
        (Scalar::Float64(a), Scalar::Float64(b)) => a.partial_cmp(b),
        (Scalar::Decimal { unscaled: a, scale: x }, Scalar::Decimal { unscaled: b, scale: y }) if x == y => {
            Some(a.cmp(b))
        }
        (Scalar::Bytes(a), Scalar::Bytes(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn value_of(scalar: &Scalar<'_>) -> serde_json::Value {
    let mut text = Vec::new();
    json::push_scalar(&mut text, scalar).expect("what parse_text gives has a JSON form");
    serde_json::from_slice(&text).expect("a scalar's JSON form is JSON")
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

/// At most 80 characters of what the caller sent, for a message.
pub(crate) fn shorten(text: &str) -> String {
    const CHARS_MAX: usize = 80;
    if text.chars().nth(CHARS_MAX).is_none() {
        return text.to_owned();
    }
    text.chars().take(CHARS_MAX).chain(['…']).collect()
}

#[cfg(test)]
mod tests;
