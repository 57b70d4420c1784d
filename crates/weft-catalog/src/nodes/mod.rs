//! The nodes of a mesh find each other through Kafka alone.
//!
//! ```text
//!   group  __weft.<mesh>.nodes     who is alive (the broker's session timeout), who leads: the holder of partition 0
//!   topic  __weft.<mesh>.nodes     what each node says of itself: address, version, products, tasks; kept for minutes
//! ```
//!
//! 1. A node is alive while it is a member of the group. No clock of ours is asked: an hour off changes nothing.
//! 2. One node leads: it runs the sources, which share one replay clock. Another takes over when its session ends.
//! 3. Two nodes with one name cannot be members at once: the group gives the place to the newer (KIP-345), and the older
//!    is told by whom.

mod member;
mod record;
mod roll;

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use weft_model::name::{MeshId, NodeName};
use weft_model::topic::{NODES, internal};

pub use record::{NodeProduct, NodeRecord, NodeSource, NodeTask};
pub use roll::{NodeSeen, Roll, read_roll};

use crate::Connection;
use crate::error::CatalogError;

/// How a node stands among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Standing {
    /// Not in the group: it has not joined yet, or its session ended.
    #[default]
    Apart,
    /// A member; another leads.
    Follows,
    /// A member that leads.
    Leads,
    /// A newer node took its name. It does not come back by itself.
    Replaced,
}

/// A node among the others, from `join` to `leave`.
pub struct Membership {
    standing: watch::Receiver<Standing>,
    roll: Arc<Mutex<Roll>>,
    announcer: roll::Announcer,
    member: member::Member,
    reader: roll::Reader,
}

impl Membership {
    /// Joins. Waits for nothing: the topic may come later.
    pub fn join(
        connection: &Connection,
        mesh: &MeshId,
        node: &NodeName,
        session_timeout_ms: u32,
    ) -> Result<Self, CatalogError> {
        let (send, standing) = watch::channel(Standing::Apart);
        let roll = Arc::new(Mutex::new(Roll::default()));
        Ok(Self {
            member: member::Member::start(connection, mesh, node, session_timeout_ms, send)?,
            reader: roll::Reader::start(connection, mesh, Arc::clone(&roll))?,
            announcer: roll::Announcer::open(connection, mesh)?,
            roll,
            standing,
        })
    }

    /// How it stands, and a way to wait for a change.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    /// What every node said last, as far as this one has heard.
    pub fn roll(&self) -> Roll {
        self.roll.lock().clone()
    }

    /// Says what this node does. Best effort: the next one says more.
    pub fn announce(&self, record: &NodeRecord) {
        self.announcer.send(record);
    }

    /// Leaves, so that the others take over at once; with a last word, unless a newer node has the name. Blocks for a
    /// moment.
    pub fn leave(&self, last: &NodeRecord, in_order: bool) {
        if in_order {
            self.announcer.send(last);
            self.announcer.flush();
        }
        self.member.leave();
        self.reader.stop();
    }
}

/// The group of the nodes.
pub fn group(mesh: &MeshId) -> String {
    internal(mesh, NODES)
}

/// What a node's member of the group calls itself.
pub fn client_id(node: &NodeName) -> String {
    format!("{CLIENT}{node}")
}

/// The node behind a member's client id.
pub(crate) fn node_of(client_id: &str) -> Option<NodeName> {
    client_id.strip_prefix(CLIENT)?.parse().ok()
}

const CLIENT: &str = "weft-node/";
