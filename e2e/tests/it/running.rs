//! Edits of the folder while `weft up` runs, products of others, and broken data: a running mesh takes what is safe.

use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::http;
use e2e::mesh::{Mesh, Options};
use e2e::peers::{self, Peer};
use e2e::process::Process;
use e2e::server::create_topic;
use serde_json::{Value, json};

use crate::equality::wait;

const SOON: Duration = Duration::from_secs(60);
const DELAYS_SQL: &str = "domains/insights/delays/transform.sql";

fn sql(mesh: &Mesh, text: &str) -> Result<Value> {
    http::post(&mesh.http(), "/v1/sql", &json!({"sql": text}))?.json()
}

fn said(mesh: &mut Mesh, words: &str) -> Result<()> {
    mesh.process()?.wait_until(words, SOON, |stdout| stdout.contains(words).then_some(()))
}

/// A new threshold is a change that keeps no state: it holds for the rows that come after it.
#[test]
fn a_safe_edit_is_applied_at_once() -> Result<()> {
    let mut mesh = Mesh::up(Options { partitions: Some(4), speed: Some(100_000), ..Options::default() })?;
    let alerts = "SELECT count(*) AS n, min(arr_delay) AS least FROM \"insights\".\"late-arrivals\".\"alerts\"";
    wait(SOON, || Ok(sql(&mesh, alerts)?["rows"][0]["n"].as_i64() > Some(50)))?;
    mesh.edit("domains/insights/late-arrivals/product.odps.yaml", |text| {
        text.replace("threshold: 60", "threshold: 100000")
    })?;
    said(&mut mesh, "applied revision 2")?;
    said(&mut mesh, "every source is complete")?;
    let answer = sql(&mesh, alerts)?;
    let count = answer["rows"][0]["n"].as_i64().context("a count")?;
    ensure!((50..1862).contains(&count), "{count} alerts: the edit did not take effect in the middle of January");
    Ok(())
}

/// Another key is another table. The edit is refused with the reason, and every port still equals DuckDB.
#[test]
fn an_unsafe_edit_is_refused_and_the_old_version_runs_on() -> Result<()> {
    let mut mesh = Mesh::up(Options { partitions: Some(4), speed: Some(200_000), ..Options::default() })?;
    // Before that, the edit would be what the mesh starts with.
    said(&mut mesh, "applied revision 1")?;
    mesh.edit(DELAYS_SQL, |text| text.replace("INTERVAL '1' HOUR", "INTERVAL '2' HOUR"))?;
    said(&mut mesh, "not applied; revision 1 runs on")?;
    let error = mesh.process()?.stderr();
    for word in ["insights.delays", "because", "try", "code"] {
        ensure!(error.contains(word), "\"{word}\" is missing in: {error}");
    }
    mesh.edit(DELAYS_SQL, |text| text.replacen("SELECT", "SELEC", 1))?;
    wait(SOON, || Ok(mesh.process()?.stdout().matches("not applied").count() >= 2))?;
    mesh.equals_duckdb(240)?;
    Ok(())
}

/// An editor that empties the file and then writes it, in two steps and a pause, is one edit; and a refusal is told once.
#[test]
fn an_edit_in_two_steps_is_refused_once() -> Result<()> {
    let mut mesh = Mesh::up(Options { speed: Some(200_000), ..Options::default() })?;
    said(&mut mesh, "applied revision 1")?;
    let path = mesh.path(DELAYS_SQL);
    let wrong = fs::read_to_string(&path)?.replacen("SELECT", "SELEC", 1);
    let in_two_steps = |text: &str| -> Result<()> {
        fs::write(&path, "")?;
        std::thread::sleep(Duration::from_millis(400));
        Ok(fs::write(&path, text)?)
    };
    in_two_steps(&wrong)?;
    said(&mut mesh, "not applied; revision 1 runs on")?;
    // Saved again, as it was.
    in_two_steps(&wrong)?;
    std::thread::sleep(Duration::from_secs(3));
    let count = |mesh: &mut Mesh| -> Result<(usize, usize)> {
        let process = mesh.process()?;
        Ok((process.stdout().matches("not applied").count(), process.stderr().matches("code     ").count()))
    };
    let told = count(&mut mesh)?;
    ensure!(told == (1, 1), "{told:?}: {}{}", mesh.process()?.stdout(), mesh.process()?.stderr());
    // Another text with the same mistake: a line, without the whole message again.
    fs::write(&path, format!("{wrong}\n-- the same mistake\n"))?;
    said(&mut mesh, "still not applied, for the same reason; revision 1 runs on")?;
    ensure!(count(&mut mesh)?.1 == 1, "{}", mesh.process()?.stderr());
    Ok(())
}

/// A domain comes while the mesh runs; its orders are written by a Python service to a topic older than the mesh.
#[test]
fn an_adopted_topic_of_a_python_service_becomes_a_product() -> Result<()> {
    let mut mesh = Mesh::up(Options::default())?;
    said(&mut mesh, "applied revision 1")?;
    let service = |verb: &str, mesh: &Mesh| -> Result<String> {
        let mut command = Command::new(Peer::Python.require()?);
        command.arg("-u").arg(peers::repository().join("e2e/scripts/shop.py")).args([verb, &mesh.bootstrap()]);
        Process::start(&format!("shop-{verb}"), command, mesh.folder())?.finish(Duration::from_secs(150))
    };
    create_topic(&mesh.bootstrap(), "legacy_orders", 3, &[])?;
    service("write", &mesh)?;
    let status = Command::new("cp")
        .arg("-r")
        .arg(peers::repository().join("e2e/meshes/shop"))
        .arg(mesh.path("domains/shop"))
        .status()?;
    ensure!(status.success(), "cannot copy the shop");
    said(&mut mesh, "applied revision 2")?;
    println!("{}", service("check", &mesh)?);
    let answer = http::get(&mesh.http(), "/v1/products/shop/orders/ports/orders/v1?limit=3")?;
    ensure!(answer.status == 200 && answer.body.contains("order_id"), "{}", answer.body);
    Ok(())
}

/// Rewrites the plain text of the flights' CSV file.
fn rewrite_flights(mesh: &Mesh, change: impl FnOnce(Vec<Vec<u8>>) -> Vec<Vec<u8>>) -> Result<()> {
    let packed = mesh.path("data/flights-2013-01.csv.gz");
    let plain = mesh.path("data/flights.csv");
    let mut unpack = Command::new("gzip").args(["-dc"]).arg(&packed).stdout(Stdio::piped()).spawn()?;
    let mut text = Vec::new();
    unpack.stdout.take().context("standard output is piped")?.read_to_end(&mut text)?;
    ensure!(unpack.wait()?.success(), "cannot unpack the flights");
    fs::remove_file(packed)?;
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect();
    let mut file = fs::File::create(plain)?;
    file.write_all(&change(lines).join(&b'\n'))?;
    mesh.edit("domains/flight-ops/flights/source.yaml", |text| text.replace("flights-2013-01.csv.gz", "flights.csv"))
}

/// A word where a number should be, bytes that are no UTF-8, a line cut short: three errors, and the replay goes on.
#[test]
fn broken_rows_go_to_the_error_port_and_the_rest_is_replayed() -> Result<()> {
    let mut mesh = Mesh::prepare(Options { partitions: Some(4), ..Options::default() })?;
    rewrite_flights(&mesh, |mut lines| {
        lines[1000] =
            b"2013,1,x,517,515,2,830,819,11,UA,1545,N14228,EWR,IAH,227,1400,5,15,2013-01-01T10:00:00Z".to_vec();
        lines[2000] =
            b"2013,1,2,517,515,2,830,819,11,UA,1545,N\xe9\xe8,EWR,IAH,227,1400,5,15,2013-01-02T10:00:00Z".to_vec();
        // A file that ends in the middle of a line, as one that is still being copied does.
        let last = lines.len() - 1;
        lines[last].truncate(20);
        lines
    })?;
    mesh.start()?;
    said(&mut mesh, "every source is complete")?;
    let errors = "SELECT line, reason, raw FROM \"flight-ops\".\"flights\".\"errors\" ORDER BY line";
    wait(SOON, || Ok(sql(&mesh, errors)?["rows"].as_array().is_some_and(|rows| rows.len() == 3)))?;
    let rows = sql(&mesh, errors)?;
    ensure!(rows["rows"][0]["line"] == 1001 && rows["rows"][1]["line"] == 2001, "{rows}");
    let flights = sql(&mesh, "SELECT count(*) AS n FROM \"flight-ops\".\"flights\".\"flights\"")?;
    ensure!(flights["rows"][0]["n"] == 27_001, "{flights}");
    Ok(())
}

/// Columns in another order are found by their names.
#[test]
fn a_changed_column_order_changes_nothing() -> Result<()> {
    let mut mesh = Mesh::prepare(Options { partitions: Some(1), ..Options::default() })?;
    rewrite_flights(&mesh, |lines| {
        let reversed = |line: Vec<u8>| -> Vec<u8> {
            let mut fields: Vec<&[u8]> = line.split(|byte| *byte == b',').collect();
            fields.reverse();
            fields.join(&b',')
        };
        lines.into_iter().map(reversed).collect()
    })?;
    mesh.start()?;
    mesh.equals_duckdb(240)?;
    Ok(())
}

/// Ctrl-C drains: the process ends well and what it says last is that it stopped; a start afterwards goes on.
#[test]
fn ctrl_c_drains() -> Result<()> {
    let mut mesh = Mesh::up(Options { partitions: Some(4), speed: Some(200_000), ..Options::default() })?;
    std::thread::sleep(Duration::from_secs(3));
    mesh.process()?.interrupt()?;
    mesh.process()?.finish(SOON)?;
    mesh.start()?;
    mesh.equals_duckdb(240)?;
    Ok(())
}
