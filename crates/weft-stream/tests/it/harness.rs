//! A log on loopback, the example mesh, a source that writes as Weft's own sources do, and a reader.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext, Message, Offset, TopicPartitionList};
use weft_log::{FsyncMode, Log, LogHandle, Options};
use weft_model::key::{KeyValue, key_bytes};
use weft_model::load::{Files, LoadOptions, load};
use weft_model::mesh::Mesh;
use weft_model::name::{PortId, ProductId};
use weft_model::partitioner::partition_of;
use weft_model::product::PortKind;
use weft_model::progress::{HEADER, ProgressKey, ProgressValue, RecordProgress, WATERMARK_COMPLETE, WATERMARK_NONE};
use weft_model::topic;
use weft_stream::config::{EngineOptions, KafkaOptions};
use weft_stream::runtime::{Engine, ProductState};
use weft_wire::env::Env;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const HOUR_MS: i64 = 3_600_000;
/// 2013-01-01T00:00:00Z.
const START_MS: i64 = 1_356_998_400_000;

/// A log with the topics of the example mesh.
pub(crate) struct World {
    pub bootstrap: String,
    pub mesh: Arc<Mesh>,
    pub dir: tempfile::TempDir,
    pub partitions: u32,
    runtime: tokio::runtime::Runtime,
    _log: LogHandle,
}

/// A flight as the tests make them: enough columns for what they compute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flight {
    pub at_ms: i64,
    pub origin: &'static str,
    pub carrier: &'static str,
    pub number: i64,
    /// None = cancelled.
    pub delay: Option<i64>,
}

impl Flight {
    fn key(&self) -> Vec<u8> {
        let key =
            [KeyValue::String(self.origin.into()), KeyValue::String(self.carrier.into()), KeyValue::Int64(self.number)];
        key_bytes(&key).unwrap().to_vec()
    }

    fn value(&self) -> String {
        let delay = self.delay.map_or_else(|| "null".to_owned(), |delay| delay.to_string());
        let departed = if self.delay.is_some() { "900" } else { "null" };
        format!(
            r#"{{"year":2013,"month":1,"day":1,"dep_time":{departed},"sched_dep_time":900,"dep_delay":{delay},"arr_time":null,"sched_arr_time":1100,"arr_delay":null,"carrier":"{}","flight":{},"tailnum":null,"origin":"{}","dest":"SFO","air_time":null,"distance":100,"hour":9,"minute":0,"time_hour":"{}","scheduled_at":"{}"}}"#,
            self.carrier,
            self.number,
            self.origin,
            weft_model::json::format_timestamp_ms(self.at_ms),
            weft_model::json::format_timestamp_ms(self.at_ms),
        )
    }

    /// Start of its hour.
    pub(crate) fn window_ms(&self) -> i64 {
        self.at_ms.div_euclid(HOUR_MS) * HOUR_MS
    }
}

/// Flights in the order of their time: several per minute.
pub(crate) fn flights(count: usize) -> Vec<Flight> {
    let origins = ["EWR", "JFK", "LGA"];
    let carriers = ["UA", "DL", "B6", "AA"];
    (0..count)
        .map(|n| Flight {
            at_ms: START_MS + n as i64 * 20_000,
            origin: origins[n * 7 % 3],
            carrier: carriers[n * 5 % 4],
            number: n as i64,
            delay: (!n.is_multiple_of(11)).then_some((n % 60) as i64 - 5),
        })
        .collect()
}

/// Flights and cancellations per (window start, origin, carrier).
pub(crate) fn expected(flights: &[Flight]) -> BTreeMap<(String, String, String), (i64, i64)> {
    let mut counts = BTreeMap::new();
    for flight in flights {
        let window = weft_model::json::format_timestamp_ms(flight.window_ms());
        let entry: &mut (i64, i64) =
            counts.entry((window, flight.origin.to_owned(), flight.carrier.to_owned())).or_default();
        entry.0 += 1;
        entry.1 += i64::from(flight.delay.is_none());
    }
    counts
}

pub(crate) fn product(domain: &str, product: &str) -> ProductId {
    ProductId { domain: domain.parse().unwrap(), product: product.parse().unwrap() }
}

pub(crate) fn port(domain: &str, of: &str, port: &str) -> PortId {
    PortId { product: product(domain, of), port: port.parse().unwrap(), major: 1 }
}

impl World {
    pub(crate) fn new(partitions: u32) -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/flights");
        let files = Files::read_folder(&folder).unwrap();
        let options = LoadOptions { partitions: Some(partitions), ..LoadOptions::default() };
        let mesh = Arc::new(load(&files, &options).unwrap());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut options = Options::new(dir.path().join("log"));
        options.listen = "127.0.0.1:0".parse().unwrap();
        options.fsync = FsyncMode::Os;
        let log = runtime.block_on(Log::start(options, Env::real())).unwrap();
        let world = Self { bootstrap: log.listen_addr().to_string(), mesh, dir, partitions, runtime, _log: log };
        world.create_topics();
        world
    }

    fn create_topics(&self) {
        let admin: AdminClient<DefaultClientContext> = self.config().create().unwrap();
        let mut wanted: Vec<(String, u32, bool)> = Vec::new();
        for product in self.mesh.products.values() {
            for port in &product.outputs {
                wanted.push((port.topic.clone(), port.partitions, port.kind == PortKind::Upsert));
            }
        }
        wanted.push((self.progress_topic(), 1, true));
        let topics: Vec<NewTopic<'_>> = wanted
            .iter()
            .map(|(name, partitions, compact)| {
                NewTopic::new(name, partitions.cast_signed(), TopicReplication::Fixed(1))
                    .set("cleanup.policy", if *compact { "compact" } else { "delete" })
                    .set("retention.ms", "-1")
                    .set("message.timestamp.after.max.ms", "9223372036854775807")
            })
            .collect();
        for result in block_on(admin.create_topics(&topics, &AdminOptions::new())).unwrap() {
            result.unwrap();
        }
    }

    /// Runs what is async on the log's own threads.
    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub(crate) fn progress_topic(&self) -> String {
        topic::internal(&self.mesh.id, topic::PROGRESS)
    }

    pub(crate) fn topic_of(&self, port: &PortId) -> String {
        self.mesh.port(port).unwrap().topic.clone()
    }

    pub(crate) fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config
    }

    pub(crate) fn engine_options(&self, data: &Path) -> EngineOptions {
        let mut options =
            EngineOptions::new(KafkaOptions::new(&self.bootstrap), self.mesh.id.clone(), self.dir.path().join(data));
        options.commit_interval_ms = 20;
        options
    }

    /// Every record of a topic that a `read_committed` reader sees, until `enough` says so.
    pub(crate) fn read(&self, topic: &str, enough: impl Fn(&[Row]) -> bool) -> Vec<Row> {
        let consumer: BaseConsumer = self
            .config()
            .set("group.id", "test-reader")
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("fetch.wait.max.ms", "50")
            .create()
            .unwrap();
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
        let mut list = TopicPartitionList::new();
        for partition in metadata.topics()[0].partitions() {
            list.add_partition_offset(topic, partition.id(), Offset::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        let started = Instant::now();
        let mut rows = Vec::new();
        while !enough(&rows) {
            assert!(started.elapsed() < PATIENCE, "{topic}: {} records and no more", rows.len());
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
                rows.push(Row {
                    key: message.key().map(<[u8]>::to_vec),
                    value: message.payload().map(|value| serde_json::from_slice(value).unwrap()),
                });
            }
        }
        // Whatever comes too much comes soon.
        let settled = Instant::now();
        while settled.elapsed() < Duration::from_millis(300) {
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(50)) {
                rows.push(Row {
                    key: message.key().map(<[u8]>::to_vec),
                    value: message.payload().map(|value| serde_json::from_slice(value).unwrap()),
                });
            }
        }
        rows
    }

    /// What the port `final` of delays holds, every row once; panics on a second row of a window.
    pub(crate) fn finals(&self, count: usize) -> BTreeMap<(String, String, String), (i64, i64)> {
        let topic = self.topic_of(&port("insights", "delays", "final"));
        let rows = self.read(&topic, |rows| rows.len() >= count);
        let mut finals = BTreeMap::new();
        for row in rows {
            let (key, counts) = delay(row.value.as_ref().unwrap());
            assert_eq!(finals.insert(key.clone(), counts), None, "{key:?} twice");
        }
        finals
    }

    /// The last row per key of the port `current` of delays, once `done` holds.
    pub(crate) fn currents(
        &self,
        expected: &BTreeMap<(String, String, String), (i64, i64)>,
    ) -> BTreeMap<(String, String, String), (i64, i64)> {
        let topic = self.topic_of(&port("insights", "delays", "current"));
        let table =
            |rows: &[Row]| rows.iter().filter_map(|row| row.value.as_ref()).map(delay).collect::<BTreeMap<_, _>>();
        // Comparing on every record is quadratic; these tables are small.
        table(&self.read(&topic, |rows| rows.len() >= expected.len() && table(rows) == *expected))
    }
}

fn delay(row: &serde_json::Value) -> ((String, String, String), (i64, i64)) {
    let text = |name: &str| row[name].as_str().unwrap().to_owned();
    let key = (text("window_start"), text("origin"), text("carrier"));
    (key, (row["flights"].as_i64().unwrap(), row["cancelled"].as_i64().unwrap()))
}

/// A record as read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub key: Option<Vec<u8>>,
    pub value: Option<serde_json::Value>,
}

#[derive(Default)]
struct Ends(parking_lot::Mutex<HashMap<i32, i64>>);

impl ClientContext for Ends {}

impl ProducerContext for Ends {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let message = result.as_ref().expect("the test's own records are accepted");
        let mut ends = self.0.lock();
        let end = ends.entry(message.partition()).or_insert(0);
        *end = (*end).max(message.offset() + 1);
    }
}

/// Writes flights as Weft's source does: transactions, header, progress.
pub(crate) struct Source<'w> {
    world: &'w World,
    producer: ThreadedProducer<Ends>,
    topic: String,
    watermark: i64,
}

impl<'w> Source<'w> {
    pub(crate) fn new(world: &'w World) -> Self {
        let producer: ThreadedProducer<Ends> = world
            .config()
            .set("transactional.id", "test-source")
            .set("linger.ms", "1")
            .create_with_context(Ends::default())
            .unwrap();
        producer.init_transactions(PATIENCE).unwrap();
        let topic = world.topic_of(&port("flight-ops", "flights", "flights"));
        Self { world, producer, topic, watermark: WATERMARK_NONE }
    }

    /// One transaction; afterwards nothing before `watermark` will come.
    pub(crate) fn write(&mut self, flights: &[Flight], watermark: i64) {
        self.producer.begin_transaction().unwrap();
        for flight in flights {
            let key = flight.key();
            let partition = partition_of(&key, self.world.partitions);
            let value = flight.value();
            let progress =
                RecordProgress { writer: 0, writer_watermark: self.watermark, row_watermark: self.watermark };
            let header = progress.encode();
            let record = BaseRecord::to(&self.topic)
                .partition(partition.cast_signed())
                .key(&key)
                .payload(value.as_bytes())
                .timestamp(flight.at_ms)
                .headers(OwnedHeaders::new().insert(Header { key: HEADER, value: Some(&header[..]) }));
            self.producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        self.producer.flush(PATIENCE).unwrap();
        self.watermark = watermark;
        let ends = self.producer.context().0.lock().clone();
        for partition in 0..self.world.partitions {
            let key = ProgressKey { topic: self.topic.clone(), partition, writer: 0 };
            let value = ProgressValue {
                v: 1,
                offset: ends.get(&partition.cast_signed()).copied().unwrap_or(0),
                watermark,
                complete: watermark == WATERMARK_COMPLETE,
                writers: 1,
            };
            let (key, value) = (serde_json::to_vec(&key).unwrap(), serde_json::to_vec(&value).unwrap());
            let topic = self.world.progress_topic();
            let record = BaseRecord::to(&topic).partition(0).key(&key).payload(&value);
            self.producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        self.producer.commit_transaction(PATIENCE).unwrap();
    }

    /// All of them, so many per transaction, and the end.
    pub(crate) fn write_all(&mut self, flights: &[Flight], per_transaction: usize) {
        for chunk in flights.chunks(per_transaction) {
            let last = chunk.last().unwrap().at_ms;
            self.write(chunk, last);
        }
        self.write(&[], WATERMARK_COMPLETE);
    }
}

/// Deploys the delays product.
pub(crate) fn deploy(world: &World, engine: &Engine) {
    let id = product("insights", "delays");
    let program = weft_stream::compile(&world.mesh, &id, None).unwrap();
    engine.deploy(Arc::clone(&world.mesh), id, program, 1).unwrap();
}

/// Waits until a product is in a state.
pub(crate) fn wait_for(engine: &Engine, what: impl Fn(&ProductState) -> bool) {
    let started = Instant::now();
    loop {
        let status = engine.status();
        if status.iter().all(|product| what(&product.state)) {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{status:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
