//! What is on the Kafka now: topics, partitions, settings.

use std::collections::BTreeMap;

use weft_model::mesh::Mesh;

use crate::Connection;
use crate::error::CatalogError;

/// The topics of a Kafka. Settings are asked for only where the mesh has a say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// By name.
    pub topics: BTreeMap<String, ObservedTopic>,
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObservedTopic {
    /// How many partitions.
    pub partitions: u32,
    /// Settings; empty where they were not asked for. A broker may leave some out.
    pub configs: BTreeMap<String, ObservedConfig>,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedConfig {
    /// Its value.
    pub value: String,
    /// Set on the topic itself, not a default.
    pub set_on_topic: bool,
}

impl Observed {
    /// Asks the broker.
    pub async fn read(connection: &Connection, mesh: &Mesh) -> Result<Self, CatalogError> {
        crate::kafka::observe(connection, &crate::topics::names(mesh)).await
    }
}
