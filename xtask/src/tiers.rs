//! The README's test command: every tier whose peers exist, the rest listed.
//!
//! | tier | needs | shows |
//! |---|---|---|
//! | fast | nothing | every crate's own tests |
//! | sim | nothing | the power-cut model on 500 seeds |
//! | e2e | the peers | clients, meshes and bad input against real processes |
//! | bench | the year, Apache Kafka | that the short benchmark runs and counts right; no timing can fail it |
//!
//! With `WEFT_REQUIRE_PEERS=1` (CI) a missing peer is a failure. The last line is `N passed, N failed`.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use e2e::peers::{Peer, repository};

use crate::shell::command;

const TIERS: [&str; 4] = ["fast", "sim", "e2e", "bench"];
const SIM_SEEDS: &str = "500";

/// What a tier, or all of them, came to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Counts {
    fn one(success: bool) -> Self {
        Self { passed: u64::from(success), failed: u64::from(!success), skipped: 0 }
    }

    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// Runs all tiers or one, prints the summary, and hands back the exit code.
pub(crate) fn run(only: Option<&str>) -> Result<ExitCode> {
    if let Some(tier) = only {
        ensure!(TIERS.contains(&tier), "unknown tier \"{tier}\"; there are {}", TIERS.join(", "));
    }
    let missing: Vec<Peer> = Peer::ALL.into_iter().filter(|peer| !peer.is_installed()).collect();
    let required = env::var_os("WEFT_REQUIRE_PEERS").is_some_and(|value| value == "1");
    let mut total = Counts::default();
    let mut lines = Vec::new();
    for tier in TIERS {
        if only.is_some_and(|only| only != tier) {
            continue;
        }
        println!("\n=== {tier}");
        let start = Instant::now();
        let counts = match tier {
            "fast" => fast()?,
            "sim" => sim()?,
            "e2e" => e2e(&missing, required)?,
            _ => bench(&missing, required)?,
        };
        let seconds = start.elapsed().as_secs_f64();
        lines.push(format!(
            "{tier:<6} {:>5} passed {:>3} failed {:>3} skipped {seconds:>7.1} s",
            counts.passed, counts.failed, counts.skipped
        ));
        total.add(counts);
    }
    println!("\n{}", lines.join("\n"));
    for peer in &missing {
        println!("missing: {} (install the peers with `cargo xtask peers`)", peer.name());
    }
    println!("{}", closing_line(total));
    std::io::stdout().flush()?;
    Ok(if total.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn closing_line(total: Counts) -> String {
    let Counts { passed, failed, skipped } = total;
    if skipped == 0 {
        format!("{passed} passed, {failed} failed")
    } else {
        format!("{passed} passed, {failed} failed, {skipped} skipped")
    }
}

fn fast() -> Result<Counts> {
    cargo_test(cargo().args(["test", "--workspace", "--exclude", "e2e", "--no-fail-fast"]))
}

fn sim() -> Result<Counts> {
    build()?;
    let status = Command::new(beside_us("sim")?).args(["--seeds", SIM_SEEDS]).stdin(Stdio::null()).status()?;
    Ok(Counts::one(status.success()))
}

fn e2e(missing: &[Peer], required: bool) -> Result<Counts> {
    if required && !missing.is_empty() {
        println!("peers are required and {} of them are missing", missing.len());
        return Ok(Counts::one(false));
    }
    if missing.contains(&Peer::Python) {
        println!("skipped: the e2e tier needs {}", Peer::Python.name());
        return Ok(Counts { skipped: 1, ..Counts::default() });
    }
    build()?;
    let mut test = cargo();
    // Two at a time: each test runs a broker and clients of its own.
    test.args(["test", "--package", "e2e", "--no-fail-fast", "--", "--test-threads=2"]);
    for word in missing.iter().flat_map(|peer| peer.tests()) {
        test.args(["--skip", word]);
    }
    // What failed is in the logs of processes that a failing test shows, not in a backtrace of the harness.
    cargo_test(test.env("WEFT_BIN", beside_us("weft")?).env("RUST_BACKTRACE", "0"))
}

fn bench(missing: &[Peer], required: bool) -> Result<Counts> {
    if !missing.is_empty() {
        println!("skipped: the benchmark needs every peer");
        let counts = if required { Counts::one(false) } else { Counts { skipped: 1, ..Counts::default() } };
        return Ok(counts);
    }
    build()?;
    // By its name and not as the running program: the build may just have put a new file in its place.
    let status = command(beside_us("xtask")?, &["bench", "spine", "--short"]).stdin(Stdio::null()).status()?;
    Ok(Counts::one(status.success()))
}

/// All binaries, with the same features as the tests, so that no dependency is compiled a second time.
fn build() -> Result<()> {
    let status = cargo().args(["build", "--workspace"]).stdin(Stdio::null()).status()?;
    ensure!(status.success(), "the workspace does not build");
    Ok(())
}

fn beside_us(name: &str) -> Result<std::path::PathBuf> {
    let path = env::current_exe()?.with_file_name(name);
    ensure!(path.is_file(), "there is no {} after the build", path.display());
    Ok(path)
}

fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(repository());
    cargo
}

/// Runs `cargo test` with its output in sight and adds up its result lines.
fn cargo_test(cargo: &mut Command) -> Result<Counts> {
    let mut child = cargo.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
    let stdout = child.stdout.take().context("standard output is piped")?;
    let mut counts = Counts::default();
    for line in BufReader::new(stdout).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        println!("{line}");
        if let Some(result) = line.strip_prefix("test result: ") {
            counts.add(parse_result(result)?);
        }
    }
    let status = child.wait()?;
    if !status.success() && counts.failed == 0 {
        // A crate that does not compile, or a test process that died, leaves no result line.
        counts.failed = 1;
    }
    Ok(counts)
}

/// Parses what follows `test result: ` in the closing line of one test binary.
fn parse_result(line: &str) -> Result<Counts> {
    let mut counts = Counts::default();
    for part in line.trim_start_matches("ok. ").trim_start_matches("FAILED. ").split(';') {
        let mut words = part.split_whitespace();
        let (Some(number), Some(what)) = (words.next(), words.next()) else {
            continue;
        };
        let Ok(number) = number.parse::<u64>() else {
            continue;
        };
        match what {
            "passed" => counts.passed = number,
            "failed" => counts.failed = number,
            "ignored" if number > 0 => bail!("a test is ignored; mend it or remove it: {line}"),
            "filtered" => counts.skipped = number,
            _ => {}
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::{Counts, closing_line, parse_result};

    #[test]
    fn a_result_line_is_counted() {
        let line = "FAILED. 12 passed; 2 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.01s";
        let counts = parse_result(line).unwrap();
        assert_eq!(counts, Counts { passed: 12, failed: 2, skipped: 3 });
        assert_eq!(closing_line(counts), "12 passed, 2 failed, 3 skipped");
    }

    #[test]
    fn an_ignored_test_is_an_error() {
        assert!(parse_result("ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out").is_err());
    }

    #[test]
    fn nothing_skipped_is_not_mentioned() {
        assert_eq!(closing_line(Counts { passed: 1, failed: 0, skipped: 0 }), "1 passed, 0 failed");
    }
}
