//! Which offsets are undecided, and which were aborted.

use std::collections::BTreeMap;

use super::AbortedTransaction;
use super::sidecar::{Reader, Unusable, Writer};

/// An aborted transaction, as the index keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Aborted {
    pub(super) producer_id: i64,
    pub(super) first_offset: i64,
    /// Its marker.
    pub(super) last_offset: i64,
    /// First undecided offset when the marker was written: nothing that is aborted later begins below it.
    pub(super) stable_offset: i64,
}

impl Aborted {
    pub(super) const BYTES: usize = 32;

    pub(super) fn write(&self, out: &mut Writer) {
        out.i64(self.producer_id);
        out.i64(self.first_offset);
        out.i64(self.last_offset);
        out.i64(self.stable_offset);
    }

    pub(super) fn read(input: &mut Reader<'_>) -> Result<Self, Unusable> {
        Ok(Self {
            producer_id: input.i64()?,
            first_offset: input.i64()?,
            last_offset: input.i64()?,
            stable_offset: input.i64()?,
        })
    }
}

/// Transactions of one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Transactions {
    /// First offset → producer.
    open: BTreeMap<i64, i64>,
    /// First offset → marker's offset, of transactions whose marker is not yet below the high watermark. Until then
    /// a reader must not pass: the marker could still be lost.
    ended: BTreeMap<i64, i64>,
    /// By marker offset.
    aborted: Vec<Aborted>,
}

impl Transactions {
    pub(super) fn opened(&mut self, first_offset: i64, producer_id: i64) {
        self.open.insert(first_offset, producer_id);
    }

    pub(super) fn ended(&mut self, first_offset: i64, producer_id: i64, marker_offset: i64, commit: bool) {
        self.open.remove(&first_offset);
        self.ended.insert(first_offset, marker_offset);
        if !commit {
            let stable_offset = self.open.first_key_value().map_or(marker_offset + 1, |(&first, _)| first);
            self.aborted.push(Aborted { producer_id, first_offset, last_offset: marker_offset, stable_offset });
        }
    }

    /// The high watermark moved.
    pub(super) fn advance(&mut self, high_watermark: i64) {
        self.ended.retain(|_, marker| *marker >= high_watermark);
    }

    /// First offset that is undecided, or decided by a marker that may still be lost.
    pub(super) fn first_undecided(&self) -> Option<i64> {
        let open = self.open.first_key_value().map(|(&first, _)| first);
        let ended = self.ended.first_key_value().map(|(&first, _)| first);
        match (open, ended) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// First offset → producer of each open transaction.
    pub(super) fn open(&self) -> impl Iterator<Item = (i64, i64)> {
        self.open.iter().map(|(&first, &producer)| (first, producer))
    }

    /// Those that overlap `from..to`, by first offset.
    pub(super) fn aborted_between(&self, from: i64, to: i64) -> Vec<AbortedTransaction> {
        let start = self.aborted.partition_point(|aborted| aborted.last_offset < from);
        let mut found = Vec::new();
        for aborted in self.aborted.get(start..).unwrap_or_default() {
            if aborted.first_offset < to {
                found.push(AbortedTransaction { producer_id: aborted.producer_id, first_offset: aborted.first_offset });
            }
            if aborted.stable_offset >= to {
                break;
            }
        }
        found.sort_by_key(|aborted| aborted.first_offset);
        found
    }

    /// Those whose marker lies in `from..to`: the part of the index that belongs to a segment.
    pub(super) fn aborted_in(&self, from: i64, to: i64) -> Vec<Aborted> {
        let start = self.aborted.partition_point(|aborted| aborted.last_offset < from);
        let end = self.aborted.partition_point(|aborted| aborted.last_offset < to);
        self.aborted.get(start..end).unwrap_or_default().to_vec()
    }

    pub(super) fn restore_aborted(&mut self, aborted: &[Aborted]) {
        self.aborted.extend_from_slice(aborted);
    }

    /// The log now begins at `log_start_offset`.
    pub(super) fn forget_below(&mut self, log_start_offset: i64) {
        let end = self.aborted.partition_point(|aborted| aborted.last_offset < log_start_offset);
        self.aborted.drain(..end);
    }
}
