//! The mesh's progress topic, read once per engine and shown to every product.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Message, Offset, TopicPartitionList};
use weft_model::progress::{ProgressKey, ProgressValue};

/// Declarations kept for readers that follow; one who is further behind takes the latest of everything.
const RECENT_MAX: usize = 65_536;

#[derive(Default)]
struct Inner {
    latest: HashMap<ProgressKey, ProgressValue>,
    recent: VecDeque<(ProgressKey, ProgressValue)>,
    /// Number of the first entry of `recent`.
    first: u64,
}

/// What every writer of the mesh has declared.
#[derive(Default)]
pub(crate) struct Board {
    inner: Mutex<Inner>,
}

impl Board {
    pub(crate) fn take(&self, key: ProgressKey, value: Option<ProgressValue>) {
        let mut inner = self.inner.lock();
        match value {
            None => {
                inner.latest.remove(&key);
            }
            Some(value) => {
                if inner.recent.len() == RECENT_MAX {
                    inner.recent.pop_front();
                    inner.first += 1;
                }
                inner.recent.push_back((key.clone(), value.clone()));
                inner.latest.insert(key, value);
            }
        }
    }

    /// The latest of everything about these topics, and where to follow from.
    pub(crate) fn all(&self, topics: &HashSet<String>) -> (Vec<(ProgressKey, ProgressValue)>, u64) {
        let inner = self.inner.lock();
        let found = inner.latest.iter().filter(|(key, _)| topics.contains(&key.topic));
        let found = found.map(|(key, value)| (key.clone(), value.clone())).collect();
        (found, inner.first + inner.recent.len() as u64)
    }

    /// What came about these topics since `cursor`, which moves.
    pub(crate) fn since(&self, topics: &HashSet<String>, cursor: &mut u64) -> Vec<(ProgressKey, ProgressValue)> {
        {
            let inner = self.inner.lock();
            let end = inner.first + inner.recent.len() as u64;
            if *cursor == end {
                return Vec::new();
            }
            if *cursor >= inner.first {
                let skip = usize::try_from(*cursor - inner.first).expect("the log is in memory");
                let found = inner.recent.iter().skip(skip).filter(|(key, _)| topics.contains(&key.topic));
                let found = found.cloned().collect();
                *cursor = end;
                return found;
            }
        }
        let (found, end) = self.all(topics);
        *cursor = end;
        found
    }
}

/// The thread: reads the topic from its start until told to stop.
pub(crate) fn run(consumer: &BaseConsumer, topic: &str, board: &Arc<Board>, stop: &AtomicBool) {
    let mut list = TopicPartitionList::new();
    let assigned = list.add_partition_offset(topic, 0, Offset::Beginning).and_then(|()| consumer.assign(&list));
    if let Err(error) = assigned {
        tracing::error!(%error, topic, "progress cannot be read");
        return;
    }
    while !stop.load(Ordering::Relaxed) {
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Ok(message)) => {
                let key = message.key().and_then(|key| serde_json::from_slice(key).ok());
                let value = message.payload().and_then(|value| serde_json::from_slice(value).ok());
                match (key, message.payload().is_some(), value) {
                    (Some(key), true, Some(value)) => board.take(key, Some(value)),
                    (Some(key), false, _) => board.take(key, None),
                    _ => tracing::warn!(topic, offset = message.offset(), "progress record is not readable"),
                }
            }
            Some(Err(error)) => tracing::debug!(%error, topic, "progress"),
        }
    }
}
