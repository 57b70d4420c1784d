//! The log under power cuts.
//!
//! ```text
//!   seed ──► workload: produce · idempotent produce · transactions · reads · retention · meta puts
//!              │            on a disk whose unsynced sectors, sizes and names survive a cut at random
//!              ├─ cut power, kill, or stop cleanly ──► open again ──► check
//!              │                                        └─ cut power in the middle ──► open again …
//!              └─ …several lives
//! ```
//! Checked after every start: nothing acknowledged is lost, nothing that a reader saw is gone or different, no
//! idempotent batch is there twice, an acknowledged commit is visible whole, an aborted record never.
//!
//! `sim --seeds 500` runs seeds 0 to 499; `sim --seed 7` runs one and tells what happened; `--plant` breaks something
//! on purpose. One seed always gives one run.

mod journal;
mod reader;
mod run;
mod transactions;

#[cfg(test)]
mod tests;

use std::process::ExitCode;

use run::{Plant, run};

const USAGE: &str =
    "usage: sim [--seeds N] [--from SEED] | --seed SEED   [--plant ack-before-sync|lying-disk|recovery-without-sync]";

struct Arguments {
    from: u64,
    count: u64,
    one: bool,
    plant: Plant,
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Arguments> {
    let mut parsed = Arguments { from: 0, count: 500, one: false, plant: Plant::Nothing };
    while let Some(name) = arguments.next() {
        let value = arguments.next()?;
        match name.as_str() {
            "--seeds" => parsed.count = value.parse().ok()?,
            "--from" => parsed.from = value.parse().ok()?,
            "--seed" => {
                parsed.from = value.parse().ok()?;
                parsed.count = 1;
                parsed.one = true;
            }
            "--plant" => {
                parsed.plant = match value.as_str() {
                    "ack-before-sync" => Plant::AckBeforeSync,
                    "lying-disk" => Plant::LyingDisk,
                    "recovery-without-sync" => Plant::RecoveryWithoutSync,
                    _ => return None,
                }
            }
            _ => return None,
        }
    }
    Some(parsed)
}

#[expect(clippy::print_stdout, reason = "a command line tool")]
fn main() -> ExitCode {
    let Some(arguments) = parse(std::env::args().skip(1)) else {
        println!("{USAGE}");
        return ExitCode::from(2);
    };
    let (mut passed, mut failed) = (0, 0);
    for seed in arguments.from..arguments.from.saturating_add(arguments.count) {
        match run(seed, arguments.plant) {
            Ok(outcome) => {
                passed += 1;
                if arguments.one {
                    println!("seed {seed}: {outcome}");
                }
            }
            Err(violation) => {
                failed += 1;
                println!("seed {seed} failed: {violation}\n  replay with: cargo run -p sim -- --seed {seed}");
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
