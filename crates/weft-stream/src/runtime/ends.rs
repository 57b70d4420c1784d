//! Where a partition ends for a reader: the offset after its last committed **record**.
//!
//! ```text
//!   … r r r m a a m      r record · a aborted record · m transaction marker
//!           ▲       ▲
//!           │       high_watermark: a reader who counts records never gets here
//!           └ end: what "everything below has been read" can mean
//! ```
//! A progress declaration whose offset a reader cannot reach would hold a window open for ever.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::error::SessionError;
use crate::views::reader::{Flow, Lease, Record};

/// How far back the first look goes; each next one goes eight times as far. Offsets.
const LOOK_BACK: i64 = 64;
const LOOK_MS: u64 = 10_000;

/// Finds ends of partitions.
pub(crate) struct Ends {
    /// `read_committed`, tells the last stable offset.
    committed: Lease,
    /// `read_uncommitted`, tells the high watermark.
    uncommitted: Lease,
    /// High watermark of each partition when it was first asked about: our own earlier records are below it.
    first_seen: HashMap<(String, u32), i64>,
}

/// Where a partition ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    /// Offset after the last committed record below the last stable offset.
    pub offset: i64,
    /// Every transaction that was open there when it was first asked about has ended since, so whatever was written
    /// before that and committed lies below `offset`.
    pub settled: bool,
}

impl Ends {
    pub(crate) fn new(config: &rdkafka::ClientConfig) -> Result<Self, SessionError> {
        let made =
            |config: &rdkafka::ClientConfig| Lease::alone(config).map_err(|e| SessionError::Failed(e.to_string()));
        let mut committed = config.clone();
        committed.set("enable.partition.eof", "true").set("auto.offset.reset", "error");
        let mut uncommitted = committed.clone();
        uncommitted.set("isolation.level", "read_uncommitted");
        Ok(Self { committed: made(&committed)?, uncommitted: made(&uncommitted)?, first_seen: HashMap::new() })
    }

    /// A reader of committed records.
    pub(crate) fn reader(&self) -> &Lease {
        &self.committed
    }

    pub(crate) fn of(&mut self, topic: &str, partition: u32) -> Result<End, SessionError> {
        let failed = |e: crate::views::QueryError| SessionError::StartOver(format!("end of {topic}: {e}"));
        let key = (topic.to_owned(), partition);
        let first_seen = match self.first_seen.get(&key) {
            Some(first_seen) => *first_seen,
            None => {
                let (_, high_watermark) = self.uncommitted.bound(topic, partition).map_err(failed)?;
                self.first_seen.insert(key, high_watermark);
                high_watermark
            }
        };
        let (low, stable) = self.committed.bound(topic, partition).map_err(failed)?;
        let settled = stable >= first_seen;
        let mut back = LOOK_BACK;
        loop {
            let from = (stable - back).max(low);
            let mut last = None;
            let mut each = |record: Record<'_>| {
                last = Some(record.offset);
                Ok(Flow::More)
            };
            let deadline = Instant::now() + Duration::from_millis(LOOK_MS);
            self.committed.read(topic, partition, (from, stable), deadline, LOOK_MS, &mut each).map_err(failed)?;
            match last {
                Some(last) => return Ok(End { offset: last + 1, settled }),
                None if from <= low => return Ok(End { offset: low, settled }),
                None => back = back.saturating_mul(8),
            }
        }
    }
}
