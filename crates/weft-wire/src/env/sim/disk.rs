//! The disk in memory, what breaks it, and what a power cut leaves.

mod calls;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::rng::SimRng;

/// Unit in which a disk writes atomically.
pub const SECTOR_BYTES: u64 = 512;

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

    /// Free space as [`Disk::free_space`](crate::env::Disk::free_space) tells it.
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
