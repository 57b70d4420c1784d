//! Options of the engine and of the views: these comments are the manual.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rdkafka::ClientConfig;
use weft_model::cluster::TopicDefaults;
use weft_model::name::MeshId;

/// How to reach the Kafka that carries the mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaOptions {
    /// `bootstrap.servers`, comma separated.
    pub bootstrap: String,
    /// Any librdkafka property (security, tuning); wins over what we set. Since 0.1.
    pub overrides: BTreeMap<String, String>,
    /// Copies of the topics that the engine makes, its changelogs and repartitions. Default: what the Kafka gives them.
    pub topics: TopicDefaults,
}

impl KafkaOptions {
    /// No overrides.
    pub fn new(bootstrap: impl Into<String>) -> Self {
        Self { bootstrap: bootstrap.into(), overrides: BTreeMap::new(), topics: TopicDefaults::default() }
    }

    /// What every client of ours starts from: no Nagle, quick retries, short metadata ages, so that a mesh answers soon
    /// after its start and soon after a topic appeared.
    pub(crate) fn base(&self, client_id: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap)
            .set("client.id", client_id)
            .set("socket.nagle.disable", "true")
            .set("reconnect.backoff.ms", "20")
            .set("reconnect.backoff.max.ms", "1000")
            .set("retry.backoff.ms", "20")
            .set("retry.backoff.max.ms", "200")
            .set("topic.metadata.refresh.fast.interval.ms", "20")
            .set("topic.metadata.propagation.max.ms", "5000")
            .set("topic.metadata.refresh.interval.ms", "30000")
            .set("log.connection.close", "false");
        config
    }

    /// The overrides, last.
    pub(crate) fn finish(&self, mut config: ClientConfig) -> ClientConfig {
        for (key, value) in &self.overrides {
            config.set(key, value);
        }
        config
    }
}

/// Options of [`crate::views::Views`].
#[derive(Debug, Clone)]
pub struct ViewsOptions {
    /// The Kafka that carries the mesh.
    pub kafka: KafkaOptions,
    /// The mesh; names the progress topic.
    pub mesh: MeshId,
    /// Folder of the indexes. A cache: deleted, it rebuilds from the topics.
    pub data_dir: PathBuf,
    /// Memory for cached index blocks. Bytes; default 64 MiB. Too small: look-ups read the disk.
    pub index_cache_bytes: u64,
    /// Bytes that the feed's consumer buffers ahead. KiB; default 16384.
    pub feed_queue_kbytes: u32,
    /// Records applied to an index in one batch, at most. Default 4096.
    pub feed_batch_records: usize,
    /// Readers that scan topics at the same time (append ports, catch-up of streams). Default 4. At the bound: `SQL-108`
    /// after `wait_ms`.
    pub readers: usize,
    /// SQL queries at the same time. Default 4. At the bound: `SQL-108` after `wait_ms`.
    pub sql_queries: usize,
    /// Threads that run SQL. Default 2. A query that will not stop holds one until it yields.
    pub sql_threads: usize,
    /// Memory of all SQL queries together. Bytes; default 256 MiB. Over it: `SQL-109`.
    pub sql_memory_bytes: usize,
    /// Longest SQL text. Bytes; default 64 KiB. Over it: `SQL-106`.
    pub sql_text_bytes: usize,
    /// How long a query waits for a free place. Milliseconds; default 1000.
    pub wait_ms: u64,
    /// Events of a port kept for those who follow it live. Default 8192. A reader further behind gets them from the topic,
    /// which costs a reader of `readers` now and then.
    pub stream_events: usize,
    /// A stream's reader who takes nothing for so long is cut off (`SQL-112`). Milliseconds; default 10000.
    pub stream_stall_ms: u64,
    /// Streams at the same time. Default 1024. At the bound: `SQL-108`.
    pub streams: usize,
}

impl ViewsOptions {
    /// Defaults.
    pub fn new(kafka: KafkaOptions, mesh: MeshId, data_dir: impl Into<PathBuf>) -> Self {
        Self {
            kafka,
            mesh,
            data_dir: data_dir.into(),
            index_cache_bytes: 64 << 20,
            feed_queue_kbytes: 16 << 10,
            feed_batch_records: 4096,
            readers: 4,
            sql_queries: 4,
            sql_threads: 2,
            sql_memory_bytes: 256 << 20,
            sql_text_bytes: 64 << 10,
            wait_ms: 1000,
            stream_events: 8192,
            stream_stall_ms: 10_000,
            streams: 1024,
        }
    }
}

/// Options of [`crate::runtime::Engine`].
#[derive(Clone)]
pub struct EngineOptions {
    /// The Kafka that carries the mesh.
    pub kafka: KafkaOptions,
    /// The mesh; names groups, transactional ids, internal topics.
    pub mesh: MeshId,
    /// Folder of the state. A cache of the changelogs.
    pub data_dir: PathBuf,
    /// Which of the mesh's nodes this is: part of every transactional id, so that a restarted node aborts what its
    /// predecessor left open. Default "0". Two live nodes with the same slot fence each other.
    pub slot: String,
    /// Slots of the other nodes that were seen lately, dead or alive. What a dead one left open is aborted by whoever
    /// takes its partitions, instead of by the broker some time after `transaction_timeout_ms`. Default: none.
    pub others: Others,
    /// Time between commits: the latency of each hop, against the cost of a transaction. Milliseconds; default 100.
    pub commit_interval_ms: u64,
    /// Rows handed to a task at once, at most. Default 4096; 1 is legal and gives the same final tables.
    pub batch_rows: usize,
    /// Rows taken into one transaction, at most. Default 65536. More: larger dirty maps; fewer: more commits.
    pub commit_rows: usize,
    /// State changed in one transaction before it commits early. Bytes; default 32 MiB.
    pub dirty_bytes: usize,
    /// Input waiting per product before its partitions are paused. Bytes; default 16 MiB.
    pub input_bytes: usize,
    /// What librdkafka fetches ahead per product. KiB; default 16384.
    pub fetch_queue_kbytes: u32,
    /// Produced but not yet acknowledged, per product. KiB; default 65536.
    pub produce_queue_kbytes: u32,
    /// Memory for cached state blocks. Bytes; default 64 MiB.
    pub state_cache_bytes: u64,
    /// A transaction older than this is aborted by the broker; also how long a dead node's open transaction may hold
    /// readers back if nobody takes over its slot. Milliseconds; default 10000.
    pub transaction_timeout_ms: u32,
    /// Longest wait for one answer of the broker. Milliseconds; default 10000. Over it, the outcome is unknown and the
    /// product starts over from what is committed.
    pub request_timeout_ms: u64,
    /// Join the group under a fixed name per slot, so that a restarted node takes its predecessor's place at once instead
    /// of waiting for its session to end. Default true.
    pub static_membership: bool,
    /// Tests only: called before each step of a commit; false = die there, as `kill -9` would. Default none.
    pub on_step: Option<StepHook>,
    /// Silence after which the group takes a member for dead. Milliseconds; default 6000.
    pub session_timeout_ms: u32,
}

impl EngineOptions {
    /// Defaults.
    pub fn new(kafka: KafkaOptions, mesh: MeshId, data_dir: impl Into<PathBuf>) -> Self {
        Self {
            kafka,
            mesh,
            data_dir: data_dir.into(),
            slot: "0".to_owned(),
            others: Others::default(),
            commit_interval_ms: 100,
            batch_rows: 4096,
            commit_rows: 65_536,
            dirty_bytes: 32 << 20,
            input_bytes: 16 << 20,
            fetch_queue_kbytes: 16 << 10,
            produce_queue_kbytes: 64 << 10,
            state_cache_bytes: 64 << 20,
            transaction_timeout_ms: 10_000,
            request_timeout_ms: 10_000,
            static_membership: true,
            on_step: None,
            session_timeout_ms: 6_000,
        }
    }
}

/// See [`EngineOptions::others`].
#[derive(Clone)]
pub struct Others(pub std::sync::Arc<dyn Fn() -> Vec<String> + Send + Sync>);

impl Default for Others {
    fn default() -> Self {
        Self(std::sync::Arc::new(Vec::new))
    }
}

/// Steps of a commit, in order; see `runtime::commit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// Before operators are flushed.
    Flush,
    /// Changes are known, nothing of the flush is produced.
    Produce,
    /// Records are acknowledged, progress is not produced.
    Progress,
    /// Everything is produced, offsets are not in the transaction.
    Offsets,
    /// Offsets are in, the transaction is open.
    Commit,
    /// Committed; the state on disk is one commit behind.
    Apply,
    /// State is written; tasks do not know yet.
    Done,
}

/// See [`EngineOptions::on_step`].
pub type StepHook = std::sync::Arc<dyn Fn(Step) -> bool + Send + Sync>;

impl std::fmt::Debug for EngineOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineOptions")
            .field("kafka", &self.kafka)
            .field("mesh", &self.mesh)
            .field("data_dir", &self.data_dir)
            .field("slot", &self.slot)
            .finish_non_exhaustive()
    }
}
