//! Views over a running log.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use weft_model::principal::Principal;
use weft_model::query::{Bound, PullQuery, QueryLimits, StreamEvent};
use weft_stream::config::{KafkaOptions, ViewsOptions};
use weft_stream::runtime::Engine;
use weft_stream::views::{QueryError, Views};

use crate::harness::{PATIENCE, Source, World, deploy, expected, flights, port};

const LIMITS: QueryLimits = QueryLimits { rows_max: 100_000, bytes_max: 64 << 20, time_ms_max: 20_000 };

fn views(world: &World) -> Views {
    views_with(world, |_| {})
}

fn views_with(world: &World, change: impl FnOnce(&mut ViewsOptions)) -> Views {
    let mut options =
        ViewsOptions::new(KafkaOptions::new(&world.bootstrap), world.mesh.id.clone(), world.dir.path().join("views"));
    change(&mut options);
    Views::start(options).unwrap()
}

async fn eventually<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(started.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn count(rows: &[String]) -> i64 {
    serde_json::from_str::<serde_json::Value>(&rows[0]).unwrap()["n"].as_i64().unwrap()
}

#[test]
fn tables_and_events_answer_pull_and_sql_from_one_position() {
    let world = World::new(2);
    world.block_on(async {
        let rows = flights(1_200);
        let engine = Engine::start(world.engine_options(Path::new("a"))).unwrap();
        deploy(&world, &engine);
        let views = views(&world);
        views.set_ports(Arc::clone(&world.mesh), BTreeMap::new()).await.unwrap();
        tokio::task::block_in_place(|| Source::new(&world).write_all(&rows, 300));
        let expected = expected(&rows);
        let me = Principal::Anonymous;

        let total = r#"SELECT sum(flights) AS n FROM "insights"."delays"."current""#;
        eventually(async || {
            let answer = views.sql(&me, total, LIMITS).await.unwrap();
            (answer.rows[0] == r#"{"n":1200}"#).then_some(())
        })
        .await;
        let ((window, origin, carrier), counts) = expected.iter().next().unwrap();
        let bounds = [("window_start", window), ("origin", origin), ("carrier", carrier)];
        let query = PullQuery {
            bounds: bounds.iter().map(|(n, v)| ((*n).to_owned(), Bound::Equal(v.as_str().into()))).collect(),
            ..PullQuery::default()
        };
        let current = port("insights", "delays", "current");
        let answer = views.pull(&me, &current, query, LIMITS).await.unwrap();
        let row: serde_json::Value = serde_json::from_str(&answer.rows[0]).unwrap();
        assert_eq!((row["flights"].as_i64().unwrap(), answer.rows.len()), (counts.0, 1));
        assert!(answer.position[0].topic_id.is_some());

        // Events: by SQL, by offsets, by time, in pages.
        let events = port("flight-ops", "flights", "flights");
        let sql = r#"SELECT count(*) AS n FROM "flight-ops"."flights"."flights""#;
        assert_eq!(count(&views.sql(&me, sql, LIMITS).await.unwrap().rows), 1_200);
        let mut seen = 0;
        let mut page = None;
        loop {
            let query = PullQuery { rows_max: 500, page, ..PullQuery::default() };
            let answer = views.pull(&me, &events, query, LIMITS).await.unwrap();
            seen += answer.rows.len();
            page = answer.next;
            if page.is_none() {
                break;
            }
        }
        assert_eq!(seen, 1_200);
        let hour = Bound::Range { from: Some("2013-01-01T01:00:00Z".into()), to: Some("2013-01-01T02:00:00Z".into()) };
        let query = PullQuery { bounds: [("scheduled_at".to_owned(), hour)].into(), ..PullQuery::default() };
        let answer = views.pull(&me, &events, query, LIMITS).await.unwrap();
        assert_eq!(answer.rows.len(), 180, "an hour of flights, one every 20 s");
        let wrong = PullQuery { from_offsets: BTreeMap::from([(9, 0)]), ..PullQuery::default() };
        assert!(matches!(views.pull(&me, &events, wrong, LIMITS).await, Err(QueryError::BadBound { .. })));
        views.shutdown().await;
    });
}

#[test]
fn a_stream_is_a_snapshot_then_every_change_once_across_reconnects() {
    let world = World::new(2);
    world.block_on(async {
        let rows = flights(900);
        let engine = Engine::start(world.engine_options(Path::new("a"))).unwrap();
        deploy(&world, &engine);
        let views = views(&world);
        views.set_ports(Arc::clone(&world.mesh), BTreeMap::new()).await.unwrap();
        let mut source = tokio::task::block_in_place(|| Source::new(&world));
        tokio::task::block_in_place(|| source.write(&rows[..300], rows[299].at_ms));
        let me = Principal::Anonymous;
        let events = port("flight-ops", "flights", "flights");

        let mut numbers = Vec::new();
        let mut token = None;
        for part in 0..3 {
            let mut stream = views.stream(&me, &events, token.take()).await.unwrap();
            if part > 0 {
                let rows = rows[part * 300..part * 300 + 300].to_vec();
                let last = rows.last().unwrap().at_ms;
                tokio::task::block_in_place(|| source.write(&rows, last));
            }
            // Leaves in the middle of a part, and comes back with the token.
            let until = 300 * (part + 1) - if part < 2 { 100 } else { 0 };
            while numbers.len() < until {
                let event = tokio::time::timeout(PATIENCE, stream.next()).await.unwrap().unwrap().unwrap();
                match event {
                    StreamEvent::Row { row, token: at } => {
                        let row: serde_json::Value = serde_json::from_str(&row).unwrap();
                        numbers.push(row["flight"].as_i64().unwrap());
                        token = Some(at);
                    }
                    StreamEvent::Live { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (0..900).collect::<Vec<_>>());

        // The table's stream: its snapshot and tail end in the same rows that pull gives.
        let current = port("insights", "delays", "current");
        let expected = expected(&rows);
        let mut table = BTreeMap::new();
        let mut stream = views.stream(&me, &current, None).await.unwrap();
        while table != expected {
            let event = tokio::time::timeout(PATIENCE, stream.next()).await.unwrap().unwrap().unwrap();
            if let StreamEvent::Row { row, .. } = event {
                let row: serde_json::Value = serde_json::from_str(&row).unwrap();
                let text = |name: &str| row[name].as_str().unwrap().to_owned();
                table.insert(
                    (text("window_start"), text("origin"), text("carrier")),
                    (row["flights"].as_i64().unwrap(), row["cancelled"].as_i64().unwrap()),
                );
            }
        }
        let error = views.stream(&me, &current, Some("nonsense".to_owned())).await.err().unwrap();
        assert_eq!(error.code(), "SQL-104");
        views.shutdown().await;
    });
}

#[test]
fn a_reader_that_does_not_read_is_cut_off_and_others_are_not() {
    let world = World::new(1);
    world.block_on(async {
        let rows = flights(3_000);
        let views = views_with(&world, |options| {
            options.stream_events = 64;
            options.stream_stall_ms = 1_000;
        });
        views.set_ports(Arc::clone(&world.mesh), BTreeMap::new()).await.unwrap();
        let me = Principal::Anonymous;
        let events = port("flight-ops", "flights", "flights");
        let mut slow = views.stream(&me, &events, None).await.unwrap();
        assert!(matches!(slow.next().await.unwrap().unwrap(), StreamEvent::Live { .. }));
        let mut quick = views.stream(&me, &events, None).await.unwrap();
        let reading = tokio::spawn(async move {
            let mut seen = 0;
            while seen < 3_000 {
                match tokio::time::timeout(PATIENCE, quick.next()).await.unwrap().unwrap() {
                    Ok(StreamEvent::Row { .. }) => seen += 1,
                    Ok(_) => {}
                    Err(error) => panic!("after {seen}: {error}"),
                }
            }
        });
        let mut source = tokio::task::block_in_place(|| Source::new(&world));
        for chunk in rows.chunks(50) {
            tokio::task::block_in_place(|| source.write(chunk, chunk.last().unwrap().at_ms));
        }
        reading.await.unwrap();
        // Longer than a stalled reader may be.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let mut last = None;
        while let Some(event) = tokio::time::timeout(PATIENCE, slow.next()).await.unwrap() {
            last = Some(event);
        }
        assert_eq!(last.unwrap().unwrap_err(), QueryError::SlowReader { wait_ms: 1_000 });
        views.shutdown().await;
    });
}
