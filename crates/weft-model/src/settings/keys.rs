//! Every key: its name, what may be written, its default, what it is.

use super::{Key, Shape};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;
const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// The sections of `weft.yaml` that tune a node.
pub const SECTIONS: [&str; 5] = ["http", "views", "engine", "sources", "log"];

/// Pairs of which the first may not be above the second, or the node does not run.
pub const ORDERED: &[(&str, &str)] = &[
    ("http.rows_default", "http.pull.rows_max"),
    ("engine.commit_interval_ms", "engine.transaction_timeout_ms"),
    ("engine.transaction_timeout_ms", "log.transaction_timeout_max_ms"),
    ("log.group_session_timeout_min_ms", "engine.session_timeout_ms"),
    ("engine.session_timeout_ms", "log.group_session_timeout_max_ms"),
    ("log.partitions_default", "log.partitions_per_topic_max"),
    ("log.message_bytes_max", "log.request_bytes_max"),
];

/// Pairs of which the first has no effect above the second: wrong if somebody writes it, harmless as a default.
pub const VOID_ABOVE: &[(&str, &str)] = &[
    ("http.streams_max", "http.connections_max"),
    ("views.sql_text_bytes", "http.body_bytes_max"),
    ("sources.transaction_rows_first", "sources.transaction_rows_max"),
    ("log.partitions_per_topic_max", "log.partitions_max"),
];

const fn key(name: &'static str, shape: Shape, what: &'static str) -> Key {
    Key { name, shape, what }
}

const fn number(min: u64, max: u64, default: u64) -> Shape {
    Shape::Number { min, max, default }
}

const fn flag(default: bool) -> Shape {
    Shape::Flag { default }
}

/// All keys, section by section.
pub const KEYS: &[Key] = &[
    key(
        "http.hosts",
        Shape::Hosts,
        "names, besides `localhost` and loopback addresses, that a request's `Host` may carry",
    ),
    key(
        "http.origins",
        Shape::Origins,
        "origins (`https://portal.example`) whose web pages may read the mesh: they get CORS headers",
    ),
    key("http.uri_bytes_max", number(64, MIB, 8 * KIB), "longest path and query; over it 414"),
    key("http.header_bytes_max", number(8 * KIB, 16 * MIB, 32 * KIB), "longest head of a request; over it 431"),
    key("http.headers_max", number(8, 10_000, 64), "most headers of a request; over it 431"),
    key("http.body_bytes_max", number(64, 64 * MIB, 256 * KIB), "longest body of a request; over it 413"),
    key(
        "http.connections_max",
        number(1, 1_000_000, 1024),
        "connections at once, each takes a file descriptor; over it 503",
    ),
    key("http.pulls_max", number(1, 10_000, 64), "pull queries at work at once; over it 429 after `queue_wait_ms`"),
    key(
        "http.sqls_max",
        number(1, 1_000, 4),
        "SQL queries at work at once, each may take a core; over it 429 after `queue_wait_ms`",
    ),
    key("http.streams_max", number(1, 1_000_000, 512), "streams open at once; over it 429"),
    key("http.queue_wait_ms", number(0, 10 * MINUTE_MS, 1_000), "how long a query waits for its turn"),
    key("http.rows_default", number(1, 10_000_000, 1_000), "rows of a pull page when the caller names no `limit`"),
    key("http.pull.rows_max", number(1, 10_000_000, 10_000), "rows of a pull page; a larger `limit` is refused"),
    key("http.pull.bytes_max", number(KIB, GIB, 16 * MIB), "bytes of a pull page as JSON; over it 422"),
    key("http.pull.time_ms_max", number(1, HOUR_MS, 10_000), "time of a pull query; over it 422"),
    key(
        "http.sql.rows_max",
        number(1, 10_000_000, 10_000),
        "rows of an answer of `/v1/sql`; over it 422, never a cut answer",
    ),
    key("http.sql.bytes_max", number(KIB, GIB, 16 * MIB), "bytes of an answer of `/v1/sql` as JSON; over it 422"),
    key("http.sql.time_ms_max", number(1, HOUR_MS, 30_000), "time of a query of `/v1/sql`; over it 422"),
    key(
        "http.header_read_ms",
        number(1, 10 * MINUTE_MS, 30_000),
        "how long a peer may take to send a head; an idle connection is closed after it too",
    ),
    key("http.body_read_ms", number(1, 10 * MINUTE_MS, 10_000), "how long a peer may take to send a body; over it 408"),
    key(
        "http.write_stall_ms",
        number(1, 10 * MINUTE_MS, 20_000),
        "how long a peer may take nothing of what is written to it before it is cut off",
    ),
    key("http.heartbeat_ms", number(1, 10 * MINUTE_MS, 15_000), "how often a silent stream gets a comment"),
    key("http.stream_chunk_bytes", number(1, 16 * MIB, 16 * KIB), "bytes of a stream gathered before they are sent"),
    key(
        "http.drain_ms",
        number(0, 10 * MINUTE_MS, 5_000),
        "how long open requests may take to end after shutdown began",
    ),
    key(
        "http.retry_after_ms",
        number(0, HOUR_MS, 1_000),
        "what `Retry-After` says on 429 and 503, rounded up to seconds",
    ),
    key(
        "views.index_cache_bytes",
        number(MIB, TIB, 64 * MIB),
        "memory for cached index blocks; too small, and look-ups read the disk",
    ),
    key(
        "views.feed_queue_kbytes",
        number(1, 2_097_151, 16_384),
        "what the consumer that feeds the indexes fetches ahead",
    ),
    key("views.feed_batch_records", number(1, 1_000_000, 4_096), "records applied to an index in one batch"),
    key(
        "views.readers",
        number(1, 1_000, 4),
        "readers that scan topics at once (append ports, streams that catch up); over it 429 after `wait_ms`",
    ),
    key("views.sql_threads", number(1, 1_024, 2), "threads that run SQL queries"),
    key("views.sql_memory_bytes", number(MIB, TIB, 256 * MIB), "memory of all SQL queries together; over it 422"),
    key("views.sql_text_bytes", number(64, 64 * MIB, 64 * KIB), "longest SQL text; over it 422"),
    key("views.wait_ms", number(0, 10 * MINUTE_MS, 1_000), "how long a query waits for a free reader"),
    key(
        "views.stream_events",
        number(16, 10_000_000, 8_192),
        "events of a port kept for those who follow it live; who is further behind reads the topic",
    ),
    key(
        "views.stream_stall_ms",
        number(1, HOUR_MS, 10_000),
        "a stream's reader who takes nothing for so long is cut off",
    ),
    key(
        "engine.commit_interval_ms",
        number(1, MINUTE_MS, 100),
        "time between commits: the latency of each hop, against the cost of a transaction",
    ),
    key(
        "engine.batch_rows",
        number(1, 1_000_000, 4_096),
        "rows handed to a task at once; any number gives the same tables",
    ),
    key("engine.commit_rows", number(1, 10_000_000, 65_536), "rows of one transaction"),
    key("engine.dirty_bytes", number(KIB, TIB, 32 * MIB), "state changed in one transaction before it commits early"),
    key(
        "engine.input_bytes",
        number(KIB, TIB, 16 * MIB),
        "input that waits per product before its partitions are paused",
    ),
    key("engine.fetch_queue_kbytes", number(1, 2_097_151, 16_384), "what librdkafka fetches ahead per product"),
    key(
        "engine.produce_queue_kbytes",
        number(1_024, 2_147_483_647, 65_536),
        "produced but not yet acknowledged per product",
    ),
    key("engine.state_cache_bytes", number(MIB, TIB, 64 * MIB), "memory for cached state blocks"),
    key(
        "engine.transaction_timeout_ms",
        number(1_000, 15 * MINUTE_MS, 10_000),
        "after it the broker aborts a transaction; how long a dead node may hold readers back",
    ),
    key("engine.request_timeout_ms", number(1_000, 5 * MINUTE_MS, 10_000), "longest wait for one answer of the broker"),
    key(
        "engine.session_timeout_ms",
        number(1_000, 30 * MINUTE_MS, 6_000),
        "silence after which a group takes a node for dead",
    ),
    key(
        "sources.transaction_rows_first",
        number(1, 1_000_000, 500),
        "rows of the first transaction of a run; each later one may hold twice as many",
    ),
    key(
        "sources.transaction_rows_max",
        number(1, 10_000_000, 20_000),
        "rows of one transaction: what a crash reads again",
    ),
    key("sources.transaction_bytes_max", number(KIB, GIB, 8 * MIB), "bytes of keys and values of one transaction"),
    key("sources.transaction_ms_max", number(1, MINUTE_MS, 50), "longest time one transaction collects rows"),
    key(
        "sources.record_bytes_max",
        number(64, 256 * MIB, MIB),
        "longest record of a file; a longer one is a broken row",
    ),
    key("sources.raw_bytes_max", number(0, 16 * MIB, 256 * KIB), "original bytes that a record on `errors` carries"),
    key("sources.progress_interval_ms", number(1, HOUR_MS, 1_000), "how often progress is written while no row is due"),
    key("sources.follow_poll_ms", number(1, HOUR_MS, 200), "how often `mode: follow` looks for new lines"),
    key(
        "sources.broker_timeout_ms",
        number(1_000, 10 * MINUTE_MS, 30_000),
        "longest wait for one answer of the broker",
    ),
    key(
        "sources.retry_ms_max",
        number(1, 10 * MINUTE_MS, 5_000),
        "longest pause between two attempts to reach the broker",
    ),
    key(
        "log.fsync",
        Shape::Fsync,
        "when an append counts as done: `always` after it is on disk, `interval:MS` after the write and synced that often, `os` when the kernel likes; `--fsync` overrides it",
    ),
    key(
        "log.advertised",
        Shape::Address,
        "`host:port` that Kafka clients are told to come back to; port 0: the one listened on",
    ),
    key("log.node_id", number(0, 2_147_483_647, 1), "id of the one broker"),
    key("log.auto_create_topics", flag(false), "make a topic when a client asks for it"),
    key("log.partitions_default", number(1, 1_000_000, 1), "partitions of a topic that a client makes without a count"),
    key("log.partitions_per_topic_max", number(1, 1_000_000, 1_000), "partitions of one topic"),
    key("log.partitions_max", number(1, 10_000_000, 20_000), "partitions of all topics together"),
    key("log.clamp_replication_factor", flag(false), "take any replication factor for 1, for tools that insist on 3"),
    key(
        "log.message_bytes_max",
        number(KIB, GIB, 1_048_588),
        "largest record batch, where the topic says nothing else",
    ),
    key("log.request_bytes_max", number(KIB, 2_147_483_647, 100 * MIB), "largest request"),
    key(
        "log.queued_request_bytes_max",
        number(KIB, TIB, 256 * MIB),
        "large requests in memory, all connections together",
    ),
    key(
        "log.fetch_bytes_max",
        number(KIB, 2_147_483_647, 55 * MIB),
        "largest Fetch answer, but for one batch that is larger",
    ),
    key(
        "log.fetch_wait_max_ms",
        number(1, HOUR_MS, 5 * MINUTE_MS),
        "longest a Fetch waits for records, whatever the client asks",
    ),
    key("log.connections_max", number(1, 1_000_000, 2_000), "connections at once"),
    key(
        "log.connection_idle_max_ms",
        number(1_000, 30 * DAY_MS, 10 * MINUTE_MS),
        "silence after which a connection is closed",
    ),
    key("log.requests_in_flight_max", number(1, 100_000, 64), "requests of one connection read ahead of their answers"),
    key("log.group_session_timeout_min_ms", number(1, DAY_MS, 6_000), "shortest session of a member of a group"),
    key(
        "log.group_session_timeout_max_ms",
        number(1, DAY_MS, 30 * MINUTE_MS),
        "longest session of a member of a group",
    ),
    key("log.group_members_max", number(1, 1_000_000, 1_000), "members of one group"),
    key(
        "log.group_initial_rebalance_delay_ms",
        number(0, 10 * MINUTE_MS, 0),
        "wait for more members before the first generation of a group",
    ),
    key("log.groups_max", number(1, 10_000_000, 10_000), "groups at a time"),
    key("log.offset_metadata_bytes_max", number(0, MIB, 4_096), "metadata of a committed offset"),
    key(
        "log.offsets_retention_ms",
        number(1_000, 3_660 * DAY_MS, 7 * DAY_MS),
        "offsets of a group without members are dropped after this",
    ),
    key(
        "log.transaction_timeout_max_ms",
        number(1_000, DAY_MS, 15 * MINUTE_MS),
        "longest transaction timeout that a producer may ask for",
    ),
    key(
        "log.transactional_id_expiration_ms",
        number(1_000, 3_660 * DAY_MS, 7 * DAY_MS),
        "an unused transactional id is forgotten after this",
    ),
    key("log.transactional_ids_max", number(1, 10_000_000, 10_000), "transactional ids at a time"),
    key("log.retention_check_interval_ms", number(1, DAY_MS, 30_000), "how often retention is applied"),
    key("log.drain_max_ms", number(0, 10 * MINUTE_MS, 5_000), "how long a shutdown waits for answers under way"),
];
