//! Tumbling window aggregate.
//!
//! ```text
//!   state key    01 ‖ window_start (ordered) ‖ group (ordered)      so that windows close in one scan from the front
//!   state value  version ‖ length of group row u32 ‖ group row ‖ accumulators
//! ```
//! A window is open until operator time ≥ end + grace; then its rows leave once (`Final`) and its state is deleted.
//! Changes leave at a flush, one per key that differs from what was said last.

use std::collections::BTreeMap;

use arrow::array::{ArrayRef, RecordBatch};
use weft_model::json::Scalar;
use weft_model::progress::{WATERMARK_COMPLETE, WATERMARK_NONE, WatermarkMs};
use weft_model::schema::{ColumnType, Schema};

use super::BYTES_VERSION;
use super::accumulate::{Accumulator, Kind};
use super::batch::{Batch, Meta, NO_SOURCE};
use crate::codec::json::{ColumnBuilder, batch_of, scalar};
use crate::codec::{arrow_schema, ordered, row};
use crate::error::TaskError;
use crate::state::{State, StoreIndex};

const WINDOW_PREFIX: u8 = 1;
/// Entries kept in memory between flushes; more are read again from state.
const CACHE_ENTRIES_MAX: usize = 65_536;

#[derive(Debug)]
pub(crate) struct WindowAggregate {
    pub(crate) id: String,
    pub(crate) size_ms: i64,
    pub(crate) grace_ms: i64,
    pub(crate) group: Vec<usize>,
    pub(crate) arguments: Vec<(Option<usize>, Option<usize>)>,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) group_types: Vec<ColumnType>,
    pub(crate) columns: Schema,
    pub(crate) store: StoreIndex,
    /// Entries by state key: open windows touched lately.
    entries: BTreeMap<Vec<u8>, Entry>,
    /// Time up to which windows have been closed.
    closed_to: WatermarkMs,
}

#[derive(Debug, Clone)]
struct Entry {
    group_row: Vec<u8>,
    accumulators: Vec<Accumulator>,
    /// Accumulators at the last flush; none = the key is new.
    said: Option<Vec<Accumulator>>,
    dirty: bool,
}

/// `start <= time < start + size`, also before 1970. Example: size 60,000, time −1 → −60,000.
pub(crate) fn window_start(time: i64, size_ms: i64) -> i64 {
    time.div_euclid(size_ms).saturating_mul(size_ms)
}

/// `time - grace`, where nothing and complete stay what they are.
pub(crate) fn behind(time: WatermarkMs, by_ms: i64) -> WatermarkMs {
    match time {
        WATERMARK_NONE | WATERMARK_COMPLETE => time,
        time => time.saturating_sub(by_ms),
    }
}

impl WindowAggregate {
    pub(crate) fn new(
        id: String,
        (size_ms, grace_ms): (i64, i64),
        group: Vec<usize>,
        aggregates: &[crate::ir::Aggregate],
        (input, columns): (&Schema, &Schema),
        store: StoreIndex,
    ) -> Self {
        let type_of = |at: usize| input.columns[at].column_type;
        Self {
            id,
            size_ms,
            grace_ms,
            group_types: group.iter().map(|&at| type_of(at)).collect(),
            group,
            arguments: aggregates.iter().map(|one| (one.argument, one.filter)).collect(),
            kinds: aggregates
                .iter()
                .map(|one| Kind { function: one.function, argument: one.argument.map(type_of) })
                .collect(),
            columns: columns.clone(),
            store,
            entries: BTreeMap::new(),
            closed_to: WATERMARK_NONE,
        }
    }

    fn key(&self, start: i64, batch: &RecordBatch, row: usize, out: &mut Vec<u8>) {
        out.clear();
        out.push(WINDOW_PREFIX);
        ordered::push_i64(out, start);
        for &at in &self.group {
            ordered::push_cell(out, batch.column(at), row);
        }
    }

    /// Counts rows; gives those whose sum would overflow.
    pub(crate) fn push(&mut self, batch: &Batch, state: &State) -> Result<Vec<(u32, String)>, TaskError> {
        let mut bad = Vec::new();
        // Distinct keys of the batch, each touched once in state.
        let mut slots: ahash::HashMap<Vec<u8>, usize> = ahash::HashMap::default();
        let mut first_rows = Vec::new();
        let mut slot_of_row = Vec::with_capacity(batch.rows());
        let mut key = Vec::new();
        for (at, meta) in batch.meta.iter().enumerate() {
            self.key(window_start(meta.event_time, self.size_ms), &batch.columns, at, &mut key);
            let slot = match slots.get(key.as_slice()) {
                Some(&slot) => slot,
                None => {
                    slots.insert(key.clone(), first_rows.len());
                    first_rows.push(at);
                    first_rows.len() - 1
                }
            };
            slot_of_row.push(slot);
        }
        let mut keys = vec![Vec::new(); first_rows.len()];
        for (key, slot) in slots {
            keys[slot] = key;
        }
        self.load(&keys, &first_rows, batch, state)?;
        let mut entries: Vec<Entry> =
            keys.iter().map(|key| self.entries.remove(key).expect("every key was loaded")).collect();
        let columns = batch.columns.columns();
        let counted: Scalar<'static> = Scalar::Boolean(true);
        for (at, &slot) in slot_of_row.iter().enumerate() {
            let value = |argument: Option<usize>, filter: Option<usize>| -> Scalar<'_> {
                let kept = filter.is_none_or(|filter| matches!(scalar(&columns[filter], at), Scalar::Boolean(true)));
                match argument {
                    _ if !kept => Scalar::Null,
                    None => counted.clone(),
                    Some(argument) => scalar(&columns[argument], at),
                }
            };
            let entry = &mut entries[slot];
            let overflow = self.kinds.iter().zip(&self.arguments).zip(&entry.accumulators).any(
                |((kind, &(argument, filter)), accumulator)| kind.overflows(accumulator, &value(argument, filter)),
            );
            if overflow {
                bad.push((u32::try_from(at).expect("a row number"), "a SUM overflows its type".to_owned()));
                continue;
            }
            for ((kind, &(argument, filter)), accumulator) in
                self.kinds.iter().zip(&self.arguments).zip(&mut entry.accumulators)
            {
                kind.add(accumulator, &value(argument, filter));
            }
            entry.dirty = true;
        }
        for (key, entry) in keys.into_iter().zip(entries) {
            // A new key whose only row overflowed was never counted.
            if entry.dirty || entry.said.is_some() {
                self.entries.insert(key, entry);
            }
        }
        Ok(bad)
    }

    fn load(&mut self, keys: &[Vec<u8>], first_rows: &[usize], batch: &Batch, state: &State) -> Result<(), TaskError> {
        let missing: Vec<usize> = (0..keys.len()).filter(|&at| !self.entries.contains_key(&keys[at])).collect();
        let wanted: Vec<&[u8]> = missing.iter().map(|&at| keys[at].as_slice()).collect();
        let found = state.get_many(self.store, &wanted)?;
        for (at, value) in missing.into_iter().zip(found) {
            let entry = match value {
                Some(value) => self.decode(&value)?,
                None => {
                    let groups: Vec<ArrayRef> = self.group.iter().map(|&at| batch.columns.column(at).clone()).collect();
                    let mut group_row = Vec::new();
                    row::encode_columns(&groups, first_rows[at], &mut group_row);
                    let accumulators = self.kinds.iter().map(|kind| kind.start()).collect();
                    Entry { group_row, accumulators, said: None, dirty: false }
                }
            };
            self.entries.insert(keys[at].clone(), entry);
        }
        Ok(())
    }

    fn corrupt(&self) -> TaskError {
        TaskError::Corrupt { what: "state", operator: self.id.clone() }
    }

    fn decode(&self, value: &[u8]) -> Result<Entry, TaskError> {
        let read = || {
            let (&version, mut rest) = value.split_first()?;
            if version != BYTES_VERSION {
                return None;
            }
            let (length, after) = rest.split_first_chunk::<4>()?;
            let (group_row, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            rest = after;
            let accumulators: Option<Vec<_>> = self.kinds.iter().map(|kind| kind.decode(&mut rest)).collect();
            let accumulators = accumulators?;
            rest.is_empty().then(|| Entry {
                group_row: group_row.to_vec(),
                said: Some(accumulators.clone()),
                accumulators,
                dirty: false,
            })
        };
        read().ok_or_else(|| self.corrupt())
    }

    fn encode(&self, entry: &Entry) -> Vec<u8> {
        let mut out = vec![BYTES_VERSION];
        out.extend_from_slice(&u32::try_from(entry.group_row.len()).expect("a key is small").to_le_bytes());
        out.extend_from_slice(&entry.group_row);
        for (kind, accumulator) in self.kinds.iter().zip(&entry.accumulators) {
            kind.encode(accumulator, &mut out);
        }
        out
    }

    fn differs(&self, entry: &Entry) -> bool {
        let Some(said) = &entry.said else { return true };
        let pairs = said.iter().zip(&entry.accumulators);
        self.kinds.iter().zip(pairs).any(|(kind, (said, now))| kind.result(said) != kind.result(now))
    }

    /// Rows of these entries as a batch.
    fn rows(&self, entries: &[(&[u8], &Entry)], row_watermark: WatermarkMs) -> Result<Batch, TaskError> {
        let mut builders: Vec<ColumnBuilder> =
            self.columns.columns.iter().map(|column| ColumnBuilder::new(column.column_type, entries.len())).collect();
        let mut meta = Vec::with_capacity(entries.len());
        for (key, entry) in entries {
            let start = ordered::read_i64(&key[1..]).ok_or_else(|| self.corrupt())?;
            let end = start.saturating_add(self.size_ms);
            let groups = row::read(&entry.group_row, &self.group_types).map_err(|_| self.corrupt())?;
            builders[0].push(&Scalar::Timestamp(start));
            builders[1].push(&Scalar::Timestamp(end));
            for (builder, value) in builders[2..].iter_mut().zip(&groups) {
                builder.push(value);
            }
            let results = self.kinds.iter().zip(&entry.accumulators);
            for (builder, (kind, accumulator)) in builders[2 + groups.len()..].iter_mut().zip(results) {
                builder.push(&kind.result(accumulator));
            }
            meta.push(Meta { event_time: end - 1, row_watermark, source: NO_SOURCE });
        }
        let arrays = builders.into_iter().map(ColumnBuilder::finish).collect();
        Ok(Batch { columns: batch_of(arrow_schema(&self.columns), arrays, meta.len()), meta })
    }

    /// Writes what changed since the last flush to state and gives the changed rows.
    pub(crate) fn flush(&mut self, state: &mut State) -> Result<Option<Batch>, TaskError> {
        let dirty: Vec<(&[u8], &Entry)> =
            self.entries.iter().filter(|(_, entry)| entry.dirty).map(|(key, entry)| (key.as_slice(), entry)).collect();
        for (key, entry) in &dirty {
            state.put(self.store, key.to_vec(), self.encode(entry));
        }
        let changed: Vec<(&[u8], &Entry)> = dirty.into_iter().filter(|(_, entry)| self.differs(entry)).collect();
        let rows =
            if changed.is_empty() { None } else { Some(self.rows(&changed, behind(self.closed_to, self.grace_ms))?) };
        if self.entries.len() > CACHE_ENTRIES_MAX {
            self.entries.clear();
        }
        for entry in self.entries.values_mut().filter(|entry| entry.dirty) {
            entry.dirty = false;
            entry.said = Some(entry.accumulators.clone());
        }
        Ok(rows)
    }

    /// Closes windows with end + grace ≤ `time`: gives their last changes and their final rows.
    pub(crate) fn advance(
        &mut self,
        time: WatermarkMs,
        state: &mut State,
    ) -> Result<Option<(Option<Batch>, Batch)>, TaskError> {
        if time <= self.closed_to {
            return Ok(None);
        }
        let before = behind(self.closed_to, self.grace_ms);
        self.closed_to = time;
        let mut end = vec![WINDOW_PREFIX];
        if time == WATERMARK_COMPLETE {
            end = vec![WINDOW_PREFIX + 1];
        } else {
            // start + size + grace <= time, so start < time - size - grace + 1
            let first_open = time.saturating_sub(self.size_ms).saturating_sub(self.grace_ms).saturating_add(1);
            ordered::push_i64(&mut end, first_open);
        }
        let prefix = vec![WINDOW_PREFIX];
        let mut closing: BTreeMap<Vec<u8>, Entry> = BTreeMap::new();
        let mut stored = Vec::new();
        let (from, to) = (std::ops::Bound::Included(prefix.as_slice()), std::ops::Bound::Excluded(end.as_slice()));
        state.scan(self.store, from, to, &mut |key, value| {
            stored.push((key.to_vec(), value.to_vec()));
            true
        })?;
        for (key, value) in stored {
            let entry = self.decode(&value)?;
            closing.insert(key, entry);
        }
        let open = self.entries.split_off(end.as_slice());
        closing.extend(std::mem::replace(&mut self.entries, open)); // memory is newer than state
        if closing.is_empty() {
            return Ok(None);
        }
        let all: Vec<(&[u8], &Entry)> = closing.iter().map(|(key, entry)| (key.as_slice(), entry)).collect();
        let changed: Vec<(&[u8], &Entry)> =
            all.iter().copied().filter(|(_, entry)| entry.dirty && self.differs(entry)).collect();
        let changes = if changed.is_empty() { None } else { Some(self.rows(&changed, before)?) };
        let finals = self.rows(&all, before)?;
        for key in closing.into_keys() {
            state.delete(self.store, key);
        }
        Ok(Some((changes, finals)))
    }

    /// Continues after a restart: windows up to `time` were closed before.
    pub(crate) fn restore(&mut self, time: WatermarkMs) {
        self.closed_to = time;
    }
}
