//! How a batch goes through the operators of a task, from an input to every end.

use weft_model::product::PortRole;
use weft_model::progress::WATERMARK_NONE;

use super::input::{Reader, Run, What};
use super::operators::{self, Op};
use super::{Effect, Task, row_number};
use crate::codec::key;
use crate::error::TaskError;
use crate::ir::{From, InputFrom};
use crate::ops::batch::{Batch, Meta, Sources};
use crate::ops::rejected::Rejected;
use crate::ops::{evaluate, rekey};

impl Task {
    pub(super) fn consume(
        &mut self,
        input: usize,
        partition: u32,
        run: Run,
        effects: &mut Vec<Effect>,
    ) -> Result<(), TaskError> {
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
    pub(super) fn push(
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

    /// Closes what time has passed, in the order data flows.
    pub(super) fn advance(&mut self, effects: &mut Vec<Effect>) -> Result<(), TaskError> {
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
}
