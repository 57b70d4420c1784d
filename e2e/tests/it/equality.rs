//! Every port of the running example equals DuckDB over the same files, whatever happens to the process meanwhile.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::http;
use e2e::mesh::{Mesh, Options};

/// Seconds that a January at full speed may take on a busy machine of two cores.
const JANUARY: u64 = 240;
const YEAR: u64 = 900;

fn january(options: Options) -> Result<()> {
    let mut mesh = Mesh::up(options)?;
    let said = mesh.equals_duckdb(JANUARY)?;
    println!("{said}");
    Ok(())
}

#[test]
fn january_on_1_partition() -> Result<()> {
    january(Options { partitions: Some(1), ..Options::default() })
}

#[test]
fn january_on_4_partitions() -> Result<()> {
    january(Options { partitions: Some(4), ..Options::default() })
}

#[test]
fn january_with_disorder_on_1_partition() -> Result<()> {
    january(Options { partitions: Some(1), disorder: true, ..Options::default() })
}

#[test]
fn january_with_disorder_on_4_partitions() -> Result<()> {
    january(Options { partitions: Some(4), disorder: true, ..Options::default() })
}

/// The process is stopped and let go, so that its partitions are read in bursts; then HTTP is asked as well.
#[test]
fn january_at_an_uneven_pace_and_over_http() -> Result<()> {
    let mut mesh = Mesh::up(Options { partitions: Some(4), speed: Some(400_000), ..Options::default() })?;
    let mut moments = Moments::new(20_131);
    for _ in 0..8 {
        thread::sleep(moments.between(100, 600));
        mesh.process()?.pause()?;
        thread::sleep(moments.between(50, 800));
        mesh.process()?.resume()?;
    }
    mesh.equals_duckdb(JANUARY)?;
    let said = mesh.doors_answer()?;
    println!("{said}");
    Ok(())
}

/// Products that come late read years of log at once, each partition in chunks of its own size: the case in which a
/// reader that takes the fastest partition's time throws most rows away.
#[test]
fn january_read_by_products_that_come_later() -> Result<()> {
    let mut mesh = Mesh::prepare(Options { partitions: Some(4), ..Options::default() })?;
    let (insights, aside) = (mesh.path("domains/insights"), mesh.folder().join("insights"));
    std::fs::rename(&insights, &aside)?;
    mesh.start()?;
    let http = mesh.http();
    wait(Duration::from_secs(JANUARY), || {
        Ok(http::get(&http, "/v1/products/weather/observations/ports/hourly/v1?limit=1")?.body.contains("time_hour"))
    })?;
    thread::sleep(Duration::from_secs(5));
    std::fs::rename(&aside, &insights)?;
    mesh.equals_duckdb(JANUARY)?;
    Ok(())
}

/// `kill -9` at seeded moments while the replay runs at such a speed that all of them fall into it.
fn killed(options: Options, kills: u32, seed: u64, shortest_ms: u64, longest_ms: u64, limit: u64) -> Result<()> {
    let mut mesh = Mesh::up(options)?;
    let mut moments = Moments::new(seed);
    let began = Instant::now();
    for kill in 0..kills {
        let moment = moments.between(shortest_ms, longest_ms);
        thread::sleep(moment);
        mesh.kill();
        println!("seed {seed}: kill {kill} after {moment:?}, {:.1} s into the test", began.elapsed().as_secs_f32());
        mesh.start()?;
    }
    mesh.equals_duckdb(limit)?;
    Ok(())
}

#[test]
fn january_after_20_kills_on_1_partition() -> Result<()> {
    let options = Options { partitions: Some(1), speed: Some(100_000), ..Options::default() };
    killed(options, 20, 1, 20, 1500, JANUARY)
}

#[test]
fn january_after_20_kills_on_4_partitions() -> Result<()> {
    let options = Options { partitions: Some(4), speed: Some(100_000), ..Options::default() };
    killed(options, 20, 2, 20, 1500, JANUARY)
}

#[test]
fn january_with_disorder_after_20_kills_on_4_partitions() -> Result<()> {
    let options = Options { partitions: Some(4), speed: Some(100_000), disorder: true, ..Options::default() };
    killed(options, 20, 3, 20, 1500, JANUARY)
}

/// The whole year once: four partitions, kills in the middle, and a process that is stopped now and then.
#[test]
fn year_after_5_kills_at_an_uneven_pace() -> Result<()> {
    let mut mesh = Mesh::up(Options { partitions: Some(4), year: true, ..Options::default() })?;
    let mut moments = Moments::new(5);
    for _ in 0..5 {
        thread::sleep(moments.between(500, 4000));
        mesh.process()?.pause()?;
        thread::sleep(moments.between(100, 1000));
        mesh.process()?.resume()?;
        thread::sleep(moments.between(50, 500));
        mesh.kill();
        mesh.start()?;
    }
    mesh.equals_duckdb(YEAR)?;
    let said = mesh.doors_answer()?;
    println!("{said}");
    Ok(())
}

/// From an empty data directory to a row of `delays`: told, not asserted, because machines are noisy.
#[test]
fn first_answer_comes() -> Result<()> {
    let mut mesh = Mesh::prepare(Options::default())?;
    let began = Instant::now();
    mesh.start()?;
    let http = mesh.http();
    let path =
        "/v1/products/insights/delays/ports/current/v1?origin=EWR&carrier=UA&window_start=2013-01-01T11:00:00.000Z";
    wait(Duration::from_secs(60), || {
        let answer = http::get(&http, path)?;
        Ok(answer.status == 200 && answer.json()?["rows"].as_array().is_some_and(|rows| !rows.is_empty()))
    })?;
    println!("first answer {} ms after the start", began.elapsed().as_millis());
    let answer = http::get(&http, path)?.json()?;
    ensure!(answer["rows"][0]["origin"] == "EWR" && !answer["position"].is_null(), "{answer}");
    Ok(())
}

/// Tries until it holds; an error counts as not yet.
pub(crate) fn wait(limit: Duration, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + limit;
    loop {
        let now = holds();
        if matches!(now, Ok(true)) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "it did not come to hold in {limit:?}; last: {now:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Moments drawn from a seed (xorshift64*), so that a failing run can be run again.
struct Moments(u64);

impl Moments {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn between(&mut self, shortest_ms: u64, longest_ms: u64) -> Duration {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D);
        Duration::from_millis(shortest_ms + drawn % (longest_ms - shortest_ms))
    }
}
