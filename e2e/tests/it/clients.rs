//! Seven client libraries against our log, and the same checks against Apache Kafka, so that the checks are checked too.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::client::{Client, lines};
use e2e::process::Process;
use e2e::server::{Kind, Server};
use serde_json::json;

const PARTITIONS: u32 = 4;
const REBALANCE: Duration = Duration::from_secs(40);

/// All that one library is asked to do, on one broker.
fn works(client: Client, kind: Kind) -> Result<()> {
    let mut server = Server::start(kind)?;
    codecs(client, &server).context("codecs")?;
    rebalance(client, &server).context("rebalance")?;
    transactions(client, &server).context("transactions")?;
    restart(client, &mut server).context("restart")?;
    Ok(())
}

/// Every codec is written and read back, record for record.
fn codecs(client: Client, server: &Server) -> Result<()> {
    for codec in client.codecs() {
        let topic = format!("codec-{codec}");
        server.create_topic(&topic, PARTITIONS, &[])?;
        let arguments = json!({"topic": topic, "codec": codec, "from": 0, "count": 500});
        client.run("produce", &server.bootstrap(), &arguments, server.folder())?;
        // Read by another library as well: what both agree on is on the wire, not in one head.
        for reader in [client, Client::Confluent] {
            let keys = reader.keys(&server.bootstrap(), &topic, 500, "read_committed", server.folder())?;
            expect_keys(keys, 0..500).with_context(|| format!("{codec}, read by {reader:?}"))?;
        }
    }
    Ok(())
}

/// Two members share the partitions; a third joins; two leave and the last holds all. No record is lost on the way.
fn rebalance(client: Client, server: &Server) -> Result<()> {
    let bootstrap = server.bootstrap();
    server.create_topic("shared", PARTITIONS, &[])?;
    let arguments = json!({"topic": "shared", "group": "team"});
    let member = |name: &str| client.start(name, "member", &bootstrap, &arguments, server.folder());
    let produce = |from: u32| {
        let arguments = json!({"topic": "shared", "from": from, "count": 100});
        Client::Confluent.run("produce", &bootstrap, &arguments, server.folder())
    };

    let mut members = vec![member("one")?, member("two")?];
    produce(0)?;
    settle(&mut members)?;
    members.push(member("three")?);
    settle(&mut members)?;
    produce(100)?;
    for mut leaver in members.split_off(1) {
        leaver.close_stdin();
        leaver.wait(REBALANCE)?;
        let read = keys_of(&leaver)?;
        members[0].say("go on")?;
        ensure!(read.iter().all(|key| key.starts_with('k')), "a member read something else");
    }
    settle(&mut members)?;
    produce(200)?;
    let last = &mut members[0];
    last.wait_until("the last member reads the last records", REBALANCE, |said| {
        (200..300).all(|i| said.contains(&format!("\"k{i}\""))).then_some(())
    })?;
    last.close_stdin();
    last.finish(REBALANCE)?;
    Ok(())
}

/// Waits until the members' last words share out every partition exactly once.
fn settle(members: &mut [Process]) -> Result<()> {
    let deadline = Instant::now() + REBALANCE;
    loop {
        let mut held = Vec::new();
        let mut idle = 0;
        for member in members.iter() {
            let last = lines(&member.stdout())?.into_iter().rev().find_map(|line| line["assigned"].as_array().cloned());
            let partitions = last.unwrap_or_default();
            idle += usize::from(partitions.is_empty());
            held.extend(partitions.iter().filter_map(serde_json::Value::as_u64));
        }
        held.sort_unstable();
        if idle == 0 && held == [0, 1, 2, 3] {
            return Ok(());
        }
        if Instant::now() > deadline {
            let tails: String = members.iter().map(Process::tail).collect();
            anyhow::bail!("{} members never shared four partitions; they hold {held:?}{tails}", members.len());
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn keys_of(member: &Process) -> Result<BTreeSet<String>> {
    let said = lines(&member.stdout())?;
    Ok(said.iter().filter_map(|line| line["key"].as_str().map(str::to_owned)).collect())
}

/// Committed records are seen, aborted ones are not; a copy with its offsets in the transaction doubles nothing.
fn transactions(client: Client, server: &Server) -> Result<()> {
    let bootstrap = server.bootstrap();
    for topic in ["money", "copied"] {
        server.create_topic(topic, PARTITIONS, &[])?;
    }
    let arguments = json!({"topic": "money", "id": "teller", "from": 0});
    client.run("transact", &bootstrap, &arguments, server.folder())?;
    for reader in [client, Client::Confluent] {
        let committed = reader.keys(&bootstrap, "money", 20, "read_committed", server.folder())?;
        expect_keys(committed, (0..10).chain(20..30)).with_context(|| format!("committed, read by {reader:?}"))?;
        let all = reader.keys(&bootstrap, "money", 30, "read_uncommitted", server.folder())?;
        expect_keys(all, 0..30).with_context(|| format!("everything, read by {reader:?}"))?;
    }

    let produce = json!({"topic": "money", "from": 30, "count": 180});
    Client::Confluent.run("produce", &bootstrap, &produce, server.folder())?;
    let arguments = json!({"source": "money", "topic": "copied", "group": "copiers", "id": "copier", "count": 200});
    client.run("copy", &bootstrap, &arguments, server.folder())?;
    let copied = client.keys(&bootstrap, "copied", 200, "read_committed", server.folder())?;
    expect_keys(copied, (0..10).chain(20..210)).context("the copy")?;
    Ok(())
}

/// `kill -9` in the middle of a produce: after the restart the producer goes on, and nothing is lost or doubled.
fn restart(client: Client, server: &mut Server) -> Result<()> {
    const COUNT: u32 = 400;
    server.create_topic("durable", PARTITIONS, &[])?;
    let arguments = json!({"topic": "durable", "from": 0, "count": COUNT, "pause_ms": 5});
    let mut producer = client.start("produce-through", "produce", &server.bootstrap(), &arguments, server.folder())?;
    thread::sleep(Duration::from_millis(1200));
    server.kill();
    thread::sleep(Duration::from_millis(300));
    server.restart()?;
    producer.finish(Duration::from_secs(120))?;
    let wanted = COUNT as usize;
    let keys = client.keys(&server.bootstrap(), "durable", wanted, "read_committed", server.folder())?;
    expect_keys(keys, 0..COUNT)
}

/// Exactly these records, each once, in whatever order the partitions gave them.
fn expect_keys(keys: Vec<String>, wanted: impl IntoIterator<Item = u32>) -> Result<()> {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for key in keys {
        *seen.entry(key).or_default() += 1;
    }
    let wanted: BTreeSet<String> = wanted.into_iter().map(|number| format!("k{number}")).collect();
    let missing: Vec<_> = wanted.iter().filter(|key| !seen.contains_key(*key)).take(5).collect();
    let extra: Vec<_> = seen.keys().filter(|key| !wanted.contains(*key)).take(5).collect();
    let twice: Vec<_> = seen.iter().filter(|(_, times)| **times > 1).take(5).collect();
    ensure!(
        missing.is_empty() && extra.is_empty() && twice.is_empty(),
        "missing {missing:?}, too many {extra:?}, more than once {twice:?}"
    );
    Ok(())
}

#[test]
fn confluent_on_kafka() -> Result<()> {
    works(Client::Confluent, Kind::Kafka)
}

#[test]
fn confluent_on_weft() -> Result<()> {
    works(Client::Confluent, Kind::Weft)
}

#[test]
fn kafka_python_on_kafka() -> Result<()> {
    works(Client::KafkaPython, Kind::Kafka)
}

#[test]
fn kafka_python_on_weft() -> Result<()> {
    works(Client::KafkaPython, Kind::Weft)
}

#[test]
fn aiokafka_on_kafka() -> Result<()> {
    works(Client::AioKafka, Kind::Kafka)
}

#[test]
fn aiokafka_on_weft() -> Result<()> {
    works(Client::AioKafka, Kind::Weft)
}

#[test]
fn kafkajs_on_kafka() -> Result<()> {
    works(Client::KafkaJs, Kind::Kafka)
}

#[test]
fn kafkajs_on_weft() -> Result<()> {
    works(Client::KafkaJs, Kind::Weft)
}

#[test]
fn franz_go_on_kafka() -> Result<()> {
    works(Client::FranzGo, Kind::Kafka)
}

#[test]
fn franz_go_on_weft() -> Result<()> {
    works(Client::FranzGo, Kind::Weft)
}

#[test]
fn java_on_kafka() -> Result<()> {
    works(Client::Java, Kind::Kafka)
}

#[test]
fn java_on_weft() -> Result<()> {
    works(Client::Java, Kind::Weft)
}
