//! Options of the log: the doc comments are the manual.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::error::StartError;
use crate::store::FsyncMode;

/// Everything a user may set. Start from [`Options::new`].
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder of the log. Created if missing; one process at a time.
    pub data_dir: PathBuf,
    /// Address to listen on. Default 127.0.0.1:9092; port 0 takes any free one. Addresses beyond loopback are refused
    /// but by [`Log::start_guarded`](crate::Log::start_guarded) with TLS.
    pub listen: SocketAddr,
    /// Host and port clients are told to come back to. Default: the address listened on. Wrong, and clients connect
    /// once, then hang.
    pub advertised: Option<(String, u16)>,
    /// Durability of an acknowledgement. Default [`FsyncMode::Always`].
    pub fsync: FsyncMode,
    /// Id of the one broker. Default 1.
    pub node_id: i32,
    /// Kafka's `auto.create.topics.enable`: make a topic when a client asks for its metadata. Default false: a typo in
    /// a topic's name should not become a topic.
    pub auto_create_topics: bool,
    /// Kafka's `num.partitions`: partitions of a topic created without a count. Default 1.
    pub partitions_default: u32,
    /// Partitions one topic may have. Default 1,000.
    pub partitions_per_topic_max: u32,
    /// Partitions of all topics together; each costs some kB and, while written, a file. Default 20,000.
    pub partitions_max: u32,
    /// Accept any replication factor and use 1, for tools that insist on 3. Default false: asking for 3 and getting 1 is
    /// a broken promise.
    pub clamp_replication_factor: bool,
    /// Kafka's `message.max.bytes`: largest record batch, where the topic does not say otherwise. Default 1,048,588.
    pub message_bytes_max: u32,
    /// Kafka's `socket.request.max.bytes`: largest request. Default 100 MiB. Each connection may hold one such request.
    pub request_bytes_max: u32,
    /// Kafka's `queued.max.request.bytes`: bytes of large requests in memory, all connections together. Default 256 MiB.
    pub queued_request_bytes_max: usize,
    /// Kafka's `fetch.max.bytes`: largest Fetch answer, but for one batch that is larger. Default 55 MiB.
    pub fetch_bytes_max: u32,
    /// Longest a Fetch is parked, whatever the client asks. Default 5 min.
    pub fetch_wait_max: Duration,
    /// Kafka's `max.connections`: connections at a time; the next one is closed at once. Default 2,000.
    pub connections_max: usize,
    /// Kafka's `connections.max.idle.ms`: silence after which a connection is closed. Default 10 min.
    pub connection_idle_max: Duration,
    /// Requests of one connection read ahead of their answers; beyond it we stop reading. Default 64.
    pub requests_in_flight_max: usize,
    /// Kafka's `group.min.session.timeout.ms`. Default 6 s.
    pub group_session_timeout_min: Duration,
    /// Kafka's `group.max.session.timeout.ms`. Default 30 min.
    pub group_session_timeout_max: Duration,
    /// Kafka's `group.max.size`: members of one group. Default 1,000.
    pub group_members_max: usize,
    /// Kafka's `group.initial.rebalance.delay.ms`: wait for more members before the first generation. Default 0 (Kafka:
    /// 3 s): a group of one starts at once; members that come later cost a rebalance.
    pub group_initial_rebalance_delay: Duration,
    /// Consumer groups at a time. Default 10,000.
    pub groups_max: usize,
    /// Kafka's `offset.metadata.max.bytes`. Default 4,096.
    pub offset_metadata_bytes_max: usize,
    /// Kafka's `offsets.retention.minutes`: committed offsets of a group without members are dropped after this.
    /// Default 7 days.
    pub offsets_retention: Duration,
    /// Kafka's `transaction.max.timeout.ms`. Default 15 min.
    pub transaction_timeout_max: Duration,
    /// Kafka's `transactional.id.expiration.ms`: an unused transactional id is forgotten after this. Default 7 days.
    pub transactional_id_expiration: Duration,
    /// Transactional ids at a time. Default 10,000.
    pub transactional_ids_max: usize,
    /// How often retention is applied. Default 30 s.
    pub retention_check_interval: Duration,
    /// How long a shutdown waits for answers under way. Default 5 s.
    pub drain_max: Duration,
}

impl Options {
    /// Defaults around a data folder.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9092),
            advertised: None,
            fsync: FsyncMode::Always,
            node_id: 1,
            auto_create_topics: false,
            partitions_default: 1,
            partitions_per_topic_max: 1_000,
            partitions_max: 20_000,
            clamp_replication_factor: false,
            message_bytes_max: 1_048_588,
            request_bytes_max: 100 * 1024 * 1024,
            queued_request_bytes_max: 256 * 1024 * 1024,
            fetch_bytes_max: 55 * 1024 * 1024,
            fetch_wait_max: Duration::from_secs(300),
            connections_max: 2_000,
            connection_idle_max: Duration::from_secs(600),
            requests_in_flight_max: 64,
            group_session_timeout_min: Duration::from_secs(6),
            group_session_timeout_max: Duration::from_secs(1_800),
            group_members_max: 1_000,
            group_initial_rebalance_delay: Duration::ZERO,
            groups_max: 10_000,
            offset_metadata_bytes_max: 4_096,
            offsets_retention: Duration::from_secs(7 * 24 * 3_600),
            transaction_timeout_max: Duration::from_secs(900),
            transactional_id_expiration: Duration::from_secs(7 * 24 * 3_600),
            transactional_ids_max: 10_000,
            retention_check_interval: Duration::from_secs(30),
            drain_max: Duration::from_secs(5),
        }
    }

    /// Checks every value against its neighbours before anything is opened or bound. `is_safe`: the listener has TLS and a
    /// log-in, so others may come.
    pub fn validate(&self, is_safe: bool) -> Result<(), StartError> {
        let wrong = |option: &'static str, because: String| StartError::Option { option, because };
        if !self.listen.ip().to_canonical().is_loopback() && !is_safe {
            return Err(StartError::BeyondLoopback { listen: self.listen });
        }
        if self.listen.ip().is_unspecified() && self.advertised.is_none() {
            let because = format!("clients would be told to come back to {}, which is no address", self.listen.ip());
            return Err(wrong("advertised", because));
        }
        if self.partitions_default == 0 || self.partitions_default > self.partitions_per_topic_max {
            return Err(wrong(
                "partitions_default",
                format!(
                    "{} is not between 1 and partitions_per_topic_max, {}",
                    self.partitions_default, self.partitions_per_topic_max
                ),
            ));
        }
        if self.message_bytes_max > self.request_bytes_max {
            return Err(wrong(
                "message_bytes_max",
                format!(
                    "{} bytes do not fit into request_bytes_max, {} bytes",
                    self.message_bytes_max, self.request_bytes_max
                ),
            ));
        }
        if self.request_bytes_max > i32::MAX.unsigned_abs() {
            return Err(wrong("request_bytes_max", "a Kafka frame has at most 2,147,483,647 bytes".to_owned()));
        }
        if self.group_session_timeout_min > self.group_session_timeout_max {
            return Err(wrong("group_session_timeout_min", "it is above group_session_timeout_max".to_owned()));
        }
        if self.connections_max == 0 || self.requests_in_flight_max == 0 {
            return Err(wrong("connections_max, requests_in_flight_max", "0 would let nobody in".to_owned()));
        }
        if matches!(self.fsync, FsyncMode::Interval(every) if every.is_zero()) {
            return Err(wrong("fsync", "an interval of 0 ms; `always` is the word for that".to_owned()));
        }
        if let Some((host, _)) = &self.advertised
            && host.is_empty()
        {
            return Err(wrong("advertised", "the host is empty".to_owned()));
        }
        Ok(())
    }
}
