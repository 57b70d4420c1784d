//! What is on the Kafka now: topics, partitions, settings.

use std::collections::{BTreeMap, BTreeSet};

use weft_model::mesh::Mesh;
use weft_model::name::MeshId;

use crate::Connection;
use crate::desired::Desired;
use crate::error::CatalogError;

/// The topics of a Kafka. Settings are asked for only where the mesh has a say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// By name.
    pub topics: BTreeMap<String, ObservedTopic>,
    /// Other meshes on the same Kafka. Looked for only where they matter: before the first apply, and when a topic that a
    /// port needs is somebody else's.
    pub meshes: BTreeMap<MeshId, OtherMesh>,
}

/// What must be known of a mesh beside ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherMesh {
    /// Who applied it last.
    pub controller: String,
    /// Starts the topics of its ports.
    pub topic_prefix: String,
    /// Topics that it made.
    pub topics: BTreeSet<String>,
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
    /// Asks the broker. `desired` is what the mesh has there now.
    pub async fn read(connection: &Connection, mesh: &Mesh, desired: &Desired) -> Result<Self, CatalogError> {
        let mut observed = crate::kafka::observe(connection, &crate::topics::names(mesh)).await?;
        let mut ports = mesh.products.values().flat_map(|product| &product.outputs);
        let is_foreign = |topic: &str| observed.topics.contains_key(topic) && desired.owned(topic).is_none();
        if desired.mesh.is_none() || ports.any(|port| !port.adopted && is_foreign(&port.topic)) {
            observed.meshes = observed.other_meshes(connection, &mesh.id).await?;
        }
        Ok(observed)
    }

    /// The meshes whose desired state lies on the same Kafka, where we may read it.
    async fn other_meshes(
        &self,
        connection: &Connection,
        ours: &MeshId,
    ) -> Result<BTreeMap<MeshId, OtherMesh>, CatalogError> {
        let ids = self.topics.keys().filter_map(|topic| topic.strip_prefix("__weft.")?.strip_suffix(".desired"));
        let ids: Vec<MeshId> = ids.filter_map(|id| id.parse().ok()).filter(|id| id != ours).collect();
        let mut meshes = BTreeMap::new();
        for id in ids {
            match Desired::read(connection, &id).await {
                Ok(Desired { mesh: Some(mesh), .. }) => {
                    let (controller, topic_prefix) = (mesh.controller, mesh.topic_prefix);
                    let topics = mesh.topics.into_keys().collect();
                    meshes.insert(id, OtherMesh { controller, topic_prefix, topics });
                }
                Ok(_) => {}
                Err(error) if error.is_retriable() => return Err(error),
                // Not ours to read, or of a version to come: its topics are still not ours, only its name stays unsaid.
                Err(error) => tracing::info!(mesh = %id, %error, "another mesh cannot be read"),
            }
        }
        Ok(meshes)
    }
}
