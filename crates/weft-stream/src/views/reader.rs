//! Bounded reads of topics, `read_committed`: a small pool of consumers, each serving one query at a time.
//!
//! A read has an end from the start (the last stable offset when the query came), so it always ends; it also ends at its
//! deadline, and when whoever wanted the records is gone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::QueryError;

/// One answer of a broker, at most.
const REQUEST: Duration = Duration::from_secs(5);

/// One record, borrowed.
pub(crate) struct Record<'a> {
    pub partition: u32,
    pub offset: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
}

/// The pool.
pub(crate) struct Readers {
    config: ClientConfig,
    idle: Mutex<Vec<BaseConsumer>>,
    places: Arc<Semaphore>,
    bound: usize,
    wait: Duration,
}

/// How a read went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Give me more.
    More,
    /// I have what I wanted.
    Enough,
}

impl Readers {
    pub(crate) fn new(config: ClientConfig, bound: usize, wait: Duration) -> Self {
        let bound = bound.max(1);
        Self { config, idle: Mutex::default(), places: Arc::new(Semaphore::new(bound)), bound, wait }
    }

    /// A reader, as soon as one of the places is free.
    pub(crate) async fn lease(self: &Arc<Self>) -> Result<Lease, QueryError> {
        let busy = || QueryError::Busy { what: "readers", bound: self.bound };
        let permit = tokio::time::timeout(self.wait, Arc::clone(&self.places).acquire_owned()).await;
        let permit = permit.map_err(|_| busy())?.map_err(|_| busy())?;
        let idle = self.idle.lock().pop();
        let consumer = match idle {
            Some(consumer) => consumer,
            None => self.config.create().map_err(|e| unavailable("", &e))?,
        };
        Ok(Lease { pool: Some(Arc::clone(self)), consumer: Some(consumer), _permit: Some(permit) })
    }
}

fn unavailable(topic: &str, error: &KafkaError) -> QueryError {
    QueryError::Unavailable { port: topic.to_owned(), because: error.to_string() }
}

/// One consumer of the pool. Every method blocks: call them off the async threads.
pub(crate) struct Lease {
    pool: Option<Arc<Readers>>,
    consumer: Option<BaseConsumer>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(consumer) = self.consumer.take()
            && let Some(pool) = &self.pool
            && consumer.unassign().is_ok()
        {
            pool.idle.lock().push(consumer);
        }
    }
}

impl Lease {
    /// A reader of its own, outside any pool.
    pub(crate) fn alone(config: &ClientConfig) -> Result<Self, QueryError> {
        let consumer = config.create().map_err(|e| unavailable("", &e))?;
        Ok(Self { pool: None, consumer: Some(consumer), _permit: None })
    }

    fn consumer(&self) -> &BaseConsumer {
        self.consumer.as_ref().expect("taken only in drop")
    }

    /// Log start and last stable offset of every partition.
    pub(crate) fn bounds(&self, topic: &str, partitions: u32) -> Result<BTreeMap<u32, (i64, i64)>, QueryError> {
        let mut bounds = BTreeMap::new();
        for partition in 0..partitions {
            let found = self.consumer().fetch_watermarks(topic, partition.cast_signed(), REQUEST);
            bounds.insert(partition, found.map_err(|e| unavailable(topic, &e))?);
        }
        Ok(bounds)
    }

    /// Log start and end of one partition, as this reader's isolation has it.
    pub(crate) fn bound(&self, topic: &str, partition: u32) -> Result<(i64, i64), QueryError> {
        let found = self.consumer().fetch_watermarks(topic, partition.cast_signed(), REQUEST);
        found.map_err(|e| unavailable(topic, &e))
    }

    /// First offset per partition whose timestamp is at least `ms`; a partition without one is absent.
    pub(crate) fn offsets_at(&self, topic: &str, partitions: u32, ms: i64) -> Result<BTreeMap<u32, i64>, QueryError> {
        let mut asked = TopicPartitionList::new();
        for partition in 0..partitions {
            asked
                .add_partition_offset(topic, partition.cast_signed(), Offset::Offset(ms.max(0)))
                .map_err(|e| unavailable(topic, &e))?;
        }
        let found = self.consumer().offsets_for_times(asked, REQUEST).map_err(|e| unavailable(topic, &e))?;
        let mut offsets = BTreeMap::new();
        for element in found.elements() {
            if let Offset::Offset(offset) = element.offset() {
                offsets.insert(element.partition().cast_unsigned(), offset);
            }
        }
        Ok(offsets)
    }

    /// Hands over the records of `[from, to)`, in order. Returns the next offset to read: `to`, unless `each` had enough.
    pub(crate) fn read(
        &self,
        topic: &str,
        partition: u32,
        (from, to): (i64, i64),
        deadline: Instant,
        time_ms_max: u64,
        each: &mut dyn FnMut(Record<'_>) -> Result<Flow, QueryError>,
    ) -> Result<i64, QueryError> {
        if from >= to {
            return Ok(to.max(from));
        }
        let consumer = self.consumer();
        let mut assignment = TopicPartitionList::new();
        assignment
            .add_partition_offset(topic, partition.cast_signed(), Offset::Offset(from))
            .and_then(|()| consumer.assign(&assignment))
            .map_err(|e| unavailable(topic, &e))?;
        loop {
            if Instant::now() >= deadline {
                return Err(QueryError::TooSlow { time_ms_max });
            }
            match consumer.poll(Duration::from_millis(50)) {
                None => {}
                Some(Ok(message)) => {
                    if message.topic() != topic || message.partition().cast_unsigned() != partition {
                        continue;
                    }
                    let offset = message.offset();
                    if offset >= to {
                        return Ok(to);
                    }
                    let record = Record { partition, offset, key: message.key(), value: message.payload() };
                    if each(record)? == Flow::Enough {
                        return Ok(offset + 1);
                    }
                    if offset + 1 >= to {
                        return Ok(to);
                    }
                }
                // Reached the last stable offset: what lies between is markers and aborted records.
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(to),
                Some(Err(KafkaError::MessageConsumption(
                    RDKafkaErrorCode::BrokerTransportFailure
                    | RDKafkaErrorCode::AllBrokersDown
                    | RDKafkaErrorCode::OperationTimedOut,
                ))) => {}
                Some(Err(error)) => return Err(unavailable(topic, &error)),
            }
        }
    }
}
