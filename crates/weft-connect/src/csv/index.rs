//! The order of a replay: an index of (event time, line) is sorted, never the rows.
//!
//! ```text
//!   entry, 24 bytes   emit time │ offset in the file │ line │ length and two flags
//! ```
//!
//! A row's emit time is its event time, unless `disorder` delays it: then it is sent as if it had happened so much
//! later, while its event time stays. So the watermark before a row is its emit time: every row that is not delayed and
//! has an earlier event time was sent. Rows without a readable event time come first, in the order of the file.

use std::io::{BufReader, Seek};

use weft_model::product::{Disorder, OutputPort, SourceSpec};
use weft_model::progress::{WATERMARK_COMPLETE, WATERMARK_NONE};

use crate::csv::file::CsvFile;
use crate::csv::layout::Layout;
use crate::csv::record::Scanner;
use crate::error::SourceError;

const DAY_MS: i64 = 86_400_000;
const DELAYED: u32 = 1 << 31;
const TOO_LONG: u32 = 1 << 30;
/// Emit time of rows whose event time cannot be read: before all others.
const UNREADABLE: i64 = i64::MIN;

/// One row's place in the replay and in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    emit_ms: i64,
    pub(crate) offset: u64,
    pub(crate) line: u32,
    len_flags: u32,
}

impl Entry {
    pub(crate) fn new(emit_ms: Option<i64>, offset: u64, line: u32, len: usize, too_long: bool) -> Self {
        let len = u32::try_from(len).ok().filter(|len| *len < TOO_LONG).expect("record_bytes_max is below a gibibyte");
        Self {
            emit_ms: emit_ms.unwrap_or(UNREADABLE),
            offset,
            line,
            len_flags: len | if too_long { TOO_LONG } else { 0 },
        }
    }

    /// When it is sent, in event time; `None` = first of all.
    pub(crate) fn emit_ms(&self) -> Option<i64> {
        (self.emit_ms != UNREADABLE).then_some(self.emit_ms)
    }

    /// Bytes of the record.
    pub(crate) fn len(&self) -> usize {
        (self.len_flags & !(DELAYED | TOO_LONG)) as usize
    }

    /// `disorder` chose it.
    pub(crate) fn delayed(&self) -> bool {
        self.len_flags & DELAYED != 0
    }

    /// The file has more of it than the bound allows.
    pub(crate) fn too_long(&self) -> bool {
        self.len_flags & TOO_LONG != 0
    }
}

/// All rows of a file in the order of their replay.
#[derive(Debug)]
pub(crate) struct Index {
    entries: Vec<Entry>,
    /// How many at the start have no readable event time.
    unreadable: usize,
    /// Last line of the file.
    pub(crate) last_line: u64,
}

impl Index {
    /// Reads the header and every record once.
    pub(crate) fn build(
        file: &CsvFile,
        spec: &SourceSpec,
        port: &OutputPort,
        record_bytes_max: usize,
        stopping: &dyn Fn() -> bool,
    ) -> Result<Option<(Layout, Self)>, SourceError> {
        let file_error = |source| SourceError::File { path: file.path.clone(), source };
        let mut input = file.plain.try_clone().map_err(file_error)?;
        input.rewind().map_err(file_error)?;
        let mut scanner = Scanner::new(BufReader::with_capacity(256 << 10, input), 0, 1, record_bytes_max);
        let layout = match scanner.next_record(false).map_err(file_error)? {
            Some(header) => Layout::new(header.bytes, spec, port)?,
            None => {
                return Err(SourceError::Header {
                    file: spec.file.clone(),
                    reason: "the file is empty: it has no header row".to_owned(),
                });
            }
        };
        scanner.expect_columns(layout.fields);
        let mut entries = Vec::new();
        let mut fields = Vec::with_capacity(layout.fields);
        while let Some(record) = scanner.next_record(false).map_err(file_error)? {
            let line = u32::try_from(record.line)
                .map_err(|_| SourceError::Spec { reason: "the file has more than 4,294,967,295 lines".to_owned() })?;
            let emit = if record.too_long { None } else { layout.event_time_ms(record.bytes, &mut fields) };
            // A table has no time to wait for: broken rows stay where they are in the file.
            let emit = if layout.has_event_time() { emit } else { Some(0) };
            entries.push(Entry::new(emit, record.offset, line, record.bytes.len(), record.too_long));
            if entries.len() % 65_536 == 0 && stopping() {
                return Ok(None);
            }
        }
        let last_line = scanner.line().saturating_sub(1).max(1);
        Ok(Some((layout, Self::of(entries, spec.disorder.as_ref(), last_line))))
    }

    /// Delays what `disorder` chooses and sorts. `entries` in the order of the file.
    pub(crate) fn of(mut entries: Vec<Entry>, disorder: Option<&Disorder>, last_line: u64) -> Self {
        if let Some(disorder) = disorder {
            delay(&mut entries, disorder);
        }
        entries.sort_unstable_by_key(|entry| (entry.emit_ms, entry.line));
        let unreadable = entries.partition_point(|entry| entry.emit_ms == UNREADABLE);
        Self { entries, unreadable, last_line }
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    /// How many at the start have no readable event time.
    pub(crate) fn unreadable(&self) -> u64 {
        self.unreadable as u64
    }

    /// The row at this place of the order.
    pub(crate) fn get(&self, at: u64) -> Option<Entry> {
        self.entries.get(usize::try_from(at).ok()?).copied()
    }

    /// The watermark once all rows before this place are sent: nothing is said before the first event time, and the
    /// end completes.
    pub(crate) fn watermark(&self, at: u64) -> i64 {
        match self.get(at) {
            None => WATERMARK_COMPLETE,
            Some(entry) => entry.emit_ms().unwrap_or(WATERMARK_NONE),
        }
    }

    /// By how much `loop` shifts each round: from the first to the last emit time, in whole days, so that hours of the
    /// day stay what they were. `None` if no row has a time. Milliseconds.
    pub(crate) fn span_ms(&self) -> Option<i64> {
        let first = self.entries.get(self.unreadable)?.emit_ms;
        let last = self.entries.last()?.emit_ms;
        Some(((last - first) / DAY_MS + 1) * DAY_MS)
    }
}

/// Chooses `rows` of the rows with an event time, each with the same chance (Knuth's selection sampling), by `seed`.
fn delay(entries: &mut [Entry], disorder: &Disorder) {
    let by_ms = i64::try_from(disorder.seconds).unwrap_or(i64::MAX).saturating_mul(1000);
    let mut left = entries.iter().filter(|entry| entry.emit_ms != UNREADABLE).count() as u64;
    let mut wanted = disorder.rows.min(left);
    let mut random = SplitMix(disorder.seed);
    for entry in entries.iter_mut().filter(|entry| entry.emit_ms != UNREADABLE) {
        if wanted == 0 {
            return;
        }
        if random.below(left) < wanted {
            wanted -= 1;
            entry.emit_ms = entry.emit_ms.saturating_add(by_ms);
            entry.len_flags |= DELAYED;
        }
        left -= 1;
    }
}

/// SplitMix64: small, and the same for ever, which no general generator promises; a position is only good for the order
/// that its seed gave.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 ≤ result < `bound`, by multiplication.
    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}
