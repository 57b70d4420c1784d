//! Opening a task: its state is brought to exactly the committed transaction that its offsets belong to.
//!
//! ```text
//!   group offset's metadata ── commit number c ─┐
//!   stamp on disk ── commit number s, offsets ──┤
//!     s = c     the state is exact: nothing to read
//!     s < c     read the changelog from the stamp's offsets to its end (read_committed), apply, stamp
//!     s > c     the group's offsets were lost or reset: refuse, by name
//! ```
//! A crash after the Kafka commit and before the state was written is the case s = c − 1: the changelog holds what is
//! missing.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::{Offset, TopicPartitionList};
use weft_model::progress::{WATERMARK_NONE, WatermarkMs};

use super::error::SessionError;
use super::kafka::GroupConsumer;
use super::offsets::CommitNote;
use super::tasks::{Plan, TaskId};
use crate::state::Change;
use crate::state::fjall::{TaskStamp, TaskState};
use crate::task::InputPosition;
use crate::views::reader::{Flow, Lease, Record};

/// Changes applied to the state in one batch while restoring.
const BATCH: usize = 8192;
/// Longest wait for one such batch.
const BATCH_TIME: Duration = Duration::from_millis(BATCH_TIME_MS);
const BATCH_TIME_MS: u64 = 60_000;

/// What the group has committed, per topic partition.
pub(crate) struct Committed {
    found: HashMap<(String, u32), (i64, Option<CommitNote>)>,
}

impl Committed {
    /// Asks the group, waiting for offsets of transactions that are not decided yet.
    pub(crate) fn read(
        consumer: &GroupConsumer,
        partitions: &HashSet<(String, u32)>,
        timeout: Duration,
    ) -> Result<Self, SessionError> {
        let mut asked = TopicPartitionList::new();
        for (topic, partition) in partitions {
            asked.add_partition(topic, partition.cast_signed());
        }
        let answer =
            consumer.committed_offsets(asked, timeout).map_err(|e| SessionError::of("committed offsets", &e))?;
        let mut found = HashMap::new();
        for element in answer.elements() {
            element.error().map_err(|e| SessionError::of("committed offsets", &e))?;
            if let Offset::Offset(offset) = element.offset() {
                let key = (element.topic().to_owned(), element.partition().cast_unsigned());
                found.insert(key, (offset, CommitNote::read(element.metadata())));
            }
        }
        Ok(Self { found })
    }

    /// Where the consumer starts: the lowest task's offset.
    pub(crate) fn start(&self, topic: &str, partition: u32) -> Offset {
        match self.found.get(&(topic.to_owned(), partition)) {
            Some((offset, _)) if *offset > 0 => Offset::Offset(*offset),
            // Nothing consumed yet: the log may start later than 0.
            _ => Offset::Beginning,
        }
    }

    /// Commit number, offset and watermark of one task on one partition.
    fn of(&self, subtopology: usize, topic: &str, partition: u32) -> Option<(u64, i64, WatermarkMs)> {
        let (offset, note) = self.found.get(&(topic.to_owned(), partition))?;
        let Some(note) = note else {
            return Some((0, *offset, WATERMARK_NONE));
        };
        // A sub-topology that was not there at the last commit begins where the others stand.
        Some(note.tasks.get(&subtopology).copied().unwrap_or((0, *offset, WATERMARK_NONE)))
    }
}

/// What a task begins with.
pub(crate) struct Opening {
    pub commit: u64,
    pub positions: Vec<InputPosition>,
    /// Records read from changelogs.
    pub restored: u64,
}

/// Positions of a task, and its state brought to them. `told` hears how many changelog offsets of how many are done.
pub(crate) fn open(
    plan: &Plan,
    id: TaskId,
    committed: &Committed,
    state: &mut TaskState,
    lease: &Lease,
    told: &mut dyn FnMut(u64, u64),
) -> Result<Opening, SessionError> {
    let (subtopology, partition) = id;
    let mut positions = Vec::new();
    let mut commit = 0;
    for (input, declared) in plan.program.subtopologies[subtopology].inputs.iter().enumerate() {
        if declared.broadcast {
            continue;
        }
        let topic = plan.topic_of(subtopology, input);
        if let Some((number, offset, watermark)) = committed.of(subtopology, &topic, partition) {
            commit = commit.max(number);
            positions.push(InputPosition { input, partition, offset, watermark });
        }
    }
    let stamped = state.stamp().commit;
    if stamped > commit {
        return Err(SessionError::Failed(format!(
            "state of task {subtopology}/{partition} holds commit {stamped}, the group's offsets say {commit}: the \
             offsets were reset, or the state is another log's; delete the engine's state to have it restored"
        )));
    }
    let mut restored = 0;
    if stamped < commit && !plan.changelogs[subtopology].is_empty() {
        restored = restore(plan, id, lease, state, commit, told)?;
    }
    Ok(Opening { commit, positions, restored })
}

fn restore(
    plan: &Plan,
    (subtopology, partition): TaskId,
    lease: &Lease,
    state: &mut TaskState,
    commit: u64,
    told: &mut dyn FnMut(u64, u64),
) -> Result<u64, SessionError> {
    let failed = |e: crate::views::QueryError| SessionError::StartOver(format!("restore: {e}"));
    let mut ranges = Vec::new();
    for (store, topic) in plan.changelogs[subtopology].iter().enumerate() {
        let (low, end) = lease.bound(topic, partition).map_err(failed)?;
        ranges.push((store, topic, low, end));
    }
    let gap = |(store, _, low, _): &(usize, &String, i64, i64)| {
        let at = state.stamp().changelog[*store];
        at > 0 && at < *low
    };
    if ranges.iter().any(gap) {
        tracing::warn!(subtopology, partition, "changelog begins after the local state; reading all of it");
        state.clear()?;
    }
    let starts: Vec<i64> = ranges.iter().map(|(store, _, low, _)| state.stamp().changelog[*store].max(*low)).collect();
    let length = |from: i64, to: i64| to.saturating_sub(from).max(0).cast_unsigned();
    let total = ranges.iter().zip(&starts).map(|((.., end), start)| length(*start, *end)).sum();
    let mut done = 0;
    told(done, total);
    let mut restored = 0;
    for ((store, topic, _, end), start) in ranges.into_iter().zip(starts) {
        let mut at = start;
        // In batches, each with its own stamp, so that a long restore that is interrupted goes on where it was. The
        // commit number is set only when all stores are there.
        while at < end {
            let mut changes: Vec<Change> = Vec::new();
            let mut each = |record: Record<'_>| {
                changes.push(Change {
                    store,
                    key: record.key.unwrap_or_default().to_vec(),
                    value: record.value.map(<[u8]>::to_vec),
                });
                Ok(if changes.len() == BATCH { Flow::Enough } else { Flow::More })
            };
            let deadline = Instant::now() + BATCH_TIME;
            let from = at;
            at = lease.read(topic, partition, (at, end), deadline, BATCH_TIME_MS, &mut each).map_err(failed)?;
            done += length(from, at);
            told(done, total);
            restored += changes.len() as u64;
            let mut stamp: TaskStamp = state.stamp().clone();
            stamp.changelog[store] = at;
            state.apply(changes, stamp)?;
        }
    }
    let mut stamp = state.stamp().clone();
    stamp.commit = commit;
    state.apply(Vec::new(), stamp)?;
    Ok(restored)
}
