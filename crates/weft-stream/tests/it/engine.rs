//! Produce, compute, read what was committed: without a fault, and with one at every step.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use weft_stream::config::Step;
use weft_stream::runtime::{Engine, ProductState};

use crate::harness::{Source, World, deploy, expected, flights, wait_for};

fn killed(state: &ProductState) -> bool {
    matches!(state, ProductState::Failed { reason } if reason.contains("killed"))
}

#[track_caller]
fn check_outputs(world: &World, rows: &[crate::harness::Flight]) {
    let expected = expected(rows);
    assert_eq!(world.finals(expected.len()), expected);
    assert_eq!(world.currents(&expected), expected);
}

#[test]
fn one_engine_gives_every_window_once() {
    for partitions in [1, 3] {
        let world = World::new(partitions);
        let rows = flights(2_000);
        let engine = Engine::start(world.engine_options(Path::new("a"))).unwrap();
        deploy(&world, &engine);
        Source::new(&world).write_all(&rows, 250);
        check_outputs(&world, &rows);
        let status = engine.status();
        assert_eq!(status[0].state, ProductState::Running);
        assert_eq!((status[0].start_overs, status[0].restored_records), (0, 0));
    }
}

#[test]
fn a_clean_restart_replays_nothing() {
    let world = World::new(2);
    let rows = flights(1_500);
    let mut source = Source::new(&world);
    let engine = Engine::start(world.engine_options(Path::new("a"))).unwrap();
    deploy(&world, &engine);
    let (first, second) = rows.split_at(700);
    source.write(first, first.last().unwrap().at_ms);
    world.currents(&expected(first));
    let before = engine.status()[0].records_in;
    assert!(before >= 700);
    drop(engine);

    let engine = Engine::start(world.engine_options(Path::new("a"))).unwrap();
    deploy(&world, &engine);
    source.write_all(second, 100);
    check_outputs(&world, &rows);
    let status = &engine.status()[0];
    assert_eq!(status.restored_records, 0, "state was exact");
    assert!(status.resumed_tasks > 0);
    // Each row passes the re-key and the window: two hand-overs, and none for the first 700.
    assert!(status.records_in <= 2 * second.len() as u64, "{} records read again", status.records_in);
}

#[test]
fn another_node_restores_from_the_changelog() {
    let world = World::new(2);
    let rows = flights(1_000);
    let mut source = Source::new(&world);
    let engine = Engine::start(world.engine_options(Path::new("a"))).unwrap();
    deploy(&world, &engine);
    let (first, second) = rows.split_at(500);
    source.write(first, first.last().unwrap().at_ms);
    world.currents(&expected(first));
    drop(engine);

    let engine = Engine::start(world.engine_options(Path::new("elsewhere"))).unwrap();
    deploy(&world, &engine);
    source.write_all(second, 100);
    check_outputs(&world, &rows);
    assert!(engine.status()[0].restored_records > 0);
}

#[test]
fn killed_at_every_step_of_a_commit_nothing_is_lost_or_doubled() {
    let steps = [Step::Flush, Step::Produce, Step::Progress, Step::Offsets, Step::Commit, Step::Apply, Step::Done];
    let world = World::new(2);
    let rows = flights(1_600);
    let mut source = Source::new(&world);
    let mut chunks = rows.chunks(200);
    for (round, step) in steps.into_iter().enumerate() {
        let chunk = chunks.next().unwrap();
        // Dies at the first, second, third … time it comes to this step.
        let left = Arc::new(AtomicU32::new(1 + round as u32 % 3));
        let mut options = world.engine_options(Path::new("a"));
        options.on_step = Some(Arc::new(move |at| at != step || left.fetch_sub(1, Ordering::SeqCst) != 1));
        let engine = Engine::start(options).unwrap();
        deploy(&world, &engine);
        for part in chunk.chunks(20) {
            source.write(part, part.last().unwrap().at_ms);
            std::thread::sleep(Duration::from_millis(15));
        }
        wait_for(&engine, killed);
    }
    let engine = Engine::start(world.engine_options(Path::new("a"))).unwrap();
    deploy(&world, &engine);
    source.write_all(chunks.next().unwrap(), 50);
    assert!(chunks.next().is_none());
    check_outputs(&world, &rows);
}

#[test]
fn two_engines_share_the_partitions_and_hand_them_over() {
    let world = World::new(4);
    let rows = flights(3_000);
    let mut source = Source::new(&world);
    let mut options = world.engine_options(Path::new("a"));
    options.slot = "a".to_owned();
    let first = Engine::start(options).unwrap();
    deploy(&world, &first);
    let mut chunks = rows.chunks(1_000);
    source.write(chunks.next().unwrap(), rows[999].at_ms);
    let mut options = world.engine_options(Path::new("b"));
    options.slot = "b".to_owned();
    let second = Engine::start(options).unwrap();
    deploy(&world, &second);
    wait_for(&second, |state| *state == ProductState::Running);
    source.write(chunks.next().unwrap(), rows[1_999].at_ms);
    world.currents(&expected(&rows[..2_000]));
    let tasks = |engine: &Engine| engine.status()[0].tasks.len();
    assert!(tasks(&first) > 0 && tasks(&second) > 0, "{} and {}", tasks(&first), tasks(&second));
    // The first leaves; the second takes over.
    drop(first);
    source.write_all(chunks.next().unwrap(), 200);
    check_outputs(&world, &rows);
}

#[test]
fn a_second_engine_with_the_same_slot_fences_the_first() {
    let world = World::new(2);
    let rows = flights(1_000);
    let mut source = Source::new(&world);
    let first = Engine::start(world.engine_options(Path::new("a"))).unwrap();
    deploy(&world, &first);
    source.write(&rows[..400], rows[399].at_ms);
    world.currents(&expected(&rows[..400]));
    let second = Engine::start(world.engine_options(Path::new("b"))).unwrap();
    deploy(&world, &second);
    source.write_all(&rows[400..], 100);
    check_outputs(&world, &rows);
    wait_for(&first, |state| *state == ProductState::Fenced);
}
