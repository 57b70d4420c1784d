//! Letting go: deleted records, retention by time and size, expired producer state.

use std::path::Path;
use std::sync::Arc;

use weft_wire::env::Disk;

use super::partition::State;
use super::segment::Segment;
use super::sidecar::{Reader, Writer};
use super::{DiskError, FetchError, Partition, StoreError};

const START_MAGIC: [u8; 4] = *b"WSTA";

/// Durably writes the log start of a partition.
fn write_start(disk: &Arc<dyn Disk>, dir: &Path, log_start_offset: i64) -> Result<(), DiskError> {
    let mut out = Writer::new(START_MAGIC);
    out.i64(log_start_offset);
    let path = dir.join("start");
    disk.replace(&path, &out.seal()).map_err(|error| DiskError::new("writing", &path, &error))
}

/// The log start that was written, 0 if none was.
pub(super) fn read_start(disk: &Arc<dyn Disk>, dir: &Path) -> Result<i64, StoreError> {
    let path = dir.join("start");
    if !disk.exists(&path) {
        return Ok(0);
    }
    let bytes = disk.read(&path, 1024).map_err(|error| DiskError::new("reading", &path, &error))?;
    let start = Reader::open(START_MAGIC, &bytes).and_then(|mut input| input.i64());
    start.map_err(|unusable| unusable.at(&path))
}

impl Partition {
    /// Moves the log start durably (−1 = to the high watermark) and drops whole segments below it. Answers the new
    /// log start. Blocks for an fsync.
    pub fn delete_records(&self, to: i64) -> Result<i64, FetchError> {
        let _one_at_a_time = self.start_lock.lock();
        let target = {
            let state = self.lock();
            if let Some(offline) = &state.offline {
                return Err(offline.clone().into());
            }
            let target = if to == -1 { state.high_watermark } else { to };
            if target < 0 || target > state.high_watermark {
                return Err(FetchError::OffsetOutOfRange {
                    offset: target,
                    log_start_offset: state.log_start_offset,
                    high_watermark: state.high_watermark,
                });
            }
            if target <= state.log_start_offset {
                return Ok(state.log_start_offset);
            }
            target
        };
        self.move_start(target)?;
        Ok(target)
    }

    /// First the disk knows the new start, then readers, then files go.
    fn move_start(&self, to: i64) -> Result<(), DiskError> {
        write_start(&self.shared.env.disk, &self.dir, to)?;
        {
            let mut state = self.lock();
            state.log_start_offset = state.log_start_offset.max(to);
            state.transactions.forget_below(to);
            self.publish(&state);
        }
        self.drop_segments()
    }

    /// Removes the segments below the log start, as far as a durable snapshot stands for them: what they tell of
    /// producers must survive them.
    fn drop_segments(&self) -> Result<(), DiskError> {
        let mut dropped = Vec::new();
        {
            let mut state = self.lock();
            let end = state.log_start_offset.min(state.snapshot_offset);
            while state.segments.get(1).is_some_and(|second| second.base_offset <= end) {
                dropped.push(state.segments.remove(0));
            }
        }
        for segment in dropped {
            segment.remove()?;
        }
        Ok(())
    }

    /// Drops what is older or more than the topic keeps. Only what every reader may see, and only whole segments.
    pub(super) fn enforce_retention(&self, now: i64) -> Result<(), DiskError> {
        let _one_at_a_time = self.start_lock.lock();
        if self.lock().offline.is_none() {
            self.drop_segments()?;
        }
        let to = {
            let mut state = self.lock();
            if state.offline.is_some() || !state.config.cleanup.delete {
                return Ok(());
            }
            if expired(&state, state.segments.last(), now) && state.segments.last().is_some_and(|s| s.size() > 0) {
                self.roll_now(&mut state)?;
            }
            let Some(to) = retained_from(&state, now) else { return Ok(()) };
            to
        };
        tracing::info!(topic_id = %self.topic_id, partition = self.index, to, "segments expired");
        self.move_start(to)
    }

    pub(super) fn expire_producers(&self, now: i64) {
        let expiry = i64::try_from(self.shared.options.producer_expiry.as_millis()).unwrap_or(i64::MAX);
        self.lock().producers.expire(now.saturating_sub(expiry));
    }
}

fn expired(state: &State, segment: Option<&Arc<Segment>>, now: i64) -> bool {
    let retention = state.config.retention_ms;
    // A segment without any timestamp is never too old.
    let newest = segment.map_or(-1, |segment| segment.max_timestamp());
    retention >= 0 && newest >= 0 && now.saturating_sub(newest) > retention
}

/// Base offset of the first segment that stays, if any goes.
fn retained_from(state: &State, now: i64) -> Option<i64> {
    let mut bytes: u64 = state.segments.iter().map(|segment| segment.size()).sum();
    let limit = u64::try_from(state.config.retention_bytes).unwrap_or(u64::MAX);
    let mut to = None;
    for pair in state.segments.windows(2) {
        let [segment, next] = pair else { break };
        let too_much = bytes.saturating_sub(segment.size()) >= limit;
        let durable = next.base_offset <= state.high_watermark;
        if !durable || !(too_much || expired(state, Some(segment), now)) {
            break;
        }
        bytes -= segment.size();
        to = Some(next.base_offset);
    }
    to.filter(|&to| to > state.log_start_offset)
}
