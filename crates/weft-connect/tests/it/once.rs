//! A file replayed once: what is on the topics afterwards.

use std::sync::Arc;
use std::time::Duration;

use weft_connect::{CsvSource, SourceState};
use weft_model::topic::SOURCES;

use crate::reader::{check_exactly_once, progress, read};
use crate::world::{HEADER, World, event_ms, rows, stopped_with};

#[tokio::test(flavor = "multi_thread")]
async fn rows_progress_and_position_and_complete_once() {
    let world = World::start().await;
    world.write(&(HEADER.to_owned() + &rows(0..3000)));
    let status = world.run().await;
    assert_eq!(status.state, SourceState::Complete);
    assert_eq!((status.rows_sent, status.rows_total, status.rows_resent), (3000, Some(3000), 0));
    check_exactly_once(&world, 0..3000);
    let first = &read(&world, &world.topic("rows")).into_iter().min_by_key(|row| row.timestamp).unwrap();
    assert_eq!(first.key, 0_i64.to_be_bytes());
    assert_eq!(
        first.value.to_string(),
        r#"{"id":0,"minute":0,"hour":"2013-01-01T00:00:00.000Z","note":"row 0","at":"2013-01-01T00:00:00.000Z"}"#
    );
    // Once complete, always complete: starting it again writes nothing.
    let before = progress(&world).len();
    let status = world.run().await;
    assert_eq!((status.state, status.rows_sent, status.resumed_at), (SourceState::Complete, 0, 3000));
    assert_eq!(progress(&world).len(), before);
    check_exactly_once(&world, 0..3000);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watermark_of_a_transaction_is_the_next_event_time() {
    let mut world = World::start().await;
    world.limits.transaction_rows_first = 10;
    world.limits.transaction_rows_max = 10;
    world.limits.transaction_ms_max = 60_000;
    world.write(&(HEADER.to_owned() + &rows(0..30)));
    world.run().await;
    let topic = world.topic("rows");
    let mut said: Vec<i64> =
        progress(&world).iter().filter(|(key, _)| key.topic == topic).map(|(_, value)| value.watermark).collect();
    said.dedup();
    assert_eq!(said, [event_ms(10), event_ms(20), i64::MAX]);
    let mut headers: Vec<(u64, i64)> =
        read(&world, &topic).iter().map(|row| (row.id(), row.progress.unwrap().row_watermark)).collect();
    headers.sort_unstable();
    for (id, watermark) in headers {
        let expected = if id < 10 { i64::MIN } else { event_ms(id / 10 * 10) };
        assert_eq!(watermark, expected, "row {id}: the watermark declared by the transaction before");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_rows_go_to_errors_and_the_replay_goes_on() {
    let world = World::start().await;
    let mut text = HEADER.to_owned() + &rows(0..100);
    text += "x,0,2013-01-01T00:00:00Z,bad id\n";
    text += "7,NA,2013-01-01T00:00:00Z,no event time\n";
    text += "8,1,2013\n";
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(b"9,2,2013-01-01T00:00:00Z,Z\xfcrich\n");
    bytes.extend_from_slice(b"10,2,2013-01-01T0"); // cut off
    std::fs::write(world.file(), bytes).unwrap();
    let status = world.run().await;
    assert_eq!((status.state, status.rows_sent, status.errors), (SourceState::Complete, 100, 5));
    check_exactly_once(&world, 0..100);
    let errors = read(&world, &world.topic("errors"));
    let shown: Vec<String> = errors
        .iter()
        .map(|row| {
            format!("{} {} {}: {}", row.value["file"], row.value["line"], row.value["column"], row.value["reason"])
        })
        .collect();
    let expected = [
        r#""rows.csv" 103 "at": "the row has no event time""#,
        r#""rows.csv" 104 null: "the row has 3 fields, the header row has 4""#,
        r#""rows.csv" 106 null: "the row has 3 fields, the header row has 4""#,
        r#""rows.csv" 102 "id": "\"x\" is not a 64-bit integer""#,
        r#""rows.csv" 105 "note": "byte 2 of it is not UTF-8""#,
    ];
    assert_eq!(shown, expected);
    assert_eq!(errors[4].value["raw"], "OSwyLDIwMTMtMDEtMDFUMDA6MDA6MDBaLFr8cmljaA==");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packed_file_that_ends_early_is_complete_with_an_error() {
    use std::io::Write;
    let mut world = World::start().await;
    world.spec.file = "rows.csv.gz".to_owned();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all((HEADER.to_owned() + &rows(0..2000)).as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    std::fs::write(world.file(), &packed[..packed.len() * 2 / 3]).unwrap();
    let status = world.run().await;
    assert_eq!(status.state, SourceState::Complete);
    assert!(status.rows_sent > 500 && status.errors >= 1, "{status:?}");
    let errors = read(&world, &world.topic("errors"));
    let last = errors.last().unwrap();
    assert_eq!(last.value["reason"], "the compressed file ends early");
    assert_eq!(world.run().await.rows_sent, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_file_is_complete_at_once() {
    let world = World::start().await;
    world.write(HEADER);
    let status = world.run().await;
    assert_eq!((status.state, status.rows_sent), (SourceState::Complete, 0));
    assert!(progress(&world).iter().all(|(_, value)| value.complete && value.offset == 0));
    assert_eq!(progress(&world).len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_stops_with_a_code() {
    let mut world = World::start().await;
    assert_eq!(stopped_with(&world.run().await), "SRC-002");
    world.write("");
    assert_eq!(stopped_with(&world.run().await), "SRC-004");
    world.write("id,minute,hour\n");
    assert_eq!(stopped_with(&world.run().await), "SRC-004");
    world.write(HEADER);
    let mut options = world.options();
    Arc::make_mut(&mut options.mesh).id = "another".parse().unwrap(); // nobody applied it: no progress topic
    let source = CsvSource::start(options).unwrap();
    // It may be applied yet: the source says what it waits for, and goes on waiting.
    let code = loop {
        if let SourceState::Retrying(diagnostic) = source.status().state {
            break diagnostic.code;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(code, "SRC-007");
    source.stop().await;
    world.spec.mode = weft_model::product::ReplayMode::Loop;
    world.write(HEADER);
    assert_eq!(stopped_with(&world.run().await), "SRC-001");
    assert_eq!(read(&world, &world.internal(SOURCES)).iter().filter(|row| row.key == b"d.p").count(), 0);
}
