//! A simulated world: a clock that stands still until it is moved, seeded randomness, and a disk that can lose power.
//!
//! Power-cut model of [`SimDisk`]. A file has *synced* bytes and what was done to it since. At a cut
//! - of the bytes written since, every 512-byte sector is kept or lost on its own, so a batch can be torn anywhere;
//! - the size becomes the synced one, the newest one, or anything between (what was lost reads as zeros);
//! - of the names created, renamed and removed in a directory since it was synced, each is kept or lost on its own.
//!
//! Everything is decided by the seed, so a run can be repeated. Errors can be injected too, and the power can go at a
//! given operation, in the middle of whatever the program does ([`SimDisk::cut_power_after`]).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::{Clock, DirEntry, Disk, DiskFile, DiskLock, Env, Moment, OpenMode, Rng, Sleep};

/// Unit in which a disk writes atomically.
pub const SECTOR_BYTES: u64 = 512;

/// Seeded randomness (SplitMix64). The same seed gives the same numbers, for ever.
#[derive(Debug)]
pub struct SimRng(Mutex<u64>);

impl SimRng {
    /// Starts from a seed.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    /// A number below `bound` (0 if the bound is 0).
    pub fn below(&self, bound: u64) -> u64 {
        self.next_u64().checked_rem(bound).unwrap_or(0)
    }

    /// True once in `n` times.
    pub fn one_in(&self, n: u64) -> bool {
        self.below(n) == 0
    }
}

impl Rng for SimRng {
    fn next_u64(&self) -> u64 {
        let mut state = self.0.lock();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// A clock that moves only by [`SimClock::advance`].
#[derive(Debug)]
pub struct SimClock {
    now: watch::Sender<Duration>,
    start_wall_ms: i64,
}

impl SimClock {
    /// Stands at this wall-clock time.
    pub fn new(start_wall_ms: i64) -> Self {
        Self { now: watch::channel(Duration::ZERO).0, start_wall_ms }
    }

    /// Moves on and wakes who sleeps until then.
    pub fn advance(&self, by: Duration) {
        self.now.send_modify(|now| *now += by);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Moment {
        Moment::default() + *self.now.borrow()
    }

    fn wall_ms(&self) -> i64 {
        let passed = i64::try_from(self.now.borrow().as_millis()).unwrap_or(i64::MAX);
        self.start_wall_ms.saturating_add(passed)
    }

    fn sleep_until(&self, deadline: Moment) -> Sleep {
        let mut now = self.now.subscribe();
        Box::pin(async move {
            if now.wait_for(|now| Moment::default() + *now >= deadline).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}

/// An operation into which an error can be injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Opening or creating.
    Open,
    /// Reading.
    Read,
    /// Writing; a part of the bytes is written before the error.
    Write,
    /// Making content durable.
    Sync,
    /// Making names durable.
    SyncDir,
    /// Renaming.
    Rename,
    /// Removing.
    Unlink,
    /// Cutting.
    Truncate,
}

#[derive(Debug, Clone)]
struct Fault {
    operation: Operation,
    path_contains: String,
    kind: io::ErrorKind,
    /// Matching operations to let through first.
    after: u32,
    /// How often it strikes.
    times: u32,
}

type FileId = u64;

#[derive(Debug, Clone, Default)]
struct Content {
    now: Vec<u8>,
    synced: Vec<u8>,
    /// Sectors written since the last sync.
    dirty: BTreeSet<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Dir,
    File(FileId),
}

#[derive(Debug, Default)]
struct Files {
    content: BTreeMap<FileId, Content>,
    names: BTreeMap<PathBuf, Node>,
    synced_names: BTreeMap<PathBuf, Node>,
    next_id: FileId,
    locks: BTreeSet<PathBuf>,
    faults: Vec<Fault>,
    free: u64,
    /// A cut makes files opened before it fail.
    life: u64,
    /// Test-only bug: `fdatasync` and `sync_dir` do nothing.
    ignore_sync: bool,
    operations: u64,
    /// From this operation on there is no power.
    dies_at: Option<u64>,
}

/// A disk in memory. Clones share it.
#[derive(Clone)]
pub struct SimDisk {
    files: Arc<Mutex<Files>>,
    rng: Arc<SimRng>,
}

/// A simulated world, with handles to move and break it.
pub struct SimWorld {
    /// What the code under test gets.
    pub env: Env,
    /// Its clock.
    pub clock: Arc<SimClock>,
    /// Its disk.
    pub disk: SimDisk,
    /// Its randomness, also for the test itself.
    pub rng: Arc<SimRng>,
}

impl SimWorld {
    /// Everything from one seed.
    pub fn new(seed: u64) -> Self {
        let rng = Arc::new(SimRng::new(seed));
        let clock = Arc::new(SimClock::new(1_700_000_000_000));
        // The disk draws from its own stream, so that looking at it does not change the workload.
        let disk = SimDisk::new(rng.next_u64());
        let env = Env { clock: Arc::clone(&clock) as _, disk: Arc::new(disk.clone()), rng: Arc::clone(&rng) as _ };
        Self { env, clock, disk, rng }
    }
}

fn normal(path: &Path) -> PathBuf {
    path.components().filter(|part| !matches!(part, Component::CurDir)).collect()
}

impl SimDisk {
    /// An empty disk with 1 TiB free.
    pub fn new(seed: u64) -> Self {
        let files = Files { free: 1 << 40, ..Files::default() };
        Self { files: Arc::new(Mutex::new(files)), rng: Arc::new(SimRng::new(seed)) }
    }

    /// The next matching operation after `after` others fails, `times` times (`u32::MAX`: from then on).
    pub fn inject(&self, operation: Operation, path_contains: &str, kind: io::ErrorKind, after: u32, times: u32) {
        let path_contains = path_contains.to_owned();
        self.files.lock().faults.push(Fault { operation, path_contains, kind, after, times });
    }

    /// No more injected errors.
    pub fn heal(&self) {
        self.files.lock().faults.clear();
    }

    /// Free space as [`Disk::free_space`] tells it.
    pub fn set_free_space(&self, bytes: u64) {
        self.files.lock().free = bytes;
    }

    /// A disk that lies: syncs succeed and do nothing. For tests of the tests.
    pub fn ignore_sync(&self, ignore: bool) {
        self.files.lock().ignore_sync = ignore;
    }

    /// Operations so far.
    pub fn operations(&self) -> u64 {
        self.files.lock().operations
    }

    /// The power goes after so many operations from now: every later one fails and does nothing, until
    /// [`SimDisk::cut_power`] says what remains.
    pub fn cut_power_after(&self, operations: u64) {
        let mut files = self.files.lock();
        files.dies_at = Some(files.operations.saturating_add(operations));
    }

    /// Has the power gone, as [`SimDisk::cut_power_after`] asked for?
    pub fn is_off(&self) -> bool {
        self.files.lock().power().is_err()
    }

    /// Bytes of a file as they are now, for tests that look or damage.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let files = self.files.lock();
        match files.names.get(&normal(path))? {
            Node::File(id) => files.content.get(id).map(|content| content.now.clone()),
            Node::Dir => None,
        }
    }

    /// Replaces a file's bytes, durably, behind everyone's back.
    pub fn set_contents(&self, path: &Path, bytes: &[u8]) {
        let mut files = self.files.lock();
        if let Some(Node::File(id)) = files.names.get(&normal(path)).cloned()
            && let Some(content) = files.content.get_mut(&id)
        {
            *content = Content { now: bytes.to_vec(), synced: bytes.to_vec(), dirty: BTreeSet::new() };
        }
    }

    /// All files, in order.
    pub fn paths(&self) -> Vec<PathBuf> {
        let files = self.files.lock();
        files.names.iter().filter(|(_, node)| **node != Node::Dir).map(|(path, _)| path.clone()).collect()
    }

    /// The process dies, the machine lives: nothing is lost, handles and locks are gone.
    pub fn kill(&self) {
        let mut files = self.files.lock();
        files.dies_at = None;
        files.life += 1;
        files.locks.clear();
    }

    /// The power fails: see the model above. What remains counts as synced.
    pub fn cut_power(&self) {
        let mut files = self.files.lock();
        files.dies_at = None;
        files.life += 1;
        files.locks.clear();
        let names = self.surviving_names(&files);
        for content in files.content.values_mut() {
            self.tear(content);
        }
        files.names = names.clone();
        files.synced_names = names;
        let alive: BTreeSet<FileId> =
            files.names.values().filter_map(|node| if let Node::File(id) = node { Some(*id) } else { None }).collect();
        files.content.retain(|id, _| alive.contains(id));
    }

    /// Every name that changed since its directory was synced is kept or lost on its own. A child of a lost
    /// directory is lost too.
    fn surviving_names(&self, files: &Files) -> BTreeMap<PathBuf, Node> {
        let changed: BTreeSet<&PathBuf> = files
            .names
            .keys()
            .chain(files.synced_names.keys())
            .filter(|path| files.names.get(*path) != files.synced_names.get(*path))
            .collect();
        let mut names = files.synced_names.clone();
        for path in changed {
            if !self.rng.one_in(2) {
                continue;
            }
            match files.names.get(path) {
                Some(node) => names.insert(path.clone(), node.clone()),
                None => names.remove(path),
            };
        }
        let orphans: Vec<PathBuf> = names
            .keys()
            .filter(|path| {
                path.ancestors().skip(1).any(|above| !is_root(above) && names.get(above) != Some(&Node::Dir))
            })
            .cloned()
            .collect();
        for orphan in orphans {
            names.remove(&orphan);
        }
        names
    }

    fn tear(&self, content: &mut Content) {
        let (old, new) = (content.synced.len(), content.now.len());
        if content.dirty.is_empty() && old == new {
            return;
        }
        let length = match self.rng.below(3) {
            0 => old,
            1 => new,
            _ => {
                let (low, high) = (old.min(new), old.max(new));
                low + usize::try_from(self.rng.below((high - low) as u64 + 1)).unwrap_or(0)
            }
        };
        let mut after = content.synced.clone();
        after.resize(length, 0);
        for &sector in &content.dirty {
            if !self.rng.one_in(2) {
                continue;
            }
            let from = usize::try_from(sector * SECTOR_BYTES).unwrap_or(usize::MAX);
            let to = from.saturating_add(SECTOR_BYTES as usize).min(length).min(new);
            if let (Some(place), Some(written)) = (after.get_mut(from..to), content.now.get(from..to)) {
                place.copy_from_slice(written);
            }
        }
        *content = Content { now: after.clone(), synced: after, dirty: BTreeSet::new() };
    }
}

fn is_root(path: &Path) -> bool {
    path.as_os_str().is_empty() || path.parent().is_none()
}

impl Files {
    fn power(&self) -> io::Result<()> {
        match self.dies_at {
            Some(at) if self.operations >= at => Err(io::Error::other("the power is gone")),
            _ => Ok(()),
        }
    }

    fn check(&mut self, operation: Operation, path: &Path) -> io::Result<()> {
        self.power()?;
        self.operations += 1;
        let text = path.to_string_lossy();
        for fault in &mut self.faults {
            if fault.operation != operation || fault.times == 0 || !text.contains(&fault.path_contains) {
                continue;
            }
            if fault.after > 0 {
                fault.after -= 1;
                continue;
            }
            if fault.times != u32::MAX {
                fault.times -= 1;
            }
            return Err(io::Error::new(fault.kind, "injected"));
        }
        Ok(())
    }

    fn file(&self, path: &Path) -> io::Result<FileId> {
        match self.names.get(path) {
            Some(Node::File(id)) => Ok(*id),
            Some(Node::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn parent_exists(&self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(parent) if !is_root(parent) && self.names.get(parent) != Some(&Node::Dir) => {
                Err(io::ErrorKind::NotFound.into())
            }
            _ => Ok(()),
        }
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let path = normal(path);
        let mut files = self.files.lock();
        files.check(Operation::Open, &path)?;
        let id = match (files.file(&path), mode) {
            (Ok(id), OpenMode::Read | OpenMode::ReadWrite) => id,
            (Ok(_), OpenMode::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Ok(id), OpenMode::Truncate) => {
                if let Some(content) = files.content.get_mut(&id) {
                    content.now.clear();
                }
                id
            }
            (Err(error), OpenMode::CreateNew | OpenMode::Truncate) if error.kind() == io::ErrorKind::NotFound => {
                files.parent_exists(&path)?;
                files.next_id += 1;
                let id = files.next_id;
                files.content.insert(id, Content::default());
                files.names.insert(path.clone(), Node::File(id));
                id
            }
            (Err(error), _) => return Err(error),
        };
        let life = files.life;
        Ok(Arc::new(SimFile { files: Arc::clone(&self.files), id, path, life }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (normal(from), normal(to));
        let mut files = self.files.lock();
        files.check(Operation::Rename, &to)?;
        let node = files.names.get(&from).cloned().ok_or(io::ErrorKind::NotFound)?;
        files.parent_exists(&to)?;
        if node == Node::Dir {
            // A rename of a directory is one change of a name; what lies below moves with it, durable or not.
            let below: Vec<PathBuf> = files.names.keys().filter(|path| path.starts_with(&from)).cloned().collect();
            for path in below {
                let moved = to.join(path.strip_prefix(&from).unwrap_or(&path));
                if let Some(node) = files.names.remove(&path) {
                    files.names.insert(normal(&moved), node);
                }
            }
        } else {
            files.names.remove(&from);
            files.names.insert(to, node);
        }
        Ok(())
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        let path = normal(path);
        let mut files = self.files.lock();
        files.check(Operation::Unlink, &path)?;
        files.file(&path)?;
        files.names.remove(&path);
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let path = normal(path);
        let mut files = self.files.lock();
        files.power()?;
        let missing: Vec<PathBuf> = path.ancestors().filter(|above| !is_root(above)).map(Path::to_path_buf).collect();
        for above in missing.into_iter().rev() {
            files.names.entry(above).or_insert(Node::Dir);
        }
        Ok(())
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let path = normal(path);
        let mut files = self.files.lock();
        files.check(Operation::Unlink, &path)?;
        files.names.retain(|name, _| !name.starts_with(&path));
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let path = normal(path);
        let mut files = self.files.lock();
        files.check(Operation::SyncDir, &path)?;
        if files.ignore_sync {
            return Ok(());
        }
        let Files { names, synced_names, .. } = &mut *files;
        if names.get(&path) != Some(&Node::Dir) && !is_root(&path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = |name: &PathBuf| name.parent() == Some(&path);
        let gone: Vec<PathBuf> =
            synced_names.keys().filter(|name| inside(name) && !names.contains_key(*name)).cloned().collect();
        for name in gone {
            // With a directory goes what was below it.
            synced_names.retain(|synced, _| !synced.starts_with(&name));
        }
        for (name, node) in names.iter().filter(|(name, _)| inside(name)) {
            let before = synced_names.insert(name.clone(), node.clone());
            // A directory that was moved here brings what it durably held: the model keeps all of it.
            if *node == Node::Dir && before.is_none() {
                let below: Vec<_> =
                    names.iter().filter(|(below, _)| below.starts_with(name) && *below != name).collect();
                for (below, node) in below {
                    synced_names.entry(below.clone()).or_insert_with(|| node.clone());
                }
            }
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let path = normal(path);
        let files = self.files.lock();
        if files.names.get(&path) != Some(&Node::Dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut entries = Vec::new();
        for (name, node) in &files.names {
            if name.parent() == Some(&path)
                && let Some(last) = name.file_name()
            {
                entries.push(DirEntry { name: last.to_string_lossy().into_owned(), is_dir: *node == Node::Dir });
            }
        }
        entries.sort();
        Ok(entries)
    }

    fn exists(&self, path: &Path) -> bool {
        self.files.lock().names.contains_key(&normal(path))
    }

    fn free_space(&self, _path: &Path) -> io::Result<u64> {
        Ok(self.files.lock().free)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        let path = normal(path);
        let mut files = self.files.lock();
        if !files.locks.insert(path.clone()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let life = files.life;
        Ok(Box::new(SimLock { files: Arc::clone(&self.files), path, life }))
    }
}

struct SimLock {
    files: Arc<Mutex<Files>>,
    path: PathBuf,
    life: u64,
}

impl DiskLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut files = self.files.lock();
        if files.life == self.life {
            files.locks.remove(&self.path);
        }
    }
}

struct SimFile {
    files: Arc<Mutex<Files>>,
    id: FileId,
    path: PathBuf,
    life: u64,
}

impl SimFile {
    fn with<T>(
        &self,
        operation: Operation,
        act: impl FnOnce(&mut Content, io::Result<()>, bool) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut files = self.files.lock();
        if files.life != self.life {
            return Err(io::Error::other("the process that opened this file is dead"));
        }
        files.power()?;
        let fault = files.check(operation, &self.path);
        let ignore_sync = files.ignore_sync;
        let content = files.content.entry(self.id).or_default();
        act(content, fault, ignore_sync)
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        self.with(Operation::Read, |content, fault, _| {
            fault?;
            let from = usize::try_from(position).unwrap_or(usize::MAX);
            let available = content.now.get(from..).unwrap_or_default();
            let n = available.len().min(buf.len());
            if let (Some(to), Some(from)) = (buf.get_mut(..n), available.get(..n)) {
                to.copy_from_slice(from);
            }
            Ok(n)
        })
    }

    fn write_all_at(&self, parts: &[&[u8]], position: u64) -> io::Result<()> {
        self.with(Operation::Write, |content, fault, _| {
            let mut bytes: Vec<u8> = parts.concat();
            if fault.is_err() {
                bytes.truncate(bytes.len() / 2);
            }
            if !bytes.is_empty() {
                let from = usize::try_from(position).unwrap_or(usize::MAX);
                let to = from + bytes.len();
                if content.now.len() < to {
                    content.now.resize(to, 0);
                }
                if let Some(place) = content.now.get_mut(from..to) {
                    place.copy_from_slice(&bytes);
                }
                content.dirty.extend(position / SECTOR_BYTES..=(to as u64 - 1) / SECTOR_BYTES);
            }
            fault
        })
    }

    fn fdatasync(&self) -> io::Result<()> {
        self.with(Operation::Sync, |content, fault, ignore| {
            if fault.is_err() {
                // As kernels do: the pages are dropped from the list of what is to be written, the data stays readable.
                content.dirty.clear();
                return fault;
            }
            if !ignore {
                content.synced.clone_from(&content.now);
                content.dirty.clear();
            }
            Ok(())
        })
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.with(Operation::Truncate, |content, fault, _| {
            fault?;
            content.now.resize(usize::try_from(length).unwrap_or(usize::MAX), 0);
            Ok(())
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.with(Operation::Read, |content, fault, _| fault.map(|()| content.now.len() as u64))
    }
}
