//! The broker, through librdkafka: one transactional producer per source, and how its errors sort.

mod control;
mod sink;

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::error::SourceError;

pub(crate) use control::{Until, read_last};
pub(crate) use sink::{SendError, Sink, SinkOptions, Slot, TopicNames};

/// Why a call to the broker did not do.
#[derive(Debug)]
pub(crate) enum BrokerError {
    /// A newer producer holds the transactional id, or the broker gave up on a transaction of ours: both look the same.
    Fenced,
    /// Its outcome is unknown, or it failed and may work later: new producer, read the position, go on.
    Retry(SourceError),
    /// Trying again changes nothing.
    Fatal(SourceError),
}

impl BrokerError {
    pub(crate) fn of(doing: &'static str, error: &KafkaError) -> Self {
        use RDKafkaErrorCode as Code;
        let reason = error.to_string();
        match error.rdkafka_error_code() {
            Some(Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch) => Self::Fenced,
            Some(
                Code::TopicAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::TransactionalIdAuthorizationFailed
                | Code::SaslAuthenticationFailed
                | Code::Authentication
                | Code::MessageSizeTooLarge
                | Code::InvalidRecord
                | Code::UnsupportedFeature
                | Code::UnsupportedVersion
                | Code::InvalidTransactionTimeout
                | Code::InvalidArgument,
            ) => Self::Fatal(SourceError::Kafka { doing, reason, retriable: false }),
            _ => Self::Retry(SourceError::Kafka { doing, reason, retriable: true }),
        }
    }
}

/// Settings every client of this room starts from; `over` goes over them.
pub(crate) fn client_config(bootstrap: &str, ours: &[(&str, &str)], over: &BTreeMap<String, String>) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    // A broker that is not there yet is asked again soon: on a laptop it starts in the same second.
    config.set("reconnect.backoff.ms", "20").set("reconnect.backoff.max.ms", "1000");
    for (key, value) in ours {
        config.set(*key, *value);
    }
    for (key, value) in over {
        config.set(key, value);
    }
    config
}

/// librdkafka logs through us, quietly: what matters comes back as errors.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct QuietContext;

impl rdkafka::ClientContext for QuietContext {
    fn log(&self, level: rdkafka::config::RDKafkaLogLevel, fac: &str, message: &str) {
        tracing::debug!(?level, fac, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
    }
}

impl rdkafka::consumer::ConsumerContext for QuietContext {}

/// Milliseconds as a `Duration`.
pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
