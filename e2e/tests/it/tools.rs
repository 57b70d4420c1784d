//! The command-line tools that people type: kcat, and what Apache Kafka ships.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::client::Client;
use e2e::peers::Peer;
use e2e::process::Process;
use e2e::server::{Kind, Server, java};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(90);

/// kcat of Debian 12 carries librdkafka 2.0.2, which matches exact old versions: it must still compress and form groups.
fn kcat_works(kind: Kind) -> Result<()> {
    let kcat = Peer::Kcat.require()?;
    let server = Server::start(kind)?;
    let run = |name: &str, arguments: &[&str]| -> Result<String> {
        let mut command = Command::new(&kcat);
        command.args(["-b", &server.bootstrap()]).args(arguments);
        Process::start(name, command, server.folder())?.finish(LIMIT)
    };
    let input = server.folder().join("input");
    fs::write(&input, (0..200).map(|i| format!("k{i}:value {i}\n")).collect::<String>())?;
    let input = input.display().to_string();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = format!("kcat-{codec}");
        server.create_topic(&topic, 2, &[])?;
        // A batch that compressing would make larger is sent as it is: a batch of one record is, so all wait for the last.
        let whole = ["-X", "acks=all", "-X", "linger.ms=1000"];
        run("produce", &[&["-P", "-t", &topic, "-z", codec, "-K", ":", "-l", &input], &whole[..]].concat())?;
        let read = run("consume", &["-C", "-t", &topic, "-o", "beginning", "-e", "-q", "-K", ":"])?;
        let mut lines: Vec<&str> = read.lines().collect();
        lines.sort_unstable();
        ensure!(lines.len() == 200 && lines.contains(&"k7:value 7"), "{codec}: {} lines came back", lines.len());
        if codec != "none" {
            let stored = stored_codec(&server, &topic)?;
            ensure!(
                stored == codec,
                "kcat was asked for {codec} and sent {stored}: it did not find the versions it looks for"
            );
        }
    }
    let grouped = run("group", &["-G", "kcat-team", "-e", "-q", "-X", "auto.offset.reset=earliest", "kcat-lz4"])?;
    ensure!(grouped.lines().count() == 200, "the group read {} records", grouped.lines().count());
    let listed = run("list", &["-L"])?;
    ensure!(listed.contains("topic \"kcat-zstd\" with 2 partitions"), "no such topic in {listed}");
    Ok(())
}

/// The codec of the first batch as it lies in the topic, asked by a raw fetch.
fn stored_codec(server: &Server, topic: &str) -> Result<String> {
    let mut command = Command::new(Peer::Python.require()?);
    command.arg(e2e::peers::repository().join("e2e/clients/stored_codec.py"));
    command.args([&server.bootstrap(), topic]);
    let said = Process::start("stored-codec", command, server.folder())?.finish(LIMIT)?;
    Ok(said.trim().to_owned())
}

#[test]
fn kcat_on_kafka() -> Result<()> {
    kcat_works(Kind::Kafka)
}

#[test]
fn kcat_on_weft() -> Result<()> {
    kcat_works(Kind::Weft)
}

/// The shell tools of Apache Kafka: topics, configs, groups, offsets, transactions, and the two perf tests.
fn java_tools_work(kind: Kind) -> Result<()> {
    let server = Server::start(kind)?;
    let bootstrap = server.bootstrap();
    let run = |name: &str, class: &str, arguments: &[&str]| -> Result<String> {
        let mut command = java(server.folder())?;
        command.arg(class).args(arguments);
        Process::start(name, command, server.folder())?.finish(LIMIT)
    };
    let topics = "org.apache.kafka.tools.TopicCommand";
    let at = ["--bootstrap-server", &bootstrap];

    run(
        "create",
        topics,
        &[at[0], at[1], "--create", "--topic", "tools", "--partitions", "3", "--config", "retention.ms=-1"],
    )?;
    let described = run("describe", topics, &[at[0], at[1], "--describe", "--topic", "tools"])?;
    ensure!(described.contains("PartitionCount: 3") && described.contains("retention.ms=-1"), "{described}");
    run("alter", topics, &[at[0], at[1], "--alter", "--topic", "tools", "--partitions", "4"])?;
    let configs = "kafka.admin.ConfigCommand";
    let entity = ["--entity-type", "topics", "--entity-name", "tools"];
    let changed = [&at[..], &["--alter"], &entity[..], &["--add-config", "segment.ms=1000000"]].concat();
    run("add-config", configs, &changed)?;
    let shown = [&at[..], &["--describe"], &entity[..]].concat();
    let shown = run("show-config", configs, &shown)?;
    ensure!(shown.contains("segment.ms=1000000"), "{shown}");

    let properties = format!("bootstrap.servers={bootstrap}");
    let producer = "org.apache.kafka.tools.ProducerPerformance";
    let written = run(
        "producer-perf",
        producer,
        &[
            "--topic",
            "tools",
            "--num-records",
            "20000",
            "--record-size",
            "200",
            "--throughput",
            "-1",
            "--producer-props",
            &properties,
            "acks=all",
        ],
    )?;
    ensure!(written.contains("20000 records sent"), "{written}");
    let read = run(
        "consumer-perf",
        "org.apache.kafka.tools.ConsumerPerformance",
        &[at[0], at[1], "--topic", "tools", "--messages", "20000", "--timeout", "30000", "--hide-header"],
    )?;
    ensure!(
        read.contains("20000")
            || read.split(',').nth(4).is_some_and(|n| n.trim().parse::<u64>().is_ok_and(|n| n >= 20000)),
        "{read}"
    );
    let offsets = run("offsets", "org.apache.kafka.tools.GetOffsetShell", &[at[0], at[1], "--topic", "tools"])?;
    let end: u64 = offsets.lines().filter_map(|line| line.rsplit(':').next()?.parse::<u64>().ok()).sum();
    ensure!(end == 20000, "the partitions end at {end} records together");

    let groups = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
    let listed = run("groups", groups, &[at[0], at[1], "--list"])?;
    ensure!(listed.contains("perf-consumer"), "{listed}");
    let transaction = json!({"topic": "tools", "id": "tools-teller", "from": 0});
    Client::Java.run("transact", &bootstrap, &transaction, server.folder())?;
    let listed = run("transactions", "org.apache.kafka.tools.TransactionsCommand", &[at[0], at[1], "list"])?;
    ensure!(listed.contains("tools-teller") && listed.contains("CompleteCommit"), "{listed}");
    run("delete", topics, &[at[0], at[1], "--delete", "--topic", "tools"])?;
    Ok(())
}

#[test]
fn java_tools_on_kafka() -> Result<()> {
    java_tools_work(Kind::Kafka)
}

#[test]
fn java_tools_on_weft() -> Result<()> {
    java_tools_work(Kind::Weft)
}
