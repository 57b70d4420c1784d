//! How the header row and the contract meet: which field feeds which column.

use weft_model::json;
use weft_model::product::{OutputPort, SourceSpec};
use weft_model::schema::ColumnType;

use crate::csv::record::{Field, split};
use crate::error::SourceError;

/// The columns of the port, each with where its value comes from.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// Fields of every record.
    pub(crate) fields: usize,
    /// In the order of the contract.
    pub(crate) columns: Vec<ColumnSource>,
    /// Text that means null.
    pub(crate) null: Vec<u8>,
    /// What gives the event time; `None` = the port has none.
    event_time: Option<EventTime>,
}

/// One column of the contract.
#[derive(Debug, Clone)]
pub(crate) struct ColumnSource {
    pub(crate) name: String,
    pub(crate) column_type: ColumnType,
    pub(crate) nullable: bool,
    pub(crate) from: From,
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// This field of the record.
    Field(usize),
    /// The timestamp in column `timestamp`, plus column `minutes` minutes. Columns are places in the contract.
    Sum { timestamp: usize, minutes: Option<usize> },
}

#[derive(Debug, Clone, Copy)]
struct EventTime {
    timestamp_field: usize,
    minutes_field: Option<usize>,
    offset_ms: i64,
}

impl Layout {
    /// From the header row; a column without a field, or a field without a column, is an error that names it.
    pub(crate) fn new(header: &[u8], spec: &SourceSpec, port: &OutputPort) -> Result<Self, SourceError> {
        let wrong = |reason: String| SourceError::Header { file: spec.file.clone(), reason };
        let header = header.strip_prefix(b"\xef\xbb\xbf").unwrap_or(header); // byte order mark
        let mut fields = Vec::new();
        split(header, &mut fields).map_err(|error| wrong(format!("the header row is broken: {error}")))?;
        let mut names: Vec<String> = Vec::with_capacity(fields.len());
        for field in &fields {
            let name = String::from_utf8(unquote(header, *field).into_owned())
                .map_err(|_| wrong(format!("field {} of the header row is not UTF-8", names.len() + 1)))?;
            if names.contains(&name) {
                return Err(wrong(format!("the header row names \"{name}\" twice")));
            }
            names.push(name);
        }
        let place = |name: &str| port.schema.columns.iter().position(|column| column.name == name);
        let mut columns = Vec::with_capacity(port.schema.columns.len());
        for column in &port.schema.columns {
            let from = match spec.derive.iter().find(|derived| derived.name == column.name) {
                Some(derived) => {
                    let input = |name: &str, wanted: ColumnType| {
                        place(name)
                            .filter(|&at| port.schema.columns[at].column_type == wanted)
                            .filter(|_| spec.derive.iter().all(|other| other.name != name))
                            .ok_or_else(|| SourceError::Spec {
                                reason: format!(
                                    "column \"{}\" is derived from \"{name}\", which is no {} column of the file",
                                    column.name,
                                    if wanted == ColumnType::Timestamp { "timestamp" } else { "integer" },
                                ),
                            })
                    };
                    if column.column_type != ColumnType::Timestamp {
                        return Err(SourceError::Spec {
                            reason: format!("derived column \"{}\" is no timestamp in the contract", column.name),
                        });
                    }
                    From::Sum {
                        timestamp: input(&derived.timestamp, ColumnType::Timestamp)?,
                        minutes: match &derived.plus_minutes {
                            Some(name) => Some(input(name, ColumnType::Int64)?),
                            None => None,
                        },
                    }
                }
                None => match names.iter().position(|name| *name == column.name) {
                    Some(field) => From::Field(field),
                    None => {
                        return Err(wrong(format!("the header row lacks column \"{}\" of the contract", column.name)));
                    }
                },
            };
            columns.push(ColumnSource {
                name: column.name.clone(),
                column_type: column.column_type,
                nullable: column.nullable,
                from,
            });
        }
        if let Some(derived) = spec.derive.iter().find(|derived| place(&derived.name).is_none()) {
            return Err(SourceError::Spec {
                reason: format!("derived column \"{}\" is not in the contract", derived.name),
            });
        }
        for (field, name) in names.iter().enumerate() {
            if !columns.iter().any(|column| column.from == From::Field(field)) {
                return Err(wrong(format!("the contract has no column \"{name}\", which the header row names")));
            }
        }
        let event_time = match &port.event_time {
            None => None,
            Some(name) => {
                let at = place(name).ok_or_else(|| SourceError::Spec {
                    reason: format!("event-time column \"{name}\" is not in the contract"),
                })?;
                if columns[at].column_type != ColumnType::Timestamp {
                    return Err(SourceError::Spec { reason: format!("event-time column \"{name}\" is no timestamp") });
                }
                let field_of = |column: usize| match columns[column].from {
                    From::Field(field) => field,
                    From::Sum { .. } => unreachable!("a column is derived from columns of the file"),
                };
                let (timestamp_field, minutes_field) = match columns[at].from {
                    From::Field(field) => (field, None),
                    From::Sum { timestamp, minutes } => (field_of(timestamp), minutes.map(field_of)),
                };
                Some(EventTime { timestamp_field, minutes_field, offset_ms: port.event_time_offset_ms })
            }
        };
        Ok(Self { fields: names.len(), columns, null: spec.null.clone().into_bytes(), event_time })
    }

    /// Does the port have an event time?
    pub(crate) fn has_event_time(&self) -> bool {
        self.event_time.is_some()
    }

    /// Event time of a record, `None` if it cannot be read. `fields` is room to work in. 0 for ports without one.
    pub(crate) fn event_time_ms(&self, record: &[u8], fields: &mut Vec<Field>) -> Option<i64> {
        if split(record, fields).is_err() || fields.len() != self.fields {
            return None;
        }
        let Some(event_time) = &self.event_time else { return Some(0) };
        let text = |field: usize| {
            let bytes = unquote(record, fields[field]);
            String::from_utf8(bytes.into_owned()).ok()
        };
        // Plain text is the rule and needs no copy.
        let timestamp = match plain(record, fields[event_time.timestamp_field]) {
            Some(plain) => json::parse_timestamp_ms(plain)?,
            None => json::parse_timestamp_ms(&text(event_time.timestamp_field)?)?,
        };
        let minutes: i64 = match event_time.minutes_field {
            None => 0,
            Some(field) => text(field)?.parse().ok()?,
        };
        let instant = timestamp.checked_add(minutes.checked_mul(60_000)?)?.checked_add(event_time.offset_ms)?;
        (json::TIMESTAMP_MS_MIN..=json::TIMESTAMP_MS_MAX).contains(&instant).then_some(instant)
    }
}

fn plain(record: &[u8], field: Field) -> Option<&str> {
    if field.escaped {
        return None;
    }
    std::str::from_utf8(&record[field.start..field.end]).ok()
}

/// The field's text, doubled quotes made single.
pub(crate) fn unquote(record: &[u8], field: Field) -> std::borrow::Cow<'_, [u8]> {
    let bytes = &record[field.start..field.end];
    if !field.escaped {
        return bytes.into();
    }
    let mut text = Vec::with_capacity(bytes.len());
    let mut quoted = false;
    for &byte in bytes {
        quoted = byte == b'"' && !quoted;
        if !quoted {
            text.push(byte);
        }
    }
    text.into()
}
