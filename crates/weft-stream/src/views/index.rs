//! The index of one upsert port: a cache of its topic, stamped with the offsets it stands at.
//!
//! ```text
//!   one keyspace per port        00              → stamp (JSON): topic id, generation, schema digest, next offsets
//!                                01 ‖ ordered key → row (JSON, columns in contract order)
//! ```
//! Rows and stamp change in one batch, so a reader of one snapshot always has rows and the position they speak for.

use std::collections::BTreeMap;
use std::hash::Hash;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, Readable, Snapshot};
use serde::{Deserialize, Serialize};
use weft_model::product::OutputPort;

use super::error::QueryError;

const STAMP: &[u8] = &[0];
const ROW: u8 = 1;
const STAMP_VERSION: u32 = 1;

/// What an index stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    pub v: u32,
    pub topic: String,
    pub topic_id: Option<String>,
    pub generation: u32,
    /// Of the columns and the key: rows are kept in contract order, so another contract is another index.
    pub schema: u64,
    /// Next offset per partition.
    pub offsets: BTreeMap<u32, i64>,
    /// Records that were no rows.
    pub bad_records: u64,
}

impl Stamp {
    pub(crate) fn new(port: &OutputPort, topic_id: Option<String>, generation: u32) -> Self {
        Self {
            v: STAMP_VERSION,
            topic: port.topic.clone(),
            topic_id,
            generation,
            schema: schema_digest(port),
            offsets: BTreeMap::new(),
            bad_records: 0,
        }
    }

    /// Same topic, generation and contract; only the position may differ.
    fn same_port(&self, other: &Self) -> bool {
        self.v == other.v
            && self.topic == other.topic
            && self.topic_id == other.topic_id
            && self.generation == other.generation
            && self.schema == other.schema
    }
}

/// Stable within one build of Weft; another build at worst rebuilds a cache.
fn schema_digest(port: &OutputPort) -> u64 {
    let text = serde_json::to_string(&(&port.schema, &port.key)).expect("a schema is JSON");
    digest(&text)
}

/// A digest that is the same in every process.
pub(crate) fn digest(value: &impl Hash) -> u64 {
    ahash::RandomState::with_seeds(1, 2, 3, 4).hash_one(value)
}

/// One change of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// Ordered bytes of the key columns.
    pub key: Vec<u8>,
    /// The row, or `None` to delete.
    pub row: Option<String>,
}

/// The rows of one upsert port on disk.
#[derive(Clone)]
pub(crate) struct Index {
    database: Database,
    keyspace: Keyspace,
}

impl Index {
    /// Opens the port's index; one of another topic, generation or contract is thrown away first.
    pub(crate) fn open(database: &Database, name: &str, expected: Stamp) -> Result<(Self, Stamp), QueryError> {
        let open = || database.keyspace(name, KeyspaceCreateOptions::default);
        let keyspace = open()?;
        let found: Option<Stamp> = keyspace.get(STAMP)?.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some(found) = found.filter(|found| found.same_port(&expected)) {
            return Ok((Self { database: database.clone(), keyspace }, found));
        }
        if keyspace.first_key_value().is_some() {
            tracing::info!(port = name, "index rebuilt: topic, generation or contract changed");
        }
        let index = Self { database: database.clone(), keyspace };
        index.clear(&expected)?;
        Ok((index, expected))
    }

    /// Throws all rows away.
    pub(crate) fn clear(&self, stamp: &Stamp) -> Result<(), QueryError> {
        self.keyspace.clear()?;
        self.apply(&[], stamp)
    }

    /// Rows and stamp, at once.
    pub(crate) fn apply(&self, changes: &[Change], stamp: &Stamp) -> Result<(), QueryError> {
        let mut batch = self.database.batch();
        for change in changes {
            let key = stored_key(&change.key);
            match &change.row {
                Some(row) => batch.insert(&self.keyspace, key, row.as_bytes()),
                None => batch.remove(&self.keyspace, key),
            }
        }
        batch.insert(&self.keyspace, STAMP, serde_json::to_vec(stamp).expect("a stamp is JSON"));
        batch.commit()?;
        Ok(())
    }

    /// The position of a snapshot.
    pub(crate) fn stamp(&self, snapshot: &Snapshot) -> Result<Stamp, QueryError> {
        let bytes = snapshot.get(&self.keyspace, STAMP)?;
        bytes
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .ok_or_else(|| QueryError::Index { because: "the stamp is missing".to_owned() })
    }

    /// Rows whose ordered key lies in `[from, to)`, in key order; `to` = `None` is open.
    pub(crate) fn scan(&self, snapshot: &Snapshot, from: &[u8], to: Option<&[u8]>) -> Scan {
        let from = stored_key(from);
        let to = match to {
            Some(to) => stored_key(to),
            None => vec![ROW + 1],
        };
        // `range` panics on an inverted range; an empty one is all the same.
        let to = if to < from { from.clone() } else { to };
        Scan { rows: snapshot.range(&self.keyspace, from..to) }
    }

    /// Bytes on disk and in memory tables.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.keyspace.disk_space()
    }
}

fn stored_key(key: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(1 + key.len());
    stored.push(ROW);
    stored.extend(key);
    stored
}

/// The first byte string after all that start with `prefix`; `None` = there is none.
pub(crate) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut after = prefix.to_vec();
    while let Some(last) = after.pop() {
        if last < u8::MAX {
            after.push(last + 1);
            return Some(after);
        }
    }
    None
}

/// Rows in key order.
pub(crate) struct Scan {
    rows: fjall::Iter,
}

impl Iterator for Scan {
    type Item = Result<(Vec<u8>, fjall::UserValue), QueryError>;

    fn next(&mut self) -> Option<Self::Item> {
        let guard = self.rows.next()?;
        Some(guard.into_inner().map(|(key, value)| (key[1..].to_vec(), value)).map_err(QueryError::from))
    }
}
