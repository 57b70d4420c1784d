//! Partitions on disk.
//!
//! ```text
//! data/
//!   lock  format  CLEAN  epoch          one process · one format · last stop was clean · leader epoch of this life
//!   meta/00000001.meta                  MetaLog: what the broker must remember, atomic puts
//!   <topic id>/<partition>/
//!     00000000000000000000.log          v2 record batches back to back, bytes as received
//!     00000000000000000000.idx          of a sealed segment: offsets, times, aborted transactions
//!     00000000000000012345.snap         producers, open transactions, leader epochs at that offset
//!     start                             log start, if records were deleted below it
//!
//!   append ──check──► producer state ──pwrite──► committer (fdatasync, shared) ──► high watermark ──► readers
//! ```
//!
//! Invariants (each is checked by the simulator):
//! 1. `log_start_offset ≤ last_stable_offset ≤ high_watermark ≤ log_end_offset`; none moves back while running.
//! 2. With [`FsyncMode::Always`] nothing unsynced is visible to anyone.
//! 3. Producer state never runs ahead of the bytes.
//! 4. Only above the recovery point may recovery cut; damage below it takes the partition offline.
//! 5. `.idx` and `.snap` can be deleted and come back the same, as far as the log still reaches.
//!
//! Start reading at [`Partition::append`], then `committer.rs`, then `recovery.rs`.

mod append;
mod committer;
mod config;
mod error;
mod inspect;
mod meta;
mod names;
mod partition;
mod producers;
mod read;
mod recovery;
mod retain;
mod segment;
mod sidecar;
mod snapshot;
mod transactions;

#[cfg(test)]
mod tests;

pub use config::{CleanupPolicy, FsyncMode, PartitionConfig, StoreOptions, TimestampType};
pub use error::{AppendError, DiskError, FetchError, Offline, StoreError};
pub use meta::{MetaLog, MetaPosition, MetaPut};
pub use partition::{
    AbortedTransaction, AppendOrigin, Appended, Fetched, Isolation, Offsets, OpenTransaction, Partition, ProducerInfo,
    TimestampOffset,
};

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use uuid::Uuid;
use weft_wire::env::{Disk, DiskLock, Env};

use committer::Committer;
use names::Names;
use partition::{Shared, State};
use segment::Segment;
use sidecar::{Reader, Writer};

/// Layout of the data directory that this program writes, and the newest it reads.
const FORMAT: u32 = 1;

const EPOCH_MAGIC: [u8; 4] = *b"WEPO";

/// Ends the name of a topic's directory that is being removed.
const DELETED: &str = ".deleted";

/// What the meta log held at the start: key and value, by key.
pub type MetaRecords = Vec<(Bytes, Bytes)>;

/// All partitions of one data directory, and the meta log beside them.
pub struct Store {
    shared: Arc<Shared>,
    meta: Arc<MetaLog>,
    partitions: RwLock<BTreeMap<(Uuid, u32), Arc<Partition>>>,
    /// Creating and deleting change names one after the other.
    names: Mutex<()>,
    was_clean: bool,
    lock: Mutex<Option<Box<dyn DiskLock>>>,
}

impl Store {
    /// Locks the directory, recovers the meta log and every partition. Creates the directory if it is not there.
    /// Answers the records of the meta log too. Blocks.
    pub fn open(env: Env, dir: &Path, options: StoreOptions) -> Result<(Arc<Self>, MetaRecords), StoreError> {
        let disk = Arc::clone(&env.disk);
        create_dir_durably(&*disk, dir)?;
        let lock_path = dir.join("lock");
        let lock = disk.lock(&lock_path).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => StoreError::InUse { path: dir.to_path_buf() },
            _ => DiskError::new("locking", &lock_path, &error).into(),
        })?;
        check_format(&*disk, dir)?;
        let (was_clean, leader_epoch) = begin_life(&*disk, dir)?;
        let committer = Committer::start(options.fsync, options.sync_threads)
            .map_err(|error| DiskError::new("starting threads for", dir, &error))?;
        let committer = Arc::new(committer);
        let meta = MetaLog::open(&disk, &dir.join("meta"), options.fsync, options.meta_compact_bytes, &committer)?;
        let shared = Arc::new(Shared {
            names: Names::new(&disk),
            env,
            dir: dir.to_path_buf(),
            options,
            committer,
            leader_epoch,
            reserve_reached: AtomicBool::new(false),
            unmeasured_bytes: AtomicU64::new(0),
        });
        shared.measure();
        let partitions = open_partitions(&shared, was_clean)?;
        let records = meta.records();
        let store = Self {
            shared,
            meta,
            partitions: RwLock::new(partitions),
            names: Mutex::new(()),
            was_clean,
            lock: Mutex::new(Some(lock)),
        };
        Ok((Arc::new(store), records))
    }

    /// The meta log; its records at the start were returned by [`Store::open`].
    pub fn meta(&self) -> &Arc<MetaLog> {
        &self.meta
    }

    /// Was the last stop clean? If not, the leader epoch was raised.
    pub fn was_clean(&self) -> bool {
        self.was_clean
    }

    /// Leader epoch of everything appended in this life of the store. Starts at 0, rises with every start that
    /// follows an unclean stop, so that clients notice a log that has become shorter (KIP-320).
    pub fn leader_epoch(&self) -> i32 {
        self.shared.leader_epoch
    }

    /// Creates a partition, or gives the one that exists, with the new settings. Syncs nothing: the partition is as
    /// durable as the first record in it that is. Whoever knows of an empty one creates it again after a start.
    pub fn create_partition(
        &self,
        topic_id: Uuid,
        partition: u32,
        config: PartitionConfig,
    ) -> Result<Arc<Partition>, StoreError> {
        let _names = self.names.lock();
        if let Some(existing) = self.partition(topic_id, partition) {
            existing.set_config(config);
            return Ok(existing);
        }
        let disk = &self.shared.env.disk;
        let topic_dir = self.shared.dir.join(topic_id.to_string());
        let dir = topic_dir.join(partition.to_string());
        disk.create_dir(&dir).map_err(|error| DiskError::new("creating", &dir, &error))?;
        let mut state = State::new(config);
        state.segments.push(Arc::new(Segment::create(disk, &dir, 0)?));
        state.names_dirty = true;
        self.shared.names.changed(&topic_dir);
        self.shared.names.changed(&self.shared.dir);
        let created = Partition::new(&self.shared, topic_id, partition, dir, state);
        self.partitions.write().insert((topic_id, partition), Arc::clone(&created));
        Ok(created)
    }

    /// A partition.
    pub fn partition(&self, topic_id: Uuid, partition: u32) -> Option<Arc<Partition>> {
        self.partitions.read().get(&(topic_id, partition)).map(Arc::clone)
    }

    /// Every topic id with its partition numbers, sorted: after a crash the broker removes what its meta does not
    /// know.
    pub fn topics(&self) -> Vec<(Uuid, Vec<u32>)> {
        let mut topics: Vec<(Uuid, Vec<u32>)> = Vec::new();
        for &(topic_id, partition) in self.partitions.read().keys() {
            match topics.last_mut() {
                Some((last, partitions)) if *last == topic_id => partitions.push(partition),
                _ => topics.push((topic_id, vec![partition])),
            }
        }
        topics
    }

    /// Takes all partitions of a topic offline (waking readers) and removes their files, durably. Fine if there are
    /// none. Blocks.
    pub fn delete_topic(&self, topic_id: Uuid) -> Result<(), StoreError> {
        let _names = self.names.lock();
        let removed: Vec<Arc<Partition>> = {
            let mut partitions = self.partitions.write();
            let keys: Vec<_> = partitions.range((topic_id, 0)..=(topic_id, u32::MAX)).map(|(&key, _)| key).collect();
            keys.iter().filter_map(|key| partitions.remove(key)).collect()
        };
        for partition in removed {
            let mut state = partition.lock();
            partition.take_offline(&mut state, Offline::Deleted);
        }
        let disk = &self.shared.env.disk;
        let dir = self.shared.dir.join(topic_id.to_string());
        if !disk.exists(&dir) {
            return Ok(());
        }
        // The new name is durable before anything inside goes, so a crash leaves all of the topic or a leftover.
        let leaving = self.shared.dir.join(format!("{topic_id}{DELETED}"));
        disk.rename(&dir, &leaving).map_err(|error| DiskError::new("renaming", &dir, &error))?;
        self.shared.names.forget(&dir);
        disk.sync_dir(&self.shared.dir).map_err(|error| DiskError::new("syncing", &self.shared.dir, &error))?;
        disk.remove_dir_all(&leaving).map_err(|error| DiskError::new("removing", &leaving, &error))?;
        Ok(())
    }

    /// Housekeeping, to be called every few seconds from a thread that may block: retention by time and size, disk
    /// reserve, expired producer state, a smaller meta file.
    pub fn housekeeping(&self) {
        let now = self.shared.env.clock.wall_ms();
        self.shared.measure();
        let partitions: Vec<_> = self.partitions.read().values().map(Arc::clone).collect();
        for partition in partitions {
            partition.expire_producers(now);
            if let Err(error) = partition.enforce_retention(now) {
                tracing::warn!(%error, topic_id = %partition.topic_id(), partition = partition.index(), "retention failed");
            }
        }
        self.meta.compact();
    }

    /// Syncs one dirty file on the calling thread (with `sync_threads: 0` nobody else does). False if there was none.
    pub fn sync_step(&self) -> bool {
        self.shared.committer.step()
    }

    /// Syncs everything, writes indexes, snapshots and the CLEAN marker, stops the threads, releases the lock.
    /// Blocks. Appends fail afterwards.
    pub fn close(&self) -> Result<(), StoreError> {
        let _names = self.names.lock();
        let Some(lock) = self.lock.lock().take() else { return Ok(()) };
        self.shared.committer.stop();
        let partitions: Vec<_> = self.partitions.read().values().map(Arc::clone).collect();
        let mut clean = true;
        for partition in partitions {
            clean &= partition.close()?;
        }
        self.meta.close()?;
        if clean {
            let dir = &self.shared.dir;
            let disk = &self.shared.env.disk;
            disk.replace(&dir.join("CLEAN"), b"").map_err(|error| DiskError::new("writing", dir, &error))?;
        }
        drop(lock);
        Ok(())
    }
}

impl Drop for Store {
    /// Without [`Store::close`] this is a crash: nothing more is synced.
    fn drop(&mut self) {
        self.shared.committer.abandon();
    }
}

/// Creates a directory and those above it; the names are durable afterwards.
fn create_dir_durably(disk: &dyn Disk, dir: &Path) -> Result<(), DiskError> {
    let missing: Vec<&Path> =
        dir.ancestors().take_while(|above| !above.as_os_str().is_empty() && !disk.exists(above)).collect();
    disk.create_dir(dir).map_err(|error| DiskError::new("creating", dir, &error))?;
    for created in missing {
        let parent = match created.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        disk.sync_dir(parent).map_err(|error| DiskError::new("syncing", parent, &error))?;
    }
    Ok(())
}

/// Refuses a directory that a newer program wrote; marks a new one.
fn check_format(disk: &dyn Disk, dir: &Path) -> Result<(), StoreError> {
    let path = dir.join("format");
    if disk.exists(&path) {
        let bytes = disk.read(&path, 64).map_err(|error| DiskError::new("reading", &path, &error))?;
        let text = String::from_utf8_lossy(&bytes);
        let found = text.strip_prefix("weft-log ").and_then(|rest| rest.trim_end().parse().ok());
        return match found {
            None => Err(StoreError::Damaged { path, position: 0, what: "does not name a format" }),
            Some(found) if found > FORMAT => Err(StoreError::NewerFormat { path, found, known: FORMAT }),
            Some(_) => Ok(()),
        };
    }
    disk.replace(&path, format!("weft-log {FORMAT}\n").as_bytes())
        .map_err(|error| DiskError::new("writing", &path, &error).into())
}

/// Takes the CLEAN marker away and decides the leader epoch, both durably, before anything else is written.
fn begin_life(disk: &dyn Disk, dir: &Path) -> Result<(bool, i32), StoreError> {
    let (clean, epoch) = (dir.join("CLEAN"), dir.join("epoch"));
    let was_clean = disk.exists(&clean);
    let before = if disk.exists(&epoch) {
        let bytes = disk.read(&epoch, 64).map_err(|error| DiskError::new("reading", &epoch, &error))?;
        let epoch_before = Reader::open(EPOCH_MAGIC, &bytes).and_then(|mut input| input.i32());
        Some(epoch_before.map_err(|unusable| unusable.at(&epoch))?)
    } else {
        None
    };
    let now = match before {
        None => 0,
        Some(before) if was_clean => before,
        Some(before) => before.saturating_add(1),
    };
    if before != Some(now) {
        let mut out = Writer::new(EPOCH_MAGIC);
        out.i32(now);
        disk.replace(&epoch, &out.seal()).map_err(|error| DiskError::new("writing", &epoch, &error))?;
    }
    if was_clean {
        disk.unlink(&clean).map_err(|error| DiskError::new("removing", &clean, &error))?;
        disk.sync_dir(dir).map_err(|error| DiskError::new("syncing", dir, &error))?;
    }
    Ok((was_clean || before.is_none(), now))
}

/// Recovers every partition directory; removes what a deletion left. After an unclean stop names may not be durable:
/// those above records are made so, since the records will be seen; the others wait for their first sync.
fn open_partitions(shared: &Arc<Shared>, was_clean: bool) -> Result<BTreeMap<(Uuid, u32), Arc<Partition>>, StoreError> {
    let disk = &shared.env.disk;
    let listing = |dir: &PathBuf| disk.list(dir).map_err(|error| DiskError::new("listing", dir, &error));
    let mut partitions = BTreeMap::new();
    let mut any_seen = false;
    if !was_clean {
        shared.names.changed(&shared.dir);
    }
    for topic in listing(&shared.dir)?.into_iter().filter(|entry| entry.is_dir) {
        let topic_dir = shared.dir.join(&topic.name);
        if topic.name.ends_with(DELETED) {
            disk.remove_dir_all(&topic_dir).map_err(|error| DiskError::new("removing", &topic_dir, &error))?;
            continue;
        }
        let Ok(topic_id) = topic.name.parse::<Uuid>() else { continue };
        let mut topic_seen = false;
        if !was_clean {
            shared.names.changed(&topic_dir);
        }
        let entries = listing(&topic_dir)?;
        if entries.is_empty() {
            // A power cut between the name of the topic and those of its partitions.
            disk.remove_dir_all(&topic_dir).map_err(|error| DiskError::new("removing", &topic_dir, &error))?;
            continue;
        }
        for partition in entries.into_iter().filter(|entry| entry.is_dir) {
            let Ok(index) = partition.name.parse::<u32>() else { continue };
            let dir = topic_dir.join(&partition.name);
            let mut state = recovery::open(disk, &dir, shared.options.index_interval_bytes)?;
            if !was_clean && state.log_end_offset > 0 {
                disk.sync_dir(&dir).map_err(|error| DiskError::new("syncing", &dir, &error))?;
                topic_seen = true;
            } else {
                state.names_dirty = !was_clean;
            }
            partitions.insert((topic_id, index), Partition::new(shared, topic_id, index, dir, state));
        }
        if topic_seen {
            shared.names.sync(&topic_dir)?;
            any_seen = true;
        }
    }
    if any_seen {
        shared.names.sync(&shared.dir)?;
    }
    Ok(partitions)
}
