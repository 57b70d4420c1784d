//! What a source sends next, as a core without clock, broker or thread: `Feed`, and the feed of a whole file in
//! event-time order (`once` and `loop`). `follow.rs` has the feed of a growing file.

use std::io;
use std::path::PathBuf;

use weft_model::product::ReplayMode;
use weft_model::progress::{WATERMARK_COMPLETE, WATERMARK_NONE, WatermarkMs};

use crate::csv::{BlockReader, CsvFile, Index};
use crate::error::SourceError;
use crate::position::Position;

/// Is there a row to send?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// One, at this event time; `None` = at once.
    Row(Option<i64>),
    /// Not now.
    Nothing,
    /// Never again.
    End,
}

/// A record taken from the feed.
#[derive(Debug)]
pub(crate) struct Taken<'a> {
    /// Bytes of the record.
    pub(crate) record: &'a [u8],
    /// Its line, from 1.
    pub(crate) line: u64,
    /// Added to its timestamps. Milliseconds, whole days.
    pub(crate) shift_ms: i64,
    /// A row that `disorder` delayed: the watermark that its own source has reached before it.
    pub(crate) watermark: Option<WatermarkMs>,
    /// It is broken whatever it holds, and this is why.
    pub(crate) fault: Option<String>,
}

/// Where rows come from, in order.
pub(crate) trait Feed: Send {
    /// Goes to a committed position, or says why it cannot.
    fn seek(&mut self, position: &Position) -> Result<(), SourceError>;
    /// Is there a row?
    fn due(&mut self) -> Result<Due, SourceError>;
    /// Takes the row that is due.
    fn take(&mut self) -> Result<Taken<'_>, SourceError>;
    /// A row with this event time was sent.
    fn sent(&mut self, event_ms: i64);
    /// The watermark, now that all rows taken so far are sent.
    fn watermark(&self) -> WatermarkMs;
    /// Writes into a position where the feed is.
    fn fill(&mut self, position: &mut Position) -> Result<(), SourceError>;
    /// Event time at which it goes on, for the clock to start at.
    fn next_event_ms(&self) -> Option<i64>;
    /// Rows of a round, if known.
    fn total(&self) -> Option<u64>;
    /// Does something in the surroundings forbid to commit?
    fn verify(&self, position: &Position) -> Result<(), SourceError>;
}

/// A whole file, in event-time order.
#[derive(Debug)]
pub(crate) struct Replay {
    file: CsvFile,
    file_name: String,
    reader: BlockReader,
    index: Index,
    mode: ReplayMode,
    digest: String,
    /// Shift per round of `loop`. Milliseconds.
    span_ms: i64,
    round: u64,
    next: u64,
}

impl Replay {
    pub(crate) fn new(
        file: CsvFile,
        file_name: String,
        index: Index,
        mode: ReplayMode,
        has_event_time: bool,
        digest: String,
    ) -> Result<Self, SourceError> {
        let spec = |reason: &str| SourceError::Spec { reason: reason.to_owned() };
        let span_ms = match mode {
            ReplayMode::Loop if !has_event_time => {
                return Err(spec("mode `loop` shifts the event time each round, and the port has none"));
            }
            ReplayMode::Loop => index
                .span_ms()
                .ok_or_else(|| spec("mode `loop` has nothing to repeat: no row has a readable event time"))?,
            ReplayMode::Once | ReplayMode::Follow => 0,
        };
        let plain = file.plain.try_clone().map_err(|source| SourceError::File { path: file.path.clone(), source })?;
        Ok(Self { reader: BlockReader::new(plain), file, file_name, index, mode, digest, span_ms, round: 0, next: 0 })
    }

    /// Places of a round: its rows, and after them what broke the file, if it is broken.
    fn places(&self) -> u64 {
        self.index.len() + u64::from(self.file.broken.is_some())
    }

    fn shift_ms(&self) -> i64 {
        i64::try_from(self.round).unwrap_or(i64::MAX).saturating_mul(self.span_ms)
    }

    /// The place after this one. Later rounds leave out what has no event time: it was reported in the first.
    fn after(&self, round: u64, next: u64) -> (u64, u64) {
        let end = if round == 0 { self.places() } else { self.index.len() };
        match self.mode {
            ReplayMode::Loop if next >= end => (round + 1, self.index.unreadable()),
            _ => (round, next),
        }
    }

    fn path(&self) -> PathBuf {
        self.file.path.clone()
    }
}

impl Feed for Replay {
    fn seek(&mut self, position: &Position) -> Result<(), SourceError> {
        position.check(&self.file_name, &self.file.identity, &self.digest)?;
        (self.round, self.next) = self.after(position.round, position.next);
        Ok(())
    }

    fn due(&mut self) -> Result<Due, SourceError> {
        let shift = self.shift_ms();
        Ok(match self.index.get(self.next) {
            Some(entry) => Due::Row(entry.emit_ms().map(|ms| ms.saturating_add(shift))),
            None if self.next < self.places() => Due::Row(None),
            None => Due::End,
        })
    }

    fn take(&mut self) -> Result<Taken<'_>, SourceError> {
        let shift_ms = self.shift_ms();
        let at = self.next;
        (self.round, self.next) = self.after(self.round, at + 1);
        let Some(entry) = self.index.get(at) else {
            let line = self.index.last_line;
            return Ok(Taken { record: b"", line, shift_ms, watermark: None, fault: self.file.broken.clone() });
        };
        let path = self.path();
        let record = self.reader.read(entry.offset, entry.len()).map_err(|source| {
            // The file was cut while it was read; what it was is known by its hash.
            let source = if source.kind() == io::ErrorKind::UnexpectedEof {
                io::Error::new(source.kind(), "the file is shorter than when it was indexed")
            } else {
                source
            };
            SourceError::File { path, source }
        })?;
        Ok(Taken {
            record,
            line: u64::from(entry.line),
            shift_ms,
            watermark: entry.delayed().then(|| entry.emit_ms().unwrap_or(WATERMARK_NONE).saturating_add(shift_ms)),
            fault: entry
                .too_long()
                .then(|| "the record is longer than `record_bytes_max`, or a quote in it never closes".to_owned()),
        })
    }

    fn sent(&mut self, _event_ms: i64) {}

    fn watermark(&self) -> WatermarkMs {
        match self.index.watermark(self.next) {
            WATERMARK_COMPLETE if self.next < self.places() => WATERMARK_NONE, // only the broken end is left: say nothing new
            WATERMARK_COMPLETE => WATERMARK_COMPLETE,
            WATERMARK_NONE => WATERMARK_NONE,
            ms => ms.saturating_add(self.shift_ms()),
        }
    }

    fn fill(&mut self, position: &mut Position) -> Result<(), SourceError> {
        position.replay.clone_from(&self.digest);
        position.size = self.file.identity.size;
        position.sha256.clone_from(&self.file.identity.sha256);
        position.round = self.round;
        position.next = self.next;
        Ok(())
    }

    fn next_event_ms(&self) -> Option<i64> {
        let first = self.index.get(self.next.max(self.index.unreadable()))?;
        first.emit_ms().map(|ms| ms.saturating_add(self.shift_ms()))
    }

    fn total(&self) -> Option<u64> {
        Some(self.places())
    }

    fn verify(&self, position: &Position) -> Result<(), SourceError> {
        if self.file.was_changed() {
            return Err(SourceError::FileChanged {
                file: self.file_name.clone(),
                position: position.next,
                generation: position.generation,
                was: self.file.identity.short(),
                is: "another size or time of change, seen while it was replayed".to_owned(),
            });
        }
        Ok(())
    }
}
