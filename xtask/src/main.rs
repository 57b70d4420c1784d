//! Chores of the repository, as one program that needs nothing but cargo.
//!
//! ```text
//!   cargo xtask peers     install the programs of others that the e2e tier talks to
//!   cargo xtask test      every tier whose peers exist; the rest is listed
//!   cargo xtask bench …   measure, and print a table
//! ```
//!
//! `cargo test -p xtask` checks that ARCHITECTURE.md names nothing that does not exist.

#![expect(clippy::print_stdout, reason = "this program is for people at a terminal")]

mod bench;
mod peers;
mod shell;
#[cfg(test)]
mod tidy;
mod tiers;

use std::env;
use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
cargo xtask test  [--only TIER]              fast, sim, e2e and bench (short), as far as peers exist
cargo xtask peers                            installs the peers into ~/.cache/weft-peers (WEFT_PEERS says where else)
cargo xtask bench spine [--short] [--strict] measures the spine, beside Apache Kafka; WEFT_BIN names another binary
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<ExitCode> {
    match arguments {
        ["test"] => tiers::run(None),
        ["test", "--only", tier] => tiers::run(Some(tier)),
        ["peers"] => peers::install().map(|()| ExitCode::SUCCESS),
        ["bench", "spine", flags @ ..] => bench::spine(&bench::Options::parse(flags)?),
        [] | ["--help" | "-h" | "help"] => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        other => bail!("unknown chore {:?}\n{HELP}", other.join(" ")),
    }
}
