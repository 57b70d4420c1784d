//! One partition.

use std::future::Future;

use bytes::Bytes;
use tokio::sync::watch;
use uuid::Uuid;

use super::{AppendError, FetchError, Offline, PartitionConfig, StoreError};

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

/// One partition: an append-only sequence of record batches.
pub struct Partition {}

impl Partition {
    /// Topic id.
    pub fn topic_id(&self) -> Uuid { todo!() }
    /// Partition number.
    pub fn index(&self) -> u32 { todo!() }
    /// Current settings.
    pub fn config(&self) -> PartitionConfig { todo!() }
    /// New settings, from the next append on.
    pub fn set_config(&self, config: PartitionConfig) { let _ = config; todo!() }
    /// The four lines now.
    pub fn offsets(&self) -> Offsets { todo!() }
    /// Changes when any of the four lines moves or the partition goes offline. For long polls: subscribe, then check, then wait.
    pub fn changed(&self) -> watch::Receiver<Offsets> { todo!() }
    /// Bytes on disk.
    pub fn size_bytes(&self) -> u64 { todo!() }
    /// Appends exactly one v2 batch. Written when this returns, durable when [`Partition::wait_durable`] is done.
    pub fn append(&self, batch: &Bytes, origin: AppendOrigin) -> Result<Appended, AppendError> { let _ = (batch, origin); todo!() }
    /// Done when the record at `offset` may be acknowledged and is visible.
    pub fn wait_durable(&self, offset: i64) -> impl Future<Output = Result<(), AppendError>> + Send + 'static { let _ = offset; async { todo!() } }
    /// Writes the commit or abort marker of a producer's transaction. Takes one offset even if none is open here.
    pub fn end_transaction(&self, producer_id: i64, producer_epoch: i16, coordinator_epoch: i32, commit: bool) -> Result<Appended, AppendError> { let _ = (producer_id, producer_epoch, coordinator_epoch, commit); todo!() }
    /// Whole batches from the one that holds `from`. At least one batch, even above `max_bytes`, if there is any.
    /// `from` may equal the end (empty answer).
    pub fn fetch(&self, from: i64, max_bytes: usize, isolation: Isolation) -> Result<Fetched, FetchError> { let _ = (from, max_bytes, isolation); todo!() }
    /// First record whose timestamp is at least `timestamp`, below the line of the isolation.
    pub fn offset_for_timestamp(&self, timestamp: i64, isolation: Isolation) -> Result<Option<TimestampOffset>, FetchError> { let _ = (timestamp, isolation); todo!() }
    /// The record with the greatest timestamp (ListOffsets −3).
    pub fn offset_of_max_timestamp(&self) -> Result<Option<TimestampOffset>, FetchError> { todo!() }
    /// Bytes from `offset` to the line of the isolation, at most `limit`, without reading them (for `min.bytes`). Approximate upward by less than one batch.
    pub fn available_bytes(&self, offset: i64, isolation: Isolation) -> u64 { let _ = (offset, isolation); todo!() }
    /// Moves the log start (−1 = high watermark) durably and drops segments below it. Answers the new log start.
    pub fn delete_records(&self, to: i64) -> Result<i64, FetchError> { let _ = to; todo!() }
    /// OffsetForLeaderEpoch: the largest epoch ≤ the asked one, and the offset at which it ended. `None` if unknown.
    pub fn epoch_end_offset(&self, leader_epoch: i32) -> Option<(i32, i64)> { let _ = leader_epoch; todo!() }
    /// Leader epoch of the next append.
    pub fn leader_epoch(&self) -> i32 { todo!() }
    /// Producers with state here.
    pub fn producers(&self) -> Vec<ProducerInfo> { todo!() }
    /// One producer's state here.
    pub fn producer(&self, producer_id: i64) -> Option<ProducerInfo> { let _ = producer_id; todo!() }
    /// Transactions without a marker.
    pub fn open_transactions(&self) -> Vec<OpenTransaction> { todo!() }
    /// Recovery failed for this partition: why.
    pub fn damage(&self) -> Option<StoreError> { todo!() }
}
