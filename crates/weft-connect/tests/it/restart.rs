//! Stopping, going on, and what forbids to go on.

use weft_connect::{SourceState, restart_generation};
use weft_model::mesh::Replay;
use weft_model::product::Disorder;

use crate::reader::{Row, check_exactly_once, read};
use crate::world::{HEADER, World, rows, stopped_with, until};

fn small(world: &mut World) {
    world.limits.transaction_rows_first = 20;
    world.limits.transaction_rows_max = 20;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_at_the_committed_position() {
    let mut world = World::start().await;
    small(&mut world);
    world.write(&(HEADER.to_owned() + &rows(0..2000)));
    let source = world.source();
    until(&source, |status| status.rows_done >= 200).await;
    source.stop().await;
    let first = source.status();
    assert_eq!(first.state, SourceState::Drained);
    assert!((200..2000).contains(&first.rows_done), "{first:?}");
    let second = world.run().await;
    assert_eq!(second.state, SourceState::Complete);
    assert_eq!((second.resumed_at, second.rows_resent), (first.rows_done, 0));
    assert_eq!(first.rows_sent + second.rows_sent, 2000, "nothing was read twice");
    check_exactly_once(&world, 0..2000);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_file_is_refused_until_a_new_generation() {
    let mut world = World::start().await;
    small(&mut world);
    world.write(&(HEADER.to_owned() + &rows(0..1000)));
    let source = world.source();
    until(&source, |status| status.rows_done >= 100).await;
    source.stop().await;
    world.write(&(HEADER.to_owned() + &rows(0..1001)));
    let refused = world.run().await;
    assert_eq!(stopped_with(&refused), "SRC-005");
    // The same file again, read another way.
    world.write(&(HEADER.to_owned() + &rows(0..1000)));
    world.spec.disorder = Some(Disorder { rows: 1, seconds: 1, seed: 1 });
    assert_eq!(stopped_with(&world.run().await), "SRC-006");
    world.spec.disorder = None;
    assert_eq!(restart_generation(world.options()).await.unwrap(), 2);
    let status = world.run().await;
    assert_eq!((status.state, status.generation, status.rows_sent), (SourceState::Complete, 2, 1000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_under_the_replay_stops_it() {
    let mut world = World::start().await;
    small(&mut world);
    world.write(&(HEADER.to_owned() + &rows(0..30_000)));
    let source = world.source();
    until(&source, |status| status.rows_done >= 100).await;
    world.write(&(HEADER.to_owned() + &rows(0..100)));
    source.ended().await;
    assert!(["SRC-005", "SRC-002"].contains(&stopped_with(&source.status())), "{:?}", source.status());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_source_goes_over_to_a_new_generation() {
    let mut world = World::start().await;
    small(&mut world);
    world.limits.transaction_ms_max = 5;
    world.replay = Replay::Times(45_000.0); // the rows take four seconds: it is running when it is restarted
    world.write(&(HEADER.to_owned() + &rows(0..3000)));
    let source = world.source();
    until(&source, |status| status.rows_done >= 100).await;
    assert_eq!(restart_generation(world.options()).await.unwrap(), 2);
    source.ended().await;
    let status = source.status();
    assert_eq!((status.state, status.generation, status.rows_sent), (SourceState::Complete, 2, 3000));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newer_of_two_sources_goes_on_and_no_row_is_doubled() {
    let mut world = World::start().await;
    small(&mut world);
    world.limits.transaction_ms_max = 5;
    world.replay = Replay::Times(60_000.0); // the rows take four seconds: both run at a time
    world.write(&(HEADER.to_owned() + &rows(0..4000)));
    let older = world.source();
    until(&older, |status| status.rows_done >= 100).await;
    let newer = world.source();
    newer.ended().await;
    older.ended().await;
    assert_eq!(newer.status().state, SourceState::Complete);
    assert_eq!(stopped_with(&older.status()), "SRC-008");
    check_exactly_once(&world, 0..4000);
}

#[tokio::test(flavor = "multi_thread")]
async fn disorder_gives_late_headers_whatever_the_size_of_transactions() {
    let late = |rows: &[Row]| {
        let mut late: Vec<u64> =
            rows.iter().filter(|row| row.progress.unwrap().row_watermark > row.timestamp).map(Row::id).collect();
        late.sort_unstable();
        late
    };
    let mut found = Vec::new();
    for size in [7, 5000] {
        let mut world = World::start().await;
        world.spec.disorder = Some(Disorder { rows: 25, seconds: 7200, seed: 3 });
        world.limits.transaction_rows_first = size;
        world.limits.transaction_rows_max = size;
        world.write(&(HEADER.to_owned() + &rows(0..1000)));
        assert_eq!(world.run().await.rows_sent, 1000);
        let rows = read(&world, &world.topic("rows"));
        assert_eq!(rows.len(), 1000);
        found.push(late(&rows));
    }
    assert_eq!(found[0].len(), 25, "every delayed row came behind its watermark");
    assert_eq!(found[0], found[1]);
}
