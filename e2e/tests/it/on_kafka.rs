//! The same mesh on Apache Kafka: the same results, whatever happens to either.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::mesh::{Mesh, Options};
use e2e::process::Process;
use e2e::server::{Server, java};

/// Seconds that a January may take: Kafka's transactions are slower than the embedded log's.
const JANUARY: u64 = 300;
const SOON: Duration = Duration::from_secs(120);

fn options(partitions: u32) -> Options {
    Options { partitions: Some(partitions), on_kafka: true, ..Options::default() }
}

#[test]
fn january_on_1_partition() -> Result<()> {
    let said = Mesh::up(options(1))?.equals_duckdb(JANUARY)?;
    println!("{said}");
    Ok(())
}

/// The node is there before its Kafka, says so, and ends when asked to.
#[test]
fn a_kafka_that_is_not_there_yet_is_waited_for() -> Result<()> {
    let mut mesh = Mesh::prepare(options(1))?;
    let bootstrap = mesh.bootstrap();
    mesh.server()?.kill();
    let mut process = Process::start("weft-up-early", mesh.command()?, mesh.folder())?;
    let waiting = format!("waiting for the Kafka at {bootstrap}");
    process.wait_until("a word about the wait", SOON, |stdout| stdout.contains(&waiting).then_some(()))?;
    process.interrupt()?;
    process.finish(SOON)?;
    let mut process = Process::start("weft-up-early-again", mesh.command()?, mesh.folder())?;
    process.wait_until("a word about the wait", SOON, |stdout| stdout.contains(&waiting).then_some(()))?;
    mesh.server()?.restart()?;
    process.wait_until("the sources", SOON, |stdout| stdout.contains("every source is complete").then_some(()))
}

/// What `kafka-topics.sh --describe` says of a topic.
fn describe(mesh: &mut Mesh, topic: &str) -> Result<String> {
    let server = mesh.server()?;
    let mut command = java(server.folder())?;
    command.args(["org.apache.kafka.tools.TopicCommand", "--bootstrap-server", &server.bootstrap()]);
    command.args(["--describe", "--topic", topic]);
    Process::start("describe", command, server.folder())?.finish(SOON)
}

/// Three brokers: every topic that an apply makes has the copies that the cluster says.
#[test]
fn topics_have_the_copies_that_the_cluster_says() -> Result<()> {
    let mut mesh = Mesh::prepare_on(options(4), Server::start_brokers(3)?)?;
    mesh.declare_cluster(&[], &["replication_factor: 3", "min_insync_replicas: 2"])?;
    let apply = mesh.weft(&["apply", &mesh.path("").display().to_string()])?;
    Process::start("apply", apply, mesh.folder())?.finish(SOON)?;
    for topic in ["insights.delays.final.v1", "__weft.flights.desired", "__weft.flights.progress"] {
        let said = describe(&mut mesh, topic)?;
        ensure!(said.contains("ReplicationFactor: 3") && said.contains("min.insync.replicas=2"), "{said}");
    }
    Ok(())
}

/// Nothing happens to three brokers, and yet not each of them knows of every topic at once.
#[test]
fn january_on_3_brokers() -> Result<()> {
    let mut mesh = Mesh::prepare_on(options(4), Server::start_brokers(3)?)?;
    mesh.declare_cluster(&[], &["replication_factor: 3", "min_insync_replicas: 2"])?;
    mesh.start()?;
    println!("{}", mesh.equals_duckdb(JANUARY)?);
    Ok(())
}

/// Brokers that die one after the other, and then all: three copies of everything, two of which must have a record.
#[test]
fn january_on_3_brokers_that_die() -> Result<()> {
    let options = Options { speed: Some(100_000), ..options(4) };
    let mut mesh = Mesh::prepare_on(options, Server::start_brokers(3)?)?;
    mesh.declare_cluster(&[], &["replication_factor: 3", "min_insync_replicas: 2"])?;
    mesh.start()?;
    for broker in 0..3 {
        thread::sleep(Duration::from_secs(4));
        mesh.server()?.kill_broker(broker);
        thread::sleep(Duration::from_secs(4));
        mesh.server()?.restart_broker(broker)?;
    }
    thread::sleep(Duration::from_secs(4));
    mesh.server()?.restart()?;
    println!("{}", mesh.equals_duckdb(JANUARY)?);
    Ok(())
}

/// Nodes that die, and over HTTP.
#[test]
fn january_on_4_partitions_after_5_kills() -> Result<()> {
    let mut mesh = Mesh::up(Options { speed: Some(100_000), ..options(4) })?;
    for _ in 0..5 {
        thread::sleep(Duration::from_millis(1500));
        mesh.kill();
        mesh.start()?;
    }
    mesh.equals_duckdb(JANUARY)?;
    let said = mesh.doors_answer()?;
    println!("{said}");
    Ok(())
}
