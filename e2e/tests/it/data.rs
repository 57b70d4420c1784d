//! The files that a mesh replays and DuckDB reads.

use anyhow::{Context, Result};
use e2e::peers::Peer;
use serde_json::{Value, json};

/// The whole year, by the names that `scripts/sources.py` uses.
pub(crate) fn year() -> Result<Value> {
    let flights = Peer::Year.require()?;
    let folder = flights.parent().context("the year lies in a folder")?;
    Ok(json!({
        "flights": flights,
        "weather": folder.join("weather.csv"),
        "planes": folder.join("planes.csv"),
        "airlines": folder.join("airlines.csv"),
        "airports": folder.join("airports.csv"),
    }))
}
