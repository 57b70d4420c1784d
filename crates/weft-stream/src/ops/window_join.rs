//! Stream–stream join of rows with one key whose times differ by no less than `lower_ms` and no more than `upper_ms`
//! (right − left).
//!
//! ```text
//!   rows   side (0 left, 1 right) ‖ key (ordered) ‖ time (ordered) ‖ offset   → version ‖ row_watermark ‖ row
//!   index  2 + side ‖ time (ordered) ‖ key ‖ offset                           → version: what may leave, from the front
//! ```
//! A left row at l leaves once the right side's time is past l + upper: no right row on time can meet it any more.

use std::ops::Bound;
use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::SchemaRef;
use datafusion::physical_expr::PhysicalExpr;
use weft_model::progress::{WATERMARK_COMPLETE, WATERMARK_NONE, WatermarkMs};
use weft_model::schema::Schema;

use super::BYTES_VERSION;
use super::batch::{Batch, Meta};
use super::evaluate;
use crate::codec::json::batch_of;
use crate::codec::{ordered, row};
use crate::error::TaskError;
use crate::state::{State, StoreIndex};

#[derive(Debug)]
pub(crate) struct WindowJoin {
    pub(crate) id: String,
    pub(crate) keys: [Vec<usize>; 2],
    pub(crate) lower_ms: i64,
    pub(crate) upper_ms: i64,
    pub(crate) grace_ms: i64,
    pub(crate) condition: Option<Arc<dyn PhysicalExpr>>,
    /// Columns of both sides.
    pub(crate) sides: [Schema; 2],
    pub(crate) schema: SchemaRef,
    pub(crate) store: StoreIndex,
    /// Times up to which rows of each side were dropped.
    dropped_to: [WatermarkMs; 2],
}

impl WindowJoin {
    pub(crate) fn new(
        id: String,
        keys: [Vec<usize>; 2],
        (lower_ms, upper_ms, grace_ms): (i64, i64, i64),
        condition: Option<Arc<dyn PhysicalExpr>>,
        sides: [Schema; 2],
        schema: SchemaRef,
        store: StoreIndex,
    ) -> Self {
        let dropped_to = [WATERMARK_NONE; 2];
        Self { id, keys, lower_ms, upper_ms, grace_ms, condition, sides, schema, store, dropped_to }
    }

    /// Meets the other side's rows, then waits for those to come. `offset` of a row tells rows of one instant apart.
    pub(crate) fn push(
        &mut self,
        side: usize,
        batch: &Batch,
        offsets: &[i64],
        state: &mut State,
    ) -> Result<(Batch, Vec<(u32, String)>), TaskError> {
        let corrupt = || TaskError::Corrupt { what: "state", operator: self.id.clone() };
        let other = 1 - side;
        // right − left within [lower, upper]: what to look for on the other side, relative to this row's time.
        let (from, to) = if side == 0 { (self.lower_ms, self.upper_ms) } else { (-self.upper_ms, -self.lower_ms) };
        let mut theirs = row::RowReader::new(&self.sides[other], batch.rows());
        let mut ours = Vec::new();
        let mut meta = Vec::new();
        for (at, row_meta) in batch.meta.iter().enumerate() {
            if self.keys[side].iter().any(|&column| batch.columns.column(column).is_null(at)) {
                continue; // NULL equals nothing
            }
            let mut key = Vec::new();
            for &column in &self.keys[side] {
                ordered::push_cell(&mut key, batch.columns.column(column), at);
            }
            let time = row_meta.event_time;
            let probe = |time: i64| {
                let mut bytes = vec![u8::try_from(other).expect("0 or 1")];
                bytes.extend_from_slice(&key);
                ordered::push_i64(&mut bytes, time);
                bytes
            };
            let first = probe(time.saturating_add(from));
            let mut last = probe(time.saturating_add(to));
            last.extend_from_slice(&[0xff; 9]);
            let mut broken = false;
            state.scan(self.store, Bound::Included(&first), Bound::Included(&last), &mut |stored, value| {
                let mut found = || {
                    let time = ordered::read_i64(stored.get(1 + key.len()..)?)?;
                    let (watermark, row) = value.strip_prefix(&[BYTES_VERSION])?.split_first_chunk::<8>()?;
                    theirs.push(row).ok()?;
                    Some((time, i64::from_be_bytes(*watermark)))
                };
                let Some((their_time, their_watermark)) = found() else {
                    broken = true;
                    return false;
                };
                ours.push(u32::try_from(at).expect("a row number"));
                meta.push(Meta {
                    event_time: time.max(their_time),
                    row_watermark: row_meta.row_watermark.min(their_watermark),
                    source: row_meta.source,
                });
                true
            })?;
            if broken {
                return Err(corrupt());
            }
            let tag = u8::try_from(side).expect("0 or 1");
            let mut stored = vec![tag];
            stored.extend_from_slice(&key);
            ordered::push_i64(&mut stored, time);
            stored.extend_from_slice(&offsets[at].to_be_bytes());
            let mut value = vec![BYTES_VERSION];
            value.extend_from_slice(&row_meta.row_watermark.to_be_bytes());
            row::encode(&batch.columns, at, &mut value);
            let mut index = vec![2 + tag];
            ordered::push_i64(&mut index, time);
            index.extend_from_slice(&key);
            index.extend_from_slice(&offsets[at].to_be_bytes());
            state.put(self.store, stored, value);
            state.put(self.store, index, vec![BYTES_VERSION]);
        }
        let mine = batch.take(&ours).columns;
        let theirs = theirs.finish();
        let (left, right) = if side == 0 { (&mine, &theirs) } else { (&theirs, &mine) };
        let arrays = left.columns().iter().chain(right.columns()).cloned().collect();
        let both = Batch { columns: batch_of(self.schema.clone(), arrays, meta.len()), meta };
        match &self.condition {
            None => Ok((both, Vec::new())),
            Some(condition) => {
                let (kept, bad) = evaluate::filter(condition, &both);
                // Numbers of pairs become numbers of this batch's rows.
                Ok((kept, bad.into_iter().map(|(pair, reason)| (ours[pair as usize], reason)).collect()))
            }
        }
    }

    /// Drops rows that no row on time can meet any more, given both sides' times.
    pub(crate) fn advance(&mut self, times: [WatermarkMs; 2], state: &mut State) -> Result<(), TaskError> {
        for side in 0..2 {
            let other_time = times[1 - side];
            if other_time <= self.dropped_to[side] {
                continue;
            }
            self.dropped_to[side] = other_time;
            let tag = 2 + u8::try_from(side).expect("0 or 1");
            let mut end = vec![tag];
            if other_time == WATERMARK_COMPLETE {
                end = vec![tag + 1];
            } else {
                // left l leaves when l + upper + grace < right time; right r when r − lower + grace < left time
                let reach = if side == 0 { self.upper_ms } else { -self.lower_ms };
                ordered::push_i64(&mut end, other_time.saturating_sub(reach).saturating_sub(self.grace_ms));
            }
            let mut leaving = Vec::new();
            state.scan(self.store, Bound::Included(&[tag]), Bound::Excluded(&end), &mut |key, _| {
                leaving.push(key.to_vec());
                true
            })?;
            for index in leaving {
                let (time, rest) = index[1..].split_at(8);
                let (key, offset) = rest.split_at(rest.len() - 8);
                let mut stored = vec![tag - 2];
                stored.extend_from_slice(key);
                stored.extend_from_slice(time);
                stored.extend_from_slice(offset);
                state.delete(self.store, stored);
                state.delete(self.store, index);
            }
        }
        Ok(())
    }
}
