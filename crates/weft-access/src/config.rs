//! Options: the doc comments are the manual.

use std::collections::BTreeMap;
use std::time::Duration;

use weft_model::cluster::TopicDefaults;
use weft_model::name::MeshId;
use weft_model::topic::{AUDIT, internal};

/// Where the audit topic is.
#[derive(Debug, Clone)]
pub struct Options {
    /// Bootstrap address of the Kafka, `host:port`.
    pub bootstrap: String,
    /// librdkafka settings that go over ours, such as `security.protocol`.
    pub client: BTreeMap<String, String>,
    /// What the topic gets if it must be made.
    pub topics: TopicDefaults,
    /// The mesh.
    pub mesh: MeshId,
    /// Longest wait for an answer, and for a record of ours to come back. Default 15 s.
    pub timeout: Duration,
}

impl Options {
    /// A plain connection with the default timeout.
    pub fn new(bootstrap: impl Into<String>, mesh: MeshId) -> Self {
        Self {
            bootstrap: bootstrap.into(),
            client: BTreeMap::new(),
            topics: TopicDefaults::default(),
            mesh,
            timeout: Duration::from_secs(15),
        }
    }

    /// The mesh's audit topic.
    pub fn topic(&self) -> String {
        internal(&self.mesh, AUDIT)
    }
}
