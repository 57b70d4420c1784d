//! What a partition remembers of the producers that write to it: a state machine without clock or file.
//!
//! Rules follow Kafka's `ProducerAppendInfo` and `ProducerStateEntry` (KIP-98, KIP-360): the last five batches are
//! known, so a resend of any of them is answered with its first offset; the next batch must follow in sequence; a new
//! epoch starts at sequence 0; an unknown producer may start anywhere, since its state may have expired.

use std::collections::{BTreeMap, VecDeque};

use weft_wire::batch::BatchHeader;

use super::sidecar::{Reader, Unusable, Writer};
use super::{AppendError, ProducerInfo};

/// Batches remembered per producer: as many as a client may have in flight.
const REMEMBERED_BATCHES: usize = 5;

/// One remembered batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent {
    base_sequence: i32,
    last_sequence: i32,
    pub(super) base_offset: i64,
    pub(super) last_offset: i64,
    pub(super) timestamp: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Producer {
    epoch: i16,
    /// Oldest first.
    sent: VecDeque<Sent>,
    last_timestamp: i64,
    coordinator_epoch: i32,
    transaction_start: Option<i64>,
}

/// What to do with a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Append,
    Duplicate(Sent),
}

/// All producers of one partition. Ordered, so that a snapshot's bytes depend on the log only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Producers {
    by_id: BTreeMap<i64, Producer>,
}

impl Producers {
    /// May this batch be appended? Changes nothing.
    pub(super) fn check(&self, header: &BatchHeader) -> Result<Verdict, AppendError> {
        let producer_id = header.producer_id;
        if !header.has_producer_id() {
            return Ok(Verdict::Append);
        }
        let Some(producer) = self.by_id.get(&producer_id) else { return Ok(Verdict::Append) };
        if header.producer_epoch < producer.epoch {
            return Err(AppendError::StaleProducerEpoch {
                producer_id,
                current: producer.epoch,
                actual: header.producer_epoch,
            });
        }
        if header.producer_epoch > producer.epoch {
            if header.base_sequence != 0 {
                let actual = header.base_sequence;
                return Err(AppendError::OutOfOrderSequence { producer_id, expected: 0, actual });
            }
        } else {
            let (first, last) = (header.base_sequence, header.last_sequence());
            let resent = |sent: &&Sent| sent.base_sequence == first && sent.last_sequence == last;
            if let Some(sent) = producer.sent.iter().find(resent) {
                return Ok(Verdict::Duplicate(*sent));
            }
            let expected = producer.sent.back().map_or(0, |sent| following(sent.last_sequence));
            if first != expected {
                return Err(AppendError::OutOfOrderSequence { producer_id, expected, actual: first });
            }
        }
        if producer.transaction_start.is_some() && !header.is_transactional() {
            return Err(AppendError::NotTransactional { producer_id });
        }
        Ok(Verdict::Append)
    }

    /// May a marker of this epoch be appended?
    pub(super) fn check_marker(&self, producer_id: i64, producer_epoch: i16) -> Result<(), AppendError> {
        match self.by_id.get(&producer_id) {
            Some(producer) if producer_epoch < producer.epoch => {
                Err(AppendError::StaleProducerEpoch { producer_id, current: producer.epoch, actual: producer_epoch })
            }
            _ => Ok(()),
        }
    }

    /// A data batch is in the log. Answers the first offset if it opened a transaction.
    pub(super) fn appended(&mut self, header: &BatchHeader) -> Option<i64> {
        if !header.has_producer_id() {
            return None;
        }
        let producer = self.by_id.entry(header.producer_id).or_insert_with(|| Producer::new(header.producer_epoch));
        if header.producer_epoch != producer.epoch {
            producer.epoch = header.producer_epoch;
            producer.sent.clear();
        }
        if producer.sent.len() == REMEMBERED_BATCHES {
            producer.sent.pop_front();
        }
        producer.sent.push_back(Sent {
            base_sequence: header.base_sequence,
            last_sequence: header.last_sequence(),
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            timestamp: header.max_timestamp,
        });
        producer.last_timestamp = header.max_timestamp;
        if header.is_transactional() && producer.transaction_start.is_none() {
            producer.transaction_start = Some(header.base_offset);
            return producer.transaction_start;
        }
        None
    }

    /// A marker is in the log. Answers the first offset of the transaction it ended, if one was open.
    pub(super) fn ended(&mut self, header: &BatchHeader, coordinator_epoch: i32) -> Option<i64> {
        let producer = self.by_id.entry(header.producer_id).or_insert_with(|| Producer::new(header.producer_epoch));
        if header.producer_epoch > producer.epoch {
            producer.epoch = header.producer_epoch;
            producer.sent.clear();
        }
        producer.coordinator_epoch = coordinator_epoch;
        producer.last_timestamp = header.max_timestamp;
        producer.transaction_start.take()
    }

    /// Forgets who wrote nothing since `before` and has no open transaction.
    pub(super) fn expire(&mut self, before: i64) {
        self.by_id.retain(|_, producer| producer.transaction_start.is_some() || producer.last_timestamp >= before);
    }

    pub(super) fn info(&self, producer_id: i64) -> Option<ProducerInfo> {
        self.by_id.get(&producer_id).map(|producer| producer.info(producer_id))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = ProducerInfo> {
        self.by_id.iter().map(|(&producer_id, producer)| producer.info(producer_id))
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.count(self.by_id.len());
        for (&producer_id, producer) in &self.by_id {
            out.i64(producer_id);
            out.i16(producer.epoch);
            out.i64(producer.last_timestamp);
            out.i32(producer.coordinator_epoch);
            out.i64(producer.transaction_start.unwrap_or(-1));
            out.count(producer.sent.len());
            for sent in &producer.sent {
                out.i32(sent.base_sequence);
                out.i32(sent.last_sequence);
                out.i64(sent.base_offset);
                out.i64(sent.last_offset);
                out.i64(sent.timestamp);
            }
        }
    }

    pub(super) fn read(input: &mut Reader<'_>) -> Result<Self, Unusable> {
        let mut by_id = BTreeMap::new();
        for _ in 0..input.count(38)? {
            let producer_id = input.i64()?;
            let mut producer = Producer::new(input.i16()?);
            producer.last_timestamp = input.i64()?;
            producer.coordinator_epoch = input.i32()?;
            producer.transaction_start = Some(input.i64()?).filter(|&offset| offset >= 0);
            for _ in 0..input.count(32)? {
                producer.sent.push_back(Sent {
                    base_sequence: input.i32()?,
                    last_sequence: input.i32()?,
                    base_offset: input.i64()?,
                    last_offset: input.i64()?,
                    timestamp: input.i64()?,
                });
            }
            by_id.insert(producer_id, producer);
        }
        Ok(Self { by_id })
    }
}

impl Producer {
    fn new(epoch: i16) -> Self {
        Self {
            epoch,
            sent: VecDeque::with_capacity(REMEMBERED_BATCHES),
            last_timestamp: -1,
            coordinator_epoch: -1,
            transaction_start: None,
        }
    }

    fn info(&self, producer_id: i64) -> ProducerInfo {
        ProducerInfo {
            producer_id,
            producer_epoch: self.epoch,
            last_sequence: self.sent.back().map_or(-1, |sent| sent.last_sequence),
            last_timestamp: self.last_timestamp,
            coordinator_epoch: self.coordinator_epoch,
            transaction_start_offset: self.transaction_start,
        }
    }
}

/// Sequences wrap from 2³¹−1 to 0.
fn following(sequence: i32) -> i32 {
    if sequence == i32::MAX { 0 } else { sequence + 1 }
}
