//! A client library of others behind one command line (`e2e/clients/README.md`).

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::peers::{self, Peer};
use crate::process::Process;
use crate::server;

const LIMIT: Duration = Duration::from_secs(120);

/// Which library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// librdkafka 2.16 through confluent-kafka.
    Confluent,
    /// kafka-python.
    KafkaPython,
    /// aiokafka.
    AioKafka,
    /// kafkajs.
    KafkaJs,
    /// franz-go.
    FranzGo,
    /// Apache Kafka's Java clients.
    Java,
}

impl Client {
    /// The codecs it can both write and read.
    #[must_use]
    pub fn codecs(self) -> &'static [&'static str] {
        match self {
            Self::KafkaJs => &["none", "gzip", "snappy"],
            _ => &["none", "gzip", "snappy", "lz4", "zstd"],
        }
    }

    fn command(self, folder: &Path) -> Result<Command> {
        let clients = peers::repository().join("e2e/clients");
        let python = |script: &str| -> Result<Command> {
            let mut command = Command::new(Peer::Python.require()?);
            command.arg("-u").arg(clients.join(script));
            Ok(command)
        };
        match self {
            Self::Confluent => python("confluent_client.py"),
            Self::KafkaPython => python("kafka_python_client.py"),
            Self::AioKafka => python("aiokafka_client.py"),
            Self::KafkaJs => {
                Peer::KafkaJs.require()?;
                let mut command = Command::new("node");
                command.env("NODE_PATH", peers::home().join("node/node_modules"));
                command.env("KAFKAJS_NO_PARTITIONER_WARNING", "1");
                command.arg(clients.join("kafkajs_client.js"));
                Ok(command)
            }
            Self::FranzGo => Ok(Command::new(Peer::FranzGo.require()?)),
            Self::Java => {
                let mut command = server::java(folder)?;
                command.arg("Client");
                Ok(command)
            }
        }
    }

    /// Starts a verb; `name` tells its files apart.
    pub fn start(self, name: &str, verb: &str, bootstrap: &str, arguments: &Value, folder: &Path) -> Result<Process> {
        let mut command = self.command(folder)?;
        command.args([verb, bootstrap, &arguments.to_string()]);
        Process::start(&format!("{self:?}-{name}"), command, folder)
    }

    /// Runs a verb to its end and hands back what it said, line by line.
    pub fn run(self, verb: &str, bootstrap: &str, arguments: &Value, folder: &Path) -> Result<Vec<Value>> {
        let mut process = self.start(verb, verb, bootstrap, arguments, folder)?;
        lines(&process.finish(LIMIT)?)
    }

    /// Keys of all records of a topic, as this client reads them, and none twice at one offset.
    pub fn keys(
        self,
        bootstrap: &str,
        topic: &str,
        count: usize,
        isolation: &str,
        folder: &Path,
    ) -> Result<Vec<String>> {
        let arguments = serde_json::json!({"topic": topic, "count": count, "isolation": isolation});
        let said = self.run("consume", bootstrap, &arguments, folder)?;
        let mut places: Vec<(i64, i64)> = Vec::new();
        let mut keys = Vec::new();
        for line in &said {
            let number = |field: &str| line[field].as_i64().context("partition and offset are numbers");
            places.push((number("partition")?, number("offset")?));
            keys.push(line["key"].as_str().context("a key is text")?.to_owned());
        }
        let read = places.len();
        places.sort_unstable();
        places.dedup();
        ensure!(places.len() == read, "{self:?} was handed a record twice");
        Ok(keys)
    }
}

/// What a client said, one JSON object per line. A last line without its end is still being written.
pub fn lines(text: &str) -> Result<Vec<Value>> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).with_context(|| format!("not JSON: {line}")))
        .collect()
}
