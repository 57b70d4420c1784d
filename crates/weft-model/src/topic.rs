//! Names on a Kafka that others use too.

use crate::name::{MeshId, PortId};

/// Longest topic name Kafka takes. Bytes.
pub const TOPIC_NAME_BYTES_MAX: usize = 249;

/// Topic of a port that is not adopted: `<prefix><domain>.<product>.<port>.v<major>`.
pub fn port_topic(prefix: &str, port: &PortId) -> String {
    format!("{prefix}{}.{}.{}.v{}", port.product.domain, port.product.product, port.port, port.major)
}

/// Internal topic, group or transactional id: `__weft.<mesh>.<what>`.
pub fn internal(mesh: &MeshId, what: &str) -> String {
    format!("__weft.{mesh}.{what}")
}

/// Desired state, revision by revision (ADR: control state is a log).
pub const DESIRED: &str = "desired";
/// Progress of every writer of every topic of the mesh; see `progress`.
pub const PROGRESS: &str = "progress";
/// Who was let in and put out, by whom and why. Append-only: its replay is who may read what now.
pub const AUDIT: &str = "audit";
/// Positions of sources in their files.
pub const SOURCES: &str = "sources";
/// What the nodes of the mesh say of themselves; also the group that they are members of.
pub const NODES: &str = "nodes";
