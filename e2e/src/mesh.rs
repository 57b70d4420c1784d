//! A whole mesh: `weft up` on a copy of the example, which a test may edit, kill and start again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http;
use crate::peers::{self, Peer};
use crate::process::{Process, free_port};
use crate::server::{Kind, Server};

const START: Duration = Duration::from_secs(60);
/// How long a mesh may say nothing before what is missing counts as missing.
const PATIENCE: Duration = Duration::from_secs(25);

/// What to start.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `--partitions`.
    pub partitions: Option<u32>,
    /// `speed` of the replay in `weft.yaml`; nothing = `max`.
    pub speed: Option<u32>,
    /// Delay rows of the flights beyond the watermark.
    pub disorder: bool,
    /// Replay the whole year instead of the example's January.
    pub year: bool,
    /// On an Apache Kafka of its own instead of the embedded log.
    pub on_kafka: bool,
    /// Another id and `topic_prefix` than the example's.
    pub named: Option<(&'static str, &'static str)>,
    /// `--node`; nothing = the host's name.
    pub node: Option<&'static str>,
}

/// A running `weft up`.
#[derive(Debug)]
pub struct Mesh {
    folder: TempDir,
    options: Options,
    kafka: u16,
    http: u16,
    process: Option<Process>,
    server: Option<Server>,
    /// The Kafka of another mesh.
    beside: Option<String>,
    /// librdkafka properties of a Kafka that lets nobody in without them.
    client: Vec<(String, String)>,
    starts: u32,
}

impl Mesh {
    /// Copies the example and changes the copy as `options` say; nothing runs yet.
    pub fn prepare(options: Options) -> Result<Self> {
        let server = if options.on_kafka { Some(Server::start(Kind::Kafka)?) } else { None };
        Self::prepare_with(options, server)
    }

    /// The same on a Kafka that runs.
    pub fn prepare_on(options: Options, server: Server) -> Result<Self> {
        Self::prepare_with(options, Some(server))
    }

    /// The same on the Kafka of another mesh.
    pub fn prepare_beside(options: Options, other: &Self) -> Result<Self> {
        let mut mesh = Self::prepare_with(options, None)?;
        mesh.beside = Some(other.bootstrap());
        Ok(mesh)
    }

    fn prepare_with(options: Options, server: Option<Server>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("weft-e2e-").tempdir()?;
        let (kafka, http) = (free_port()?, free_port()?);
        let mesh =
            Self { folder, options, kafka, http, process: None, server, beside: None, client: Vec::new(), starts: 0 };
        let status = Command::new("cp")
            .arg("-r")
            .arg(peers::repository().join("examples/flights"))
            .arg(mesh.path(""))
            .status()?;
        ensure!(status.success(), "cannot copy the example");
        // A developer may have run the example in place; its data is not part of it.
        let leftover = mesh.path(".weft");
        if leftover.exists() {
            fs::remove_dir_all(leftover)?;
        }
        if let Some(speed) = mesh.options.speed {
            mesh.edit("weft.yaml", |text| {
                let kept: Vec<&str> =
                    text.lines().filter(|line| !line.contains("speed:") && !line.starts_with("replay:")).collect();
                format!("{}\nreplay:\n  speed: {speed}\n", kept.join("\n"))
            })?;
        }
        if let Some((id, prefix)) = mesh.options.named {
            mesh.edit("weft.yaml", |text| {
                text.replace("mesh: flights", &format!("mesh: {id}\ntopic_prefix: \"{prefix}\""))
            })?;
        }
        if mesh.options.disorder {
            mesh.edit("domains/flight-ops/flights/source.yaml", |text| {
                format!("{text}\ndisorder:\n  rows: 400\n  seconds: 14400\n  seed: 7\n")
            })?;
        }
        Ok(mesh)
    }

    /// `prepare`, then `start`.
    pub fn up(options: Options) -> Result<Self> {
        let mut mesh = Self::prepare(options)?;
        mesh.start()?;
        Ok(mesh)
    }

    /// A path inside the mesh's folder.
    #[must_use]
    pub fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join("mesh").join(inside)
    }

    /// Where logs of processes go; gone with the mesh.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Rewrites one file of the folder.
    pub fn edit(&self, file: &str, change: impl FnOnce(&str) -> String) -> Result<()> {
        let path = self.path(file);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let changed = change(&text);
        ensure!(changed != text, "the edit of {file} changes nothing; has the example changed?");
        fs::write(path, changed)?;
        Ok(())
    }

    /// Puts the Kafka into section `clusters` of `weft.yaml`, with these properties; `topics` are lines below it. A password
    /// lies in a file.
    pub fn declare_cluster(&mut self, client: &[(&str, &str)], topics: &[&str]) -> Result<()> {
        let mut section = format!("\nclusters:\n  ours:\n    bootstrap: {}\n", self.bootstrap());
        if !client.is_empty() {
            section += "    client:\n";
        }
        for (name, value) in client {
            if *name == "sasl.password" {
                fs::write(self.folder.path().join("secret"), format!("{value}\n"))?;
                section += &format!("      {name}: file:{}\n", self.folder.path().join("secret").display());
            } else {
                section += &format!("      {name}: \"{value}\"\n");
            }
        }
        if !topics.is_empty() {
            section += &format!("    topics: {{ {} }}\n", topics.join(", "));
        }
        self.client = client.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.edit("weft.yaml", |text| {
            let kept = text.split("\nclusters:").next().unwrap_or(text);
            format!("{kept}{section}")
        })
    }

    /// Any command of weft about this folder, on the Kafka of the mesh.
    pub fn weft(&self, words: &[&str]) -> Result<Command> {
        let mut command = Command::new(peers::weft()?);
        command.args(words);
        if !self.is_declared()? {
            command.args(["--kafka", &self.bootstrap()]);
        }
        Ok(command)
    }

    fn is_declared(&self) -> Result<bool> {
        Ok(fs::read_to_string(self.path("weft.yaml"))?.contains("\nclusters:"))
    }

    /// The command line of `weft up` for this mesh.
    pub fn command(&self) -> Result<Command> {
        let mut command = Command::new(peers::weft()?);
        command.arg("up").arg(self.path(""));
        if !self.is_declared()? {
            let kafka = if self.server.is_some() || self.beside.is_some() { "--kafka" } else { "--kafka-listen" };
            command.args([kafka, &self.bootstrap()]);
        }
        command.args(["--http-listen", &self.http()]);
        command.arg("--data").arg(self.folder.path().join("data"));
        self.overrides(&mut command)?;
        if let Some(node) = self.options.node {
            command.args(["--node", node]);
        }
        Ok(command)
    }

    /// Another node of this mesh, with a folder, data and doors of its own.
    pub fn another(&self, name: &'static str) -> Result<Node> {
        let folder = tempfile::Builder::new().prefix("weft-e2e-node-").tempdir()?;
        let status = Command::new("cp").arg("-r").arg(self.path("")).arg(folder.path().join("mesh")).status()?;
        ensure!(status.success(), "cannot copy the folder of the mesh");
        let mut node = Node { name, folder, http: free_port()?, arguments: Vec::new(), process: None, starts: 0 };
        let mut overrides = Command::new("weft");
        self.overrides(&mut overrides)?;
        if !self.is_declared()? {
            overrides.args(["--kafka", &self.bootstrap()]);
        }
        node.arguments = overrides.get_args().map(|argument| argument.to_string_lossy().into_owned()).collect();
        Ok(node)
    }

    fn overrides(&self, command: &mut Command) -> Result<()> {
        if let Some(partitions) = self.options.partitions {
            command.args(["--partitions", &partitions.to_string()]);
        }
        if self.options.year {
            let flights = Peer::Year.require()?;
            let weather = flights.with_file_name("weather.csv");
            command.args(["--source", &format!("flight-ops.flights={}", flights.display())]);
            command.args(["--source", &format!("weather.observations={}", weather.display())]);
        }
        Ok(())
    }

    /// Starts the process and waits until it says where it listens.
    pub fn start(&mut self) -> Result<()> {
        self.process = None;
        let process = Process::start(&format!("weft-up-{}", self.starts), self.command()?, self.folder.path())?;
        self.starts += 1;
        let http = self.http();
        self.process.insert(process).wait_until("it serves HTTP", START, |_| {
            http::get(&http, "/healthz").is_ok_and(|answer| answer.status == 200).then_some(())
        })
    }

    /// Waits until every port can be asked.
    pub fn wait_until_ready(&mut self) -> Result<()> {
        let http = self.http();
        self.process()?.wait_until("readiness", START, |_| {
            http::get(&http, "/readyz").is_ok_and(|answer| answer.status == 200).then_some(())
        })
    }

    /// The running process.
    pub fn process(&mut self) -> Result<&mut Process> {
        self.process.as_mut().context("the mesh is not running")
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(process) = &mut self.process {
            process.kill();
        }
    }

    /// `host:port` of the Kafka protocol.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        let beside = || self.beside.clone().unwrap_or_else(|| format!("127.0.0.1:{}", self.kafka));
        self.server.as_ref().map_or_else(beside, Server::bootstrap)
    }

    /// The Apache Kafka that carries it.
    pub fn server(&mut self) -> Result<&mut Server> {
        self.server.as_mut().context("the mesh runs on its own log")
    }

    /// `host:port` of HTTP.
    #[must_use]
    pub fn http(&self) -> String {
        format!("127.0.0.1:{}", self.http)
    }

    /// The CSV files that it replays, by the names that `scripts/sources.py` uses.
    pub fn files(&self) -> Result<Value> {
        let example = |name: &str| -> Result<PathBuf> { find(&self.path(""), name) };
        let (flights, weather) = if self.options.year {
            let flights = Peer::Year.require()?;
            let weather = flights.with_file_name("weather.csv");
            (flights, weather)
        } else {
            (example("flights")?, example("weather")?)
        };
        Ok(json!({
            "flights": flights,
            "weather": weather,
            "planes": example("planes")?,
            "airlines": example("airlines")?,
            "airports": example("airports")?,
        }))
    }

    /// Reads every port with librdkafka and compares it with DuckDB; what was printed is the error where one differs.
    pub fn equals_duckdb(&mut self, seconds: u64) -> Result<String> {
        let question = json!({
            "bootstrap": self.bootstrap(),
            "client": Value::from_iter(self.client.clone()),
            "prefix": self.options.named.map_or("", |(_, prefix)| prefix),
            "files": self.files()?,
            "disorder": self.options.disorder,
            "seconds": seconds,
            "patience": self.server.as_ref().map_or(PATIENCE, Server::patience).as_secs(),
        });
        self.script("mesh.py", &question, Duration::from_secs(seconds + 180))
    }

    /// Asks over HTTP and compares with DuckDB.
    pub fn doors_answer(&mut self) -> Result<String> {
        let question = json!({"http": self.http(), "files": self.files()?});
        self.script("doors.py", &question, Duration::from_secs(180))
    }

    fn script(&mut self, name: &str, question: &Value, limit: Duration) -> Result<String> {
        let mut command = Command::new(Peer::Python.require()?);
        command.arg("-u").arg(peers::repository().join("e2e/scripts").join(name)).arg(question.to_string());
        let mut script = Process::start(name, command, self.folder.path())?;
        let result = script.finish(limit);
        let tail = self.process.as_ref().map(Process::tail).unwrap_or_default();
        result.with_context(|| format!("the mesh said:{tail}"))
    }
}

/// One more node of a mesh.
#[derive(Debug)]
pub struct Node {
    name: &'static str,
    folder: TempDir,
    http: u16,
    arguments: Vec<String>,
    process: Option<Process>,
    starts: u32,
}

impl Node {
    /// A path inside its copy of the mesh's folder.
    #[must_use]
    pub fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join("mesh").join(inside)
    }

    /// `host:port` of HTTP.
    #[must_use]
    pub fn http(&self) -> String {
        format!("127.0.0.1:{}", self.http)
    }

    /// Starts the process, or starts it again, and waits until it serves.
    pub fn start(&mut self) -> Result<()> {
        self.process = None;
        let mut command = Command::new(peers::weft()?);
        command.arg("up").arg(self.path("")).args(&self.arguments).args(["--node", self.name]);
        command.args(["--http-listen", &self.http()]).arg("--data").arg(self.folder.path().join("data"));
        let process = Process::start(&format!("{}-{}", self.name, self.starts), command, self.folder.path())?;
        self.starts += 1;
        let http = self.http();
        self.process.insert(process).wait_until("it serves HTTP", START, |_| {
            http::get(&http, "/healthz").is_ok_and(|answer| answer.status == 200).then_some(())
        })
    }

    /// The running process.
    pub fn process(&mut self) -> Result<&mut Process> {
        self.process.as_mut().context("the node is not running")
    }
}

/// The one CSV file of the example whose name begins so.
fn find(folder: &Path, name: &str) -> Result<PathBuf> {
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let is_data = [".csv", ".csv.gz", ".zip"].iter().any(|ending| file.ends_with(ending));
            if is_data && (file.starts_with(name) || (name == "weather" && file.starts_with("observations"))) {
                return Ok(path);
            }
        }
    }
    anyhow::bail!("the example has no CSV file for {name}")
}
