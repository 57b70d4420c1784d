//! The feed: one thread, one consumer, every index.
//!
//! ```text
//!   topics of upsert ports ─┐                      ┌─► index (rows + stamp, one batch)
//!   topics listened to now ─┼─► consumer ─► decode ┤
//!   progress topic ─────────┘  read_committed      └─► tail of the port (fan-out, bounded, never waits)
//! ```
//! Order per port: index first, then `live.offsets` and the fan-out under one lock. So a stream that takes a snapshot of
//! the index and then listens sees every change exactly once by skipping offsets it already has.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Message, Offset, TopicPartitionList};
use tokio::sync::oneshot;
use weft_model::name::PortId;
use weft_model::product::OutputPort;
use weft_model::progress::{ProgressKey, ProgressValue};
use weft_model::topic;

use super::error::QueryError;
use super::index::{Index, Stamp};
use super::port::{PortView, TailEvent};
use super::topic_id::topic_ids;
use super::{Shared, Slot};

/// How long a poll waits; also how long a command waits.
const POLL: Duration = Duration::from_millis(10);
/// How often missing topics are looked for.
const PENDING_EVERY: Duration = Duration::from_millis(100);
/// How often topic ids are compared, and tails without listeners detached.
const CHECK_EVERY: Duration = Duration::from_secs(10);
/// One answer of a broker, at most.
const REQUEST: Duration = Duration::from_secs(5);

/// What others ask of the feed.
pub(crate) enum Command {
    /// These ports, and no others.
    Ports(BTreeMap<PortId, (OutputPort, u32)>, oneshot::Sender<()>),
    /// Read this append port live from now on.
    Attach(PortId, oneshot::Sender<Result<(), QueryError>>),
    /// End.
    Stop,
}

pub(crate) struct Feed {
    shared: Arc<Shared>,
    consumer: BaseConsumer,
    commands: Receiver<Command>,
    wanted: BTreeMap<PortId, (OutputPort, u32)>,
    by_topic: HashMap<String, Arc<PortView>>,
    progress_topic: String,
    progress_assigned: bool,
    checked: Instant,
    looked: Instant,
}

struct Taken {
    partition: u32,
    offset: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
}

impl Feed {
    pub(crate) fn new(shared: Arc<Shared>, consumer: BaseConsumer, commands: Receiver<Command>) -> Self {
        let progress_topic = topic::internal(&shared.options.mesh, topic::PROGRESS);
        Self {
            shared,
            consumer,
            commands,
            wanted: BTreeMap::new(),
            by_topic: HashMap::new(),
            progress_topic,
            progress_assigned: false,
            checked: Instant::now(),
            looked: Instant::now(),
        }
    }

    /// The thread.
    pub(crate) fn run(mut self) {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Ports(wanted, done)) => {
                    self.wanted = wanted;
                    self.resolve();
                    // Nobody waiting is nobody to tell.
                    let _ = done.send(());
                }
                Ok(Command::Attach(port, done)) => {
                    let _ = done.send(self.attach(&port));
                }
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => return,
                Err(TryRecvError::Empty) => {}
            }
            let pending = !self.progress_assigned || self.shared.ports.read().values().any(|slot| slot.view.is_none());
            if pending && !self.wanted.is_empty() && self.looked.elapsed() >= PENDING_EVERY
                || self.checked.elapsed() >= CHECK_EVERY
            {
                self.resolve();
                self.detach_idle();
            }
            self.poll();
        }
    }

    /// Makes the views match the wanted ports and the topics as they are.
    fn resolve(&mut self) {
        self.looked = Instant::now();
        self.checked = Instant::now();
        let partitions = match self.consumer.fetch_metadata(None, REQUEST) {
            Ok(metadata) => metadata
                .topics()
                .iter()
                .filter(|topic| topic.error().is_none())
                .map(|topic| (topic.name().to_owned(), u32::try_from(topic.partitions().len()).unwrap_or(0)))
                .collect::<HashMap<String, u32>>(),
            Err(error) => {
                self.publish_missing(&error.to_string());
                return;
            }
        };
        if !self.progress_assigned && partitions.contains_key(&self.progress_topic) {
            let from_start = [(0, Offset::Beginning)];
            match self.assign(&self.progress_topic, from_start) {
                Ok(()) => self.progress_assigned = true,
                Err(error) => tracing::warn!(%error, topic = %self.progress_topic, "cannot read progress"),
            }
        }
        let topics: Vec<&str> = self.wanted.values().map(|(port, _)| port.topic.as_str()).collect();
        let present: Vec<&str> = topics.into_iter().filter(|topic| partitions.contains_key(*topic)).collect();
        let ids = topic_ids(self.consumer.client(), &present, REQUEST);

        let before = self.shared.ports.read().clone();
        let mut slots = BTreeMap::new();
        let mut by_topic = HashMap::new();
        for (id, (port, generation)) in &self.wanted {
            let Some(count) = partitions.get(&port.topic).copied().filter(|count| *count > 0) else {
                let why = format!("topic \"{}\" does not exist", port.topic);
                slots.insert(id.clone(), Slot { port: port.clone(), view: None, why });
                continue;
            };
            let topic_id = ids.get(&port.topic).cloned();
            let kept = before.get(id).and_then(|slot| slot.view.clone()).filter(|view| {
                view.port == *port
                    && view.generation == *generation
                    && view.topic_id == topic_id
                    && view.partitions == count
            });
            let view = match kept {
                Some(view) => Ok(view),
                None => {
                    if let Some(old) = before.get(id).and_then(|slot| slot.view.as_ref()) {
                        self.unassign(old);
                        old.retired.cancel();
                    }
                    self.open(id, port, *generation, topic_id, count)
                }
            };
            let (view, why) = match view {
                Ok(view) => {
                    by_topic.insert(port.topic.clone(), Arc::clone(&view));
                    (Some(view), String::new())
                }
                Err(error) => (None, error.to_string()),
            };
            slots.insert(id.clone(), Slot { port: port.clone(), view, why });
        }
        for (id, slot) in &before {
            if let Some(view) = &slot.view
                && !self.wanted.contains_key(id)
            {
                self.unassign(view);
                view.retired.cancel();
            }
        }
        self.by_topic = by_topic;
        *self.shared.ports.write() = slots;
    }

    /// The cluster did not answer: ports that were never resolved say so.
    fn publish_missing(&self, because: &str) {
        let mut slots = self.shared.ports.write();
        slots.retain(|id, _| self.wanted.contains_key(id));
        for (id, (port, _)) in &self.wanted {
            slots.entry(id.clone()).or_insert_with(|| Slot { port: port.clone(), view: None, why: because.to_owned() });
        }
    }

    fn open(
        &self,
        id: &PortId,
        port: &OutputPort,
        generation: u32,
        topic_id: Option<String>,
        partitions: u32,
    ) -> Result<Arc<PortView>, QueryError> {
        let events = self.shared.options.stream_events;
        let new =
            |index| Arc::new(PortView::new(port.clone(), generation, topic_id.clone(), partitions, index, events));
        let expected = Stamp::new(port, topic_id.clone(), generation);
        if port.kind == weft_model::product::PortKind::Append {
            return Ok(new(None));
        }
        let database = &self.shared.database;
        let (index, mut stamp) = Index::open(database, &id.to_string(), expected.clone())?;
        let unavailable =
            |error: KafkaError| QueryError::Unavailable { port: id.to_string(), because: error.to_string() };
        if !stamp.offsets.is_empty() {
            // Behind the log's start something may have been deleted that we still hold; beyond its end it is another log.
            for (partition, offset) in &stamp.offsets {
                let (low, high) = self
                    .consumer
                    .fetch_watermarks(&port.topic, partition.cast_signed(), REQUEST)
                    .map_err(unavailable)?;
                if *offset < low || *offset > high {
                    stamp = expected.clone();
                    index.clear(&stamp)?;
                    break;
                }
            }
        }
        for partition in 0..partitions {
            stamp.offsets.entry(partition).or_insert(0);
        }
        index.apply(&[], &stamp)?;
        let from: Vec<(u32, Offset)> = stamp
            .offsets
            .iter()
            .map(|(partition, offset)| {
                (*partition, if *offset == 0 { Offset::Beginning } else { Offset::Offset(*offset) })
            })
            .collect();
        let view = new(Some(index));
        *view.live.lock() = super::port::Live { attached: true, offsets: stamp.offsets };
        self.assign(&port.topic, from).map_err(unavailable)?;
        Ok(view)
    }

    fn attach(&mut self, id: &PortId) -> Result<(), QueryError> {
        let unavailable = |because: String| QueryError::Unavailable { port: id.to_string(), because };
        let view = match self.shared.ports.read().get(id) {
            Some(Slot { view: Some(view), .. }) => Arc::clone(view),
            Some(slot) => return Err(unavailable(slot.why.clone())),
            None => return Err(QueryError::UnknownPort { port: id.to_string() }),
        };
        if view.live.lock().attached {
            return Ok(());
        }
        let mut offsets = BTreeMap::new();
        for partition in 0..view.partitions {
            let (_, end) = self
                .consumer
                .fetch_watermarks(&view.port.topic, partition.cast_signed(), REQUEST)
                .map_err(|e| unavailable(e.to_string()))?;
            offsets.insert(partition, end);
        }
        let from: Vec<(u32, Offset)> = offsets.iter().map(|(p, o)| (*p, Offset::Offset(*o))).collect();
        *view.live.lock() = super::port::Live { attached: true, offsets };
        self.assign(&view.port.topic, from).map_err(|e| unavailable(e.to_string()))
    }

    /// Append ports that nobody listens to any more.
    fn detach_idle(&self) {
        for view in self.by_topic.values() {
            if !view.upsert() && view.tail.receiver_count() == 0 && view.live.lock().attached {
                self.unassign(view);
                view.live.lock().attached = false;
            }
        }
    }

    fn assign(&self, topic: &str, from: impl IntoIterator<Item = (u32, Offset)>) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in from {
            list.add_partition_offset(topic, partition.cast_signed(), offset)?;
        }
        self.consumer.incremental_assign(&list)
    }

    fn unassign(&self, view: &PortView) {
        if !view.live.lock().attached {
            return;
        }
        let mut list = TopicPartitionList::new();
        for partition in 0..view.partitions {
            list.add_partition(&view.port.topic, partition.cast_signed());
        }
        if let Err(error) = self.consumer.incremental_unassign(&list) {
            tracing::warn!(%error, topic = %view.port.topic, "cannot leave topic");
        }
    }

    /// Reads what is there, and applies it port by port.
    fn poll(&self) {
        let mut taken: HashMap<String, Vec<Taken>> = HashMap::new();
        let mut wait = POLL;
        for _ in 0..self.shared.options.feed_batch_records.max(1) {
            match self.consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    let record = Taken {
                        partition: message.partition().cast_unsigned(),
                        offset: message.offset(),
                        key: message.key().map(<[u8]>::to_vec),
                        value: message.payload().map(<[u8]>::to_vec),
                    };
                    match taken.get_mut(message.topic()) {
                        Some(records) => records.push(record),
                        None => {
                            taken.insert(message.topic().to_owned(), vec![record]);
                        }
                    }
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "the feed's consumer reports");
                    break;
                }
            }
            wait = Duration::ZERO;
        }
        for (topic, records) in taken {
            if topic == self.progress_topic {
                self.take_progress(&records);
            } else if let Some(view) = self.by_topic.get(&topic)
                && let Err(error) = self.take_rows(view, records)
            {
                tracing::error!(%error, topic, "index cannot be written; it stays where it stands");
            }
        }
    }

    fn take_progress(&self, records: &[Taken]) {
        let mut progress = self.shared.progress.lock();
        for record in records {
            let Some(key) = record.key.as_deref().and_then(|k| serde_json::from_slice::<ProgressKey>(k).ok()) else {
                continue;
            };
            let value = record.value.as_deref().and_then(|v| serde_json::from_slice::<ProgressValue>(v).ok());
            progress.take(&key, value.as_ref());
        }
    }

    fn take_rows(&self, view: &PortView, records: Vec<Taken>) -> Result<(), QueryError> {
        let mut offsets = view.live.lock().offsets.clone();
        let mut changes = Vec::new();
        let mut events = Vec::with_capacity(records.len());
        for record in records {
            let next = offsets.entry(record.partition).or_insert(0);
            if record.offset < *next {
                continue;
            }
            *next = record.offset + 1;
            match view.decode(record.key.as_deref(), record.value.as_deref()) {
                Ok(decoded) => {
                    changes.extend(decoded.index);
                    events.push(TailEvent {
                        partition: record.partition,
                        offset: record.offset,
                        change: decoded.change,
                    });
                }
                Err(because) => view.count_bad(record.partition, record.offset, &because),
            }
        }
        if let Some(index) = &view.index {
            let mut stamp = Stamp::new(&view.port, view.topic_id.clone(), view.generation);
            stamp.offsets.clone_from(&offsets);
            stamp.bad_records = view.bad_records.load(std::sync::atomic::Ordering::Relaxed);
            index.apply(&changes, &stamp)?;
        }
        let mut live = view.live.lock();
        live.offsets = offsets;
        if view.tail.receiver_count() > 0 {
            for event in events {
                // Fails only when the last listener has just left.
                let _ = view.tail.send(Arc::new(event));
            }
        }
        Ok(())
    }
}
