//! This node among the others of its mesh: it announces what it does, hears who leads, and knows who writes.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use weft_catalog::nodes::{NodeProduct, NodeSource, NodeTask};
use weft_catalog::{Connection, Membership, NodeRecord, read_roll};
use weft_model::kind::{Diagnostic, Diagnostics, Kind};
use weft_model::name::{MeshId, NodeName};
use weft_stream::runtime::ProductStatus;

use crate::control;
use crate::node::Node;
use crate::status::{product_state, source_state};

/// Least time between two announcements, and the most while nothing changes.
const ANNOUNCE: Duration = Duration::from_secs(1);
const ANNOUNCE_MAX: Duration = Duration::from_secs(5);

/// What a node says of itself, put together as things change.
pub(crate) struct Announced {
    record: Mutex<NodeRecord>,
    said: Mutex<Option<(Instant, NodeRecord)>>,
}

impl Announced {
    /// Of a node that has just begun.
    pub(crate) fn new(node: NodeName, http: String) -> Self {
        let record = NodeRecord {
            v: NodeRecord::VERSION,
            node,
            process: control::process_name(),
            http,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: 0,
            writes: false,
            leads: false,
            leaving: false,
            sources: Vec::new(),
            products: Vec::new(),
        };
        Self { record: Mutex::new(record), said: Mutex::default() }
    }

    /// Changes what is said next.
    pub(crate) fn change(&self, change: impl FnOnce(&mut NodeRecord)) {
        change(&mut self.record.lock());
    }

    /// What would be said now.
    pub(crate) fn record(&self) -> NodeRecord {
        self.record.lock().clone()
    }

    /// Says what the node does, if it is time to.
    pub(crate) fn say(&self, node: &Node, membership: &Membership) {
        let mut said = self.said.lock();
        if said.as_ref().is_some_and(|(at, _)| at.elapsed() < ANNOUNCE) {
            return;
        }
        let record = {
            let mut record = self.record.lock();
            record.sources = sources(node);
            record.products = node.engine().status().into_iter().map(product).collect();
            record.clone()
        };
        if said.as_ref().is_some_and(|(at, before)| *before == record && at.elapsed() < ANNOUNCE_MAX) {
            return;
        }
        membership.announce(&record);
        *said = Some((Instant::now(), record));
    }
}

fn sources(node: &Node) -> Vec<NodeSource> {
    let running = node.running();
    let running = running.read();
    let source = |(product, handle): (&_, &weft_connect::SourceHandle)| {
        let run = source_state(&handle.status());
        NodeSource { product: Clone::clone(product), state: run.state, detail: run.detail }
    };
    running.sources.iter().map(source).collect()
}

fn product(status: ProductStatus) -> NodeProduct {
    let run = product_state(&status);
    let tasks = status.tasks.iter().map(|task| NodeTask {
        subtopology: task.subtopology,
        partition: task.partition,
        watermark: task.watermark,
        commit: task.commit,
    });
    NodeProduct {
        tasks: tasks.collect(),
        product: status.product,
        generation: status.generation,
        state: run.state,
        detail: run.detail,
        records_in_per_second: status.records_in_per_second.round(),
        restoring: status.restoring,
    }
}

/// Another node that lives and writes the desired state from its folder.
pub(crate) async fn other_writer(
    connection: &Connection,
    mesh: &MeshId,
    own: Option<&NodeName>,
) -> Result<Option<NodeRecord>, Diagnostics> {
    let (roll, living) = read_roll(connection, mesh).await.map_err(|error| error.diagnostics(mesh))?;
    let writes = |record: &&NodeRecord| {
        record.writes && !record.leaving && Some(&record.node) != own && living.contains(&record.node)
    };
    Ok(roll.nodes().map(|seen| &seen.record).find(writes).cloned())
}

/// The folder is not applied, because another node writes.
pub(crate) fn not_the_writer(mesh: &MeshId, writer: &NodeRecord) -> Diagnostics {
    Diagnostics::from(Diagnostic {
        kind: Kind::Fenced,
        code: "APPLY-020",
        what: format!("this folder is not what mesh \"{mesh}\" runs, and it is not applied"),
        because: format!(
            "node \"{}\" ({}) writes the desired state from its own folder, revision {}; two writers would undo each other",
            writer.node, writer.process, writer.revision
        ),
        try_: format!(
            "make the change in the folder of \"{}\", or stop that node and touch a file here; `weft apply --take-over` applies \
             this folder all the same",
            writer.node
        ),
        place: None,
    })
}

/// Another process took this node's name.
pub(crate) fn replaced(node: &NodeName, by: Option<&NodeRecord>) -> Diagnostics {
    let by = by.map_or_else(
        || "another process joined the mesh under the same name, and has not said yet where it runs".to_owned(),
        |by| format!("process {} joined the mesh under the same name, with HTTP at {}", by.process, by.http),
    );
    Diagnostics::from(Diagnostic {
        kind: Kind::Fenced,
        code: "NODE-013",
        what: format!("node \"{node}\" was replaced"),
        because: by,
        try_: "give each node of a mesh a name of its own: `weft up --node NAME`".to_owned(),
        place: None,
    })
}

/// The name of a node that was given none: that of the host, which outlives a restart.
pub(crate) fn default_name() -> NodeName {
    let host = control::host_name().to_ascii_lowercase();
    let plain: String =
        host.chars().map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' }).collect();
    let plain: String = plain.trim_matches('-').chars().take(63).collect();
    plain.parse().unwrap_or_else(|_| "node".parse().expect("a name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_without_a_name_has_one() {
        assert!(!default_name().as_str().is_empty());
    }
}
