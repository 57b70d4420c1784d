//! The parts of the runtime that need no Kafka.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;

use weft_model::progress::WATERMARK_NONE;

use super::group::hole;
use super::offsets::CommitNote;
use crate::state::fjall::{StateDatabase, TaskStamp};
use crate::state::{Change, StateStore};

#[test]
fn a_commit_note_keeps_every_tasks_place_and_commits_the_lowest() {
    let mut note = CommitNote::new();
    assert_eq!(note.offset(), None);
    note.add(0, 17, 4711, 1000);
    note.add(2, 16, 4650, 900);
    assert_eq!(note.offset(), Some(4650));
    assert_eq!(note.write(), r#"{"v":1,"c":17,"w":900,"tasks":{"0":[17,4711,1000],"2":[16,4650,900]}}"#);
    assert_eq!(CommitNote::read(&note.write()), Some(note));
    assert_eq!(CommitNote::read(""), None);
    assert_eq!(CommitNote::read(r#"{"v":2,"c":1,"w":0,"tasks":{}}"#), None);
    assert_eq!(CommitNote::new().w, WATERMARK_NONE);
}

fn put(store: usize, key: &[u8], value: &[u8]) -> Change {
    Change { store, key: key.to_vec(), value: Some(value.to_vec()) }
}

#[test]
fn state_and_stamp_survive_together_and_tasks_are_apart() {
    let dir = tempfile::tempdir().unwrap();
    let stores = ["op-1.0".to_owned(), "op-2.0".to_owned()];
    {
        let database = StateDatabase::open(dir.path(), 1 << 20).unwrap();
        let mut one = database.task("g/0/0", &stores).unwrap();
        let mut two = database.task("g/0/1", &["op-1.1".to_owned()]).unwrap();
        assert_eq!(one.stamp(), &TaskStamp::new(2));
        let mut stamp = TaskStamp::new(2);
        stamp.commit = 5;
        stamp.changelog = vec![10, 20];
        let mut batch = database.batch();
        batch.add(&mut one, vec![put(0, b"a", b"1"), put(0, b"b", b"2"), put(1, b"a", b"3")], stamp);
        batch.add(&mut two, vec![put(0, b"a", b"9")], TaskStamp::new(1));
        batch.commit().unwrap();
    }
    let database = StateDatabase::open(dir.path(), 1 << 20).unwrap();
    let mut one = database.task("g/0/0", &stores).unwrap();
    assert_eq!(one.stamp().commit, 5);
    assert_eq!(one.stamp().changelog, [10, 20]);
    let reader = one.reader();
    assert_eq!(reader.get(0, b"b").unwrap().as_deref(), Some(&b"2"[..]));
    assert_eq!(reader.get(1, b"a").unwrap().as_deref(), Some(&b"3"[..]));
    let mut seen = HashMap::new();
    reader
        .scan(0, Bound::Excluded(b"a"), Bound::Unbounded, &mut |key, value| {
            seen.insert(key.to_vec(), value.to_vec());
            true
        })
        .unwrap();
    assert_eq!(seen, HashMap::from([(b"b".to_vec(), b"2".to_vec())]));
    one.clear().unwrap();
    assert_eq!(reader.get(0, b"b").unwrap(), None);
    assert_eq!(database.task("g/0/1", &["op-1.1".to_owned()]).unwrap().reader().get(0, b"a").unwrap().unwrap(), b"9");
}

#[test]
fn the_board_tells_what_is_new_and_all_to_those_far_behind() {
    use weft_model::progress::{ProgressKey, ProgressValue};
    let board = super::progress::Board::default();
    let key = |topic: &str| ProgressKey { topic: topic.to_owned(), partition: 0, writer: 0 };
    let value = |watermark| ProgressValue { v: 1, offset: 1, watermark, complete: false, writers: 1 };
    let mine = HashSet::from(["mine".to_owned()]);
    let (all, mut cursor) = board.all(&mine);
    assert!(all.is_empty());
    board.take(key("mine"), Some(value(1)));
    board.take(key("other"), Some(value(2)));
    assert_eq!(board.since(&mine, &mut cursor), [(key("mine"), value(1))]);
    assert!(board.since(&mine, &mut cursor).is_empty());
    for at in 0..70_000 {
        board.take(key("mine"), Some(value(at)));
    }
    assert_eq!(board.since(&mine, &mut cursor), [(key("mine"), value(69_999))], "only the latest of each writer");
}

/// What whoever shares out does not know of is missing from every share.
#[test]
fn a_share_that_lacks_a_topic_is_known_by_the_partitions_it_has() {
    let topics = BTreeMap::from([("flights".to_owned(), 4), ("weather".to_owned(), 4), ("rates".to_owned(), 1)]);
    let hole =
        |share: &[(&str, u32)]| hole(&topics, &share.iter().map(|(name, at)| ((*name).to_owned(), *at)).collect());
    assert_eq!(
        hole(&[("flights", 2), ("weather", 2), ("flights", 3), ("weather", 3)]),
        None,
        "the second of two nodes"
    );
    assert_eq!(hole(&[("flights", 0), ("weather", 0), ("rates", 0)]), None, "the first of four");
    for (share, missing) in [
        (&[("flights", 2)][..], "weather"),
        (&[("flights", 1), ("weather", 1), ("flights", 2)], "weather"),
        (&[("flights", 0), ("weather", 0)], "rates"),
        (&[("rates", 0), ("weather", 0)], "flights"),
    ] {
        let why = hole(share).unwrap_or_else(|| panic!("{share:?}"));
        assert!(why.contains(&format!("that of \"{missing}\" is not")), "{why}");
    }
}
