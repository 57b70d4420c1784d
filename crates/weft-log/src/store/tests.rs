//! The store by example: each test says what happens to a small log on a simulated disk.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;
use weft_wire::batch::{self, BatchError, BatchHeader, BatchSpec, NewRecord};
use weft_wire::env::Env;
use weft_wire::env::sim::{Operation, SimWorld};

use super::*;

const TOPIC: Uuid = Uuid::from_u128(7);

/// A store that is synced by hand, with one partition.
struct Bench {
    world: SimWorld,
    store: Arc<Store>,
    partition: Arc<Partition>,
}

fn options() -> StoreOptions {
    StoreOptions { sync_threads: 0, index_interval_bytes: 200, ..StoreOptions::default() }
}

impl Bench {
    fn new() -> Self {
        Self::with(PartitionConfig::default())
    }

    fn with(config: PartitionConfig) -> Self {
        let world = SimWorld::new(1);
        let (store, _) = Store::open(world.env.clone(), Path::new("data"), options()).unwrap();
        let partition = store.create_partition(TOPIC, 0, config).unwrap();
        Self { world, store, partition }
    }

    fn sync(&self) {
        while self.store.sync_step() {}
    }

    fn append(&self, bytes: &Bytes) -> Result<Appended, AppendError> {
        self.partition.append(bytes, AppendOrigin::Client)
    }

    /// The process dies and starts again.
    fn restart(self) -> Self {
        self.world.disk.kill();
        self.open_again()
    }

    fn open_again(self) -> Self {
        let Self { world, store, partition } = self;
        let config = partition.config();
        drop((store, partition));
        let (store, _) = Store::open(world.env.clone(), Path::new("data"), options()).unwrap();
        let partition = store.partition(TOPIC, 0).unwrap();
        partition.set_config(config);
        Self { world, store, partition }
    }

    fn file(&self, extension: &str) -> PathBuf {
        let found = self.world.disk.paths().into_iter().rfind(|path| {
            path.parent().is_some_and(|dir| dir.ends_with("0")) && path.extension().is_some_and(|e| e == extension)
        });
        found.unwrap_or_else(|| panic!("no .{extension} file"))
    }

    fn values(&self) -> Vec<String> {
        values(&self.partition, Isolation::ReadUncommitted)
    }
}

fn values(partition: &Partition, isolation: Isolation) -> Vec<String> {
    let mut out = Vec::new();
    let mut next = partition.offsets().log_start_offset;
    loop {
        let fetched = partition.fetch(next, 1 << 20, isolation).unwrap();
        let (batches, _) = batch::split(&fetched.records);
        let Some((last, _)) = batches.last() else { return out };
        for (header, bytes) in &batches {
            let aborted = fetched.aborted.iter().any(|a| a.producer_id == header.producer_id);
            if header.is_control() || aborted && header.is_transactional() {
                continue;
            }
            for record in batch::records(bytes, 1 << 20).unwrap() {
                out.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
            }
        }
        next = last.last_offset() + 1;
    }
}

fn at(timestamp: i64, spec: BatchSpec, values: &[&str]) -> Bytes {
    let records: Vec<_> =
        values.iter().map(|v| NewRecord { timestamp, value: Some(v.as_bytes()), ..NewRecord::default() }).collect();
    batch::build(&spec, &records).into()
}

fn plain(values: &[&str]) -> Bytes {
    at(1000, BatchSpec::PLAIN, values)
}

fn sequenced(producer_epoch: i16, base_sequence: i32, values: &[&str]) -> Bytes {
    at(1000, BatchSpec { producer_id: 9, producer_epoch, base_sequence, ..BatchSpec::PLAIN }, values)
}

fn transactional(producer_id: i64, base_sequence: i32, values: &[&str]) -> Bytes {
    let spec = BatchSpec { producer_id, producer_epoch: 0, base_sequence, transactional: true, ..BatchSpec::PLAIN };
    at(1000, spec, values)
}

#[test]
fn nothing_is_visible_before_it_is_durable() {
    let bench = Bench::new();
    let appended = bench.append(&plain(&["a", "b"])).unwrap();
    assert_eq!((appended.base_offset, appended.last_offset), (0, 1));
    assert_eq!(bench.values(), Vec::<String>::new());
    assert_eq!(bench.partition.offsets().log_end_offset, 2);
    bench.sync();
    assert_eq!(bench.values(), ["a", "b"]);
}

#[test]
fn bytes_are_stored_as_sent_but_for_offset_and_epoch() {
    let bench = Bench::new();
    bench.append(&plain(&["first"])).unwrap();
    let sent = plain(&["a", "b"]);
    bench.append(&sent).unwrap();
    bench.sync();
    let stored = bench.partition.fetch(1, 1, Isolation::ReadUncommitted).unwrap().records;
    let mut expected = sent.to_vec();
    batch::patch(&mut expected, 1, 0);
    assert_eq!(stored, expected);
}

#[test]
fn an_empty_answer_at_the_end_and_an_error_outside() {
    let bench = Bench::new();
    bench.append(&plain(&["a"])).unwrap();
    bench.sync();
    let fetch = |from| bench.partition.fetch(from, 100, Isolation::ReadUncommitted);
    assert!(fetch(1).unwrap().records.is_empty());
    for outside in [-1, 2] {
        assert!(matches!(fetch(outside), Err(FetchError::OffsetOutOfRange { .. })), "{outside}");
    }
}

#[test]
fn fetch_gives_whole_batches_at_least_one_and_not_more_than_asked() {
    let bench = Bench::new();
    let one = plain(&["0123456789"]).len();
    for _ in 0..50 {
        bench.append(&plain(&["0123456789"])).unwrap();
    }
    bench.sync();
    for (max_bytes, batches) in [(0, 1), (1, 1), (one, 1), (2 * one - 1, 1), (2 * one, 2), (1 << 20, 43)] {
        let fetched = bench.partition.fetch(7, max_bytes, Isolation::ReadUncommitted).unwrap();
        assert_eq!(fetched.records.len(), batches * one, "max_bytes {max_bytes}");
        assert_eq!(BatchHeader::parse(&fetched.records).unwrap().base_offset, 7);
    }
}

#[test]
fn an_offset_inside_a_batch_gives_the_batch_from_its_start() {
    let bench = Bench::new();
    bench.append(&plain(&["a"])).unwrap();
    bench.append(&plain(&["b", "c", "d"])).unwrap();
    bench.sync();
    let fetched = bench.partition.fetch(3, 1, Isolation::ReadUncommitted).unwrap();
    assert_eq!(BatchHeader::parse(&fetched.records).unwrap().base_offset, 1);
}

#[test]
fn wrong_batches_are_refused_and_leave_nothing() {
    let bench = Bench::new();
    let good = plain(&["a", "b"]);
    let flipped = |at: usize| {
        let mut bytes = good.to_vec();
        bytes[at] ^= 1;
        Bytes::from(bytes)
    };
    let twice: Bytes = [good.clone(), good.clone()].concat().into();
    let marker: Bytes = batch::control_batch(1, 0, 0, true, 1000).into();
    type Expected = fn(&BatchError) -> bool;
    let cases: [(&str, Bytes, Expected); 6] = [
        ("crc", flipped(70), |e| matches!(e, BatchError::Crc { .. })),
        ("magic", flipped(16), |e| matches!(e, BatchError::Magic { .. })),
        ("two batches", twice, |e| matches!(e, BatchError::Trailing { .. })),
        ("half a batch", good.slice(..good.len() - 1), |e| matches!(e, BatchError::Truncated { .. })),
        ("control", marker, |e| matches!(e, BatchError::Control)),
        ("nothing", Bytes::new(), |e| matches!(e, BatchError::Truncated { .. })),
    ];
    for (name, bytes, expected) in cases {
        match bench.append(&bytes) {
            Err(AppendError::Batch(error)) if expected(&error) => {}
            other => panic!("{name}: {other:?}"),
        }
    }
    assert_eq!(bench.partition.offsets().log_end_offset, 0);
}

#[test]
fn compacted_topics_refuse_records_without_a_key() {
    let cleanup = CleanupPolicy { delete: false, compact: true };
    let bench = Bench::with(PartitionConfig { cleanup, ..PartitionConfig::default() });
    let refused = bench.append(&plain(&["a"]));
    assert_eq!(refused, Err(AppendError::Batch(BatchError::NullKey { index: 0 })));
    let record = NewRecord { timestamp: 1, key: Some(b"k"), value: None, headers: &[] };
    bench.append(&batch::build(&BatchSpec::PLAIN, &[record]).into()).unwrap();
}

#[test]
fn a_batch_over_the_limit_is_refused_by_name() {
    let bench = Bench::with(PartitionConfig { max_message_bytes: 100, ..PartitionConfig::default() });
    let refused = bench.append(&plain(&[&"x".repeat(100)]));
    assert!(matches!(refused, Err(AppendError::TooLarge { limit: 100, .. })), "{refused:?}");
}

#[test]
fn log_append_time_dates_the_batch() {
    let bench =
        Bench::with(PartitionConfig { timestamp_type: TimestampType::LogAppendTime, ..PartitionConfig::default() });
    let now = bench.world.env.clock.wall_ms();
    assert_eq!(bench.append(&plain(&["a"])).unwrap().log_append_time, now);
    bench.sync();
    let bytes = bench.partition.fetch(0, 1, Isolation::ReadUncommitted).unwrap().records;
    let header = BatchHeader::parse(&bytes).unwrap();
    header.check_crc(&bytes).unwrap();
    assert!(header.is_log_append_time() && header.max_timestamp == now);
}

#[test]
fn the_last_five_batches_of_a_producer_are_recognised() {
    let bench = Bench::new();
    let batches: Vec<Bytes> = (0..6).map(|n| sequenced(0, n, &["x"])).collect();
    for (offset, bytes) in batches.iter().enumerate() {
        assert_eq!(bench.append(bytes).unwrap().base_offset, offset as i64);
    }
    let bench = bench.restart();
    for (offset, bytes) in batches.iter().enumerate().skip(1) {
        let again = bench.append(bytes).unwrap();
        assert!(again.duplicate && again.base_offset == offset as i64, "{again:?}");
    }
    // The sixth oldest is forgotten, so it only looks out of order.
    let oldest = bench.append(&batches[0]);
    assert_eq!(oldest, Err(AppendError::OutOfOrderSequence { producer_id: 9, expected: 6, actual: 0 }));
    assert_eq!(bench.partition.offsets().log_end_offset, 6);
}

#[test]
fn sequences_and_epochs_follow_kafkas_rules() {
    let bench = Bench::new();
    // Unknown producer: may begin anywhere, for its state may have expired.
    bench.append(&sequenced(1, 40, &["a", "b"])).unwrap();
    let out_of_order = |expected, actual| Err(AppendError::OutOfOrderSequence { producer_id: 9, expected, actual });
    assert_eq!(bench.append(&sequenced(1, 43, &["c"])), out_of_order(42, 43));
    assert_eq!(
        bench.append(&sequenced(0, 42, &["c"])),
        Err(AppendError::StaleProducerEpoch { producer_id: 9, current: 1, actual: 0 })
    );
    assert_eq!(bench.append(&sequenced(2, 42, &["c"])), out_of_order(0, 42));
    bench.append(&sequenced(2, 0, &["c"])).unwrap();
}

#[test]
fn sequences_wrap_from_the_largest_to_zero() {
    let bench = Bench::new();
    bench.append(&sequenced(0, i32::MAX - 1, &["a", "b", "c"])).unwrap();
    let next = bench.append(&sequenced(0, 1, &["d"])).unwrap();
    assert!(!next.duplicate && next.base_offset == 3);
}

#[test]
fn a_failed_write_leaves_nothing_and_the_producer_may_try_again() {
    for kind in [ErrorKind::StorageFull, ErrorKind::Other] {
        let bench = Bench::new();
        bench.append(&sequenced(0, 0, &["a"])).unwrap();
        bench.world.disk.inject(Operation::Write, ".log", kind, 0, 1);
        let failed = bench.append(&sequenced(0, 1, &["b"]));
        let full = matches!(failed, Err(AppendError::Disk(DiskError::Full { .. })));
        assert_eq!(full, kind == ErrorKind::StorageFull, "{failed:?}");
        let again = bench.append(&sequenced(0, 1, &["b"])).unwrap();
        assert!(!again.duplicate && again.base_offset == 1);
        bench.sync();
        assert_eq!(bench.restart().values(), ["a", "b"]);
    }
}

#[test]
fn a_failed_fsync_is_final_and_reads_go_on() {
    let bench = Bench::new();
    bench.append(&plain(&["a"])).unwrap();
    bench.sync();
    bench.append(&plain(&["b"])).unwrap();
    let waiting = bench.partition.wait_durable(1);
    bench.world.disk.inject(Operation::Sync, ".log", ErrorKind::Other, 0, 1);
    bench.sync();
    let refused = bench.append(&plain(&["c"]));
    assert!(matches!(refused, Err(AppendError::Offline(Offline::SyncFailed(_)))), "{refused:?}");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert!(matches!(runtime.block_on(waiting), Err(AppendError::Offline(Offline::SyncFailed(_)))));
    assert_eq!(bench.values(), ["a"]);
}

#[test]
fn a_write_that_cannot_be_undone_takes_the_partition_offline() {
    let bench = Bench::new();
    bench.world.disk.inject(Operation::Write, ".log", ErrorKind::Other, 0, 1);
    bench.world.disk.inject(Operation::Truncate, ".log", ErrorKind::Other, 0, 1);
    bench.append(&plain(&["a"])).unwrap_err();
    let refused = bench.append(&plain(&["b"]));
    assert!(matches!(refused, Err(AppendError::Offline(Offline::TornWrite(_)))), "{refused:?}");
    assert_eq!(bench.restart().values(), Vec::<String>::new());
}

#[test]
fn below_the_disk_reserve_appends_stop_and_reads_go_on() {
    let bench = Bench::with(PartitionConfig { retention_ms: -1, ..PartitionConfig::default() });
    bench.append(&plain(&["a"])).unwrap();
    bench.sync();
    bench.world.disk.set_free_space(1000);
    bench.store.housekeeping();
    assert!(matches!(bench.append(&plain(&["b"])), Err(AppendError::DiskReserve { .. })));
    assert_eq!(bench.values(), ["a"]);
    bench.world.disk.set_free_space(1 << 40);
    bench.store.housekeeping();
    bench.append(&plain(&["b"])).unwrap();
}

#[test]
fn the_last_stable_offset_stops_at_an_open_transaction() {
    let bench = Bench::new();
    bench.append(&plain(&["a"])).unwrap();
    bench.append(&transactional(1, 0, &["t1"])).unwrap();
    bench.append(&plain(&["b"])).unwrap();
    bench.sync();
    let stable = || bench.partition.offsets().last_stable_offset;
    assert_eq!((stable(), bench.partition.offsets().high_watermark), (1, 3));
    assert_eq!(values(&bench.partition, Isolation::ReadCommitted), ["a"]);
    bench.partition.end_transaction(1, 0, 0, true).unwrap();
    assert_eq!(stable(), 1, "the marker is not durable yet");
    bench.sync();
    assert_eq!(stable(), 4);
    assert_eq!(values(&bench.partition, Isolation::ReadCommitted), ["a", "t1", "b"]);
}

#[test]
fn aborted_transactions_are_listed_also_after_a_restart_and_over_segments() {
    let mut bench = Bench::with(PartitionConfig { segment_bytes: 300, ..PartitionConfig::default() });
    bench.append(&transactional(1, 0, &["gone1"])).unwrap();
    bench.append(&transactional(2, 0, &["kept1"])).unwrap();
    for n in 0..10 {
        bench.append(&plain(&[&format!("p{n}")])).unwrap();
    }
    bench.append(&transactional(1, 1, &["gone2"])).unwrap();
    bench.partition.end_transaction(1, 0, 0, false).unwrap();
    bench.partition.end_transaction(2, 0, 0, true).unwrap();
    bench.sync();
    let mut expected = vec!["kept1".to_owned()];
    expected.extend((0..10).map(|n| format!("p{n}")));
    for clean in [None, Some(false), Some(true)] {
        match clean {
            None => {}
            Some(true) => {
                bench.store.close().unwrap();
                bench = bench.restart();
                assert!(bench.store.was_clean());
            }
            Some(false) => bench = bench.restart(),
        }
        let fetched = bench.partition.fetch(0, 1, Isolation::ReadCommitted).unwrap();
        assert_eq!(fetched.aborted, [AbortedTransaction { producer_id: 1, first_offset: 0 }], "{clean:?}");
        let committed: Vec<String> = values(&bench.partition, Isolation::ReadCommitted);
        assert_eq!(committed, expected, "{clean:?}");
    }
}

#[test]
fn markers_obey_epochs_and_an_empty_one_takes_an_offset() {
    let bench = Bench::new();
    bench.partition.end_transaction(5, 3, 0, true).unwrap();
    assert_eq!(bench.partition.offsets().log_end_offset, 1);
    let stale = bench.partition.end_transaction(5, 2, 0, true);
    assert_eq!(stale, Err(AppendError::StaleProducerEpoch { producer_id: 5, current: 3, actual: 2 }));
}

#[test]
fn a_batch_outside_the_open_transaction_is_refused() {
    let bench = Bench::new();
    bench.append(&transactional(9, 0, &["t"])).unwrap();
    let refused = bench.append(&sequenced(0, 1, &["x"]));
    assert_eq!(refused, Err(AppendError::NotTransactional { producer_id: 9 }));
}

#[test]
fn open_transactions_survive_a_restart() {
    let bench = Bench::new();
    bench.append(&transactional(1, 0, &["t"])).unwrap();
    let bench = bench.restart();
    let open = bench.partition.open_transactions();
    assert_eq!(open, [OpenTransaction { producer_id: 1, producer_epoch: 0, first_offset: 0 }]);
    assert_eq!(bench.partition.offsets().last_stable_offset, 0);
}

#[test]
fn the_tail_may_be_cut_at_every_byte_of_the_last_batch() {
    let first = plain(&["a"]).len();
    let second = plain(&["b"]).len();
    for length in first..first + second {
        let bench = Bench::new();
        bench.append(&plain(&["a"])).unwrap();
        bench.append(&plain(&["b"])).unwrap();
        let path = bench.file("log");
        let bytes = bench.world.disk.contents(&path).unwrap();
        bench.world.disk.set_contents(&path, &bytes[..length]);
        let bench = bench.restart();
        assert_eq!(bench.values(), ["a"], "cut at {length}");
        assert_eq!(bench.append(&plain(&["c"])).unwrap().base_offset, 1);
    }
}

#[test]
fn a_tail_of_zeros_or_garbage_is_cut() {
    for tail in [vec![0; 100], vec![0xab; 100], vec![2; 5000]] {
        let bench = Bench::new();
        bench.append(&plain(&["a"])).unwrap();
        let path = bench.file("log");
        let mut bytes = bench.world.disk.contents(&path).unwrap();
        let good = bytes.len();
        bytes.extend(&tail);
        bench.world.disk.set_contents(&path, &bytes);
        let bench = bench.restart();
        assert_eq!(bench.values(), ["a"]);
        assert_eq!(bench.world.disk.contents(&path).unwrap().len(), good);
    }
}

#[test]
fn damage_below_the_recovery_point_takes_the_partition_offline_and_cuts_nothing() {
    let bench = Bench::new();
    bench.append(&plain(&["a"])).unwrap();
    bench.append(&plain(&["b"])).unwrap();
    bench.store.close().unwrap();
    let path = bench.file("log");
    let mut bytes = bench.world.disk.contents(&path).unwrap();
    bytes[20] ^= 1;
    // The index would be trusted; without it the log is scanned, and the snapshot knows how far it was durable.
    bench.world.env.disk.unlink(&bench.file("idx")).unwrap();
    bench.world.disk.set_contents(&path, &bytes);
    let bench = bench.restart();
    assert!(matches!(bench.partition.damage(), Some(StoreError::Damaged { .. })));
    assert!(matches!(bench.append(&plain(&["c"])), Err(AppendError::Offline(Offline::Damaged(_)))));
    let fetch = bench.partition.fetch(0, 1, Isolation::ReadUncommitted);
    assert!(matches!(fetch, Err(FetchError::Offline(_))));
    assert_eq!(bench.world.disk.contents(&path).unwrap(), bytes);
}

#[test]
fn a_missing_segment_is_damage() {
    let bench = Bench::with(PartitionConfig { segment_bytes: 150, ..PartitionConfig::default() });
    for n in 0..6 {
        bench.append(&plain(&[&format!("{n}-{}", "x".repeat(40))])).unwrap();
    }
    bench.sync();
    let second = bench.world.disk.paths().into_iter().filter(|path| path.extension().is_some_and(|e| e == "log"));
    bench.world.env.disk.unlink(&second.clone().nth(1).unwrap()).unwrap();
    assert!(second.count() > 3);
    assert!(bench.restart().partition.damage().is_some());
}

#[test]
fn caches_can_be_lost_and_come_back_the_same() {
    let build = || {
        let bench = Bench::with(PartitionConfig { segment_bytes: 400, ..PartitionConfig::default() });
        for n in 0..8 {
            bench.append(&transactional(1, n, &[&format!("t{n}")])).unwrap();
            bench.append(&sequenced(0, n, &[&format!("s{n}")])).unwrap();
            bench.partition.end_transaction(1, 0, 0, n % 3 == 0).unwrap();
        }
        bench.append(&transactional(1, 8, &["open"])).unwrap();
        bench.sync();
        bench
    };
    let state = |bench: &Bench| {
        let partition = &bench.partition;
        let aborted = partition.fetch(0, 1 << 20, Isolation::ReadCommitted).unwrap().aborted;
        let times = partition.offset_for_timestamp(1000, Isolation::ReadUncommitted).unwrap();
        (bench.values(), partition.offsets(), aborted, partition.producers(), times, partition.epoch_end_offset(0))
    };
    let reference = build();
    reference.store.close().unwrap();
    let reference = state(&reference.restart());
    for lost in ["idx", "snap"] {
        for close in [true, false] {
            let bench = build();
            if close {
                bench.store.close().unwrap();
            }
            let gone: Vec<_> = bench.world.disk.paths().into_iter().collect();
            for path in gone.iter().filter(|path| path.extension().is_some_and(|e| e == lost)) {
                bench.world.env.disk.unlink(path).unwrap();
            }
            let mut found = state(&bench.restart());
            for info in &mut found.3 {
                info.coordinator_epoch = 0;
            }
            let mut expected = reference.clone();
            for info in &mut expected.3 {
                info.coordinator_epoch = 0;
            }
            if !close {
                expected.5 = found.5; // the epoch rose, so epoch 0 ended
            }
            assert_eq!(found, expected, "lost .{lost}, closed: {close}");
        }
    }
}

#[test]
fn the_leader_epoch_rises_after_an_unclean_stop_only() {
    let bench = Bench::new();
    assert_eq!(bench.store.leader_epoch(), 0);
    bench.append(&plain(&["a"])).unwrap();
    bench.sync();
    let bench = bench.restart();
    assert_eq!((bench.store.leader_epoch(), bench.store.was_clean()), (1, false));
    bench.append(&plain(&["b"])).unwrap();
    bench.store.close().unwrap();
    let bench = bench.restart();
    assert_eq!((bench.store.leader_epoch(), bench.store.was_clean()), (1, true));
    assert_eq!(bench.partition.epoch_end_offset(0), Some((0, 1)));
    assert_eq!(bench.partition.epoch_end_offset(1), Some((1, 2)));
    assert_eq!(bench.partition.epoch_end_offset(2), None);
    assert_eq!(bench.values(), ["a", "b"]);
}

#[test]
fn offsets_by_time() {
    let bench = Bench::with(PartitionConfig { segment_bytes: 300, ..PartitionConfig::default() });
    for (time, value) in [(100, "a"), (300, "b"), (200, "c"), (400, "d"), (400, "e")] {
        bench.append(&at(time, BatchSpec::PLAIN, &[value])).unwrap();
    }
    bench.sync();
    let find = |time| {
        let found = bench.partition.offset_for_timestamp(time, Isolation::ReadUncommitted).unwrap();
        found.map(|found| (found.offset, found.timestamp))
    };
    for (time, expected) in [
        (0, Some((0, 100))),
        (100, Some((0, 100))),
        (101, Some((1, 300))),
        (301, Some((3, 400))),
        (400, Some((3, 400))),
        (401, None),
    ] {
        assert_eq!(find(time), expected, "time {time}");
    }
    let newest = bench.partition.offset_of_max_timestamp().unwrap().unwrap();
    assert_eq!((newest.offset, newest.timestamp), (3, 400));
    bench.partition.delete_records(4).unwrap();
    assert_eq!(find(0), Some((4, 400)));
}

#[test]
fn deleted_records_stay_deleted_and_segments_go() {
    let bench = Bench::with(PartitionConfig { segment_bytes: 150, ..PartitionConfig::default() });
    for n in 0..6 {
        bench.append(&plain(&[&n.to_string()])).unwrap();
    }
    bench.sync();
    let before = bench.partition.size_bytes();
    assert_eq!(bench.partition.delete_records(3), Ok(3));
    assert_eq!(bench.partition.delete_records(1), Ok(3), "never back");
    assert!(bench.partition.size_bytes() < before);
    assert!(matches!(bench.partition.delete_records(7), Err(FetchError::OffsetOutOfRange { .. })));
    let below = bench.partition.fetch(2, 1, Isolation::ReadUncommitted);
    assert!(matches!(below, Err(FetchError::OffsetOutOfRange { log_start_offset: 3, .. })));
    let bench = bench.restart();
    assert_eq!(bench.partition.offsets().log_start_offset, 3);
    assert_eq!(bench.partition.delete_records(-1), Ok(6));
    assert_eq!(bench.restart().partition.offsets().log_start_offset, 6);
}

#[test]
fn retention_by_size_and_by_time_drops_whole_segments() {
    let config = PartitionConfig { segment_bytes: 150, retention_ms: -1, ..PartitionConfig::default() };
    let bench = Bench::with(PartitionConfig { retention_bytes: 160, ..config.clone() });
    for n in 0..6 {
        bench.append(&plain(&[&n.to_string()])).unwrap();
    }
    bench.store.housekeeping();
    assert_eq!(bench.partition.offsets().log_start_offset, 0, "nothing is durable yet");
    bench.sync();
    bench.store.housekeeping();
    // Two batches of 69 bytes per segment: without the first one 276 bytes are left, without two only 138.
    assert_eq!(bench.partition.offsets().log_start_offset, 2);

    let bench = Bench::with(PartitionConfig { retention_ms: 60_000, ..config });
    let now = bench.world.env.clock.wall_ms();
    for n in 0..4 {
        bench.append(&at(now + n * 30_000, BatchSpec::PLAIN, &["x"])).unwrap();
    }
    bench.sync();
    bench.world.clock.advance(Duration::from_secs(100));
    bench.store.housekeeping();
    bench.sync();
    bench.store.housekeeping();
    assert_eq!(bench.partition.offsets().log_start_offset, 2);
    bench.world.clock.advance(Duration::from_secs(1000));
    bench.store.housekeeping();
    bench.sync();
    bench.store.housekeeping();
    let offsets = bench.partition.offsets();
    assert_eq!((offsets.log_start_offset, offsets.log_end_offset), (4, 4), "the active segment expires too");
}

#[test]
fn a_compacted_topic_expires_nothing() {
    let cleanup = CleanupPolicy { delete: false, compact: true };
    let config = PartitionConfig { cleanup, segment_bytes: 150, retention_ms: 1, ..PartitionConfig::default() };
    let bench = Bench::with(config);
    for _ in 0..4 {
        let record = NewRecord { timestamp: 1, key: Some(b"k"), value: Some(b"v"), headers: &[] };
        bench.append(&batch::build(&BatchSpec::PLAIN, &[record]).into()).unwrap();
    }
    bench.sync();
    bench.store.housekeeping();
    assert_eq!(bench.partition.offsets().log_start_offset, 0);
}

#[test]
fn idle_producers_are_forgotten_but_not_in_a_transaction() {
    let bench = Bench::new();
    let now = bench.world.env.clock.wall_ms();
    let spec = BatchSpec { producer_id: 9, producer_epoch: 0, base_sequence: 0, ..BatchSpec::PLAIN };
    bench.append(&at(now, spec, &["a"])).unwrap();
    bench.append(&at(now, BatchSpec { producer_id: 10, transactional: true, ..spec }, &["b"])).unwrap();
    bench.world.clock.advance(Duration::from_secs(25 * 3600));
    bench.store.housekeeping();
    let known: Vec<i64> = bench.partition.producers().iter().map(|info| info.producer_id).collect();
    assert_eq!(known, [10]);
}

#[test]
fn a_deleted_topic_is_gone_and_wakes_who_waits() {
    let bench = Bench::new();
    let waiting = bench.partition.changed();
    bench.append(&plain(&["a"])).unwrap();
    bench.store.delete_topic(TOPIC).unwrap();
    assert!(waiting.has_changed().unwrap());
    assert_eq!(bench.partition.offsets().offline, Some(Offline::Deleted));
    assert!(bench.store.partition(TOPIC, 0).is_none());
    assert_eq!(bench.store.topics(), []);
    let Bench { world, store, partition } = bench;
    world.disk.kill();
    drop((store, partition));
    let (store, _) = Store::open(world.env.clone(), Path::new("data"), options()).unwrap();
    assert_eq!(store.topics(), []);
    // Created anew it is empty.
    let partition = store.create_partition(TOPIC, 0, PartitionConfig::default()).unwrap();
    assert_eq!(partition.offsets().log_end_offset, 0);
}

#[test]
fn a_directory_in_use_or_from_a_newer_program_is_refused() {
    let bench = Bench::new();
    let again = Store::open(bench.world.env.clone(), Path::new("data"), options());
    assert!(matches!(again, Err(StoreError::InUse { .. })));
    bench.store.close().unwrap();
    bench.world.disk.set_contents(Path::new("data/format"), b"weft-log 2\n");
    let newer = Store::open(bench.world.env.clone(), Path::new("data"), options());
    assert!(matches!(newer, Err(StoreError::NewerFormat { found: 2, known: 1, .. })));
}

#[test]
fn names_are_synced_before_a_partition_counts_as_created() {
    for seed in 0..20 {
        let world = SimWorld::new(seed);
        let (store, _) = Store::open(world.env.clone(), Path::new("data"), options()).unwrap();
        let partition = store.create_partition(TOPIC, 0, PartitionConfig::default()).unwrap();
        partition.append(&plain(&["a"]), AppendOrigin::Client).unwrap();
        while store.sync_step() {}
        world.disk.cut_power();
        drop((store, partition));
        let (store, _) = Store::open(world.env.clone(), Path::new("data"), options()).unwrap();
        assert_eq!(values(&store.partition(TOPIC, 0).unwrap(), Isolation::ReadUncommitted), ["a"], "seed {seed}");
    }
}

fn key(name: &str) -> Bytes {
    Bytes::copy_from_slice(name.as_bytes())
}

fn reopen_meta(world: &SimWorld, store: Arc<Store>) -> (Arc<Store>, MetaRecords) {
    world.disk.kill();
    drop(store);
    Store::open(world.env.clone(), Path::new("data"), options()).unwrap()
}

#[test]
fn meta_puts_come_back_and_the_last_one_wins() {
    let Bench { world, store, .. } = Bench::new();
    store.meta().put(vec![(key("a"), Some(key("1"))), (key("b"), Some(key("2")))]).unwrap();
    let last = store.meta().put(vec![(key("a"), None), (key("b"), Some(key("3")))]).unwrap();
    assert!(!store.meta().is_durable(last));
    while store.sync_step() {}
    assert!(store.meta().is_durable(last));
    let (_, records) = reopen_meta(&world, store);
    assert_eq!(records, [(key("b"), key("3"))]);
}

#[test]
fn a_meta_put_is_whole_or_not_at_all() {
    for cut in 1..60 {
        let Bench { world, store, .. } = Bench::new();
        store.meta().put(vec![(key("a"), Some(key("1")))]).unwrap();
        let path = Path::new("data/meta/00000001.meta");
        let good = world.disk.contents(path).unwrap();
        // Of 41 bytes, so with 7 bytes of padding.
        store.meta().put(vec![(key("a"), Some(key("2"))), (key("b"), Some(key("22")))]).unwrap();
        let both = world.disk.contents(path).unwrap();
        let length = both.len().saturating_sub(cut).max(good.len());
        world.disk.set_contents(path, &both[..length]);
        let (store, records) = reopen_meta(&world, store);
        let old = vec![(key("a"), key("1"))];
        let new = vec![(key("a"), key("2")), (key("b"), key("22"))];
        // Only padding may be missing from a whole put.
        assert!(records == old || (cut < 8 && records == new), "cut {cut}: {records:?}");
        store.meta().put(vec![(key("c"), Some(key("3")))]).unwrap();
        let (_, after) = reopen_meta(&world, store);
        assert_eq!(after.last(), Some(&(key("c"), key("3"))), "cut {cut}");
    }
}

#[test]
fn damage_in_the_durable_part_of_meta_is_refused() {
    let Bench { world, store, .. } = Bench::new();
    store.meta().put(vec![(key("a"), Some(key("1")))]).unwrap();
    store.close().unwrap();
    let path = Path::new("data/meta/00000001.meta");
    let mut bytes = world.disk.contents(path).unwrap();
    bytes[20] ^= 1;
    world.disk.set_contents(path, &bytes);
    let refused = Store::open(world.env.clone(), Path::new("data"), options());
    assert!(matches!(refused, Err(StoreError::Damaged { .. })));
}

#[test]
fn meta_of_a_newer_program_is_refused() {
    let Bench { world, store, .. } = Bench::new();
    store.close().unwrap();
    let path = Path::new("data/meta/00000001.meta");
    let mut bytes = world.disk.contents(path).unwrap();
    bytes[7] = 9;
    world.disk.set_contents(path, &bytes);
    let refused = Store::open(world.env.clone(), Path::new("data"), options());
    assert!(matches!(refused, Err(StoreError::NewerFormat { found: 9, .. })));
}

#[test]
fn meta_rewrites_itself_and_keeps_everything() {
    let world = SimWorld::new(1);
    let small = StoreOptions { meta_compact_bytes: 500, ..options() };
    let (store, _) = Store::open(world.env.clone(), Path::new("data"), small).unwrap();
    for n in 0..100 {
        store.meta().put(vec![(key("same"), Some(key(&n.to_string())))]).unwrap();
    }
    store.meta().put(vec![(key("other"), Some(key("x")))]).unwrap();
    store.housekeeping();
    let files: Vec<_> = world.disk.paths().into_iter().filter(|path| path.starts_with("data/meta")).collect();
    assert_eq!(files, [PathBuf::from("data/meta/00000002.meta")]);
    assert!(world.disk.contents(&files[0]).unwrap().len() < 200);
    store.meta().put(vec![(key("later"), Some(key("y")))]).unwrap();
    let (_, records) = reopen_meta(&world, store);
    assert_eq!(records, [(key("later"), key("y")), (key("other"), key("x")), (key("same"), key("99"))]);
}

#[test]
fn a_failed_meta_write_is_undone_and_a_failed_sync_is_final() {
    let Bench { world, store, .. } = Bench::new();
    world.disk.inject(Operation::Write, "data/meta", ErrorKind::StorageFull, 0, 1);
    let full = store.meta().put(vec![(key("a"), Some(key("1")))]);
    assert!(matches!(full, Err(StoreError::Disk(DiskError::Full { .. }))));
    store.meta().put(vec![(key("b"), Some(key("2")))]).unwrap();
    world.disk.inject(Operation::Sync, "data/meta", ErrorKind::Other, 0, 1);
    while store.sync_step() {}
    assert!(store.meta().put(vec![(key("c"), Some(key("3")))]).is_err());
    let (_, records) = reopen_meta(&world, store);
    assert_eq!(records, [(key("b"), key("2"))]);
}

/// Real files, real threads: many writers share few syncs, and all of it is there after a restart.
#[test]
fn group_commit_on_a_real_disk() {
    const WRITERS: usize = 16;
    const BATCHES: usize = 20;
    let dir = std::env::temp_dir().join(format!("weft-store-{}", std::process::id()));
    let (store, _) = Store::open(Env::real(), &dir, StoreOptions::default()).unwrap();
    let partition = store.create_partition(TOPIC, 0, PartitionConfig::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let mut tasks = Vec::new();
        for writer in 0..WRITERS {
            let partition = Arc::clone(&partition);
            tasks.push(tokio::spawn(async move {
                for n in 0..BATCHES {
                    let appended = partition.append(&plain(&[&format!("{writer}-{n}")]), AppendOrigin::Client).unwrap();
                    partition.wait_durable(appended.last_offset).await.unwrap();
                    assert!(partition.offsets().high_watermark > appended.last_offset);
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
    let mut before = values(&partition, Isolation::ReadUncommitted);
    store.close().unwrap();
    drop((store, partition));
    let (store, _) = Store::open(Env::real(), &dir, StoreOptions::default()).unwrap();
    assert!(store.was_clean());
    let after = values(&store.partition(TOPIC, 0).unwrap(), Isolation::ReadUncommitted);
    assert_eq!(after, before);
    before.sort();
    before.dedup();
    assert_eq!(before.len(), WRITERS * BATCHES);
    drop(store);
    Env::real().disk.remove_dir_all(&dir).unwrap();
}

#[test]
fn interval_and_os_modes_show_what_is_written() {
    for fsync in [FsyncMode::Interval(Duration::from_millis(5)), FsyncMode::Os] {
        let world = SimWorld::new(1);
        let (store, _) =
            Store::open(world.env.clone(), Path::new("data"), StoreOptions { fsync, ..options() }).unwrap();
        let config = PartitionConfig { segment_bytes: 150, ..PartitionConfig::default() };
        let partition = store.create_partition(TOPIC, 0, config).unwrap();
        for n in 0..5 {
            partition.append(&plain(&[&n.to_string()]), AppendOrigin::Client).unwrap();
        }
        assert_eq!(partition.offsets().high_watermark, 5, "{fsync:?}");
        while store.sync_step() {}
        world.disk.cut_power();
        drop((store, partition));
        let (store, _) = Store::open(world.env.clone(), Path::new("data"), options()).unwrap();
        let left = values(&store.partition(TOPIC, 0).unwrap(), Isolation::ReadUncommitted);
        let expected: Vec<String> = (0..left.len()).map(|n| n.to_string()).collect();
        assert_eq!(left, expected, "a prefix is left");
        assert!(left.len() >= if fsync == FsyncMode::Os { 4 } else { 5 }, "sealed segments are synced: {left:?}");
    }
}
