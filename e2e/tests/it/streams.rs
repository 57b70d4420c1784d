//! Live streams of a running mesh, by readers that go away and come back with `Last-Event-ID`: no gap, nothing twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::http;
use e2e::mesh::{Mesh, Options};
use e2e::sse::Events;
use serde_json::{Value, json};

const END: Duration = Duration::from_secs(180);

fn mesh() -> Result<Mesh> {
    let mut mesh = Mesh::prepare(Options { partitions: Some(4), speed: Some(100_000), ..Options::default() })?;
    mesh.edit("weft.yaml", |text| format!("{text}\nhttp: {{ heartbeat_ms: 500 }}\n"))?;
    mesh.start()?;
    mesh.wait_until_ready()?;
    Ok(mesh)
}

fn sql(mesh: &Mesh, text: &str) -> Result<Vec<Value>> {
    let answer = http::post(&mesh.http(), "/v1/sql", &json!({"sql": text}))?.json()?;
    answer["rows"].as_array().cloned().with_context(|| format!("no rows: {answer}"))
}

/// January's departures while they come, by a reader that leaves in the snapshot, at its end and in the tail.
#[test]
fn an_append_port_read_in_pieces_has_every_row_once() -> Result<()> {
    const DEPARTED: usize = 26_483; // flights of January with a departure time, by DuckDB
    let mesh = mesh()?;
    let path = "/v1/products/insights/departures/ports/departures/v1/stream";
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let (mut last, mut visits, mut after_live) = (None::<String>, 0, 0);
    let began = Instant::now();
    while seen.len() < DEPARTED {
        ensure!(began.elapsed() < END, "{} of {DEPARTED} rows after {visits} visits", seen.len());
        let mut events = Events::open(&mesh.http(), path, last.as_deref())?;
        visits += 1;
        let (mut rows, mut live) = (0, false);
        // Pieces of other lengths each time, so that they end at other places of batches and transactions.
        while rows < 700 + visits * 37 && seen.len() < DEPARTED {
            let Some(event) = events.next_event()? else { break };
            match event.name.as_str() {
                "row" => {
                    rows += 1;
                    after_live += usize::from(live);
                    ensure!(seen.insert(event.data.clone()), "twice, in visit {visits}: {}", event.data);
                }
                "live" => live = true,
                other => anyhow::bail!("event {other} in visit {visits}: {}", event.data),
            }
            ensure!(!event.id.is_empty(), "an event without id: {event:?}");
            last = Some(event.id);
        }
    }
    let counted = sql(&mesh, "SELECT count(*) AS n FROM \"insights\".\"departures\".\"departures\"")?;
    ensure!(counted[0]["n"] == DEPARTED, "{counted:?}");
    ensure!(visits > 5 && after_live > 0, "{visits} visits, {after_live} rows live: this shows nothing");
    println!("{DEPARTED} rows in {visits} visits, {after_live} of them live");
    Ok(())
}

/// The hours of a table as they change: what a reader knows at the end is the table, whenever it went away.
#[test]
fn a_table_read_in_pieces_ends_as_the_table() -> Result<()> {
    let mut mesh = mesh()?;
    let path = "/v1/products/insights/delays/ports/current/v1/stream";
    let key =
        |row: &Value| -> String { ["origin", "carrier", "window_start"].map(|name| row[name].to_string()).join(" ") };
    let mut known: BTreeMap<String, Value> = BTreeMap::new();
    let (mut last, mut visits) = (None::<String>, 0);
    let began = Instant::now();
    loop {
        ensure!(began.elapsed() < END, "not the table after {visits} visits");
        let complete = mesh.process()?.stdout().contains("every source is complete");
        let mut events = Events::open(&mesh.http(), path, last.as_deref())?;
        visits += 1;
        // The last visit reads to the end of what there is, the others go away in the middle.
        let most = if complete { usize::MAX } else { 500 + visits * 37 };
        for _ in 0..most {
            let Some(event) = events.next_event()? else { break };
            let row: Value = serde_json::from_str(&event.data)?;
            match event.name.as_str() {
                "row" => {
                    known.insert(key(&row), row);
                }
                "delete" => {
                    known.remove(&key(&row));
                }
                "live" => {}
                other => anyhow::bail!("event {other} in visit {visits}: {row}"),
            }
            let is_live = event.name == "live";
            last = Some(event.id);
            if is_live && complete {
                break;
            }
        }
        if complete {
            let rows = sql(&mesh, "SELECT * FROM \"insights\".\"delays\".\"current\"")?;
            let table: BTreeMap<String, Value> = rows.into_iter().map(|row| (key(&row), row)).collect();
            if table == known {
                ensure!(visits > 5, "{visits} visits show nothing");
                println!("{} keys in {visits} visits", table.len());
                return Ok(());
            }
        }
    }
}
