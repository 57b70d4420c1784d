//! Our clients of Kafka: consumer, producer, admin, with the settings that exactly-once and a fast start need.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::executor::block_on;
use parking_lot::Mutex;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, TopicPartitionList};
use weft_model::cluster::TopicDefaults;
use weft_model::progress::{HEADER, RecordProgress};

use super::error::SessionError;
use super::tasks::Plan;
use crate::config::EngineOptions;
use crate::ir::{InternalTopic, InternalTopicKind};

/// Between two looks for acknowledgements: short beside an answer of the broker, long beside the look.
const ACKNOWLEDGED_WAIT: Duration = Duration::from_micros(200);

/// A change of the group's assignment, to be acted on by the loop (not inside the callback, where no commit may run).
#[derive(Debug)]
pub(crate) enum Rebalance {
    Assign(Vec<(String, u32)>),
    Revoke,
    Failed(String),
}

/// Notes rebalances; the loop calls `assign` or `unassign` when it has done its part, and the group waits for that.
#[derive(Default)]
pub(crate) struct GroupContext {
    pub rebalances: Mutex<Vec<Rebalance>>,
    /// The session is over: what is revoked is let go at once, or closing the consumer would wait for ever.
    pub closing: AtomicBool,
}

impl ClientContext for GroupContext {}

impl ConsumerContext for GroupContext {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, error: RDKafkaRespErr, list: &mut TopicPartitionList) {
        if self.closing.load(Ordering::Relaxed) {
            if let Err(error) = consumer.unassign() {
                tracing::debug!(%error, "closing");
            }
            return;
        }
        let noted = match error {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Rebalance::Assign(
                list.elements()
                    .iter()
                    .map(|element| (element.topic().to_owned(), element.partition().cast_unsigned()))
                    .collect(),
            ),
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => Rebalance::Revoke,
            other => Rebalance::Failed(format!("{other:?}")),
        };
        self.rebalances.lock().push(noted);
    }
}

/// A member of the group. Dropped, it lets its partitions go: a rebalance that was noted but not acted on would hold up
/// the closing for ever.
pub(crate) struct GroupConsumer(BaseConsumer<GroupContext>);

impl std::ops::Deref for GroupConsumer {
    type Target = BaseConsumer<GroupContext>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Drop for GroupConsumer {
    fn drop(&mut self) {
        self.context().closing.store(true, Ordering::Relaxed);
        if let Err(error) = self.unassign() {
            tracing::debug!(%error, "closing");
        }
    }
}

/// What a node's members of groups call themselves: the members of a product's group are the nodes that live.
pub(crate) fn client_id(slot: &str) -> String {
    format!("weft-engine/{slot}")
}

/// The product's consumer.
pub(crate) fn group_consumer(options: &EngineOptions, group: &str) -> Result<GroupConsumer, KafkaError> {
    let mut config = options.kafka.base(&client_id(&options.slot));
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_committed")
        .set("partition.assignment.strategy", "range")
        .set("session.timeout.ms", options.session_timeout_ms.to_string())
        .set("heartbeat.interval.ms", (options.session_timeout_ms / 6).max(100).to_string())
        .set("fetch.wait.max.ms", "100")
        .set("fetch.min.bytes", "1")
        .set("fetch.error.backoff.ms", "20")
        .set("fetch.queue.backoff.ms", "10")
        .set("queued.max.messages.kbytes", options.fetch_queue_kbytes.to_string());
    if options.static_membership {
        config.set("group.instance.id", format!("weft-{}", options.slot));
    }
    options.kafka.finish(config).create_with_context(GroupContext::default()).map(GroupConsumer)
}

/// A consumer that reads what it is told to: broadcast inputs, progress, changelogs.
pub(crate) fn plain_consumer(options: &EngineOptions, group: &str) -> Result<BaseConsumer, KafkaError> {
    options.kafka.finish(plain_config(options, group)).create()
}

/// The settings of [`plain_consumer`].
pub(crate) fn plain_config(options: &EngineOptions, group: &str) -> rdkafka::ClientConfig {
    let mut config = options.kafka.base("weft-engine");
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .set("fetch.wait.max.ms", "100")
        .set("fetch.error.backoff.ms", "20")
        .set("fetch.queue.backoff.ms", "10")
        .set("queued.max.messages.kbytes", "8192");
    config
}

/// Next offset per (topic, partition) of what was acknowledged, and the first refusal.
pub(crate) struct Deliveries {
    /// By channel; -1 = nothing acknowledged in this transaction.
    next: Mutex<Vec<Arc<AtomicI64>>>,
    failed: Mutex<Option<KafkaError>>,
    pub acknowledged: AtomicU64,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, channel: usize) {
        match result {
            Ok(message) => {
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
                if let Some(next) = self.next.lock().get(channel) {
                    next.fetch_max(message.offset() + 1, Ordering::Relaxed);
                }
            }
            Err((error, _)) => {
                self.failed.lock().get_or_insert_with(|| error.clone());
            }
        }
    }
}

/// The product's transactional producer, and where each of its partitions stands.
pub(crate) struct TransactionalProducer {
    producer: BaseProducer<Deliveries>,
    /// By topic and partition.
    channels: HashMap<String, Vec<Option<usize>>>,
    /// By channel: next offset, if this producer wrote there in this or an earlier transaction, or looked it up.
    known: Vec<Option<i64>>,
    open: bool,
    timeout: Duration,
    pub produced: u64,
}

impl TransactionalProducer {
    /// Aborts what whoever had this id left open.
    pub(crate) fn fence(options: &EngineOptions, transactional_id: &str) -> Result<(), SessionError> {
        Self::start(options, transactional_id).map(drop)
    }

    /// Fences every predecessor of the same id and aborts what it left open.
    pub(crate) fn start(options: &EngineOptions, transactional_id: &str) -> Result<Self, SessionError> {
        let mut config = options.kafka.base("weft-engine");
        let timeout_ms = options.transaction_timeout_ms.to_string();
        config
            .set("transactional.id", transactional_id)
            .set("transaction.timeout.ms", &timeout_ms)
            .set("message.timeout.ms", &timeout_ms)
            .set("linger.ms", "2")
            .set("batch.size", "1000000")
            .set("queue.buffering.max.messages", "0")
            .set("queue.buffering.max.kbytes", options.produce_queue_kbytes.to_string());
        let deliveries =
            Deliveries { next: Mutex::default(), failed: Mutex::default(), acknowledged: AtomicU64::new(0) };
        let producer: BaseProducer<Deliveries> = options
            .kafka
            .finish(config)
            .create_with_context(deliveries)
            .map_err(|e| SessionError::Failed(format!("the producer cannot be made: {e}")))?;
        let timeout = Duration::from_millis(options.request_timeout_ms);
        producer.init_transactions(timeout).map_err(|e| SessionError::of("init transactions", &e))?;
        Ok(Self { producer, channels: HashMap::new(), known: Vec::new(), open: false, timeout, produced: 0 })
    }

    fn deliveries(&self) -> &Deliveries {
        self.producer.context()
    }

    /// What an error means. Once the producer is fenced every call and every record fails, most of them with a code that
    /// says only that something did; the reason is that of the client.
    fn error(&self, what: &str, error: &KafkaError) -> SessionError {
        match self.producer.client().fatal_error() {
            Some((code, reason)) => {
                tracing::debug!(what, %error, reason, "the producer cannot go on");
                SessionError::of(what, &KafkaError::MessageProduction(code))
            }
            None => SessionError::of(what, error),
        }
    }

    fn channel(&mut self, topic: &str, partition: u32) -> usize {
        if let Some(channel) = self.find(topic, partition) {
            return channel;
        }
        let channel = self.known.len();
        self.known.push(None);
        self.deliveries().next.lock().push(Arc::new(AtomicI64::new(-1)));
        let partitions = self.channels.entry(topic.to_owned()).or_default();
        let at = partition as usize;
        if partitions.len() <= at {
            partitions.resize(at + 1, None);
        }
        partitions[at] = Some(channel);
        channel
    }

    fn find(&self, topic: &str, partition: u32) -> Option<usize> {
        *self.channels.get(topic)?.get(partition as usize)?
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Opens a transaction unless one is open.
    pub(crate) fn begin(&mut self) -> Result<(), SessionError> {
        if !self.open {
            self.producer.begin_transaction().map_err(|e| self.error("begin transaction", &e))?;
            self.open = true;
        }
        Ok(())
    }

    /// Hands one record over; waits while the queue is full.
    pub(crate) fn send(
        &mut self,
        topic: &str,
        partition: u32,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp_ms: Option<i64>,
        progress: Option<RecordProgress>,
    ) -> Result<(), SessionError> {
        let channel = self.channel(topic, partition);
        let mut record: BaseRecord<'_, [u8], [u8], usize> =
            BaseRecord::with_opaque_to(topic, channel).partition(partition.cast_signed());
        record.key = key;
        record.payload = value;
        record.timestamp = timestamp_ms;
        if let Some(progress) = progress {
            let encoded = progress.encode();
            record.headers =
                Some(OwnedHeaders::new_with_capacity(1).insert(Header { key: HEADER, value: Some(&encoded[..]) }));
        }
        let deadline = Instant::now() + self.timeout;
        loop {
            match self.producer.send(record) {
                Ok(()) => {
                    self.produced += 1;
                    return Ok(());
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if Instant::now() < deadline =>
                {
                    record = back;
                    self.acknowledge();
                }
                Err((error, _)) => return Err(self.error("produce", &error)),
            }
        }
    }

    /// Serves acknowledgements.
    pub(crate) fn poll(&self) {
        self.producer.poll(Duration::ZERO);
    }

    /// Polls until nothing is in flight. `Producer::flush`, which a commit calls too, polls for 100 ms at a time whatever
    /// is acknowledged meanwhile (rdkafka 0.39), so it is called when there is nothing left to wait for.
    fn drain(&self) {
        let deadline = Instant::now() + self.timeout;
        while self.producer.in_flight_count() > 0 && Instant::now() < deadline {
            self.acknowledge();
        }
    }

    /// Serves acknowledgements, or waits a moment for some. Not `poll` with a timeout: it never returns early, and what
    /// is left of it below a millisecond it spends spinning (rdkafka 0.39); that was a fifth of the engine's time.
    fn acknowledge(&self) {
        let before = self.producer.in_flight_count();
        self.producer.poll(Duration::ZERO);
        if self.producer.in_flight_count() == before {
            std::thread::sleep(ACKNOWLEDGED_WAIT);
        }
    }

    /// Waits until everything sent is acknowledged.
    pub(crate) fn flush(&mut self) -> Result<(), SessionError> {
        self.drain();
        self.producer.flush(self.timeout).map_err(|e| self.error("flush", &e))?;
        if let Some(error) = self.deliveries().failed.lock().take() {
            return Err(self.error("produce", &error));
        }
        let next = self.producer.context().next.lock();
        for (known, next) in self.known.iter_mut().zip(next.iter()) {
            let acknowledged = next.load(Ordering::Relaxed);
            if acknowledged >= 0 {
                *known = Some(acknowledged);
            }
        }
        Ok(())
    }

    /// Remembers where a partition ends that this producer has not written to.
    pub(crate) fn learn(&mut self, topic: &str, partition: u32, next: i64) {
        let channel = self.channel(topic, partition);
        self.known[channel].get_or_insert(next);
    }

    /// Offset after the last record this producer wrote to a partition, or learnt of.
    pub(crate) fn known(&self, topic: &str, partition: u32) -> Option<i64> {
        self.known[self.find(topic, partition)?]
    }

    pub(crate) fn send_offsets(
        &self,
        offsets: &TopicPartitionList,
        group: &rdkafka::consumer::ConsumerGroupMetadata,
    ) -> Result<(), SessionError> {
        self.producer
            .send_offsets_to_transaction(offsets, group, self.timeout)
            .map_err(|e| self.error("send offsets", &e))
    }

    /// The point of no return. On any error the outcome is unknown: the caller starts over.
    pub(crate) fn commit(&mut self) -> Result<(), SessionError> {
        self.drain();
        self.producer.commit_transaction(self.timeout).map_err(|e| self.error("commit", &e))?;
        self.open = false;
        Ok(())
    }

    /// Best effort: what cannot be aborted here is aborted by the next `init_transactions` or by its timeout.
    pub(crate) fn abort(&mut self) {
        if self.open {
            self.open = false;
            if let Err(error) = self.producer.abort_transaction(self.timeout) {
                tracing::debug!(%error, "abort");
            }
        }
    }
}

/// Creates what is missing, and asks the controller for nothing if nothing is: after an outage of the Kafka it is the last
/// that answers again. Idempotent.
pub(crate) fn create_topics(
    admin: &AdminClient<DefaultClientContext>,
    topics: &[InternalTopic],
    defaults: TopicDefaults,
    timeout: Duration,
) -> Result<(), SessionError> {
    let metadata =
        admin.inner().fetch_metadata(None, timeout).map_err(|e| SessionError::of("look for internal topics", &e))?;
    let is_there = |name: &str| metadata.topics().iter().any(|found| found.name() == name);
    let missing: Vec<&InternalTopic> = topics.iter().filter(|topic| !is_there(&topic.topic)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    // -1: as many copies as the broker's own default.
    let copies = defaults.replication_factor.map_or(-1, i32::from);
    let least = defaults.min_insync_replicas.map(|least| least.to_string());
    let new: Vec<NewTopic<'_>> = missing
        .into_iter()
        .map(|topic| {
            let cleanup = match topic.kind {
                InternalTopicKind::Changelog => "compact",
                InternalTopicKind::Repartition => "delete",
            };
            let new = NewTopic::new(&topic.topic, topic.partitions.cast_signed(), TopicReplication::Fixed(copies))
                .set("cleanup.policy", cleanup)
                .set("retention.ms", "-1")
                .set("message.timestamp.after.max.ms", "9223372036854775807");
            match &least {
                Some(least) => new.set("min.insync.replicas", least),
                None => new,
            }
        })
        .collect();
    let options = AdminOptions::new().request_timeout(Some(timeout)).operation_timeout(Some(timeout));
    let results = block_on(admin.create_topics(&new, &options)).map_err(|e| SessionError::of("create topics", &e))?;
    for result in results {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => {
                return Err(SessionError::StartOver(format!("create topic \"{topic}\": {code}")));
            }
        }
    }
    Ok(())
}

/// Between two looks for topics.
const TOPICS_WAIT: Duration = Duration::from_millis(20);

/// Waits until the broker shows every input topic, and with the partitions that the program was compiled for. On several
/// brokers a topic that was just created shows a moment later; whoever joined a group before that would share out only
/// what it knows, and look again half a minute later.
pub(crate) fn wait_for_topics(
    consumer: &GroupConsumer,
    plan: &Plan,
    timeout: Duration,
    stop: &AtomicBool,
) -> Result<(), SessionError> {
    let deadline = Instant::now() + timeout;
    loop {
        let metadata =
            consumer.client().fetch_metadata(None, timeout).map_err(|e| SessionError::of("look for topics", &e))?;
        let found: HashMap<&str, usize> =
            metadata.topics().iter().map(|topic| (topic.name(), topic.partitions().len())).collect();
        let mut missing = None;
        for (topic, partitions) in plan.inputs() {
            match found.get(topic) {
                Some(&count) if count == partitions as usize => {}
                Some(0) | None => missing = Some(topic),
                Some(count) => {
                    return Err(SessionError::Failed(format!(
                        "topic \"{topic}\" has {count} partitions, and the product was planned for {partitions}"
                    )));
                }
            }
        }
        let Some(topic) = missing else { return Ok(()) };
        if stop.load(Ordering::Relaxed) {
            return Err(SessionError::Stopped);
        }
        if Instant::now() > deadline {
            return Err(SessionError::StartOver(format!("topic \"{topic}\" is not there")));
        }
        std::thread::sleep(TOPICS_WAIT);
    }
}

/// Deletes the records of repartition topics that every reader is past. Best effort: the next call covers more.
pub(crate) fn purge(admin: &AdminClient<DefaultClientContext>, below: &TopicPartitionList, timeout: Duration) {
    if below.count() == 0 {
        return;
    }
    let options = AdminOptions::new().request_timeout(Some(timeout)).operation_timeout(Some(timeout));
    if let Err(error) = block_on(admin.delete_records(below, &options)) {
        tracing::debug!(%error, "repartition topics are purged later");
    }
}

/// The header `weft` of a record.
pub(crate) fn record_progress<M: Message>(message: &M) -> Option<RecordProgress> {
    let headers = message.headers()?;
    headers.iter().find(|header| header.key == HEADER)?.value.and_then(RecordProgress::decode)
}

pub(crate) fn owned(bytes: Option<&[u8]>) -> Option<Bytes> {
    bytes.map(Bytes::copy_from_slice)
}
