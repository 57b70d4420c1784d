//! Reading: byte ranges, offsets by time, ends of leader epochs. Nothing here waits and nothing is re-encoded.

use std::sync::Arc;

use bytes::Bytes;
use weft_wire::batch::{self, BatchHeader, HEADER_BYTES};

use super::partition::State;
use super::segment::Segment;
use super::{DiskError, FetchError, Fetched, Isolation, Partition, TimestampOffset};

impl Partition {
    /// Whole batches from the one that holds `from`, up to the line of the isolation. At least one batch, even above
    /// `max_bytes`, if there is any (KIP-74). `from` may equal the end (empty answer).
    pub fn fetch(&self, from: i64, max_bytes: usize, isolation: Isolation) -> Result<Fetched, FetchError> {
        loop {
            let (mut fetched, segment, line) = {
                let state = self.readable()?;
                if from < state.log_start_offset || from > state.log_end_offset {
                    return Err(FetchError::OffsetOutOfRange {
                        offset: from,
                        log_start_offset: state.log_start_offset,
                        high_watermark: state.high_watermark,
                    });
                }
                let line = state.line(isolation);
                let fetched = Fetched {
                    records: Bytes::new(),
                    high_watermark: state.high_watermark,
                    last_stable_offset: state.last_stable_offset(),
                    log_start_offset: state.log_start_offset,
                    aborted: Vec::new(),
                };
                if from >= line {
                    return Ok(fetched);
                }
                (fetched, segment_of(&state, from), line)
            };
            let Some(segment) = segment else { return Ok(fetched) };
            let (records, next) = match read_batches(&segment, from, line, max_bytes, self.slack()) {
                // Retention took the segment between the lock and the read: look again.
                Err(error) if is_gone(&error) && self.was_dropped(&segment) => continue,
                result => result?,
            };
            if isolation == Isolation::ReadCommitted {
                fetched.aborted = self.lock().transactions.aborted_between(from, next);
            }
            fetched.records = records;
            return Ok(fetched);
        }
    }

    fn readable(&self) -> Result<parking_lot::MutexGuard<'_, State>, FetchError> {
        let state = self.lock();
        match &state.offline {
            Some(reason) if !reason.allows_reads() => Err(FetchError::Offline(reason.clone())),
            _ => Ok(state),
        }
    }

    fn was_dropped(&self, segment: &Arc<Segment>) -> bool {
        !self.lock().segments.iter().any(|kept| Arc::ptr_eq(kept, segment))
    }

    fn slack(&self) -> u64 {
        self.shared.options.index_interval_bytes
    }

    /// About how many bytes lie between `offset` and the line of the isolation (for `min.bytes`): at least 1 if there
    /// is anything to read, exact to one index interval and one batch.
    pub fn available_bytes(&self, offset: i64, isolation: Isolation) -> u64 {
        let state = self.lock();
        let line = state.line(isolation);
        if offset >= line {
            return 0;
        }
        let mut bytes = 0;
        for segment in &state.segments {
            if segment.end_offset() <= offset || segment.base_offset >= line {
                continue;
            }
            let from = segment.position_before(offset);
            let to = if line >= segment.end_offset() { segment.size() } else { segment.position_before(line) };
            bytes += to.saturating_sub(from);
        }
        bytes.max(1)
    }

    /// First record whose timestamp is at least `timestamp`, below the line of the isolation.
    pub fn offset_for_timestamp(
        &self,
        timestamp: i64,
        isolation: Isolation,
    ) -> Result<Option<TimestampOffset>, FetchError> {
        let (segments, start, line) = self.range(isolation)?;
        for segment in segments {
            if segment.max_timestamp() < timestamp || segment.end_offset() <= start {
                continue;
            }
            let mut found = None;
            segment.walk(segment.position_before_time(timestamp), |position, header| {
                if header.base_offset >= line {
                    return Ok(false);
                }
                if header.max_timestamp < timestamp || header.last_offset() < start || header.is_control() {
                    return Ok(true);
                }
                let bytes = segment.read(position, header.size)?;
                let limit = self.shared.options.inflated_bytes_max;
                let first = batch::first_at_or_after(&bytes, header, timestamp, start, limit)
                    .map_err(|_| segment.damaged(position))?;
                found = first.map(|(offset, timestamp)| TimestampOffset {
                    offset,
                    timestamp,
                    leader_epoch: header.leader_epoch,
                });
                Ok(found.is_none())
            })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The record with the greatest timestamp, the first if there are several (ListOffsets −3, KIP-734).
    pub fn offset_of_max_timestamp(&self) -> Result<Option<TimestampOffset>, FetchError> {
        let (segments, start, line) = self.range(Isolation::ReadUncommitted)?;
        let mut best: Option<(i64, u64, BatchHeader, Arc<Segment>)> = None;
        for segment in segments {
            let so_far = best.as_ref().map_or(i64::MIN, |(timestamp, ..)| *timestamp);
            if segment.max_timestamp() <= so_far || segment.end_offset() <= start {
                continue;
            }
            let from = segment.position_before_time(segment.max_timestamp());
            segment.walk(from, |position, header| {
                if header.base_offset >= line {
                    return Ok(false);
                }
                let better = best.as_ref().is_none_or(|(timestamp, ..)| header.max_timestamp > *timestamp);
                if better && header.last_offset() >= start && !header.is_control() {
                    best = Some((header.max_timestamp, position, *header, Arc::clone(&segment)));
                }
                Ok(true)
            })?;
        }
        let Some((_, position, header, segment)) = best else { return Ok(None) };
        let bytes = segment.read(position, header.size)?;
        let limit = self.shared.options.inflated_bytes_max;
        let found = batch::first_with_max_timestamp(&bytes, &header, limit).map_err(|_| segment.damaged(position))?;
        let leader_epoch = header.leader_epoch;
        Ok(found.map(|(offset, timestamp)| TimestampOffset { offset, timestamp, leader_epoch }))
    }

    fn range(&self, isolation: Isolation) -> Result<(Vec<Arc<Segment>>, i64, i64), FetchError> {
        let state = self.readable()?;
        Ok((state.segments.clone(), state.log_start_offset, state.line(isolation)))
    }

    /// OffsetForLeaderEpoch (KIP-101, KIP-279): the largest epoch up to the asked one, and the offset at which it
    /// ended. `None` for an epoch that is yet to come.
    pub fn epoch_end_offset(&self, leader_epoch: i32) -> Option<(i32, i64)> {
        let state = self.lock();
        let current = self.shared.leader_epoch;
        if leader_epoch > current || leader_epoch < 0 {
            return None;
        }
        let next = state.epochs.iter().find(|&&(epoch, _)| epoch > leader_epoch);
        let end = next.map_or(state.high_watermark, |&(_, start)| start);
        let found = state.epochs.iter().rev().find(|&&(epoch, _)| epoch <= leader_epoch);
        let epoch = if next.is_none() && leader_epoch == current {
            current
        } else {
            found.map_or(leader_epoch, |&(epoch, _)| epoch)
        };
        Some((epoch, end))
    }
}

/// The segment that holds `offset`, or the next one if `offset` lies in a gap.
fn segment_of(state: &State, offset: i64) -> Option<Arc<Segment>> {
    let after = state.segments.partition_point(|segment| segment.base_offset <= offset);
    let candidates = state.segments.get(after.saturating_sub(1)..).unwrap_or_default();
    candidates.iter().find(|segment| segment.end_offset() > offset).map(Arc::clone)
}

fn is_gone(error: &FetchError) -> bool {
    matches!(error, FetchError::Disk(DiskError::Failed { kind: std::io::ErrorKind::NotFound, .. }))
}

/// One read in the common case: the index says where to begin, to within `slack` bytes. Answers the batches and the
/// offset after the last of them.
fn read_batches(
    segment: &Segment,
    from: i64,
    line: i64,
    max_bytes: usize,
    slack: u64,
) -> Result<(Bytes, i64), FetchError> {
    let mut position = segment.position_before(from);
    let mut window = segment.read(position, (max_bytes as u64).saturating_add(slack).max(HEADER_BYTES as u64))?;
    let mut skip = 0;
    // The first batch that reaches `from`.
    let first = loop {
        let rest = window.get(skip..).unwrap_or_default();
        if rest.len() < HEADER_BYTES {
            position += skip as u64;
            skip = 0;
            window = segment.read(position, (max_bytes as u64).max(HEADER_BYTES as u64))?;
            if window.len() < HEADER_BYTES {
                return Ok((Bytes::new(), from));
            }
            continue;
        }
        let header = BatchHeader::parse(rest).map_err(|_| segment.damaged(position + skip as u64))?;
        if header.base_offset >= line {
            return Ok((Bytes::new(), from));
        }
        if header.last_offset() >= from {
            break header;
        }
        let size = usize::try_from(header.size).unwrap_or(usize::MAX);
        if size > rest.len() {
            position += skip as u64 + header.size;
            skip = 0;
            window = Vec::new();
        } else {
            skip += size;
        }
    };
    let have = window.len() - skip;
    if (have as u64) < first.size {
        position += skip as u64;
        skip = 0;
        window = segment.read(position, first.size)?;
        if (window.len() as u64) < first.size {
            return Err(segment.damaged(position));
        }
    }
    let mut end = skip;
    let mut next = from;
    while let Some(rest) = window.get(end..).filter(|rest| rest.len() >= HEADER_BYTES) {
        let header = BatchHeader::parse(rest).map_err(|_| segment.damaged(position + end as u64))?;
        let size = usize::try_from(header.size).unwrap_or(usize::MAX);
        let over = end > skip && (end - skip).saturating_add(size) > max_bytes;
        if header.base_offset >= line || size > rest.len() || over {
            break;
        }
        end += size;
        next = header.last_offset() + 1;
    }
    Ok((Bytes::from(window).slice(skip..end), next))
}
