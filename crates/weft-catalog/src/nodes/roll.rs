//! What nodes say of themselves: saying it, reading it as it comes, and reading it once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Message, Offset, TopicPartitionList};
use weft_model::name::{MeshId, NodeName};
use weft_model::topic::{NODES, internal};

use super::{NodeRecord, group, node_of};
use crate::Connection;
use crate::error::CatalogError;
use crate::groups::Groups;
use crate::kafka::{DropBeside, QuietContext, blocking, broker_error, client_config};

const DOING: &str = "asking for the nodes of the mesh";
/// One look.
const STEP: Duration = Duration::from_millis(100);
/// Last words are waited for.
const FLUSH: Duration = Duration::from_secs(1);

/// The newest announcement of every node.
#[derive(Debug, Clone, Default)]
pub struct Roll {
    nodes: BTreeMap<NodeName, NodeSeen>,
}

/// A node as it was seen last.
#[derive(Debug, Clone)]
pub struct NodeSeen {
    /// What it said.
    pub record: NodeRecord,
    /// When that was heard here.
    pub at: Instant,
}

impl Roll {
    /// By name.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeSeen> {
        self.nodes.values()
    }

    /// What a node said last.
    pub fn node(&self, name: &NodeName) -> Option<&NodeRecord> {
        self.nodes.get(name).map(|seen| &seen.record)
    }

    fn take(&mut self, value: &[u8]) {
        match serde_json::from_slice::<NodeRecord>(value) {
            Ok(record) if record.v == NodeRecord::VERSION => {
                self.nodes.insert(record.node.clone(), NodeSeen { record, at: Instant::now() });
            }
            // A newer version says more than we know; what it is called is no use alone.
            Ok(_) | Err(_) => tracing::debug!("an announcement of another version"),
        }
    }
}

/// Says what a node does.
pub(super) struct Announcer {
    producer: BaseProducer,
    topic: String,
}

impl Announcer {
    pub(super) fn open(connection: &Connection, mesh: &MeshId) -> Result<Self, CatalogError> {
        let ours = [("client.id", "weft-node"), ("linger.ms", "0"), ("message.timeout.ms", "5000")];
        let producer = client_config(connection, &ours).create().map_err(|error| broker_error(DOING, &error))?;
        Ok(Self { producer, topic: internal(mesh, NODES) })
    }

    pub(super) fn send(&self, record: &NodeRecord) {
        self.producer.poll(Duration::ZERO);
        let value = serde_json::to_vec(record).expect("plain data");
        let record = BaseRecord::to(&self.topic).partition(0).key(record.node.as_str()).payload(&value);
        if let Err((error, _)) = self.producer.send(record) {
            tracing::debug!(%error, "an announcement is left out");
        }
    }

    pub(super) fn flush(&self) {
        let deadline = Instant::now() + FLUSH;
        while self.producer.in_flight_count() > 0 && Instant::now() < deadline {
            self.producer.poll(Duration::from_millis(1));
        }
    }
}

/// The thread that hears what others say.
pub(super) struct Reader {
    stop: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Reader {
    pub(super) fn start(connection: &Connection, mesh: &MeshId, roll: Arc<Mutex<Roll>>) -> Result<Self, CatalogError> {
        let consumer = consumer(connection, mesh)?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("weft-roll".to_owned())
            .spawn(move || {
                while !told.load(Ordering::Relaxed) {
                    match consumer.poll(STEP) {
                        Some(Ok(said)) => roll.lock().take(said.payload().unwrap_or_default()),
                        Some(Err(error)) if !matches!(error, KafkaError::PartitionEOF(_)) => {
                            tracing::debug!(%error, "nodes");
                        }
                        Some(Err(_)) | None => {}
                    }
                }
            })
            .map_err(|error| CatalogError::Kafka { doing: DOING, reason: error.to_string(), retriable: true })?;
        Ok(Self { stop, thread: Mutex::new(Some(thread)) })
    }

    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that hears of nodes had panicked");
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop();
    }
}

fn consumer(connection: &Connection, mesh: &MeshId) -> Result<DropBeside<BaseConsumer<QuietContext>>, CatalogError> {
    // The group is never joined; librdkafka asks for its name.
    let unused = format!("{}.reader", group(mesh));
    let ours = [
        ("group.id", unused.as_str()),
        ("enable.auto.commit", "false"),
        ("auto.offset.reset", "earliest"),
        ("enable.partition.eof", "true"),
        ("fetch.wait.max.ms", "500"),
    ];
    let consumer: BaseConsumer<QuietContext> = client_config(connection, &ours)
        .create_with_context(QuietContext)
        .map_err(|error| broker_error(DOING, &error))?;
    let mut from = TopicPartitionList::new();
    from.add_partition_offset(&internal(mesh, NODES), 0, Offset::Beginning)
        .map_err(|error| broker_error(DOING, &error))?;
    consumer.assign(&from).map_err(|error| broker_error(DOING, &error))?;
    Ok(DropBeside(Some(consumer)))
}

/// What every node said last, and which of them are alive. A mesh that never ran has none.
pub async fn read_roll(connection: &Connection, mesh: &MeshId) -> Result<(Roll, BTreeSet<NodeName>), CatalogError> {
    let (on, of) = (connection.clone(), mesh.clone());
    let roll = blocking(DOING, move || read_now(&on, &of)).await?;
    let members = Groups::open(connection)?.members(&group(mesh)).await?;
    let living = members.iter().filter_map(|member| node_of(&member.client_id)).collect();
    Ok((roll, living))
}

fn read_now(connection: &Connection, mesh: &MeshId) -> Result<Roll, CatalogError> {
    let consumer = consumer(connection, mesh)?;
    let topic = internal(mesh, NODES);
    let metadata = consumer.fetch_metadata(None, connection.timeout).map_err(|error| broker_error(DOING, &error))?;
    let mut roll = Roll::default();
    if !metadata.topics().iter().any(|found| found.name() == topic && !found.partitions().is_empty()) {
        return Ok(roll);
    }
    let deadline = Instant::now() + connection.timeout;
    loop {
        match consumer.poll(STEP) {
            Some(Ok(said)) => roll.take(said.payload().unwrap_or_default()),
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(roll),
            Some(Err(error)) if Instant::now() >= deadline => return Err(broker_error(DOING, &error)),
            None if Instant::now() >= deadline => {
                let reason = format!("no end after {} s", connection.timeout.as_secs());
                return Err(CatalogError::Kafka { doing: DOING, reason, retriable: true });
            }
            Some(Err(_)) | None => {}
        }
    }
}
