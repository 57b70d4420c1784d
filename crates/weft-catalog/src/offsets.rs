//! Where partitions begin and end: asked for all of them at once, so that a Kafka with thousands is one question.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use crate::Connection;
use crate::error::CatalogError;
use crate::kafka::{DropBeside, QuietContext, blocking, broker_error, client_config};

/// Longest wait for one answer: a number that is half a minute old helps nobody.
const ANSWER: Duration = Duration::from_secs(5);
const DOING: &str = "asking for offsets";

/// First kept offset and the offset after the last committed record of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kept {
    /// `log_start_offset`.
    pub start: i64,
    /// `last_stable_offset`: what readers of committed records may read below.
    pub end: i64,
}

/// Asks for offsets over one connection that stays open. Cheap to clone.
#[derive(Clone)]
pub struct Offsets {
    consumer: Arc<DropBeside<BaseConsumer<QuietContext>>>,
}

impl Offsets {
    /// A client; it connects when it is first asked.
    pub fn open(connection: &Connection) -> Result<Self, CatalogError> {
        // The group is never joined; librdkafka asks for its name.
        let ours =
            [("group.id", "__weft.offsets"), ("isolation.level", "read_committed"), ("enable.auto.commit", "false")];
        let consumer: BaseConsumer<QuietContext> = client_config(connection, &ours)
            .create_with_context(QuietContext)
            .map_err(|error| broker_error(DOING, &error))?;
        Ok(Self { consumer: Arc::new(DropBeside(Some(consumer))) })
    }

    /// What is kept of these topics, given with their numbers of partitions. A partition that could not be asked is left out.
    pub async fn kept(
        &self,
        topics: Vec<(String, u32)>,
    ) -> Result<BTreeMap<String, BTreeMap<u32, Kept>>, CatalogError> {
        let consumer = Arc::clone(&self.consumer);
        blocking(DOING, move || {
            let starts = ask(&consumer, &topics, Offset::Beginning)?;
            let ends = ask(&consumer, &topics, Offset::End)?;
            let mut kept: BTreeMap<String, BTreeMap<u32, Kept>> = BTreeMap::new();
            for ((topic, partition), end) in ends {
                let Some(start) = starts.get(&(topic.clone(), partition)).copied() else { continue };
                kept.entry(topic).or_default().insert(partition, Kept { start, end });
            }
            Ok(kept)
        })
        .await
    }
}

/// ListOffsets has two timestamps that mean the ends; librdkafka hands them on as they are.
fn ask(
    consumer: &BaseConsumer<QuietContext>,
    topics: &[(String, u32)],
    end: Offset,
) -> Result<BTreeMap<(String, u32), i64>, CatalogError> {
    let mut wanted = TopicPartitionList::new();
    for (topic, partitions) in topics {
        for partition in 0..*partitions {
            let added = wanted.add_partition_offset(topic, partition.cast_signed(), end);
            added.map_err(|error| broker_error(DOING, &error))?;
        }
    }
    let found = consumer.offsets_for_times(wanted, ANSWER).map_err(|error| broker_error(DOING, &error))?;
    let mut offsets = BTreeMap::new();
    for element in found.elements() {
        if let (Offset::Offset(offset), Ok(())) = (element.offset(), element.error()) {
            offsets.insert((element.topic().to_owned(), element.partition().cast_unsigned()), offset);
        }
    }
    Ok(offsets)
}
