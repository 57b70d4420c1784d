//! `*.odcs.yaml`: one contract, what its consumers rely on.
//!
//! ```text
//!   schema[0]  one object, `physicalType: topic`
//!     properties             columns: name, logicalType, required, description
//!       primaryKey + primaryKeyPosition            key of a table, or unique key of events
//!       partitioned + partitionKeyPosition         key of events that repeats
//!     customProperties       kind (append|upsert), eventTime, eventTimeOffsetMs      ← ours
//!   servers[] type kafka     format
//!   slaProperties            retention
//! ```

use std::collections::BTreeMap;

use super::custom;
use super::findings::{Findings, place};
use super::{near, standard, version_major};
use crate::product::PortKind;
use crate::schema::{Column, ColumnType, Schema};
use crate::yaml::Node;

/// A contract as read; ports take from it what consumers rely on.
#[derive(Debug, Clone)]
pub(crate) struct Contract {
    pub(crate) file: String,
    pub(crate) id: String,
    pub(crate) id_line: u32,
    pub(crate) major: Option<u32>,
    pub(crate) version: String,
    pub(crate) version_line: u32,
    pub(crate) description: String,
    pub(crate) retention: Option<(i64, u32)>,
    pub(crate) format: Option<(String, u32)>,
    /// `None` when the contract does not describe exactly one topic; that has been reported.
    pub(crate) table: Option<Table>,
}

/// The one schema object.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) physical_name: Option<(String, u32)>,
    pub(crate) kind: PortKind,
    pub(crate) schema: Schema,
    pub(crate) docs: BTreeMap<String, String>,
    pub(crate) key: Vec<String>,
    pub(crate) event_time: Option<String>,
    pub(crate) event_time_offset_ms: i64,
}

const KINDS: [(&str, PortKind); 2] = [("append", PortKind::Append), ("upsert", PortKind::Upsert)];

/// Reads a contract; what is wrong goes to the findings. `None` if it has no id.
pub(crate) fn read(file: &str, root: &Node, findings: &mut Findings) -> Option<Contract> {
    standard::validate(standard::Standard::Odcs, file, root, findings);
    let id = root.get("id")?;
    let version = root.get("version");
    let version_text = version.and_then(Node::text).unwrap_or_default();
    let version_line = version.map_or(root.line, |node| node.line);
    let major = version_major(version_text);
    if version.is_some() && major.is_none() {
        super::bad_version(file, version_line, version_text, findings);
    }
    let description = root.get("description").and_then(|node| node.get("purpose")).and_then(Node::text);
    Some(Contract {
        file: file.to_owned(),
        id: id.text()?.to_owned(),
        id_line: id.line,
        major,
        version: version_text.to_owned(),
        version_line,
        description: description.unwrap_or_default().trim().to_owned(),
        retention: retention(file, root, findings),
        format: kafka_format(root),
        table: table(file, root, findings),
    })
}

fn kafka_format(root: &Node) -> Option<(String, u32)> {
    let servers = root.get("servers")?.items();
    let kafka = servers.iter().find(|server| server.get("type").and_then(Node::text) == Some("kafka"))?;
    let format = kafka.get("format")?;
    Some((format.text()?.to_owned(), format.line))
}

/// `retention` among the SLAs, in milliseconds.
fn retention(file: &str, root: &Node, findings: &mut Findings) -> Option<(i64, u32)> {
    let slas = root.get("slaProperties")?.items();
    let sla = slas.iter().find(|sla| sla.get("property").and_then(Node::text) == Some("retention"))?;
    let value = sla.get("value")?;
    let unit = sla.get("unit").and_then(Node::text).unwrap_or("d");
    if value.int() == Some(-1) {
        return Some((-1, value.line));
    }
    let unit_ms: Option<i64> = match unit {
        "ms" => Some(1),
        "s" | "second" | "seconds" => Some(1000),
        "min" | "minute" | "minutes" => Some(60_000),
        "h" | "hour" | "hours" => Some(3_600_000),
        "d" | "day" | "days" => Some(86_400_000),
        "w" | "week" | "weeks" => Some(7 * 86_400_000),
        "y" | "yr" | "year" | "years" => Some(365 * 86_400_000),
        _ => None,
    };
    let ms = value.int().filter(|value| *value > 0).and_then(|value| value.checked_mul(unit_ms?));
    if ms.is_none() {
        findings.add(
            "MODEL-029",
            place(file, value.line),
            "retention of the contract cannot be read",
            format!("it is {} with unit \"{unit}\"", value.describe()),
            "write a whole number with unit ms, s, min, h, d, w or y, or -1 for ever",
        );
    }
    ms.map(|ms| (ms, value.line))
}

fn table(file: &str, root: &Node, findings: &mut Findings) -> Option<Table> {
    let objects = root.get("schema").map(Node::items).unwrap_or_default();
    let [object] = objects else {
        findings.add(
            "MODEL-023",
            place(file, root.get("schema").map_or(root.line, |node| node.line)),
            "the contract does not describe exactly one topic",
            format!("its `schema` has {} objects, Weft reads one per contract", objects.len()),
            "keep one object in `schema`; another port gets another contract",
        );
        return None;
    };
    if let Some(physical) = object.get("physicalType")
        && physical.text() != Some("topic")
    {
        findings.add(
            "MODEL-023",
            place(file, physical.line),
            "the contract does not describe a topic",
            format!("`physicalType` is {}", physical.describe()),
            "write `physicalType: topic`",
        );
    }
    let ours = custom::custom(file, object, &["kind", "eventTime", "eventTimeOffsetMs"], findings);
    let kind = custom::word(file, &ours, "kind", &KINDS, findings).unwrap_or(PortKind::Append);
    let Columns { schema, docs, unknown } = columns(file, object, findings);
    let key = key(file, object, kind, &schema, findings);
    let event_time = custom::text(file, &ours, "eventTime", findings).map(str::to_owned);
    if let Some(name) = &event_time
        && !unknown.contains(name)
    {
        let line = ours.get("eventTime").map_or(object.line, |node| node.line);
        check_event_time(file, line, name, &schema, findings);
    }
    const OFFSET_MS_MAX: i64 = 366 * 86_400_000;
    let offset = custom::number(file, &ours, "eventTimeOffsetMs", -OFFSET_MS_MAX..=OFFSET_MS_MAX, findings);
    if offset.is_some() && event_time.is_none() {
        findings.add(
            "MODEL-026",
            place(file, ours.get("eventTimeOffsetMs").map_or(object.line, |node| node.line)),
            "`eventTimeOffsetMs` has nothing to be added to",
            "the contract has no `eventTime`",
            "name the column in `eventTime`, or drop the offset",
        );
    }
    let physical_name = object.get("physicalName").and_then(|node| Some((node.text()?.to_owned(), node.line)));
    Some(Table { physical_name, kind, schema, docs, key, event_time, event_time_offset_ms: offset.unwrap_or(0) })
}

/// The properties of a contract's object.
struct Columns {
    schema: Schema,
    docs: BTreeMap<String, String>,
    /// Columns whose type is unknown and stands as text in the schema; that has been reported.
    unknown: Vec<String>,
}

fn columns(file: &str, object: &Node, findings: &mut Findings) -> Columns {
    let mut columns: Vec<Column> = Vec::new();
    let mut docs = BTreeMap::new();
    let mut unknown = Vec::new();
    let properties = object.get("properties").map(Node::items).unwrap_or_default();
    if properties.is_empty() {
        findings.add(
            "MODEL-023",
            place(file, object.line),
            "the contract describes no columns",
            "its schema has no `properties`",
            "list every column with `name` and `logicalType`",
        );
    }
    for property in properties {
        let Some(name) = property.get("name").and_then(Node::text) else { continue };
        if columns.iter().any(|column| column.name == name) {
            findings.add(
                "MODEL-031",
                place(file, property.line),
                format!("column \"{name}\" stands twice"),
                "a column's name is its JSON field and its SQL identifier",
                "rename or remove one of them",
            );
            continue;
        }
        let column_type = column_type(file, name, property, findings);
        if column_type.is_none() {
            unknown.push(name.to_owned());
        }
        let column_type = column_type.unwrap_or(ColumnType::String);
        let required = property.get("required").and_then(Node::bool).unwrap_or(false);
        columns.push(Column { name: name.to_owned(), column_type, nullable: !required });
        let unit = custom::custom(file, property, &["unit"], findings);
        let unit = custom::text(file, &unit, "unit", findings);
        let description = property.get("description").and_then(Node::text).unwrap_or_default().trim();
        let doc = match unit {
            Some(unit) => format!("{description} [{unit}]").trim().to_owned(),
            None => description.to_owned(),
        };
        if !doc.is_empty() {
            docs.insert(name.to_owned(), doc);
        }
    }
    Columns { schema: Schema { columns }, docs, unknown }
}

/// Maps ODCS `logicalType` and `physicalType` to a column type; reports what Weft does not carry. `None` where the
/// standard knows no such type.
fn column_type(file: &str, column: &str, property: &Node, findings: &mut Findings) -> Option<ColumnType> {
    let logical = property.get("logicalType").and_then(Node::text);
    let physical_node = property.get("physicalType");
    let physical = physical_node.and_then(Node::text).unwrap_or_default().to_ascii_lowercase();
    let options = property.get("logicalTypeOptions");
    let format = options.and_then(|options| options.get("format")).and_then(Node::text).unwrap_or_default();
    let mut refuse = |line: u32, what: String, try_: &str| {
        findings.add(
            "MODEL-024",
            place(file, line),
            format!("column \"{column}\" has a type that Weft does not carry yet"),
            what,
            try_,
        );
    };
    let line = property.get("logicalType").map_or(property.line, |node| node.line);
    let column_type = match logical {
        Some("string") if matches!(physical.as_str(), "bytes" | "binary" | "varbinary") => ColumnType::Bytes,
        Some("string") => ColumnType::String,
        Some("boolean") => ColumnType::Boolean,
        Some("integer") => {
            if matches!(format, "u64" | "i128" | "u128") {
                refuse(
                    line,
                    format!("integer format \"{format}\" does not fit 64 bits with sign"),
                    "use format i64, or a decimal",
                );
            }
            ColumnType::Int64
        }
        Some("number") => match decimal(&physical) {
            Some(Ok((precision, scale))) => ColumnType::Decimal { precision, scale },
            Some(Err(because)) => {
                refuse(physical_node.map_or(line, |node| node.line), because, "write `physicalType: decimal(12,2)`");
                ColumnType::Decimal { precision: 38, scale: 0 }
            }
            None => ColumnType::Float64,
        },
        Some("date") => ColumnType::Date,
        Some("timestamp") => ColumnType::Timestamp,
        Some(other) if !matches!(other, "time" | "object" | "array") => return None, // refused by the standard already
        Some(other) => {
            refuse(
                line,
                format!("`logicalType` is \"{other}\""),
                "use string, integer, number, boolean, date or timestamp",
            );
            ColumnType::String
        }
        None => {
            refuse(
                line,
                "it has no `logicalType`".to_owned(),
                "add `logicalType:` string, integer, number, boolean, date or timestamp",
            );
            ColumnType::String
        }
    };
    Some(column_type)
}

/// `decimal(12,2)`; `None` if the physical type is no decimal.
fn decimal(physical: &str) -> Option<Result<(u8, i8), String>> {
    let rest = physical.strip_prefix("decimal").or_else(|| physical.strip_prefix("numeric"))?;
    let wrong = || Err(format!("`physicalType` is \"{physical}\", expected precision 1 to 38 and scale up to it"));
    let inside = rest.trim().strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    let Some((precision, scale)) = inside.and_then(|inside| inside.split_once(',')) else { return Some(wrong()) };
    match (precision.trim().parse::<u8>(), scale.trim().parse::<i8>()) {
        (Ok(precision @ 1..=38), Ok(scale)) if scale >= 0 && scale.unsigned_abs() <= precision => {
            Some(Ok((precision, scale)))
        }
        _ => Some(wrong()),
    }
}

/// The key columns in order: `partitioned` ones if there are any, else `primaryKey` ones.
fn key(file: &str, object: &Node, kind: PortKind, schema: &Schema, findings: &mut Findings) -> Vec<String> {
    let primary = marked(file, object, "primaryKey", "primaryKeyPosition", findings);
    let partitioned = marked(file, object, "partitioned", "partitionKeyPosition", findings);
    if kind == PortKind::Upsert {
        if primary.is_empty() {
            findings.add(
                "MODEL-025",
                place(file, object.line),
                "a table has no key",
                "`kind: upsert` keeps the last value per key, and no property has `primaryKey: true`",
                "mark the key columns with `primaryKey: true` and `primaryKeyPosition: 1, 2, …`",
            );
        } else if !partitioned.is_empty() && partitioned != primary {
            findings.add(
                "MODEL-025",
                place(file, object.line),
                "a table is partitioned by other columns than its key",
                format!("`primaryKey` is {}, `partitioned` is {}", primary.join(", "), partitioned.join(", ")),
                "drop `partitioned`: a table is partitioned by its key",
            );
        }
    }
    let key = if kind == PortKind::Append && !partitioned.is_empty() { partitioned } else { primary };
    for name in &key {
        let Some(column) = schema.column(name) else { continue };
        let line = property_line(object, name);
        if column.nullable {
            findings.add(
                "MODEL-025",
                place(file, line),
                format!("key column \"{name}\" may be null"),
                "a key decides the partition and must be there in every record",
                "add `required: true` to it, or take it out of the key",
            );
        }
        if column.column_type == ColumnType::Float64 {
            findings.add(
                "MODEL-025",
                place(file, line),
                format!("key column \"{name}\" is a floating-point number"),
                "two numbers that print alike may differ in their last bit, and so in their partition",
                "use an integer, a decimal or a string as key",
            );
        }
    }
    key
}

fn property_line(object: &Node, column: &str) -> u32 {
    let properties = object.get("properties").map(Node::items).unwrap_or_default();
    let found = properties.iter().find(|property| property.get("name").and_then(Node::text) == Some(column));
    found.map_or(object.line, |property| property.line)
}

/// Columns with `flag: true`, ordered by their `position`, which counts from 1 without gaps when there are several.
fn marked(file: &str, object: &Node, flag: &str, position: &str, findings: &mut Findings) -> Vec<String> {
    let properties = object.get("properties").map(Node::items).unwrap_or_default();
    let mut found: Vec<(i64, &str, u32)> = Vec::new();
    for property in properties {
        let Some(name) = property.get("name").and_then(Node::text) else { continue };
        if property.get(flag).and_then(Node::bool) == Some(true) {
            let at = property.get(position).and_then(Node::int).unwrap_or(-1);
            found.push((at, name, property.line));
        }
    }
    if let [(-1, name, _)] = found[..] {
        return vec![name.to_owned()];
    }
    found.sort_by_key(|(at, ..)| *at);
    for (index, (at, name, line)) in found.iter().enumerate() {
        if usize::try_from(*at).ok() != Some(index + 1) {
            findings.add(
                "MODEL-025",
                place(file, *line),
                format!("position of key column \"{name}\" is wrong"),
                format!("`{position}` is {at}; of {} key column(s) they count 1, 2, … without gaps, and the order decides the key's bytes", found.len()),
                format!("write `{position}: {}`", index + 1),
            );
            break;
        }
    }
    found.into_iter().map(|(_, name, _)| name.to_owned()).collect()
}

fn check_event_time(file: &str, line: u32, name: &str, schema: &Schema, findings: &mut Findings) {
    let known: Vec<&str> = schema.columns.iter().map(|column| column.name.as_str()).collect();
    let Some(column) = schema.column(name) else {
        findings.add(
            "MODEL-026",
            place(file, line),
            format!("event-time column \"{name}\" is not in the contract"),
            "`eventTime` names a property of the same schema",
            near::suggest(name, &known),
        );
        return;
    };
    if column.column_type != ColumnType::Timestamp {
        findings.add(
            "MODEL-026",
            place(file, line),
            format!("event-time column \"{name}\" is not a timestamp"),
            format!("its type is {}", crate::contract::type_name(column.column_type)),
            "name a column with `logicalType: timestamp`",
        );
    } else if column.nullable {
        findings.add(
            "MODEL-026",
            place(file, line),
            format!("event-time column \"{name}\" may be null"),
            "a record without event time has no place in the stream",
            "add `required: true` to it; rows without it go to the error port",
        );
    }
}
