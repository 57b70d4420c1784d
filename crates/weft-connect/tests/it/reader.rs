//! A consumer that is not the source's: reads what is committed, to the end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Headers;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use serde_json::Value;
use weft_model::progress::{HEADER, ProgressKey, ProgressValue, RecordProgress};

use crate::world::World;

#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) partition: u32,
    pub(crate) offset: i64,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Value,
    pub(crate) timestamp: i64,
    pub(crate) progress: Option<RecordProgress>,
}

impl Row {
    pub(crate) fn id(&self) -> u64 {
        self.value["id"].as_u64().unwrap()
    }
}

/// All committed records of a topic, in the order of each partition.
pub(crate) fn read(world: &World, topic: &str) -> Vec<Row> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &world.bootstrap)
        .set("group.id", "reader")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "20")
        .create()
        .unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10)).unwrap();
    let partitions = metadata.topics()[0].partitions().len();
    let mut from = TopicPartitionList::new();
    for partition in 0..partitions {
        from.add_partition_offset(topic, i32::try_from(partition).unwrap(), Offset::Beginning).unwrap();
    }
    consumer.assign(&from).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let (mut rows, mut ended) = (Vec::new(), std::collections::BTreeSet::new());
    while ended.len() < partitions {
        assert!(Instant::now() < deadline, "topic {topic} has no end");
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                ended.insert(partition);
            }
            Some(Err(error)) => panic!("{error}"),
            Some(Ok(record)) => {
                let headers = record.headers().map(|headers| headers.iter().collect::<Vec<_>>()).unwrap_or_default();
                let progress = headers.iter().find(|header| header.key == HEADER);
                rows.push(Row {
                    partition: u32::try_from(record.partition()).unwrap(),
                    offset: record.offset(),
                    key: record.key().unwrap_or_default().to_vec(),
                    value: record.payload().map_or(Value::Null, |value| serde_json::from_slice(value).unwrap()),
                    timestamp: record.timestamp().to_millis().unwrap(),
                    progress: progress.map(|header| RecordProgress::decode(header.value.unwrap()).unwrap()),
                });
            }
        }
    }
    rows
}

/// Every progress record, in order.
pub(crate) fn progress(world: &World) -> Vec<(ProgressKey, ProgressValue)> {
    let rows = read(world, &world.internal(weft_model::topic::PROGRESS));
    rows.into_iter()
        .map(|row| (serde_json::from_slice(&row.key).unwrap(), serde_json::from_value(row.value).unwrap()))
        .collect()
}

/// The invariants that hold whatever happened to the source: every id once, order, headers, progress.
pub(crate) fn check_exactly_once(world: &World, ids: std::ops::Range<u64>) {
    let topic = world.topic("rows");
    let rows = read(world, &topic);
    let mut seen: Vec<u64> = rows.iter().map(Row::id).collect();
    seen.sort_unstable();
    assert!(seen.iter().copied().eq(ids), "every row once: {} rows were read", seen.len());
    let mut last: BTreeMap<u32, (i64, i64)> = BTreeMap::new();
    for row in &rows {
        let header = row.progress.expect("every record has the header");
        assert_eq!((header.writer, header.writer_watermark), (0, header.row_watermark));
        assert!(header.row_watermark <= row.timestamp, "no row is late that is in order");
        let (time, watermark) = last.entry(row.partition).or_insert((i64::MIN, i64::MIN));
        assert!(
            row.timestamp >= *time && header.writer_watermark >= *watermark,
            "partition {} goes back",
            row.partition
        );
        (*time, *watermark) = (row.timestamp, header.writer_watermark);
        assert_eq!(row.timestamp, crate::world::event_ms(row.id()));
        assert_eq!(row.partition, weft_model::partitioner::partition_of(&row.key, crate::world::PARTITIONS));
    }
    let mut completes: BTreeMap<(String, u32), u32> = BTreeMap::new();
    let mut watermarks: BTreeMap<(String, u32), i64> = BTreeMap::new();
    for (key, value) in progress(world) {
        let of = (key.topic, key.partition);
        assert!(value.watermark >= *watermarks.get(&of).unwrap_or(&i64::MIN), "the watermark of {of:?} falls");
        watermarks.insert(of.clone(), value.watermark);
        if value.complete {
            *completes.entry(of.clone()).or_default() += 1;
            assert_eq!(value.watermark, i64::MAX);
            let end = rows.iter().filter(|row| of.0 == topic && row.partition == of.1).map(|row| row.offset + 1).max();
            if of.0 == topic {
                assert_eq!(Some(value.offset), end, "complete holds behind the last record");
            }
        }
    }
    let expected = crate::world::PARTITIONS as usize + 2; // errors and late
    assert_eq!(completes.len(), expected, "complete for every partition: {completes:?}");
    assert!(completes.values().all(|count| *count == 1), "complete is written once: {completes:?}");
}
