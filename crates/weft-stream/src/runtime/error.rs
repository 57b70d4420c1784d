//! Why the engine cannot go on, and what it does about it.

use std::path::PathBuf;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use weft_model::kind::Kind;

use crate::error::TaskError;
use crate::state::StateError;

/// Why the engine did not start, or a product does not run.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The folder of the state.
    #[error("state in {path} cannot be opened: {reason}")]
    State {
        /// The folder.
        path: PathBuf,
        /// What the store says.
        reason: String,
    },
    /// A thread could not be started.
    #[error("a thread cannot be started: {reason}")]
    Thread {
        /// What the system says.
        reason: String,
    },
    /// A client could not be made: a property is wrong.
    #[error("the Kafka client cannot be made: {reason}")]
    Client {
        /// What librdkafka says.
        reason: String,
    },
    /// The engine is shutting down.
    #[error("the engine is shutting down")]
    Stopping,
}

impl EngineError {
    /// What the caller does about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::State { .. } => Kind::Corrupt,
            Self::Thread { .. } | Self::Stopping => Kind::Unavailable,
            Self::Client { .. } => Kind::Invalid,
        }
    }

    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::State { .. } => "SQL-201",
            Self::Thread { .. } | Self::Stopping => "SQL-202",
            Self::Client { .. } => "SQL-203",
        }
    }
}

/// Why a product's session ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    /// Asked for, after a last commit.
    #[error("stopped")]
    Stopped,
    /// A test said: die here.
    #[error("killed by a test")]
    Killed,
    /// Somebody else has the transactional id now.
    #[error("fenced: another node runs with the same slot")]
    Fenced,
    /// What happened to the transaction is not known, or it must be aborted: start over from what is committed.
    #[error("starting over: {0}")]
    StartOver(String),
    /// Nothing that trying again would mend.
    #[error("{0}")]
    Failed(String),
}

impl From<TaskError> for SessionError {
    fn from(error: TaskError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<StateError> for SessionError {
    fn from(error: StateError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<fjall::Error> for SessionError {
    fn from(error: fjall::Error) -> Self {
        Self::Failed(format!("state cannot be written: {error}"))
    }
}

impl SessionError {
    /// What a client's error means for a session. Everything but fencing is answered by starting over: a new producer
    /// with the same transactional id aborts what the old one left, and the committed offsets say where to go on.
    pub(crate) fn of(what: &str, error: &KafkaError) -> Self {
        let code = match error {
            KafkaError::Transaction(inner) => Some(inner.code()),
            other => other.rdkafka_error_code(),
        };
        match code {
            Some(
                RDKafkaErrorCode::Fenced
                | RDKafkaErrorCode::ProducerFenced
                | RDKafkaErrorCode::InvalidProducerEpoch
                | RDKafkaErrorCode::FencedInstanceId,
            ) => Self::Fenced,
            Some(
                RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::GroupAuthorizationFailed
                | RDKafkaErrorCode::TransactionalIdAuthorizationFailed
                | RDKafkaErrorCode::AutoOffsetReset,
            ) => Self::Failed(format!("{what}: {error}")),
            _ => Self::StartOver(format!("{what}: {error}")),
        }
    }
}
