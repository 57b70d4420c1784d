//! What can go wrong here, and the one table that turns it into Kafka's error codes.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use kafka_protocol::ResponseError as Code;
use weft_model::kind::{Diagnostic, Kind};
use weft_wire::batch::BatchError;

use crate::store::{AppendError, DiskError, FetchError, Offline, StoreError};

/// An error a client is told about.
pub trait Coded: std::error::Error {
    /// Kafka's code for it.
    fn code(&self) -> Code;
}

/// Why a request to a consumer group was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// The group id is empty.
    #[error("the group id is empty")]
    InvalidGroupId,
    /// No such member.
    #[error("the member is not in the group")]
    UnknownMemberId,
    /// Come back with the id given.
    #[error("join again with the member id given")]
    MemberIdRequired,
    /// Another member holds this `group.instance.id` now.
    #[error("another member has taken over this group.instance.id")]
    FencedInstanceId,
    /// Not the current generation.
    #[error("the group is at generation {current}")]
    IllegalGeneration {
        /// Where the group is.
        current: i32,
    },
    /// No protocol in common.
    #[error("the member shares no protocol with the others")]
    InconsistentProtocol,
    /// Join again.
    #[error("the group is rebalancing")]
    RebalanceInProgress,
    /// The group is full.
    #[error("the group has its limit of {limit} members (group_members_max)")]
    MaxSizeReached {
        /// `group_members_max`, or `groups_max` for a new group.
        limit: usize,
    },
    /// Session timeout out of bounds.
    #[error("session timeout {timeout_ms} ms is not between {min_ms} and {max_ms} ms")]
    InvalidSessionTimeout {
        /// Asked for.
        timeout_ms: i32,
        /// `group_session_timeout_min`.
        min_ms: u64,
        /// `group_session_timeout_max`.
        max_ms: u64,
    },
    /// The group has members.
    #[error("the group has members")]
    NotEmpty,
    /// No such group.
    #[error("there is no such group")]
    NotFound,
    /// A member of the group reads the topic.
    #[error("a member of the group reads the topic")]
    SubscribedToTopic,
    /// Commit metadata too large.
    #[error("commit metadata has {size} bytes, the limit is {limit} (offset_metadata_bytes_max)")]
    MetadataTooLarge {
        /// Sent.
        size: usize,
        /// `offset_metadata_bytes_max`.
        limit: usize,
    },
    /// An open transaction covers the offset.
    #[error("an open transaction covers the offset")]
    UnstableOffset,
    /// What must be kept could not be written.
    #[error("the group's state could not be written")]
    Storage,
}

impl Coded for GroupError {
    fn code(&self) -> Code {
        match self {
            GroupError::InvalidGroupId => Code::InvalidGroupId,
            GroupError::UnknownMemberId => Code::UnknownMemberId,
            GroupError::MemberIdRequired => Code::MemberIdRequired,
            GroupError::FencedInstanceId => Code::FencedInstanceId,
            GroupError::IllegalGeneration { .. } => Code::IllegalGeneration,
            GroupError::InconsistentProtocol => Code::InconsistentGroupProtocol,
            GroupError::RebalanceInProgress => Code::RebalanceInProgress,
            GroupError::MaxSizeReached { .. } => Code::GroupMaxSizeReached,
            GroupError::InvalidSessionTimeout { .. } => Code::InvalidSessionTimeout,
            GroupError::NotEmpty => Code::NonEmptyGroup,
            GroupError::NotFound => Code::GroupIdNotFound,
            GroupError::SubscribedToTopic => Code::GroupSubscribedToTopic,
            GroupError::MetadataTooLarge { .. } => Code::OffsetMetadataTooLarge,
            GroupError::UnstableOffset => Code::UnstableOffsetCommit,
            GroupError::Storage => Code::CoordinatorNotAvailable,
        }
    }
}

/// Why a request to a transaction was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TxnError {
    /// The producer id is not the one of this transactional id.
    #[error("the producer id does not belong to the transactional id")]
    UnknownProducerId,
    /// A newer producer took over.
    #[error("a newer producer with this transactional id has taken over")]
    Fenced,
    /// The last transaction is still being ended.
    #[error("the last transaction is still being ended")]
    Concurrent,
    /// Not possible in this state.
    #[error("the transaction is in state {state}")]
    InvalidState {
        /// Where it is.
        state: &'static str,
    },
    /// The partition or group does not take part.
    #[error("the partition or group does not take part in the open transaction")]
    NotInTransaction,
    /// Timeout out of bounds.
    #[error("transaction timeout {timeout_ms} ms is not between 1 and {max_ms} ms")]
    InvalidTimeout {
        /// Asked for.
        timeout_ms: i32,
        /// `transaction_timeout_max`.
        max_ms: u64,
    },
    /// The transactional id is empty.
    #[error("the transactional id is empty")]
    InvalidId,
    /// No such transactional id.
    #[error("there is no such transactional id")]
    NotFound,
    /// Too many transactional ids.
    #[error("there are {limit} transactional ids already (transactional_ids_max)")]
    TooMany {
        /// `transactional_ids_max`.
        limit: usize,
    },
    /// What must be kept could not be written.
    #[error("the transaction's state could not be written")]
    Storage,
}

impl Coded for TxnError {
    fn code(&self) -> Code {
        match self {
            TxnError::UnknownProducerId => Code::InvalidProducerIdMapping,
            TxnError::Fenced => Code::ProducerFenced,
            TxnError::Concurrent => Code::ConcurrentTransactions,
            TxnError::InvalidState { .. } => Code::InvalidTxnState,
            TxnError::NotInTransaction => Code::InvalidTxnState,
            TxnError::InvalidTimeout { .. } => Code::InvalidTransactionTimeout,
            TxnError::InvalidId => Code::InvalidRequest,
            TxnError::NotFound => Code::TransactionalIdNotFound,
            TxnError::TooMany { .. } => Code::CoordinatorNotAvailable,
            TxnError::Storage => Code::CoordinatorNotAvailable,
        }
    }
}

/// Why a config was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No such config.
    #[error("config \"{name}\" is not known{}", near.map(|n| format!("; did you mean \"{n}\"?")).unwrap_or_default())]
    Unknown {
        /// As sent.
        name: String,
        /// A name close to it.
        near: Option<&'static str>,
    },
    /// The value does not fit.
    #[error("config \"{name}\" is \"{value}\", expected {expected}")]
    Value {
        /// The config.
        name: String,
        /// As sent.
        value: String,
        /// What would do.
        expected: String,
    },
    /// Kafka knows the value, this log does not do it.
    #[error("config \"{name}\" is \"{value}\", this log serves \"{only}\" only")]
    NotServed {
        /// The config.
        name: String,
        /// As sent.
        value: String,
        /// What it does.
        only: &'static str,
    },
    /// Set without a value.
    #[error("config \"{name}\" has no value")]
    NoValue {
        /// The config.
        name: String,
    },
    /// Append or subtract on a config that is no list.
    #[error("config \"{name}\" is not a list")]
    NotAList {
        /// The config.
        name: String,
    },
    /// An operation Kafka does not have.
    #[error("config operation {code} is not known")]
    Operation {
        /// As sent.
        code: i8,
    },
    /// The same config twice in one request.
    #[error("config \"{name}\" is named twice")]
    Twice {
        /// The config.
        name: String,
    },
    /// A broker's config cannot be set by a client.
    #[error("config \"{name}\" of the broker is set in its options, not by a client")]
    ReadOnly {
        /// The config.
        name: String,
    },
    /// Kind of resource without configs here.
    #[error("resources of type {resource_type} have no configs here")]
    ResourceType {
        /// As sent.
        resource_type: i8,
    },
    /// Not this broker.
    #[error("broker \"{name}\" is not this one, {node_id}")]
    Broker {
        /// As sent.
        name: String,
        /// Ours.
        node_id: i32,
    },
}

impl Coded for ConfigError {
    fn code(&self) -> Code {
        match self {
            ConfigError::Unknown { .. } => Code::InvalidConfig,
            ConfigError::Value { .. } => Code::InvalidConfig,
            ConfigError::NotServed { .. } => Code::InvalidConfig,
            ConfigError::NoValue { .. } => Code::InvalidConfig,
            ConfigError::NotAList { .. } => Code::InvalidConfig,
            ConfigError::ReadOnly { .. } => Code::InvalidConfig,
            ConfigError::Operation { .. } => Code::InvalidRequest,
            ConfigError::Twice { .. } => Code::InvalidRequest,
            ConfigError::ResourceType { .. } => Code::InvalidRequest,
            ConfigError::Broker { .. } => Code::InvalidRequest,
        }
    }
}

/// Why a request about topics was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// Name is not allowed.
    #[error("topic name \"{name}\" is not allowed: {because}")]
    InvalidName {
        /// As sent.
        name: String,
        /// Which rule.
        because: &'static str,
    },
    /// It is there.
    #[error("topic \"{name}\" exists")]
    Exists {
        /// Its name.
        name: String,
    },
    /// It is not there.
    #[error("there is no such topic or partition")]
    Unknown,
    /// There is no topic with this id.
    #[error("there is no topic with this id")]
    UnknownId,
    /// Name and id in one request.
    #[error("a topic is named by name or by id, not both")]
    NameAndId,
    /// Named twice in one request.
    #[error("topic \"{name}\" is named twice in the request")]
    Twice {
        /// Its name.
        name: String,
    },
    /// Partition count out of bounds.
    #[error("{asked} partitions: {because}")]
    InvalidPartitions {
        /// Asked for.
        asked: i32,
        /// Which rule.
        because: String,
    },
    /// Not one replica.
    #[error("replication factor {asked}: this log is one node, use 1 or -1")]
    InvalidReplicationFactor {
        /// Asked for.
        asked: i16,
    },
    /// Replicas on other brokers than this one.
    #[error("replica assignment names other brokers than {node_id}, has gaps, or comes with a count")]
    InvalidAssignment {
        /// Ours.
        node_id: i32,
    },
    /// A config was refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It could not be written.
    #[error("the topic could not be written to disk")]
    Storage,
    /// The caller may not.
    #[error("not allowed to {action} the topic")]
    Denied {
        /// What was tried.
        action: &'static str,
    },
}

impl Coded for TopicError {
    fn code(&self) -> Code {
        match self {
            TopicError::InvalidName { .. } => Code::InvalidTopicException,
            TopicError::Exists { .. } => Code::TopicAlreadyExists,
            TopicError::Unknown => Code::UnknownTopicOrPartition,
            TopicError::UnknownId => Code::UnknownTopicId,
            TopicError::NameAndId => Code::InvalidRequest,
            TopicError::Twice { .. } => Code::InvalidRequest,
            TopicError::InvalidPartitions { .. } => Code::InvalidPartitions,
            TopicError::InvalidReplicationFactor { .. } => Code::InvalidReplicationFactor,
            TopicError::InvalidAssignment { .. } => Code::InvalidReplicaAssignment,
            TopicError::Config(error) => error.code(),
            TopicError::Storage => Code::KafkaStorageError,
            TopicError::Denied { .. } => Code::TopicAuthorizationFailed,
        }
    }
}

/// Why a batch was not appended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProduceError {
    /// `acks` is not -1, 0 or 1.
    #[error("acks is {acks}, expected -1, 0 or 1")]
    Acks {
        /// As sent.
        acks: i16,
    },
    /// No such topic or partition.
    #[error("there is no such topic or partition")]
    UnknownPartition,
    /// No topic with this id.
    #[error("there is no topic with this id")]
    UnknownTopicId,
    /// A partition without records.
    #[error("the partition has no records")]
    NoRecords,
    /// The caller may not write to the topic.
    #[error("not allowed to write to the topic")]
    TopicDenied,
    /// A transactional batch without a transactional id, or one the caller may not use.
    #[error("the batch is transactional, and the request names no transactional id that it may use")]
    TransactionalIdDenied,
    /// The transaction does not take it.
    #[error("{error}")]
    Transaction {
        /// Why.
        error: TxnError,
        /// Version of the request, which decides the code.
        version: i16,
    },
    /// The partition does not take it.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl Coded for ProduceError {
    fn code(&self) -> Code {
        match self {
            ProduceError::Acks { .. } => Code::InvalidRequiredAcks,
            ProduceError::UnknownPartition => Code::UnknownTopicOrPartition,
            ProduceError::UnknownTopicId => Code::UnknownTopicId,
            ProduceError::NoRecords => Code::InvalidRecord,
            ProduceError::TopicDenied => Code::TopicAuthorizationFailed,
            ProduceError::TransactionalIdDenied => Code::TransactionalIdAuthorizationFailed,
            ProduceError::Transaction { error, version } => produce_transaction_code(error, *version),
            ProduceError::Append(error) => error.code(),
        }
    }
}

/// A refused batch of a transaction: the producer hears other codes than who talks to the coordinator.
fn produce_transaction_code(error: &TxnError, version: i16) -> Code {
    match error {
        TxnError::Fenced => Code::InvalidProducerEpoch,
        TxnError::NotInTransaction if version >= 11 => Code::TransactionAbortable,
        // The last transaction is being ended: worth a retry, and every client retries this one.
        TxnError::Concurrent => Code::NotEnoughReplicas,
        TxnError::NotInTransaction
        | TxnError::UnknownProducerId
        | TxnError::InvalidState { .. }
        | TxnError::InvalidTimeout { .. }
        | TxnError::InvalidId
        | TxnError::NotFound
        | TxnError::TooMany { .. }
        | TxnError::Storage => error.code(),
    }
}

/// Why a record of the meta log cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It ends too early.
    #[error("the record ends too early")]
    Truncated,
    /// It goes on after its end.
    #[error("a record of kind {kind} goes on after its end")]
    Trailing {
        /// The kind byte.
        kind: u8,
    },
    /// A kind of record this version does not know.
    #[error("record kind {kind} is not known")]
    Kind {
        /// The kind byte.
        kind: u8,
    },
    /// A version of the record this program does not know.
    #[error("record kind {kind} has version {version}")]
    Version {
        /// The kind byte.
        kind: u8,
        /// The version byte.
        version: u8,
    },
    /// Text that is not UTF-8.
    #[error("text is not UTF-8")]
    Utf8,
}

impl Coded for AppendError {
    fn code(&self) -> Code {
        match self {
            AppendError::Batch(error) => batch_code(error),
            AppendError::TooLarge { .. } => Code::MessageTooLarge,
            AppendError::OutOfOrderSequence { .. } => Code::OutOfOrderSequenceNumber,
            AppendError::StaleProducerEpoch { .. } => Code::InvalidProducerEpoch,
            AppendError::NotTransactional { .. } => Code::InvalidTxnState,
            AppendError::DiskReserve { .. } => Code::KafkaStorageError,
            AppendError::Disk(_) => Code::KafkaStorageError,
            AppendError::Offline(error) => offline_code(error),
        }
    }
}

impl Coded for FetchError {
    fn code(&self) -> Code {
        match self {
            FetchError::OffsetOutOfRange { .. } => Code::OffsetOutOfRange,
            FetchError::Damaged { .. } => Code::KafkaStorageError,
            FetchError::Disk(_) => Code::KafkaStorageError,
            FetchError::Offline(error) => offline_code(error),
        }
    }
}

fn batch_code(error: &BatchError) -> Code {
    match error {
        BatchError::Truncated { .. } => Code::CorruptMessage,
        BatchError::Length { .. } => Code::CorruptMessage,
        BatchError::Crc { .. } => Code::CorruptMessage,
        BatchError::Compression { .. } => Code::CorruptMessage,
        BatchError::Trailing { .. } => Code::InvalidRecord,
        BatchError::Magic { .. } => Code::InvalidRecord,
        BatchError::Count { .. } => Code::InvalidRecord,
        BatchError::Control => Code::InvalidRecord,
        BatchError::Attributes { .. } => Code::InvalidRecord,
        BatchError::Producer { .. } => Code::InvalidRecord,
        BatchError::Record { .. } => Code::InvalidRecord,
        BatchError::NullKey { .. } => Code::InvalidRecord,
        BatchError::UnknownCodec { .. } => Code::UnsupportedCompressionType,
        BatchError::Timestamp { .. } => Code::InvalidTimestamp,
        BatchError::InflatesTooMuch { .. } => Code::MessageTooLarge,
    }
}

fn offline_code(error: &Offline) -> Code {
    match error {
        Offline::SyncFailed(_) => Code::KafkaStorageError,
        Offline::TornWrite(_) => Code::KafkaStorageError,
        Offline::Damaged(_) => Code::KafkaStorageError,
        Offline::Deleted => Code::UnknownTopicOrPartition,
        // Shutting down: a client that comes back finds the next life of this log.
        Offline::Closed => Code::NotLeaderOrFollower,
    }
}

/// Why the log did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An option is wrong.
    #[error("option {option} cannot be used")]
    Option {
        /// Its name.
        option: &'static str,
        /// Why.
        because: String,
    },
    /// Listening to the world without TLS and authentication.
    #[error("cannot listen on {listen}")]
    BeyondLoopback {
        /// The address.
        listen: SocketAddr,
    },
    /// Somebody listens there.
    #[error("cannot listen on {listen}")]
    Bind {
        /// The address.
        listen: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The store did not open.
    #[error("cannot open the log in {path}")]
    Store {
        /// The data folder.
        path: PathBuf,
        /// What the store said.
        #[source]
        source: StoreError,
    },
    /// A record of the meta log cannot be read.
    #[error("cannot read the log's own records in {path}")]
    Meta {
        /// The data folder.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: RecordError,
    },
}

impl StartError {
    /// The same, worded for a person.
    pub fn diagnostic(&self) -> Diagnostic {
        let what = self.to_string();
        let say = |kind, code, because: String, try_: String| Diagnostic {
            kind,
            code,
            what: what.clone(),
            because,
            try_,
            place: None,
        };
        match self {
            StartError::Option { because, .. } => {
                say(Kind::Invalid, "LOG-008", because.clone(), "set the option to a value in its range".to_owned())
            }
            StartError::BeyondLoopback { .. } => say(
                Kind::Invalid,
                "LOG-007",
                "whoever reaches the address could read and write every topic: beyond loopback there must be TLS and keys".to_owned(),
                "switch both on in section `access` of weft.yaml (docs/run/access.md), or listen on 127.0.0.1".to_owned(),
            ),
            StartError::Bind { listen, source } if source.kind() == io::ErrorKind::AddrInUse => say(
                Kind::Exists,
                "LOG-001",
                format!("another process listens on port {}", listen.port()),
                "stop it, or choose another port; port 0 takes any free one".to_owned(),
            ),
            StartError::Bind { source, .. } => say(
                Kind::Unavailable,
                "LOG-001",
                source.to_string(),
                "listen on an address of this machine, on a port you may use".to_owned(),
            ),
            StartError::Meta { path: _, source } => say(
                Kind::Corrupt,
                "LOG-006",
                source.to_string(),
                "start the version of Weft that wrote the folder, or restore it from a backup".to_owned(),
            ),
            StartError::Store { path, source } => store_diagnostic(path, source, &say),
        }
    }
}

fn store_diagnostic(
    path: &Path,
    error: &StoreError,
    say: &dyn Fn(Kind, &'static str, String, String) -> Diagnostic,
) -> Diagnostic {
    let because = error.to_string();
    match error {
        StoreError::InUse { .. } => say(
            Kind::Exists,
            "LOG-002",
            because,
            "stop the other process, or give this one a data folder of its own".to_owned(),
        ),
        StoreError::NewerFormat { .. } => say(
            Kind::Invalid,
            "LOG-004",
            because,
            "start the newer version of Weft; a folder is never written back to an older format".to_owned(),
        ),
        StoreError::Disk(DiskError::Denied { .. }) => say(
            Kind::Denied,
            "LOG-003",
            because,
            format!("let this user write to {}, or choose another data folder", path.display()),
        ),
        StoreError::Disk(DiskError::Full { .. }) => say(
            Kind::Unavailable,
            "LOG-005",
            because,
            "free some space, or move the data folder to a larger disk".to_owned(),
        ),
        StoreError::Damaged { .. } => say(
            Kind::Corrupt,
            "LOG-006",
            because,
            "check the disk, and restore the file from a backup; the log cuts nothing that was durable".to_owned(),
        ),
        StoreError::NoPartition { .. } | StoreError::PutTooLarge { .. } | StoreError::Closed => {
            say(Kind::Bug, "LOG-009", because, "report this with the log's last lines".to_owned())
        }
        StoreError::Disk(DiskError::Failed { .. }) => {
            say(Kind::Unavailable, "LOG-009", because, "check the disk and the folder".to_owned())
        }
    }
}
