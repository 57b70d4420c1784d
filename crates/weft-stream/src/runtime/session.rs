//! One life of a product on this node: from a new producer to the first thing that goes wrong.
//!
//! ```text
//!   start    producer (fences and aborts predecessors) · consumer joins the group
//!   loop     poll ─► tasks.handle ─► step ─► produce … every commit_interval_ms ─► commit (see `commit.rs`)
//!   group    what it gives and takes (see `group.rs`)
//! ```
//! Whatever is not plainly fine ends the session; the next one starts from what is committed. So there is one way to
//! recover, and every test of a crash walks it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Message, Offset, TopicPartitionList};
use weft_model::progress::{ProgressKey, ProgressValue, WATERMARK_NONE};

use super::ends::Ends;
use super::error::SessionError;
use super::group;
use super::kafka::{self, GroupConsumer, TransactionalProducer};
use super::progress::Board;
use super::restore::{self, Committed};
use super::status::Counters;
use super::tasks::{OpenTask, Plan, TaskId, Tasks};
use crate::config::EngineOptions;
use crate::ir::InputProgress;
use crate::state::fjall::StateDatabase;
use crate::task::{Effect, InputPosition, InputRecord, Task, TaskEvent, TaskOptions};

/// Longest wait for input. Milliseconds.
const IDLE_MS: u64 = 10;
/// Longest time spent polling before the tasks get their turn.
pub(super) const POLL_TIME: Duration = Duration::from_millis(10);
/// How often repartition topics are purged.
const PURGE_EVERY: Duration = Duration::from_secs(2);

/// What outlives a session.
pub(crate) struct Context {
    pub options: EngineOptions,
    pub plan: Plan,
    pub group: String,
    pub transactional_id: String,
    pub progress_topic: String,
    pub database: StateDatabase,
    pub board: Arc<Board>,
    pub admin: Arc<AdminClient<DefaultClientContext>>,
    pub counters: Arc<Mutex<Counters>>,
    pub stop: Arc<AtomicBool>,
    /// Stopping, leave the group: other nodes are there to go on.
    pub hand_over: Arc<AtomicBool>,
    /// Slots of nodes that are gone, whose transactions were ended.
    pub fenced: Mutex<HashSet<String>>,
}

pub(crate) struct Session<'a> {
    pub context: &'a Context,
    pub consumer: GroupConsumer,
    pub broadcast: Option<BaseConsumer>,
    pub producer: TransactionalProducer,
    pub ends: Ends,
    pub tasks: Tasks,
    pub cursor: u64,
    pub paused: HashSet<(String, u32)>,
    /// Pause before the group is joined again.
    pub rejoin: Duration,
    /// Declarations of this transaction that wait for the offsets of its records.
    pub declared: BTreeMap<ProgressKey, ProgressValue>,
    /// Declarations whose offset could not be told yet.
    pub waiting: BTreeMap<ProgressKey, ProgressValue>,
    /// Last committed declarations, so that nothing is said twice.
    pub said: HashMap<ProgressKey, (i64, bool)>,
    /// Rows handed to tasks, and steps taken, since the last commit.
    rows: usize,
    pub touched: bool,
    committed_at: Instant,
    purged_at: Instant,
}

impl<'a> Session<'a> {
    pub(crate) fn start(context: &'a Context) -> Result<Self, SessionError> {
        let options = &context.options;
        let timeout = Duration::from_millis(options.request_timeout_ms);
        let internal = context.plan.program.internal_topics(context.plan.generation);
        kafka::create_topics(&context.admin, &internal, options.kafka.topics, timeout)?;
        let made = |e: KafkaError| SessionError::Failed(format!("the consumer cannot be made: {e}"));
        let consumer = kafka::group_consumer(options, &context.group).map_err(made)?;
        kafka::wait_for_topics(&consumer, &context.plan, timeout, &context.stop)?;
        group::subscribe(context, &consumer)?;
        // First the group, then the producer: a predecessor under our name has lost its place in the group before its
        // producer is fenced, so it can tell being replaced from having been too slow.
        group::join(context, &consumer)?;
        let producer = TransactionalProducer::start(options, &context.transactional_id)?;
        let group = format!("{}.reader", context.group);
        let broadcast = if context.plan.broadcast.is_empty() {
            None
        } else {
            Some(kafka::plain_consumer(options, &group).map_err(made)?)
        };
        let ends = Ends::new(&options.kafka.finish(kafka::plain_config(options, &group)))?;
        Ok(Self {
            context,
            consumer,
            broadcast,
            producer,
            ends,
            tasks: Tasks::default(),
            cursor: 0,
            paused: HashSet::new(),
            rejoin: group::REJOIN,
            declared: BTreeMap::new(),
            waiting: BTreeMap::new(),
            said: HashMap::new(),
            rows: 0,
            touched: false,
            committed_at: Instant::now(),
            purged_at: Instant::now(),
        })
    }

    /// Runs until something ends it; a stop commits first.
    pub(crate) fn run(&mut self) -> Result<std::convert::Infallible, SessionError> {
        let options = &self.context.options;
        let interval = Duration::from_millis(options.commit_interval_ms);
        let mut busy = false;
        loop {
            if self.context.stop.load(Ordering::Relaxed) {
                self.commit()?;
                if self.context.hand_over.load(Ordering::Relaxed) {
                    self.give_back();
                }
                self.tasks.open.clear();
                return Err(SessionError::Stopped);
            }
            let wait = if busy { Duration::ZERO } else { Duration::from_millis(IDLE_MS).min(interval) };
            self.poll(wait)?;
            self.rebalance()?;
            self.poll_broadcast()?;
            self.poll_progress()?;
            busy = self.step()?;
            self.producer.poll();
            let dirty: usize = self.tasks.open.values().map(|open| open.task.dirty_bytes()).sum();
            let full = self.rows >= options.commit_rows || dirty >= options.dirty_bytes;
            if self.touched && (full || self.committed_at.elapsed() >= interval) {
                self.commit()?;
                self.rows = 0;
                self.committed_at = Instant::now();
                self.purge();
            }
            self.hold_back()?;
        }
    }

    /// Takes what the consumer has, for a while.
    fn poll(&mut self, wait: Duration) -> Result<(), SessionError> {
        let started = Instant::now();
        let mut wait = wait;
        let mut runs: Vec<(String, u32, Vec<InputRecord>)> = Vec::new();
        for _ in 0..self.context.options.batch_rows.max(64) {
            match self.consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    take(&mut runs, &message);
                    if started.elapsed() > POLL_TIME {
                        break;
                    }
                }
                Some(Err(error)) => {
                    worrying(&error)?;
                    break;
                }
            }
            wait = Duration::ZERO;
        }
        self.hand_over(runs)
    }

    fn poll_broadcast(&mut self) -> Result<(), SessionError> {
        let Some(consumer) = &self.broadcast else {
            return Ok(());
        };
        let mut runs = Vec::new();
        for _ in 0..self.context.options.batch_rows.max(64) {
            match consumer.poll(Duration::ZERO) {
                None => break,
                Some(Ok(message)) => take(&mut runs, &message),
                Some(Err(error)) => {
                    worrying(&error)?;
                    break;
                }
            }
        }
        self.hand_over(runs)
    }

    fn hand_over(&mut self, runs: Vec<(String, u32, Vec<InputRecord>)>) -> Result<(), SessionError> {
        let mut handed = 0;
        for (topic, partition, records) in runs {
            handed += self.tasks.records(&self.context.plan, &topic, partition, records)?;
        }
        if handed > 0 {
            self.rows += handed;
            self.touched = true;
            self.context.counters.lock().records_in += handed as u64;
        }
        Ok(())
    }

    fn poll_progress(&mut self) -> Result<(), SessionError> {
        let declared = self.context.board.since(&self.context.plan.topics, &mut self.cursor);
        if !declared.is_empty() {
            self.tasks.progress(&self.context.plan, &declared, None)?;
            self.touched = true;
        }
        Ok(())
    }

    /// Every task once or more, until nothing can be done or it is time to look at the input again.
    fn step(&mut self) -> Result<bool, SessionError> {
        let started = Instant::now();
        let mut any = false;
        let mut effects = Vec::new();
        loop {
            let mut did = false;
            for open in self.tasks.open.values_mut() {
                did |= open.task.step(&mut effects)?;
            }
            if did {
                self.touched = true;
                any = true;
            }
            self.produce(&mut effects)?;
            if !did || started.elapsed() > POLL_TIME {
                return Ok(any);
            }
        }
    }

    /// Produces records; keeps declarations until the offsets before them are known.
    pub(crate) fn produce(&mut self, effects: &mut Vec<Effect>) -> Result<(), SessionError> {
        let mut records = 0;
        for effect in effects.drain(..) {
            match effect {
                Effect::Record { to, partition, key, value, timestamp_ms, progress } => {
                    self.producer.begin()?;
                    let topic = &self.context.plan.destinations[to];
                    let time = Some(timestamp_ms.max(0));
                    self.producer.send(topic, partition, key.as_deref(), value.as_deref(), time, Some(progress))?;
                    records += 1;
                }
                Effect::Progress { to, partition, writer, writers, watermark, complete } => {
                    let topic = self.context.plan.destinations[to].clone();
                    let value = ProgressValue { v: 1, offset: 0, watermark, complete, writers };
                    self.declared.insert(ProgressKey { topic, partition, writer }, value);
                }
            }
        }
        if records > 0 {
            self.touched = true;
            self.context.counters.lock().records_out += records;
        }
        Ok(())
    }

    /// Stops fetching partitions whose records wait in a task beyond their share, and goes on when half is gone.
    fn hold_back(&mut self) -> Result<(), SessionError> {
        let mut waiting: HashMap<(String, u32), usize> = HashMap::new();
        for ((subtopology, _), open) in &self.tasks.open {
            for backlog in open.task.backlog() {
                if !self.context.plan.input(*subtopology, backlog.input).broadcast {
                    let topic = self.context.plan.topic_of(*subtopology, backlog.input);
                    let bytes = waiting.entry((topic, backlog.partition)).or_default();
                    *bytes = (*bytes).max(backlog.bytes);
                }
            }
        }
        let share = self.context.options.input_bytes / waiting.len().max(1);
        let mut pause = TopicPartitionList::new();
        let mut resume = TopicPartitionList::new();
        for (key, bytes) in waiting {
            if bytes > share && !self.paused.contains(&key) {
                pause.add_partition(&key.0, key.1.cast_signed());
                self.paused.insert(key);
            } else if bytes <= share / 2 && self.paused.remove(&key) {
                resume.add_partition(&key.0, key.1.cast_signed());
            }
        }
        if pause.count() > 0 {
            self.consumer.pause(&pause).map_err(|e| SessionError::of("pause", &e))?;
        }
        if resume.count() > 0 {
            self.consumer.resume(&resume).map_err(|e| SessionError::of("resume", &e))?;
        }
        Ok(())
    }

    pub(super) fn open(&mut self, id: TaskId, committed: &Committed) -> Result<OpenTask, SessionError> {
        let plan = &self.context.plan;
        let (subtopology, partition) = id;
        let name = format!("{}/{subtopology}/{partition}", self.context.group);
        let keyspaces: Vec<String> =
            plan.changelogs[subtopology].iter().map(|topic| format!("{topic}.{partition}")).collect();
        let mut state = self.context.database.task(&name, &keyspaces)?;
        let counters = Arc::clone(&self.context.counters);
        let mut told = |done, total| counters.lock().restoring = Some((done, total));
        let opening = restore::open(plan, id, committed, &mut state, self.ends.reader(), &mut told)?;
        counters.lock().restoring = None;
        let handed: HashMap<(usize, u32), i64> =
            opening.positions.iter().map(|at| ((at.input, at.partition), at.offset)).collect();
        let options = TaskOptions { batch_rows: self.context.options.batch_rows };
        let task = Task::new(
            Arc::clone(&plan.program),
            subtopology,
            partition,
            Box::new(state.reader()),
            options,
            &opening.positions,
        )?;
        {
            let mut counters = self.context.counters.lock();
            counters.restored_records += opening.restored;
            counters.resumed_tasks += u64::from(opening.commit > 0);
        }
        let consumed: Vec<InputPosition> = opening.positions;
        Ok(OpenTask { task, state, commit: opening.commit, handed, consumed, watermark: WATERMARK_NONE })
    }

    /// Tells a task where inputs that others write end now.
    pub(super) fn observe(&mut self, id: TaskId) -> Result<(), SessionError> {
        let plan = &self.context.plan;
        for (input, declared) in plan.program.subtopologies[id.0].inputs.iter().enumerate() {
            if matches!(declared.progress, InputProgress::Declared) {
                continue;
            }
            let topic = plan.topic_of(id.0, input);
            let partitions = if declared.broadcast { 0..declared.partitions } else { id.1..id.1 + 1 };
            for partition in partitions {
                let offset = self.ends.of(&topic, partition)?.offset;
                if let Some(open) = self.tasks.open.get_mut(&id) {
                    open.task.handle(TaskEvent::End { input, partition, offset })?;
                }
            }
        }
        Ok(())
    }

    /// Repartition records that every task is past are of no use to anybody.
    fn purge(&mut self) {
        if self.context.plan.repartition.is_empty() || self.purged_at.elapsed() < PURGE_EVERY {
            return;
        }
        self.purged_at = Instant::now();
        let mut below: HashMap<(String, u32), i64> = HashMap::new();
        for ((subtopology, _), open) in &self.tasks.open {
            for at in &open.consumed {
                let topic = self.context.plan.topic_of(*subtopology, at.input);
                if self.context.plan.repartition.contains(&topic) {
                    let lowest = below.entry((topic, at.partition)).or_insert(at.offset);
                    *lowest = (*lowest).min(at.offset);
                }
            }
        }
        let mut list = TopicPartitionList::new();
        for ((topic, partition), offset) in below {
            if offset > 0
                && let Err(error) = list.add_partition_offset(&topic, partition.cast_signed(), Offset::Offset(offset))
            {
                tracing::debug!(%error, topic, "purge");
            }
        }
        kafka::purge(&self.context.admin, &list, Duration::from_secs(5));
    }
}

/// Appends a message to the run of its partition.
fn take<M: Message>(runs: &mut Vec<(String, u32, Vec<InputRecord>)>, message: &M) {
    let partition = message.partition().cast_unsigned();
    let record = InputRecord {
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
        key: kafka::owned(message.key()),
        value: kafka::owned(message.payload()),
        progress: kafka::record_progress(message),
    };
    // Messages come in runs of one partition, and there are few partitions.
    let run = runs.iter_mut().rev().find(|(topic, of, _)| *of == partition && topic == message.topic());
    match run {
        Some((_, _, records)) => records.push(record),
        None => runs.push((message.topic().to_owned(), partition, vec![record])),
    }
}

/// Most of what a consumer reports passes by itself; the rest ends the session.
pub(super) fn worrying(error: &KafkaError) -> Result<(), SessionError> {
    match error {
        KafkaError::MessageConsumptionFatal(RDKafkaErrorCode::FencedInstanceId) => Err(SessionError::Fenced),
        KafkaError::MessageConsumptionFatal(_) => Err(SessionError::StartOver(error.to_string())),
        KafkaError::MessageConsumption(
            RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::PollExceeded,
        ) => Err(SessionError::of("consume", error)),
        other => {
            tracing::debug!(error = %other, "the consumer reports");
            Ok(())
        }
    }
}
