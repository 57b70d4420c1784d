//! The example mesh as a user meets it: from nothing to an answer, and the year as fast as it goes.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::http;
use e2e::mesh::{Mesh, Options as MeshOptions};

use super::table::{Limit, Table};
use super::{Options, figures, megabytes, number, start_load};

const ANSWER: &str =
    "/v1/products/insights/delays/ports/current/v1?origin=EWR&carrier=UA&window_start=2013-01-01T11:00:00.000Z";
const FIRST_ANSWER_MS_MAX: f64 = 2000.0;
const FIRST_ANSWER_WAIT: Duration = Duration::from_secs(60);

/// Milliseconds from the start of the process on an empty data directory to a row of `delays`; the median of several.
pub(crate) fn first_answer(options: &Options, table: &mut Table) -> Result<()> {
    let mut times = Vec::new();
    for _ in 0..if options.short { 1 } else { 5 } {
        let mut mesh = Mesh::prepare(MeshOptions::default())?;
        let began = Instant::now();
        mesh.start()?;
        loop {
            let row = http::get(&mesh.http(), ANSWER).ok().and_then(|answer| answer.json().ok());
            if row.is_some_and(|answer| answer["rows"][0]["origin"] == "EWR") {
                break;
            }
            ensure!(
                began.elapsed() < FIRST_ANSWER_WAIT,
                "no answer in {FIRST_ANSWER_WAIT:?}{}",
                mesh.process()?.tail()
            );
            thread::sleep(Duration::from_millis(5));
        }
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    table.add("start to first answer, median", times[times.len() / 2], "ms", Limit::AtMost(FIRST_ANSWER_MS_MAX));
    Ok(())
}

/// The year (January in the short form) through `flights-enriched` and `delays` to a consumer of both.
pub(crate) fn year(options: &Options, table: &mut Table) -> Result<()> {
    // Published facts about the data: departures, and windows of the delays.
    let (flights, enriched, windows) =
        if options.short { (27_004.0, 26_483, 9_554) } else { (336_776.0, 328_521, 116_904) };
    let mut mesh = Mesh::prepare(MeshOptions { partitions: Some(4), year: !options.short, ..MeshOptions::default() })?;
    let began = Instant::now();
    mesh.start()?;
    let enriched = format!("insights.flights-enriched.flights.v1={enriched}");
    let windows = format!("insights.delays.final.v1={windows}");
    let mut load = start_load(mesh.folder(), &["follow", &mesh.bootstrap(), "600", &enriched, &windows])?;
    number(&figures(&mut load)?, "records")?;
    let seconds = began.elapsed().as_secs_f64();
    let process = mesh.process()?;
    let cpu = process.cpu()?.as_secs_f64();
    table.add("replay: flights per second, to the consumer", flights / seconds, "rows/s", Limit::None);
    table.add("replay: flights per CPU-second, all products", flights / cpu, "rows/s", Limit::None);
    table.add("replay: processor time", cpu, "CPU-s", Limit::None);
    table.add("replay: peak memory", megabytes(process.memory_peak_bytes()?), "MB", Limit::None);
    Ok(())
}
