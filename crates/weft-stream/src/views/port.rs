//! What the views hold of one output port: its index, where its feed stands, and the fan-out of its live tail.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use weft_model::key;
use weft_model::product::{OutputPort, PortKind};
use weft_model::schema::Column;

use super::cell;
use super::index::{Change, Index};

/// One decoded record of a live tail; shared by all its readers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TailEvent {
    pub partition: u32,
    pub offset: i64,
    pub change: TailChange,
}

/// What the record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TailChange {
    /// A row as JSON.
    Row(String),
    /// The deleted key's columns as a JSON object.
    Delete(String),
}

/// Where the feed of a port stands.
#[derive(Debug, Default)]
pub(crate) struct Live {
    /// The feed reads the port now. Upsert ports always are; append ports while somebody listens.
    pub attached: bool,
    /// Next offset per partition.
    pub offsets: BTreeMap<u32, i64>,
}

/// One generation of one port.
pub(crate) struct PortView {
    pub port: OutputPort,
    pub generation: u32,
    pub topic_id: Option<String>,
    /// Of the topic as it is, not as the descriptor says.
    pub partitions: u32,
    /// Key columns, in key order, with their place in the row.
    key: Vec<(usize, Column)>,
    /// Upsert ports only.
    pub index: Option<Index>,
    pub live: Mutex<Live>,
    pub tail: broadcast::Sender<Arc<TailEvent>>,
    pub bad_records: AtomicU64,
    /// The feed left this generation: its streams end.
    pub retired: CancellationToken,
}

/// A record of the port's topic, decoded.
pub(crate) struct Decoded {
    pub change: TailChange,
    /// Upsert: what it does to the index.
    pub index: Option<Change>,
}

impl PortView {
    pub(crate) fn new(
        port: OutputPort,
        generation: u32,
        topic_id: Option<String>,
        partitions: u32,
        index: Option<Index>,
        stream_events: usize,
    ) -> Self {
        let key = port
            .key
            .iter()
            .filter_map(|name| {
                let at = port.schema.columns.iter().position(|column| column.name == *name)?;
                Some((at, port.schema.columns[at].clone()))
            })
            .collect();
        let (tail, _) = broadcast::channel(stream_events.max(1));
        Self {
            port,
            generation,
            topic_id,
            partitions,
            key,
            index,
            live: Mutex::new(Live::default()),
            tail,
            bad_records: AtomicU64::new(0),
            retired: CancellationToken::new(),
        }
    }

    /// Key columns in key order.
    pub(crate) fn key_columns(&self) -> impl Iterator<Item = &Column> {
        self.key.iter().map(|(_, column)| column)
    }

    pub(crate) fn upsert(&self) -> bool {
        self.port.kind == PortKind::Upsert
    }

    /// What one record means; `Err` says why it is no row of this port.
    pub(crate) fn decode(&self, key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Decoded, String> {
        if !self.upsert() {
            let value = value.ok_or("a null value on an append port")?;
            let (_, row) = cell::normal_row(value, &self.port.schema)?;
            return Ok(Decoded { change: TailChange::Row(row), index: None });
        }
        let key = key.ok_or("a null key on an upsert port")?;
        let columns: Vec<&Column> = self.key_columns().collect();
        let values = key::parse_key(key, &columns).map_err(|e| e.to_string())?;
        let mut ordered = Vec::with_capacity(16 * values.len());
        for value in &values {
            cell::write_ordered(value, &mut ordered);
        }
        let Some(value) = value else {
            let key = key::key_json(key, &columns).map_err(|e| e.to_string())?;
            return Ok(Decoded { change: TailChange::Delete(key), index: Some(Change { key: ordered, row: None }) });
        };
        let (cells, row) = cell::normal_row(value, &self.port.schema)?;
        for ((at, column), value) in self.key.iter().zip(&values) {
            if cells[*at] != *value {
                return Err(format!("column \"{}\" differs between key and value", column.name));
            }
        }
        Ok(Decoded { change: TailChange::Row(row.clone()), index: Some(Change { key: ordered, row: Some(row) }) })
    }

    pub(crate) fn count_bad(&self, partition: u32, offset: i64, because: &str) {
        let before = self.bad_records.fetch_add(1, Ordering::Relaxed);
        if before == 0 {
            tracing::warn!(topic = %self.port.topic, partition, offset, because, "record is no row of its port");
        }
    }
}
