//! The log beside Apache Kafka: the same client, the same records, one after the other in the same run.

use std::time::Instant;

use anyhow::Result;
use e2e::server::{Kind, Server};

use super::table::{Limit, Table};
use super::{Options, load, megabytes, number};

const RECORD_BYTES: u32 = 1000;

/// The log's start.
const START_MS_MAX: f64 = 100.0;

/// From a client's subscription to its assignment.
const GROUP_MS_MAX: f64 = 200.0;

/// How writes reach the disk, in the words of both.
struct Mode {
    name: &'static str,
    weft: &'static [&'static str],
    kafka: &'static [&'static str],
    records: u32,
    records_short: u32,
}

const MODES: [Mode; 2] = [
    Mode { name: "os", weft: &["--fsync", "os"], kafka: &[], records: 1_000_000, records_short: 20_000 },
    Mode {
        name: "always",
        weft: &["--fsync", "always"],
        kafka: &["log.flush.interval.messages=1"],
        records: 200_000,
        records_short: 5_000,
    },
];

/// What one broker did.
struct Figures {
    produce: f64,
    consume: f64,
    cpu: f64,
    memory: f64,
    start_ms: f64,
    group_ms: f64,
}

/// Produces and consumes in both modes on both brokers.
pub(crate) fn beside_kafka(options: &Options, table: &mut Table) -> Result<()> {
    for mode in &MODES {
        let records = if options.short { mode.records_short } else { mode.records };
        let weft = measure(Kind::Weft, mode.weft, records)?;
        let kafka = measure(Kind::Kafka, mode.kafka, records)?;
        let name = |what: &str| format!("log, {}: {what}", mode.name);
        let at_least = if mode.name == "os" { Limit::AtLeastOfPeer(2.0) } else { Limit::None };
        table.compare(&name("produce, 1 kB records, acks=all"), weft.produce, kafka.produce, "MB/s", at_least);
        table.compare(&name("consume"), weft.consume, kafka.consume, "MB/s", Limit::None);
        table.compare(&name("broker's processor time"), weft.cpu, kafka.cpu, "CPU-s", Limit::None);
        table.compare(&name("broker's peak memory"), weft.memory, kafka.memory, "MB", Limit::AtMostOfPeer(0.1));
        let (start, group) = (Limit::AtMost(START_MS_MAX), Limit::AtMost(GROUP_MS_MAX));
        table.compare(&name("start until it listens"), weft.start_ms, kafka.start_ms, "ms", start);
        table.compare(&name("a group of one forms, median"), weft.group_ms, kafka.group_ms, "ms", group);
    }
    Ok(())
}

fn measure(kind: Kind, settings: &[&str], records: u32) -> Result<Figures> {
    let mut server = Server::start_with(kind, settings)?;
    server.create_topic("load", 1, &[])?;
    let (bootstrap, count) = (server.bootstrap(), records.to_string());
    let produced = load(server.folder(), &["produce", &bootstrap, "load", &count, &RECORD_BYTES.to_string()])?;
    let consumed = load(server.folder(), &["consume", &bootstrap, "load", &count])?;
    let group = load(server.folder(), &["group", &bootstrap, "load"])?;
    let cpu = server.process().cpu()?.as_secs_f64();
    let memory = megabytes(server.process().memory_peak_bytes()?);
    // Measured on the second start, with the data there: that is what a user of a laptop or an edge site waits for.
    let began = Instant::now();
    server.restart()?;
    Ok(Figures {
        produce: number(&produced, "mb")? / number(&produced, "seconds")?,
        consume: number(&consumed, "mb")? / number(&consumed, "seconds")?,
        cpu,
        memory,
        group_ms: number(&group, "ms")?,
        start_ms: began.elapsed().as_secs_f64() * 1e3,
    })
}
