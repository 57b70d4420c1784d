//! Measurements, each beside what a user would pick instead, in one run on one machine. Method and figures: `bench/RESULTS.md`.

mod log;
mod replay;
mod table;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use e2e::peers::{Peer, repository};
use e2e::process::Process;
use serde_json::Value;

use table::Table;

/// How much to measure, and whether to judge.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Options {
    /// Small amounts: shows that everything runs and counts right, says nothing about speed.
    short: bool,
    /// A missed limit is an exit code other than 0. For runs by hand; machines are too noisy for CI.
    strict: bool,
}

impl Options {
    pub(crate) fn parse(flags: &[&str]) -> Result<Self> {
        let mut options = Self::default();
        for flag in flags {
            match *flag {
                "--short" => options.short = true,
                "--strict" => options.strict = true,
                other => bail!("unknown flag {other}; there are --short and --strict"),
            }
        }
        Ok(options)
    }
}

/// The spine: start, replay through the engine to a consumer, and the log beside Apache Kafka.
pub(crate) fn spine(options: &Options) -> Result<ExitCode> {
    let mut table = Table::default();
    replay::first_answer(options, &mut table).context("first answer")?;
    replay::year(options, &mut table).context("replay")?;
    log::beside_kafka(options, &mut table).context("log")?;
    println!("\n{table}");
    if options.short {
        println!("short form: the counts were right; the figures say nothing");
    }
    let missed = table.missed();
    for line in &missed {
        println!("missed: {line}");
    }
    Ok(if options.strict && !missed.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Runs `bench/load.py` and hands back its figures.
fn load(folder: &Path, arguments: &[&str]) -> Result<Value> {
    let mut load = start_load(folder, arguments)?;
    figures(&mut load)
}

fn start_load(folder: &Path, arguments: &[&str]) -> Result<Process> {
    let mut command = Command::new(Peer::Python.require()?);
    command.arg(repository().join("bench/load.py")).args(arguments);
    Process::start(&format!("load-{}", arguments[0]), command, folder)
}

fn figures(load: &mut Process) -> Result<Value> {
    let said = load.finish(Duration::from_secs(900))?;
    serde_json::from_str(said.trim()).with_context(|| format!("not figures: {said}"))
}

fn number(figures: &Value, name: &str) -> Result<f64> {
    figures[name].as_f64().with_context(|| format!("no {name} in {figures}"))
}

/// Bytes as megabytes for people.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
