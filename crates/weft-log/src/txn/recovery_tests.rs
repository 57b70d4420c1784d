//! A crash at every step of an end: the folder is written as the crash leaves it, then the log starts on it.
#![expect(clippy::disallowed_methods, reason = "a test may give up waiting by the real clock")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;
use weft_wire::batch::{BatchSpec, NewRecord, build};
use weft_wire::env::Env;

use super::core::{Producer, State, Txn};
use crate::records::{OffsetRecord, Record, TopicRecord};
use crate::store::{AppendOrigin, Partition, PartitionConfig, Store, StoreOptions};
use crate::{Log, LogHandle, Options};

const TOPIC: Uuid = Uuid::from_u128(7);
const PRODUCER: Producer = Producer { id: 5, epoch: 0 };

/// How far the end of a transaction over two partitions and one group had come.
#[derive(Clone, Copy)]
struct Crash {
    state: State,
    /// Partitions that had their marker.
    markers: u32,
    /// The transaction's record had reached the meta log.
    known: bool,
}

fn append(partition: &Partition) {
    let spec = BatchSpec {
        producer_id: PRODUCER.id,
        producer_epoch: PRODUCER.epoch,
        base_sequence: 0,
        transactional: true,
        ..BatchSpec::PLAIN
    };
    let record = NewRecord { timestamp: 1, key: None, value: Some(b"v"), headers: &[] };
    let batch = Bytes::from(build(&spec, &[record]));
    partition.append(&batch, AppendOrigin::Trusted).unwrap();
}

async fn crashed(crash: Crash) -> (tempfile::TempDir, LogHandle) {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(Env::real(), folder.path(), StoreOptions::default()).unwrap();
    let partition = |index| store.create_partition(TOPIC, index, PartitionConfig::default()).unwrap();
    let partitions: Vec<Arc<Partition>> = (0..2).map(partition).collect();
    for partition in &partitions {
        append(partition);
    }
    let mut txn = Txn::new(PRODUCER.id, 900_000, 0);
    txn.producer_epoch = PRODUCER.epoch;
    txn.state = crash.state;
    txn.started_at = Env::real().clock.wall_ms();
    txn.partitions = [(TOPIC, 0), (TOPIC, 1)].into();
    txn.groups = ["g".to_owned()].into();
    let topic = TopicRecord { name: "t".to_owned(), partitions: 2, configs: Vec::new() };
    let offset = OffsetRecord { offset: 42, leader_epoch: -1, metadata: String::new(), committed_at: 0 };
    let mut puts = vec![
        Record::Topic(TOPIC, topic).put(),
        Record::PendingOffset(PRODUCER.id, "g".to_owned(), "t".to_owned(), 0, offset).put(),
    ];
    if crash.known {
        puts.push(Record::Transaction("x".to_owned(), txn).put());
    }
    store.meta().put(puts).unwrap();
    for partition in partitions.iter().take(crash.markers as usize) {
        let commit = crash.state == State::PrepareCommit;
        partition.end_transaction(PRODUCER.id, PRODUCER.epoch, 0, commit).unwrap();
    }
    store.close().unwrap();
    drop((store, partitions));
    let mut options = Options::new(folder.path());
    options.listen.set_port(0);
    let handle = Log::start(options, Env::real()).await.unwrap();
    (folder, handle)
}

fn group_offset(handle: &LogHandle) -> Option<i64> {
    let asked = Some(vec![("t".to_owned(), 0)]);
    let mut offsets = handle.broker.groups.offsets("g", asked, true);
    let (_, offset) = offsets.remove(0);
    offset.unwrap().map(|o| o.offset)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_transaction_ends_as_decided() {
    for (state, markers) in [
        (State::PrepareCommit, 0),
        (State::PrepareCommit, 1),
        (State::PrepareCommit, 2),
        (State::PrepareAbort, 0),
        (State::PrepareAbort, 1),
        (State::PrepareAbort, 2),
    ] {
        let (_folder, handle) = crashed(Crash { state, markers, known: true }).await;
        let what = format!("{state:?} with {markers} markers");
        let commit = state == State::PrepareCommit;
        let ended = handle.broker.transactions.describe("x").unwrap();
        let expected = if commit { State::CompleteCommit } else { State::CompleteAbort };
        assert_eq!((ended.state, ended.partitions.len()), (expected, 0), "{what}");
        for partition in &handle.broker.topics.get("t").unwrap().partitions {
            let offsets = partition.offsets();
            assert_eq!(offsets.log_end_offset, 2, "{what}: one record, one marker");
            assert_eq!(offsets.last_stable_offset, 2, "{what}");
            let read = partition.fetch(0, 1 << 20, crate::store::Isolation::ReadCommitted).unwrap();
            assert_eq!(read.aborted.is_empty(), commit, "{what}");
        }
        assert_eq!(group_offset(&handle), commit.then_some(42), "{what}");
        handle.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_transaction_stays_open() {
    let (_folder, handle) = crashed(Crash { state: State::Ongoing, markers: 0, known: true }).await;
    let topic = handle.broker.topics.get("t").unwrap();
    assert_eq!(topic.partitions[0].offsets().last_stable_offset, 0);
    let ended = handle.broker.transactions.end("x", PRODUCER, true, false).await;
    assert_eq!(ended, Ok(PRODUCER));
    assert_eq!(topic.partitions[0].offsets().last_stable_offset, 2);
    assert_eq!(group_offset(&handle), Some(42));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_knows_of_is_aborted() {
    let (_folder, handle) = crashed(Crash { state: State::Ongoing, markers: 0, known: false }).await;
    for partition in &handle.broker.topics.get("t").unwrap().partitions {
        let waited = tokio::time::timeout(Duration::from_secs(20), partition.wait_durable(1)).await;
        waited.unwrap().unwrap();
        assert_eq!(partition.offsets().last_stable_offset, 2);
        let read = partition.fetch(0, 1 << 20, crate::store::Isolation::ReadCommitted).unwrap();
        assert_eq!(read.aborted.len(), 1);
    }
}
