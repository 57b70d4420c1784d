//! One seed: several lives of a store on one disk, with a workload and checks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;
use weft_log::store::{
    AppendError, AppendOrigin, Isolation, MetaPosition, Partition, PartitionConfig, Store, StoreOptions,
};
use weft_wire::batch::{self, BatchSpec, Codec, NewRecord};
use weft_wire::env::Clock;
use weft_wire::env::sim::SimWorld;

use crate::journal::{Fate, Journal, PARTITIONS, Unacknowledged, encode};
use crate::reader::{look, read};
use crate::transactions::{Stage, Transactional};

/// A bug planted on purpose, to see that it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plant {
    Nothing,
    /// Appends are acknowledged when they are written, not when they are durable.
    AckBeforeSync,
    /// The disk answers syncs and does nothing.
    LyingDisk,
    /// The disk does so while the log recovers: a recovery that forgets its syncs.
    RecoveryWithoutSync,
}

/// What a run did. Equal for equal seeds, down to the last disk operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Outcome {
    pub(crate) lives: u64,
    pub(crate) recoveries_cut: u64,
    pub(crate) acknowledged: u64,
    pub(crate) seen: u64,
    pub(crate) committed: u64,
    pub(crate) aborted: u64,
    pub(crate) resent: u64,
    pub(crate) disk_operations: u64,
    pub(crate) log_end: i64,
    /// Of everything that is readable at the end.
    pub(crate) digest: u64,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} lives, {} recoveries cut off, {} records acknowledged, {} places seen, {} transactional records committed and {} aborted, \
             {} batches resent, {} disk operations, log ends {}, digest {:016x}",
            self.lives,
            self.recoveries_cut,
            self.acknowledged,
            self.seen,
            self.committed,
            self.aborted,
            self.resent,
            self.disk_operations,
            self.log_end,
            self.digest
        )
    }
}

/// Batches an idempotent producer may have in flight per partition.
const IN_FLIGHT_MAX: usize = 5;

/// How often the power may go while one start recovers.
const RECOVERY_CUTS_MAX: u32 = 3;

const DIR: &str = "data";

struct Idempotent {
    producer_id: i64,
    next_sequence: Vec<i32>,
    /// Oldest first, all partitions together.
    unacknowledged: VecDeque<Unacknowledged>,
}

struct Simulation {
    world: SimWorld,
    plant: Plant,
    topic: Uuid,
    journal: Journal,
    plain: Vec<Unacknowledged>,
    idempotent: Vec<Idempotent>,
    transactional: Vec<Transactional>,
    /// Counter put to the meta log, and what is acknowledged of it.
    meta_value: u64,
    meta_pending: VecDeque<(MetaPosition, u64)>,
    meta_acknowledged: u64,
    leader_epoch: i32,
    /// Disk operations of the last start that was left alone.
    start_operations: u64,
    outcome: Outcome,
}

/// Runs one seed.
pub(crate) fn run(seed: u64, plant: Plant) -> Result<Outcome, String> {
    let world = SimWorld::new(seed);
    let topic = world.env.random_uuid();
    let simulation = Simulation {
        world,
        plant,
        topic,
        journal: Journal::default(),
        plain: Vec::new(),
        idempotent: (0..2).map(|index| idempotent(100 + index)).collect(),
        transactional: (0..2).map(|index| Transactional::new(200 + index, PARTITIONS)).collect(),
        meta_value: 0,
        meta_pending: VecDeque::new(),
        meta_acknowledged: 0,
        leader_epoch: -1,
        start_operations: 0,
        outcome: Outcome::default(),
    };
    simulation.lives()
}

fn idempotent(producer_id: i64) -> Idempotent {
    Idempotent { producer_id, next_sequence: vec![0; PARTITIONS as usize], unacknowledged: VecDeque::new() }
}

fn text(error: impl fmt::Display) -> String {
    error.to_string()
}

impl Simulation {
    fn lives(mut self) -> Result<Outcome, String> {
        let lives = 3 + self.world.rng.below(3);
        for life in 0..lives {
            let last = life + 1 == lives;
            let store = self.begin()?;
            let steps = 40 + self.world.rng.below(120);
            for _ in 0..steps {
                self.step(&store)?;
            }
            if last {
                while store.sync_step() {}
                self.acknowledge(&store)?;
                self.check(&store)?;
                self.finish(&store)?;
            } else {
                self.stop(&store)?;
            }
            drop(store);
        }
        self.outcome.lives = lives;
        self.outcome.disk_operations = self.world.disk.operations();
        self.outcome.acknowledged = self.journal.acknowledged.len() as u64;
        self.outcome.seen = self.journal.seen.len() as u64;
        let count = |fate| self.journal.fates.values().filter(|found| **found == fate).count() as u64;
        self.outcome.committed = count(Fate::Committed);
        self.outcome.aborted = count(Fate::Aborted);
        Ok(self.outcome)
    }

    /// The end of a life: cut, killed or clean.
    fn stop(&mut self, store: &Arc<Store>) -> Result<(), String> {
        let rng = Arc::clone(&self.world.rng);
        match rng.below(10) {
            0 => {
                store.close().map_err(text)?;
                self.acknowledge(store)?;
                self.world.disk.kill();
            }
            1 | 2 => self.world.disk.kill(),
            _ => self.world.disk.cut_power(),
        }
        Ok(())
    }

    fn options() -> StoreOptions {
        StoreOptions { sync_threads: 0, index_interval_bytes: 512, meta_compact_bytes: 1024, ..StoreOptions::default() }
    }

    fn config(index: u32) -> PartitionConfig {
        PartitionConfig {
            segment_bytes: 3000 << (2 * index),
            retention_ms: -1,
            retention_bytes: if index == 0 { 12_000 } else { -1 },
            ..PartitionConfig::default()
        }
    }

    /// Starts. On the way the power may go at any operation of the recovery, which then begins again on what is left.
    fn begin(&mut self) -> Result<Arc<Store>, String> {
        let disk = self.world.disk.clone();
        for _ in 0..RECOVERY_CUTS_MAX {
            if self.world.rng.one_in(2) {
                break;
            }
            // A little further than the last one went, so that some recoveries end first.
            let reach = self.start_operations + self.start_operations / 4 + 8;
            disk.cut_power_after(self.world.rng.below(reach));
            let started = self.start_as_planted();
            if !disk.is_off() {
                disk.cut_power_after(u64::MAX);
                return started;
            }
            drop(started);
            disk.cut_power();
            self.outcome.recoveries_cut += 1;
        }
        let before = disk.operations();
        let started = self.start_as_planted();
        self.start_operations = disk.operations() - before;
        started
    }

    fn start_as_planted(&mut self) -> Result<Arc<Store>, String> {
        let disk = self.world.disk.clone();
        disk.ignore_sync(matches!(self.plant, Plant::LyingDisk | Plant::RecoveryWithoutSync));
        let started = self.start();
        disk.ignore_sync(self.plant == Plant::LyingDisk);
        started
    }

    fn start(&mut self) -> Result<Arc<Store>, String> {
        let (store, meta) = Store::open(self.world.env.clone(), Path::new(DIR), Self::options()).map_err(text)?;
        let epoch = store.leader_epoch();
        if self.leader_epoch >= 0 && (epoch <= self.leader_epoch) != store.was_clean() {
            return Err(format!("leader epoch {epoch} after {}, clean: {}", self.leader_epoch, store.was_clean()));
        }
        self.leader_epoch = epoch;
        for index in 0..PARTITIONS {
            store.create_partition(self.topic, index, Self::config(index)).map_err(text)?;
        }
        let counter = meta.iter().find(|(key, _)| key == "counter");
        let counter = counter.and_then(|(_, value)| crate::journal::decode(value)).unwrap_or(0);
        if counter < self.meta_acknowledged || counter > self.meta_value {
            let (low, high) = (self.meta_acknowledged, self.meta_value);
            return Err(format!("meta counter is {counter}, {low} was acknowledged and {high} put"));
        }
        self.meta_pending.clear();
        self.meta_value = counter;
        // Plain batches that were not acknowledged may be there or not; nobody asks again.
        self.plain.clear();
        for producer in &mut self.transactional {
            producer.recover(&store, self.topic, &meta, &mut self.journal)?;
        }
        self.resend(&store)?;
        self.check(&store)?;
        Ok(store)
    }

    fn partition(&self, store: &Store, index: u32) -> Result<Arc<Partition>, String> {
        store.partition(self.topic, index).ok_or_else(|| format!("partition {index} is gone"))
    }

    /// After a crash an idempotent producer sends again what was not acknowledged; the log knows what it has.
    fn resend(&mut self, store: &Store) -> Result<(), String> {
        for producer in &mut self.idempotent {
            for batch in &mut producer.unacknowledged {
                let partition = store.partition(self.topic, batch.partition).ok_or("no partition")?;
                let appended = partition
                    .append(&batch.bytes, AppendOrigin::Client)
                    .map_err(|error| format!("resend to partition {}: {error}", batch.partition))?;
                if appended.duplicate && appended.base_offset != batch.base_offset {
                    let (was, is) = (batch.base_offset, appended.base_offset);
                    return Err(format!("a batch first answered {was} is a duplicate of {is}"));
                }
                batch.base_offset = appended.base_offset;
                self.outcome.resent += 1;
            }
        }
        Ok(())
    }

    fn step(&mut self, store: &Arc<Store>) -> Result<(), String> {
        let rng = Arc::clone(&self.world.rng);
        self.world.clock.advance(Duration::from_millis(rng.below(1000)));
        match rng.below(24) {
            0..=4 => self.produce(store)?,
            5..=8 => self.produce_idempotent(store)?,
            9..=12 => self.transact(store)?,
            13..=16 => {
                for _ in 0..=rng.below(3) {
                    store.sync_step();
                }
                self.acknowledge(store)?;
            }
            17..=19 => {
                let partition = self.partition(store, rng.below(u64::from(PARTITIONS)) as u32)?;
                look(&partition, &mut self.journal, &rng)?;
            }
            20 => {
                store.housekeeping();
                self.acknowledge(store)?;
                self.note_log_start(store)?;
            }
            21 => self.delete_records(store)?,
            _ => {
                self.meta_value += 1;
                let value = Bytes::copy_from_slice(&self.meta_value.to_be_bytes());
                let filler = (Bytes::from_static(b"filler"), Some(Bytes::from(vec![7; 200])));
                let put = store.meta().put(vec![(Bytes::from_static(b"counter"), Some(value)), filler]);
                self.meta_pending.push_back((put.map_err(text)?, self.meta_value));
            }
        }
        if self.plant == Plant::AckBeforeSync {
            self.acknowledge(store)?;
        }
        Ok(())
    }

    fn batch(&self, spec: &BatchSpec, values: &[u64]) -> Bytes {
        let rng = &self.world.rng;
        let bodies: Vec<Vec<u8>> = values.iter().map(|&value| encode(value, rng)).collect();
        let timestamp = self.world.clock.wall_ms();
        let records: Vec<NewRecord<'_>> =
            bodies.iter().map(|body| NewRecord { timestamp, key: None, value: Some(body), headers: &[] }).collect();
        let codec = Codec::ALL[rng.below(5) as usize];
        Bytes::from(batch::build(&BatchSpec { codec, ..*spec }, &records))
    }

    fn send(&mut self, store: &Store, index: u32, spec: &BatchSpec, fate: Fate) -> Result<Unacknowledged, String> {
        let count = 1 + self.world.rng.below(6);
        let values = self.journal.values(count, fate);
        let bytes = self.batch(spec, &values);
        let partition = self.partition(store, index)?;
        let appended = partition
            .append(&bytes, AppendOrigin::Client)
            .map_err(|error| format!("append to partition {index}: {error}"))?;
        if appended.duplicate {
            return Err(format!("a new batch was taken for a duplicate in partition {index}"));
        }
        Ok(Unacknowledged { partition: index, bytes, base_offset: appended.base_offset, values })
    }

    fn produce(&mut self, store: &Store) -> Result<(), String> {
        let index = self.world.rng.below(u64::from(PARTITIONS)) as u32;
        let batch = self.send(store, index, &BatchSpec::PLAIN, Fate::Plain)?;
        self.plain.push(batch);
        Ok(())
    }

    fn produce_idempotent(&mut self, store: &Store) -> Result<(), String> {
        let rng = Arc::clone(&self.world.rng);
        let which = rng.below(self.idempotent.len() as u64) as usize;
        let index = rng.below(u64::from(PARTITIONS)) as u32;
        let producer = &self.idempotent[which];
        let in_flight: Vec<Unacknowledged> =
            producer.unacknowledged.iter().filter(|batch| batch.partition == index).cloned().collect();
        if in_flight.len() == IN_FLIGHT_MAX || (!in_flight.is_empty() && rng.one_in(4)) {
            // The answer was lost on the way: send one of them again.
            let batch = &in_flight[rng.below(in_flight.len() as u64) as usize];
            let partition = self.partition(store, index)?;
            let appended = partition.append(&batch.bytes, AppendOrigin::Client).map_err(text)?;
            if !appended.duplicate || appended.base_offset != batch.base_offset {
                return Err(format!("resent batch at {} was answered with {appended:?}", batch.base_offset));
            }
            return Ok(());
        }
        let base_sequence = producer.next_sequence[index as usize];
        let spec =
            BatchSpec { producer_id: producer.producer_id, producer_epoch: 0, base_sequence, ..BatchSpec::PLAIN };
        // An unknown producer may begin anywhere; a known one may not leave a gap.
        let known = self.partition(store, index)?.producer(spec.producer_id).is_some();
        if known && rng.one_in(10) {
            let gap = BatchSpec { base_sequence: base_sequence + 1, ..spec };
            let refused = self.partition(store, index)?.append(&self.batch(&gap, &[u64::MAX]), AppendOrigin::Client);
            return match refused {
                Err(AppendError::OutOfOrderSequence { .. }) => Ok(()),
                other => Err(format!("a gap in the sequence was answered with {other:?}")),
            };
        }
        let batch = self.send(store, index, &spec, Fate::Plain)?;
        let producer = &mut self.idempotent[which];
        producer.next_sequence[index as usize] += batch.values.len() as i32;
        producer.unacknowledged.push_back(batch);
        Ok(())
    }

    fn transact(&mut self, store: &Store) -> Result<(), String> {
        let rng = Arc::clone(&self.world.rng);
        let which = rng.below(self.transactional.len() as u64) as usize;
        let producer = &self.transactional[which];
        let open = matches!(producer.stage, Stage::Idle | Stage::Open);
        if !open || (matches!(producer.stage, Stage::Open) && rng.one_in(3)) {
            let commit = !rng.one_in(3);
            return self.transactional[which].step(store, self.topic, commit, &mut self.journal);
        }
        let index = rng.below(u64::from(PARTITIONS)) as u32;
        let spec = BatchSpec {
            producer_id: producer.producer_id,
            producer_epoch: producer.epoch,
            base_sequence: producer.next_sequence[index as usize],
            transactional: true,
            ..BatchSpec::PLAIN
        };
        let batch = self.send(store, index, &spec, Fate::Undecided)?;
        let producer = &mut self.transactional[which];
        producer.stage = Stage::Open;
        producer.partitions.insert(index);
        producer.next_sequence[index as usize] += batch.values.len() as i32;
        producer.values.extend(&batch.values);
        producer.unacknowledged.push(batch);
        Ok(())
    }

    fn delete_records(&mut self, store: &Store) -> Result<(), String> {
        let rng = Arc::clone(&self.world.rng);
        let partition = self.partition(store, rng.below(u64::from(PARTITIONS)) as u32)?;
        let offsets = partition.offsets();
        let span = (offsets.high_watermark - offsets.log_start_offset) as u64;
        let to = offsets.log_start_offset + rng.below(span / 4 + 1) as i64;
        let start = partition.delete_records(to).map_err(text)?;
        if start != to.max(offsets.log_start_offset) {
            return Err(format!("delete to {to} answered {start}"));
        }
        self.note_log_start(store)
    }

    fn note_log_start(&mut self, store: &Store) -> Result<(), String> {
        for index in 0..PARTITIONS {
            let start = self.partition(store, index)?.offsets().log_start_offset;
            self.journal.log_start.insert(index, start);
        }
        Ok(())
    }

    /// Clients learn of what is durable (or, with the planted bug, of what is written).
    fn acknowledge(&mut self, store: &Store) -> Result<(), String> {
        let early = self.plant == Plant::AckBeforeSync;
        let mut lines = BTreeMap::new();
        for index in 0..PARTITIONS {
            let offsets = self.partition(store, index)?.offsets();
            lines.insert(index, if early { offsets.log_end_offset } else { offsets.high_watermark });
        }
        let durable =
            |batch: &Unacknowledged| lines.get(&batch.partition).is_some_and(|line| batch.last_offset() < *line);
        let journal = &mut self.journal;
        let mut failed = None;
        let mut keep = |batch: &Unacknowledged| {
            if !durable(batch) {
                return true;
            }
            if let Err(error) = journal.acknowledge(batch) {
                failed = Some(error);
            }
            false
        };
        self.plain.retain(&mut keep);
        for producer in &mut self.idempotent {
            producer.unacknowledged.retain(&mut keep);
        }
        for producer in &mut self.transactional {
            producer.unacknowledged.retain(&mut keep);
        }
        while let Some(&(position, value)) = self.meta_pending.front() {
            if !early && !store.meta().is_durable(position) {
                break;
            }
            self.meta_acknowledged = value;
            self.meta_pending.pop_front();
        }
        failed.map_or(Ok(()), Err)
    }

    /// Everything the journal knows must be so.
    fn check(&mut self, store: &Store) -> Result<(), String> {
        for index in 0..PARTITIONS {
            let partition = self.partition(store, index)?;
            if let Some(damage) = partition.damage() {
                return Err(format!("partition {index} is offline: {damage}"));
            }
            let offsets = partition.offsets();
            let known_start = self.journal.log_start.get(&index).copied().unwrap_or(0);
            if offsets.log_start_offset < known_start {
                let start = offsets.log_start_offset;
                return Err(format!("partition {index}: log start was {known_start}, now {start}"));
            }
            let all = read(&partition, offsets.log_start_offset, Isolation::ReadUncommitted, 1 << 20)?;
            let committed = read(&partition, offsets.log_start_offset, Isolation::ReadCommitted, 1 << 20)?;
            self.check_places(index, offsets.log_start_offset, &all)?;
            self.check_committed(index, &offsets, &all, &committed)?;
            for &(offset, value) in &all {
                self.journal.saw((index, offset), value)?;
            }
        }
        self.note_log_start(store)
    }

    fn check_places(&self, index: u32, start: i64, all: &[(i64, u64)]) -> Result<(), String> {
        let mut found = BTreeMap::new();
        let mut values = BTreeSet::new();
        let mut before = start - 1;
        for &(offset, value) in all {
            if offset <= before {
                return Err(format!("partition {index}: offset {offset} after {before}"));
            }
            before = offset;
            if !values.insert(value) {
                return Err(format!("partition {index}: value {value} is there twice"));
            }
            found.insert(offset, value);
        }
        for (what, places) in [("acknowledged", &self.journal.acknowledged), ("seen", &self.journal.seen)] {
            for (&(_, offset), value) in places.range((index, start)..=(index, i64::MAX)) {
                if found.get(&offset) != Some(value) {
                    let now = found.get(&offset);
                    return Err(format!("value {value} was {what} at ({index}, {offset}), there is {now:?} now"));
                }
            }
        }
        Ok(())
    }

    fn check_committed(
        &self,
        index: u32,
        offsets: &weft_log::store::Offsets,
        all: &[(i64, u64)],
        committed: &[(i64, u64)],
    ) -> Result<(), String> {
        let visible: BTreeSet<(i64, u64)> = committed.iter().copied().collect();
        for &(offset, value) in all {
            let fate = self.journal.fates.get(&value).copied().ok_or("a value that nobody sent")?;
            let shown = visible.contains(&(offset, value));
            let right = match fate {
                Fate::Plain | Fate::Committed => shown || offset >= offsets.last_stable_offset,
                Fate::Aborted | Fate::Undecided => !shown,
            };
            if !right {
                return Err(format!("{fate:?} value {value} at ({index}, {offset}), visible: {shown}"));
            }
        }
        Ok(())
    }

    fn finish(&mut self, store: &Store) -> Result<(), String> {
        let mut digest = 0u64;
        for index in 0..PARTITIONS {
            let partition = self.partition(store, index)?;
            let offsets = partition.offsets();
            self.outcome.log_end += offsets.log_end_offset;
            for (offset, value) in read(&partition, offsets.log_start_offset, Isolation::ReadCommitted, 1 << 20)? {
                for word in [u64::from(index), offset as u64, value] {
                    digest = (digest ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
                }
            }
        }
        self.outcome.digest = digest;
        Ok(())
    }
}
