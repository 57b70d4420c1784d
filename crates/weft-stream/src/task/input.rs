//! What waits on one input partition, and how far its time has come.

use std::collections::{BTreeMap, VecDeque};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMillisecondType;
use bytes::Bytes;
use weft_model::key::parse_key;
use weft_model::product::PortKind;
use weft_model::progress::{ProgressValue, WATERMARK_COMPLETE, WATERMARK_NONE, WatermarkMs};
use weft_model::schema::{Column, ColumnType};

use super::event::InputRecord;
use crate::codec::json::{Decoder, RowError};
use crate::codec::{ordered, row};
use crate::ir::{Input, InputFrom, InputProgress};
use crate::ops::rekey;

/// How an input's records become rows. One per input.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) input: Input,
    decoder: Decoder,
    /// Position of the event time column.
    event_time: Option<usize>,
    types: Vec<ColumnType>,
}

/// A record, read.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) offset: i64,
    /// Event time; the earliest there is for a bad row.
    pub(crate) time: i64,
    pub(crate) row_watermark: WatermarkMs,
    /// Writer and its time before the record.
    writer: Option<(u32, WatermarkMs)>,
    pub(crate) value: Option<Bytes>,
    pub(crate) what: What,
    bytes: usize,
}

#[derive(Debug)]
pub(crate) enum What {
    /// Row of the chunk's batch.
    Row(usize),
    /// Row of the chunk's batch, of a table, with its key in ordered bytes.
    Put(usize, Vec<u8>),
    /// Deleted in a table.
    Delete(Vec<u8>),
    Bad(RowError),
}

/// Records decoded together.
#[derive(Debug)]
struct Chunk {
    batch: RecordBatch,
    entries: VecDeque<Entry>,
}

/// Entries consumed together, with the batch their rows are in.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) batch: RecordBatch,
    pub(crate) entries: Vec<Entry>,
}

impl Reader {
    pub(crate) fn new(input: &Input) -> Self {
        let event_time = input
            .event_time
            .as_ref()
            .and_then(|name| input.columns.columns.iter().position(|column| column.name == *name));
        Self {
            decoder: Decoder::new(&input.columns),
            event_time,
            types: input.columns.columns.iter().map(|column| column.column_type).collect(),
            input: input.clone(),
        }
    }

    fn read(&self, records: Vec<InputRecord>) -> Chunk {
        match self.input.from {
            InputFrom::Port { .. } => self.read_port(records),
            InputFrom::Repartition { .. } => self.read_repartition(records),
        }
    }

    fn read_port(&self, records: Vec<InputRecord>) -> Chunk {
        let upsert = self.input.kind == PortKind::Upsert;
        let is_null = |value: &Option<Bytes>| value.as_deref().is_none_or(|value| value == b"null");
        let with_value: Vec<usize> = (0..records.len()).filter(|&at| !is_null(&records[at].value)).collect();
        let values: Vec<&[u8]> = with_value.iter().map(|&at| records[at].value.as_deref().expect("not null")).collect();
        let decoded = self.decoder.decode(values.iter().copied());
        let mut row_of = vec![None; records.len()];
        for (row, &at) in decoded.rows.iter().enumerate() {
            row_of[with_value[at]] = Some(row);
        }
        let mut error_of: BTreeMap<usize, RowError> =
            decoded.errors.into_iter().map(|(at, error)| (with_value[at], error)).collect();
        let times = self.event_time.map(|at| decoded.batch.column(at).as_primitive::<TimestampMillisecondType>());
        let bad = |column: Option<&str>, reason: &str| {
            What::Bad(RowError { column: column.map(str::to_owned), reason: reason.to_owned() })
        };
        let entries = records.into_iter().enumerate().map(|(at, record)| {
            let mut time = WATERMARK_NONE;
            let what = match (row_of[at], error_of.remove(&at)) {
                (_, Some(error)) => What::Bad(error),
                (None, None) if !upsert => bad(None, "value is null; rows of an append port have one"),
                (None, None) => match self.key(&record) {
                    Ok(key) => {
                        time = if self.event_time.is_some() { record.timestamp_ms } else { 0 };
                        What::Delete(key)
                    }
                    Err(reason) => bad(None, &reason),
                },
                (Some(row), None) => {
                    let found = match times {
                        None => Some(0),
                        Some(times) if arrow::array::Array::is_null(times, row) => None,
                        Some(times) => Some(times.value(row).saturating_add(self.input.event_time_offset_ms)),
                    };
                    match (found, upsert) {
                        (None, _) => bad(self.input.event_time.as_deref(), "event time is null"),
                        (Some(found), false) => {
                            time = found;
                            What::Row(row)
                        }
                        (Some(found), true) => match self.key(&record) {
                            Ok(key) => {
                                time = found;
                                What::Put(row, key)
                            }
                            Err(reason) => bad(None, &reason),
                        },
                    }
                }
            };
            entry(record, time, what)
        });
        Chunk { entries: entries.collect(), batch: decoded.batch }
    }

    fn key(&self, record: &InputRecord) -> Result<Vec<u8>, String> {
        let Some(key) = &record.key else {
            return Err("record has no key; rows of an upsert port have one".to_owned());
        };
        let columns: Vec<&Column> = self.input.key.iter().collect();
        let values = parse_key(key, &columns).map_err(|error| error.to_string())?;
        let mut out = Vec::new();
        for value in &values {
            ordered::push_scalar(&mut out, value);
        }
        Ok(out)
    }

    fn read_repartition(&self, records: Vec<InputRecord>) -> Chunk {
        let mut rows = row::RowReader::new(&self.input.columns, records.len());
        let mut next = 0;
        let mut entries = VecDeque::with_capacity(records.len());
        for record in records {
            let decoded = record.value.as_deref().and_then(rekey::decode);
            let (time, what) = match decoded {
                Some((time, bytes)) if rows.push(bytes).is_ok() => {
                    next += 1;
                    (time, What::Row(next - 1))
                }
                _ => {
                    let reason = "repartition record is corrupt".to_owned();
                    (WATERMARK_NONE, What::Bad(RowError { column: None, reason }))
                }
            };
            entries.push_back(entry(record, time, what));
        }
        Chunk { batch: rows.finish(), entries }
    }

    /// Row bytes of a table's row.
    pub(crate) fn row_bytes(batch: &RecordBatch, at: usize) -> Vec<u8> {
        let mut out = Vec::new();
        row::encode(batch, at, &mut out);
        out
    }

    pub(crate) fn column_count(&self) -> usize {
        self.types.len()
    }
}

fn entry(record: InputRecord, time: i64, what: What) -> Entry {
    let bytes = record.key.as_ref().map_or(0, Bytes::len) + record.value.as_ref().map_or(0, Bytes::len);
    Entry {
        offset: record.offset,
        time,
        row_watermark: record.progress.map_or(WATERMARK_NONE, |progress| progress.row_watermark),
        writer: record.progress.map(|progress| (progress.writer, progress.writer_watermark)),
        value: record.value,
        what,
        bytes,
    }
}

/// Queue and time of one input partition.
#[derive(Debug)]
pub(crate) struct InputPartition {
    chunks: VecDeque<Chunk>,
    /// Everything below it is consumed or will never come.
    position: i64,
    /// Everything below it was handed over.
    handed: i64,
    /// Time of each writer.
    writers: BTreeMap<u32, WatermarkMs>,
    /// How many there are, once known.
    writers_expected: Option<u32>,
    /// Declared for positions not yet reached: offset, writer, watermark.
    pending: Vec<(i64, u32, WatermarkMs)>,
    /// Committed time of an earlier life.
    floor: WatermarkMs,
    /// Observed inputs: newest event time consumed.
    newest: WatermarkMs,
    /// Observed tables without event time: complete once read to here.
    end: Option<i64>,
    pub(crate) records: usize,
    pub(crate) bytes: usize,
}

impl InputPartition {
    pub(crate) fn new(writers: Option<u32>) -> Self {
        Self {
            chunks: VecDeque::new(),
            position: 0,
            handed: 0,
            writers: BTreeMap::new(),
            writers_expected: writers,
            pending: Vec::new(),
            floor: WATERMARK_NONE,
            newest: WATERMARK_NONE,
            end: None,
            records: 0,
            bytes: 0,
        }
    }

    pub(crate) fn restore(&mut self, offset: i64, watermark: WatermarkMs, progress: InputProgress) {
        self.position = offset;
        self.handed = offset;
        self.floor = watermark;
        if let InputProgress::Observed { bound_ms } = progress
            && watermark != WATERMARK_NONE
        {
            self.newest = watermark.saturating_add_unsigned(bound_ms);
        }
    }

    pub(crate) fn push(&mut self, records: Vec<InputRecord>, reader: &Reader) {
        let records: Vec<InputRecord> = records.into_iter().filter(|record| record.offset >= self.handed).collect();
        let Some(last) = records.last() else { return };
        self.handed = last.offset + 1;
        let chunk = reader.read(records);
        self.records += chunk.entries.len();
        self.bytes += chunk.entries.iter().map(|entry| entry.bytes).sum::<usize>();
        self.chunks.push_back(chunk);
    }

    pub(crate) fn declare(&mut self, writer: u32, value: &ProgressValue) {
        self.writers_expected = Some(value.writers.max(self.writers_expected.unwrap_or(0)));
        let watermark = if value.complete { WATERMARK_COMPLETE } else { value.watermark };
        self.pending.push((value.offset, writer, watermark));
    }

    pub(crate) fn moved_to(&mut self, offset: i64) {
        self.handed = self.handed.max(offset);
    }

    pub(crate) fn ends_at(&mut self, offset: i64) {
        self.end = Some(offset);
    }

    /// Next offset to consume.
    pub(crate) fn position(&self) -> i64 {
        self.position
    }

    fn advance_writer(&mut self, writer: u32, watermark: WatermarkMs) {
        let time = self.writers.entry(writer).or_insert(WATERMARK_NONE);
        *time = (*time).max(watermark);
    }

    /// Applies what the position and the head record say about time.
    pub(crate) fn settle(&mut self) {
        let head = self.chunks.front().and_then(|chunk| chunk.entries.front());
        self.position = head.map_or(self.handed, |entry| entry.offset);
        if let Some((writer, watermark)) = head.and_then(|entry| entry.writer) {
            self.advance_writer(writer, watermark);
        }
        if self.pending.is_empty() {
            return;
        }
        let position = self.position;
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.pending).into_iter().partition(|p| p.0 <= position);
        self.pending = later;
        for (_, writer, watermark) in due {
            self.advance_writer(writer, watermark);
        }
    }

    /// Event time of the head record.
    pub(crate) fn head_time(&self) -> Option<i64> {
        Some(self.chunks.front()?.entries.front()?.time)
    }

    /// Time of the partition: no row with an earlier event time will come, but late ones.
    pub(crate) fn time(&self, input: &Input) -> WatermarkMs {
        let now = match input.progress {
            InputProgress::Declared => {
                let all = self.writers_expected.is_some_and(|expected| self.writers.len() >= expected as usize);
                if all { self.writers.values().copied().min().unwrap_or(WATERMARK_NONE) } else { WATERMARK_NONE }
            }
            InputProgress::Observed { bound_ms } => {
                let timeless = input.event_time.is_none();
                match self.newest {
                    _ if timeless && self.end.is_some_and(|end| self.position >= end) => WATERMARK_COMPLETE,
                    WATERMARK_NONE => WATERMARK_NONE,
                    _ if timeless => WATERMARK_NONE,
                    newest => newest.saturating_sub_unsigned(bound_ms),
                }
            }
        };
        now.max(self.floor)
    }

    /// Takes up to `rows` entries from the head while their event time is before `limit`.
    pub(crate) fn take(&mut self, rows: usize, limit: WatermarkMs, input: &Input) -> Option<Run> {
        let chunk = self.chunks.front_mut()?;
        let mut entries = Vec::new();
        while entries.len() < rows {
            let Some(head) = chunk.entries.front() else { break };
            if head.time >= limit && limit != WATERMARK_COMPLETE {
                break;
            }
            entries.push(chunk.entries.pop_front().expect("there is a head"));
        }
        let batch = chunk.batch.clone();
        if chunk.entries.is_empty() {
            self.chunks.pop_front();
        }
        for entry in &mut entries {
            self.records -= 1;
            self.bytes -= entry.bytes;
            if let Some((writer, watermark)) = entry.writer {
                let time = self.writers.entry(writer).or_insert(WATERMARK_NONE);
                *time = (*time).max(watermark);
            }
            if let InputProgress::Observed { bound_ms } = input.progress {
                let before = self.newest;
                entry.row_watermark =
                    if before == WATERMARK_NONE { WATERMARK_NONE } else { before.saturating_sub_unsigned(bound_ms) };
                self.newest = before.max(entry.time);
            }
        }
        self.settle();
        (!entries.is_empty()).then_some(Run { batch, entries })
    }
}
