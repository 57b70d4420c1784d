//! Rows that go to `errors` and `late`, and records as they leave the task.

use bytes::Bytes;
use weft_model::partitioner::partition_of;
use weft_model::product::PortRole;
use weft_model::progress::{RecordProgress, WatermarkMs};

use super::{Effect, Task, row_number};
use crate::ops::batch::{Batch, Meta, Sources};
use crate::ops::rejected::{Rejected, origin};

impl Task {
    pub(super) fn sort_out_late(
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
            let (origin, stage) = (origin(sources, batch, row), self.stage(at));
            let reason =
                if window_ms.is_some() { "its window had closed" } else { "rows it could meet had been let go" };
            let rejected = Rejected {
                window: window(meta),
                watermark: Some(meta.row_watermark),
                ..origin.rejected(&stage, reason)
            };
            self.reject(PortRole::Late, &rejected, meta.row_watermark, effects);
        }
        batch.take(&on_time)
    }

    fn stage(&self, operator: usize) -> String {
        format!("{} {}", self.program.product, self.sub().operators[operator].id)
    }

    pub(super) fn reject_rows(
        &mut self,
        at: usize,
        batch: &Batch,
        bad: &[(u32, String)],
        sources: &Sources,
        effects: &mut Vec<Effect>,
    ) {
        for (row, reason) in bad {
            let (origin, stage) = (origin(sources, batch, *row as usize), self.stage(at));
            let row_watermark = batch.meta[*row as usize].row_watermark;
            self.reject(PortRole::Errors, &origin.rejected(&stage, reason), row_watermark, effects);
        }
    }

    pub(super) fn reject(
        &self,
        role: PortRole,
        rejected: &Rejected<'_>,
        row_watermark: WatermarkMs,
        effects: &mut Vec<Effect>,
    ) {
        let to = self.program.builtin(role).expect("every program has the ports errors and late");
        self.record(to, None, rejected.encode(), 0, row_watermark, effects);
    }

    pub(super) fn record(
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
}
