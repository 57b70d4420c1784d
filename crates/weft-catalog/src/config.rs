//! How to reach the Kafka.

use std::collections::BTreeMap;
use std::time::Duration;

use weft_model::cluster::TopicDefaults;

/// A Kafka, and how to speak to it.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Bootstrap address, `host:port`.
    pub bootstrap: String,
    /// librdkafka settings that go over ours, such as `security.protocol`. Empty on loopback.
    pub client: BTreeMap<String, String>,
    /// What topics get that an apply makes. Default: what the Kafka gives them.
    pub topics: TopicDefaults,
    /// Longest wait for one answer. Default 30 s.
    pub timeout: Duration,
}

impl Connection {
    /// A plain connection with the default timeout.
    pub fn new(bootstrap: impl Into<String>) -> Self {
        Self {
            bootstrap: bootstrap.into(),
            client: BTreeMap::new(),
            topics: TopicDefaults::default(),
            timeout: Duration::from_secs(30),
        }
    }
}
