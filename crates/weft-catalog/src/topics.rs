//! Topics that the mesh needs, and their settings.

use std::collections::BTreeMap;

use weft_model::cluster::TopicDefaults;
use weft_model::mesh::Mesh;
use weft_model::name::MeshId;
use weft_model::product::{OutputPort, PortKind};
use weft_model::topic::{DESIRED, NODES, PROGRESS, SOURCES, internal};

/// Ten years: event time may run through a year in a minute, and a segment per week of it helps nobody. Milliseconds.
const SEGMENT_MS: &str = "315360000000";
/// Event time may lie ahead of the broker's clock by any amount. Milliseconds.
const TIMESTAMP_AFTER_MAX_MS: &str = "9223372036854775807";
/// How long what a node said of itself is kept; it says it again every few seconds. Milliseconds.
const NODES_RETENTION_MS: i64 = 600_000;
/// A segment of that; what is in the last one is read by every node that starts. Bytes.
const NODES_SEGMENT_BYTES: &str = "4194304";
/// A product's record holds its files and its program. Bytes.
pub(crate) const DESIRED_MESSAGE_BYTES_MAX: &str = "16777216";

/// A topic as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: u32,
    /// Copies of every partition; `None`: as many as the Kafka's own default.
    pub replication_factor: Option<u16>,
    /// Settings that we care for; others are left alone.
    pub configs: BTreeMap<String, String>,
}

impl TopicSpec {
    fn new(name: String, partitions: u32, cleanup: &str, retention_ms: i64, defaults: TopicDefaults) -> Self {
        let least = defaults.min_insync_replicas.map(|least| ("min.insync.replicas", least.to_string()));
        let configs = [
            ("cleanup.policy", cleanup.to_owned()),
            ("retention.ms", retention_ms.to_string()),
            ("segment.ms", SEGMENT_MS.to_owned()),
            ("message.timestamp.after.max.ms", TIMESTAMP_AFTER_MAX_MS.to_owned()),
        ];
        let configs = configs.into_iter().chain(least).map(|(key, value)| (key.to_owned(), value)).collect();
        Self { name, partitions, replication_factor: defaults.replication_factor, configs }
    }
}

/// The topic behind a port that is not adopted.
pub fn port_topic_spec(port: &OutputPort, defaults: TopicDefaults) -> TopicSpec {
    let cleanup = match port.kind {
        PortKind::Append => "delete",
        PortKind::Upsert => "compact",
    };
    TopicSpec::new(port.topic.clone(), port.partitions, cleanup, port.retention_ms, defaults)
}

/// The topics that every mesh has, the desired state first.
pub fn internal_topic_specs(mesh: &MeshId, defaults: TopicDefaults) -> Vec<TopicSpec> {
    let mut specs: Vec<TopicSpec> = [DESIRED, PROGRESS, SOURCES]
        .into_iter()
        .map(|what| TopicSpec::new(internal(mesh, what), 1, "compact", -1, defaults))
        .collect();
    specs[0].configs.insert("max.message.bytes".to_owned(), DESIRED_MESSAGE_BYTES_MAX.to_owned());
    let mut nodes = TopicSpec::new(internal(mesh, NODES), 1, "delete", NODES_RETENTION_MS, defaults);
    nodes.configs.insert("segment.ms".to_owned(), NODES_RETENTION_MS.to_string());
    nodes.configs.insert("segment.bytes".to_owned(), NODES_SEGMENT_BYTES.to_owned());
    specs.push(nodes);
    specs
}

/// Every topic name that the mesh has a say in, adopted ones too.
pub(crate) fn names(mesh: &Mesh) -> Vec<String> {
    let ports = mesh.products.values().flat_map(|product| &product.outputs).map(|port| port.topic.clone());
    let internal = internal_topic_specs(&mesh.id, TopicDefaults::default()).into_iter().map(|spec| spec.name);
    internal.chain(ports).collect()
}
