//! A data product: what goes in, what comes out, and how.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::name::{PortId, PortName, ProductId};
use crate::schema::Schema;

/// One data product, read from its folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Product {
    /// `domain.product`.
    pub id: ProductId,
    /// Team that answers for it (ODPS `team.name`).
    pub owner: String,
    /// Version of the descriptor, as written.
    pub version: String,
    /// Where it is in its life.
    pub status: Status,
    /// ODPS `description.purpose`.
    pub purpose: String,
    /// Free tags.
    pub tags: Vec<String>,
    /// What SQL may read, by the names SQL sees.
    pub inputs: Vec<InputPort>,
    /// What consumers may read, declared ones first, then `errors` and `late` where Weft runs the product.
    pub outputs: Vec<OutputPort>,
    /// How the data comes to be.
    pub behaviour: Behaviour,
    /// `$name` values of the SQL, from `parameters:` of the descriptor.
    pub parameters: BTreeMap<String, serde_json::Value>,
}

/// Life of a product or contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// An idea.
    Proposed,
    /// Being made.
    Draft,
    /// Promised.
    Active,
    /// Still there, not for new consumers.
    Deprecated,
    /// Gone.
    Retired,
}

/// A named input: the only name SQL sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputPort {
    /// Name in SQL; may hold `_` where `PortName` may not, so it is plain text.
    pub name: String,
    /// The output port it reads.
    pub reads: PortId,
    /// A small table that every task holds whole, instead of one partition of it.
    pub broadcast: bool,
    /// Topics that carry no progress of ours (external, adopted): how far behind the newest event time a row may come.
    /// Milliseconds; 0 = rows come in order.
    #[serde(default)]
    pub bound_ms: u64,
}

/// An output port: a contract, one backing topic, any number of bindings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputPort {
    /// Name and major version.
    pub id: PortId,
    /// Declared in the descriptor, or one that every product has.
    pub role: PortRole,
    /// Events or a table.
    pub kind: PortKind,
    /// Topic that backs it.
    pub topic: String,
    /// Somebody else made the topic; we never delete it.
    pub adopted: bool,
    /// Partitions of the topic.
    pub partitions: u32,
    /// ODCS contract id.
    pub contract_id: String,
    /// What the contract says it is for.
    pub description: String,
    /// Columns of the value. Key columns are part of it.
    pub schema: Schema,
    /// Key columns in order; empty = no key.
    pub key: Vec<String>,
    /// Column that carries event time; none = valid from the beginning of time.
    pub event_time: Option<String>,
    /// Added to the column to give event time. Milliseconds. A port whose event time is the last instant of a window
    /// names `window_end` and -1 here.
    #[serde(default)]
    pub event_time_offset_ms: i64,
    /// What each column means, with its unit, from the contract; for catalogues and OpenAPI.
    #[serde(default)]
    pub column_docs: BTreeMap<String, String>,
    /// How values are encoded.
    pub encoding: Encoding,
    /// `retention.ms`; -1 = for ever.
    pub retention_ms: i64,
}

/// Why a port exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PortRole {
    /// Declared in the product's descriptor, with a contract.
    Declared,
    /// Bad rows with their original bytes; on every product that Weft runs.
    Errors,
    /// Rows whose window had closed; on every product that Weft runs.
    Late,
}

/// Events or a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PortKind {
    /// Every record is an event.
    Append,
    /// The last record per key counts; a null value deletes.
    Upsert,
}

/// Encoding of values. Declared, never sniffed; only JSON for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// JSON object, no schema id.
    Json,
}

/// How a product's data comes to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Behaviour {
    /// `source.yaml`: Weft reads it from outside.
    Source(SourceSpec),
    /// `transform.sql`: Weft computes it.
    Transform {
        /// The text of `transform.sql`.
        sql: String,
        /// Its path relative to the mesh folder.
        file: String,
    },
    /// `external.yaml`: somebody else computes it; Weft owns contract, topic settings, catalogue.
    External,
}

/// `source.yaml`: a CSV file replayed into the product's declared output port.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceSpec {
    /// The port that rows go to.
    pub port: PortName,
    /// File, relative to the mesh folder unless absolute. `.csv`, `.csv.gz`, `.zip` with one member.
    pub file: String,
    /// Text that means null.
    pub null: String,
    /// How far the replay goes.
    pub mode: ReplayMode,
    /// Columns computed from others.
    pub derive: Vec<DerivedColumn>,
    /// Delay some rows beyond the watermark, for tests and demonstrations.
    pub disorder: Option<Disorder>,
    /// `loop` stops when the disk has less than this free. Bytes.
    pub disk_reserve_bytes: u64,
}

/// How far a replay goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReplayMode {
    /// To the end, then `complete`.
    Once,
    /// Round after round, event time shifted by the span; never complete.
    Loop,
    /// New lines in file order as they are appended.
    Follow,
}

/// `name` = `timestamp` + `plus_minutes` minutes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DerivedColumn {
    /// The new column.
    pub name: String,
    /// Timestamp column it starts from.
    pub timestamp: String,
    /// Integer column added as minutes.
    pub plus_minutes: Option<String>,
}

/// Delay `rows` rows, chosen by `seed`, by `seconds` of event time beyond the watermark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disorder {
    /// How many rows.
    pub rows: u64,
    /// By how much event time. Seconds.
    pub seconds: u64,
    /// Which rows.
    pub seed: u64,
}
