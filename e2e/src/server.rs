//! The Kafka that a test talks to: our log, a whole mesh, or Apache Kafka. The tests cannot tell.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::peers::{self, Peer};
use crate::process::{Process, free_port};

const START: Duration = Duration::from_secs(60);

/// Which program serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `weft log`.
    Weft,
    /// Apache Kafka 4.3.1, one node.
    Kafka,
}

/// A broker on a loopback port that outlives `kill -9`.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    folder: TempDir,
    port: u16,
    settings: Vec<String>,
    process: Process,
    starts: u32,
}

impl Server {
    /// Starts a broker with an empty data directory.
    pub fn start(kind: Kind) -> Result<Self> {
        Self::start_with(kind, &[])
    }

    /// The same with settings: arguments of `weft log`, or lines of Kafka's `server.properties`.
    pub fn start_with(kind: Kind, settings: &[&str]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("weft-e2e-").tempdir()?;
        let port = free_port()?;
        let settings: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
        if kind == Kind::Kafka {
            format_kafka(folder.path(), port, &settings)?;
        }
        let process = launch(kind, folder.path(), port, &settings, 0)?;
        let mut server = Self { kind, folder, port, settings, process, starts: 1 };
        server.wait_until_it_listens()?;
        Ok(server)
    }

    /// `host:port` for clients.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A folder for the files of the test; gone with the server.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the broker keeps its data.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The process, for its memory and processor time.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on the same data and port.
    pub fn restart(&mut self) -> Result<()> {
        self.process.kill();
        self.process = launch(self.kind, self.folder.path(), self.port, &self.settings, self.starts)?;
        self.starts += 1;
        self.wait_until_it_listens()
    }

    fn wait_until_it_listens(&mut self) -> Result<()> {
        let port = self.port;
        self.process.wait_until("it listens", START, |_| TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(()))
    }

    /// Creates a topic; a setting is `name=value`.
    pub fn create_topic(&self, topic: &str, partitions: u32, settings: &[&str]) -> Result<()> {
        create_topic(&self.bootstrap(), topic, partitions, settings)
    }
}

/// Creates a topic through librdkafka, trying again while a broker is still waking up.
pub fn create_topic(bootstrap: &str, topic: &str, partitions: u32, settings: &[&str]) -> Result<()> {
    let python = Peer::Python.require()?;
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let output = Command::new(&python)
            .arg(peers::repository().join("e2e/clients/create_topic.py"))
            .args([bootstrap, topic, &partitions.to_string()])
            .args(settings)
            .output()?;
        if output.status.success() {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("cannot create topic {topic}: {}", String::from_utf8_lossy(&output.stderr));
        }
        thread::sleep(Duration::from_millis(200));
    }
}

fn launch(kind: Kind, folder: &Path, port: u16, settings: &[String], starts: u32) -> Result<Process> {
    let command = match kind {
        Kind::Weft => {
            let mut command = Command::new(peers::weft()?);
            command.arg("log").arg("--data").arg(folder.join("data"));
            command.args(["--listen", &format!("127.0.0.1:{port}")]).args(settings);
            command
        }
        Kind::Kafka => {
            let mut command = java(folder)?;
            command.arg("kafka.Kafka").arg(folder.join("server.properties"));
            command
        }
    };
    Process::start(&format!("broker-{starts}"), command, folder)
}

/// `java` with Kafka's jars, ready for a main class.
pub fn java(folder: &Path) -> Result<Command> {
    let classes = Peer::Kafka.require()?;
    let classes = classes.parent().context("the marker lies in a folder")?;
    let libs = peers::home().join("kafka/libs/*");
    let logging = folder.join("log4j2.properties");
    fs::write(
        &logging,
        "rootLogger.level=warn\nrootLogger.appenderRef.out.ref=out\nappender.out.type=Console\nappender.out.name=out\nappender.out.target=SYSTEM_ERR\nappender.out.layout.type=PatternLayout\nappender.out.layout.pattern=%p %m%n\n",
    )?;
    let mut command = Command::new("java");
    command.args(["-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=4"]);
    command.arg(format!("-Dlog4j2.configurationFile={}", logging.display()));
    command.arg("-cp").arg(format!("{}:{}", classes.display(), libs.display()));
    Ok(command)
}

fn format_kafka(folder: &Path, port: u16, settings: &[String]) -> Result<()> {
    let controller = free_port()?;
    let data = folder.join("data");
    let properties = folder.join("server.properties");
    let text = format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
         log.dirs={}\n\
         offsets.topic.replication.factor=1\n\
         offsets.topic.num.partitions=4\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         transaction.state.log.num.partitions=4\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n\
         group.initial.rebalance.delay.ms=0\n\
         auto.create.topics.enable=false\n\
         {}\n",
        data.display(),
        settings.join("\n"),
    );
    fs::write(&properties, text)?;
    let mut command = java(folder)?;
    command.args(["kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c"]);
    command.arg(&properties);
    Process::start("format", command, folder)?.finish(START)?;
    Ok(())
}
