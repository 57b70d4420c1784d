//! One transactional producer, and one transaction after another.
//!
//! ```text
//!   begin ─ row, row, error, … ─ flush ─► offsets from delivery reports ─ progress, position ─ commit
//! ```

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use weft_model::progress::{HEADER, ProgressKey, ProgressValue, RecordProgress};

use super::{BrokerError, client_config};
use crate::error::SourceError;

/// Which of a source's ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The declared port.
    Rows,
    /// The `errors` port.
    Errors,
    /// The `late` port: nothing is written, its progress is.
    Late,
}

/// Longest a new topic may stay unseen before it counts as missing.
const TOPIC_SHOWS_MAX: Duration = Duration::from_secs(3);

/// Between two looks for deliveries: short beside an answer of the broker, long beside the look.
const DELIVERED_WAIT: Duration = Duration::from_micros(200);

const SLOTS: [Slot; 3] = [Slot::Rows, Slot::Errors, Slot::Late];
/// Opaque of control records, whose offsets nobody asks for.
const CONTROL: usize = SLOTS.len();

/// The topics a source writes to.
#[derive(Debug, Clone)]
pub(crate) struct TopicNames {
    /// By slot.
    pub(crate) ports: [String; 3],
    pub(crate) progress: String,
    pub(crate) sources: String,
}

/// What a sink is made with.
#[derive(Debug)]
pub(crate) struct SinkOptions<'a> {
    pub(crate) bootstrap: &'a str,
    pub(crate) over: &'a BTreeMap<String, String>,
    pub(crate) transactional_id: &'a str,
    pub(crate) topics: TopicNames,
    pub(crate) timeout: Duration,
    /// Most bytes of one transaction: librdkafka may hold so much.
    pub(crate) transaction_bytes_max: usize,
}

/// An open producer that has fenced its predecessor.
pub(crate) struct Sink {
    producer: BaseProducer<Deliveries>,
    topics: TopicNames,
    timeout: Duration,
    /// Partitions of each port's topic, as the broker has them.
    partitions: [u32; 3],
    /// Header of the records that are sent now.
    header: Option<(RecordProgress, OwnedHeaders)>,
    in_transaction: bool,
    sent_since_poll: u32,
}

/// Counts deliveries: the next offset per partition, and the first failure.
#[derive(Debug)]
struct Deliveries {
    /// By slot and partition; sized once the partitions are known.
    next_offsets: Mutex<[Vec<AtomicI64>; 3]>,
    failed: AtomicBool,
    failure: Mutex<Option<KafkaError>>,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        tracing::debug!(?level, fac, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, slot: usize) {
        match result {
            Ok(record) => {
                if slot == CONTROL {
                    return;
                }
                let Ok(partition) = usize::try_from(record.partition()) else { return };
                let offsets = self.next_offsets.lock().expect("nobody panics while holding it");
                if let Some(next) = offsets[slot].get(partition) {
                    next.fetch_max(record.offset() + 1, Ordering::Relaxed);
                }
            }
            Err((error, _)) => {
                // A purge is our own doing, after the failure that caused it.
                let purged = matches!(
                    error.rdkafka_error_code(),
                    Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight)
                );
                if !purged && !self.failed.swap(true, Ordering::SeqCst) {
                    *self.failure.lock().expect("nobody panics while holding it") = Some(error.clone());
                }
            }
        }
    }
}

impl Sink {
    /// Connects, checks the topics, and takes the transactional id over from whoever had it.
    pub(crate) fn open(options: &SinkOptions<'_>) -> Result<Self, BrokerError> {
        let buffered = (options.transaction_bytes_max / 1024 * 2).max(4096).to_string();
        let ours = [
            ("transactional.id", options.transactional_id),
            // A transaction lasts a fraction of a second; one left open hides the end of shared topics from readers.
            ("transaction.timeout.ms", "15000"),
            ("acks", "all"),
            ("linger.ms", "1"),
            ("batch.size", "1000000"),
            ("queue.buffering.max.messages", "100000"),
            ("queue.buffering.max.kbytes", &buffered),
        ];
        let broker = |doing: &'static str| move |error: KafkaError| BrokerError::of(doing, &error);
        let context = Deliveries {
            next_offsets: Mutex::new([Vec::new(), Vec::new(), Vec::new()]),
            failed: AtomicBool::new(false),
            failure: Mutex::new(None),
        };
        let producer: BaseProducer<Deliveries> = client_config(options.bootstrap, &ours, options.over)
            .create_with_context(context)
            .map_err(broker("creating a producer"))?;
        // A broker may take a moment to show a topic that was created just now.
        let deadline = Instant::now() + options.timeout.min(TOPIC_SHOWS_MAX);
        let partitions = loop {
            match find_topics(&producer, options) {
                Err(BrokerError::Retry(SourceError::Topic { .. })) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(100));
                }
                found => break found?,
            }
        };
        *producer.context().next_offsets.lock().expect("nobody panics while holding it") =
            partitions.map(|count| (0..count).map(|_| AtomicI64::new(0)).collect());
        producer.init_transactions(options.timeout).map_err(broker("taking over the transactional id"))?;
        Ok(Self {
            producer,
            topics: options.topics.clone(),
            timeout: options.timeout,
            partitions,
            header: None,
            in_transaction: false,
            sent_since_poll: 0,
        })
    }

    /// Partitions of a port's topic, as the broker has them.
    pub(crate) fn partitions(&self, slot: Slot) -> u32 {
        self.partitions[slot as usize]
    }

    /// What earlier runs wrote: offsets go on from there.
    pub(crate) fn set_offsets(&self, offsets: &[Vec<i64>; 3]) {
        let known = self.producer.context().next_offsets.lock().expect("nobody panics while holding it");
        for (known, given) in known.iter().zip(offsets) {
            for (known, given) in known.iter().zip(given) {
                known.fetch_max(*given, Ordering::Relaxed);
            }
        }
    }

    /// Next offset by slot and partition, as far as delivered.
    pub(crate) fn offsets(&self) -> [Vec<i64>; 3] {
        let known = self.producer.context().next_offsets.lock().expect("nobody panics while holding it");
        [0, 1, 2].map(|slot: usize| known[slot].iter().map(|next| next.load(Ordering::Relaxed)).collect())
    }

    /// Begins a transaction. The broker hears of it with the first record.
    pub(crate) fn begin(&mut self) -> Result<(), BrokerError> {
        self.producer.begin_transaction().map_err(|error| BrokerError::of("beginning a transaction", &error))?;
        self.in_transaction = true;
        Ok(())
    }

    /// Sends one record of a port. `event_ms` `None` = now.
    pub(crate) fn send(
        &mut self,
        slot: Slot,
        partition: u32,
        key: Option<&[u8]>,
        value: &[u8],
        event_ms: Option<i64>,
        progress: RecordProgress,
    ) -> Result<(), SendError> {
        let headers = match &self.header {
            Some((of, headers)) if *of == progress => headers.clone(),
            _ => {
                let bytes = progress.encode();
                let headers =
                    OwnedHeaders::new_with_capacity(1).insert(Header { key: HEADER, value: Some(&bytes[..]) });
                self.header = Some((progress, headers.clone()));
                headers
            }
        };
        // librdkafka takes 0 for "now": the first millisecond stands for the beginning of time.
        let timestamp = event_ms.map(|ms| if ms == 0 { 1 } else { ms });
        let mut record =
            BaseRecord::<[u8], [u8], usize>::with_opaque_to(&self.topics.ports[slot as usize], slot as usize)
                .partition(i32::try_from(partition).expect("a partition of a topic"))
                .payload(value)
                .headers(headers);
        record.key = key;
        record.timestamp = timestamp;
        Self::enqueue(&self.producer, self.timeout, record)?;
        self.sent_since_poll += 1;
        if self.sent_since_poll >= 1024 {
            self.sent_since_poll = 0;
            self.producer.poll(Duration::ZERO);
        }
        Ok(())
    }

    fn control(&mut self, topic: &str, key: &[u8], value: &[u8]) -> Result<(), BrokerError> {
        let record =
            BaseRecord::<[u8], [u8], usize>::with_opaque_to(topic, CONTROL).partition(0).key(key).payload(value);
        match Self::enqueue(&self.producer, self.timeout, record) {
            Ok(()) => Ok(()),
            Err(SendError::TooLarge) => Err(BrokerError::Fatal(SourceError::Kafka {
                doing: "writing progress",
                reason: format!("a record for topic \"{topic}\" is over `message.max.bytes`"),
                retriable: false,
            })),
            Err(SendError::Broker(error)) => Err(error),
        }
    }

    fn enqueue(
        producer: &BaseProducer<Deliveries>,
        timeout: Duration,
        mut record: BaseRecord<'_, [u8], [u8], usize>,
    ) -> Result<(), SendError> {
        let deadline = Instant::now() + timeout;
        loop {
            let (error, back) = match producer.send(record) {
                Ok(()) => return Ok(()),
                Err(refused) => refused,
            };
            match error.rdkafka_error_code() {
                // The bound of what librdkafka may hold is met: wait for deliveries.
                Some(RDKafkaErrorCode::QueueFull) if Instant::now() < deadline => {
                    acknowledge(producer);
                    record = back;
                }
                Some(RDKafkaErrorCode::MessageSizeTooLarge) => return Err(SendError::TooLarge),
                _ => return Err(SendError::Broker(BrokerError::of("sending a record", &error))),
            }
        }
    }

    /// Waits until everything sent is delivered: only then are its offsets known.
    pub(crate) fn flush(&mut self) -> Result<(), BrokerError> {
        // Not `Producer::flush`: it polls for 100 ms at a time, whatever has been delivered meanwhile.
        let deadline = Instant::now() + self.timeout;
        while self.producer.in_flight_count() > 0 {
            if Instant::now() >= deadline {
                return Err(BrokerError::Retry(SourceError::Kafka {
                    doing: "waiting for deliveries",
                    reason: format!(
                        "{} records are not delivered after {:?}",
                        self.producer.in_flight_count(),
                        self.timeout
                    ),
                    retriable: true,
                }));
            }
            acknowledge(&self.producer);
        }
        let context = self.producer.context();
        if context.failed.load(Ordering::SeqCst) {
            let failure = context.failure.lock().expect("nobody panics while holding it").take();
            let failure = failure.unwrap_or(KafkaError::Canceled);
            return Err(BrokerError::of("delivering records", &failure));
        }
        Ok(())
    }

    /// Progress of every partition of every port, in the transaction that is open.
    pub(crate) fn send_progress(&mut self, watermark: i64, complete: bool) -> Result<(), BrokerError> {
        let offsets = self.offsets();
        let topic = self.topics.progress.clone();
        for slot in SLOTS {
            for (partition, &offset) in offsets[slot as usize].iter().enumerate() {
                let key = ProgressKey {
                    topic: self.topics.ports[slot as usize].clone(),
                    partition: u32::try_from(partition).expect("a partition of a topic"),
                    writer: 0,
                };
                let value = ProgressValue { v: 1, offset, watermark, complete, writers: 1 };
                let key = serde_json::to_vec(&key).expect("plain data");
                let value = serde_json::to_vec(&value).expect("plain data");
                self.control(&topic, &key, &value)?;
            }
        }
        Ok(())
    }

    /// A record of the sources topic, in the transaction that is open.
    pub(crate) fn send_position(&mut self, key: &str, value: &[u8]) -> Result<(), BrokerError> {
        let topic = self.topics.sources.clone();
        self.control(&topic, key.as_bytes(), value)
    }

    /// Commits. Whatever goes wrong here, the outcome is unknown.
    pub(crate) fn commit(&mut self) -> Result<(), BrokerError> {
        self.flush()?;
        self.producer
            .commit_transaction(self.timeout)
            .map_err(|error| BrokerError::of("committing a transaction", &error))?;
        self.in_transaction = false;
        Ok(())
    }

    /// Gives up the open transaction, so that readers need not wait for its timeout. Best effort: the next owner of the
    /// transactional id does the same.
    pub(crate) fn abort(&mut self) {
        if self.in_transaction {
            self.in_transaction = false;
            if let Err(error) = self.producer.abort_transaction(Duration::from_secs(2)) {
                tracing::debug!(%error, "abort on the way out failed");
            }
        }
    }
}

/// Serves deliveries, or waits a moment for some. Not `poll` with a timeout: it never returns early, and what is left of
/// it below a millisecond it spends spinning (rdkafka 0.39).
fn acknowledge(producer: &BaseProducer<Deliveries>) {
    let before = producer.in_flight_count();
    producer.poll(Duration::ZERO);
    if producer.in_flight_count() == before {
        std::thread::sleep(DELIVERED_WAIT);
    }
}

/// Partitions of each port's topic; every topic that a source needs is there.
fn find_topics(producer: &BaseProducer<Deliveries>, options: &SinkOptions<'_>) -> Result<[u32; 3], BrokerError> {
    // All topics: asking for one by name would create it on a broker that auto-creates.
    let metadata = producer.client().fetch_metadata(None, options.timeout);
    let metadata = metadata.map_err(|error| BrokerError::of("asking for topics", &error))?;
    let partitions_of = |topic: &str| {
        let found = metadata.topics().iter().find(|found| found.name() == topic && !found.partitions().is_empty());
        let count = found.map(|found| u32::try_from(found.partitions().len()).expect("a count of partitions"));
        let reason = || format!("topic \"{topic}\" is not on the broker");
        // Whether it was never made or only does not show yet looks the same from here: somebody will make it.
        count.ok_or_else(|| BrokerError::Retry(SourceError::Topic { reason: reason() }))
    };
    partitions_of(&options.topics.progress)?;
    partitions_of(&options.topics.sources)?;
    let [rows, errors, late] = &options.topics.ports;
    Ok([partitions_of(rows)?, partitions_of(errors)?, partitions_of(late)?])
}

/// Why a record was not taken.
#[derive(Debug)]
pub(crate) enum SendError {
    /// Larger than the producer sends: the row's fault, not the broker's.
    TooLarge,
    /// Anything else.
    Broker(BrokerError),
}

impl From<BrokerError> for SendError {
    fn from(error: BrokerError) -> Self {
        Self::Broker(error)
    }
}
