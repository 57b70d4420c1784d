//! One transactional id as a state machine: no clock, no socket, no file.
//!
//! ```text
//!            add partition/group        end                     markers and offsets written
//!   Empty ───────────────────▶ Ongoing ──────▶ PrepareCommit ───────────────▶ CompleteCommit ─┐
//!                                ▲     ──────▶ PrepareAbort  ───────────────▶ CompleteAbort ──┤
//!                                └──────────────────────── add partition/group ◀──────────────┘
//! ```
//!
//! Always: once *prepared*, the outcome never changes, whatever crashes; the epoch never goes back; a producer with an
//! older epoch changes nothing. Two dialects (KIP-890): **TV1** keeps the epoch over an end, **TV2** raises it on every
//! end, so a delayed request of the last transaction cannot touch the next. Source: KIP-98, 360, 588, 890.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::error::TxnError;

/// Milliseconds since 1970.
pub(crate) type WallMs = i64;

/// A topic's id and the number of a partition in it.
pub(crate) type TopicPartitionId = (Uuid, i32);

/// Where a transactional id stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// No transaction yet.
    Empty,
    /// Partitions or groups take part.
    Ongoing,
    /// Decided: commit.
    PrepareCommit,
    /// Decided: abort.
    PrepareAbort,
    /// The last transaction was committed.
    CompleteCommit,
    /// The last transaction was aborted.
    CompleteAbort,
}

impl State {
    /// Kafka's name, as DescribeTransactions and ListTransactions show it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::Ongoing => "Ongoing",
            State::PrepareCommit => "PrepareCommit",
            State::PrepareAbort => "PrepareAbort",
            State::CompleteCommit => "CompleteCommit",
            State::CompleteAbort => "CompleteAbort",
        }
    }

    /// Byte in the meta log.
    pub(crate) fn to_byte(self) -> u8 {
        match self {
            State::Empty => 0,
            State::Ongoing => 1,
            State::PrepareCommit => 2,
            State::PrepareAbort => 3,
            State::CompleteCommit => 4,
            State::CompleteAbort => 5,
        }
    }

    /// From the byte in the meta log.
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => State::Empty,
            1 => State::Ongoing,
            2 => State::PrepareCommit,
            3 => State::PrepareAbort,
            4 => State::CompleteCommit,
            5 => State::CompleteAbort,
            _ => return None,
        })
    }
}

/// A producer id with its epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Producer {
    /// Producer id.
    pub(crate) id: i64,
    /// Epoch.
    pub(crate) epoch: i16,
}

/// Work the shell must finish, restart or not: markers, then group offsets, then [`Txn::complete`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ending {
    /// The outcome.
    pub(crate) commit: bool,
    /// Id and epoch the markers carry.
    pub(crate) marker: Producer,
    /// Partitions to write a marker to.
    pub(crate) partitions: BTreeSet<TopicPartitionId>,
    /// Groups whose pending offsets become committed or vanish.
    pub(crate) groups: BTreeSet<String>,
}

/// What InitProducerId comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Init {
    /// Id and epoch for the producer; keep the state first.
    Ready(Producer),
    /// A transaction was open: end it, then ask again without an expected epoch.
    AbortFirst(Ending),
}

/// What EndTxn comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// Keep the state (this is the commit point), then do the work.
    Start(Ending),
    /// A repeated request: it had this outcome before.
    Already(Producer),
}

/// A transactional id. See the module for its picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Txn {
    /// Id in use.
    pub(crate) producer_id: i64,
    /// Id before the last rotation, or -1.
    pub(crate) previous_producer_id: i64,
    /// Id to go on with when the current end is complete, or -1.
    pub(crate) next_producer_id: i64,
    /// Epoch in use; -1 before the first InitProducerId.
    pub(crate) producer_epoch: i16,
    /// The epoch before the last raise, to know a retry by; -1 for none.
    pub(crate) last_producer_epoch: i16,
    /// The producer's transaction timeout.
    pub(crate) timeout_ms: i32,
    /// Where it stands.
    pub(crate) state: State,
    /// Partitions that take part.
    pub(crate) partitions: BTreeSet<TopicPartitionId>,
    /// Groups that take part.
    pub(crate) groups: BTreeSet<String>,
    /// Start of the open transaction, or -1.
    pub(crate) started_at: WallMs,
    /// Last change.
    pub(crate) updated_at: WallMs,
}

/// Epochs from here on are not handed out; the id is rotated instead. The last one is left for fencing.
const EPOCH_LAST: i16 = i16::MAX - 1;

impl Txn {
    /// A transactional id seen for the first time.
    pub(crate) fn new(producer_id: i64, timeout_ms: i32, now: WallMs) -> Self {
        Self {
            producer_id,
            previous_producer_id: -1,
            next_producer_id: -1,
            producer_epoch: -1,
            last_producer_epoch: -1,
            timeout_ms,
            state: State::Empty,
            partitions: BTreeSet::new(),
            groups: BTreeSet::new(),
            started_at: -1,
            updated_at: now,
        }
    }

    /// Id and epoch in use.
    pub(crate) fn producer(&self) -> Producer {
        Producer { id: self.producer_id, epoch: self.producer_epoch }
    }

    /// When the open transaction times out.
    pub(crate) fn deadline(&self) -> Option<WallMs> {
        (self.state == State::Ongoing).then(|| self.started_at + WallMs::from(self.timeout_ms))
    }

    /// InitProducerId. `expected` is what a producer that wants its epoch raised believes in (KIP-360); `fresh_id` is
    /// used when the epochs of this id are used up.
    pub(crate) fn init(
        &mut self,
        now: WallMs,
        timeout_ms: i32,
        expected: Option<Producer>,
        fresh_id: i64,
    ) -> Result<Init, TxnError> {
        if let Some(expected) = expected {
            let current = expected.id == self.producer_id;
            let rotated = expected.id == self.previous_producer_id && expected.epoch >= EPOCH_LAST;
            if !current && !rotated {
                return Err(TxnError::Fenced);
            }
        }
        match self.state {
            State::PrepareCommit | State::PrepareAbort => Err(TxnError::Concurrent),
            State::Ongoing => {
                let is_current = expected.is_none_or(|e| e == self.producer());
                if !is_current {
                    return Err(TxnError::Fenced);
                }
                Ok(Init::AbortFirst(self.fence(now)))
            }
            State::Empty | State::CompleteCommit | State::CompleteAbort => {
                self.raise_epoch(expected, fresh_id)?;
                self.timeout_ms = timeout_ms;
                self.updated_at = now;
                self.state = State::Empty;
                Ok(Init::Ready(self.producer()))
            }
        }
    }

    fn raise_epoch(&mut self, expected: Option<Producer>, fresh_id: i64) -> Result<(), TxnError> {
        if let Some(expected) = expected {
            let retry_of_rotation = expected.id == self.previous_producer_id;
            let retry_of_raise = expected.epoch == self.last_producer_epoch && expected.epoch != self.producer_epoch;
            if retry_of_rotation || retry_of_raise {
                return Ok(()); // The answer to an earlier raise was lost.
            }
            if expected.epoch != self.producer_epoch && self.producer_epoch >= 0 {
                return Err(TxnError::Fenced);
            }
        }
        self.last_producer_epoch = self.producer_epoch;
        if self.producer_epoch >= EPOCH_LAST {
            self.previous_producer_id = self.producer_id;
            self.producer_id = fresh_id;
            self.producer_epoch = 0;
        } else {
            self.producer_epoch += 1;
        }
        if expected.is_none() {
            self.last_producer_epoch = -1;
        }
        Ok(())
    }

    /// A transactional batch or offset commit arrives: is the producer the current one, and no end under way?
    pub(crate) fn check(&self, producer: Producer) -> Result<(), TxnError> {
        if producer.id != self.producer_id {
            return Err(TxnError::UnknownProducerId);
        }
        if producer.epoch != self.producer_epoch {
            return Err(TxnError::Fenced);
        }
        match self.state {
            State::PrepareCommit | State::PrepareAbort => Err(TxnError::Concurrent),
            State::Empty | State::Ongoing | State::CompleteCommit | State::CompleteAbort => Ok(()),
        }
    }

    /// Does `partition` take part in the open transaction of `producer`?
    pub(crate) fn check_partition(&self, producer: Producer, partition: TopicPartitionId) -> Result<(), TxnError> {
        self.check(producer)?;
        if self.state == State::Ongoing && self.partitions.contains(&partition) {
            return Ok(());
        }
        Err(TxnError::NotInTransaction)
    }

    /// Does `group` take part in the open transaction of `producer`?
    pub(crate) fn check_group(&self, producer: Producer, group: &str) -> Result<(), TxnError> {
        self.check(producer)?;
        if self.state == State::Ongoing && self.groups.contains(group) {
            return Ok(());
        }
        Err(TxnError::NotInTransaction)
    }

    /// Adds partitions and groups, opening a transaction if none is. True when something changed and must be kept.
    pub(crate) fn add(
        &mut self,
        now: WallMs,
        producer: Producer,
        partitions: &[TopicPartitionId],
        group: Option<&str>,
    ) -> Result<bool, TxnError> {
        self.check(producer)?;
        let known = self.state == State::Ongoing
            && partitions.iter().all(|p| self.partitions.contains(p))
            && group.is_none_or(|g| self.groups.contains(g));
        if known {
            return Ok(false);
        }
        if self.state != State::Ongoing {
            self.state = State::Ongoing;
            self.partitions.clear();
            self.groups.clear();
            self.started_at = now;
        }
        self.partitions.extend(partitions);
        self.groups.extend(group.map(str::to_owned));
        self.updated_at = now;
        Ok(true)
    }

    /// EndTxn. `raises_epoch` is TV2; `fresh_id` is used when the epochs of this id are used up.
    pub(crate) fn end(
        &mut self,
        now: WallMs,
        producer: Producer,
        commit: bool,
        raises_epoch: bool,
        fresh_id: i64,
    ) -> Result<End, TxnError> {
        let rotated = producer.id == self.previous_producer_id && self.producer_epoch == 0;
        if producer.id != self.producer_id && !(raises_epoch && rotated) {
            return Err(TxnError::UnknownProducerId);
        }
        let one_behind = producer.id == self.producer_id && producer.epoch.checked_add(1) == Some(self.producer_epoch);
        let is_retry = raises_epoch && (one_behind || rotated) && producer != self.producer();
        if producer != self.producer() && !is_retry {
            return Err(TxnError::Fenced);
        }
        match (self.state, commit) {
            (State::Ongoing, _) if is_retry => Err(TxnError::Fenced),
            (State::Ongoing, _) => Ok(End::Start(self.prepare(now, commit, raises_epoch, fresh_id))),
            (State::CompleteCommit, true) | (State::CompleteAbort, false) if is_retry || !raises_epoch => {
                Ok(End::Already(self.producer()))
            }
            // Under TV2 the client may end a transaction in which nothing reached us; an abort still raises the epoch.
            (State::Empty | State::CompleteCommit | State::CompleteAbort, false) if raises_epoch && !is_retry => {
                self.partitions.clear();
                self.groups.clear();
                Ok(End::Start(self.prepare(now, false, true, fresh_id)))
            }
            (State::PrepareCommit, true) | (State::PrepareAbort, false) => Err(TxnError::Concurrent),
            (
                State::Empty
                | State::CompleteCommit
                | State::CompleteAbort
                | State::PrepareCommit
                | State::PrepareAbort,
                _,
            ) => Err(TxnError::InvalidState { state: self.state.name() }),
        }
    }

    /// The open transaction has timed out: abort it and shut its producer out.
    pub(crate) fn expire(&mut self, now: WallMs) -> Option<Ending> {
        let due = self.deadline().is_some_and(|at| at <= now);
        due.then(|| self.fence(now))
    }

    /// Work left over from before a restart.
    pub(crate) fn resume(&self) -> Option<Ending> {
        match self.state {
            State::PrepareCommit => Some(self.ending(true)),
            State::PrepareAbort => Some(self.ending(false)),
            State::Empty | State::Ongoing | State::CompleteCommit | State::CompleteAbort => None,
        }
    }

    /// Markers and offsets are written.
    pub(crate) fn complete(&mut self, now: WallMs) {
        self.state = match self.state {
            State::PrepareCommit => State::CompleteCommit,
            State::PrepareAbort => State::CompleteAbort,
            other => panic!("complete() in state {other:?}: only a prepared transaction can end"),
        };
        if self.next_producer_id >= 0 {
            self.previous_producer_id = self.producer_id;
            self.producer_id = self.next_producer_id;
            self.next_producer_id = -1;
            self.producer_epoch = 0;
        }
        self.partitions.clear();
        self.groups.clear();
        self.started_at = -1;
        self.updated_at = now;
    }

    fn fence(&mut self, now: WallMs) -> Ending {
        self.last_producer_epoch = -1;
        self.producer_epoch = self.producer_epoch.saturating_add(1);
        self.state = State::PrepareAbort;
        self.updated_at = now;
        self.ending(false)
    }

    fn prepare(&mut self, now: WallMs, commit: bool, raises_epoch: bool, fresh_id: i64) -> Ending {
        if raises_epoch {
            self.last_producer_epoch = self.producer_epoch;
            self.producer_epoch = self.producer_epoch.saturating_add(1);
            if self.producer_epoch > EPOCH_LAST {
                self.next_producer_id = fresh_id;
            }
        }
        self.state = if commit { State::PrepareCommit } else { State::PrepareAbort };
        self.updated_at = now;
        self.ending(commit)
    }

    fn ending(&self, commit: bool) -> Ending {
        Ending { commit, marker: self.producer(), partitions: self.partitions.clone(), groups: self.groups.clone() }
    }
}
