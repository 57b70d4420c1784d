//! Measurements.
use anyhow::{Result, bail};
use std::process::ExitCode;
/// Options.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) short: bool,
    pub(crate) strict: bool,
}
impl Options {
    pub(crate) fn parse(flags: &[&str]) -> Result<Self> {
        let mut o = Self::default();
        for f in flags {
            match *f {
                "--short" => o.short = true,
                "--strict" => o.strict = true,
                other => bail!("unknown flag {other}"),
            }
        }
        Ok(o)
    }
}
pub(crate) fn spine(options: &Options) -> Result<ExitCode> {
    println!("{options:?}");
    Ok(ExitCode::SUCCESS)
}
