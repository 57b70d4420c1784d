//! The options of the broker under Kafka's names, for tools that ask.

use crate::config::Options;
use crate::store::FsyncMode;
use crate::topic_config::Type;

/// One config of the broker.
pub(crate) struct BrokerConfig {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    pub(crate) value_type: Type,
    pub(crate) documentation: &'static str,
}

/// All of them, in order of name.
pub(crate) fn describe(options: &Options, protocol: &str) -> Vec<BrokerConfig> {
    let config =
        |name, value_type, value: String, documentation| BrokerConfig { name, value, value_type, documentation };
    let ms = |duration: std::time::Duration| duration.as_millis().to_string();
    let flush_messages = match options.fsync {
        FsyncMode::Always => "1",
        FsyncMode::Interval(_) | FsyncMode::Os => "9223372036854775807",
    };
    let flush_ms = match options.fsync {
        FsyncMode::Interval(every) => ms(every),
        FsyncMode::Always | FsyncMode::Os => "9223372036854775807".to_owned(),
    };
    let (host, port) =
        options.advertised.clone().unwrap_or_else(|| (options.listen.ip().to_string(), options.listen.port()));
    vec![
        config(
            "advertised.listeners",
            Type::String,
            format!("{protocol}://{host}:{port}"),
            "Where clients are told to connect.",
        ),
        config(
            "auto.create.topics.enable",
            Type::Boolean,
            options.auto_create_topics.to_string(),
            "Topics come to be by asking for them.",
        ),
        config("broker.id", Type::Int, options.node_id.to_string(), "Id of the one broker."),
        config(
            "connections.max.idle.ms",
            Type::Long,
            ms(options.connection_idle_max),
            "Silence after which a connection is closed.",
        ),
        config("default.replication.factor", Type::Int, "1".to_owned(), "There is one node."),
        config("delete.topic.enable", Type::Boolean, "true".to_owned(), "Topics can be deleted."),
        config("fetch.max.bytes", Type::Int, options.fetch_bytes_max.to_string(), "Largest Fetch answer."),
        config(
            "group.initial.rebalance.delay.ms",
            Type::Int,
            ms(options.group_initial_rebalance_delay),
            "Wait before the first generation of a group.",
        ),
        config(
            "group.max.session.timeout.ms",
            Type::Int,
            ms(options.group_session_timeout_max),
            "Longest session of a member.",
        ),
        config("group.max.size", Type::Int, options.group_members_max.to_string(), "Members of one group."),
        config(
            "group.min.session.timeout.ms",
            Type::Int,
            ms(options.group_session_timeout_min),
            "Shortest session of a member.",
        ),
        config("listeners", Type::String, format!("{protocol}://{}", options.listen), "Where the log listens."),
        config("log.dirs", Type::String, options.data_dir.display().to_string(), "Folder of the log."),
        config("log.flush.interval.messages", Type::Long, flush_messages.to_owned(), "1: acknowledged means on disk."),
        config("log.flush.interval.ms", Type::Long, flush_ms, "How often the log is synced in the background."),
        config("max.connections", Type::Int, options.connections_max.to_string(), "Connections at a time."),
        config("message.max.bytes", Type::Int, options.message_bytes_max.to_string(), "Largest record batch."),
        config("min.insync.replicas", Type::Int, "1".to_owned(), "There is one node."),
        config("node.id", Type::Int, options.node_id.to_string(), "Id of the one broker."),
        config(
            "num.partitions",
            Type::Int,
            options.partitions_default.to_string(),
            "Partitions of a topic created without a count.",
        ),
        config(
            "offset.metadata.max.bytes",
            Type::Int,
            options.offset_metadata_bytes_max.to_string(),
            "Metadata of a committed offset.",
        ),
        config(
            "offsets.retention.minutes",
            Type::Int,
            (options.offsets_retention.as_secs() / 60).to_string(),
            "Offsets of an empty group are kept this long.",
        ),
        config("offsets.topic.replication.factor", Type::Int, "1".to_owned(), "There is one node."),
        config("process.roles", Type::List, "broker,controller".to_owned(), "One node is both."),
        config("socket.request.max.bytes", Type::Int, options.request_bytes_max.to_string(), "Largest request."),
        config("transaction.max.timeout.ms", Type::Int, ms(options.transaction_timeout_max), "Longest transaction."),
        config("transaction.state.log.replication.factor", Type::Int, "1".to_owned(), "There is one node."),
        config(
            "transactional.id.expiration.ms",
            Type::Int,
            ms(options.transactional_id_expiration),
            "An unused transactional id is forgotten after this.",
        ),
        config(
            "weft.version",
            Type::String,
            env!("CARGO_PKG_VERSION").to_owned(),
            "Not a name of Kafka's: says that this broker is Weft's own log.",
        ),
    ]
}
