//! A broker, a mesh with one source product, and a folder with its file.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use weft_connect::{CsvSource, ReplayClock, SourceHandle, SourceLimits, SourceOptions, SourceState, SourceStatus};
use weft_model::builtin_ports::builtin_ports;
use weft_model::mesh::{Listeners, Mesh, Replay};
use weft_model::name::{PortId, ProductId};
use weft_model::product::{
    Behaviour, DerivedColumn, Encoding, OutputPort, PortKind, PortRole, Product, ReplayMode, SourceSpec, Status,
};
use weft_model::schema::{Column, ColumnType, Schema};
use weft_model::topic::{PROGRESS, SOURCES, internal};

use crate::proxy::Proxy;

pub(crate) const PARTITIONS: u32 = 3;
pub(crate) const HEADER: &str = "id,minute,hour,note\n";

/// Everything a test needs; the broker ends with it.
pub(crate) struct World {
    pub(crate) bootstrap: String,
    pub(crate) spec: SourceSpec,
    pub(crate) replay: Replay,
    pub(crate) limits: SourceLimits,
    pub(crate) folder: tempfile::TempDir,
    mesh_id: String,
    log: Option<weft_log::LogHandle>,
}

impl World {
    /// A broker of its own, with the topics of a fresh mesh.
    pub(crate) async fn start() -> Self {
        Self::start_with(None).await
    }

    /// The same, with every client led through the proxy. Always the embedded log: it must tell clients so.
    pub(crate) async fn start_behind(proxy: &Proxy) -> Self {
        Self::start_with(Some(proxy)).await
    }

    async fn start_with(proxy: Option<&Proxy>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (bootstrap, log) = match std::env::var("WEFT_TEST_KAFKA") {
            Ok(kafka) if proxy.is_none() => (kafka, None),
            _ => {
                let mut options = weft_log::Options::new(folder.path().join("log"));
                options.listen = "127.0.0.1:0".parse().unwrap();
                options.fsync = weft_log::FsyncMode::Os;
                options.advertised = proxy.map(|proxy| (proxy.addr.ip().to_string(), proxy.addr.port()));
                let log = weft_log::Log::start(options, weft_wire::env::Env::real()).await.unwrap();
                if let Some(proxy) = proxy {
                    proxy.lead_to(log.listen_addr());
                }
                (proxy.map_or_else(|| log.listen_addr(), |proxy| proxy.addr).to_string(), Some(log))
            }
        };
        let spec = SourceSpec {
            port: "rows".parse().unwrap(),
            file: "rows.csv".to_owned(),
            null: "NA".to_owned(),
            mode: ReplayMode::Once,
            derive: vec![DerivedColumn {
                name: "at".to_owned(),
                timestamp: "hour".to_owned(),
                plus_minutes: Some("minute".to_owned()),
            }],
            disorder: None,
            disk_reserve_bytes: 0,
        };
        let limits = SourceLimits { broker_timeout_ms: 10_000, retry_ms_max: 200, ..SourceLimits::default() };
        let mesh_id = format!("t{:x}", rand::random::<u32>());
        let world = Self { bootstrap, spec, replay: Replay::Max, limits, folder, mesh_id, log };
        world.create_topics().await;
        world
    }

    /// Where the embedded log listens, whatever it tells clients.
    pub(crate) fn log_addr(&self) -> std::net::SocketAddr {
        self.log.as_ref().expect("behind a proxy it is the embedded log").listen_addr()
    }

    pub(crate) fn product() -> ProductId {
        ProductId { domain: "d".parse().unwrap(), product: "p".parse().unwrap() }
    }

    pub(crate) fn topic(&self, port: &str) -> String {
        format!("{}.d.p.{port}.v1", self.mesh_id)
    }

    pub(crate) fn internal(&self, what: &str) -> String {
        internal(&self.mesh_id.parse().unwrap(), what)
    }

    fn mesh(&self) -> Mesh {
        let prefix = format!("{}.", self.mesh_id);
        let column = |name: &str, column_type, nullable| Column { name: name.to_owned(), column_type, nullable };
        let port = OutputPort {
            id: PortId { product: Self::product(), port: "rows".parse().unwrap(), major: 1 },
            role: PortRole::Declared,
            kind: PortKind::Append,
            topic: self.topic("rows"),
            adopted: false,
            partitions: PARTITIONS,
            contract_id: String::new(),
            description: String::new(),
            schema: Schema {
                columns: vec![
                    column("id", ColumnType::Int64, false),
                    column("minute", ColumnType::Int64, true),
                    column("hour", ColumnType::Timestamp, true),
                    column("note", ColumnType::String, true),
                    column("at", ColumnType::Timestamp, true),
                ],
            },
            column_docs: BTreeMap::new(),
            key: vec!["id".to_owned()],
            event_time: Some("at".to_owned()),
            event_time_offset_ms: 0,
            encoding: Encoding::Json,
            retention_ms: -1,
        };
        let mut outputs = vec![port];
        outputs.extend(builtin_ports(&prefix, &Self::product()));
        let product = Product {
            id: Self::product(),
            owner: "us".to_owned(),
            version: "1.0.0".to_owned(),
            status: Status::Active,
            purpose: String::new(),
            tags: Vec::new(),
            inputs: Vec::new(),
            outputs,
            behaviour: Behaviour::Source(self.spec.clone()),
            parameters: BTreeMap::new(),
        };
        Mesh {
            id: self.mesh_id.parse().unwrap(),
            topic_prefix: prefix,
            listeners: Listeners { kafka: String::new(), http: String::new() },
            replay: self.replay,
            domains: BTreeMap::new(),
            products: BTreeMap::from([(Self::product(), product)]),
        }
    }

    async fn create_topics(&self) {
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &self.bootstrap).create().unwrap();
        let names = [
            (self.topic("rows"), i32::try_from(PARTITIONS).unwrap()),
            (self.topic("errors"), 1),
            (self.topic("late"), 1),
            (self.internal(PROGRESS), 1),
            (self.internal(SOURCES), 1),
        ];
        let topics: Vec<NewTopic<'_>> = names
            .iter()
            .map(|(name, partitions)| {
                NewTopic::new(name, *partitions, TopicReplication::Fixed(1)).set("retention.ms", "-1")
            })
            .collect();
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)));
        for created in admin.create_topics(&topics, &options).await.unwrap() {
            created.unwrap();
        }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join(&self.spec.file)
    }

    pub(crate) fn write(&self, text: &str) {
        std::fs::write(self.file(), text).unwrap();
    }

    pub(crate) fn options(&self) -> SourceOptions {
        let mesh = Arc::new(self.mesh());
        SourceOptions {
            bootstrap: self.bootstrap.clone(),
            client: BTreeMap::new(),
            clock: ReplayClock::for_mesh(&mesh),
            mesh,
            product: Self::product(),
            root: self.folder.path().to_owned(),
            data_dir: self.folder.path().to_owned(),
            limits: self.limits,
        }
    }

    pub(crate) fn source(&self) -> SourceHandle {
        CsvSource::start(self.options()).unwrap()
    }

    /// Runs a source to its end and gives its status there.
    pub(crate) async fn run(&self) -> SourceStatus {
        let source = self.source();
        let ended = tokio::time::timeout(Duration::from_secs(60), source.ended()).await;
        assert!(ended.is_ok(), "not ended after a minute: {:?}", source.status());
        source.status()
    }
}

/// Waits until the status is as wanted.
pub(crate) async fn until(source: &SourceHandle, wanted: impl Fn(&SourceStatus) -> bool) -> SourceStatus {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let status = source.status();
        if wanted(&status) {
            return status;
        }
        assert!(Instant::now() < deadline, "not so after 30 s: {status:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The code a source stopped with.
pub(crate) fn stopped_with(status: &SourceStatus) -> &'static str {
    match &status.state {
        SourceState::Stopped(diagnostic) => diagnostic.code,
        other => panic!("it is {other:?}"),
    }
}

/// Rows `ids`, a minute apart in event time, in a scrambled order of lines.
pub(crate) fn rows(ids: std::ops::Range<u64>) -> String {
    let count = ids.end - ids.start;
    let mut text = String::new();
    for at in 0..count {
        let id = ids.start + at * 7919 % count; // 7919 is prime: every id once, unless it divides the count
        line(&mut text, id);
    }
    text
}

pub(crate) fn line(text: &mut String, id: u64) {
    let (day, hour, minute) = (1 + id / 1440, id / 60 % 24, id % 60);
    writeln!(text, "{id},{minute},2013-01-{day:02}T{hour:02}:00:00Z,row {id}").unwrap();
}

/// Event time of a row of `rows`.
pub(crate) fn event_ms(id: u64) -> i64 {
    1_356_998_400_000 + i64::try_from(id).unwrap() * 60_000
}
