//! Transactions in both dialects, and across crashes.

use std::time::{Duration, Instant};

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, DescribeTransactionsRequest, EndTxnRequest, FetchRequest,
    GroupId, InitProducerIdRequest, OffsetFetchRequest, ProducerId, TransactionalId, TxnOffsetCommitRequest,
};
use weft_wire::batch::{BatchSpec, records};

use crate::raw::{Client, PATIENCE, TestLog, batch, code, fetch_request, name, plain, text};

const COMMITTED: i8 = 1;

/// A producer that speaks frames.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Producer {
    id: i64,
    epoch: i16,
    sequence: i32,
}

fn txn_id() -> TransactionalId {
    TransactionalId(text("x"))
}

async fn init(client: &mut Client, timeout_ms: i32) -> Producer {
    let request =
        InitProducerIdRequest::default().with_transactional_id(Some(txn_id())).with_transaction_timeout_ms(timeout_ms);
    let done = client.call(4, &request).await;
    assert_eq!(done.error_code, 0);
    Producer { id: done.producer_id.0, epoch: done.producer_epoch, sequence: 0 }
}

async fn add(client: &mut Client, producer: Producer) -> i16 {
    let topic = AddPartitionsToTxnTopic::default().with_name(name("t")).with_partitions(vec![0]);
    let request = AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(txn_id())
        .with_v3_and_below_producer_id(ProducerId(producer.id))
        .with_v3_and_below_producer_epoch(producer.epoch)
        .with_v3_and_below_topics(vec![topic]);
    let done = client.call(3, &request).await;
    done.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code
}

async fn write(client: &mut Client, version: i16, producer: &mut Producer, value: &str) -> i16 {
    let spec = BatchSpec {
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        base_sequence: producer.sequence,
        transactional: true,
        ..BatchSpec::PLAIN
    };
    let done = client.produce_to(version, "t", 0, Some("x"), &batch(&spec, &[value])).await;
    if done.error_code == 0 {
        producer.sequence += 1;
    }
    done.error_code
}

async fn end(client: &mut Client, version: i16, producer: &mut Producer, commit: bool) -> i16 {
    let request = EndTxnRequest::default()
        .with_transactional_id(txn_id())
        .with_producer_id(ProducerId(producer.id))
        .with_producer_epoch(producer.epoch)
        .with_committed(commit);
    let done = client.call(version, &request).await;
    if version >= 5 && done.error_code == 0 {
        *producer = Producer { id: done.producer_id.0, epoch: done.producer_epoch, sequence: 0 };
    }
    done.error_code
}

/// Values a `read_committed` reader sees, the way readers do it: aborted ranges and markers left out.
async fn committed(client: &mut Client) -> Vec<String> {
    let mut seen = Vec::new();
    let mut offset = 0;
    loop {
        let data = client.fetch("t", offset, COMMITTED).await;
        assert_eq!(data.error_code, 0);
        let bytes = data.records.unwrap();
        if bytes.is_empty() {
            return seen;
        }
        let mut aborted = data.aborted_transactions.unwrap();
        aborted.sort_by_key(|a| a.first_offset);
        let mut rest = &bytes[..];
        let mut aborting: Vec<i64> = Vec::new();
        while !rest.is_empty() {
            let header = weft_wire::batch::BatchHeader::parse(rest).unwrap();
            let (this, after) = rest.split_at(usize::try_from(header.size).unwrap());
            while aborted.first().is_some_and(|a| a.first_offset <= header.base_offset) {
                aborting.push(aborted.remove(0).producer_id.0);
            }
            if header.is_control() {
                aborting.retain(|id| *id != header.producer_id);
            } else if !(header.is_transactional() && aborting.contains(&header.producer_id)) {
                for record in records(this, 1 << 20).unwrap() {
                    seen.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
                }
            }
            offset = header.base_offset + i64::from(header.last_offset_delta) + 1;
            rest = after;
        }
    }
}

async fn state(client: &mut Client) -> String {
    let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![txn_id()]);
    client.call(0, &request).await.transaction_states[0].transaction_state.to_string()
}

async fn topic_and_client(log: &TestLog) -> Client {
    let mut client = log.client().await;
    client.create_topic("t", 1, &[]).await;
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn old_clients_commit_and_abort() {
    let log = TestLog::start().await;
    let mut client = topic_and_client(&log).await;
    let mut producer = init(&mut client, 60_000).await;
    let early = write(&mut client, 9, &mut producer, "not added").await;
    assert_eq!(early, code(Code::InvalidTxnState), "the partition must be added first");
    assert_eq!(write(&mut client, 11, &mut producer, "x").await, code(Code::TransactionAbortable));
    assert_eq!(add(&mut client, producer).await, 0);
    assert_eq!(write(&mut client, 9, &mut producer, "a").await, 0);
    client.produce("t", &plain(&["between"])).await;
    assert_eq!(committed(&mut client).await, Vec::<String>::new(), "nothing passes the open transaction");
    assert_eq!(state(&mut client).await, "Ongoing");
    assert_eq!(end(&mut client, 3, &mut producer, true).await, 0);
    assert_eq!(end(&mut client, 3, &mut producer, true).await, 0, "asked again, the same answer");
    assert_eq!(end(&mut client, 3, &mut producer, false).await, code(Code::InvalidTxnState));
    assert_eq!(committed(&mut client).await, ["a", "between"]);
    assert_eq!(write(&mut client, 9, &mut producer, "late").await, code(Code::InvalidTxnState));
    add(&mut client, producer).await;
    write(&mut client, 9, &mut producer, "b").await;
    assert_eq!(end(&mut client, 3, &mut producer, false).await, 0);
    add(&mut client, producer).await;
    write(&mut client, 9, &mut producer, "c").await;
    assert_eq!(end(&mut client, 3, &mut producer, true).await, 0);
    assert_eq!(committed(&mut client).await, ["a", "between", "c"]);
    let log = log.crash_and_restart().await;
    assert_eq!(committed(&mut log.client().await).await, ["a", "between", "c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_clients_get_a_new_epoch_with_every_end() {
    let log = TestLog::start().await;
    let mut client = topic_and_client(&log).await;
    let mut producer = init(&mut client, 60_000).await;
    let first = producer;
    assert_eq!(write(&mut client, 12, &mut producer, "a").await, 0, "v12 adds the partition itself");
    let before = producer;
    assert_eq!(end(&mut client, 5, &mut producer, true).await, 0);
    assert_eq!((producer.id, producer.epoch), (first.id, first.epoch + 1));
    let mut again = before;
    assert_eq!(end(&mut client, 5, &mut again, true).await, 0, "the answer was lost: one epoch behind");
    assert_eq!(again, producer);
    let mut other = before;
    assert_eq!(end(&mut client, 5, &mut other, false).await, code(Code::InvalidTxnState));
    // A delayed batch of the last transaction cannot slip into the next.
    let mut delayed = before;
    assert_eq!(write(&mut client, 12, &mut delayed, "zombie").await, code(Code::InvalidProducerEpoch));
    assert_eq!(write(&mut client, 12, &mut producer, "b").await, 0);
    assert_eq!(end(&mut client, 5, &mut producer, false).await, 0);
    assert_eq!(end(&mut client, 5, &mut producer, false).await, 0, "an empty abort is allowed");
    assert_eq!(end(&mut client, 5, &mut producer, true).await, code(Code::InvalidTxnState), "an empty commit is not");
    assert_eq!(write(&mut client, 12, &mut producer, "c").await, 0);
    assert_eq!(end(&mut client, 5, &mut producer, true).await, 0);
    assert_eq!(committed(&mut client).await, ["a", "c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_producer_shuts_the_older_out() {
    let log = TestLog::start().await;
    let mut client = topic_and_client(&log).await;
    let mut old = init(&mut client, 60_000).await;
    add(&mut client, old).await;
    write(&mut client, 9, &mut old, "left open").await;
    let mut new = init(&mut client, 60_000).await;
    assert!(new.id == old.id && new.epoch > old.epoch);
    assert_eq!(write(&mut client, 9, &mut old, "zombie").await, code(Code::InvalidProducerEpoch));
    assert_eq!(end(&mut client, 3, &mut old, true).await, code(Code::ProducerFenced));
    assert_eq!(end(&mut client, 1, &mut old, true).await, code(Code::InvalidProducerEpoch), "before v2");
    assert_eq!(add(&mut client, old).await, code(Code::ProducerFenced));
    let stranger = Producer { id: old.id + 1, ..old };
    assert_eq!(add(&mut client, stranger).await, code(Code::InvalidProducerIdMapping));
    add(&mut client, new).await;
    write(&mut client, 9, &mut new, "new").await;
    assert_eq!(end(&mut client, 3, &mut new, true).await, 0);
    assert_eq!(committed(&mut client).await, ["new"]);
    let too_long =
        InitProducerIdRequest::default().with_transactional_id(Some(txn_id())).with_transaction_timeout_ms(900_001);
    assert_eq!(client.call(4, &too_long).await.error_code, code(Code::InvalidTransactionTimeout));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_takes_too_long_is_aborted() {
    let log = TestLog::start().await;
    let mut client = topic_and_client(&log).await;
    let mut producer = init(&mut client, 200).await;
    add(&mut client, producer).await;
    write(&mut client, 9, &mut producer, "late").await;
    client.produce("t", &plain(&["behind it"])).await;
    // A reader behind the open transaction is woken when it is aborted, without anyone asking.
    let request = fetch_request("t", 0, 60_000, COMMITTED);
    let started = Instant::now();
    let fetched = client.call::<FetchRequest>(12, &request).await;
    assert!(!fetched.responses[0].partitions[0].records.as_ref().unwrap().is_empty());
    assert!(started.elapsed() < PATIENCE);
    assert_eq!(committed(&mut client).await, ["behind it"]);
    assert_eq!(end(&mut client, 3, &mut producer, true).await, code(Code::ProducerFenced));
}

async fn commit_offset(client: &mut Client, version: i16, producer: Producer, offset: i64) -> i16 {
    if version < 5 {
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(txn_id())
            .with_producer_id(ProducerId(producer.id))
            .with_producer_epoch(producer.epoch)
            .with_group_id(GroupId(text("g")));
        assert_eq!(client.call(3, &request).await.error_code, 0);
    }
    let partition = TxnOffsetCommitRequestPartition::default().with_committed_offset(offset);
    let topic = TxnOffsetCommitRequestTopic::default().with_name(name("t")).with_partitions(vec![partition]);
    let request = TxnOffsetCommitRequest::default()
        .with_transactional_id(txn_id())
        .with_group_id(GroupId(text("g")))
        .with_producer_id(ProducerId(producer.id))
        .with_producer_epoch(producer.epoch)
        .with_topics(vec![topic]);
    client.call(version, &request).await.topics[0].partitions[0].error_code
}

async fn group_offset(client: &mut Client, require_stable: bool) -> (i16, i64) {
    let topic = OffsetFetchRequestTopics::default().with_name(name("t")).with_partition_indexes(vec![0]);
    let one = OffsetFetchRequestGroup::default().with_group_id(GroupId(text("g"))).with_topics(Some(vec![topic]));
    let request = OffsetFetchRequest::default().with_groups(vec![one]).with_require_stable(require_stable);
    let response = client.call(8, &request).await;
    let found = &response.groups[0].topics[0].partitions[0];
    (found.error_code, found.committed_offset)
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_count_when_the_transaction_does() {
    let log = TestLog::start().await;
    let mut client = topic_and_client(&log).await;
    let mut producer = init(&mut client, 60_000).await;
    assert_eq!(commit_offset(&mut client, 3, producer, 5).await, 0);
    assert_eq!(group_offset(&mut client, false).await, (0, -1));
    assert_eq!(group_offset(&mut client, true).await.0, code(Code::UnstableOffsetCommit));
    // Pending offsets survive a crash.
    let log = log.crash_and_restart().await;
    let mut client = log.client().await;
    assert_eq!(group_offset(&mut client, true).await.0, code(Code::UnstableOffsetCommit));
    assert_eq!(end(&mut client, 3, &mut producer, true).await, 0);
    assert_eq!(group_offset(&mut client, true).await, (0, 5));
    assert_eq!(commit_offset(&mut client, 5, producer, 9).await, 0, "v5 adds the group itself");
    assert_eq!(end(&mut client, 5, &mut producer, false).await, 0);
    assert_eq!(group_offset(&mut client, true).await, (0, 5), "aborted offsets never were");
    let old = Producer { epoch: producer.epoch - 1, ..producer };
    assert_eq!(commit_offset(&mut client, 5, old, 7).await, code(Code::InvalidProducerEpoch));
    let log = log.crash_and_restart().await;
    assert_eq!(group_offset(&mut log.client().await, true).await, (0, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_transaction_goes_on_after_a_crash() {
    let log = TestLog::start().await;
    let mut client = topic_and_client(&log).await;
    let mut producer = init(&mut client, 60_000).await;
    add(&mut client, producer).await;
    write(&mut client, 9, &mut producer, "before").await;
    let log = log.crash_and_restart().await;
    let mut client = log.client().await;
    assert_eq!(state(&mut client).await, "Ongoing");
    assert_eq!(committed(&mut client).await, Vec::<String>::new());
    assert_eq!(write(&mut client, 9, &mut producer, "after").await, 0);
    assert_eq!(end(&mut client, 3, &mut producer, true).await, 0);
    assert_eq!(committed(&mut client).await, ["before", "after"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_counts_over_a_crash() {
    let log = TestLog::start().await;
    let mut client = topic_and_client(&log).await;
    let mut producer = init(&mut client, 300).await;
    add(&mut client, producer).await;
    write(&mut client, 9, &mut producer, "late").await;
    client.produce("t", &plain(&["behind it"])).await;
    let log = log.crash_and_restart().await;
    let mut client = log.client().await;
    let started = Instant::now();
    while committed(&mut client).await.is_empty() {
        assert!(started.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(committed(&mut client).await, ["behind it"]);
}
