//! A transactional id as a table of steps, and its records through the meta log.

use uuid::Uuid;

use super::core::{End, Init, Producer, State, Txn};
use crate::error::TxnError;
use crate::records::Record;

const TIMEOUT: i32 = 1_000;
const TV1: bool = false;
const TV2: bool = true;

fn at(partition: i32) -> (Uuid, i32) {
    (Uuid::from_u128(7), partition)
}

/// A transactional id whose producer has id 5 and epoch 0.
fn ready() -> (Txn, Producer) {
    let mut txn = Txn::new(5, TIMEOUT, 0);
    let init = txn.init(0, TIMEOUT, None, 99).unwrap();
    let producer = Producer { id: 5, epoch: 0 };
    assert_eq!(init, Init::Ready(producer));
    (txn, producer)
}

fn end(txn: &mut Txn, producer: Producer, commit: bool, raises_epoch: bool) -> Result<End, TxnError> {
    let ended = txn.end(10, producer, commit, raises_epoch, 99);
    if let Ok(End::Start(_)) = &ended {
        assert!(txn.resume().is_some(), "from here on a restart must finish it");
        txn.complete(11);
    }
    ended
}

#[test]
fn tv1_keeps_the_epoch_and_repeats_its_answer() {
    let (mut txn, producer) = ready();
    assert_eq!(end(&mut txn, producer, true, TV1), Err(TxnError::InvalidState { state: "Empty" }));
    assert_eq!(txn.add(1, producer, &[at(0)], None), Ok(true));
    assert_eq!(txn.add(1, producer, &[at(0)], None), Ok(false));
    assert_eq!(txn.check_partition(producer, at(0)), Ok(()));
    assert_eq!(txn.check_partition(producer, at(1)), Err(TxnError::NotInTransaction));
    assert_eq!(txn.check_group(producer, "g"), Err(TxnError::NotInTransaction));
    assert_eq!(txn.add(1, producer, &[], Some("g")), Ok(true));
    assert_eq!(txn.check_group(producer, "g"), Ok(()));
    let Ok(End::Start(ending)) = end(&mut txn, producer, true, TV1) else { panic!("{txn:?}") };
    assert_eq!((ending.marker, ending.commit), (producer, true));
    assert_eq!((ending.partitions.len(), ending.groups.len()), (1, 1));
    assert_eq!(txn.state, State::CompleteCommit);
    assert_eq!(end(&mut txn, producer, true, TV1), Ok(End::Already(producer)));
    let wrong = Err(TxnError::InvalidState { state: "CompleteCommit" });
    assert_eq!(end(&mut txn, producer, false, TV1), wrong);
    assert_eq!(txn.check_partition(producer, at(0)), Err(TxnError::NotInTransaction));
}

#[test]
fn tv2_raises_the_epoch_on_every_end() {
    let (mut txn, producer) = ready();
    txn.add(1, producer, &[at(0)], None).unwrap();
    let Ok(End::Start(ending)) = end(&mut txn, producer, true, TV2) else { panic!("{txn:?}") };
    let next = Producer { id: 5, epoch: 1 };
    assert_eq!(ending.marker, next);
    assert_eq!(txn.producer(), next);
    // The answer was lost: the same question again, one epoch behind.
    assert_eq!(end(&mut txn, producer, true, TV2), Ok(End::Already(next)));
    assert_eq!(end(&mut txn, producer, false, TV2), Err(TxnError::InvalidState { state: "CompleteCommit" }));
    // A delayed write of the last transaction cannot touch the next one.
    assert_eq!(txn.add(2, producer, &[at(0)], None), Err(TxnError::Fenced));
    // Nothing reached us, yet the client aborts: allowed, and it raises the epoch. A commit of nothing is not.
    assert_eq!(end(&mut txn, next, true, TV2), Err(TxnError::InvalidState { state: "CompleteCommit" }));
    assert!(matches!(end(&mut txn, next, false, TV2), Ok(End::Start(_))));
    assert_eq!(txn.producer(), Producer { id: 5, epoch: 2 });
    assert_eq!(txn.state, State::CompleteAbort);
}

#[test]
fn used_up_epochs_rotate_the_id() {
    let (mut txn, _) = ready();
    txn.producer_epoch = i16::MAX - 1;
    let last = txn.producer();
    txn.add(1, last, &[at(0)], None).unwrap();
    let Ok(End::Start(ending)) = end(&mut txn, last, true, TV2) else { panic!("{txn:?}") };
    assert_eq!(ending.marker, Producer { id: 5, epoch: i16::MAX });
    let fresh = Producer { id: 99, epoch: 0 };
    assert_eq!(txn.producer(), fresh);
    assert_eq!(end(&mut txn, last, true, TV2), Ok(End::Already(fresh)));
    // And by InitProducerId.
    let (mut txn, _) = ready();
    txn.producer_epoch = i16::MAX - 1;
    assert_eq!(txn.init(1, TIMEOUT, None, 99), Ok(Init::Ready(fresh)));
}

#[test]
fn a_newer_producer_fences_the_older_and_aborts_its_transaction() {
    let (mut txn, old) = ready();
    txn.add(1, old, &[at(0)], None).unwrap();
    let Ok(Init::AbortFirst(ending)) = txn.init(2, TIMEOUT, None, 99) else { panic!("{txn:?}") };
    assert!(!ending.commit);
    assert_eq!(ending.marker.epoch, 1, "the marker shuts the old epoch out of the partition");
    assert_eq!(txn.init(2, TIMEOUT, None, 99), Err(TxnError::Concurrent));
    txn.complete(3);
    assert_eq!(txn.init(4, TIMEOUT, None, 99), Ok(Init::Ready(Producer { id: 5, epoch: 2 })));
    for step in [
        txn.clone().add(5, old, &[at(0)], None).map(|_| ()),
        end(&mut txn.clone(), old, true, TV1).map(|_| ()),
        txn.check_partition(old, at(0)),
    ] {
        assert_eq!(step, Err(TxnError::Fenced));
    }
    let stranger = Producer { id: 6, epoch: 0 };
    assert_eq!(txn.add(5, stranger, &[at(0)], None), Err(TxnError::UnknownProducerId));
}

#[test]
fn a_producer_raises_its_own_epoch_once() {
    let (mut txn, old) = ready();
    let new = Producer { id: 5, epoch: 1 };
    assert_eq!(txn.init(1, TIMEOUT, Some(old), 99), Ok(Init::Ready(new)));
    // The answer was lost: asked again with the same expectation, the same answer.
    assert_eq!(txn.init(2, TIMEOUT, Some(old), 99), Ok(Init::Ready(new)));
    assert_eq!(txn.init(3, TIMEOUT, None, 99), Ok(Init::Ready(Producer { id: 5, epoch: 2 })));
    assert_eq!(txn.init(4, TIMEOUT, Some(old), 99), Err(TxnError::Fenced));
}

#[test]
fn a_late_transaction_is_aborted_and_its_producer_shut_out() {
    let (mut txn, producer) = ready();
    assert_eq!(txn.expire(1_000_000), None, "nothing is open");
    txn.add(100, producer, &[at(0)], None).unwrap();
    txn.add(900, producer, &[at(1)], None).unwrap();
    assert_eq!(txn.deadline(), Some(1_100), "counted from the first partition");
    assert_eq!(txn.expire(1_099), None);
    let ending = txn.expire(1_100).unwrap();
    assert!(!ending.commit);
    txn.complete(1_101);
    assert_eq!(end(&mut txn, producer, true, TV1), Err(TxnError::Fenced));
}

#[test]
fn prepared_means_decided() {
    let (mut txn, producer) = ready();
    txn.add(1, producer, &[at(0)], None).unwrap();
    assert!(matches!(txn.end(2, producer, true, TV1, -1), Ok(End::Start(_))));
    assert_eq!(txn.end(3, producer, true, TV1, -1), Err(TxnError::Concurrent));
    let state = "PrepareCommit";
    assert_eq!(txn.end(3, producer, false, TV1, -1), Err(TxnError::InvalidState { state }));
    assert_eq!(txn.add(3, producer, &[at(1)], None), Err(TxnError::Concurrent));
    assert_eq!(txn.expire(i64::MAX), None, "a decided transaction does not time out");
    assert_eq!(txn.resume().map(|e| e.commit), Some(true));
}

#[test]
fn every_state_survives_the_meta_log() {
    let (mut txn, producer) = ready();
    let mut seen = vec![txn.clone()];
    txn.add(1, producer, &[at(0), at(3)], Some("g")).unwrap();
    seen.push(txn.clone());
    txn.end(2, producer, true, TV2, 99).unwrap();
    seen.push(txn.clone());
    txn.complete(3);
    seen.push(txn.clone());
    for txn in seen {
        let record = Record::Transaction("id".to_owned(), txn);
        let (key, value) = record.put();
        assert_eq!(Record::decode(&key, &value.unwrap()), Ok(record));
    }
}
