//! A whole program without Kafka: topics are vectors, commits are moments. `weft test` runs it, and the laws of the
//! engine are tested with it: any interleaving, any batch size, any crash gives the same final tables.
//!
//! ```text
//!   given rows ──► logs of input partitions ──┐   each task: cursor per log, buffer of effects, MemoryStore
//!                  logs of repartition topics ┴─► handle, step … flush ──► publish effects, apply changes
//!                                                          └ crash: buffer thrown away, task rebuilt from the store
//! ```

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use weft_model::json::parse_value;
use weft_model::key::key_bytes;
use weft_model::kind::{Diagnostic, Diagnostics, Kind};
use weft_model::mesh::Mesh;
use weft_model::partitioner::partition_of;
use weft_model::product::{InputPort, PortKind, PortRole};
use weft_model::progress::{ProgressValue, RecordProgress, WATERMARK_COMPLETE, WATERMARK_NONE, WatermarkMs};
use weft_model::query::RowJson;
use weft_model::tests::GivenRow;

use crate::error::TaskError;
use crate::ir::{DestinationTo, Input, InputFrom, InputProgress, Program};
use crate::state::MemoryStore;
use crate::task::{Effect, InputPosition, InputRecord, Task, TaskEvent, TaskOptions};

/// How a run is cut and mixed. The rows that come out do not depend on it, only their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfflineOptions {
    /// Rows per batch, at most. Default 4096.
    pub batch_rows: usize,
    /// Mixes inputs unevenly, commits and crashes at moments that it decides. None: in turn, one commit per round.
    pub seed: Option<u64>,
    /// With a seed: tasks crash between commits now and then. Default false.
    pub crashes: bool,
}

impl Default for OfflineOptions {
    fn default() -> Self {
        Self { batch_rows: 4096, seed: None, crashes: false }
    }
}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// The engine could not go on.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// A given row is for an input that the program does not have, or is not JSON with the input's key.
    #[error("given row {number} of input \"{input}\": {reason}")]
    Given {
        /// The input.
        input: String,
        /// Which row, from 1.
        number: usize,
        /// Why.
        reason: String,
    },
}

impl From<OfflineError> for Diagnostics {
    fn from(error: OfflineError) -> Self {
        let (what, try_) = match &error {
            OfflineError::Task(_) => ("the product cannot be run on given rows", ""),
            OfflineError::Given { .. } => ("given rows cannot be read", "correct them under `given:` of the test"),
        };
        Diagnostic {
            kind: Kind::Invalid,
            code: "SQL-023",
            what: what.to_owned(),
            because: error.to_string(),
            try_: try_.to_owned(),
            place: None,
        }
        .into()
    }
}

/// One record that came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputRecord {
    /// Partition of the port's topic.
    pub partition: u32,
    /// Key bytes.
    pub key: Option<Bytes>,
    /// JSON object; none = deleted.
    pub value: Option<RowJson>,
    /// Record timestamp. Milliseconds.
    pub timestamp_ms: i64,
    /// Its header.
    pub progress: RecordProgress,
}

/// Everything that came out, by port name, in order of commits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Records by port.
    pub records: BTreeMap<String, Vec<OutputRecord>>,
    /// Kinds of the ports.
    kinds: BTreeMap<String, PortKind>,
    /// Highest watermark declared per port, least over its writers and partitions.
    pub watermarks: BTreeMap<String, WatermarkMs>,
}

impl Output {
    /// Rows of a port: all of an append port, the last of each key of an upsert port.
    pub fn rows(&self, port: &str) -> Vec<RowJson> {
        let records = self.records.get(port).map_or(&[] as &[OutputRecord], Vec::as_slice);
        if self.kinds.get(port) != Some(&PortKind::Upsert) {
            return records.iter().filter_map(|record| record.value.clone()).collect();
        }
        let mut last: BTreeMap<&Bytes, &Option<RowJson>> = BTreeMap::new();
        for record in records {
            if let Some(key) = &record.key {
                last.insert(key, &record.value);
            }
        }
        last.into_values().flatten().cloned().collect()
    }

    /// Rows of every port.
    pub fn all_rows(&self) -> BTreeMap<String, Vec<RowJson>> {
        self.records.keys().map(|port| (port.clone(), self.rows(port))).collect()
    }
}

/// One thing in a log.
#[derive(Debug, Clone)]
enum Item {
    Record(InputRecord),
    Progress { writer: u32, value: ProgressValue },
}

type Log = Vec<Item>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct LogId {
    topic: String,
    partition: u32,
}

struct Running {
    subtopology: usize,
    partition: u32,
    task: Task,
    store: MemoryStore,
    /// Logs it reads: input, log, cursor.
    reads: Vec<(usize, LogId, usize)>,
    buffer: Vec<Effect>,
    committed: Vec<InputPosition>,
}

/// Runs a product's program over given rows: all rows of its append ports, the last of each key of its upsert ports. What
/// `weft test` compares.
pub fn run(
    mesh: &Mesh,
    program: &Program,
    given: &BTreeMap<String, Vec<GivenRow>>,
) -> Result<BTreeMap<String, Vec<RowJson>>, Diagnostics> {
    let inputs = mesh.products.get(&program.product).map_or(&[] as &[InputPort], |product| product.inputs.as_slice());
    if let Some(input) = given.keys().find(|name| !inputs.iter().any(|input| input.name == **name)) {
        return Err(OfflineError::Given {
            input: input.clone(),
            number: 1,
            reason: "the product has no such input".to_owned(),
        }
        .into());
    }
    Ok(run_with(program, given, OfflineOptions::default())?.all_rows())
}

/// Runs a program over given rows until nothing moves any more.
pub fn run_with(
    program: &Program,
    given: &BTreeMap<String, Vec<GivenRow>>,
    options: OfflineOptions,
) -> Result<Output, OfflineError> {
    let mut program = program.clone();
    for input in program.subtopologies.iter_mut().flat_map(|sub| &mut sub.inputs) {
        input.progress = InputProgress::Declared; // what is given says its progress itself
    }
    let mut runner = Runner::new(Arc::new(program), options)?;
    runner.give(given)?;
    runner.run()?;
    Ok(runner.output)
}

struct Runner {
    program: Arc<Program>,
    options: OfflineOptions,
    tasks: Vec<Running>,
    logs: HashMap<LogId, Log>,
    next_offset: HashMap<LogId, i64>,
    progress: BTreeMap<(String, u32, u32), WatermarkMs>,
    output: Output,
    random: u64,
}

impl Runner {
    fn new(program: Arc<Program>, options: OfflineOptions) -> Result<Self, OfflineError> {
        let mut runner = Self {
            tasks: Vec::new(),
            logs: HashMap::new(),
            next_offset: HashMap::new(),
            progress: BTreeMap::new(),
            output: Output::default(),
            random: options.seed.unwrap_or(1),
            program,
            options,
        };
        for (at, sub) in runner.program.subtopologies.iter().enumerate() {
            for partition in 0..sub.partitions {
                let store = MemoryStore::new(sub.stores.len());
                let mut reads = Vec::new();
                for (number, input) in sub.inputs.iter().enumerate() {
                    let partitions = if input.broadcast { (0..input.partitions).collect() } else { vec![partition] };
                    for partition in partitions {
                        reads.push((number, LogId { topic: runner.program.input_topic(1, input), partition }, 0));
                    }
                }
                let task = runner.task(at, partition, &store, &[])?;
                let running = Running {
                    subtopology: at,
                    partition,
                    task,
                    store,
                    reads,
                    buffer: Vec::new(),
                    committed: Vec::new(),
                };
                runner.tasks.push(running);
            }
        }
        for destination in &runner.program.destinations {
            if let DestinationTo::Port { port, .. } = &destination.to {
                runner.output.kinds.insert(port.port.to_string(), destination.kind);
                runner.output.records.insert(port.port.to_string(), Vec::new());
            }
        }
        Ok(runner)
    }

    fn task(
        &self,
        subtopology: usize,
        partition: u32,
        store: &MemoryStore,
        positions: &[InputPosition],
    ) -> Result<Task, OfflineError> {
        let options = TaskOptions { batch_rows: self.options.batch_rows };
        let store = Box::new(store.clone());
        Ok(Task::new(self.program.clone(), subtopology, partition, store, options, positions)?)
    }

    fn random(&mut self, below: usize) -> usize {
        // splitmix64
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        usize::try_from(z % u64::try_from(below.max(1)).expect("fits")).expect("fits")
    }

    fn append(&mut self, id: &LogId, record: impl FnOnce(i64) -> InputRecord) {
        let offset = self.next_offset.entry(id.clone()).or_insert(0);
        let record = record(*offset);
        *offset += 1;
        self.logs.entry(id.clone()).or_default().push(Item::Record(record));
    }

    fn declare(&mut self, id: &LogId, writer: u32, writers: u32, watermark: WatermarkMs) {
        let offset = self.next_offset.get(id).copied().unwrap_or(0);
        let complete = watermark == WATERMARK_COMPLETE;
        let value = ProgressValue { v: 1, offset, watermark, complete, writers };
        self.logs.entry(id.clone()).or_default().push(Item::Progress { writer, value });
    }

    fn give(&mut self, given: &BTreeMap<String, Vec<GivenRow>>) -> Result<(), OfflineError> {
        let program = self.program.clone();
        let inputs: Vec<&Input> = program.subtopologies.iter().flat_map(|sub| &sub.inputs).collect();
        for (name, rows) in given {
            // An input that SQL does not read is no concern of ours.
            let Some(input) = inputs.iter().find(|input| input.name == *name) else { continue };
            let InputFrom::Port { topic, .. } = &input.from else { continue };
            let mut watermark = WATERMARK_NONE;
            for (number, row) in rows.iter().enumerate() {
                let bad = |reason: String| OfflineError::Given { input: name.clone(), number: number + 1, reason };
                match row {
                    GivenRow::Row(text) | GivenRow::Delete(text) => {
                        let key = given_key(input, text).map_err(bad)?;
                        let partition = key.as_ref().map_or(0, |key| partition_of(key, input.partitions));
                        let id = LogId { topic: topic.clone(), partition };
                        let deleted = matches!(row, GivenRow::Delete(_));
                        let value = (!deleted).then(|| Bytes::copy_from_slice(text.as_bytes()));
                        let progress =
                            RecordProgress { writer: 0, writer_watermark: watermark, row_watermark: watermark };
                        let timestamp_ms = watermark.max(0);
                        self.append(&id, |offset| InputRecord {
                            offset,
                            timestamp_ms,
                            key,
                            value,
                            progress: Some(progress),
                        });
                    }
                    GivenRow::Progress(to) => watermark = watermark.max(*to),
                    GivenRow::Complete => watermark = WATERMARK_COMPLETE,
                }
                if matches!(row, GivenRow::Progress(_) | GivenRow::Complete) {
                    for partition in 0..input.partitions {
                        self.declare(&LogId { topic: topic.clone(), partition }, 0, 1, watermark);
                    }
                }
            }
        }
        Ok(())
    }

    fn run(&mut self) -> Result<(), OfflineError> {
        loop {
            let mut moved = false;
            if self.options.seed.is_some() {
                let busy: Vec<usize> = (0..self.tasks.len()).filter(|&at| self.behind(at)).collect();
                if !busy.is_empty() {
                    let at = busy[self.random(busy.len())];
                    let reads: Vec<usize> = (0..self.tasks[at].reads.len())
                        .filter(|&read| self.tasks[at].reads[read].2 < self.log(&self.tasks[at].reads[read].1).len())
                        .collect();
                    let read = reads[self.random(reads.len())];
                    let items = 1 + self.random(64);
                    self.feed(at, read, items)?;
                    moved = true;
                    match self.random(8) {
                        0 => self.commit(at)?,
                        1 if self.options.crashes => self.crash(at)?,
                        _ => {}
                    }
                }
            } else {
                for at in 0..self.tasks.len() {
                    for read in 0..self.tasks[at].reads.len() {
                        moved |= self.feed(at, read, usize::MAX)?;
                    }
                    self.commit(at)?;
                }
            }
            if !moved {
                for at in 0..self.tasks.len() {
                    self.commit(at)?;
                }
                if !(0..self.tasks.len()).any(|at| self.behind(at)) {
                    return Ok(());
                }
            }
        }
    }

    fn log(&self, id: &LogId) -> &[Item] {
        self.logs.get(id).map_or(&[], Vec::as_slice)
    }

    fn behind(&self, at: usize) -> bool {
        self.tasks[at].reads.iter().any(|(_, id, cursor)| *cursor < self.log(id).len())
    }

    /// Hands over up to `items` items of one log, and steps as far as it goes.
    fn feed(&mut self, at: usize, read: usize, items: usize) -> Result<bool, OfflineError> {
        let (input, id, cursor) = self.tasks[at].reads[read].clone();
        let new: Vec<Item> = self.log(&id).iter().skip(cursor).take(items).cloned().collect();
        if new.is_empty() {
            return Ok(false);
        }
        let running = &mut self.tasks[at];
        running.reads[read].2 += new.len();
        hand_over(&mut running.task, input, id.partition, new)?;
        while running.task.step(&mut running.buffer)? {}
        Ok(true)
    }

    fn commit(&mut self, at: usize) -> Result<(), OfflineError> {
        let running = &mut self.tasks[at];
        while running.task.step(&mut running.buffer)? {}
        let changes = running.task.flush(&mut running.buffer)?;
        running.committed = running.task.consumed();
        running.store.apply(changes);
        running.task.committed();
        for effect in std::mem::take(&mut running.buffer) {
            self.publish(effect);
        }
        Ok(())
    }

    fn publish(&mut self, effect: Effect) {
        let program = self.program.clone();
        match effect {
            Effect::Record { to, partition, key, value, timestamp_ms, progress } => {
                match &program.destinations[to].to {
                    DestinationTo::Repartition { .. } => {
                        let id = LogId { topic: program.destination_topic(1, to), partition };
                        self.append(&id, |offset| InputRecord {
                            offset,
                            timestamp_ms,
                            key,
                            value,
                            progress: Some(progress),
                        });
                    }
                    DestinationTo::Port { port, .. } => {
                        let value = value.map(|value| String::from_utf8_lossy(&value).into_owned());
                        let record = OutputRecord { partition, key, value, timestamp_ms, progress };
                        self.output.records.entry(port.port.to_string()).or_default().push(record);
                    }
                }
            }
            Effect::Progress { to, partition, writer, writers, watermark, .. } => match &program.destinations[to].to {
                DestinationTo::Repartition { .. } => {
                    let id = LogId { topic: program.destination_topic(1, to), partition };
                    self.declare(&id, writer, writers, watermark);
                }
                DestinationTo::Port { port, role, .. } => {
                    let name = port.port.to_string();
                    self.progress.insert((name.clone(), partition, writer), watermark);
                    let of_port = self.progress.iter().filter(|((port, ..), _)| *port == name);
                    let (count, least) =
                        of_port.fold((0, WATERMARK_COMPLETE), |(count, least), (_, &w)| (count + 1, least.min(w)));
                    let all = writers.saturating_mul(program.destinations[to].partitions);
                    if *role == PortRole::Declared && count >= all {
                        self.output.watermarks.insert(name, least);
                    }
                }
            },
        }
    }

    /// What was not committed never was.
    fn crash(&mut self, at: usize) -> Result<(), OfflineError> {
        let running = &self.tasks[at];
        let task = self.task(running.subtopology, running.partition, &running.store, &running.committed)?;
        let committed = running.committed.clone();
        let mut replays = Vec::new();
        for (input, id, cursor) in &running.reads {
            let position =
                committed.iter().find(|position| position.input == *input && position.partition == id.partition);
            let from = position.map_or(0, |position| position.offset);
            // Progress is read again from the start, records from the committed offset.
            let again = |item: &&Item| match item {
                Item::Record(record) => record.offset >= from,
                Item::Progress { .. } => true,
            };
            let items: Vec<Item> = self.log(id)[..*cursor].iter().filter(again).cloned().collect();
            replays.push((*input, id.partition, items));
        }
        let running = &mut self.tasks[at];
        running.task = task;
        running.buffer.clear();
        for (input, partition, items) in replays {
            hand_over(&mut running.task, input, partition, items)?;
        }
        Ok(())
    }
}

/// Hands items over as the runtime would: runs of records, progress between them.
fn hand_over(task: &mut Task, input: usize, partition: u32, items: Vec<Item>) -> Result<(), TaskError> {
    let mut records = Vec::new();
    for item in items {
        match item {
            Item::Record(record) => records.push(record),
            Item::Progress { writer, value } => {
                if !records.is_empty() {
                    task.handle(TaskEvent::Records { input, partition, records: std::mem::take(&mut records) })?;
                }
                task.handle(TaskEvent::Progress { input, partition, writer, value })?;
            }
        }
    }
    if !records.is_empty() {
        task.handle(TaskEvent::Records { input, partition, records })?;
    }
    Ok(())
}

fn given_key(input: &Input, text: &str) -> Result<Option<Bytes>, String> {
    if input.key.is_empty() {
        return Ok(None);
    }
    let row: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut values = Vec::new();
    for column in &input.key {
        let value = row.get(&column.name).unwrap_or(&Value::Null);
        let value =
            parse_value(value, column.column_type).map_err(|error| format!("column \"{}\": {error}", column.name))?;
        values.push(value);
    }
    key_bytes(&values).map(Some).map_err(|error| error.to_string())
}
