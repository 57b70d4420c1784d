//! The checks are checked: the expectations against published facts, the comparison against planted faults.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::peers::{self, Peer};
use e2e::process::Process;
use e2e::server::{Kind, Server};
use serde_json::json;

use crate::data::year;

fn script(name: &str, argument: &str, server: &Server) -> Result<Process> {
    let mut command = Command::new(Peer::Python.require()?);
    command.arg("-u").arg(peers::repository().join("e2e/scripts").join(name)).arg(argument);
    Process::start(name, command, server.folder())
}

#[test]
fn expectations_over_the_year_give_the_published_facts() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let year = Peer::Year.require()?;
    let mut command = Command::new(Peer::Python.require()?);
    command.arg(peers::repository().join("e2e/scripts/golden.py"));
    command.arg(year.parent().context("the year lies in a folder")?);
    Process::start("golden", command, folder.path())?.finish(Duration::from_secs(120))?;
    Ok(())
}

/// A mesh that somebody else plays passes when it is right, and one wrong row of each kind is found.
#[test]
fn the_comparison_finds_planted_faults_on_kafka_in_the_year() -> Result<()> {
    let right = compare(false)?;
    ensure!(right.0, "a right mesh is refused: {}", right.1);
    let (passed, said) = compare(true)?;
    ensure!(!passed, "planted faults pass: {said}");
    let wanted = [
        ("insights.departures.departures.v1", "1 rows missing"),
        ("insights.delays.final.v1", "1 rows too many"),
        ("insights.late-arrivals.alerts.v1", "key or timestamp"),
        ("flight-ops.flights.flights.v1", "shape"),
        ("flight-ops.planes.planes.v1", "shape"),
        ("insights.turnarounds.turnarounds.v1", "key or timestamp"),
        ("airports.airports.airports.v1", "is in partition"),
    ];
    for (topic, problem) in wanted {
        let port = said.split("DIFFERS ").find(|part| part.starts_with(topic)).unwrap_or_default();
        ensure!(port.contains(problem), "\"{problem}\" was not found in {topic}: {said}");
    }
    ensure!(said.matches("DIFFERS").count() == wanted.len(), "more than what was planted: {said}");
    Ok(())
}

fn compare(faults: bool) -> Result<(bool, String)> {
    let server = Server::start(Kind::Kafka)?;
    let question = json!({
        "bootstrap": server.bootstrap(), "files": year()?, "month": 1, "faults": faults, "seconds": 60, "patience": 4,
    });
    script("planted.py", &question.to_string(), &server)?.finish(Duration::from_secs(120))?;
    let mut comparison = script("mesh.py", &question.to_string(), &server)?;
    let status = comparison.wait(Duration::from_secs(180))?;
    Ok((status.success(), format!("{}{}", comparison.stdout(), comparison.stderr())))
}
