//! Reading the last record of a key from a control topic that others write to, too.
//!
//! A `read_committed` reader sees nothing above the oldest open transaction of the partition, and other sources share
//! it. So whoever must know the newest record first commits one of their own, and reads until they see it: then all
//! that was committed before is visible as well.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Message, Offset, TopicPartitionList};

use super::{BrokerError, QuietContext, client_config};
use crate::error::SourceError;

/// A consumer that is dropped beside the caller: librdkafka takes up to 100 ms to close one.
struct DropBeside(Option<BaseConsumer<QuietContext>>);

impl Drop for DropBeside {
    fn drop(&mut self) {
        let consumer = self.0.take();
        // If no thread can be had, it is dropped here.
        let _ = std::thread::Builder::new().name("kafka consumer drop".to_owned()).spawn(move || drop(consumer));
    }
}

/// Until where a control topic is read.
pub(crate) enum Until<'a> {
    /// To a record of our own, known by key and value: everything committed before it is seen.
    Own(&'a str, &'a [u8]),
    /// To the end that is visible now, which may miss what an open transaction hides.
    VisibleEnd,
}

/// The newest value of `key`; `None` if there is none. Looks at the end of the topic first, and further back as long as
/// it finds nothing.
pub(crate) fn read_last(
    bootstrap: &str,
    over: &BTreeMap<String, String>,
    topic: &str,
    key: &str,
    until: &Until<'_>,
    timeout: Duration,
) -> Result<Option<Vec<u8>>, BrokerError> {
    const DOING: &str = "reading the position";
    let broker = |error: &KafkaError| BrokerError::of(DOING, error);
    let ours = [
        ("group.id", "__weft.source"),
        ("enable.auto.commit", "false"),
        ("isolation.level", "read_committed"),
        ("auto.offset.reset", "earliest"),
        ("fetch.wait.max.ms", "10"),
        ("enable.partition.eof", "true"),
    ];
    let consumer: BaseConsumer<QuietContext> =
        client_config(bootstrap, &ours, over).create_with_context(QuietContext).map_err(|error| broker(&error))?;
    let consumer = DropBeside(Some(consumer));
    let consumer = consumer.0.as_ref().expect("taken only when dropped");
    let (low, high) = consumer.fetch_watermarks(topic, 0, timeout).map_err(|error| broker(&error))?;
    let mut reach = 1_000;
    loop {
        let from = low.max(high - reach);
        let mut at = TopicPartitionList::new();
        at.add_partition_offset(topic, 0, Offset::Offset(from)).map_err(|error| broker(&error))?;
        consumer.assign(&at).map_err(|error| broker(&error))?;
        let deadline = Instant::now() + timeout;
        let mut found = None;
        loop {
            if Instant::now() >= deadline {
                return Err(BrokerError::Retry(SourceError::Kafka {
                    doing: DOING,
                    reason: "an open transaction of another source hides the end of the topic".to_owned(),
                    retriable: true,
                }));
            }
            match consumer.poll(Duration::from_millis(100)) {
                None => {}
                Some(Err(KafkaError::PartitionEOF(_))) => match until {
                    Until::VisibleEnd => break,
                    Until::Own(..) => {}
                },
                Some(Err(error)) => match broker(&error) {
                    // librdkafka reports what it retries by itself, too; the deadline bounds that.
                    BrokerError::Retry(_) => {}
                    fatal => return Err(fatal),
                },
                Some(Ok(message)) => {
                    let (Some(record_key), value) = (message.key(), message.payload()) else { continue };
                    if record_key == key.as_bytes() {
                        found = Some(value.map(<[u8]>::to_vec));
                    }
                    if let Until::Own(own_key, own_value) = until
                        && record_key == own_key.as_bytes()
                        && value == Some(own_value)
                    {
                        break;
                    }
                }
            }
        }
        if let Some(found) = found {
            return Ok(found);
        }
        if from == low {
            return Ok(None);
        }
        reach *= 32;
    }
}
