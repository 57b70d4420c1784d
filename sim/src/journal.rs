//! What the clients of the log know: what they sent, what was acknowledged, what they saw.

use std::collections::BTreeMap;

use bytes::Bytes;
use weft_wire::env::sim::SimRng;

/// Partitions of the workload.
pub(crate) const PARTITIONS: u32 = 3;

/// A record's place.
pub(crate) type Place = (u32, i64);

/// What became of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Outside transactions.
    Plain,
    /// In a transaction whose end is not known.
    Undecided,
    /// In a transaction that is certainly committed.
    Committed,
    /// In a transaction that is certainly aborted.
    Aborted,
}

/// A batch that was sent and not acknowledged yet.
#[derive(Debug, Clone)]
pub(crate) struct Unacknowledged {
    pub(crate) partition: u32,
    pub(crate) bytes: Bytes,
    pub(crate) base_offset: i64,
    pub(crate) values: Vec<u64>,
}

impl Unacknowledged {
    pub(crate) fn last_offset(&self) -> i64 {
        self.base_offset + self.values.len() as i64 - 1
    }
}

/// Everything the clients know.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    /// Value at each place that was acknowledged.
    pub(crate) acknowledged: BTreeMap<Place, u64>,
    /// Value at each place that a reader saw.
    pub(crate) seen: BTreeMap<Place, u64>,
    /// Log start as last known, per partition.
    pub(crate) log_start: BTreeMap<u32, i64>,
    pub(crate) fates: BTreeMap<u64, Fate>,
    next_value: u64,
}

impl Journal {
    /// New values, each unlike any other.
    pub(crate) fn values(&mut self, count: u64, fate: Fate) -> Vec<u64> {
        let first = self.next_value;
        self.next_value += count;
        let values: Vec<u64> = (first..self.next_value).collect();
        for &value in &values {
            self.fates.insert(value, fate);
        }
        values
    }

    pub(crate) fn acknowledge(&mut self, batch: &Unacknowledged) -> Result<(), String> {
        for (offset, &value) in (batch.base_offset..).zip(&batch.values) {
            let place = (batch.partition, offset);
            if let Some(other) = self.acknowledged.insert(place, value)
                && other != value
            {
                return Err(format!("place {place:?} was acknowledged for value {other} and for {value}"));
            }
        }
        Ok(())
    }

    pub(crate) fn saw(&mut self, place: Place, value: u64) -> Result<(), String> {
        match self.seen.insert(place, value) {
            Some(other) if other != value => Err(format!("place {place:?} showed value {other}, now {value}")),
            _ => Ok(()),
        }
    }

    pub(crate) fn decide(&mut self, values: &[u64], fate: Fate) {
        for value in values {
            self.fates.insert(*value, fate);
        }
    }
}

/// A value as a record's bytes: the number, then filler that compresses badly.
pub(crate) fn encode(value: u64, rng: &SimRng) -> Vec<u8> {
    use weft_wire::env::Rng;
    let mut bytes = value.to_be_bytes().to_vec();
    for _ in 0..rng.below(80) {
        bytes.extend_from_slice(&rng.next_u64().to_be_bytes());
    }
    bytes
}

/// The number in such bytes.
pub(crate) fn decode(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(*bytes.first_chunk::<8>()?))
}
