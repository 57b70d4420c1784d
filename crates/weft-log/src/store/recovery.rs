//! Opening a partition: from files to state.
//!
//! ```text
//!   sealed (good .idx) │ sealed │ … │ not sealed: scanned by CRC, cut at the first bad batch
//!   ───────────────────┴────────┴───┼──────────────────────────────────────────────────►
//!                                   │ recovery point: end of the last sealed segment or newest snapshot,
//!                                   │ both written only after the log below them was synced
//! ```
//! A bad batch at or above the recovery point is a torn tail: cut, then synced, before anyone may read. Below it, it
//! is damage to what was durable: the partition goes offline and nothing is cut. Producers, open transactions and
//! leader epochs are those of the newest good snapshot, brought up to date by the batch headers after it; without any
//! snapshot they come from all of the log. Segments go only below a snapshot, so there is no gap between the two.

use std::path::Path;
use std::sync::Arc;

use weft_wire::batch::{BatchHeader, HEADER_BYTES};
use weft_wire::env::{Disk, DiskFile};

use super::partition::State;
use super::producers::Producers;
use super::retain::read_start;
use super::segment::{Sealed, Segment, parse_file_name};
use super::snapshot::{self, Snapshot};
use super::{DiskError, FetchError, Offline, PartitionConfig, StoreError};

/// Bytes read at once while scanning.
const SCAN_BYTES: usize = 1 << 20;

/// Control batches are small; a larger one is not ours.
const MARKER_BYTES_MAX: u64 = 4096;

/// Opens a partition. Damage makes an offline partition, not an error; an error is a disk that does not work.
pub(super) fn open(disk: &Arc<dyn Disk>, dir: &Path, index_interval_bytes: u64) -> Result<State, StoreError> {
    match Recovery::run(disk, dir, index_interval_bytes) {
        Ok(state) => Ok(state),
        Err(StoreError::Disk(error)) => Err(StoreError::Disk(error)),
        Err(damage) => {
            tracing::error!(dir = %dir.display(), error = %damage, "partition is damaged and stays offline");
            let mut state = State::new(PartitionConfig::default());
            state.offline = Some(Offline::Damaged(damage));
            Ok(state)
        }
    }
}

struct Recovery<'a> {
    disk: &'a Arc<dyn Disk>,
    dir: &'a Path,
    index_interval_bytes: u64,
    state: State,
    /// Nothing below this may be cut.
    recovery_point: i64,
    /// Batches below this are in the snapshot already.
    apply_from: i64,
    /// Leader epoch of the batch scanned last.
    scanned_epoch: i32,
    names_changed: bool,
}

impl<'a> Recovery<'a> {
    fn run(disk: &'a Arc<dyn Disk>, dir: &'a Path, index_interval_bytes: u64) -> Result<State, StoreError> {
        let start = read_start(disk, dir)?;
        let (mut segments, snapshots, leftovers) = list(disk, dir)?;
        let mut recovery = Self {
            disk,
            dir,
            index_interval_bytes,
            state: State::new(PartitionConfig::default()),
            recovery_point: 0,
            apply_from: 0,
            scanned_epoch: i32::MIN,
            names_changed: false,
        };
        for leftover in &leftovers {
            recovery.remove(leftover)?;
        }
        // Segments that retention had given up, but whose names were not gone yet.
        let given_up = if start > 0 { newest_good(disk, dir, &snapshots).min(start) } else { 0 };
        while segments.get(1).is_some_and(|second| second.base_offset <= given_up) {
            let gone = segments.remove(0);
            gone.remove()?;
            recovery.names_changed = true;
        }
        if segments.is_empty() {
            if !snapshots.is_empty() {
                return Err(damaged(dir, 0, "all segments are gone"));
            }
            // Created, and nothing ever written; or the creation itself was cut off.
            segments.push(Segment::create(disk, dir, start)?);
            recovery.names_changed = true;
        }
        recovery.segments(segments, &snapshots, start)?;
        Ok(recovery.state)
    }

    fn segments(&mut self, segments: Vec<Segment>, snapshots: &[i64], start: i64) -> Result<(), StoreError> {
        let heads: Vec<Option<Sealed>> = segments.iter().map(Segment::read_index).collect();
        let sealed = count_sealed(self.disk, &segments, &heads)?;
        if let Some(Some(last)) = sealed.checked_sub(1).and_then(|last| heads.get(last)) {
            self.recovery_point = self.recovery_point.max(last.end_offset);
        }
        // A later segment's index proves what lies before it, even if an index in between is lost.
        for head in heads.iter().flatten() {
            self.recovery_point = self.recovery_point.max(head.end_offset);
        }
        if let Some(&newest) = snapshots.last() {
            self.recovery_point = self.recovery_point.max(newest);
        }
        let snapshot = self.pick_snapshot(&segments, sealed, snapshots);
        self.apply_from = snapshot.offset;
        self.state.producers = snapshot.producers;
        self.state.epochs = snapshot.epochs;
        let walk_from = segments.partition_point(|segment| segment.base_offset <= snapshot.offset).saturating_sub(1);

        let mut kept: Vec<Arc<Segment>> = Vec::new();
        let mut expected = segments.first().map_or(0, |segment| segment.base_offset);
        let mut cut = false;
        for (index, (segment, head)) in segments.into_iter().zip(heads).enumerate() {
            if cut {
                segment.remove()?;
                self.names_changed = true;
                continue;
            }
            if segment.base_offset != expected {
                if segment.base_offset < self.recovery_point || expected < self.recovery_point {
                    return Err(damaged(&segment.log_path, 0, "a segment is missing before this one"));
                }
                segment.remove()?;
                self.names_changed = true;
                cut = true;
                continue;
            }
            match head {
                Some(head) if index < sealed => {
                    segment.restore(&head);
                    if index < walk_from {
                        self.state.transactions.restore_aborted(&head.aborted);
                    } else {
                        if index == walk_from {
                            self.state.transactions.restore_aborted(&snapshot.aborted);
                            self.reopen_transactions();
                        }
                        self.walk(&segment)?;
                    }
                }
                _ => {
                    if index == walk_from {
                        self.state.transactions.restore_aborted(&snapshot.aborted);
                        self.reopen_transactions();
                    }
                    cut = self.scan(&segment)?;
                }
            }
            expected = segment.end_offset();
            kept.push(Arc::new(segment));
        }
        self.finish(kept, sealed, start, expected)
    }

    /// The transactions that were open at the snapshot.
    fn reopen_transactions(&mut self) {
        for info in self.state.producers.iter() {
            if let Some(first_offset) = info.transaction_start_offset {
                self.state.transactions.opened(first_offset, info.producer_id);
            }
        }
    }

    /// The newest good snapshot, if the aborted transactions before it are known too; else an empty one, at the
    /// beginning.
    fn pick_snapshot(&self, segments: &[Segment], sealed: usize, snapshots: &[i64]) -> Snapshot {
        let first = segments.first().map_or(0, |segment| segment.base_offset);
        // A snapshot below the first segment knows nothing of what lay between: a producer that it knows would seem to
        // leave a gap, one that it does not know may go on.
        for &offset in snapshots.iter().rev().filter(|offset| **offset >= first) {
            let holder = segments.partition_point(|segment| segment.base_offset <= offset).saturating_sub(1);
            if holder > sealed {
                continue;
            }
            if let Some(snapshot) = Snapshot::read(self.disk, self.dir, offset) {
                return snapshot;
            }
        }
        Snapshot::default()
    }

    /// A sealed segment: headers only.
    fn walk(&mut self, segment: &Segment) -> Result<(), StoreError> {
        if segment.end_offset() <= self.apply_from {
            return Ok(());
        }
        segment
            .walk(0, |position, header| {
                let marker = if header.is_control() {
                    let bytes = segment.read(position, header.size.min(MARKER_BYTES_MAX))?;
                    header.marker(&bytes)
                } else {
                    None
                };
                self.apply(header, marker);
                Ok(true)
            })
            .map_err(|error| match error {
                FetchError::Disk(error) => StoreError::Disk(error),
                FetchError::Damaged { path, position } => {
                    StoreError::Damaged { path, position, what: "no batch where one must be" }
                }
                FetchError::OffsetOutOfRange { .. } | FetchError::Offline(_) => {
                    damaged(&segment.log_path, 0, "cannot be walked")
                }
            })
    }

    fn apply(&mut self, header: &BatchHeader, marker: Option<bool>) {
        if self.state.epochs.last().is_none_or(|&(epoch, _)| epoch < header.leader_epoch) {
            self.state.epochs.push((header.leader_epoch, header.base_offset));
        }
        if header.base_offset < self.apply_from {
            return;
        }
        if !header.is_control() {
            if let Some(first_offset) = self.state.producers.appended(header) {
                self.state.transactions.opened(first_offset, header.producer_id);
            }
        } else if let Some(commit) = marker
            && let Some(first_offset) = self.state.producers.ended(header, -1)
        {
            self.state.transactions.ended(first_offset, header.producer_id, header.base_offset, commit);
        }
    }

    /// A segment without a good index: every batch by its CRC. True if the tail was cut.
    fn scan(&mut self, segment: &Segment) -> Result<bool, StoreError> {
        let file = segment.open_writer()?;
        let wrap = |doing, error| DiskError::new(doing, &segment.log_path, &error);
        let length = file.len().map_err(|error| wrap("measuring", error))?;
        let mut position = 0;
        let mut buffer = vec![0; SCAN_BYTES];
        while position < length {
            let expected = segment.end_offset();
            let found =
                read_batch(&*file, position, length, expected, &mut buffer).map_err(|error| wrap("reading", error))?;
            let Some((header, marker)) = found else { break };
            // Outside the CRC, so looked at here: a torn header may carry a good checksum and an old epoch.
            if header.leader_epoch < self.scanned_epoch {
                break;
            }
            self.scanned_epoch = header.leader_epoch;
            segment.appended(&header, self.index_interval_bytes);
            self.apply(&header, marker);
            position += header.size;
        }
        let end = segment.end_offset();
        if end < self.recovery_point && position < length {
            return Err(damaged(&segment.log_path, position, "no valid batch, and this was durable before"));
        }
        let cut = position < length;
        if cut {
            let bytes = length - position;
            tracing::warn!(path = %segment.log_path.display(), end_offset = end, bytes, "torn tail cut");
            file.truncate(position).map_err(|error| wrap("cutting", error))?;
        }
        segment.sync()?;
        Ok(cut)
    }

    /// Seals what must be sealed, opens the active segment, sets the lines.
    fn finish(&mut self, kept: Vec<Arc<Segment>>, sealed: usize, start: i64, end: i64) -> Result<(), StoreError> {
        if end < self.recovery_point {
            return Err(damaged(self.dir, 0, "the log ends below what was durable"));
        }
        if self.names_changed {
            self.disk.sync_dir(self.dir).map_err(|error| DiskError::new("syncing", self.dir, &error))?;
        }
        let last = kept.len().saturating_sub(1);
        for (index, segment) in kept.iter().enumerate() {
            if index == last {
                if index < sealed {
                    segment.reopen()?;
                }
            } else if index >= sealed {
                let aborted = self.state.transactions.aborted_in(segment.base_offset, segment.end_offset());
                let head = segment.write_index(&aborted)?;
                segment.seal(&head);
            }
        }
        let mut kept = kept;
        if end < start {
            // Without fsync the log start may have outlived the records it deleted.
            let fresh = Segment::create(self.disk, self.dir, start)?;
            for segment in kept.drain(..) {
                segment.remove()?;
            }
            self.disk.sync_dir(self.dir).map_err(|error| DiskError::new("syncing", self.dir, &error))?;
            kept.push(Arc::new(fresh));
            self.state.producers = Producers::default();
        }
        let first = kept.first().map_or(start, |segment| segment.base_offset);
        let state = &mut self.state;
        state.segments = kept;
        state.log_start_offset = start.max(first);
        state.log_end_offset = end.max(start);
        state.high_watermark = state.log_end_offset;
        let high_watermark = state.high_watermark;
        state.transactions.advance(high_watermark);
        let log_start_offset = state.log_start_offset;
        state.transactions.forget_below(log_start_offset);
        state.snapshot_offset = self.apply_from;
        if self.recovered_full_segments() {
            self.write_snapshot();
        }
        Ok(())
    }

    /// Did what was replayed begin before the active segment? Then segments were sealed without a snapshot.
    fn recovered_full_segments(&self) -> bool {
        let active = self.state.segments.last();
        active.is_some_and(|active| active.base_offset > self.apply_from)
    }

    /// Of everything that was recovered, all of which is durable by now.
    fn write_snapshot(&mut self) {
        let snapshot = self.state.snapshot();
        match snapshot::write(self.disk, self.dir, snapshot.offset, &snapshot.encode()) {
            Ok(()) => self.state.snapshot_offset = snapshot.offset,
            Err(error) => tracing::warn!(%error, "could not write a snapshot"),
        }
    }

    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        let path = self.dir.join(name);
        self.names_changed = true;
        self.disk.unlink(&path).map_err(|error| DiskError::new("removing", &path, &error))
    }
}

fn damaged(path: &Path, position: u64, what: &'static str) -> StoreError {
    StoreError::Damaged { path: path.to_path_buf(), position, what }
}

/// Segments and snapshots in order, and names that a crash left behind.
type Listed = (Vec<Segment>, Vec<i64>, Vec<String>);

fn list(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Listed, DiskError> {
    let entries = disk.list(dir).map_err(|error| DiskError::new("listing", dir, &error))?;
    let (mut segments, mut snapshots, mut leftovers) = (Vec::new(), Vec::new(), Vec::new());
    for entry in entries {
        if let Some(base_offset) = parse_file_name(&entry.name, "log") {
            segments.push(Segment::at(disk, dir.join(&entry.name), base_offset));
        } else if let Some(offset) = parse_file_name(&entry.name, "snap") {
            snapshots.push(offset);
        } else if entry.name.ends_with(".tmp") {
            leftovers.push(entry.name);
        }
    }
    segments.sort_by_key(|segment| segment.base_offset);
    snapshots.sort_unstable();
    Ok((segments, snapshots, leftovers))
}

/// Offset of the newest snapshot that can be read, 0 if there is none.
fn newest_good(disk: &Arc<dyn Disk>, dir: &Path, snapshots: &[i64]) -> i64 {
    let good = |offset: &&i64| Snapshot::read(disk, dir, **offset).is_some();
    snapshots.iter().rev().find(good).copied().unwrap_or(0)
}

/// How many segments, from the first, have an index that fits the log file and the next segment.
fn count_sealed(disk: &Arc<dyn Disk>, segments: &[Segment], heads: &[Option<Sealed>]) -> Result<usize, DiskError> {
    let mut sealed = 0;
    for (index, (segment, head)) in segments.iter().zip(heads).enumerate() {
        let Some(head) = head else { break };
        let wrap = |error| DiskError::new("opening", &segment.log_path, &error);
        let file = disk.open(&segment.log_path, weft_wire::env::OpenMode::Read).map_err(wrap)?;
        let fits = file.len().map_err(wrap)? == head.log_size;
        let joined = segments.get(index + 1).is_none_or(|next| next.base_offset == head.end_offset);
        if !fits || !joined {
            break;
        }
        sealed += 1;
    }
    Ok(sealed)
}

/// One batch, checked, with what its marker says if it is one. `None` if there is no good batch.
fn read_batch(
    file: &dyn DiskFile,
    position: u64,
    length: u64,
    expected: i64,
    buffer: &mut [u8],
) -> std::io::Result<Option<(BatchHeader, Option<bool>)>> {
    let mut head = [0; HEADER_BYTES];
    if position + HEADER_BYTES as u64 > length {
        return Ok(None);
    }
    file.read_exact_at(&mut head, position)?;
    let Ok(header) = BatchHeader::parse(&head) else { return Ok(None) };
    if header.base_offset != expected || position.saturating_add(header.size) > length {
        return Ok(None);
    }
    // The CRC in parts, so that a batch of any size costs one buffer.
    let mut crc = crc32c::crc32c(head.get(21..).unwrap_or_default());
    let mut at = position + HEADER_BYTES as u64;
    let end = position + header.size;
    let mut marker = None;
    while at < end {
        let part = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
        let Some(part) = buffer.get_mut(..part) else { return Ok(None) };
        file.read_exact_at(part, at)?;
        crc = crc32c::crc32c_append(crc, part);
        at += part.len() as u64;
        if header.is_control() && header.size <= MARKER_BYTES_MAX {
            let mut whole = head.to_vec();
            whole.extend_from_slice(part);
            marker = header.marker(&whole);
        }
    }
    Ok((crc == header.crc).then_some((header, marker)))
}
