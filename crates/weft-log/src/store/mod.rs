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
//! Start reading at [`Partition::append`], then [`committer`](self::committer), then `recovery.rs`.

mod config;
mod error;
mod meta;
mod partition;

pub use config::{CleanupPolicy, FsyncMode, PartitionConfig, StoreOptions, TimestampType};
pub use error::{AppendError, DiskError, FetchError, Offline, StoreError};
pub use meta::{MetaLog, MetaPosition};
pub use partition::{
    AbortedTransaction, AppendOrigin, Appended, Fetched, Isolation, Offsets, OpenTransaction, Partition,
    ProducerInfo, TimestampOffset,
};

use std::path::Path;
use std::sync::Arc;

use uuid::Uuid;
use weft_wire::env::Env;

/// All partitions of one data directory, and the meta log beside them.
pub struct Store {}

impl Store {
    /// Locks the directory, recovers every partition and the meta log. Creates the directory if it is not there.
    pub fn open(env: Env, dir: &Path, options: StoreOptions) -> Result<(Arc<Self>, Vec<(bytes::Bytes, bytes::Bytes)>), StoreError> {
        let _ = (env, dir, options);
        todo!()
    }
    /// The meta log; its records at start were returned by [`Store::open`].
    pub fn meta(&self) -> &Arc<MetaLog> { todo!() }
    /// Was the last stop clean? If not, the leader epoch was raised.
    pub fn was_clean(&self) -> bool { todo!() }
    /// Leader epoch of everything appended in this life of the store. Starts at 0.
    pub fn leader_epoch(&self) -> i32 { todo!() }
    /// Creates a partition durably (or gives the one that exists, with the new config).
    pub fn create_partition(&self, topic_id: Uuid, partition: u32, config: PartitionConfig) -> Result<Arc<Partition>, StoreError> { let _ = (topic_id, partition, config); todo!() }
    /// A partition.
    pub fn partition(&self, topic_id: Uuid, partition: u32) -> Option<Arc<Partition>> { let _ = (topic_id, partition); todo!() }
    /// Every topic id with its partition numbers, sorted: after a crash the broker removes what its meta does not know.
    pub fn topics(&self) -> Vec<(Uuid, Vec<u32>)> { todo!() }
    /// Takes all partitions of a topic offline (waking readers) and removes their files.
    pub fn delete_topic(&self, topic_id: Uuid) -> Result<(), StoreError> { let _ = topic_id; todo!() }
    /// Housekeeping, to be called every few seconds, from a thread that may block: retention by time and size, disk
    /// reserve, expiry of producer state.
    pub fn housekeeping(&self) { todo!() }
    /// One round of the committer on the calling thread (only with `sync_threads: 0`). True if there was work.
    pub fn sync_step(&self) -> bool { todo!() }
    /// Syncs everything, writes snapshots and the CLEAN marker, stops the threads. Blocks. Appends fail afterwards.
    pub fn close(&self) -> Result<(), StoreError> { todo!() }
}
