//! The power goes at every disk operation between the end of a transaction and the first records of the producer's
//! next one. The producer is of the old dialect (TV1): both transactions carry the same epoch, so nothing but the meta
//! log tells the markers and records of one from those of the other.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;
use weft_wire::batch::{self, BatchSpec, NewRecord};
use weft_wire::env::sim::SimWorld;

use super::core::Producer;
use crate::Options;
use crate::authorizer::AllowAll;
use crate::broker::Broker;
use crate::error::StartError;
use crate::store::{AppendOrigin, Isolation, Partition};
use crate::topic_config::Configs;
use crate::topics::NewTopic;

const ID: &str = "x";
const TOPIC: Uuid = Uuid::from_u128(7);
const PARTITIONS: i32 = 2;

async fn open(world: &SimWorld) -> Result<Arc<Broker>, StartError> {
    let broker = crate::service::open(Options::new("data"), world.env.clone(), Arc::new(AllowAll), "PLAINTEXT").await?;
    broker.transactions.recover().await;
    Ok(broker)
}

fn partitions(broker: &Broker) -> Vec<Arc<Partition>> {
    broker.topics.get_by_id(TOPIC).expect("made before the power can go").partitions.clone()
}

/// One record of a transaction to every partition, durable when this is true.
async fn write(broker: &Broker, producer: Producer, transaction: i32) -> bool {
    let all: Vec<_> = (0..PARTITIONS).map(|index| (TOPIC, index)).collect();
    if broker.transactions.add(ID, producer, &all, None).is_err() {
        return false;
    }
    for (index, partition) in partitions(broker).iter().enumerate() {
        let spec = BatchSpec {
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            base_sequence: transaction - 1,
            transactional: true,
            ..BatchSpec::PLAIN
        };
        let value = transaction.to_be_bytes();
        let record = NewRecord { timestamp: 1, key: None, value: Some(&value), headers: &[] };
        let bytes = Bytes::from(batch::build(&spec, &[record]));
        let append = || partition.append(&bytes, AppendOrigin::Client);
        let Ok(Ok(appended)) = broker.transactions.append(ID, producer, all[index], false, append) else {
            return false;
        };
        if partition.wait_durable(appended.last_offset).await.is_err() {
            return false;
        }
    }
    true
}

async fn end(broker: &Broker, producer: Producer, commit: bool) -> bool {
    broker.transactions.end(ID, producer, commit, false).await.is_ok()
}

/// The transactions whose records a `read_committed` consumer of the partition gets, by what a consumer does.
fn shown(partition: &Partition) -> Vec<i32> {
    let fetched = partition.fetch(0, 1 << 20, Isolation::ReadCommitted).unwrap();
    let (batches, good) = batch::split(&fetched.records);
    assert_eq!(good, fetched.records.len());
    let mut shown = Vec::new();
    let mut marker_before = -1;
    for (header, bytes) in batches {
        let at = header.base_offset;
        if header.is_control() {
            marker_before = at;
        } else if !fetched.aborted.iter().any(|a| (marker_before + 1..=at).contains(&a.first_offset)) {
            let value = batch::records(bytes, 1 << 20).unwrap().remove(0).value.unwrap();
            shown.push(i32::from_be_bytes(value[..].try_into().unwrap()));
        }
    }
    shown
}

/// What every partition shows; all must show the same, and nothing may be left undecided.
fn settled(broker: &Broker, what: &str) -> Vec<i32> {
    let all: Vec<_> = partitions(broker).iter().map(|partition| shown(partition)).collect();
    assert!(all.iter().all(|one| *one == all[0]), "{what}: partitions disagree: {all:?}");
    for partition in partitions(broker) {
        let offsets = partition.offsets();
        assert_eq!(offsets.last_stable_offset, offsets.log_end_offset, "{what}: something is left open");
    }
    all[0].clone()
}

/// Runs with the power going after so many operations from the first EndTxn. False if that was too late to matter.
async fn cut_after(operations: u64, seed: u64) -> bool {
    let what = format!("cut after {operations} operations, seed {seed}");
    let world = SimWorld::new(seed);
    let broker = open(&world).await.unwrap();
    let new = NewTopic { name: "t".to_owned(), partitions: PARTITIONS.unsigned_abs(), configs: Configs::new() };
    let (_, position) = broker.topics.create(TOPIC, new).unwrap();
    broker.store.meta().wait_durable(position).await.unwrap();
    let producer = broker.transactions.init(ID, 60_000, None).await.unwrap();
    assert!(write(&broker, producer, 1).await);

    world.disk.cut_power_after(operations);
    let first_ended = end(&broker, producer, true).await;
    let second_written = first_ended && write(&broker, producer, 2).await;
    let was_cut = world.disk.is_off();
    drop(broker);
    world.disk.cut_power();

    let broker = open(&world).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    if !first_ended {
        // The client does not know: it asks again, and must hear of the same outcome.
        assert!(end(&broker, producer, true).await, "{what}: the end cannot be repeated");
        assert_eq!(settled(&broker, &what), [1], "{what}");
        return was_cut;
    }
    for partition in partitions(&broker) {
        assert_eq!(shown(&partition), [1], "{what}: before the second transaction ended");
    }
    match (second_written, seed % 2) {
        (true, 0) => {
            assert!(end(&broker, producer, true).await, "{what}: the second transaction is lost");
            assert_eq!(settled(&broker, &what), [1, 2], "{what}");
        }
        (false, 0) => {
            // Refused when nothing of it is left.
            let _ = end(&broker, producer, false).await;
            assert_eq!(settled(&broker, &what), [1], "{what}");
        }
        _ => {
            let next = broker.transactions.init(ID, 60_000, None).await.unwrap();
            assert!(next.epoch > producer.epoch, "{what}");
            assert_eq!(settled(&broker, &what), [1], "{what}");
        }
    }
    was_cut
}

#[tokio::test(flavor = "multi_thread")]
async fn power_cut_at_every_step_between_two_transactions_of_one_epoch() {
    let mut operations = 0;
    loop {
        let mut was_cut = false;
        for seed in 0..8 {
            was_cut |= cut_after(operations, seed).await;
        }
        if !was_cut {
            break;
        }
        operations += 1;
    }
    assert!(operations > 8, "only {operations} operations from one end to the next records");
}
