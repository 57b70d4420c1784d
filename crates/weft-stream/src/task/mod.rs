//! One task: a sub-topology on one partition, as a clock-free step function.
//!
//! ```text
//!   handle(event)   queues, watermarks           ── never blocks, never computes
//!   step(effects)   one batch of the input partition with the lowest head event time ── records out
//!   flush(effects)  changes of windows, progress ── Vec<Change> for the changelog
//!   committed()     the transaction that covers the flush is committed and the store has its changes
//! ```
//!
//! The runtime's loop: `handle` what was polled, `step` until it says there is nothing to do, and at a commit `flush`,
//! produce everything, send `consumed()`, commit, write the changes and `consumed()` to the store in one batch,
//! `committed()`. If the commit fails, drop the task and make a new one from the store.

pub mod event;

use std::sync::Arc;

pub use event::{Backlog, Effect, InputPosition, InputRecord, TaskEvent};

use crate::error::TaskError;
use crate::ir::Program;
use crate::state::{Change, StateStore};

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
        let _ = (subtopology, partition, state, options, positions);
        Ok(Self { program })
    }

    /// Takes note of an event.
    pub fn handle(&mut self, event: TaskEvent) -> Result<(), TaskError> {
        let _ = event;
        Ok(())
    }

    /// Consumes one batch if it may; true if it did something and should be called again.
    pub fn step(&mut self, effects: &mut Vec<Effect>) -> Result<bool, TaskError> {
        let _ = effects;
        Ok(false)
    }

    /// Emits what has gathered, and progress; gives the state changes since the last flush.
    pub fn flush(&mut self, effects: &mut Vec<Effect>) -> Result<Vec<Change>, TaskError> {
        let _ = effects;
        Ok(Vec::new())
    }

    /// The store holds the changes of the last flush.
    pub fn committed(&mut self) {}

    /// What a commit now covers: every input partition but broadcast ones.
    pub fn consumed(&self) -> Vec<InputPosition> {
        Vec::new()
    }

    /// What waits, per input partition, broadcast ones too.
    pub fn backlog(&self) -> Vec<Backlog> {
        Vec::new()
    }

    /// Bytes of state changed since the last flush; over the runtime's budget it commits early.
    pub fn dirty_bytes(&self) -> usize {
        0
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }
}
