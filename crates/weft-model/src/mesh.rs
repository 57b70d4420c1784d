//! The whole mesh as its folder declares it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::name::{DomainName, MeshId, PortId, ProductId};
use crate::product::{OutputPort, Product};

/// A mesh, validated: every name it uses resolves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mesh {
    /// Its id, in every internal name.
    pub id: MeshId,
    /// Starts every port's topic; default empty.
    pub topic_prefix: String,
    /// Listeners from `weft.yaml`; flags of `weft up` override them.
    pub listeners: Listeners,
    /// Replay speed of all sources.
    pub replay: Replay,
    /// Domains by name.
    pub domains: BTreeMap<DomainName, Domain>,
    /// Products by id, every domain's.
    pub products: BTreeMap<ProductId, Product>,
}

impl Mesh {
    /// The output port of that id, in whichever product.
    pub fn port(&self, id: &PortId) -> Option<&OutputPort> {
        self.products.get(&id.product)?.outputs.iter().find(|port| port.id == *id)
    }
}

/// A domain: a folder, an owner, a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    /// Its name.
    pub name: DomainName,
    /// Team that answers for it.
    pub owner: String,
    /// What it is about.
    pub description: String,
}

/// Where the process listens. Loopback unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listeners {
    /// Kafka protocol; default 127.0.0.1:9092.
    pub kafka: String,
    /// HTTP; default 127.0.0.1:8080.
    pub http: String,
}

impl Default for Listeners {
    fn default() -> Self {
        Self { kafka: "127.0.0.1:9092".to_owned(), http: "127.0.0.1:8080".to_owned() }
    }
}

/// One replay clock per mesh.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Replay {
    /// As fast as it goes.
    Max,
    /// So many times faster than real time.
    Times(f64),
}
