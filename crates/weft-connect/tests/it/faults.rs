//! Connections cut at seeded moments, also between a commit and its answer: every row is there once all the same.

use std::time::Duration;

use weft_connect::SourceState;

use crate::proxy::Proxy;
use crate::reader::check_exactly_once;
use crate::world::{HEADER, World, rows, until};

async fn cut_at_seeded_moments(seed: u64) {
    let proxy = Proxy::start().await;
    let mut world = World::start_behind(&proxy).await;
    world.limits.transaction_rows_first = 30;
    world.limits.transaction_rows_max = 30;
    world.limits.broker_timeout_ms = 3_000;
    world.write(&(HEADER.to_owned() + &rows(0..3000)));
    let source = world.source();
    let mut random = seed;
    let mut cuts = 0;
    while cuts < 12 && !matches!(source.status().state, SourceState::Complete | SourceState::Stopped(_)) {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        tokio::time::sleep(Duration::from_millis(5 + (random >> 33) % 60)).await;
        proxy.cut();
        cuts += 1;
    }
    tokio::time::timeout(Duration::from_secs(60), source.ended()).await.expect("it ends");
    assert_eq!(source.status().state, SourceState::Complete, "seed {seed}");
    check_exactly_once(&world, 0..3000);
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_once_with_cut_connections_seed_1() {
    cut_at_seeded_moments(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_once_with_cut_connections_seed_2() {
    cut_at_seeded_moments(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_once_with_cut_connections_seed_3() {
    cut_at_seeded_moments(3).await;
}

/// Longer than the source waits for an answer: it gives the producer up, in the middle of a transaction, and must find
/// its position again.
#[tokio::test(flavor = "multi_thread")]
async fn exactly_once_with_a_broker_that_is_away_for_long() {
    let proxy = Proxy::start().await;
    let mut world = World::start_behind(&proxy).await;
    world.limits.transaction_rows_first = 10;
    world.limits.transaction_rows_max = 10;
    world.limits.broker_timeout_ms = 300;
    world.write(&(HEADER.to_owned() + &rows(0..3000)));
    let source = world.source();
    for outage in 1..=3 {
        until(&source, |status| status.rows_done >= outage * 300).await;
        proxy.close();
        until(&source, |status| matches!(status.state, SourceState::Retrying(_))).await;
        proxy.lead_to(world.log_addr());
    }
    tokio::time::timeout(Duration::from_secs(60), source.ended()).await.expect("it ends");
    let status = source.status();
    assert_eq!((status.state, status.rows_sent), (SourceState::Complete, 3000));
    check_exactly_once(&world, 0..3000);
}

/// Ten sources of one run after another, each let go in the middle as a killed process lets go: without a word.
#[tokio::test(flavor = "multi_thread")]
async fn exactly_once_with_sources_that_vanish() {
    let proxy = Proxy::start().await;
    let mut world = World::start_behind(&proxy).await;
    world.limits.transaction_rows_first = 10;
    world.limits.transaction_rows_max = 10;
    world.write(&(HEADER.to_owned() + &rows(0..2000)));
    let mut done = 0;
    for _ in 0..10 {
        // The one before is still running; the newer takes over in the middle of its transaction.
        let source = world.source();
        let status = until(&source, |status| status.rows_done > done || status.state == SourceState::Complete).await;
        done = status.rows_done;
    }
    let status = world.run().await;
    assert_eq!(status.state, SourceState::Complete);
    check_exactly_once(&world, 0..2000);
}
