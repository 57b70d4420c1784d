//! The tasks of one product on this node, and which partition feeds which.
//!
//! ```text
//!   topic partition ──► every sub-topology that reads the topic: its task of that partition
//!   broadcast topic ──► every task of every sub-topology that reads it, all partitions
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use weft_model::progress::{ProgressKey, ProgressValue, WATERMARK_NONE, WatermarkMs};

use super::error::SessionError;
use super::status::TaskStatus;
use crate::ir::{Input, Program};
use crate::state::fjall::TaskState;
use crate::task::{InputPosition, InputRecord, Task, TaskEvent};

/// Sub-topology and partition.
pub(crate) type TaskId = (usize, u32);

/// A program at a generation, with what the runtime asks of it again and again.
pub(crate) struct Plan {
    pub program: Arc<Program>,
    pub generation: u32,
    /// Topics of the inputs that are not broadcast, with their partitions: what the group subscribes to.
    pub partitioned: BTreeMap<String, u32>,
    /// Topics of broadcast inputs, with their partitions.
    pub broadcast: BTreeMap<String, u32>,
    /// Every input topic: whose progress matters.
    pub topics: HashSet<String>,
    /// Topic → (sub-topology, input).
    readers: HashMap<String, Vec<(usize, usize)>>,
    /// By destination.
    pub destinations: Vec<String>,
    /// By sub-topology, by store.
    pub changelogs: Vec<Vec<String>>,
    /// Repartition topics this product both writes and reads.
    pub repartition: BTreeSet<String>,
}

impl Plan {
    pub(crate) fn new(program: Arc<Program>, generation: u32) -> Self {
        let mut plan = Self {
            generation,
            partitioned: BTreeMap::new(),
            broadcast: BTreeMap::new(),
            topics: HashSet::new(),
            readers: HashMap::new(),
            destinations: Vec::new(),
            changelogs: Vec::new(),
            repartition: BTreeSet::new(),
            program: Arc::clone(&program),
        };
        for (at, subtopology) in program.subtopologies.iter().enumerate() {
            for (input, declared) in subtopology.inputs.iter().enumerate() {
                let topic = program.input_topic(generation, declared);
                if declared.broadcast {
                    plan.broadcast.insert(topic.clone(), declared.partitions);
                } else {
                    plan.partitioned.insert(topic.clone(), declared.partitions);
                }
                if matches!(declared.from, crate::ir::InputFrom::Repartition { .. }) {
                    plan.repartition.insert(topic.clone());
                }
                plan.topics.insert(topic.clone());
                plan.readers.entry(topic).or_default().push((at, input));
            }
            let changelog = |store: &crate::ir::Store| program.changelog_topic(generation, &store.operator);
            plan.changelogs.push(subtopology.stores.iter().map(changelog).collect());
        }
        plan.destinations =
            (0..program.destinations.len()).map(|at| program.destination_topic(generation, at)).collect();
        plan
    }

    pub(crate) fn input(&self, subtopology: usize, input: usize) -> &Input {
        &self.program.subtopologies[subtopology].inputs[input]
    }

    /// Who reads a topic.
    pub(crate) fn readers(&self, topic: &str) -> &[(usize, usize)] {
        self.readers.get(topic).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn topic_of(&self, subtopology: usize, input: usize) -> String {
        self.program.input_topic(self.generation, self.input(subtopology, input))
    }

    /// Every input topic with its partitions.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = (&str, u32)> {
        self.partitioned.iter().chain(&self.broadcast).map(|(topic, partitions)| (topic.as_str(), *partitions))
    }

    /// The tasks whose every partitioned input is among the assigned partitions.
    pub(crate) fn tasks(&self, assigned: &HashSet<(String, u32)>) -> Vec<TaskId> {
        let mut tasks = Vec::new();
        for (at, subtopology) in self.program.subtopologies.iter().enumerate() {
            let inputs = subtopology.inputs.iter().filter(|input| !input.broadcast);
            let topics: Vec<String> = inputs.map(|input| self.program.input_topic(self.generation, input)).collect();
            for partition in 0..subtopology.partitions {
                if topics.iter().all(|topic| assigned.contains(&(topic.clone(), partition))) {
                    tasks.push((at, partition));
                }
            }
        }
        tasks
    }
}

/// One open task.
pub(crate) struct OpenTask {
    pub task: Task,
    pub state: TaskState,
    /// Number of its last commit.
    pub commit: u64,
    /// By (input, partition): next offset to hand over. What lies below was handed over, now or in an earlier life.
    pub handed: HashMap<(usize, u32), i64>,
    /// What the last commit covered.
    pub consumed: Vec<InputPosition>,
    pub watermark: WatermarkMs,
}

impl OpenTask {
    /// Hands records over, but not those it had before.
    pub(crate) fn records(
        &mut self,
        input: usize,
        partition: u32,
        mut records: Vec<InputRecord>,
    ) -> Result<usize, SessionError> {
        let handed = self.handed.entry((input, partition)).or_insert(0);
        records.retain(|record| record.offset >= *handed);
        let Some(last) = records.last() else {
            return Ok(0);
        };
        *handed = last.offset + 1;
        let count = records.len();
        self.task.handle(TaskEvent::Records { input, partition, records })?;
        Ok(count)
    }
}

/// All open tasks.
#[derive(Default)]
pub(crate) struct Tasks {
    pub open: BTreeMap<TaskId, OpenTask>,
}

impl Tasks {
    /// Records of one topic partition, to everyone who reads it. Returns how many were handed over.
    pub(crate) fn records(
        &mut self,
        plan: &Plan,
        topic: &str,
        partition: u32,
        records: Vec<InputRecord>,
    ) -> Result<usize, SessionError> {
        let readers = plan.readers(topic);
        let mut handed = 0;
        for (at, (subtopology, input)) in readers.iter().enumerate() {
            let broadcast = plan.input(*subtopology, *input).broadcast;
            let last_reader = at + 1 == readers.len();
            if broadcast {
                for ((of, _), task) in &mut self.open {
                    if of == subtopology {
                        handed += task.records(*input, partition, records.clone())?;
                    }
                }
            } else if let Some(task) = self.open.get_mut(&(*subtopology, partition)) {
                if last_reader {
                    return Ok(handed + task.records(*input, partition, records)?);
                }
                handed += task.records(*input, partition, records.clone())?;
            }
        }
        Ok(handed)
    }

    /// Progress declarations, to everyone who reads the partition they are about.
    pub(crate) fn progress(
        &mut self,
        plan: &Plan,
        declared: &[(ProgressKey, ProgressValue)],
        only: Option<TaskId>,
    ) -> Result<(), SessionError> {
        for (key, value) in declared {
            for (subtopology, input) in plan.readers(&key.topic) {
                let broadcast = plan.input(*subtopology, *input).broadcast;
                for (id, task) in &mut self.open {
                    let reads = id.0 == *subtopology && (broadcast || id.1 == key.partition);
                    if reads && only.is_none_or(|only| only == *id) {
                        task.task.handle(TaskEvent::Progress {
                            input: *input,
                            partition: key.partition,
                            writer: key.writer,
                            value: value.clone(),
                        })?;
                    }
                }
            }
        }
        Ok(())
    }

    /// How every task stands.
    pub(crate) fn status(&self) -> Vec<TaskStatus> {
        let status = |((subtopology, partition), open): (&TaskId, &OpenTask)| {
            let backlog = open.task.backlog();
            let inputs = &open.task.program().subtopologies[*subtopology].inputs;
            TaskStatus {
                subtopology: *subtopology,
                partition: *partition,
                watermark: open.watermark,
                commit: open.commit,
                waiting_records: backlog.iter().map(|waiting| waiting.records).sum(),
                waiting_bytes: backlog.iter().map(|waiting| waiting.bytes).sum(),
                positions: open
                    .consumed
                    .iter()
                    .map(|at| (inputs[at.input].name.clone(), at.partition, at.offset))
                    .collect(),
            }
        };
        self.open.iter().map(status).collect()
    }

    /// Lowest watermark of a task's inputs, after a commit.
    pub(crate) fn note_watermarks(&mut self) {
        for open in self.open.values_mut() {
            let lowest = open.consumed.iter().map(|position| position.watermark).min();
            open.watermark = lowest.unwrap_or(WATERMARK_NONE);
        }
    }
}
