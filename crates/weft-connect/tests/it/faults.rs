//! Connections cut at seeded moments, also between a commit and its answer: every row is there once all the same.

use std::time::Duration;

use weft_connect::SourceState;

use crate::proxy::Proxy;
use crate::reader::check_exactly_once;
use crate::world::{HEADER, World, rows};

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
