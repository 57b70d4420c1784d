//! A growing file.

use std::fs::OpenOptions;
use std::io::Write;

use weft_connect::SourceState;
use weft_model::product::ReplayMode;

use crate::reader::{Row, progress, read};
use crate::world::{HEADER, World, event_ms, line, stopped_with, until};

fn append(world: &World, text: &str) {
    OpenOptions::new().append(true).open(world.file()).unwrap().write_all(text.as_bytes()).unwrap();
}

fn lines(ids: &[u64]) -> String {
    let mut text = String::new();
    for id in ids {
        line(&mut text, *id);
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn new_lines_come_in_the_order_of_the_file() {
    let mut world = World::start().await;
    world.spec.mode = ReplayMode::Follow;
    world.limits.follow_poll_ms = 5;
    world.write(&(HEADER.to_owned() + &lines(&[3, 1])));
    let source = world.source();
    until(&source, |status| status.rows_done == 2).await;
    let half = lines(&[2]);
    append(&world, &half[..10]);
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert_eq!(source.status().rows_done, 2, "half a line waits");
    append(&world, &half[10..]);
    until(&source, |status| status.rows_done == 3).await;
    source.stop().await;
    assert_eq!(source.status().state, SourceState::Drained);
    append(&world, &lines(&[9]));
    let source = world.source();
    let status = until(&source, |status| status.rows_done == 4).await;
    assert_eq!((status.resumed_at, status.rows_sent, status.watermark), (3, 1, event_ms(9)));
    source.stop().await;
    let mut ids: Vec<u64> = read(&world, &world.topic("rows")).iter().map(Row::id).collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3, 9]);
    assert!(progress(&world).iter().all(|(_, value)| !value.complete));
    // Another beginning: the prefix that was read is no longer there.
    world.write(&(HEADER.to_owned() + &lines(&[4, 1, 2, 9, 10])));
    assert_eq!(stopped_with(&world.run().await), "SRC-005");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_cut_under_the_source_stops_it() {
    let mut world = World::start().await;
    world.spec.mode = ReplayMode::Follow;
    world.limits.follow_poll_ms = 5;
    world.write(&(HEADER.to_owned() + &lines(&[1, 2, 3])));
    let source = world.source();
    until(&source, |status| status.rows_done == 3).await;
    world.write(HEADER);
    source.ended().await;
    assert_eq!(stopped_with(&source.status()), "SRC-005");
}
