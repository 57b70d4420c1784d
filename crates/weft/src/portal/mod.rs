//! What the portal asks, answered by the other rooms.

mod sampler;

use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::BoxFuture;
use weft_catalog::Connection;
use weft_gateway::{Asker, CatalogView};
use weft_model::mesh::Mesh;
use weft_model::name::{PortId, ProductId};
use weft_model::principal::Principal;
use weft_model::query::{Answer, PullQuery};
use weft_portal::{Addresses, Answered, Ask, Numbers, RunState};

use crate::doors::Facts;
use crate::node::Node;
use sampler::Sampler;

/// Records before the end where a live tail begins.
const TAIL_RECORDS: i64 = 50;

/// The pages over this node.
pub(crate) fn pages(asker: Asker, node: &Arc<Node>, connection: &Connection, http: SocketAddr) -> axum::Router {
    let addresses = Addresses { kafka: connection.bootstrap.clone(), http: http.to_string() };
    let sampler = Sampler::start(node, connection);
    let answers = Answers { asker, node: Arc::clone(node), facts: Facts(node.running()), addresses, sampler };
    weft_portal::router(Arc::new(answers))
}

struct Answers {
    asker: Asker,
    node: Arc<Node>,
    facts: Facts,
    addresses: Addresses,
    sampler: Sampler,
}

impl Ask for Answers {
    fn mesh(&self) -> Option<Arc<Mesh>> {
        self.facts.mesh()
    }

    fn generation(&self, port: &PortId) -> Option<u32> {
        self.facts.generation(port)
    }

    fn run_state(&self, product: &ProductId) -> Option<RunState> {
        let run = self.facts.run_state(product)?;
        Some(RunState { state: run.state, detail: run.detail })
    }

    fn addresses(&self) -> Addresses {
        self.addresses.clone()
    }

    fn numbers(&self) -> Arc<Numbers> {
        self.sampler.numbers()
    }

    fn tail_token(&self, port: &PortId) -> Option<String> {
        let numbers = self.sampler.numbers();
        let partitions = &numbers.ports.get(port)?.partitions;
        let from = partitions.iter().map(|(partition, kept)| (*partition, (kept.end - TAIL_RECORDS).max(kept.start)));
        self.node.views().resume_at(port, from.collect())
    }

    fn pull<'a>(
        &'a self,
        principal: &'a Principal,
        port: &'a PortId,
        query: PullQuery,
    ) -> BoxFuture<'a, Answered<Answer>> {
        Box::pin(self.asker.pull(principal, port, query))
    }

    fn sql<'a>(&'a self, principal: &'a Principal, sql: &'a str) -> BoxFuture<'a, Answered<Answer>> {
        Box::pin(self.asker.sql(principal, sql))
    }
}
