//! Watermarks of ports, from the progress topic: how far each writer of each topic partition has come.

use std::collections::{BTreeMap, HashMap, VecDeque};

use weft_model::progress::{ProgressKey, ProgressValue, WatermarkMs};

/// Declarations a reader has not reached yet, per writer of a partition. More are merged into the last.
const PENDING_MAX: usize = 256;

#[derive(Debug, Default)]
struct Writer {
    /// Highest watermark whose offset a reader may have reached, by offset; oldest first.
    declared: VecDeque<(i64, WatermarkMs)>,
    writers: u32,
}

/// What all writers of the mesh have declared.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    partitions: HashMap<(String, u32), BTreeMap<u32, Writer>>,
}

impl Progress {
    /// Takes one record of the progress topic.
    pub(crate) fn take(&mut self, key: &ProgressKey, value: Option<&ProgressValue>) {
        let partition = self.partitions.entry((key.topic.clone(), key.partition)).or_default();
        let Some(value) = value else {
            partition.remove(&key.writer);
            return;
        };
        let writer = partition.entry(key.writer).or_default();
        writer.writers = value.writers;
        // A source that starts over declares lower offsets of a new topic: forget what was said about the old one.
        while writer.declared.back().is_some_and(|(offset, _)| *offset >= value.offset) {
            writer.declared.pop_back();
        }
        if writer.declared.len() == PENDING_MAX {
            writer.declared.pop_back();
        }
        writer.declared.push_back((value.offset, value.watermark));
    }

    /// The watermark of a topic whose reader stands at `offsets`: the minimum over partitions and writers; `None` until
    /// every writer of every partition has declared something that was reached.
    pub(crate) fn watermark(&mut self, topic: &str, offsets: &BTreeMap<u32, i64>) -> Option<WatermarkMs> {
        let mut lowest: Option<WatermarkMs> = None;
        for (partition, offset) in offsets {
            let writers = self.partitions.get_mut(&(topic.to_owned(), *partition))?;
            let expected = writers.values().map(|writer| writer.writers).max()?;
            if (writers.len() as u64) < u64::from(expected) {
                return None;
            }
            for writer in writers.values_mut() {
                let reached = writer.declared.iter().rposition(|(declared, _)| declared <= offset)?;
                let (_, watermark) = writer.declared[reached];
                lowest = Some(lowest.map_or(watermark, |low| low.min(watermark)));
            }
        }
        lowest
    }
}
