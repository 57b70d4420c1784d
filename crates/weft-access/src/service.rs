//! Reading the audit topic for ever, and writing to it.
//!
//! ```text
//!   make the topic ─► read from offset 0 ─┬─ record ─► fold ─► state, changes + 1
//!                                         └─ end of the topic ─► ready
//! ```
//! Following has a thread of its own, since librdkafka's polling blocks; it ends when the last handle is gone.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use serde::Deserialize;
use uuid::Uuid;

use crate::Options;
use crate::error::AccessError;
use crate::handle::Shared;
use crate::record::{Change, Event, Hand, VERSION};
use crate::state::{State, Taken};

/// Pause between two attempts to begin.
const PAUSE: Duration = Duration::from_millis(200);
/// Longest wait of one poll: how soon the thread sees that nobody listens any more.
const POLL: Duration = Duration::from_millis(100);
/// Records of the last moments, known by their ids to whoever wrote them.
const RECENT_MAX: usize = 256;

/// What the newest records came to.
#[derive(Debug, Default)]
pub(crate) struct Recent(VecDeque<(Uuid, Taken)>);

impl Recent {
    fn push(&mut self, id: Uuid, taken: Taken) {
        if self.0.len() == RECENT_MAX {
            self.0.pop_front();
        }
        self.0.push_back((id, taken));
    }

    fn of(&self, id: Uuid) -> Option<Taken> {
        self.0.iter().find(|(known, _)| *known == id).map(|(_, taken)| taken.clone())
    }
}

/// Begins to follow.
pub(crate) fn start(shared: &Arc<Shared>) {
    let followed = Arc::downgrade(shared);
    let spawned = std::thread::Builder::new().name("audit follow".to_owned()).spawn(move || follow(&followed));
    if let Err(error) = spawned {
        let broken = AccessError::Kafka { doing: "following the audit topic", reason: error.to_string() };
        shared.seen.send_modify(|seen| seen.broken = Some(broken));
    }
}

fn follow(shared: &Weak<Shared>) {
    let consumer = loop {
        let Some(shared) = shared.upgrade() else { return };
        match open(&shared.options) {
            Ok(consumer) => break consumer,
            Err(error) => {
                tracing::debug!(%error, "the audit topic cannot be read yet");
                shared.seen.send_modify(|seen| seen.trouble = Some(error));
            }
        }
        drop(shared);
        std::thread::sleep(PAUSE);
    };
    let mut state = State::default();
    let mut is_ready = false;
    loop {
        let polled = consumer.poll(POLL);
        let Some(shared) = shared.upgrade() else { return };
        match polled {
            None => {}
            Some(Ok(record)) => {
                if let Err(error) = take(&shared, &mut state, record.offset(), record.payload()) {
                    tracing::error!(%error, "the audit topic is read no further, and every client is put out");
                    *shared.state.write() = Arc::default();
                    shared.seen.send_modify(|seen| seen.broken = Some(error));
                    return;
                }
                // What came before the start is shown as a whole: a copy per record would make a long topic slow.
                if is_ready {
                    show(&shared, &state);
                }
            }
            Some(Err(KafkaError::PartitionEOF(_))) if !is_ready => {
                is_ready = true;
                show(&shared, &state);
            }
            Some(Err(KafkaError::PartitionEOF(_))) => {}
            Some(Err(error)) => tracing::debug!(%error, "following the audit topic; librdkafka tries again"),
        }
    }
}

fn show(shared: &Shared, state: &State) {
    *shared.state.write() = Arc::new(state.clone());
    shared.seen.send_modify(|seen| {
        seen.changes += 1;
        seen.ready = true;
    });
}

fn take(shared: &Shared, state: &mut State, offset: i64, payload: Option<&[u8]>) -> Result<(), AccessError> {
    let event = parse(payload.unwrap_or_default()).map_err(|reason| AccessError::Unreadable { offset, reason })?;
    let taken = state.take(offset, &event);
    if let Some(refusal) = &taken.refused {
        tracing::debug!(offset, %refusal, "a record of the audit topic has no effect");
    }
    shared.taken.lock().push(event.id, taken);
    Ok(())
}

/// A record, if this version knows its shape.
pub(crate) fn parse(payload: &[u8]) -> Result<Event, String> {
    #[derive(Deserialize)]
    struct Versioned {
        v: u32,
    }
    let Versioned { v } = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
    if v > VERSION {
        return Err(format!("it has version {v}, this weft knows versions up to {VERSION}"));
    }
    serde_json::from_slice(payload).map_err(|error| error.to_string())
}

/// librdkafka logs through us, quietly: what matters comes back as errors.
struct QuietContext;

impl rdkafka::ClientContext for QuietContext {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        tracing::debug!(?level, fac, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
    }
}

impl ConsumerContext for QuietContext {}

fn config(options: &Options, ours: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &options.bootstrap);
    config.set("reconnect.backoff.ms", "20").set("reconnect.backoff.max.ms", "1000");
    for (key, value) in ours {
        config.set(*key, *value);
    }
    for (key, value) in &options.client {
        config.set(key, value);
    }
    config
}

fn kafka_error(doing: &'static str, error: &KafkaError) -> AccessError {
    AccessError::Kafka { doing, reason: error.to_string() }
}

/// A consumer of the topic from its beginning; the topic is made if it is not there.
fn open(options: &Options) -> Result<BaseConsumer<QuietContext>, AccessError> {
    const DOING: &str = "reading the audit topic";
    let topic = options.topic();
    let group = format!("{topic}.follow");
    let ours = [
        ("group.id", group.as_str()),
        ("enable.auto.commit", "false"),
        ("auto.offset.reset", "earliest"),
        ("enable.partition.eof", "true"),
        // A broker answers at once when something comes; this is only how long it keeps an empty answer.
        ("fetch.wait.max.ms", "250"),
        ("fetch.error.backoff.ms", "20"),
    ];
    let consumer: BaseConsumer<QuietContext> =
        config(options, &ours).create_with_context(QuietContext).map_err(|error| kafka_error(DOING, &error))?;
    // All topics: asking by name would create one on a broker that auto-creates.
    let metadata = consumer.fetch_metadata(None, options.timeout).map_err(|error| kafka_error(DOING, &error))?;
    if !metadata.topics().iter().any(|found| found.name() == topic && !found.partitions().is_empty()) {
        create(options, &topic)?;
    }
    let mut from = TopicPartitionList::new();
    from.add_partition_offset(&topic, 0, Offset::Beginning).map_err(|error| kafka_error(DOING, &error))?;
    consumer.assign(&from).map_err(|error| kafka_error(DOING, &error))?;
    Ok(consumer)
}

/// One partition, because its order decides; kept for ever, because it is the truth.
fn create(options: &Options, topic: &str) -> Result<(), AccessError> {
    const DOING: &str = "making the audit topic";
    let admin: AdminClient<DefaultClientContext> =
        config(options, &[]).create().map_err(|error| kafka_error(DOING, &error))?;
    // -1: as many copies as the broker's own default (KIP-464).
    let copies = TopicReplication::Fixed(options.topics.replication_factor.map_or(-1, i32::from));
    let least = options.topics.min_insync_replicas.map(|least| least.to_string());
    let mut new = NewTopic::new(topic, 1, copies).set("cleanup.policy", "delete").set("retention.ms", "-1");
    new = new.set("retention.bytes", "-1");
    if let Some(least) = &least {
        new = new.set("min.insync.replicas", least);
    }
    let wait = AdminOptions::new().request_timeout(Some(options.timeout)).operation_timeout(Some(options.timeout));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| AccessError::Kafka { doing: DOING, reason: error.to_string() })?;
    let made = runtime.block_on(admin.create_topics(&[new], &wait)).map_err(|error| kafka_error(DOING, &error))?;
    match made.into_iter().next() {
        Some(Err((_, code))) if code != RDKafkaErrorCode::TopicAlreadyExists => {
            Err(AccessError::Kafka { doing: DOING, reason: code.to_string() })
        }
        _ => Ok(()),
    }
}

/// Made once and kept: connecting and logging in takes longer than writing. Not idempotent, which would cost half a second
/// at first: a record that a retry wrote twice has no effect the second time.
fn producer(shared: &Shared) -> Result<FutureProducer, KafkaError> {
    let mut kept = shared.producer.lock();
    if let Some(producer) = &*kept {
        return Ok(producer.clone());
    }
    let timeout_ms = shared.options.timeout.as_millis().to_string();
    let ours = [("acks", "all"), ("linger.ms", "0"), ("message.timeout.ms", timeout_ms.as_str())];
    let producer: FutureProducer = config(&shared.options, &ours).create()?;
    *kept = Some(producer.clone());
    Ok(producer)
}

/// Appends a record and waits until the follower has folded it.
pub(crate) async fn write(shared: &Arc<Shared>, hand: &Hand, change: Change) -> Result<Taken, AccessError> {
    const DOING: &str = "writing to the audit topic";
    let late = || AccessError::Kafka { doing: DOING, reason: "the record did not come back in time".to_owned() };
    let options = &shared.options;
    let id = Uuid::new_v4();
    let at = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
    let event = Event { v: VERSION, id, at, hand: hand.clone(), change };
    let value = serde_json::to_vec(&event).expect("a record has a JSON form");
    let producer = producer(shared).map_err(|error| kafka_error(DOING, &error))?;
    let mut seen = shared.seen.subscribe();
    let topic = options.topic();
    let record = FutureRecord::<(), [u8]>::to(&topic).partition(0).payload(&value);
    producer.send(record, options.timeout).await.map_err(|(error, _)| kafka_error(DOING, &error))?;
    let came = |seen: &crate::handle::Seen| seen.broken.is_some() || shared.taken.lock().of(id).is_some();
    let waited = tokio::time::timeout(options.timeout, seen.wait_for(came)).await;
    if let Ok(Ok(seen)) = waited
        && let Some(broken) = &seen.broken
    {
        return Err(broken.clone());
    }
    let taken = shared.taken.lock().of(id);
    taken.ok_or_else(late)
}
