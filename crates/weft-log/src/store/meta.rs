//! MetaLog: the broker's own keyed records (topics, configs, group offsets, transaction states).
//!
//! ```text
//! meta/00000003.meta:  "WMET" version │ frame │ frame │ …        the highest number counts
//! frame:  "WMTF" │ length u32 │ crc u32 │ synced u64 │ records │ zeros to a multiple of 8
//! record: key length u32 │ key │ value length i32 (−1 = deleted) │ value
//! ```
//! A frame is one put: after a crash all of it is there or none. `synced` is how far the file was known to be durable
//! when the frame was written; a bad frame below the `synced` of a later good one is damage, not a torn tail.
//! When more than half of the file is outdated it is rewritten under the next number.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;
use weft_wire::env::{Disk, DiskFile, OpenMode};

use super::committer::{Committer, Dirty, Phase};
use super::{DiskError, FsyncMode, StoreError};

const FILE_MAGIC: [u8; 4] = *b"WMET";
const FRAME_MAGIC: [u8; 4] = *b"WMTF";
const VERSION: u32 = 1;
const FILE_HEAD: u64 = 8;
const FRAME_HEAD: usize = 20;

/// Largest put. Group metadata is the largest thing that comes here.
const PUT_BYTES_MAX: u64 = 64 << 20;

/// Frames of a rewritten file hold about so many bytes.
const REWRITE_FRAME_BYTES: usize = 1 << 20;

/// Where a put stands; later puts are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetaPosition(pub u64);

/// A record of a put: `None` deletes the key.
pub type MetaPut = (Bytes, Option<Bytes>);

/// Keyed records with atomic puts.
pub struct MetaLog {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    mode: FsyncMode,
    compact_bytes: u64,
    state: Mutex<State>,
    phase: Mutex<Phase>,
    durable: watch::Sender<(u64, Option<StoreError>)>,
    committer: Arc<Committer>,
    me: Weak<Self>,
}

struct State {
    generation: u64,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    /// Where the next frame goes.
    end: u64,
    /// Durable up to here.
    synced: u64,
    records: BTreeMap<Bytes, Bytes>,
    /// Bytes that `records` would take.
    live_bytes: u64,
    puts: u64,
    failed: Option<StoreError>,
}

impl MetaLog {
    /// Reads the newest file, or begins the first one.
    pub(super) fn open(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        mode: FsyncMode,
        compact_bytes: u64,
        committer: &Arc<Committer>,
    ) -> Result<Arc<Self>, StoreError> {
        let wrap = |doing, path: &Path, error| DiskError::new(doing, path, &error);
        super::create_dir_durably(&**disk, dir)?;
        let mut generations = Vec::new();
        for entry in disk.list(dir).map_err(|error| wrap("listing", dir, error))? {
            match entry.name.strip_suffix(".meta").and_then(|digits| digits.parse::<u64>().ok()) {
                Some(generation) => generations.push(generation),
                None => {
                    let path = dir.join(&entry.name);
                    disk.unlink(&path).map_err(|error| wrap("removing", &path, error))?;
                }
            }
        }
        generations.sort_unstable();
        let Some(newest) = generations.pop() else {
            let (path, file, end) = begin(disk, dir, 1, &BTreeMap::new())?;
            let state = State {
                generation: 1,
                path,
                file,
                end,
                synced: end,
                records: BTreeMap::new(),
                live_bytes: 0,
                puts: 0,
                failed: None,
            };
            return Ok(Self::with(disk, dir, mode, compact_bytes, committer, state));
        };
        let path = dir.join(file_name(newest));
        let file = disk.open(&path, OpenMode::ReadWrite).map_err(|error| wrap("opening", &path, error))?;
        let (records, end) = read(&*file, &path)?;
        let length = file.len().map_err(|error| wrap("measuring", &path, error))?;
        if end < length {
            tracing::warn!(path = %path.display(), bytes = length - end, "torn tail of the meta log cut");
        }
        if end != length {
            file.truncate(end).map_err(|error| wrap("cutting", &path, error))?;
        }
        file.fdatasync().map_err(|error| wrap("syncing", &path, error))?;
        for old in generations {
            let path = dir.join(file_name(old));
            disk.unlink(&path).map_err(|error| wrap("removing", &path, error))?;
        }
        let live_bytes = records.iter().map(|(key, value)| size_of(key, Some(value))).sum();
        let state =
            State { generation: newest, path, file, end, synced: end, records, live_bytes, puts: 0, failed: None };
        Ok(Self::with(disk, dir, mode, compact_bytes, committer, state))
    }

    fn with(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        mode: FsyncMode,
        compact_bytes: u64,
        committer: &Arc<Committer>,
        state: State,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            disk: Arc::clone(disk),
            dir: dir.to_path_buf(),
            mode,
            compact_bytes,
            state: Mutex::new(state),
            phase: Mutex::new(Phase::Idle),
            durable: watch::channel((0, None)).0,
            committer: Arc::clone(committer),
            me: Weak::clone(me),
        })
    }

    /// All records, by key.
    pub(super) fn records(&self) -> Vec<(Bytes, Bytes)> {
        self.state.lock().records.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Writes the records as one: after a crash all are there or none. Durable once [`MetaLog::wait_durable`] of the
    /// answer is done. Blocks for one write.
    pub fn put(&self, records: Vec<MetaPut>) -> Result<MetaPosition, StoreError> {
        let size = FRAME_HEAD as u64 + records.iter().map(|(key, value)| size_of(key, value.as_ref())).sum::<u64>();
        if size > PUT_BYTES_MAX {
            return Err(StoreError::PutTooLarge { size, limit: PUT_BYTES_MAX });
        }
        let mut state = self.state.lock();
        if let Some(failed) = &state.failed {
            return Err(failed.clone());
        }
        let frame = frame(records.iter().map(|(key, value)| (key, value.as_ref())), state.synced);
        let end = state.end;
        if let Err(error) = state.file.write_all_at(&[&frame], end) {
            let error = StoreError::Disk(DiskError::new("writing", &state.path, &error));
            if let Err(undo) = state.file.truncate(end) {
                let undo = StoreError::Disk(DiskError::new("cutting", &state.path, &undo));
                self.fail(&mut state, undo);
            }
            return Err(error);
        }
        state.end += frame.len() as u64;
        state.puts += 1;
        for (key, value) in records {
            state.apply(key, value);
        }
        let position = MetaPosition(state.puts);
        if self.mode != FsyncMode::Always {
            self.durable.send_modify(|durable| durable.0 = position.0);
        }
        drop(state);
        if let Some(me) = self.me.upgrade() {
            self.committer.mark(me, false);
        }
        Ok(position)
    }

    /// Done when everything up to `position` is durable as configured.
    pub fn wait_durable(
        &self,
        position: MetaPosition,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + 'static + use<> {
        let mut durable = self.durable.subscribe();
        async move {
            let seen = durable
                .wait_for(|(puts, failed)| *puts >= position.0 || failed.is_some())
                .await
                .map_err(|_| StoreError::Closed)?;
            match &*seen {
                (puts, Some(failed)) if *puts < position.0 => Err(failed.clone()),
                _ => Ok(()),
            }
        }
    }

    /// Is everything up to `position` durable as configured?
    pub fn is_durable(&self, position: MetaPosition) -> bool {
        self.durable.borrow().0 >= position.0
    }

    fn fail(&self, state: &mut State, error: StoreError) {
        tracing::error!(%error, "meta log takes no more writes");
        state.failed = Some(error.clone());
        self.durable.send_modify(|durable| durable.1 = Some(error));
    }

    /// For a clean stop: everything synced, and a last frame that says so, so that damage to any other is told from a
    /// torn tail.
    pub(super) fn close(&self) -> Result<(), StoreError> {
        Dirty::sync(self);
        self.put(Vec::new())?;
        Dirty::sync(self);
        let mut state = self.state.lock();
        if let Some(failed) = &state.failed {
            return Err(failed.clone());
        }
        state.failed = Some(StoreError::Closed);
        Ok(())
    }

    /// Rewrites the file if more than half of it is outdated. Blocks for an fsync.
    pub(super) fn compact(&self) {
        let mut state = self.state.lock();
        if state.failed.is_some() || state.end < self.compact_bytes || state.end < 2 * state.live_bytes {
            return;
        }
        let next = state.generation + 1;
        match begin(&self.disk, &self.dir, next, &state.records) {
            Ok((path, file, end)) => {
                let old = std::mem::replace(&mut state.path, path);
                state.generation = next;
                state.file = file;
                state.end = end;
                state.synced = end;
                let puts = state.puts;
                self.durable.send_modify(|durable| durable.0 = durable.0.max(puts));
                if let Err(error) = self.disk.unlink(&old) {
                    tracing::warn!(%error, path = %old.display(), "could not remove an old meta file");
                }
            }
            // The old file goes on: nothing was lost, except if the new name has reached the disk already. Then both
            // hold the same records now, but only the old one will get the next, so it must not happen again.
            Err(error) => {
                tracing::warn!(%error, "could not rewrite the meta log");
                let path = self.dir.join(file_name(next));
                if self.disk.exists(&path) {
                    self.fail(&mut state, StoreError::Disk(error));
                }
            }
        }
    }
}

impl State {
    fn apply(&mut self, key: Bytes, value: Option<Bytes>) {
        // Copies, so that a record does not keep a whole request alive.
        let before = match value {
            Some(value) => {
                self.live_bytes += size_of(&key, Some(&value));
                self.records.insert(Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value))
            }
            None => self.records.remove(&key),
        };
        if let Some(before) = before {
            self.live_bytes -= size_of(&key, Some(&before));
        }
    }
}

impl Dirty for MetaLog {
    fn phase(&self) -> &Mutex<Phase> {
        &self.phase
    }

    fn sync(&self) {
        let (file, path, generation, end, puts) = {
            let state = self.state.lock();
            if state.failed.is_some() {
                return;
            }
            (Arc::clone(&state.file), state.path.clone(), state.generation, state.end, state.puts)
        };
        let result = file.fdatasync();
        let mut state = self.state.lock();
        match result {
            Ok(()) => {
                if state.generation == generation {
                    state.synced = state.synced.max(end);
                }
                self.durable.send_modify(|durable| durable.0 = durable.0.max(puts));
            }
            // Rewritten meanwhile: the new file holds and has synced all of it.
            Err(_) if state.generation != generation => {}
            Err(error) => self.fail(&mut state, StoreError::Disk(DiskError::new("syncing", &path, &error))),
        }
    }
}

fn file_name(generation: u64) -> String {
    format!("{generation:08}.meta")
}

fn size_of(key: &Bytes, value: Option<&Bytes>) -> u64 {
    8 + key.len() as u64 + value.map_or(0, |value| value.len() as u64)
}

/// A new file with these records, durable under its name.
fn begin(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    generation: u64,
    records: &BTreeMap<Bytes, Bytes>,
) -> Result<(PathBuf, Arc<dyn DiskFile>, u64), DiskError> {
    let path = dir.join(file_name(generation));
    let temporary = path.with_extension("tmp");
    let wrap = |doing, error| DiskError::new(doing, &temporary, &error);
    let file = disk.create_anew(&temporary).map_err(|error| wrap("creating", error))?;
    let mut head = FILE_MAGIC.to_vec();
    head.extend_from_slice(&VERSION.to_be_bytes());
    file.write_all_at(&[&head], 0).map_err(|error| wrap("writing", error))?;
    let mut end = FILE_HEAD;
    let mut some: Vec<(&Bytes, Option<&Bytes>)> = Vec::new();
    let mut bytes = 0;
    let mut left = records.len();
    for (key, value) in records {
        some.push((key, Some(value)));
        bytes += key.len() + value.len();
        left -= 1;
        if bytes >= REWRITE_FRAME_BYTES || left == 0 {
            let frame = frame(some.drain(..), end);
            file.write_all_at(&[&frame], end).map_err(|error| wrap("writing", error))?;
            end += frame.len() as u64;
            bytes = 0;
        }
    }
    file.fdatasync().map_err(|error| wrap("syncing", error))?;
    disk.rename(&temporary, &path).map_err(|error| wrap("renaming", error))?;
    disk.sync_dir(dir).map_err(|error| DiskError::new("syncing", dir, &error))?;
    Ok((path, file, end))
}

fn frame<'a>(records: impl Iterator<Item = (&'a Bytes, Option<&'a Bytes>)>, synced: u64) -> Vec<u8> {
    let mut out = FRAME_MAGIC.to_vec();
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&synced.to_be_bytes());
    for (key, value) in records {
        out.extend_from_slice(&(key.len() as u32).to_be_bytes());
        out.extend_from_slice(key);
        match value {
            None => out.extend_from_slice(&(-1i32).to_be_bytes()),
            Some(value) => {
                out.extend_from_slice(&(value.len() as u32).to_be_bytes());
                out.extend_from_slice(value);
            }
        }
    }
    let length = (out.len() - FRAME_HEAD) as u32;
    let crc = crc32c::crc32c(out.get(12..).expect("a frame has a head"));
    out.get_mut(4..8).expect("a frame has a head").copy_from_slice(&length.to_be_bytes());
    out.get_mut(8..12).expect("a frame has a head").copy_from_slice(&crc.to_be_bytes());
    out.resize(out.len().next_multiple_of(8), 0);
    out
}

/// A frame's records and its `synced`, if the bytes begin with a good one.
struct Frame {
    records: Vec<MetaPut>,
    synced: u64,
    size: usize,
}

fn parse(bytes: &[u8]) -> Option<Frame> {
    let word = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    if bytes.get(..4)? != FRAME_MAGIC {
        return None;
    }
    let length = usize::try_from(word(4)?).ok()?;
    let whole = bytes.get(..FRAME_HEAD.checked_add(length)?)?;
    if crc32c::crc32c(whole.get(12..)?) != word(8)? {
        return None;
    }
    let synced = u64::from_be_bytes(whole.get(12..20)?.try_into().ok()?);
    let mut rest = whole.get(FRAME_HEAD..)?;
    let mut records = Vec::new();
    while !rest.is_empty() {
        let key = field(&mut rest)??;
        let value = field(&mut rest)?;
        records.push((key, value));
    }
    Some(Frame { records, synced, size: whole.len().next_multiple_of(8) })
}

fn field(rest: &mut &[u8]) -> Option<Option<Bytes>> {
    let (length, tail) = rest.split_first_chunk::<4>()?;
    let length = i32::from_be_bytes(*length);
    *rest = tail;
    if length == -1 {
        return Some(None);
    }
    let (bytes, tail) = tail.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = tail;
    Some(Some(Bytes::copy_from_slice(bytes)))
}

/// The records of a file and where its good frames end: the padding of the last one may be beyond the end of the file,
/// and must be put back, since the next frame is looked for after it.
fn read(file: &dyn DiskFile, path: &Path) -> Result<(BTreeMap<Bytes, Bytes>, u64), StoreError> {
    let wrap = |error| DiskError::new("reading", path, &error);
    let length = file.len().map_err(wrap)?;
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, 0).map_err(wrap)?;
    let damaged =
        |position: usize, what| StoreError::Damaged { path: path.to_path_buf(), position: position as u64, what };
    // The head was durable before the file got its name.
    let (magic, version) = match bytes.first_chunk::<8>() {
        Some([a, b, c, d, version @ ..]) => ([*a, *b, *c, *d], u32::from_be_bytes(*version)),
        None => return Err(damaged(0, "file is too short")),
    };
    if magic != FILE_MAGIC {
        return Err(damaged(0, "not a meta file"));
    }
    if version > VERSION {
        return Err(StoreError::NewerFormat { path: path.to_path_buf(), found: version, known: VERSION });
    }
    let mut records = BTreeMap::new();
    let mut end = FILE_HEAD as usize;
    while let Some(frame) = bytes.get(end..).and_then(parse) {
        for (key, value) in frame.records {
            match value {
                Some(value) => records.insert(key, value),
                None => records.remove(&key),
            };
        }
        end += frame.size;
    }
    // Is there a later frame that knew this place to be durable?
    let mut later = end + 8;
    while later < bytes.len() {
        if let Some(frame) = bytes.get(later..).and_then(parse)
            && frame.synced > end as u64
        {
            return Err(damaged(end, "no valid frame, and this was durable before"));
        }
        later += 8;
    }
    Ok((records, end as u64))
}
