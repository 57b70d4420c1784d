//! A transaction coordinator, as small as can be: its decision is a record in the meta log.
//!
//! ```text
//!   open ──produce…──► all durable ──► decision put ──durable──► markers ──durable──► decision removed ──durable──► idle
//! ```
//! The next transaction must not begin before the removal is durable: else a recovery that finds the old decision
//! would apply it to the new transaction's records.

use std::collections::BTreeSet;

use bytes::Bytes;
use weft_log::store::{MetaPosition, Store};

use crate::journal::{Fate, Journal, Unacknowledged};

/// Where a producer's transaction stands.
#[derive(Debug, Clone)]
pub(crate) enum Stage {
    Idle,
    Open,
    /// The decision is written, not yet durable.
    Deciding {
        commit: bool,
        position: MetaPosition,
    },
    /// Markers are being written.
    Ending {
        commit: bool,
        left: BTreeSet<u32>,
    },
    /// All markers are written, not all are durable.
    Finishing,
    /// The decision is removed, not yet durably.
    Removing {
        position: MetaPosition,
    },
}

/// A transactional producer together with its coordinator.
#[derive(Debug)]
pub(crate) struct Transactional {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) stage: Stage,
    pub(crate) next_sequence: Vec<i32>,
    pub(crate) partitions: BTreeSet<u32>,
    pub(crate) values: Vec<u64>,
    pub(crate) unacknowledged: Vec<Unacknowledged>,
}

impl Transactional {
    pub(crate) fn new(producer_id: i64, partitions: u32) -> Self {
        Self {
            producer_id,
            epoch: 0,
            stage: Stage::Idle,
            next_sequence: vec![0; partitions as usize],
            partitions: BTreeSet::new(),
            values: Vec::new(),
            unacknowledged: Vec::new(),
        }
    }

    fn key(&self) -> Bytes {
        Bytes::from(format!("transaction/{}", self.producer_id))
    }

    /// Takes the next step towards an end, if it can be taken now.
    pub(crate) fn step(
        &mut self,
        store: &Store,
        topic: uuid::Uuid,
        commit: bool,
        journal: &mut Journal,
    ) -> Result<(), String> {
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Idle => {}
            Stage::Open if !self.unacknowledged.is_empty() => self.stage = Stage::Open,
            Stage::Open => {
                let mut decision = vec![u8::from(commit)];
                decision.extend(self.partitions.iter().map(|&partition| partition as u8));
                let put = store.meta().put(vec![(self.key(), Some(decision.into()))]);
                let position = put.map_err(|error| error.to_string())?;
                self.stage = Stage::Deciding { commit, position };
            }
            Stage::Deciding { commit, position } => {
                self.stage = if store.meta().is_durable(position) {
                    // This is the moment at which the client is told.
                    journal.decide(&self.values, if commit { Fate::Committed } else { Fate::Aborted });
                    Stage::Ending { commit, left: self.partitions.clone() }
                } else {
                    Stage::Deciding { commit, position }
                };
            }
            Stage::Ending { commit, mut left } => {
                if let Some(index) = left.pop_first() {
                    let partition = store.partition(topic, index).ok_or("no partition")?;
                    partition
                        .end_transaction(self.producer_id, self.epoch, 0, commit)
                        .map_err(|error| error.to_string())?;
                }
                self.stage = if left.is_empty() { Stage::Finishing } else { Stage::Ending { commit, left } };
            }
            Stage::Finishing => {
                let durable = |&index: &u32| {
                    let offsets = store.partition(topic, index).map(|partition| partition.offsets());
                    offsets.is_some_and(|offsets| offsets.high_watermark == offsets.log_end_offset)
                };
                self.stage = if self.partitions.iter().all(durable) {
                    let put = store.meta().put(vec![(self.key(), None)]);
                    Stage::Removing { position: put.map_err(|error| error.to_string())? }
                } else {
                    Stage::Finishing
                };
            }
            Stage::Removing { position } => {
                if store.meta().is_durable(position) {
                    self.values.clear();
                    self.partitions.clear();
                } else {
                    self.stage = Stage::Removing { position };
                }
            }
        }
        Ok(())
    }

    /// After a start: a decided transaction is driven to its end, an undecided one is aborted under a new epoch.
    pub(crate) fn recover(
        &mut self,
        store: &Store,
        topic: uuid::Uuid,
        meta: &[(Bytes, Bytes)],
        journal: &mut Journal,
    ) -> Result<(), String> {
        let key = self.key();
        let decision = meta.iter().find(|(found, _)| *found == key).map(|(_, value)| value.clone());
        let commit = decision.as_ref().is_some_and(|value| value.first() == Some(&1));
        // A decision that is on the disk was written for this transaction: the one before was removed durably or
        // stands for markers that are all there.
        if let Some(decision) = &decision {
            let fate = if commit { Fate::Committed } else { Fate::Aborted };
            journal.decide(&self.values, fate);
            let partitions = decision.iter().skip(1).map(|&partition| u32::from(partition));
            for index in partitions {
                let partition = store.partition(topic, index).ok_or("no partition")?;
                if partition.producer(self.producer_id).is_some_and(|info| info.transaction_start_offset.is_some()) {
                    partition
                        .end_transaction(self.producer_id, self.epoch, 0, commit)
                        .map_err(|error| error.to_string())?;
                }
            }
        } else if self.values.iter().any(|value| journal.fates.get(value) == Some(&Fate::Undecided)) {
            journal.decide(&self.values, Fate::Aborted);
        }
        self.epoch += 1;
        for index in 0..self.next_sequence.len() as u32 {
            let partition = store.partition(topic, index).ok_or("no partition")?;
            if partition.producer(self.producer_id).is_some_and(|info| info.transaction_start_offset.is_some()) {
                partition.end_transaction(self.producer_id, self.epoch, 0, false).map_err(|error| error.to_string())?;
            }
        }
        // Everything durable before the decision goes, as the coordinator does it.
        while store.sync_step() {}
        if decision.is_some() {
            store.meta().put(vec![(key, None)]).map_err(|error| error.to_string())?;
            while store.sync_step() {}
        }
        self.stage = Stage::Idle;
        self.next_sequence.fill(0);
        self.partitions.clear();
        self.values.clear();
        self.unacknowledged.clear();
        Ok(())
    }
}
