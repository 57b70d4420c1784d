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
mod flow;
mod input;
mod operators;
mod rejects;

use std::collections::HashMap;
use std::sync::Arc;

use weft_model::product::{PortKind, PortRole};
use weft_model::progress::{WATERMARK_COMPLETE, WATERMARK_NONE, WatermarkMs};

pub use event::{Backlog, Effect, InputPosition, InputRecord, TaskEvent};

use self::input::{InputPartition, Reader};
use self::operators::Op;
use crate::error::TaskError;
use crate::ir::{From, InputFrom, OperatorKind, Program, SubTopology};
use crate::ops::aggregate::behind;
use crate::ops::batch::{NO_SOURCE, Sources};
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
