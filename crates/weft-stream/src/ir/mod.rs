//! The program of a product: what SQL became, pinned. Versioned JSON, no DataFusion type inside; it is stored with the
//! product and rebuilt from the store, so an upgrade of a parser or planner never moves a running query (ADR 0006).
//!
//! ```text
//!   Program
//!     subtopologies[0]   inputs ─► operators ─► Rekey ──┐  destination: repartition topic of the Rekey
//!     subtopologies[1]   inputs ◄───────────────────────┘
//!                        inputs ─► operators ─► Sink ─────  destination: port
//!     destinations       every topic the program writes: ports, errors, late, repartition topics
//! ```
//!
//! One task = one sub-topology × one partition. All inputs of a sub-topology that are not broadcast have the same number
//! of partitions, and task `p` reads partition `p` of each; of a broadcast input it reads all partitions.
//!
//! Operator ids (`op-1` …) are given at first compile and found again by structure at the next; state, changelog and
//! repartition topics are named by them.

pub mod expr;

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use weft_model::name::{MeshId, PortId, ProductId};
use weft_model::product::{PortKind, PortRole};
use weft_model::schema::{Column, Schema};
use weft_model::topic;

pub use expr::Expr;

/// Version of the JSON this build writes. Every version ever released stays loadable.
pub const VERSION: u32 = 1;

/// `op-<n>`: names state, changelog and repartition topic.
pub type OperatorId = String;

/// What SQL became.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Program {
    /// Version of this shape.
    pub version: u32,
    /// The mesh; in every internal name.
    pub mesh: MeshId,
    /// The product it computes.
    pub product: ProductId,
    /// Number of the next new operator; numbers are never used twice.
    pub next_operator: u32,
    /// In the order data flows: a sub-topology reads only repartition topics of earlier ones.
    pub subtopologies: Vec<SubTopology>,
    /// Every topic it writes; effects name them by position.
    pub destinations: Vec<Destination>,
}

/// Operators that run together in one task, per partition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubTopology {
    /// Number of tasks.
    pub partitions: u32,
    /// What it reads; events name inputs by position.
    pub inputs: Vec<Input>,
    /// In topological order.
    pub operators: Vec<Operator>,
    /// State it keeps; [`crate::state::StateStore`] names stores by position.
    pub stores: Vec<Store>,
}

/// One topic that a sub-topology reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// Name in SQL, or the operator id of the re-key.
    pub name: String,
    /// Where its records come from.
    pub from: InputFrom,
    /// Partitions of the topic.
    pub partitions: u32,
    /// Every task reads all partitions, from the first offset at each start; its table is kept in memory and has no
    /// changelog, and [`crate::task::Task::consumed`] does not report it.
    pub broadcast: bool,
    /// Rows are events, or versions of a table's rows.
    pub kind: PortKind,
    /// Columns to decode, in order: those the program needs.
    pub columns: Schema,
    /// Key columns of an `upsert` input, in key order.
    pub key: Vec<Column>,
    /// Column of event time; none = valid from the beginning of time (0). A repartition record carries it itself.
    pub event_time: Option<String>,
    /// Added to the column. Milliseconds.
    pub event_time_offset_ms: i64,
    /// How its time moves.
    pub progress: InputProgress,
}

/// Where an input's records come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputFrom {
    /// An output port of some product.
    Port {
        /// Which.
        port: PortId,
        /// Its topic.
        topic: String,
    },
    /// The repartition topic of a re-key of this program.
    Repartition {
        /// The re-key.
        operator: OperatorId,
    },
}

/// How an input's time moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputProgress {
    /// By record headers and progress records of its writers.
    Declared,
    /// Others write it: the newest event time seen, less a bound.
    Observed {
        /// How far behind the newest event time a row may come. Milliseconds.
        bound_ms: u64,
    },
}

/// One operator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Operator {
    /// Stable id.
    pub id: OperatorId,
    /// What it computes, independent of ids: how it is found again at the next compile.
    pub structure: String,
    /// Where its rows come from.
    pub from: Vec<From>,
    /// What it does.
    pub kind: OperatorKind,
    /// Columns it gives.
    pub columns: Schema,
}

/// Where an operator's rows come from, within its sub-topology.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum From {
    /// An input, by position.
    Input(usize),
    /// An operator, by position; a windowed aggregate's rows as they change.
    Operator(usize),
    /// A windowed aggregate, by position; each row once, when its window closes.
    Final(usize),
}

/// What an operator does. Columns are positions in the columns of `from` (of `from[0]` followed by `from[1]` in joins).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatorKind {
    /// Keeps rows whose predicate is true.
    Filter {
        /// Boolean.
        predicate: Expr,
    },
    /// Computes columns.
    Project {
        /// One per column.
        expressions: Vec<Expr>,
    },
    /// Adds the columns window_start and window_end of the tumbling window that holds the row's event time.
    Window {
        /// Size of the window. Milliseconds.
        size_ms: i64,
    },
    /// Sends rows that come too late for what follows to the port `late`.
    Late {
        /// How long a window or join waits. Milliseconds.
        grace_ms: i64,
        /// Size of the window; none = a join.
        window_ms: Option<i64>,
    },
    /// Writes rows to a repartition topic by a new key; the sub-topology ends here.
    Rekey {
        /// Columns of the key.
        key: Vec<usize>,
        /// Position in `Program::destinations`.
        destination: usize,
    },
    /// Tumbling window aggregate over event time. Columns it gives: window_start, window_end, groups, aggregates.
    WindowAggregate {
        /// Size of the window. Milliseconds.
        size_ms: i64,
        /// How long a window stays open after its end. Milliseconds.
        grace_ms: i64,
        /// Grouping columns.
        group: Vec<usize>,
        /// What is computed per window and group.
        aggregates: Vec<Aggregate>,
        /// Position in `SubTopology::stores`.
        store: usize,
    },
    /// Keeps the rows of an upsert input by key and version.
    Table {
        /// Position in `SubTopology::stores`; none = broadcast, kept in memory.
        store: Option<usize>,
    },
    /// Joins each row with the table's row of that key as of the row's event time. `from[1]` is a `Table`.
    TableJoin {
        /// Columns of `from[0]` that hold the table's key, in key order.
        key: Vec<usize>,
        /// Rows without a match stay, with nulls.
        left: bool,
        /// Further condition of the join.
        condition: Option<Expr>,
    },
    /// Joins rows of two streams: `lower_ms <= right time - left time <= upper_ms`.
    WindowJoin {
        /// Key columns of `from[0]`.
        left_key: Vec<usize>,
        /// Key columns of `from[1]`, positions from 0.
        right_key: Vec<usize>,
        /// Least difference. Milliseconds.
        lower_ms: i64,
        /// Greatest difference. Milliseconds.
        upper_ms: i64,
        /// How long late rows are waited for. Milliseconds.
        grace_ms: i64,
        /// Further condition of the join.
        condition: Option<Expr>,
        /// Position in `SubTopology::stores`.
        store: usize,
    },
    /// Writes rows to a port.
    Sink {
        /// Position in `Program::destinations`.
        destination: usize,
        /// Columns of the value in contract order: positions in `from[0]`.
        value: Vec<usize>,
        /// Columns of the key.
        key: Vec<usize>,
        /// Column of event time.
        event_time: Option<usize>,
        /// Added to it. Milliseconds.
        event_time_offset_ms: i64,
        /// How far behind the operator's time an output's event time may be; none = the port has no event time, its
        /// progress is all or nothing. Milliseconds.
        behind_ms: Option<i64>,
    },
}

/// One aggregate of a windowed aggregation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Aggregate {
    /// Which.
    pub function: AggregateFunction,
    /// Column of its argument; none = COUNT(*).
    pub argument: Option<usize>,
    /// Boolean column that says which rows count; none = all.
    pub filter: Option<usize>,
}

/// Aggregates over streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AggregateFunction {
    /// Rows whose argument is not null.
    Count,
    /// Sum; null of nothing. Overflow sends the row to `errors`.
    Sum,
    /// Mean; of integers exact until the last division.
    Avg,
    /// Least.
    Min,
    /// Greatest.
    Max,
}

/// State of one operator in one sub-topology.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    /// The operator it belongs to; names keyspace and changelog.
    pub operator: OperatorId,
}

/// A topic that the program writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Destination {
    /// Which.
    pub to: DestinationTo,
    /// Partitions of the topic.
    pub partitions: u32,
    /// How many writers it has: its readers wait for all of them. A task's number among them is
    /// [`Program::writer`].
    pub writers: u32,
    /// Columns of the value.
    pub columns: Schema,
    /// Columns of the key.
    pub key: Vec<String>,
    /// Events or a table.
    pub kind: PortKind,
}

/// Which topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DestinationTo {
    /// An output port of the product.
    Port {
        /// Which.
        port: PortId,
        /// Its topic.
        topic: String,
        /// Declared, errors or late.
        role: PortRole,
    },
    /// Repartition topic of a re-key.
    Repartition {
        /// The re-key.
        operator: OperatorId,
    },
}

/// A topic that only this program uses. Created at deploy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InternalTopic {
    /// Its name.
    pub topic: String,
    /// Its partitions.
    pub partitions: u32,
    /// What it is.
    pub kind: InternalTopicKind,
    /// The operator it belongs to.
    pub operator: OperatorId,
}

/// What an internal topic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InternalTopicKind {
    /// `cleanup.policy=delete`: rows on their way to another task.
    Repartition,
    /// `cleanup.policy=compact`: state, partition = task.
    Changelog,
}

/// Why a stored program cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Not JSON of this shape.
    #[error("program is not readable: {0}")]
    Unreadable(String),
    /// Written by a newer build.
    #[error("program has version {found}, this build reads up to {VERSION}")]
    Newer {
        /// Its version.
        found: u32,
    },
}

impl Program {
    /// Reads a stored program.
    pub fn from_json(text: &str) -> Result<Self, LoadError> {
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        let unreadable = |error: serde_json::Error| LoadError::Unreadable(error.to_string());
        let head: Head = serde_json::from_str(text).map_err(unreadable)?;
        if head.version > VERSION {
            return Err(LoadError::Newer { found: head.version });
        }
        serde_json::from_str(text).map_err(unreadable)
    }

    /// The program as stored.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a program has only JSON-able fields")
    }

    /// Hash of the program as stored, in hex: equal digests run the same.
    pub fn digest(&self) -> String {
        // FNV-1a, twice with different seeds: for telling programs apart, not for security.
        let text = self.to_json();
        let mut out = String::with_capacity(32);
        for seed in [0xcbf2_9ce4_8422_2325_u64, 0x9747_b28c_85eb_ca6b] {
            let mut hash = seed;
            for byte in text.bytes() {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
            write!(out, "{hash:016x}").expect("writing to a String does not fail");
        }
        out
    }

    /// Columns that it writes to a declared port.
    pub fn output_schema(&self, port: &PortId) -> Option<&Schema> {
        self.destinations.iter().find_map(|destination| match &destination.to {
            DestinationTo::Port { port: id, .. } if id == port => Some(&destination.columns),
            _ => None,
        })
    }

    /// `__weft.<mesh>.<domain>.<product>.g<generation>.<operator>.<suffix>`.
    pub fn internal_topic(&self, generation: u32, operator: &str, suffix: &str) -> String {
        topic::internal(&self.mesh, &format!("{}.g{generation}.{operator}.{suffix}", self.product))
    }

    /// Repartition topic of a re-key.
    pub fn repartition_topic(&self, generation: u32, operator: &str) -> String {
        self.internal_topic(generation, operator, "repartition")
    }

    /// Changelog topic of an operator's state.
    pub fn changelog_topic(&self, generation: u32, operator: &str) -> String {
        self.internal_topic(generation, operator, "changelog")
    }

    /// Every repartition and changelog topic.
    pub fn internal_topics(&self, generation: u32) -> Vec<InternalTopic> {
        let mut topics = Vec::new();
        for destination in &self.destinations {
            if let DestinationTo::Repartition { operator } = &destination.to {
                topics.push(InternalTopic {
                    topic: self.repartition_topic(generation, operator),
                    partitions: destination.partitions,
                    kind: InternalTopicKind::Repartition,
                    operator: operator.clone(),
                });
            }
        }
        for subtopology in &self.subtopologies {
            for store in &subtopology.stores {
                topics.push(InternalTopic {
                    topic: self.changelog_topic(generation, &store.operator),
                    partitions: subtopology.partitions,
                    kind: InternalTopicKind::Changelog,
                    operator: store.operator.clone(),
                });
            }
        }
        topics
    }

    /// Topic of an input at a generation of the product.
    pub fn input_topic(&self, generation: u32, input: &Input) -> String {
        match &input.from {
            InputFrom::Port { topic, .. } => topic.clone(),
            InputFrom::Repartition { operator } => self.repartition_topic(generation, operator),
        }
    }

    /// Topic of a destination at a generation of the product.
    pub fn destination_topic(&self, generation: u32, destination: usize) -> String {
        match &self.destinations[destination].to {
            DestinationTo::Port { topic, .. } => topic.clone(),
            DestinationTo::Repartition { operator } => self.repartition_topic(generation, operator),
        }
    }

    /// Position of `errors` or `late` among the destinations.
    pub fn builtin(&self, wanted: PortRole) -> Option<usize> {
        self.destinations
            .iter()
            .position(|destination| matches!(&destination.to, DestinationTo::Port { role, .. } if *role == wanted))
    }

    /// Number of a task among the writers of a destination: its partition where one sub-topology writes the topic, its
    /// place among all tasks for `errors` and `late`.
    pub fn writer(&self, destination: usize, subtopology: usize, partition: u32) -> u32 {
        match &self.destinations[destination].to {
            DestinationTo::Port { role: PortRole::Errors | PortRole::Late, .. } => {
                let before: u32 = self.subtopologies[..subtopology].iter().map(|s| s.partitions).sum();
                before + partition
            }
            _ => partition,
        }
    }
}
