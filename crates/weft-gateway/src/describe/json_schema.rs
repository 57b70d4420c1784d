//! JSON Schema of a port: the row as it is on the wire, and its key.
//!
//! ```text
//!   int64          integer, format int64           exact: not every JSON parser keeps what is beyond 2⁵³
//!   float64        number, format double
//!   decimal(p,s)   string, format decimal          a number would be read as a double
//!   timestamp      string, format date-time        RFC 3339, UTC, milliseconds
//!   date           string, format date
//!   bytes          string, contentEncoding base64
//! ```
//!
//! Schemas are open: a minor version of a contract may add a column, and a reader that refused it would break.

use serde_json::{Map, Value, json};
use weft_model::product::OutputPort;
use weft_model::schema::{Column, ColumnType};

use super::{Addresses, clip};
use crate::facts;

/// A single integer column is its eight bytes, see `weft_model::key`.
const INT64_KEY_BYTES: usize = 8;

/// Which words say "first this, then that" for an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `items` is a list. AsyncAPI's schemas are of this kind.
    Draft07,
    /// `prefixItems`.
    Draft2020,
}

/// The document at `…/schema.json`: the row, with its key in `$defs`.
pub(crate) fn document(port: &OutputPort, addresses: &Addresses) -> Value {
    let path = format!("{}/schema.json", facts::port_path(&port.id));
    let mut document = Map::new();
    document.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    document.insert("$id".to_owned(), json!(addresses.url(&path)));
    document.extend(object(row(port)));
    if let Some(key) = key(port, Dialect::Draft2020) {
        document.insert("$defs".to_owned(), json!({ "key": key }));
    }
    Value::Object(document)
}

/// A row: the columns of the contract, in its order.
pub(crate) fn row(port: &OutputPort) -> Value {
    let required: Vec<&str> =
        port.schema.columns.iter().filter(|column| !column.nullable).map(|column| column.name.as_str()).collect();
    let properties: Map<String, Value> = port
        .schema
        .columns
        .iter()
        .map(|one| (one.name.clone(), column(one, port.column_docs.get(&one.name).map(String::as_str))))
        .collect();
    let mut row = Map::new();
    row.insert("title".to_owned(), json!(port.id.to_string()));
    if !port.description.is_empty() {
        row.insert("description".to_owned(), json!(clip(&port.description)));
    }
    row.insert("type".to_owned(), json!("object"));
    row.insert("properties".to_owned(), Value::Object(properties));
    row.insert("required".to_owned(), json!(required));
    Value::Object(row)
}

/// The key of a record, as `weft_model::key` has its bytes; none where rows have no key.
pub(crate) fn key(port: &OutputPort, dialect: Dialect) -> Option<Value> {
    let columns: Vec<&Column> = port.key.iter().filter_map(|name| port.schema.column(name)).collect();
    let mut schema = match columns[..] {
        [] => return None,
        [one] if !one.nullable && one.column_type == ColumnType::String => {
            json!({ "type": "string", "description": format!("`{}` as UTF-8 text, without quotes.", one.name) })
        }
        [one] if !one.nullable && one.column_type == ColumnType::Int64 => json!({
            "type": "string", "format": "binary", "minLength": INT64_KEY_BYTES, "maxLength": INT64_KEY_BYTES,
            "description": format!("`{}` as a signed integer of 8 bytes, big-endian.", one.name),
        }),
        _ => tuple(&columns, dialect),
    };
    schema["title"] = json!(format!("key of {}", port.id));
    Some(schema)
}

fn tuple(columns: &[&Column], dialect: Dialect) -> Value {
    let items: Vec<Value> = columns.iter().map(|one| column(one, Some(&one.name))).collect();
    let names: Vec<&str> = columns.iter().map(|one| one.name.as_str()).collect();
    let (first, rest) = match dialect {
        Dialect::Draft07 => ("items", "additionalItems"),
        Dialect::Draft2020 => ("prefixItems", "items"),
    };
    json!({
        "type": "array", first: items, rest: false, "minItems": columns.len(), "maxItems": columns.len(),
        "description": format!("Canonical JSON array, without blanks, of {}.", names.join(", ")),
    })
}

/// The key columns as an object: what a deletion carries on a live stream.
pub(crate) fn key_columns(port: &OutputPort) -> Value {
    let columns = port.key.iter().filter_map(|name| port.schema.column(name));
    let properties: Map<String, Value> = columns.map(|one| (one.name.clone(), column(one, None))).collect();
    json!({ "type": "object", "properties": properties, "required": port.key })
}

fn column(column: &Column, doc: Option<&str>) -> Value {
    let (kind, mut schema) = match column.column_type {
        ColumnType::String => ("string", json!({})),
        ColumnType::Boolean => ("boolean", json!({})),
        ColumnType::Int64 => (
            "integer",
            json!({ "format": "int64", "minimum": i64::MIN, "maximum": i64::MAX,
                "$comment": "exact; read it with a parser that keeps integers beyond 2^53" }),
        ),
        ColumnType::Float64 => ("number", json!({ "format": "double" })),
        ColumnType::Decimal { precision, scale } => (
            "string",
            json!({ "format": "decimal", "pattern": r"^-?[0-9]+(\.[0-9]+)?$",
                "$comment": format!("decimal({precision},{scale}) with all its digits; a number would be read as a double") }),
        ),
        ColumnType::Timestamp => ("string", json!({ "format": "date-time" })),
        ColumnType::Date => ("string", json!({ "format": "date" })),
        ColumnType::Bytes => ("string", json!({ "contentEncoding": "base64" })),
    };
    schema["type"] = if column.nullable { json!([kind, "null"]) } else { json!(kind) };
    if let Some(doc) = doc.filter(|doc| !doc.is_empty()) {
        schema["description"] = json!(clip(doc));
    }
    schema
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => unreachable!("a schema is an object, not {other}"),
    }
}
