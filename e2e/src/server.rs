//! The Kafka that a test talks to: our log, a whole mesh, or Apache Kafka. The tests cannot tell.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tempfile::TempDir;

pub use crate::apache::java;
use crate::apache::{self, Ports};
use crate::peers::{self, Peer};
use crate::process::{Process, free_port};
use crate::secured::Secured;

/// Brokers that share two cores recover their logs slowly.
const START: Duration = Duration::from_secs(180);

/// Which program serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `weft log`.
    Weft,
    /// Apache Kafka 4.3.1, one node.
    Kafka,
}

/// One broker, or several, on loopback ports that outlive `kill -9`.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    folder: TempDir,
    settings: Vec<String>,
    brokers: Vec<Broker>,
}

#[derive(Debug)]
struct Broker {
    folder: PathBuf,
    port: u16,
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
        Self::launch(kind, 1, settings.iter().map(|setting| (*setting).to_owned()).collect(), &[])
    }

    /// Apache Kafka of so many brokers; topics have a copy on each, and two of three must have a record.
    pub fn start_brokers(count: usize) -> Result<Self> {
        Self::launch(Kind::Kafka, count, vec![format!("min.insync.replicas={}", count.div_ceil(2))], &[])
    }

    /// Apache Kafka that lets nobody in without TLS and, as `secured` says, a log-in.
    pub fn start_secured(secured: &Secured) -> Result<Self> {
        Self::launch(Kind::Kafka, 1, secured.broker_settings(), &secured.format_arguments())
    }

    fn launch(kind: Kind, count: usize, settings: Vec<String>, format: &[String]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("weft-e2e-").tempdir()?;
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(Ports { clients: free_port()?, controller: free_port()? });
        }
        let mut brokers = Vec::new();
        for (id, ports) in (1..).zip(&all) {
            let own = if count == 1 { folder.path().to_path_buf() } else { folder.path().join(format!("broker-{id}")) };
            if kind == Kind::Kafka {
                apache::format(&own, id, &all, &settings, format)?;
            }
            let process = run(kind, &own, ports.clients, &settings, 0)?;
            brokers.push(Broker { folder: own, port: ports.clients, process, starts: 1 });
        }
        let mut server = Self { kind, folder, settings, brokers };
        server.wait_until_it_listens()?;
        Ok(server)
    }

    /// `host:port` for clients, several with commas.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        let addresses: Vec<String> = self.brokers.iter().map(|broker| format!("127.0.0.1:{}", broker.port)).collect();
        addresses.join(",")
    }

    /// How long whoever uses it may say nothing. Several brokers on two cores that come up together elect controllers and
    /// leaders and recover their logs first; clients wait out their timeouts meanwhile.
    #[must_use]
    pub fn patience(&self) -> Duration {
        Duration::from_secs(if self.brokers.len() > 1 { 100 } else { 25 })
    }

    /// A folder for the files of the test; gone with the server.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the first broker keeps its data.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.brokers[0].folder.join("data")
    }

    /// The process of the first broker, for its memory and processor time.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.brokers[0].process
    }

    /// `kill -9` of all.
    pub fn kill(&mut self) {
        self.brokers.iter_mut().for_each(|broker| broker.process.kill());
    }

    /// `kill -9` of one, from 0.
    pub fn kill_broker(&mut self, at: usize) {
        self.brokers[at].process.kill();
    }

    /// Starts all again on the same data and ports.
    pub fn restart(&mut self) -> Result<()> {
        self.kill();
        for at in 0..self.brokers.len() {
            self.run_again(at)?;
        }
        self.wait_until_it_listens()
    }

    /// Starts one again, from 0.
    pub fn restart_broker(&mut self, at: usize) -> Result<()> {
        self.kill_broker(at);
        self.run_again(at)?;
        self.wait_until_it_listens()
    }

    fn run_again(&mut self, at: usize) -> Result<()> {
        let broker = &mut self.brokers[at];
        broker.process = run(self.kind, &broker.folder, broker.port, &self.settings, broker.starts)?;
        broker.starts += 1;
        Ok(())
    }

    fn wait_until_it_listens(&mut self) -> Result<()> {
        for broker in &mut self.brokers {
            let port = broker.port;
            let listens = |_: &str| TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(());
            broker.process.wait_until("it listens", START, listens)?;
        }
        Ok(())
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

fn run(kind: Kind, folder: &Path, port: u16, settings: &[String], starts: u32) -> Result<Process> {
    let command = match kind {
        Kind::Weft => {
            let mut command = Command::new(peers::weft()?);
            command.arg("log").arg("--data").arg(folder.join("data"));
            command.args(["--listen", &format!("127.0.0.1:{port}")]).args(settings);
            command
        }
        Kind::Kafka => apache::broker(folder)?,
    };
    Process::start(&format!("broker-{starts}"), command, folder)
}
