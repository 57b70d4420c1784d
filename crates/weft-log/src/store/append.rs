//! Appending: check, order, write, make durable.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use parking_lot::Mutex;
use weft_wire::batch::{self, BatchError, BatchHeader, HEADER_BYTES, RecordRules};

use super::committer::{Dirty, Phase};
use super::partition::{Sealing, State};
use super::producers::Verdict;
use super::segment::{Segment, file_name, parse_file_name};
use super::{
    AppendError, AppendOrigin, Appended, DiskError, Offline, Partition, PartitionConfig, TimestampType, snapshot,
};

/// Snapshots kept per partition: the newest, and one to fall back on.
const SNAPSHOTS_KEPT: usize = 2;

/// A snapshot is written after so many bytes: it bounds what recovery may cut, and what it must replay.
const SNAPSHOT_EVERY_BYTES: u64 = 64 << 20;

impl Partition {
    /// Appends exactly one v2 batch. Written when this returns, durable when [`Partition::wait_durable`] of the
    /// last offset is done. Blocks for one write.
    pub fn append(&self, bytes: &Bytes, origin: AppendOrigin) -> Result<Appended, AppendError> {
        let (config, now) = {
            let state = self.lock();
            if let Some(offline) = &state.offline {
                return Err(offline.clone().into());
            }
            (Arc::clone(&state.config), self.shared.env.clock.wall_ms())
        };
        // Checks that need no order run outside the lock.
        let size = bytes.len() as u64;
        if size > config.max_message_bytes {
            return Err(AppendError::TooLarge { size, limit: config.max_message_bytes });
        }
        let mut header = BatchHeader::check_from_client(bytes)?;
        self.check_records(bytes, &header, &config, origin, now)?;
        let mut log_append_time = -1;
        let dated;
        let bytes = match config.timestamp_type {
            TimestampType::CreateTime => bytes,
            TimestampType::LogAppendTime => {
                let mut copy = bytes.to_vec();
                batch::log_append_time(&mut copy, now);
                header = BatchHeader::parse(&copy)?;
                log_append_time = now;
                dated = Bytes::from(copy);
                &dated
            }
        };
        if self.shared.reserve_reached.load(Ordering::Relaxed) {
            return Err(AppendError::DiskReserve { reserve: self.shared.options.disk_reserve_bytes });
        }

        let mut state = self.lock();
        if let Some(offline) = &state.offline {
            return Err(offline.clone().into());
        }
        if let Verdict::Duplicate(sent) = state.producers.check(&header)? {
            return Ok(Appended {
                base_offset: sent.base_offset,
                last_offset: sent.last_offset,
                log_append_time: if log_append_time == -1 { -1 } else { sent.timestamp },
                log_start_offset: state.log_start_offset,
                duplicate: true,
            });
        }
        let (base_offset, last_offset) = self.write(&mut state, &mut header, bytes, now)?;
        if let Some(first_offset) = state.producers.appended(&header) {
            state.transactions.opened(first_offset, header.producer_id);
        }
        self.written(&mut state);
        let log_start_offset = state.log_start_offset;
        Ok(Appended { base_offset, last_offset, log_append_time, log_start_offset, duplicate: false })
    }

    fn check_records(
        &self,
        bytes: &[u8],
        header: &BatchHeader,
        config: &PartitionConfig,
        origin: AppendOrigin,
        now: i64,
    ) -> Result<(), BatchError> {
        let bounded = config.timestamp_type == TimestampType::CreateTime;
        let timestamp_min = if bounded { now.saturating_sub(config.timestamp_before_max_ms) } else { i64::MIN };
        let timestamp_max = if bounded { now.saturating_add(config.timestamp_after_max_ms) } else { i64::MAX };
        if header.max_timestamp > timestamp_max {
            return Err(BatchError::Timestamp {
                timestamp: header.max_timestamp,
                min: timestamp_min,
                max: timestamp_max,
            });
        }
        if origin == AppendOrigin::Trusted && !config.cleanup.compact {
            return Ok(());
        }
        let rules = RecordRules {
            key_required: config.cleanup.compact,
            timestamp_min,
            timestamp_max,
            inflated_bytes_max: self.shared.options.inflated_bytes_max,
        };
        batch::check_records(bytes, header, &rules).map(|_| ())
    }

    /// Writes the commit or abort marker of a producer's transaction. Takes one offset even if none is open here.
    /// Durable as an append is.
    pub fn end_transaction(
        &self,
        producer_id: i64,
        producer_epoch: i16,
        coordinator_epoch: i32,
        commit: bool,
    ) -> Result<Appended, AppendError> {
        let now = self.shared.env.clock.wall_ms();
        let bytes = batch::control_batch(producer_id, producer_epoch, coordinator_epoch, commit, now);
        let mut header = BatchHeader::parse(&bytes)?;
        let mut state = self.lock();
        if let Some(offline) = &state.offline {
            return Err(offline.clone().into());
        }
        state.producers.check_marker(producer_id, producer_epoch)?;
        // Markers are written below the disk reserve too: they free readers.
        let (base_offset, last_offset) = self.write(&mut state, &mut header, &bytes, now)?;
        if let Some(first_offset) = state.producers.ended(&header, coordinator_epoch) {
            state.transactions.ended(first_offset, producer_id, base_offset, commit);
        }
        self.written(&mut state);
        let log_start_offset = state.log_start_offset;
        Ok(Appended { base_offset, last_offset, log_append_time: -1, log_start_offset, duplicate: false })
    }

    /// Gives the batch its offsets and writes it at the end. On an error nothing has changed, or the partition is
    /// offline.
    fn write(
        &self,
        state: &mut State,
        header: &mut BatchHeader,
        bytes: &[u8],
        now: i64,
    ) -> Result<(i64, i64), AppendError> {
        self.roll_if_due(state, header.size, now)?;
        let segment = Arc::clone(state.segments.last().expect("an online partition has an active segment"));
        let file = segment.open_writer()?;
        let leader_epoch = self.shared.leader_epoch;
        header.base_offset = state.log_end_offset;
        header.leader_epoch = leader_epoch;
        let (head, rest) = bytes
            .split_first_chunk::<HEADER_BYTES>()
            .ok_or(BatchError::Truncated { needed: HEADER_BYTES as u64, available: bytes.len() as u64 })?;
        let mut head = *head;
        batch::patch(&mut head, header.base_offset, leader_epoch);
        let position = segment.size();
        if let Err(error) = file.write_all_at(&[&head, rest], position) {
            let error = DiskError::new("writing", &segment.log_path, &error);
            if let Err(undo) = file.truncate(position) {
                let undo = DiskError::new("cutting", &segment.log_path, &undo);
                self.take_offline(state, Offline::TornWrite(undo));
            }
            return Err(error.into());
        }
        // Only now, when the bytes are written, anything moves.
        segment.appended(header, self.shared.options.index_interval_bytes);
        state.log_end_offset = header.last_offset() + 1;
        state.active_since_ms.get_or_insert(now);
        if state.epochs.last().is_none_or(|&(epoch, _)| epoch < leader_epoch) {
            state.epochs.push((leader_epoch, header.base_offset));
        }
        self.shared.count_bytes(header.size);
        Ok((header.base_offset, header.last_offset()))
    }

    /// Something was written: visible now or after the sync, as configured.
    fn written(&self, state: &mut State) {
        if self.shared.visible_when_written() {
            state.high_watermark = state.log_end_offset;
            let high_watermark = state.high_watermark;
            state.transactions.advance(high_watermark);
        }
        self.publish(state);
        self.mark(!state.sealing.is_empty());
    }

    fn mark(&self, urgent: bool) {
        if let Some(me) = self.me.upgrade() {
            self.shared.committer.mark(me, urgent);
        }
    }

    fn roll_if_due(&self, state: &mut State, size: u64, now: i64) -> Result<(), DiskError> {
        let active = state.segments.last().map_or(0, |segment| segment.size());
        let full = active > 0 && active + size > state.config.segment_bytes;
        let old = active > 0
            && state.active_since_ms.is_some_and(|since| now.saturating_sub(since) >= state.config.segment_ms);
        if full || old { self.roll(state) } else { Ok(()) }
    }

    /// Begins a new segment. The old one is synced and indexed by the committer, before anything newer.
    pub(super) fn roll(&self, state: &mut State) -> Result<(), DiskError> {
        let segment = Segment::create(&self.shared.env.disk, &self.dir, state.log_end_offset)?;
        if let Some(full) = state.segments.last() {
            let mut snapshot = state.snapshot();
            snapshot.aborted.clear();
            state.sealing.push(Sealing { segment: Arc::clone(full), snapshot });
        }
        state.segments.push(Arc::new(segment));
        state.active_since_ms = None;
        state.snapshot_bytes = 0;
        state.names_dirty = true;
        Ok(())
    }

    /// Rolls because the active segment has expired, and has the old one sealed.
    pub(super) fn roll_now(&self, state: &mut State) -> Result<(), DiskError> {
        self.roll(state)?;
        self.mark(true);
        Ok(())
    }

    fn sync_files(&self, sealing: &[Sealing], active: &Segment, names_dirty: bool) -> Result<(), DiskError> {
        for full in sealing {
            full.segment.sync()?;
        }
        if names_dirty {
            self.sync_names()?;
        }
        // In `os` mode only what is to be sealed is synced.
        if !matches!(self.shared.options.fsync, super::FsyncMode::Os) || sealing.is_empty() {
            active.sync()?;
        }
        Ok(())
    }

    pub(super) fn sync_names(&self) -> Result<(), DiskError> {
        self.shared.env.disk.sync_dir(&self.dir).map_err(|error| DiskError::new("syncing", &self.dir, &error))?;
        // The names of this folder and of the topic's, if nobody has synced those yet.
        self.dir.ancestors().skip(1).take(2).try_for_each(|above| self.shared.names.sync(above))
    }

    /// Writes the index and the snapshot of a synced segment. Failing is not fatal: they are caches as long as the segment
    /// is there, and without the snapshot it stays.
    fn finish_sealing(&self, full: &Sealing) {
        let aborted = self.lock().transactions.aborted_in(full.segment.base_offset, full.segment.end_offset());
        match full.segment.write_index(&aborted) {
            Ok(sealed) => full.segment.seal(&sealed),
            Err(error) => tracing::warn!(%error, "could not write the index of a segment"),
        }
        self.write_snapshot(full.snapshot.offset, &full.snapshot.encode());
    }

    pub(super) fn write_snapshot(&self, offset: i64, bytes: &[u8]) {
        let disk = &self.shared.env.disk;
        if let Err(error) = snapshot::write(disk, &self.dir, offset, bytes) {
            tracing::warn!(%error, "could not write a snapshot");
            return;
        }
        {
            let mut state = self.lock();
            state.snapshot_offset = state.snapshot_offset.max(offset);
        }
        let Ok(entries) = disk.list(&self.dir) else { return };
        let mut kept: Vec<i64> = entries.iter().filter_map(|entry| parse_file_name(&entry.name, "snap")).collect();
        kept.sort_unstable();
        kept.truncate(kept.len().saturating_sub(SNAPSHOTS_KEPT));
        for old in kept {
            if let Err(error) = disk.unlink(&self.dir.join(file_name(old, "snap"))) {
                tracing::warn!(%error, offset = old, "could not remove an old snapshot");
            }
        }
    }
}

impl Partition {
    /// For a clean stop: everything synced, indexed and snapshotted, so that the next start reads no batch. False if
    /// the partition was offline.
    pub(super) fn close(&self) -> Result<bool, DiskError> {
        Dirty::sync(self);
        let (active, snapshot) = {
            let mut state = self.lock();
            if let Some(reason) = &state.offline {
                return Ok(matches!(reason, Offline::Deleted | Offline::Closed));
            }
            let (active, snapshot) = (state.segments.last().map(Arc::clone), state.snapshot());
            self.take_offline(&mut state, Offline::Closed);
            (active, snapshot)
        };
        let Some(active) = active else { return Ok(true) };
        active.sync()?;
        active.write_index(&snapshot.aborted)?;
        self.write_snapshot(snapshot.offset, &snapshot.encode());
        Ok(true)
    }
}

impl Dirty for Partition {
    fn phase(&self) -> &Mutex<Phase> {
        &self.phase
    }

    /// After this returns without error everything that was written before it began is durable.
    fn sync(&self) {
        let (sealing, active, end, names_dirty, snapshot) = {
            let mut state = self.lock();
            if state.offline.as_ref().is_some_and(|offline| *offline != Offline::Closed) {
                return;
            }
            let Some(active) = state.segments.last().map(Arc::clone) else { return };
            let names_dirty = std::mem::take(&mut state.names_dirty);
            let due = active.size() >= state.snapshot_bytes + SNAPSHOT_EVERY_BYTES;
            let snapshot = due.then(|| state.snapshot());
            if due {
                state.snapshot_bytes = active.size();
            }
            (std::mem::take(&mut state.sealing), active, state.log_end_offset, names_dirty, snapshot)
        };
        let result = self.sync_files(&sealing, &active, names_dirty);
        {
            let mut state = self.lock();
            match result {
                Err(error) => {
                    // The kernel may have dropped the pages: nothing after this proves anything.
                    self.take_offline(&mut state, Offline::SyncFailed(error));
                    return;
                }
                Ok(()) => {
                    if !self.shared.visible_when_written() {
                        state.high_watermark = state.high_watermark.max(end);
                        let high_watermark = state.high_watermark;
                        state.transactions.advance(high_watermark);
                        self.publish(&state);
                    }
                }
            }
        }
        for full in &sealing {
            self.finish_sealing(full);
        }
        // In `os` mode the active segment was not synced when something was sealed.
        if let Some(snapshot) = snapshot
            && (sealing.is_empty() || self.shared.options.fsync != super::FsyncMode::Os)
        {
            self.write_snapshot(snapshot.offset, &snapshot.encode());
        }
    }
}
