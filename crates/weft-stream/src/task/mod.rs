//! One task: a sub-topology on one partition, as a clock-free step function.
//!
//! ```text
//!   handle(event)   queues, watermarks           ── decodes, never computes
//!   step(effects)   one batch of the input partition with the lowest head event time ── records out
//!   flush(effects)  changes of windows, progress ── Vec<Change> for the changelog
//!   committed()     the transaction that covers the flush is committed and the store has its changes
//! ```
//!
//! The runtime's loop: `handle` what was polled, `step` until it says there is nothing to do, and at a commit `flush`,
//! produce everything, send `consumed()`, commit, write the changes and `consumed()` to the store in one batch,
//! `committed()`. If the commit fails, drop the task and make a new one from the store.
//!
//! A stream row at time t that meets a table waits at the head of its queue until the table's time is past t; tables
//! themselves never wait. Waiting is not consuming: nothing is buffered in state.

pub mod event;
mod input;
mod operators;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use weft_model::partitioner::partition_of;
use weft_model::product::{PortKind, PortRole};
use weft_model::progress::{RecordProgress, WATERMARK_COMPLETE, WATERMARK_NONE, WatermarkMs};

pub use event::{Backlog, Effect, InputPosition, InputRecord, TaskEvent};

use self::input::{InputPartition, Reader, Run, What};
use self::operators::Op;
use crate::codec::key;
use crate::error::TaskError;
use crate::ir::{From, InputFrom, OperatorKind, Program, SubTopology};
use crate::ops::aggregate::behind;
use crate::ops::batch::{Batch, Meta, NO_SOURCE, Sources};
use crate::ops::rejected::{Origin, Rejected, origin};
use crate::ops::{evaluate, rekey};
use crate::state::{Change, State, StateStore};

/// What a user may tune on a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskOptions {
    /// Rows per batch, at most. Default 4096; 1 is legal and gives the same final tables.
    pub batch_rows: usize,
}

impl Default for TaskOptions {
    fn default() -> Self {
        Self { batch_rows: 4096 }
    }
}

/// A sub-topology on one partition.
#[derive(Debug)]
pub struct Task {
    program: Arc<Program>,
    subtopology: usize,
    partition: u32,
    options: TaskOptions,
    readers: Vec<Reader>,
    /// Per input: its partitions by number.
    inputs: Vec<HashMap<u32, InputPartition>>,
    /// Per input: tables whose time its rows wait for.
    waits_for: Vec<Vec<usize>>,
    ops: Vec<Op>,
    /// Who takes the rows of an edge: operator and slot.
    consumers: HashMap<From, Vec<(usize, usize)>>,
    /// Per table operator: streams that read it.
    readers_of: HashMap<usize, Vec<From>>,
    state: State,
    /// Per destination: watermark declared at the last flush.
    declared: Vec<WatermarkMs>,
    time_moved: bool,
}

impl Task {
    /// A task that continues at `positions`; partitions not named begin at offset 0 with nothing known.
    pub fn new(
        program: Arc<Program>,
        subtopology: usize,
        partition: u32,
        state: Box<dyn StateStore>,
        options: TaskOptions,
        positions: &[InputPosition],
    ) -> Result<Self, TaskError> {
        let sub = &program.subtopologies[subtopology];
        let readers: Vec<Reader> = sub.inputs.iter().map(Reader::new).collect();
        let inputs = sub.inputs.iter().map(|input| {
            let writers = match &input.from {
                InputFrom::Port { .. } => None,
                InputFrom::Repartition { operator } => program.destinations.iter().find_map(|destination| {
                    let found = matches!(&destination.to, crate::ir::DestinationTo::Repartition { operator: id } if id == operator);
                    found.then_some(destination.writers)
                }),
            };
            let partitions = if input.broadcast { (0..input.partitions).collect() } else { vec![partition] };
            partitions.into_iter().map(|p| (p, InputPartition::new(writers))).collect()
        });
        let inputs: Vec<HashMap<u32, InputPartition>> = inputs.collect();
        let mut consumers: HashMap<From, Vec<(usize, usize)>> = HashMap::new();
        for (at, operator) in sub.operators.iter().enumerate() {
            for (slot, from) in operator.from.iter().enumerate() {
                consumers.entry(*from).or_default().push((at, slot));
            }
        }
        let ops = operators::build(&program, sub)?;
        let mut readers_of: HashMap<usize, Vec<From>> = HashMap::new();
        let mut waits_for = vec![Vec::new(); sub.inputs.len()];
        for operator in &sub.operators {
            let OperatorKind::TableJoin { .. } = operator.kind else { continue };
            let (From::Operator(table), stream) = (operator.from[1], operator.from[0]) else { continue };
            readers_of.entry(table).or_default().push(stream);
            if let (From::Input(table_input), Some(stream_input)) = (sub.operators[table].from[0], root(sub, stream)) {
                waits_for[stream_input].push(table_input);
            }
        }
        let mut task = Self {
            state: State::new(state, sub.stores.len()),
            declared: vec![WATERMARK_NONE; program.destinations.len()],
            subtopology,
            partition,
            options,
            readers,
            inputs,
            waits_for,
            ops,
            consumers,
            readers_of,
            time_moved: true,
            program,
        };
        for position in positions {
            let progress = task.sub().inputs[position.input].progress;
            if let Some(input) = task.inputs[position.input].get_mut(&position.partition) {
                input.restore(position.offset, position.watermark, progress);
            }
        }
        for at in 0..task.ops.len() {
            let time = task.time_of(task.sub().operators[at].from[0]);
            if let Op::Aggregate(aggregate) = &mut task.ops[at] {
                aggregate.restore(time);
            }
        }
        for (destination, watermark) in task.watermarks() {
            task.declared[destination] = watermark;
        }
        Ok(task)
    }

    fn sub(&self) -> &SubTopology {
        &self.program.subtopologies[self.subtopology]
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Takes note of an event.
    pub fn handle(&mut self, event: TaskEvent) -> Result<(), TaskError> {
        self.time_moved = true;
        match event {
            TaskEvent::Records { input, partition, records } => {
                if let Some(queue) = self.inputs[input].get_mut(&partition) {
                    queue.push(records, &self.readers[input]);
                }
            }
            TaskEvent::Progress { input, partition, writer, value } => {
                if let Some(queue) = self.inputs[input].get_mut(&partition) {
                    queue.declare(writer, &value);
                }
            }
            TaskEvent::Position { input, partition, offset } => {
                if let Some(queue) = self.inputs[input].get_mut(&partition) {
                    queue.moved_to(offset);
                }
            }
            TaskEvent::End { input, partition, offset } => {
                if let Some(queue) = self.inputs[input].get_mut(&partition) {
                    queue.ends_at(offset);
                }
            }
        }
        Ok(())
    }

    /// Consumes one batch if it may; true if it did something and should be called again.
    pub fn step(&mut self, effects: &mut Vec<Effect>) -> Result<bool, TaskError> {
        for queue in self.inputs.iter_mut().flat_map(HashMap::values_mut) {
            queue.settle();
        }
        let Some((input, partition, limit)) = self.choose() else {
            if !std::mem::take(&mut self.time_moved) {
                return Ok(false);
            }
            self.advance(effects)?;
            return Ok(false);
        };
        let spec = &self.readers[input].input;
        let queue = self.inputs[input].get_mut(&partition).expect("chosen among them");
        let run = queue.take(self.options.batch_rows.max(1), limit, spec).expect("its head may be consumed");
        self.consume(input, partition, run, effects)?;
        self.time_moved = false;
        self.advance(effects)?;
        Ok(true)
    }

    /// Input partition with the lowest head event time whose head need not wait; tables before streams. With the event
    /// time from which on its rows must wait.
    fn choose(&self) -> Option<(usize, u32, WatermarkMs)> {
        let mut best: Option<((i64, bool, usize, u32), WatermarkMs)> = None;
        for (at, queues) in self.inputs.iter().enumerate() {
            let waits = self.waits_for[at].iter().map(|&table| self.time_of(From::Input(table)));
            let limit = waits.min().unwrap_or(WATERMARK_COMPLETE);
            let stream = self.sub().inputs[at].kind == PortKind::Append;
            for (&partition, queue) in queues {
                let Some(time) = queue.head_time() else { continue };
                if time >= limit && limit != WATERMARK_COMPLETE {
                    continue;
                }
                let rank = (time, stream, at, partition);
                if best.is_none_or(|(best, _)| rank < best) {
                    best = Some((rank, limit));
                }
            }
        }
        best.map(|((_, _, input, partition), limit)| (input, partition, limit))
    }

    /// Event-time watermark of an edge.
    fn time_of(&self, from: From) -> WatermarkMs {
        match from {
            From::Input(at) => {
                let spec = &self.sub().inputs[at];
                self.inputs[at].values().map(|queue| queue.time(spec)).min().unwrap_or(WATERMARK_NONE)
            }
            From::Operator(at) | From::Final(at) => {
                let operator = &self.sub().operators[at];
                match &operator.kind {
                    OperatorKind::WindowAggregate { grace_ms, .. } => behind(self.time_of(operator.from[0]), *grace_ms),
                    OperatorKind::WindowJoin { .. } => {
                        self.time_of(operator.from[0]).min(self.time_of(operator.from[1]))
                    }
                    _ => self.time_of(operator.from[0]),
                }
            }
        }
    }

    fn consume(&mut self, input: usize, partition: u32, run: Run, effects: &mut Vec<Effect>) -> Result<(), TaskError> {
        let spec = self.sub().inputs[input].clone();
        let topic = match &spec.from {
            InputFrom::Port { topic, .. } => Some(topic.clone()),
            InputFrom::Repartition { .. } => None,
        };
        let mut sources = Sources { topic, partition, records: Vec::with_capacity(run.entries.len()) };
        let mut meta = Vec::with_capacity(run.entries.len());
        let mut first_row = None;
        for entry in run.entries {
            match entry.what {
                What::Row(row) => {
                    first_row.get_or_insert(row);
                    let source = u32::try_from(sources.records.len()).expect("a batch has fewer than 2^32 rows");
                    meta.push(Meta { event_time: entry.time, row_watermark: entry.row_watermark, source });
                    sources.records.push((entry.offset, entry.value));
                }
                What::Put(row, key) => {
                    let row = Reader::row_bytes(&run.batch, row);
                    self.put(input, &key, entry.time, Some(row))?;
                }
                What::Delete(key) => self.put(input, &key, entry.time, None)?,
                What::Bad(error) => {
                    let at = format!("{} input {}", self.program.product, spec.name);
                    let rejected = Rejected {
                        at: &at,
                        topic: sources.topic.as_deref(),
                        partition: Some(partition),
                        offset: Some(entry.offset),
                        column: error.column.as_deref(),
                        reason: &error.reason,
                        raw: entry.value.as_deref(),
                        ..Rejected::default()
                    };
                    self.reject(PortRole::Errors, &rejected, entry.row_watermark, effects);
                }
            }
        }
        if let Some(first) = first_row {
            debug_assert_eq!(run.batch.num_columns(), self.readers[input].column_count(), "decoded for this input");
            let batch = Batch { columns: run.batch.slice(first, meta.len()), meta };
            self.push(From::Input(input), batch, &sources, effects)?;
        }
        Ok(())
    }

    fn put(&mut self, input: usize, key: &[u8], time: i64, row: Option<Vec<u8>>) -> Result<(), TaskError> {
        let tables = self.consumers.get(&From::Input(input)).cloned().unwrap_or_default();
        for (at, _) in tables {
            let readers = self.readers_of.get(&at).map_or(&[] as &[From], Vec::as_slice);
            let horizon = readers.iter().map(|&from| self.time_of(from)).min().unwrap_or(WATERMARK_NONE);
            if let Op::Table(table) = &mut self.ops[at] {
                table.put(key, time, row.clone(), horizon, &mut self.state)?;
            }
        }
        Ok(())
    }

    /// Sends a batch along an edge and onwards to every end.
    fn push(
        &mut self,
        from: From,
        batch: Batch,
        sources: &Sources,
        effects: &mut Vec<Effect>,
    ) -> Result<(), TaskError> {
        let mut work = vec![(from, batch)];
        while let Some((from, batch)) = work.pop() {
            if batch.rows() == 0 {
                continue;
            }
            for (at, slot) in self.consumers.get(&from).cloned().unwrap_or_default() {
                if let Some(out) = self.run(at, slot, &batch, sources, effects)? {
                    work.push((From::Operator(at), out));
                }
            }
        }
        Ok(())
    }

    /// Runs one operator on a batch.
    fn run(
        &mut self,
        at: usize,
        slot: usize,
        batch: &Batch,
        sources: &Sources,
        effects: &mut Vec<Effect>,
    ) -> Result<Option<Batch>, TaskError> {
        let mut op = std::mem::replace(&mut self.ops[at], Op::Busy);
        let done = self.run_taken(&mut op, at, slot, batch, sources, effects);
        self.ops[at] = op;
        done
    }

    fn run_taken(
        &mut self,
        op: &mut Op,
        at: usize,
        slot: usize,
        batch: &Batch,
        sources: &Sources,
        effects: &mut Vec<Effect>,
    ) -> Result<Option<Batch>, TaskError> {
        let (out, bad) = match op {
            Op::Filter(predicate) => evaluate::filter(predicate, batch),
            Op::Project { expressions, schema } => evaluate::project(expressions, schema, batch),
            Op::Window { size_ms, schema } => (operators::add_window(batch, *size_ms, schema), Vec::new()),
            Op::Late { grace_ms, window_ms } => {
                return Ok(Some(self.sort_out_late(at, (*grace_ms, *window_ms), batch, sources, effects)));
            }
            Op::Aggregate(aggregate) => {
                let bad = aggregate.push(batch, &self.state)?;
                self.reject_rows(at, batch, &bad, sources, effects);
                return Ok(None);
            }
            Op::TableJoin { join, table } => {
                let Op::Table(table) = &mut self.ops[*table] else { panic!("from[1] of a table join is a table") };
                join.push(batch, table, &self.state)?
            }
            Op::WindowJoin(join) => {
                let offset = |meta: &Meta| sources.records[meta.source as usize].0;
                let offsets: Vec<i64> = batch.meta.iter().map(offset).collect();
                join.push(slot, batch, &offsets, &mut self.state)?
            }
            Op::Rekey { key, destination } => {
                let mut bad = Vec::new();
                for row in 0..batch.rows() {
                    match key::encode(&batch.columns, key, row) {
                        Ok(bytes) => {
                            let time = batch.meta[row].event_time.max(0);
                            let value = rekey::encode(batch, row);
                            self.record(*destination, bytes, value, time, batch.meta[row].row_watermark, effects);
                        }
                        Err(error) => bad.push((row_number(row), format!("key: {error}"))),
                    }
                }
                self.reject_rows(at, batch, &bad, sources, effects);
                return Ok(None);
            }
            Op::Sink(sink) => {
                let mut bad = Vec::new();
                for row in 0..batch.rows() {
                    match sink.encode(batch, row) {
                        Ok((key, value, time)) => {
                            self.record(sink.destination, key, value, time, batch.meta[row].row_watermark, effects);
                        }
                        Err(reason) => bad.push((row_number(row), reason)),
                    }
                }
                self.reject_rows(at, batch, &bad, sources, effects);
                return Ok(None);
            }
            Op::Table(_) => return Ok(None),
            Op::Busy => panic!("an operator never feeds itself"),
        };
        self.reject_rows(at, batch, &bad, sources, effects);
        Ok(Some(out))
    }

    fn sort_out_late(
        &mut self,
        at: usize,
        (grace_ms, window_ms): (i64, Option<i64>),
        batch: &Batch,
        sources: &Sources,
        effects: &mut Vec<Effect>,
    ) -> Batch {
        let window = |meta: &Meta| {
            window_ms.map(|size| {
                let start = crate::ops::aggregate::window_start(meta.event_time, size);
                (start, start.saturating_add(size))
            })
        };
        let late = |meta: &Meta| match window(meta) {
            Some((_, end)) => meta.row_watermark >= end.saturating_add(grace_ms),
            None => meta.row_watermark > meta.event_time.saturating_add(grace_ms),
        };
        if !batch.meta.iter().any(late) {
            return batch.clone();
        }
        let mut on_time = Vec::new();
        for (row, meta) in batch.meta.iter().enumerate() {
            if !late(meta) {
                on_time.push(row_number(row));
                continue;
            }
            let Origin { topic, partition, offset, raw } = origin(sources, batch, row);
            let stage = self.stage(at);
            let reason =
                if window_ms.is_some() { "its window had closed" } else { "rows it could meet had been let go" };
            let rejected = Rejected {
                at: &stage,
                topic: topic.as_deref(),
                partition,
                offset,
                reason,
                raw: raw.as_deref(),
                window: window(meta),
                watermark: Some(meta.row_watermark),
                ..Rejected::default()
            };
            self.reject(PortRole::Late, &rejected, meta.row_watermark, effects);
        }
        batch.take(&on_time)
    }

    fn stage(&self, operator: usize) -> String {
        format!("{} {}", self.program.product, self.sub().operators[operator].id)
    }

    fn reject_rows(
        &mut self,
        at: usize,
        batch: &Batch,
        bad: &[(u32, String)],
        sources: &Sources,
        effects: &mut Vec<Effect>,
    ) {
        for (row, reason) in bad {
            let Origin { topic, partition, offset, raw } = origin(sources, batch, *row as usize);
            let stage = self.stage(at);
            let rejected = Rejected {
                at: &stage,
                topic: topic.as_deref(),
                partition,
                offset,
                reason,
                raw: raw.as_deref(),
                ..Rejected::default()
            };
            self.reject(PortRole::Errors, &rejected, batch.meta[*row as usize].row_watermark, effects);
        }
    }

    fn reject(&self, role: PortRole, rejected: &Rejected<'_>, row_watermark: WatermarkMs, effects: &mut Vec<Effect>) {
        let to = self.program.builtin(role).expect("every program has the ports errors and late");
        self.record(to, None, rejected.encode(), 0, row_watermark, effects);
    }

    fn record(
        &self,
        to: usize,
        key: Option<Bytes>,
        value: Bytes,
        timestamp_ms: i64,
        row_watermark: WatermarkMs,
        effects: &mut Vec<Effect>,
    ) {
        let partitions = self.program.destinations[to].partitions;
        let partition = match &key {
            Some(key) => partition_of(key, partitions),
            None => self.partition % partitions,
        };
        let writer = self.program.writer(to, self.subtopology, self.partition);
        let writer_watermark = self.declared[to].min(row_watermark);
        let progress = RecordProgress { writer, writer_watermark, row_watermark };
        effects.push(Effect::Record { to, partition, key, value: Some(value), timestamp_ms, progress });
    }

    /// Closes what time has passed, in the order data flows.
    fn advance(&mut self, effects: &mut Vec<Effect>) -> Result<(), TaskError> {
        for at in 0..self.ops.len() {
            let from = self.sub().operators[at].from.clone();
            match &mut self.ops[at] {
                Op::Aggregate(_) => {
                    let time = self.time_of(from[0]);
                    let Op::Aggregate(aggregate) = &mut self.ops[at] else { unreachable!("matched above") };
                    let Some((changes, finals)) = aggregate.advance(time, &mut self.state)? else { continue };
                    if let Some(changes) = changes {
                        self.push(From::Operator(at), changes, &Sources::default(), effects)?;
                    }
                    self.push(From::Final(at), finals, &Sources::default(), effects)?;
                }
                Op::WindowJoin(_) => {
                    let times = [self.time_of(from[0]), self.time_of(from[1])];
                    let Op::WindowJoin(join) = &mut self.ops[at] else { unreachable!("matched above") };
                    join.advance(times, &mut self.state)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Watermark of every destination this task writes.
    fn watermarks(&self) -> Vec<(usize, WatermarkMs)> {
        let mut watermarks = Vec::new();
        for operator in &self.sub().operators {
            match &operator.kind {
                OperatorKind::Rekey { destination, .. } => {
                    watermarks.push((*destination, self.time_of(operator.from[0])));
                }
                OperatorKind::Sink { destination, behind_ms, .. } => {
                    let time = self.time_of(operator.from[0]);
                    let watermark = match behind_ms {
                        Some(by) => behind(time, *by),
                        None if time == WATERMARK_COMPLETE => time,
                        None => WATERMARK_NONE,
                    };
                    watermarks.push((*destination, watermark));
                }
                _ => {}
            }
        }
        // errors and late have no event time: complete when every input is.
        let inputs = 0..self.inputs.len();
        let all = inputs.map(|at| self.time_of(From::Input(at))).min().unwrap_or(WATERMARK_NONE);
        let all = if all == WATERMARK_COMPLETE { all } else { WATERMARK_NONE };
        for role in [PortRole::Errors, PortRole::Late] {
            watermarks.push((self.program.builtin(role).expect("every program has them"), all));
        }
        watermarks
    }

    /// Emits what has gathered, and progress; gives the state changes since the last flush.
    pub fn flush(&mut self, effects: &mut Vec<Effect>) -> Result<Vec<Change>, TaskError> {
        for at in 0..self.ops.len() {
            if let Op::Aggregate(aggregate) = &mut self.ops[at]
                && let Some(changes) = aggregate.flush(&mut self.state)?
            {
                self.push(From::Operator(at), changes, &Sources::default(), effects)?;
            }
        }
        for (to, watermark) in self.watermarks() {
            if watermark <= self.declared[to] {
                continue;
            }
            self.declared[to] = watermark;
            let destination = &self.program.destinations[to];
            let writer = self.program.writer(to, self.subtopology, self.partition);
            for partition in 0..destination.partitions {
                effects.push(Effect::Progress {
                    to,
                    partition,
                    writer,
                    writers: destination.writers,
                    watermark,
                    complete: watermark == WATERMARK_COMPLETE,
                });
            }
        }
        Ok(self.state.drain())
    }

    /// The store holds the changes of the last flush.
    pub fn committed(&mut self) {
        self.state.committed();
    }

    /// What a commit now covers: every input partition but broadcast ones.
    pub fn consumed(&self) -> Vec<InputPosition> {
        let mut positions = Vec::new();
        for (at, queues) in self.inputs.iter().enumerate() {
            let spec = &self.sub().inputs[at];
            if spec.broadcast {
                continue;
            }
            for (&partition, queue) in queues {
                let watermark = queue.time(spec);
                positions.push(InputPosition { input: at, partition, offset: queue.position(), watermark });
            }
        }
        positions
    }

    /// What waits, per input partition, broadcast ones too.
    pub fn backlog(&self) -> Vec<Backlog> {
        let mut backlog = Vec::new();
        for (input, queues) in self.inputs.iter().enumerate() {
            for (&partition, queue) in queues {
                backlog.push(Backlog { input, partition, records: queue.records, bytes: queue.bytes });
            }
        }
        backlog
    }

    /// Bytes of state changed since the last flush; over the runtime's budget it commits early.
    pub fn dirty_bytes(&self) -> usize {
        self.state.dirty_bytes()
    }

    /// Event-time watermark of every input, over its partitions here.
    pub fn input_times(&self) -> Vec<WatermarkMs> {
        (0..self.inputs.len()).map(|at| self.time_of(From::Input(at))).collect()
    }
}

/// The input whose head rows reach an edge, if they do so directly.
fn root(sub: &SubTopology, from: From) -> Option<usize> {
    match from {
        From::Input(at) => Some(at),
        From::Final(_) => None,
        From::Operator(at) => match sub.operators[at].kind {
            OperatorKind::WindowAggregate { .. } | OperatorKind::WindowJoin { .. } => None,
            _ => root(sub, sub.operators[at].from[0]),
        },
    }
}

fn row_number(row: usize) -> u32 {
    let number = u32::try_from(row).expect("a batch has fewer than 2^32 rows");
    assert_ne!(number, NO_SOURCE, "a batch has fewer than 2^32 - 1 rows");
    number
}
