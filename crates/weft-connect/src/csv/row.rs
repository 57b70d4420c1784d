//! From the bytes of one CSV record to the key, value and partition of one Kafka record; and the row on the `errors`
//! port for a record that is broken.

use weft_model::builtin_ports;
use weft_model::json::{self, Scalar};
use weft_model::key;
use weft_model::name::ProductId;
use weft_model::partitioner::partition_of;
use weft_model::product::OutputPort;
use weft_model::schema::ColumnType;

use crate::csv::layout::{From, Layout, unquote};
use crate::csv::record::{Field, split};

/// Why a record is no row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadRow {
    /// The column that is wrong, if it is one.
    pub(crate) column: Option<String>,
    /// In a sentence.
    pub(crate) reason: String,
}

/// One row as a Kafka record.
#[derive(Debug)]
pub(crate) struct EncodedRow<'a> {
    /// Key bytes; `None` on a port without a key.
    pub(crate) key: Option<bytes::Bytes>,
    /// JSON object.
    pub(crate) value: &'a [u8],
    pub(crate) partition: u32,
    /// Event time, or 0 on a port without one.
    pub(crate) event_ms: i64,
}

/// Turns records into rows, with buffers that are kept.
#[derive(Debug)]
pub(crate) struct RowEncoder {
    layout: Layout,
    /// `{"first":`, then `,"next":` …
    names: Vec<Vec<u8>>,
    /// Key columns' places in the contract.
    key: Vec<usize>,
    event_time: Option<usize>,
    event_time_offset_ms: i64,
    partitions: u32,
    fields: Vec<Field>,
    value: Vec<u8>,
}

impl RowEncoder {
    /// For a port whose topic has so many partitions.
    pub(crate) fn new(layout: Layout, port: &OutputPort, partitions: u32) -> Self {
        let names = layout
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| {
                let mut name = vec![if at == 0 { b'{' } else { b',' }];
                json::push_string(&mut name, &column.name);
                name.push(b':');
                name
            })
            .collect();
        let place = |name: &String| {
            layout
                .columns
                .iter()
                .position(|column| column.name == *name)
                .expect("a loaded port's key and event time are columns")
        };
        let key = port.key.iter().map(place).collect();
        let event_time = port.event_time.as_ref().map(place);
        Self {
            names,
            key,
            event_time,
            event_time_offset_ms: port.event_time_offset_ms,
            partitions,
            fields: Vec::with_capacity(layout.fields),
            value: Vec::with_capacity(1024),
            layout,
        }
    }

    /// The row of a record; every timestamp and date is moved by `shift_ms` (whole days). `line` spreads rows without a
    /// key over the partitions.
    pub(crate) fn encode(&mut self, record: &[u8], line: u64, shift_ms: i64) -> Result<EncodedRow<'_>, BadRow> {
        let whole = |reason: String| BadRow { column: None, reason };
        split(record, &mut self.fields).map_err(|error| whole(error.to_string()))?;
        if self.fields.len() != self.layout.fields {
            let (found, wanted) = (self.fields.len(), self.layout.fields);
            return Err(whole(format!("the row has {found} fields, the header row has {wanted}")));
        }
        let utf8 = std::str::from_utf8(record).is_ok();
        let mut values: Vec<Scalar<'_>> = Vec::with_capacity(self.layout.columns.len());
        for column in &self.layout.columns {
            let bad = |reason: String| BadRow { column: Some(column.name.clone()), reason };
            let mut value = match column.from {
                From::Sum { .. } => Scalar::Null, // below, when its columns are read
                From::Field(field) => {
                    let field = self.fields[field];
                    if record[field.start..field.end] == self.layout.null[..] {
                        Scalar::Null
                    } else {
                        read(record, field, column.column_type, utf8).map_err(bad)?
                    }
                }
            };
            if shift_ms != 0 {
                shift(&mut value, shift_ms);
            }
            if value == Scalar::Null && !column.nullable && matches!(column.from, From::Field(_)) {
                return Err(bad("it is null, and the contract requires a value".to_owned()));
            }
            values.push(value);
        }
        for (at, column) in self.layout.columns.iter().enumerate() {
            let From::Sum { timestamp, minutes } = column.from else { continue };
            let sum = match (&values[timestamp], minutes.map(|minutes| &values[minutes])) {
                (Scalar::Timestamp(ms), None) => Some(*ms),
                (Scalar::Timestamp(ms), Some(Scalar::Int64(minutes))) => Some(
                    minutes
                        .checked_mul(60_000)
                        .and_then(|more| ms.checked_add(more))
                        .filter(|sum| (json::TIMESTAMP_MS_MIN..=json::TIMESTAMP_MS_MAX).contains(sum))
                        .ok_or_else(|| BadRow {
                            column: Some(column.name.clone()),
                            reason: format!(
                                "{minutes} minutes after {} is out of range",
                                json::format_timestamp_ms(*ms)
                            ),
                        })?,
                ),
                _ => None,
            };
            if sum.is_none() && !column.nullable {
                return Err(BadRow {
                    column: Some(column.name.clone()),
                    reason: "a column it is derived from is null, and the contract requires a value".to_owned(),
                });
            }
            values[at] = sum.map_or(Scalar::Null, Scalar::Timestamp);
        }
        let event_ms = match self.event_time {
            None => 0,
            Some(at) => match values[at] {
                Scalar::Timestamp(ms) => ms.saturating_add(self.event_time_offset_ms),
                _ => {
                    let column = Some(self.layout.columns[at].name.clone());
                    return Err(BadRow { column, reason: "the row has no event time".to_owned() });
                }
            },
        };
        self.value.clear();
        for ((value, name), column) in values.iter().zip(&self.names).zip(&self.layout.columns) {
            self.value.extend_from_slice(name);
            json::push_scalar(&mut self.value, value)
                .map_err(|error| BadRow { column: Some(column.name.clone()), reason: error.to_string() })?;
        }
        self.value.push(b'}');
        let (key, partition) = if self.key.is_empty() {
            let partition = u32::try_from(line % u64::from(self.partitions)).expect("less than the partitions");
            (None, partition)
        } else {
            let columns: Vec<Scalar<'_>> = self.key.iter().map(|&at| values[at].clone()).collect();
            let key = key::key_bytes(&columns).map_err(|error| whole(error.to_string()))?;
            let partition = partition_of(&key, self.partitions);
            (Some(key), partition)
        };
        Ok(EncodedRow { key, value: &self.value, partition, event_ms })
    }
}

fn read<'a>(record: &'a [u8], field: Field, column_type: ColumnType, utf8: bool) -> Result<Scalar<'a>, String> {
    let not_utf8 = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(_) => None,
        Err(error) => Some(format!("byte {} of it is not UTF-8", error.valid_up_to() + 1)),
    };
    let bytes = &record[field.start..field.end];
    if !utf8 && let Some(reason) = not_utf8(bytes) {
        return Err(reason);
    }
    if field.escaped {
        let text = String::from_utf8(unquote(record, field).into_owned()).expect("UTF-8 stays so without some quotes");
        return json::parse_text(&text, column_type).map(Scalar::into_owned).map_err(|error| error.to_string());
    }
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    json::parse_text(text, column_type).map_err(|error| error.to_string())
}

fn shift(value: &mut Scalar<'_>, by_ms: i64) {
    match value {
        Scalar::Timestamp(ms) => *ms = ms.saturating_add(by_ms),
        Scalar::Date(days) => *days = days.saturating_add(i32::try_from(by_ms / 86_400_000).unwrap_or(i32::MAX)),
        _ => {}
    }
}

/// A row for the `errors` port: columns as `builtin_ports` has them. At most `raw_bytes_max` of the original bytes.
pub(crate) fn error_row(
    product: &ProductId,
    file: &str,
    line: u64,
    bad: &BadRow,
    raw: &[u8],
    raw_bytes_max: usize,
) -> Vec<u8> {
    let cut = raw.len() > raw_bytes_max;
    let reason = if cut {
        format!("{} (raw holds the first {raw_bytes_max} of {} bytes)", bad.reason, raw.len())
    } else {
        bad.reason.clone()
    };
    let raw = &raw[..raw.len().min(raw_bytes_max)];
    let mut out = Vec::with_capacity(256 + raw.len() * 4 / 3);
    for (at, (name, _, _)) in builtin_ports::COLUMNS.iter().enumerate() {
        out.push(if at == 0 { b'{' } else { b',' });
        json::push_string(&mut out, name);
        out.push(b':');
        let value = match *name {
            "at" => Scalar::String(format!("{product} source").into()),
            "file" => Scalar::String(file.into()),
            "line" => Scalar::Int64(i64::try_from(line).unwrap_or(i64::MAX)),
            "column" => bad.column.as_deref().map_or(Scalar::Null, |column| Scalar::String(column.into())),
            "reason" => Scalar::String(reason.as_str().into()),
            "raw" => Scalar::Bytes(raw.into()),
            _ => Scalar::Null,
        };
        json::push_scalar(&mut out, &value).expect("no value here is a number out of range");
    }
    out.push(b'}');
    out
}
