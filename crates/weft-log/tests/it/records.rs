//! Produce, Fetch, ListOffsets, DeleteRecords.

use std::time::{Duration, Instant};

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{
    DeleteRecordsRequest, FetchRequest, InitProducerIdRequest, ListOffsetsRequest, ProduceRequest,
};
use weft_wire::batch::{BatchSpec, Codec, HEADER_BYTES, NewRecord, build};

use crate::raw::{Client, TestLog, batch, code, fetch_request, name, plain, produce_request};

/// From here on a batch must come back as it was sent: before it lie base offset and leader epoch.
const CRC: usize = 17;
const ATTRIBUTES: usize = 21;
const CONTROL: i16 = 1 << 5;

#[tokio::test(flavor = "multi_thread")]
async fn batches_come_back_as_they_were_sent() {
    let log = TestLog::start().await;
    let mut client = log.client().await;
    client.create_topic("t", 1, &[]).await;
    let mut offset = 0;
    for codec in Codec::ALL {
        let sent = batch(&BatchSpec { codec, ..BatchSpec::PLAIN }, &["one", "two", "three"]);
        let done = client.produce("t", &sent).await;
        assert_eq!((done.error_code, done.base_offset), (0, offset), "{codec:?}");
        let fetched = client.fetch("t", offset + 1, 0).await;
        let records = fetched.records.unwrap();
        assert_eq!(records[CRC..], sent[CRC..], "{codec:?}: an offset inside a batch gives the whole batch");
        assert_eq!(records[..8], offset.to_be_bytes());
        offset += 3;
        assert_eq!(fetched.high_watermark, offset);
    }
    let log = log.crash_and_restart().await;
    let fetched = log.client().await.fetch("t", 0, 0).await;
    assert_eq!(fetched.high_watermark, offset, "acknowledged is there after a crash");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_batches_are_refused_with_kafkas_codes() {
    let log = TestLog::start().await;
    let mut client = log.client().await;
    client.create_topic("t", 1, &[]).await;
    client.create_topic("compacted", 1, &[("cleanup.policy", "compact")]).await;
    let good = plain(&["v"]);
    let mut wrong_crc = good.clone();
    *wrong_crc.last_mut().unwrap() ^= 1;
    let two = [good.clone(), good.clone()].concat();
    let mut old_magic = good.clone();
    old_magic[16] = 1;
    let huge = "x".repeat(2 << 20);
    let keyless = build(&BatchSpec::PLAIN, &[NewRecord { value: Some(b"v"), ..NewRecord::default() }]);
    let mut marker = weft_wire::batch::control_batch(5, 0, 0, true, 0);
    marker[ATTRIBUTES..ATTRIBUTES + 2].copy_from_slice(&CONTROL.to_be_bytes());
    let crc = crc32c::crc32c(&marker[ATTRIBUTES..]);
    marker[CRC..ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
    let cases: [(&str, &str, &[u8], Code); 9] = [
        ("wrong checksum", "t", &wrong_crc, Code::CorruptMessage),
        ("cut off", "t", &good[..good.len() - 1], Code::CorruptMessage),
        ("shorter than a header", "t", &good[..HEADER_BYTES - 1], Code::CorruptMessage),
        ("two batches", "t", &two, Code::InvalidRecord),
        ("format v1", "t", &old_magic, Code::InvalidRecord),
        ("a control batch", "t", &marker, Code::InvalidRecord),
        ("too large", "t", &plain(&[&huge]), Code::MessageTooLarge),
        ("no key on a compacted topic", "compacted", &keyless, Code::InvalidRecord),
        ("no such topic", "nowhere", &good, Code::UnknownTopicOrPartition),
    ];
    for (what, topic, bytes, expected) in cases {
        let done = client.produce(topic, bytes).await;
        assert_eq!(done.error_code, code(expected), "{what}: {:?}", done.error_message);
        assert_eq!(done.base_offset, -1, "{what}");
        assert!(done.error_message.is_some_and(|m| !m.is_empty()), "{what}");
    }
    let done = client.produce("compacted", &keyless).await;
    assert_eq!(done.record_errors[0].batch_index, 0, "the record to blame is named");
    assert_eq!(client.fetch("t", 0, 0).await.high_watermark, 0, "nothing of it is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn acks_zero_has_no_answer_and_ends_the_connection_on_an_error() {
    let log = TestLog::start().await;
    let mut client = log.client().await;
    client.create_topic("t", 1, &[]).await;
    let silent = |topic: &str| produce_request(topic, 0, None, &plain(&["v"])).with_acks(0);
    client.send::<ProduceRequest>(9, &silent("t")).await;
    let fetched = client.call(12, &fetch_request("t", 0, 10_000, 0)).await;
    assert_eq!(fetched.responses[0].partitions[0].high_watermark, 1, "the next answer is that of the next request");
    client.send::<ProduceRequest>(9, &silent("nowhere")).await;
    assert_eq!(client.receive_frame().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resent_batch_is_answered_with_its_first_offset() {
    let log = TestLog::start().await;
    let mut client = log.client().await;
    client.create_topic("t", 1, &[]).await;
    let id = client
        .call(4, &InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(1))
        .await;
    assert_eq!(id.error_code, 0);
    let sequenced = |epoch: i16, sequence: i32| {
        let spec = BatchSpec {
            producer_id: id.producer_id.0,
            producer_epoch: epoch,
            base_sequence: sequence,
            ..BatchSpec::PLAIN
        };
        batch(&spec, &["v"])
    };
    let batches: Vec<Vec<u8>> = (0..5).map(|sequence| sequenced(0, sequence)).collect();
    for (offset, sent) in (0..).zip(&batches) {
        assert_eq!(client.produce("t", sent).await.base_offset, offset);
    }
    for (offset, sent) in (0..).zip(&batches) {
        let done = client.produce("t", sent).await;
        assert_eq!((done.error_code, done.base_offset), (0, offset), "resent");
    }
    let gap = client.produce("t", &sequenced(0, 7)).await;
    assert_eq!(gap.error_code, code(Code::OutOfOrderSequenceNumber));
    assert_eq!(client.produce("t", &sequenced(1, 0)).await.base_offset, 5, "a higher epoch starts at 0");
    let zombie = client.produce("t", &sequenced(0, 5)).await;
    assert_eq!(zombie.error_code, code(Code::InvalidProducerEpoch));
    // Producer state comes back after a crash.
    let log = log.crash_and_restart().await;
    let mut client = log.client().await;
    let again = client.produce("t", &sequenced(1, 0)).await;
    assert_eq!((again.error_code, again.base_offset), (0, 5));
    let other = client
        .call(4, &InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(1))
        .await;
    assert_ne!(other.producer_id, id.producer_id, "an id is never given twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_fetch_is_woken_and_holds_up_nobody() {
    let log = TestLog::start().await;
    let mut client = log.client().await;
    client.create_topic("t", 1, &[]).await;
    let started = Instant::now();
    // On one connection: a fetch that waits for up to a minute, then the produce that ends its wait.
    let fetch = client.send::<FetchRequest>(12, &fetch_request("t", 0, 60_000, 0)).await;
    let produce = client.send::<ProduceRequest>(9, &produce_request("t", 0, None, &plain(&["v"]))).await;
    let fetched = client.receive::<FetchRequest>(12, fetch).await;
    assert_eq!(fetched.responses[0].partitions[0].high_watermark, 1);
    assert!(!fetched.responses[0].partitions[0].records.as_ref().unwrap().is_empty());
    client.receive::<ProduceRequest>(9, produce).await;
    assert!(started.elapsed() < Duration::from_secs(30), "woken, not timed out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_with_nothing_to_read_answers_empty_at_its_deadline() {
    let log = TestLog::start().await;
    let mut client = log.client().await;
    client.create_topic("t", 1, &[]).await;
    let response = client.call(12, &fetch_request("t", 0, 50, 0)).await;
    let data = &response.responses[0].partitions[0];
    assert_eq!(data.error_code, 0);
    assert_eq!(data.records.as_ref().map(|r| r.len()), Some(0), "empty, not null");
    for offset in [-1, 1] {
        let out = client.fetch("t", offset, 0).await;
        assert_eq!(out.error_code, code(Code::OffsetOutOfRange), "{offset}");
    }
    let unknown = client.fetch("nowhere", 0, 0).await;
    assert_eq!(unknown.error_code, code(Code::UnknownTopicOrPartition));
    let session = fetch_request("t", 0, 0, 0).with_session_id(5);
    assert_eq!(client.call(12, &session).await.error_code, code(Code::FetchSessionIdNotFound));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whole_batch_is_given_even_above_the_limits() {
    let log = TestLog::start().await;
    let mut client = log.client().await;
    client.create_topic("t", 1, &[]).await;
    let sent = plain(&["v"]);
    client.produce("t", &sent).await;
    client.produce("t", &sent).await;
    let request = fetch_request("t", 0, 0, 0).with_max_bytes(1);
    let response = client.call(12, &request).await;
    assert_eq!(response.responses[0].partitions[0].records.as_ref().unwrap().len(), sent.len());
}

async fn list(client: &mut Client, version: i16, timestamp: i64) -> (i16, i64, i64) {
    let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
    let topic = ListOffsetsTopic::default().with_name(name("t")).with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default().with_topics(vec![topic]);
    let response = client.call(version, &request).await;
    let found = &response.topics[0].partitions[0];
    (found.error_code, found.offset, found.timestamp)
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_found_by_time_and_by_name() {
    let log = TestLog::start().await;
    let mut client = log.client().await;
    client.create_topic("t", 1, &[("message.timestamp.type", "CreateTime")]).await;
    assert_eq!(list(&mut client, 7, -1).await, (0, 0, -1));
    assert_eq!(list(&mut client, 7, -3).await, (0, -1, -1), "no record has the greatest timestamp");
    for (timestamp, value) in [(100, "a"), (300, "b"), (200, "c")] {
        let record = NewRecord { timestamp, key: Some(b"k"), value: Some(value.as_bytes()), headers: &[] };
        assert_eq!(client.produce("t", &build(&BatchSpec::PLAIN, &[record])).await.error_code, 0);
    }
    let cases = [
        ("latest", -1, (0, 3, -1)),
        ("earliest", -2, (0, 0, -1)),
        ("greatest timestamp", -3, (0, 1, 300)),
        ("before all", 0, (0, 0, 100)),
        ("equal", 100, (0, 0, 100)),
        ("between", 150, (0, 1, 300)),
        ("after all", 301, (0, -1, -1)),
    ];
    for version in [1, 7, 10] {
        for (what, timestamp, expected) in cases {
            assert_eq!(list(&mut client, version, timestamp).await, expected, "{what} in v{version}");
        }
    }
    // DeleteRecords moves the start, for good.
    let delete = |offset: i64| {
        let partition = DeleteRecordsPartition::default().with_offset(offset);
        let topic = DeleteRecordsTopic::default().with_name(name("t")).with_partitions(vec![partition]);
        DeleteRecordsRequest::default().with_topics(vec![topic])
    };
    let deleted = client.call(2, &delete(2)).await;
    assert_eq!(deleted.topics[0].partitions[0].low_watermark, 2);
    let beyond = client.call(2, &delete(9)).await;
    assert_eq!(beyond.topics[0].partitions[0].error_code, code(Code::OffsetOutOfRange));
    let log = log.crash_and_restart().await;
    let mut client = log.client().await;
    assert_eq!(list(&mut client, 7, -2).await, (0, 2, -1));
    assert_eq!(client.fetch("t", 1, 0).await.error_code, code(Code::OffsetOutOfRange));
    let deleted = client.call(2, &delete(-1)).await;
    assert_eq!(deleted.topics[0].partitions[0].low_watermark, 3, "-1 is the high watermark");
}
