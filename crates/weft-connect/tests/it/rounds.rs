//! Round after round, and the replay clock.

use std::time::{Duration, Instant};

use weft_connect::SourceState;
use weft_model::mesh::Replay;
use weft_model::product::ReplayMode;

use crate::reader::{check_exactly_once, progress, read};
use crate::world::{HEADER, World, event_ms, rows, stopped_with, until};

#[tokio::test(flavor = "multi_thread")]
async fn loop_shifts_event_time_by_whole_days_and_never_completes() {
    let mut world = World::start().await;
    world.spec.mode = ReplayMode::Loop;
    world.limits.transaction_rows_first = 50;
    world.limits.transaction_rows_max = 50;
    world.write(&(HEADER.to_owned() + &rows(0..100)));
    let source = world.source();
    until(&source, |status| status.round >= 3).await;
    source.stop().await;
    let round = source.status().round;
    assert_eq!(source.status().state, SourceState::Drained);
    let source = world.source();
    until(&source, |status| status.round > round).await;
    source.stop().await;
    let mut times: Vec<i64> = read(&world, &world.topic("rows")).iter().map(|row| row.timestamp).collect();
    times.sort_unstable();
    let day = 86_400_000;
    for (at, time) in times.iter().enumerate() {
        let (round, id) = (at as i64 / 100, at as u64 % 100);
        assert_eq!(*time, event_ms(id) + round * day, "row {at}");
    }
    assert!(progress(&world).iter().all(|(_, value)| !value.complete));
}

#[tokio::test(flavor = "multi_thread")]
async fn loop_stops_at_the_disk_reserve() {
    let mut world = World::start().await;
    world.spec.mode = ReplayMode::Loop;
    world.spec.disk_reserve_bytes = u64::MAX;
    world.write(&(HEADER.to_owned() + &rows(0..100)));
    assert_eq!(stopped_with(&world.run().await), "SRC-009");
    assert!(read(&world, &world.topic("rows")).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_replay_clock_paces_rows_and_drives_the_watermark() {
    let mut world = World::start().await;
    // 120 rows, a minute apart: two hours in a second and a half.
    world.replay = Replay::Times(4800.0);
    world.limits.transaction_ms_max = 20;
    world.limits.progress_interval_ms = 50;
    let mut text = HEADER.to_owned() + &rows(0..100);
    crate::world::line(&mut text, 119);
    world.write(&text);
    let started = Instant::now();
    let source = world.source();
    let early = until(&source, |status| status.rows_done >= 10).await;
    assert!(early.rows_done < 90, "rows wait for their time: {early:?}");
    source.ended().await;
    assert!(started.elapsed() >= Duration::from_millis(1_450), "119 minutes take 1.49 s, took {:?}", started.elapsed());
    let rows = read(&world, &world.topic("rows"));
    assert_eq!(rows.len(), 101);
    // Between minute 99 and 119 nothing happens but time: the clock says so, and never runs ahead of the next row.
    let between = |at: &i64| (event_ms(100)..event_ms(119)).contains(at);
    let said: Vec<i64> = progress(&world).iter().map(|(_, value)| value.watermark).filter(between).collect();
    assert!(!said.is_empty(), "progress is written while no row is due");
    drop(rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_under_the_clock_goes_on_where_it_was() {
    let mut world = World::start().await;
    world.replay = Replay::Times(100_000.0);
    world.limits.transaction_ms_max = 5;
    world.write(&(HEADER.to_owned() + &rows(0..1500)));
    let source = world.source();
    until(&source, |status| status.rows_done >= 200).await;
    source.stop().await;
    let started = Instant::now();
    let status = world.run().await;
    assert_eq!(status.state, SourceState::Complete);
    assert!(started.elapsed() < Duration::from_secs(20), "the clock did not start from the beginning of the file");
    check_exactly_once(&world, 0..1500);
}
