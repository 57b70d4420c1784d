//! The transaction coordinator: the shell around [`core`].
//!
//! ```text
//!   EndTxn ─▶ PREPARE in the meta log, durable ─▶ marker in every partition, durable ─▶ offsets + COMPLETE, one put
//!             (the outcome is fixed here)         (a restart goes on from here)
//! ```
//!
//! Adding a partition is written but not waited for: after a power cut a partition may hold an open transaction that no
//! record names. Coordinator and partitions share a process, so the next start finds it, and takes it in or aborts it.

pub(crate) mod core;
mod ending;
#[cfg(test)]
mod power_cut_tests;
#[cfg(test)]
mod recovery_tests;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tracing::{error, info, warn};
use weft_wire::env::{Env, Moment};

use self::core::{Init, Producer, TopicPartitionId, Txn};
use crate::config::Options;
use crate::deadlines::Deadlines;
use crate::error::TxnError;
use crate::group::Groups;
use crate::producer_ids::ProducerIds;
use crate::records::{Key, Record};
use crate::store::{MetaLog, MetaPosition};
use crate::topics::Topics;

struct Entry {
    txn: Txn,
    /// Taken out of the map: look again.
    gone: bool,
}

/// All transactional ids.
pub(crate) struct Transactions {
    env: Env,
    meta: Arc<MetaLog>,
    topics: Arc<Topics>,
    groups: Arc<Groups>,
    producer_ids: Arc<ProducerIds>,
    entries: Mutex<HashMap<String, Arc<Mutex<Entry>>>>,
    deadlines: Deadlines,
    timeout_max: Duration,
    expiration: Duration,
    ids_max: usize,
}

impl Transactions {
    pub(crate) fn open(
        env: Env,
        meta: Arc<MetaLog>,
        topics: Arc<Topics>,
        groups: Arc<Groups>,
        producer_ids: Arc<ProducerIds>,
        options: &Options,
        kept: Vec<(String, Txn)>,
    ) -> Self {
        let entries = kept.into_iter().map(|(id, txn)| {
            let entry = Entry { txn, gone: false };
            (id, Arc::new(Mutex::new(entry)))
        });
        Self {
            env,
            meta,
            topics,
            groups,
            producer_ids,
            entries: Mutex::new(entries.collect()),
            deadlines: Deadlines::default(),
            timeout_max: options.transaction_timeout_max,
            expiration: options.transactional_id_expiration,
            ids_max: options.transactional_ids_max,
        }
    }

    /// Finishes what a crash left: prepared transactions go to their end, open ones keep their timeout, and what is
    /// open in a partition without anyone knowing is aborted. Before the first client is let in.
    pub(crate) async fn recover(self: &Arc<Self>) {
        self.adopt_open_transactions();
        let entries: Vec<_> = self.all();
        for (id, entry) in entries {
            let (resume, deadline) = {
                let entry = entry.lock();
                (entry.txn.resume(), entry.txn.deadline())
            };
            if let Some(at) = deadline {
                self.schedule(&id, at);
            }
            if let Some(ending) = resume {
                info!(transactional_id = id, commit = ending.commit, "ending a transaction from before the restart");
                if let Err(error) = self.drive(&id, &entry, ending, None, true).await {
                    error!(transactional_id = id, %error, "could not end a prepared transaction; the next start tries again");
                }
            }
        }
    }

    fn adopt_open_transactions(&self) {
        let mut owners: HashMap<i64, Arc<Mutex<Entry>>> = HashMap::new();
        for (_, entry) in self.all() {
            let id = entry.lock().txn.producer_id;
            owners.insert(id, entry);
        }
        for topic in self.topics.all() {
            for partition in &topic.partitions {
                for open in partition.open_transactions() {
                    let at = (topic.id, i32::try_from(partition.index()).unwrap_or(i32::MAX));
                    if let Some(owner) = owners.get(&open.producer_id)
                        && self.adopt(&mut owner.lock().txn, open.producer_epoch, at)
                    {
                        continue;
                    }
                    warn!(
                        topic = topic.name,
                        partition = at.1,
                        producer_id = open.producer_id,
                        "aborting an open transaction that no transactional id knows"
                    );
                    if let Err(error) = partition.end_transaction(open.producer_id, open.producer_epoch, 0, false) {
                        error!(topic = topic.name, partition = at.1, %error, "could not abort it");
                    }
                }
            }
        }
    }

    /// Does the open transaction in a partition belong to `txn`? Then the partition takes part, kept or not.
    fn adopt(&self, txn: &mut Txn, epoch: i16, at: TopicPartitionId) -> bool {
        use core::State::{Ongoing, PrepareAbort, PrepareCommit};
        match txn.state {
            // A prepared transaction was complete in its record: what it names is all there is.
            PrepareCommit | PrepareAbort => txn.partitions.contains(&at),
            Ongoing => {
                if txn.producer_epoch == epoch {
                    txn.partitions.insert(at);
                }
                txn.producer_epoch == epoch
            }
            core::State::Empty | core::State::CompleteCommit | core::State::CompleteAbort => {
                // The record of its first partition was lost with the power; the producer still goes on.
                let now = self.env.clock.wall_ms();
                txn.add(now, Producer { id: txn.producer_id, epoch }, &[at], None).is_ok()
            }
        }
    }

    /// InitProducerId with a transactional id.
    pub(crate) async fn init(
        self: &Arc<Self>,
        id: &str,
        timeout_ms: i32,
        expected: Option<Producer>,
    ) -> Result<Producer, TxnError> {
        if id.is_empty() {
            return Err(TxnError::InvalidId);
        }
        let max_ms = u64::try_from(self.timeout_max.as_millis()).unwrap_or(u64::MAX);
        if timeout_ms <= 0 || timeout_ms.unsigned_abs() as u64 > max_ms {
            return Err(TxnError::InvalidTimeout { timeout_ms, max_ms });
        }
        let mut expected = expected;
        // The second round comes after an open transaction was aborted, a third after a race with its timeout.
        for _ in 0..3 {
            let fresh_id = self.producer_ids.allocate().await.map_err(|_| TxnError::Storage)?;
            let entry = self.entry_or_new(id, fresh_id, timeout_ms)?;
            let (init, position) = {
                let mut entry = entry.lock();
                if entry.gone {
                    continue;
                }
                let init = entry.txn.init(self.env.clock.wall_ms(), timeout_ms, expected, fresh_id)?;
                (init, self.keep(id, &entry.txn)?)
            };
            match init {
                Init::Ready(producer) => {
                    self.wait(position).await?;
                    return Ok(producer);
                }
                Init::AbortFirst(ending) => {
                    self.finish(id, entry, ending, position).await?;
                    expected = None;
                }
            }
        }
        Err(TxnError::Concurrent)
    }

    /// AddPartitionsToTxn and AddOffsetsToTxn.
    pub(crate) fn add(
        self: &Arc<Self>,
        id: &str,
        producer: Producer,
        partitions: &[TopicPartitionId],
        group: Option<&str>,
    ) -> Result<(), TxnError> {
        self.with(id, |entry| self.add_locked(id, entry, producer, partitions, group))
    }

    /// Does the partition take part in the open transaction? (AddPartitionsToTxn with `verify_only`.)
    pub(crate) fn verify(self: &Arc<Self>, id: &str, producer: Producer, at: TopicPartitionId) -> Result<(), TxnError> {
        self.with(id, |entry| entry.txn.check_partition(producer, at))
    }

    /// Runs `append` while nobody can end the transaction: a batch verified can only land before the marker.
    /// With `adds` the partition is taken into the transaction (TV2), else it must be in it (TV1).
    pub(crate) fn append<R>(
        self: &Arc<Self>,
        id: &str,
        producer: Producer,
        at: TopicPartitionId,
        adds: bool,
        append: impl FnOnce() -> R,
    ) -> Result<R, TxnError> {
        self.with(id, |entry| {
            if adds {
                self.add_locked(id, entry, producer, &[at], None)?;
            } else {
                entry.txn.check_partition(producer, at)?;
            }
            Ok(append())
        })
    }

    /// Runs `commit` while nobody can end the transaction, after taking the group in (`adds`, TV2) or checking that it is.
    pub(crate) fn commit_offsets<R>(
        self: &Arc<Self>,
        id: &str,
        producer: Producer,
        group: &str,
        adds: bool,
        commit: impl FnOnce() -> R,
    ) -> Result<R, TxnError> {
        self.with(id, |entry| {
            if adds {
                self.add_locked(id, entry, producer, &[], Some(group))?;
            } else {
                entry.txn.check_group(producer, group)?;
            }
            Ok(commit())
        })
    }

    /// A transactional id as people see it.
    pub(crate) fn describe(&self, id: &str) -> Option<Txn> {
        Some(self.find(id)?.lock().txn.clone())
    }

    /// Every transactional id, by id.
    pub(crate) fn list(&self) -> Vec<(String, Txn)> {
        let mut list: Vec<_> = self.all().into_iter().map(|(id, e)| (id, e.lock().txn.clone())).collect();
        list.sort_by(|(a, _), (b, _)| a.cmp(b));
        list
    }

    /// Runs for ever: aborts transactions that are open for too long.
    pub(crate) async fn run(self: &Arc<Self>) {
        loop {
            for id in self.deadlines.due(&self.env.clock).await {
                let Some(entry) = self.find(&id) else {
                    continue;
                };
                let deadline = {
                    let mut entry = entry.lock();
                    self.expire_locked(&id, &mut entry);
                    entry.txn.deadline()
                };
                if let Some(at) = deadline {
                    self.schedule(&id, at);
                }
            }
        }
    }

    /// Forgets transactional ids nobody used for long.
    pub(crate) fn expire_ids(&self) {
        let now = self.env.clock.wall_ms();
        let expiration = i64::try_from(self.expiration.as_millis()).unwrap_or(i64::MAX);
        for (id, entry) in self.all() {
            let mut entry = entry.lock();
            let is_idle = matches!(
                entry.txn.state,
                core::State::Empty | core::State::CompleteCommit | core::State::CompleteAbort
            );
            if !is_idle || now.saturating_sub(entry.txn.updated_at) < expiration {
                continue;
            }
            match self.meta.put(vec![(Key::Transaction(id.clone()).encode(), None)]) {
                Ok(_) => {
                    entry.gone = true;
                    self.entries.lock().remove(&id);
                }
                Err(error) => warn!(transactional_id = id, %error, "could not forget an unused transactional id"),
            }
        }
    }

    fn add_locked(
        &self,
        id: &str,
        entry: &mut Entry,
        producer: Producer,
        partitions: &[TopicPartitionId],
        group: Option<&str>,
    ) -> Result<(), TxnError> {
        let before = entry.txn.clone();
        if !entry.txn.add(self.env.clock.wall_ms(), producer, partitions, group)? {
            return Ok(());
        }
        if let Err(error) = self.keep(id, &entry.txn) {
            entry.txn = before;
            return Err(error);
        }
        if before.deadline() != entry.txn.deadline()
            && let Some(at) = entry.txn.deadline()
        {
            self.schedule(id, at);
        }
        Ok(())
    }

    /// Runs `f` on an entry, after its timeout has been looked at: under load a timer may be late, a request is not.
    fn with<R>(self: &Arc<Self>, id: &str, f: impl FnOnce(&mut Entry) -> Result<R, TxnError>) -> Result<R, TxnError> {
        let entry = self.find(id).ok_or(TxnError::UnknownProducerId)?;
        let mut entry = entry.lock();
        if entry.gone {
            return Err(TxnError::UnknownProducerId);
        }
        self.expire_locked(id, &mut entry);
        f(&mut entry)
    }

    fn keep(&self, id: &str, txn: &Txn) -> Result<MetaPosition, TxnError> {
        let record = Record::Transaction(id.to_owned(), txn.clone());
        self.meta.put(vec![record.put()]).map_err(|error| {
            warn!(transactional_id = id, %error, "could not keep a transaction's state");
            TxnError::Storage
        })
    }

    async fn wait(&self, position: MetaPosition) -> Result<(), TxnError> {
        let durable = self.meta.wait_durable(position).await;
        durable.map_err(|_| TxnError::Storage)
    }

    fn all(&self) -> Vec<(String, Arc<Mutex<Entry>>)> {
        let entries = self.entries.lock();
        entries.iter().map(|(id, e)| (id.clone(), e.clone())).collect()
    }

    fn find(&self, id: &str) -> Option<Arc<Mutex<Entry>>> {
        self.entries.lock().get(id).cloned()
    }

    fn entry_or_new(&self, id: &str, producer_id: i64, timeout_ms: i32) -> Result<Arc<Mutex<Entry>>, TxnError> {
        let mut entries = self.entries.lock();
        if let Some(entry) = entries.get(id) {
            return Ok(entry.clone());
        }
        if entries.len() >= self.ids_max {
            return Err(TxnError::TooMany { limit: self.ids_max });
        }
        let txn = Txn::new(producer_id, timeout_ms, self.env.clock.wall_ms());
        let entry = Arc::new(Mutex::new(Entry { txn, gone: false }));
        entries.insert(id.to_owned(), entry.clone());
        Ok(entry)
    }

    fn schedule(&self, id: &str, at: i64) {
        let wait = u64::try_from(at.saturating_sub(self.env.clock.wall_ms())).unwrap_or(0);
        let at: Moment = self.env.clock.now() + Duration::from_millis(wait);
        self.deadlines.schedule(at, id);
    }
}
