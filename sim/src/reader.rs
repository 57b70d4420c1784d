//! Readers: what a Kafka consumer makes of what it fetches.

use std::collections::BTreeSet;

use weft_log::store::{Isolation, Partition};
use weft_wire::batch;
use weft_wire::env::sim::SimRng;

use crate::journal::{Journal, decode};

const INFLATED_MAX: u64 = 16 << 20;

/// Reads from `from` to the line of the isolation. Answers (offset, value), without markers and, for
/// `read_committed`, without aborted records, filtered as a consumer does.
pub(crate) fn read(
    partition: &Partition,
    from: i64,
    isolation: Isolation,
    max_bytes: usize,
) -> Result<Vec<(i64, u64)>, String> {
    let index = partition.index();
    let mut found = Vec::new();
    let mut next = from;
    loop {
        let fetched = partition
            .fetch(next, max_bytes, isolation)
            .map_err(|error| format!("fetch of partition {index} at {next}: {error}"))?;
        let line = match isolation {
            Isolation::ReadUncommitted => fetched.high_watermark,
            Isolation::ReadCommitted => fetched.last_stable_offset,
        };
        let (batches, good) = batch::split(&fetched.records);
        if good != fetched.records.len() {
            return Err(format!("partition {index} at {next}: the answer ends in half a batch"));
        }
        let Some((last, _)) = batches.last() else {
            return if next >= line {
                Ok(found)
            } else {
                Err(format!("partition {index} at {next}: empty answer below the line {line}"))
            };
        };
        let after = last.last_offset() + 1;
        if after > line {
            return Err(format!("partition {index}: answer up to {after} passes the line {line}"));
        }
        let mut aborted: Vec<_> = fetched.aborted.iter().collect();
        aborted.reverse();
        let mut aborting = BTreeSet::new();
        for (header, bytes) in &batches {
            header.check_crc(bytes).map_err(|error| format!("partition {index} at {next}: {error}"))?;
            while let Some(first) = aborted.pop_if(|first| first.first_offset <= header.base_offset) {
                aborting.insert(first.producer_id);
            }
            if let Some(commit) = header.marker(bytes) {
                if !commit {
                    aborting.remove(&header.producer_id);
                }
                continue;
            }
            if isolation == Isolation::ReadCommitted
                && header.is_transactional()
                && aborting.contains(&header.producer_id)
            {
                continue;
            }
            for record in batch::records(bytes, INFLATED_MAX).map_err(|error| error.to_string())? {
                let value = record.value.as_deref().and_then(decode).ok_or("a record that nobody sent")?;
                if record.offset >= next {
                    found.push((record.offset, value));
                }
            }
        }
        next = after;
    }
}

/// A reader that looks somewhere and remembers what it saw.
pub(crate) fn look(partition: &Partition, journal: &mut Journal, rng: &SimRng) -> Result<u64, String> {
    use crate::journal::Fate;
    let offsets = partition.offsets();
    let index = partition.index();
    let (isolation, line) = if rng.one_in(2) {
        (Isolation::ReadCommitted, offsets.last_stable_offset)
    } else {
        (Isolation::ReadUncommitted, offsets.high_watermark)
    };
    let span = (line - offsets.log_start_offset) as u64;
    let from = offsets.log_start_offset + rng.below(span + 1) as i64;
    let max_bytes = [1, 500, 5000, 1 << 20][rng.below(4) as usize];
    let mut seen = 0;
    for (offset, value) in read(partition, from, isolation, max_bytes)? {
        seen += 1;
        journal.saw((index, offset), value)?;
        let fate = journal.fates.get(&value).copied();
        if isolation == Isolation::ReadCommitted && matches!(fate, None | Some(Fate::Aborted | Fate::Undecided)) {
            return Err(format!("read_committed shows value {value} at ({index}, {offset}): {fate:?}"));
        }
    }
    Ok(seen)
}
