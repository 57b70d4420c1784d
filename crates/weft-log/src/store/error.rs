//! What can go wrong in the store. Foreign error types stay inside: an `io::Error` becomes [`DiskError`].

use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;
use weft_wire::batch::BatchError;

/// What the disk did to us. Cheap to clone, so every waiter gets one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiskError {
    /// ENOSPC or EDQUOT.
    #[error("no space left on the device while {doing} {path}")]
    Full {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
    },
    /// EACCES, EPERM or EROFS.
    #[error("no permission for {doing} {path}")]
    Denied {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
    },
    /// Everything else: EIO first of all.
    #[error("{doing} {path} failed: {message}")]
    Failed {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// The kind, for who wants to match.
        kind: io::ErrorKind,
        /// The system's words.
        message: String,
    },
}

impl DiskError {
    pub(crate) fn new(doing: &'static str, path: &Path, error: &io::Error) -> Self {
        let path = path.to_path_buf();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { doing, path },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::Denied { doing, path },
            kind => Self::Failed { doing, path, kind, message: error.to_string() },
        }
    }
}

/// Why the store could not open, or could not change its set of partitions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the lock file.
    #[error("data directory {path} is already in use by another process")]
    InUse {
        /// The data directory.
        path: PathBuf,
    },
    /// Written by a newer Weft.
    #[error("{path} has format {found}, this program knows formats up to {known}")]
    NewerFormat {
        /// The file that says so.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest that we read.
        known: u32,
    },
    /// Stored bytes fail their checksum or shape, below the point up to which they were known to be durable.
    #[error("{path} is damaged at byte {position}: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        position: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// No such partition.
    #[error("no partition {partition} of topic id {topic_id}")]
    NoPartition {
        /// Topic.
        topic_id: Uuid,
        /// Partition.
        partition: u32,
    },
    /// One meta put is larger than the limit.
    #[error("meta put has {size} bytes, the limit is {limit}")]
    PutTooLarge {
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// After [`Store::close`](super::Store::close).
    #[error("log is shut down")]
    Closed,
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Why a partition takes no writes (and, where marked, no reads) until the process starts anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Offline {
    /// An fsync failed. The kernel may have dropped the pages, so a retry proves nothing. Reads of what was durable
    /// before go on.
    #[error("fsync failed, so what was written last may be lost: {0}")]
    SyncFailed(DiskError),
    /// A failed write could not be cut off again. Reads go on.
    #[error("a failed write could not be undone: {0}")]
    TornWrite(DiskError),
    /// Stored bytes are damaged below the recovery point. No reads either.
    #[error("{0}")]
    Damaged(StoreError),
    /// The topic was deleted. No reads either.
    #[error("topic was deleted")]
    Deleted,
    /// The store is closed.
    #[error("log is shut down")]
    Closed,
}

impl Offline {
    /// May what is below the high watermark still be read?
    pub fn allows_reads(&self) -> bool {
        match self {
            Self::SyncFailed(_) | Self::TornWrite(_) => true,
            Self::Damaged(_) | Self::Deleted | Self::Closed => false,
        }
    }
}

/// Why an append was refused. Nothing of it is in the log, unless it is a [`AppendError::Offline`] from waiting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The batch itself is wrong.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// Larger than `max.message.bytes`.
    #[error("batch has {size} bytes, `max.message.bytes` is {limit}")]
    TooLarge {
        /// Size of the batch.
        size: u64,
        /// Limit of the topic.
        limit: u64,
    },
    /// Not the sequence that follows the last one of this producer.
    #[error("producer {producer_id} sent sequence {actual}, expected {expected}")]
    OutOfOrderSequence {
        /// Producer.
        producer_id: i64,
        /// The sequence that would follow.
        expected: i32,
        /// The sequence that came.
        actual: i32,
    },
    /// An epoch lower than one seen before: a zombie.
    #[error("producer {producer_id} is at epoch {current}, the batch says {actual}")]
    StaleProducerEpoch {
        /// Producer.
        producer_id: i64,
        /// Newest epoch seen.
        current: i16,
        /// Epoch of the batch.
        actual: i16,
    },
    /// A batch outside a transaction while this producer's transaction is open here.
    #[error("producer {producer_id} has an open transaction and sent a batch outside it")]
    NotTransactional {
        /// Producer.
        producer_id: i64,
    },
    /// The disk reserve is reached: appends stop before the disk is full, reads go on.
    #[error("disk has less than the reserve of {reserve} bytes free")]
    DiskReserve {
        /// The reserve.
        reserve: u64,
    },
    /// The write failed and was undone.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// No writes until restart.
    #[error(transparent)]
    Offline(#[from] Offline),
}

/// Why a read was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Below the log start, or above the end.
    #[error("offset {offset} is outside {log_start_offset}..={high_watermark}")]
    OffsetOutOfRange {
        /// Asked for.
        offset: i64,
        /// First offset there is.
        log_start_offset: i64,
        /// First offset a reader may not see.
        high_watermark: i64,
    },
    /// Stored bytes are not a batch where one must be.
    #[error("{path} is damaged at byte {position}")]
    Damaged {
        /// Segment.
        path: PathBuf,
        /// Where.
        position: u64,
    },
    /// The read failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Not readable until restart.
    #[error(transparent)]
    Offline(#[from] Offline),
}
