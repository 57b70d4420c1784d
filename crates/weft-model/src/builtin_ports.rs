//! The ports `errors` and `late`, which every product has that Weft runs, without declaring them.
//!
//! One shape for both, so that one reader serves every product: where it happened, where the bytes came from, why, and
//! the bytes themselves. `errors` holds rows that cannot be read or computed, `late` rows whose window had closed.

use std::collections::BTreeMap;

use crate::name::{PortId, PortName, ProductId};
use crate::product::{Encoding, OutputPort, PortKind, PortRole};
use crate::schema::{Column, ColumnType, Schema};
use crate::topic;

/// Name of the port for bad rows.
pub const ERRORS: &str = "errors";
/// Name of the port for late rows.
pub const LATE: &str = "late";

/// Columns of both ports, in order, with what they mean.
pub const COLUMNS: [(&str, ColumnType, &str); 12] = [
    ("at", ColumnType::String, "product and stage that refused the row, such as \"insights.delays op-2\"; never null"),
    ("topic", ColumnType::String, "topic the row was read from; null for a file"),
    ("partition", ColumnType::Int64, "partition of that topic"),
    ("offset", ColumnType::Int64, "offset in that partition"),
    ("file", ColumnType::String, "file the row was read from; null for a topic"),
    ("line", ColumnType::Int64, "line in that file, from 1"),
    ("column", ColumnType::String, "column that is wrong, if it is one"),
    ("reason", ColumnType::String, "why, in a sentence; never null"),
    ("raw", ColumnType::Bytes, "the row as it came, base64"),
    ("window_start", ColumnType::Timestamp, "late rows: start of the window that had closed"),
    ("window_end", ColumnType::Timestamp, "late rows: end of that window, exclusive"),
    ("watermark", ColumnType::Timestamp, "late rows: the watermark declared before the row"),
];

/// Schema of both ports.
pub fn schema() -> Schema {
    let column = |&(name, column_type, _): &(&str, ColumnType, &str)| Column {
        name: name.to_owned(),
        column_type,
        nullable: !matches!(name, "at" | "reason"),
    };
    Schema { columns: COLUMNS.iter().map(column).collect() }
}

/// The ports `errors` and `late` of a product that Weft runs.
pub fn builtin_ports(topic_prefix: &str, product: &ProductId) -> [OutputPort; 2] {
    let port = |name: &str, role: PortRole, description: &str| {
        let port: PortName = name.parse().expect("a name");
        let id = PortId { product: product.clone(), port, major: 1 };
        OutputPort {
            topic: topic::port_topic(topic_prefix, &id),
            id,
            role,
            kind: PortKind::Append,
            adopted: false,
            partitions: 1,
            contract_id: format!("weft-{name}-v1"),
            description: description.to_owned(),
            schema: schema(),
            key: Vec::new(),
            event_time: None,
            event_time_offset_ms: 0,
            column_docs: COLUMNS
                .iter()
                .map(|(name, _, doc)| ((*name).to_owned(), (*doc).to_owned()))
                .collect::<BTreeMap<_, _>>(),
            encoding: Encoding::Json,
            retention_ms: -1,
        }
    };
    [
        port(ERRORS, PortRole::Errors, "rows that could not be read or computed, with their original bytes"),
        port(LATE, PortRole::Late, "rows that came after their window had closed"),
    ]
}
