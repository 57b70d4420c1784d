//! The commit: a barrier across all tasks of a product.
//!
//! ```text
//!   Flush     tasks emit what has gathered                    ┐
//!   Produce   records, changelog                              │ crash here: the transaction is aborted, by us or by
//!   Progress  declarations, with the offsets just given       │ the next producer; nothing of it was visible
//!   Offsets   input offsets, each with commit number          │
//!   Commit    EndTxn                                          ┘ unknown outcome: the next session reads the offsets
//!   Apply     one batch: changes + stamps of all tasks          crash here: the changelog restores it
//!   Done      tasks forget what they kept for the store
//! ```

use std::collections::BTreeMap;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer;

use super::error::SessionError;
use super::offsets::CommitNote;
use super::session::Session;
use super::tasks::TaskId;
use crate::config::Step;
use crate::state::Change;
use crate::state::fjall::TaskStamp;
use crate::task::InputPosition;

/// What one task adds to a commit.
struct Part {
    id: TaskId,
    changes: Vec<Change>,
    consumed: Vec<InputPosition>,
    /// Its commit number, if it has anything to commit.
    commit: Option<u64>,
}

impl Session<'_> {
    fn step_to(&self, step: Step) -> Result<(), SessionError> {
        match &self.context.options.on_step {
            Some(hook) if !hook(step) => Err(SessionError::Killed),
            _ => Ok(()),
        }
    }

    /// Commits everything since the last one; nothing, if nothing happened.
    pub(crate) fn commit(&mut self) -> Result<(), SessionError> {
        if !self.touched && !self.producer.is_open() {
            return Ok(());
        }
        self.step_to(Step::Flush)?;
        for (key, value) in std::mem::take(&mut self.waiting) {
            self.declared.entry(key).or_insert(value);
        }
        let mut effects = Vec::new();
        let mut parts = Vec::with_capacity(self.tasks.open.len());
        for (id, open) in &mut self.tasks.open {
            let changes = open.task.flush(&mut effects)?;
            let consumed = open.task.consumed();
            let moved = !changes.is_empty() || consumed != open.consumed;
            parts.push(Part { id: *id, changes, consumed, commit: moved.then_some(open.commit + 1) });
        }
        self.step_to(Step::Produce)?;
        self.produce(&mut effects)?;
        self.produce_changelog(&parts)?;
        self.step_to(Step::Progress)?;
        self.produce_progress()?;
        if parts.iter().all(|part| part.commit.is_none()) && !self.producer.is_open() {
            self.touched = !self.waiting.is_empty();
            return Ok(());
        }
        // An open transaction needs offsets even if no task moved: they fence a member that lost its partitions.
        self.producer.begin()?;
        self.step_to(Step::Offsets)?;
        self.send_offsets(&parts)?;
        self.step_to(Step::Commit)?;
        self.producer.commit()?;
        self.step_to(Step::Apply)?;
        self.apply(parts)?;
        self.step_to(Step::Done)?;
        for open in self.tasks.open.values_mut() {
            open.task.committed();
        }
        self.touched = !self.waiting.is_empty();
        self.note_commit();
        Ok(())
    }

    fn produce_changelog(&mut self, parts: &[Part]) -> Result<(), SessionError> {
        for part in parts {
            let (subtopology, partition) = part.id;
            for change in &part.changes {
                self.producer.begin()?;
                let topic = &self.context.plan.changelogs[subtopology][change.store];
                let value = change.value.as_deref();
                self.producer.send(topic, partition, Some(&change.key), value, None, None)?;
            }
        }
        Ok(())
    }

    fn produce_progress(&mut self) -> Result<(), SessionError> {
        let said = &self.said;
        self.declared.retain(|key, value| said.get(key) != Some(&(value.watermark, value.complete)));
        if self.producer.is_open() {
            // The offsets that this transaction's records got.
            self.producer.flush()?;
        }
        for (key, mut value) in std::mem::take(&mut self.declared) {
            value.offset = match self.producer.known(&key.topic, key.partition) {
                Some(offset) => offset,
                None => {
                    let end = self.ends.of(&key.topic, key.partition)?;
                    if !end.settled {
                        // Somebody else's transaction hides where our own last record is; the next commit asks again.
                        self.waiting.insert(key, value);
                        continue;
                    }
                    self.producer.learn(&key.topic, key.partition, end.offset);
                    end.offset
                }
            };
            self.producer.begin()?;
            let topic = &self.context.progress_topic;
            let key_bytes = serde_json::to_vec(&key).expect("a progress key is JSON");
            let value_bytes = serde_json::to_vec(&value).expect("a progress value is JSON");
            self.producer.send(topic, 0, Some(&key_bytes), Some(&value_bytes), None, None)?;
            self.said.insert(key, (value.watermark, value.complete));
        }
        Ok(())
    }

    fn send_offsets(&mut self, parts: &[Part]) -> Result<(), SessionError> {
        let mut notes: BTreeMap<(String, u32), CommitNote> = BTreeMap::new();
        for part in parts {
            let number = part.commit.unwrap_or_else(|| self.tasks.open[&part.id].commit);
            for at in &part.consumed {
                let topic = self.context.plan.topic_of(part.id.0, at.input);
                let note = notes.entry((topic, at.partition)).or_insert_with(CommitNote::new);
                note.add(part.id.0, number, at.offset, at.watermark);
            }
        }
        let mut list = TopicPartitionList::new();
        for ((topic, partition), note) in notes {
            let Some(offset) = note.offset() else {
                continue;
            };
            let mut element = list.add_partition(&topic, partition.cast_signed());
            element.set_offset(rdkafka::Offset::Offset(offset)).map_err(|e| SessionError::of("send offsets", &e))?;
            element.set_metadata(note.write());
        }
        if list.count() == 0 {
            return Ok(());
        }
        let group = self.consumer.group_metadata();
        let group = group.ok_or_else(|| SessionError::StartOver("the consumer has no group".to_owned()))?;
        self.producer.send_offsets(&list, &group)
    }

    /// The Kafka transaction is committed: what it says becomes the state, at once for all tasks.
    fn apply(&mut self, parts: Vec<Part>) -> Result<(), SessionError> {
        let mut batch = self.context.database.batch();
        for part in parts {
            let Some(open) = self.tasks.open.get_mut(&part.id) else {
                continue;
            };
            open.consumed = part.consumed;
            let Some(commit) = part.commit else {
                continue;
            };
            open.commit = commit;
            let mut stamp: TaskStamp = open.state.stamp().clone();
            stamp.commit = commit;
            for (store, topic) in self.context.plan.changelogs[part.id.0].iter().enumerate() {
                if let Some(next) = self.producer.known(topic, part.id.1) {
                    stamp.changelog[store] = next;
                }
            }
            batch.add(&mut open.state, part.changes, stamp);
        }
        Ok(batch.commit()?)
    }

    fn note_commit(&mut self) {
        self.tasks.note_watermarks();
        let mut counters = self.context.counters.lock();
        counters.commits += 1;
        counters.healthy = true;
        counters.tasks = self.tasks.status();
    }
}
