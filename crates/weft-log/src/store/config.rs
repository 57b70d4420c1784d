//! What can be set, per store and per partition.

use std::time::Duration;

/// When an append counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FsyncMode {
    /// After `fdatasync`. Nothing acknowledged or seen is lost by a power cut.
    Always,
    /// After the write; synced in the background at this interval, which is what a power cut may cost.
    Interval(Duration),
    /// After the write; the kernel decides when it reaches the disk.
    Os,
}

/// Options of the whole store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Default: always.
    pub fsync: FsyncMode,
    /// Threads that run `fdatasync`; partitions are synced side by side, one partition never twice at once.
    /// 0 = none: the owner calls [`Store::sync_step`](super::Store::sync_step) (simulation). Default 4.
    pub sync_threads: usize,
    /// Log bytes per entry of the sparse index. Smaller costs memory, larger costs reading. Default 4,096.
    pub index_interval_bytes: u64,
    /// Appends are refused while the file system has less than this free. Default 64 MiB.
    pub disk_reserve_bytes: u64,
    /// Most bytes that one compressed batch may inflate to while it is checked. Default 128 MiB.
    pub inflated_bytes_max: u64,
    /// State of a producer that sent nothing for this long is dropped. Default 24 h.
    pub producer_expiry: Duration,
    /// A meta file is rewritten when it holds this many bytes and more than half of them are outdated. Default 4 MiB.
    pub meta_compact_bytes: u64,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            fsync: FsyncMode::Always,
            sync_threads: 4,
            index_interval_bytes: 4096,
            disk_reserve_bytes: 64 << 20,
            inflated_bytes_max: 128 << 20,
            producer_expiry: Duration::from_secs(24 * 3600),
            meta_compact_bytes: 4 << 20,
        }
    }
}

/// What happens to old records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CleanupPolicy {
    /// `delete`: segments expire by time and size.
    pub delete: bool,
    /// `compact`: records need a key. Nothing is compacted yet.
    pub compact: bool,
}

/// Who dates a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer.
    CreateTime,
    /// The log, when it appends.
    LogAppendTime,
}

/// Settings of one partition: its topic's. Names follow Kafka's topic configs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionConfig {
    /// `cleanup.policy`. Default delete.
    pub cleanup: CleanupPolicy,
    /// `segment.bytes`. Default 1 GiB.
    pub segment_bytes: u64,
    /// `segment.ms`. Default 7 d.
    pub segment_ms: i64,
    /// `retention.ms`, −1 = for ever. Default 7 d.
    pub retention_ms: i64,
    /// `retention.bytes`, −1 = unbounded. Default −1.
    pub retention_bytes: i64,
    /// `max.message.bytes`: largest batch. Default 1 MiB + 12.
    pub max_message_bytes: u64,
    /// `message.timestamp.type`. Default CreateTime.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`. Default unbounded (i64::MAX).
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`. Default 1 h.
    pub timestamp_after_max_ms: i64,
}

impl Default for PartitionConfig {
    fn default() -> Self {
        Self {
            cleanup: CleanupPolicy { delete: true, compact: false },
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3_600_000,
            retention_ms: 7 * 24 * 3_600_000,
            retention_bytes: -1,
            max_message_bytes: (1 << 20) + 12,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
        }
    }
}
