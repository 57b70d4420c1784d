//! One partition: what it consists of. What it does stands in `append.rs`, `read.rs`, `retain.rs`, `recovery.rs`.

use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;
use uuid::Uuid;
use weft_wire::env::Env;

use super::committer::{Committer, Phase};
use super::names::Names;
use super::producers::Producers;
use super::segment::Segment;
use super::snapshot::Snapshot;
use super::transactions::Transactions;
use super::{AppendError, FsyncMode, Offline, PartitionConfig, StoreError, StoreOptions};

/// Who sends a batch, hence how much is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendOrigin {
    /// Anyone on the network: header, CRC and every record are checked.
    Client,
    /// A writer that built the batch itself: header and CRC only.
    Trusted,
}

/// The four lines of a partition, and whether it is offline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offsets {
    /// First offset there is.
    pub log_start_offset: i64,
    /// First offset a `read_committed` reader may not pass.
    pub last_stable_offset: i64,
    /// First offset no reader may pass.
    pub high_watermark: i64,
    /// Offset of the next record.
    pub log_end_offset: i64,
    /// Set when the partition takes no more writes.
    pub offline: Option<Offline>,
}

/// What an append did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Offset of its first record (of the original, if it is a duplicate).
    pub base_offset: i64,
    /// Offset of its last record: wait for this one to be durable before answering.
    pub last_offset: i64,
    /// Set on topics with LogAppendTime, else −1 as the protocol wants it.
    pub log_append_time: i64,
    /// First offset there is.
    pub log_start_offset: i64,
    /// The producer sent this batch before; nothing was written.
    pub duplicate: bool,
}

/// What a reader may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Up to the high watermark.
    ReadUncommitted,
    /// Up to the last stable offset, with the list of aborted transactions.
    ReadCommitted,
}

/// An aborted transaction that overlaps what was fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Producer.
    pub producer_id: i64,
    /// Its first record in this partition.
    pub first_offset: i64,
}

/// A range of the log, as sent.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Whole batches; empty when there is nothing to read yet.
    pub records: Bytes,
    /// At the time of reading.
    pub high_watermark: i64,
    /// At the time of reading.
    pub last_stable_offset: i64,
    /// At the time of reading.
    pub log_start_offset: i64,
    /// Only for [`Isolation::ReadCommitted`], by first offset.
    pub aborted: Vec<AbortedTransaction>,
}

/// A record found by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampOffset {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp.
    pub timestamp: i64,
    /// Leader epoch it was written in.
    pub leader_epoch: i32,
}

/// What the partition knows of one producer (DescribeProducers, recovery of transactions).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerInfo {
    /// Producer.
    pub producer_id: i64,
    /// Newest epoch seen.
    pub producer_epoch: i16,
    /// Last sequence, −1 if none.
    pub last_sequence: i32,
    /// When it last wrote, by record or marker time.
    pub last_timestamp: i64,
    /// Coordinator epoch of its last marker, −1 if none.
    pub coordinator_epoch: i32,
    /// First offset of its open transaction here.
    pub transaction_start_offset: Option<i64>,
}

/// A transaction without a marker yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenTransaction {
    /// Producer.
    pub producer_id: i64,
    /// Epoch it writes with.
    pub producer_epoch: i16,
    /// First offset.
    pub first_offset: i64,
}

/// What all partitions of a store share.
pub(super) struct Shared {
    pub(super) env: Env,
    pub(super) dir: PathBuf,
    pub(super) options: StoreOptions,
    pub(super) committer: Arc<Committer>,
    pub(super) names: Names,
    pub(super) leader_epoch: i32,
    /// Less than the reserve is free.
    pub(super) reserve_reached: AtomicBool,
    /// Bytes appended since free space was looked at.
    pub(super) unmeasured_bytes: AtomicU64,
}

/// Free space is looked at again after so many bytes.
const MEASURE_EVERY_BYTES: u64 = 16 << 20;

impl Shared {
    /// Counts appended bytes and now and then compares free space with the reserve.
    pub(super) fn count_bytes(&self, bytes: u64) {
        if self.unmeasured_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes >= MEASURE_EVERY_BYTES {
            self.measure();
        }
    }

    pub(super) fn measure(&self) {
        self.unmeasured_bytes.store(0, Ordering::Relaxed);
        match self.env.disk.free_space(&self.dir) {
            Ok(free) => {
                let reached = free < self.options.disk_reserve_bytes;
                if reached != self.reserve_reached.swap(reached, Ordering::Relaxed) {
                    let reserve = self.options.disk_reserve_bytes;
                    if reached {
                        tracing::warn!(free, reserve, "disk reserve reached, appends are refused");
                    } else {
                        tracing::info!(free, reserve, "disk has space again, appends go on");
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "could not measure free space"),
        }
    }

    /// Is what is written visible at once?
    pub(super) fn visible_when_written(&self) -> bool {
        self.options.fsync != FsyncMode::Always
    }
}

/// A segment that is full: to be synced, then indexed.
pub(super) struct Sealing {
    pub(super) segment: Arc<Segment>,
    pub(super) snapshot: Snapshot,
}

/// Everything that changes, under one lock.
pub(super) struct State {
    pub(super) config: Arc<PartitionConfig>,
    /// Ascending; the last one is active. Empty only if the partition is damaged.
    pub(super) segments: Vec<Arc<Segment>>,
    pub(super) log_start_offset: i64,
    pub(super) log_end_offset: i64,
    pub(super) high_watermark: i64,
    pub(super) producers: Producers,
    pub(super) transactions: Transactions,
    /// (leader epoch, first offset), ascending.
    pub(super) epochs: Vec<(i32, i64)>,
    /// Wall clock at the first append to the active segment.
    pub(super) active_since_ms: Option<i64>,
    pub(super) sealing: Vec<Sealing>,
    /// Bytes of the active segment below the newest snapshot.
    pub(super) snapshot_bytes: u64,
    /// Newest durable snapshot; segments that end above it stay, for nothing else says what was in them.
    pub(super) snapshot_offset: i64,
    /// A file was created and its name is not durable yet.
    pub(super) names_dirty: bool,
    pub(super) offline: Option<Offline>,
}

impl State {
    pub(super) fn new(config: PartitionConfig) -> Self {
        Self {
            config: Arc::new(config),
            segments: Vec::new(),
            log_start_offset: 0,
            log_end_offset: 0,
            high_watermark: 0,
            producers: Producers::default(),
            transactions: Transactions::default(),
            epochs: Vec::new(),
            active_since_ms: None,
            sealing: Vec::new(),
            snapshot_bytes: 0,
            snapshot_offset: 0,
            names_dirty: false,
            offline: None,
        }
    }

    /// First offset a `read_committed` reader may not pass. Source: KIP-98.
    pub(super) fn last_stable_offset(&self) -> i64 {
        let undecided = self.transactions.first_undecided().unwrap_or(i64::MAX);
        // A transaction may begin below a log start that was moved.
        undecided.min(self.high_watermark).max(self.log_start_offset)
    }

    pub(super) fn line(&self, isolation: Isolation) -> i64 {
        match isolation {
            Isolation::ReadUncommitted => self.high_watermark,
            Isolation::ReadCommitted => self.last_stable_offset(),
        }
    }

    pub(super) fn offsets(&self) -> Offsets {
        let offsets = Offsets {
            log_start_offset: self.log_start_offset,
            last_stable_offset: self.last_stable_offset(),
            high_watermark: self.high_watermark,
            log_end_offset: self.log_end_offset,
            offline: self.offline.clone(),
        };
        assert!(offsets.log_start_offset <= offsets.last_stable_offset);
        assert!(offsets.last_stable_offset <= offsets.high_watermark);
        assert!(offsets.high_watermark <= offsets.log_end_offset);
        offsets
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let active_base = self.segments.last().map_or(0, |segment| segment.base_offset);
        Snapshot {
            offset: self.log_end_offset,
            producers: self.producers.clone(),
            epochs: self.epochs.clone(),
            aborted: self.transactions.aborted_in(active_base, self.log_end_offset),
        }
    }
}

/// One partition: an append-only sequence of record batches.
pub struct Partition {
    pub(super) topic_id: Uuid,
    pub(super) index: u32,
    pub(super) dir: PathBuf,
    pub(super) shared: Arc<Shared>,
    state: Mutex<State>,
    /// One at a time moves the log start on the disk.
    pub(super) start_lock: Mutex<()>,
    pub(super) phase: Mutex<Phase>,
    changed: watch::Sender<Offsets>,
    pub(super) me: Weak<Self>,
}

impl Partition {
    pub(super) fn new(shared: &Arc<Shared>, topic_id: Uuid, index: u32, dir: PathBuf, state: State) -> Arc<Self> {
        let (changed, _) = watch::channel(state.offsets());
        Arc::new_cyclic(|me| Self {
            topic_id,
            index,
            dir,
            shared: Arc::clone(shared),
            state: Mutex::new(state),
            start_lock: Mutex::new(()),
            phase: Mutex::new(Phase::Idle),
            changed,
            me: Weak::clone(me),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Tells who waits, if a line moved.
    pub(super) fn publish(&self, state: &State) {
        let now = state.offsets();
        self.changed.send_if_modified(|before| {
            if *before == now {
                return false;
            }
            assert!(before.log_start_offset <= now.log_start_offset, "log start moved back");
            assert!(before.last_stable_offset <= now.last_stable_offset, "last stable offset moved back");
            assert!(before.high_watermark <= now.high_watermark, "high watermark moved back");
            // Nobody waits for the end alone: what is written becomes visible by the other lines.
            let woken = (before.log_start_offset, before.last_stable_offset, before.high_watermark)
                != (now.log_start_offset, now.last_stable_offset, now.high_watermark)
                || before.offline != now.offline;
            *before = now;
            woken
        });
    }

    /// No more writes. The first reason stays.
    pub(super) fn take_offline(&self, state: &mut State, reason: Offline) {
        if state.offline.is_some() {
            return;
        }
        match &reason {
            Offline::Closed | Offline::Deleted => {}
            reason => {
                tracing::error!(topic_id = %self.topic_id, partition = self.index, %reason, "partition is offline");
            }
        }
        state.offline = Some(reason);
        self.publish(state);
    }

    /// Topic id.
    pub fn topic_id(&self) -> Uuid {
        self.topic_id
    }

    /// Partition number.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Current settings.
    pub fn config(&self) -> PartitionConfig {
        (*self.lock().config).clone()
    }

    /// New settings, from the next append on.
    pub fn set_config(&self, config: PartitionConfig) {
        self.lock().config = Arc::new(config);
    }

    /// The four lines now.
    pub fn offsets(&self) -> Offsets {
        self.lock().offsets()
    }

    /// Changes when the log start, the last stable offset or the high watermark moves, or the partition goes
    /// offline. For long polls: subscribe, then check, then wait.
    pub fn changed(&self) -> watch::Receiver<Offsets> {
        self.changed.subscribe()
    }

    /// Bytes of the log on disk.
    pub fn size_bytes(&self) -> u64 {
        self.lock().segments.iter().map(|segment| segment.size()).sum()
    }

    /// Done when the record at `offset` may be acknowledged and is visible.
    pub fn wait_durable(&self, offset: i64) -> impl Future<Output = Result<(), AppendError>> + Send + 'static + use<> {
        let mut changed = self.changed.subscribe();
        async move {
            let seen = changed
                .wait_for(|offsets| offsets.high_watermark > offset || offsets.offline.is_some())
                .await
                .map_err(|_| Offline::Closed)?;
            match &seen.offline {
                Some(reason) if seen.high_watermark <= offset => Err(AppendError::Offline(reason.clone())),
                _ => Ok(()),
            }
        }
    }

    /// Leader epoch of the next append.
    pub fn leader_epoch(&self) -> i32 {
        self.shared.leader_epoch
    }

    /// Producers with state here.
    pub fn producers(&self) -> Vec<ProducerInfo> {
        self.lock().producers.iter().collect()
    }

    /// One producer's state here.
    pub fn producer(&self, producer_id: i64) -> Option<ProducerInfo> {
        self.lock().producers.info(producer_id)
    }

    /// Transactions without a marker.
    pub fn open_transactions(&self) -> Vec<OpenTransaction> {
        let state = self.lock();
        let open = |(first_offset, producer_id)| OpenTransaction {
            producer_id,
            producer_epoch: state.producers.info(producer_id).map_or(-1, |info| info.producer_epoch),
            first_offset,
        };
        state.transactions.open().map(open).collect()
    }

    /// Why recovery refused this partition.
    pub fn damage(&self) -> Option<StoreError> {
        match &self.lock().offline {
            Some(Offline::Damaged(error)) => Some(error.clone()),
            _ => None,
        }
    }
}
