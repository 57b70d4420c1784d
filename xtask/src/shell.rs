//! Running a command in plain sight.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Prints a command and runs it with our own output; an exit code other than 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    println!("$ {}", shown(command));
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    ensure!(status.success(), "{} failed: {status}", shown(command));
    Ok(())
}

/// Is there a program of that name?
pub(crate) fn has(program: &str) -> bool {
    e2e::peers::find_in_path(program).is_some()
}

/// A command in a folder.
pub(crate) fn command(program: impl AsRef<Path>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program.as_ref());
    command.args(arguments);
    command
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    // A script given as an argument is shown by its first line.
    words.join(" ").lines().next().unwrap_or_default().to_owned()
}
