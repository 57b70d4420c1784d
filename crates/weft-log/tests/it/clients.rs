//! librdkafka, as the rooms of Weft use it.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

use crate::raw::TestLog;

const WAIT: Duration = Duration::from_secs(20);

fn config(log: &TestLog) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", log.bootstrap()).set("log_level", "0");
    config
}

fn send(producer: &BaseProducer, keys: std::ops::Range<u32>) {
    for key in keys {
        let (key, value) = (key.to_string(), "x".repeat(100));
        producer.send(BaseRecord::to("t").key(&key).payload(&value)).map_err(|(error, _)| error).unwrap();
    }
}

/// Keys a group member reads, until there are `count`.
fn read(consumer: &BaseConsumer, count: usize) -> Vec<u32> {
    let mut keys = Vec::new();
    let started = Instant::now();
    while keys.len() < count {
        assert!(started.elapsed() < WAIT, "{} of {count} records in time", keys.len());
        // Events of the group wake it without a record.
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let message = message.unwrap();
        keys.push(std::str::from_utf8(message.key().unwrap()).unwrap().parse().unwrap());
    }
    keys.sort_unstable();
    keys
}

fn consumer(log: &TestLog, group: &str) -> BaseConsumer {
    let consumer: BaseConsumer = config(log)
        .set("group.id", group)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .create()
        .unwrap();
    consumer.subscribe(&["t"]).unwrap();
    consumer
}

#[tokio::test(flavor = "multi_thread")]
async fn every_codec_from_producer_to_group() {
    let log = TestLog::start().await;
    log.client().await.create_topic("t", 3, &[]).await;
    let work = move || {
        for (codec, from) in ["none", "gzip", "snappy", "lz4", "zstd"].iter().zip((0..).step_by(200)) {
            let producer: BaseProducer =
                config(&log).set("compression.type", *codec).set("enable.idempotence", "true").create().unwrap();
            send(&producer, from..from + 200);
            producer.flush(WAIT).unwrap();
        }
        let reader = consumer(&log, "g");
        assert_eq!(read(&reader, 1_000), (0..1_000).collect::<Vec<_>>());
        reader.commit_consumer_state(rdkafka::consumer::CommitMode::Sync).unwrap();
        let committed = reader.committed(WAIT).unwrap();
        let sum: i64 = committed.elements().iter().filter_map(|e| e.offset().to_raw()).sum();
        assert_eq!(sum, 1_000);
    };
    tokio::task::spawn_blocking(work).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn records_and_offsets_in_one_transaction() {
    let log = TestLog::start().await;
    log.client().await.create_topic("t", 1, &[]).await;
    let work = move || {
        let producer: BaseProducer = config(&log).set("transactional.id", "x").create().unwrap();
        producer.init_transactions(WAIT).unwrap();
        // It only lends the name of its group: it never joins.
        let reader: BaseConsumer = config(&log).set("group.id", "g").create().unwrap();
        for (keys, commit) in [(0..5, true), (5..10, false), (10..15, true)] {
            let next = i64::from(keys.end);
            producer.begin_transaction().unwrap();
            send(&producer, keys);
            let mut offsets = TopicPartitionList::new();
            offsets.add_partition_offset("t", 0, Offset::Offset(next)).unwrap();
            let group = reader.group_metadata().unwrap();
            producer.send_offsets_to_transaction(&offsets, &group, WAIT).unwrap();
            producer.flush(WAIT).unwrap();
            if commit {
                producer.commit_transaction(WAIT).unwrap();
            } else {
                producer.abort_transaction(WAIT).unwrap();
            }
        }
        let mut partition = TopicPartitionList::new();
        partition.add_partition("t", 0);
        let committed = reader.committed_offsets(partition, WAIT).unwrap();
        assert_eq!(committed.elements()[0].offset(), Offset::Offset(15));
        let fresh = consumer(&log, "another");
        assert_eq!(read(&fresh, 10), (0..5).chain(10..15).collect::<Vec<_>>());
    };
    tokio::task::spawn_blocking(work).await.unwrap();
}
