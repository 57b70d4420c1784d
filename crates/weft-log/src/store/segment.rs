//! One segment: a file of batches, and its sparse index.
//!
//! While batches are appended the index is in memory; once the segment is sealed it is a file that is searched on the
//! disk, so sealed segments cost no memory and no open file.
//!
//! ```text
//! .idx:  magic version crc │ log size, end offset, max timestamp, aborted transactions │ entries …
//!                          └────────────── covered by the crc ──────────────────────────┘
//! entry: offset i64 │ position u64 │ greatest timestamp of all that lies before this position i64
//! ```
//! Entries are hints: what is found through one must be a batch header that fits, else the segment is walked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use weft_wire::batch::{BatchHeader, HEADER_BYTES};
use weft_wire::env::{Disk, DiskFile, OpenMode};

use super::sidecar::{Reader, Writer};
use super::transactions::Aborted;
use super::{DiskError, FetchError};

const INDEX_MAGIC: [u8; 4] = *b"WIDX";
const ENTRY_BYTES: usize = 24;

/// Bytes read at once when headers are walked.
const WALK_BYTES: u64 = 64 << 10;

/// Largest part of an index file in front of its entries.
const INDEX_HEAD_MAX: u64 = 64 << 20;

/// What the index says of one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) offset: i64,
    pub(super) position: u64,
    pub(super) max_timestamp_before: i64,
}

enum Index {
    Memory(Vec<Entry>),
    /// In the `.idx` file: so many entries, the first at this byte.
    File {
        count: u64,
        from: u64,
    },
}

struct Inner {
    size: u64,
    end_offset: i64,
    max_timestamp: i64,
    index: Index,
}

/// A segment file.
pub(super) struct Segment {
    pub(super) base_offset: i64,
    pub(super) log_path: PathBuf,
    disk: Arc<dyn Disk>,
    /// Open while it may be written or synced.
    writer: Mutex<Option<Arc<dyn DiskFile>>>,
    inner: RwLock<Inner>,
}

/// Head of an `.idx` file.
pub(super) struct Sealed {
    pub(super) log_size: u64,
    pub(super) end_offset: i64,
    pub(super) max_timestamp: i64,
    pub(super) aborted: Vec<Aborted>,
    count: u64,
    from: u64,
}

/// `00000000000000012345.log`
pub(super) fn file_name(offset: i64, extension: &str) -> String {
    format!("{offset:020}.{extension}")
}

/// The offset in such a name.
pub(super) fn parse_file_name(name: &str, extension: &str) -> Option<i64> {
    let digits = name.strip_suffix(extension)?.strip_suffix('.')?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

impl Segment {
    /// A new, empty segment file.
    pub(super) fn create(disk: &Arc<dyn Disk>, dir: &Path, base_offset: i64) -> Result<Self, DiskError> {
        let log_path = dir.join(file_name(base_offset, "log"));
        // A file of that name can only be left from a roll that did not get this far: nothing in it was acknowledged.
        let file = disk.create_anew(&log_path).map_err(|error| DiskError::new("creating", &log_path, &error))?;
        let segment = Self::at(disk, log_path, base_offset);
        *segment.writer.lock() = Some(file);
        Ok(segment)
    }

    /// An existing file about which nothing is known yet.
    pub(super) fn at(disk: &Arc<dyn Disk>, log_path: PathBuf, base_offset: i64) -> Self {
        let inner = Inner { size: 0, end_offset: base_offset, max_timestamp: -1, index: Index::Memory(Vec::new()) };
        Self { base_offset, log_path, disk: Arc::clone(disk), writer: Mutex::new(None), inner: RwLock::new(inner) }
    }

    /// An existing file with a good index.
    pub(super) fn restore(&self, sealed: &Sealed) {
        *self.inner.write() = Inner {
            size: sealed.log_size,
            end_offset: sealed.end_offset,
            max_timestamp: sealed.max_timestamp,
            index: Index::File { count: sealed.count, from: sealed.from },
        };
    }

    /// Makes a restored segment ready for appends: opens the file, loads the index.
    pub(super) fn reopen(&self) -> Result<(), DiskError> {
        let entries = self.entries()?;
        self.open_writer()?;
        self.inner.write().index = Index::Memory(entries);
        Ok(())
    }

    pub(super) fn open_writer(&self) -> Result<Arc<dyn DiskFile>, DiskError> {
        let mut writer = self.writer.lock();
        if let Some(file) = &*writer {
            return Ok(Arc::clone(file));
        }
        let file = self
            .disk
            .open(&self.log_path, OpenMode::ReadWrite)
            .map_err(|error| DiskError::new("opening", &self.log_path, &error))?;
        *writer = Some(Arc::clone(&file));
        Ok(file)
    }

    fn reader(&self) -> Result<Arc<dyn DiskFile>, DiskError> {
        if let Some(file) = &*self.writer.lock() {
            return Ok(Arc::clone(file));
        }
        self.disk
            .open(&self.log_path, OpenMode::Read)
            .map_err(|error| DiskError::new("opening", &self.log_path, &error))
    }

    pub(super) fn size(&self) -> u64 {
        self.inner.read().size
    }

    pub(super) fn end_offset(&self) -> i64 {
        self.inner.read().end_offset
    }

    pub(super) fn max_timestamp(&self) -> i64 {
        self.inner.read().max_timestamp
    }

    /// A batch was written at the end.
    pub(super) fn appended(&self, header: &BatchHeader, index_interval_bytes: u64) {
        let mut inner = self.inner.write();
        let Inner { size, end_offset, max_timestamp, index } = &mut *inner;
        if let Index::Memory(entries) = index {
            let last = entries.last().map_or(0, |entry| entry.position);
            if *size >= last + index_interval_bytes {
                entries.push(Entry {
                    offset: header.base_offset,
                    position: *size,
                    max_timestamp_before: *max_timestamp,
                });
            }
        }
        *size += header.size;
        *end_offset = header.last_offset() + 1;
        *max_timestamp = (*max_timestamp).max(header.max_timestamp);
    }

    /// Makes content durable.
    pub(super) fn sync(&self) -> Result<(), DiskError> {
        self.open_writer()?.fdatasync().map_err(|error| DiskError::new("syncing", &self.log_path, &error))
    }

    /// Writes the index file. The log must be synced before: from now on it is trusted without a scan.
    pub(super) fn write_index(&self, aborted: &[Aborted]) -> Result<Sealed, DiskError> {
        let entries = self.entries()?;
        let mut out = Writer::new(INDEX_MAGIC);
        let (log_size, end_offset, max_timestamp) = {
            let inner = self.inner.read();
            (inner.size, inner.end_offset, inner.max_timestamp)
        };
        out.u64(log_size);
        out.i64(end_offset);
        out.i64(max_timestamp);
        out.count(entries.len());
        out.count(aborted.len());
        for one in aborted {
            one.write(&mut out);
        }
        let head = out.seal();
        // The head's own length stands in front, since the entries behind it are not covered by its checksum.
        let mut bytes = (head.len() as u64).to_be_bytes().to_vec();
        bytes.extend_from_slice(&head);
        let from = bytes.len() as u64;
        for entry in &entries {
            bytes.extend_from_slice(&entry.offset.to_be_bytes());
            bytes.extend_from_slice(&entry.position.to_be_bytes());
            bytes.extend_from_slice(&entry.max_timestamp_before.to_be_bytes());
        }
        let path = self.index_path();
        self.disk.replace(&path, &bytes).map_err(|error| DiskError::new("writing", &path, &error))?;
        let count = entries.len() as u64;
        Ok(Sealed { log_size, end_offset, max_timestamp, aborted: aborted.to_vec(), count, from })
    }

    /// The index file is written and nobody appends any more: drop the memory and the open file.
    pub(super) fn seal(&self, sealed: &Sealed) {
        self.inner.write().index = Index::File { count: sealed.count, from: sealed.from };
        *self.writer.lock() = None;
    }

    /// Reads the head of the index file, if there is a good one.
    pub(super) fn read_index(&self) -> Option<Sealed> {
        let file = self.disk.open(&self.index_path(), OpenMode::Read).ok()?;
        let mut length = [0; 8];
        file.read_exact_at(&mut length, 0).ok()?;
        let length = u64::from_be_bytes(length);
        let whole = file.len().ok()?;
        if length > INDEX_HEAD_MAX || length + 8 > whole {
            return None;
        }
        let mut head = vec![0; usize::try_from(length).ok()?];
        file.read_exact_at(&mut head, 8).ok()?;
        let mut input = Reader::open(INDEX_MAGIC, &head).ok()?;
        let log_size = input.u64().ok()?;
        let end_offset = input.i64().ok()?;
        let max_timestamp = input.i64().ok()?;
        let count = input.u64().ok()?;
        let mut aborted = Vec::new();
        for _ in 0..input.count(Aborted::BYTES).ok()? {
            aborted.push(Aborted::read(&mut input).ok()?);
        }
        let from = length + 8;
        if count.checked_mul(ENTRY_BYTES as u64)?.checked_add(from)? != whole {
            return None;
        }
        Some(Sealed { log_size, end_offset, max_timestamp, aborted, count, from })
    }

    fn index_path(&self) -> PathBuf {
        self.log_path.with_extension("idx")
    }

    fn entries(&self) -> Result<Vec<Entry>, DiskError> {
        let (count, from) = match &self.inner.read().index {
            Index::Memory(entries) => return Ok(entries.clone()),
            Index::File { count, from } => (*count, *from),
        };
        let path = self.index_path();
        let wrap = |error| DiskError::new("reading", &path, &error);
        let file = self.disk.open(&path, OpenMode::Read).map_err(wrap)?;
        let mut entries = Vec::new();
        for index in 0..count {
            entries.push(read_entry(&*file, from, index).map_err(wrap)?);
        }
        Ok(entries)
    }

    /// The last entry for which `before` holds; `before` holds for a prefix of the entries. Zero if the index is
    /// lost: that only costs a longer walk.
    fn search(&self, before: impl Fn(&Entry) -> bool) -> u64 {
        let (mut low, mut high, from) = match &self.inner.read().index {
            Index::Memory(entries) => {
                let found = entries.partition_point(before);
                return found.checked_sub(1).and_then(|last| entries.get(last)).map_or(0, |entry| entry.position);
            }
            Index::File { count: 0, .. } => return 0,
            Index::File { count, from } => (0, *count, *from),
        };
        let Ok(file) = self.disk.open(&self.index_path(), OpenMode::Read) else { return 0 };
        let mut position = 0;
        while low < high {
            let middle = low + (high - low) / 2;
            let Ok(entry) = read_entry(&*file, from, middle) else { return 0 };
            if before(&entry) {
                position = entry.position;
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        position
    }

    /// Position of a batch at or before the one that holds `offset`.
    pub(super) fn position_before(&self, offset: i64) -> u64 {
        self.search(|entry| entry.offset <= offset)
    }

    /// Position of a batch before which nothing is dated `timestamp` or later.
    pub(super) fn position_before_time(&self, timestamp: i64) -> u64 {
        self.search(|entry| entry.max_timestamp_before < timestamp)
    }

    /// Reads `length` bytes, fewer at the end of what is written.
    pub(super) fn read(&self, position: u64, length: u64) -> Result<Vec<u8>, DiskError> {
        let length = length.min(self.size().saturating_sub(position));
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let read = self.reader()?.read_vec(position, length);
        read.map_err(|error| DiskError::new("reading", &self.log_path, &error))
    }

    /// Walks headers from `position` (the start of a batch) until `visit` says false or the segment ends.
    pub(super) fn walk(
        &self,
        mut position: u64,
        mut visit: impl FnMut(u64, &BatchHeader) -> Result<bool, FetchError>,
    ) -> Result<(), FetchError> {
        let size = self.size();
        let mut window = Vec::new();
        let mut window_at = 0;
        while position < size {
            let inside = usize::try_from(position - window_at).ok().and_then(|skip| window.get(skip..));
            let header = match inside {
                Some(rest) if rest.len() >= HEADER_BYTES => BatchHeader::parse(rest),
                _ => {
                    window = self.read(position, WALK_BYTES)?;
                    window_at = position;
                    BatchHeader::parse(&window)
                }
            };
            let header = header.map_err(|_| self.damaged(position))?;
            if position + header.size > size {
                return Err(self.damaged(position));
            }
            if !visit(position, &header)? {
                return Ok(());
            }
            position += header.size;
        }
        Ok(())
    }

    pub(super) fn damaged(&self, position: u64) -> FetchError {
        FetchError::Damaged { path: self.log_path.clone(), position }
    }

    /// Removes log and index.
    pub(super) fn remove(&self) -> Result<(), DiskError> {
        let index = self.index_path();
        if self.disk.exists(&index) {
            self.disk.unlink(&index).map_err(|error| DiskError::new("removing", &index, &error))?;
        }
        self.disk.unlink(&self.log_path).map_err(|error| DiskError::new("removing", &self.log_path, &error))
    }
}

fn read_entry(file: &dyn DiskFile, from: u64, index: u64) -> std::io::Result<Entry> {
    let mut bytes = [0; ENTRY_BYTES];
    file.read_exact_at(&mut bytes, from + index * ENTRY_BYTES as u64)?;
    let [offset, position, time] = [0, 8, 16].map(|at| {
        let mut word = [0; 8];
        word.copy_from_slice(bytes.get(at..at + 8).expect("three words in 24 bytes"));
        word
    });
    Ok(Entry {
        offset: i64::from_be_bytes(offset),
        position: u64::from_be_bytes(position),
        max_timestamp_before: i64::from_be_bytes(time),
    })
}
