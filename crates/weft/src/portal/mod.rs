//! What the portal asks, answered by the other rooms.

mod desk;
mod groups;
mod nodes;
mod sampler;
mod topics;

use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::BoxFuture;
use weft_catalog::{Connection, Membership};
use weft_gateway::{Asker, CatalogView};
use weft_model::mesh::Mesh;
use weft_model::name::{NodeName, PortId, ProductId};
use weft_model::principal::Principal;
use weft_model::query::{Answer, PullQuery};
use weft_portal::{
    Addresses, Answered, Ask, Desk, GroupsSeen, NodeSeen, Numbers, ProductTasks, RunState, Task, Topics,
};
use weft_stream::runtime::ProductStatus;

use crate::doors::Facts;
use crate::node::Node;
use crate::status::product_state;
pub(crate) use desk::AccessDesk;
use sampler::Sampler;
use topics::TopicList;

/// Records before the end where a live tail begins.
const TAIL_RECORDS: i64 = 50;

/// The pages over this node.
pub(crate) fn pages(
    asker: Asker,
    node: &Arc<Node>,
    membership: &Arc<Membership>,
    connection: &Connection,
    http: SocketAddr,
    desk: Option<AccessDesk>,
) -> axum::Router {
    let door = node.door();
    let keys = desk.as_ref().map(|desk| desk.keys_here());
    let addresses = Addresses { kafka: door.bootstrap.clone(), http: http.to_string(), keys };
    let sampler = Sampler::start(node, connection);
    let groups = groups::Seen::default();
    tokio::spawn(groups::run(Arc::downgrade(node), connection.clone(), Arc::clone(&groups)));
    let topics = TopicList::new(connection.clone());
    let answers = Answers {
        asker,
        node: Arc::clone(node),
        membership: Arc::clone(membership),
        own: node.name().clone(),
        facts: Facts(node.running()),
        addresses,
        desk,
        sampler,
        groups,
        topics,
    };
    weft_portal::router(Arc::new(answers))
}

struct Answers {
    asker: Asker,
    node: Arc<Node>,
    membership: Arc<Membership>,
    own: NodeName,
    facts: Facts,
    addresses: Addresses,
    desk: Option<AccessDesk>,
    sampler: Sampler,
    groups: groups::Seen,
    topics: TopicList,
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

    fn desk(&self) -> Option<&dyn Desk> {
        self.desk.as_ref().map(|desk| desk as &dyn Desk)
    }

    fn addresses(&self) -> Addresses {
        self.addresses.clone()
    }

    fn numbers(&self) -> Arc<Numbers> {
        self.sampler.numbers()
    }

    fn groups(&self) -> Option<Arc<GroupsSeen>> {
        self.groups.read().clone()
    }

    fn nodes(&self) -> Vec<NodeSeen> {
        let groups = self.groups.read().clone();
        let Some(mesh) = self.mesh() else { return Vec::new() };
        let group = weft_catalog::nodes::group(&mesh.id);
        let roll = self.membership.roll();
        roll.nodes().map(|seen| nodes::seen(&seen.record, &self.own, &group, groups.as_deref())).collect()
    }

    fn tasks(&self) -> Vec<ProductTasks> {
        let product = |status: ProductStatus| {
            let run = product_state(&status);
            let tasks = status.tasks.into_iter().map(|task| Task {
                subtopology: task.subtopology,
                partition: task.partition,
                watermark: task.watermark,
                commit: task.commit,
                waiting: (task.waiting_records, task.waiting_bytes),
                positions: task.positions,
            });
            ProductTasks {
                tasks: tasks.collect(),
                product: status.product,
                generation: status.generation,
                state: run.state,
                detail: run.detail,
                records_in_per_second: status.records_in_per_second,
                commits: status.commits,
                restored_records: status.restored_records,
                restoring: status.restoring,
                start_overs: status.start_overs,
            }
        };
        self.node.engine().status().into_iter().map(product).collect()
    }

    fn topics<'a>(&'a self, words: &'a str, from: usize, most: usize) -> BoxFuture<'a, Answered<Topics>> {
        Box::pin(self.topics.some(words, from, most))
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
