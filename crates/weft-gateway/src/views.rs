//! What the doors ask of others: rows of the ports, and facts about the mesh. `weft` plugs the answers in.

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use weft_model::load::DescriptorTexts;
use weft_model::mesh::Mesh;
use weft_model::name::{PortId, ProductId};
use weft_model::principal::Principal;
use weft_model::query::{Answer, PullQuery, QueryLimits, StreamEvent};

use crate::error::ViewError;

/// What a push query delivers, until it ends, fails, or is dropped.
pub type EventStream = BoxStream<'static, Result<StreamEvent, ViewError>>;

/// Answers questions about output ports.
///
/// - Dropping a future or a stream must stop the work behind it: that is how limits and closed connections act.
/// - An answer over one of the limits is an error that names the limit, never a cut answer.
/// - Bounds of a [`PullQuery`] hold values in the JSON form of their column (`weft_model::json`): int64 as a number,
///   timestamps as canonical text, decimals as text.
/// - The doors have checked that the port exists and that the bounds fit its schema; page and resume tokens they have not.
pub trait Views: Send + Sync + 'static {
    /// One page of one port.
    fn pull<'a>(
        &'a self,
        principal: &'a Principal,
        port: &'a PortId,
        query: PullQuery,
        limits: QueryLimits,
    ) -> BoxFuture<'a, Result<Answer, ViewError>>;

    /// One SQL query over the ports that the principal may see.
    fn sql<'a>(
        &'a self,
        principal: &'a Principal,
        sql: &'a str,
        limits: QueryLimits,
    ) -> BoxFuture<'a, Result<Answer, ViewError>>;

    /// Snapshot, then tail; or on from a resume token. A reader too far behind is ended by itself, with an error.
    fn stream<'a>(
        &'a self,
        principal: &'a Principal,
        port: &'a PortId,
        resume: Option<String>,
    ) -> BoxFuture<'a, Result<EventStream, ViewError>>;
}

/// What the mesh is, now.
pub trait CatalogView: Send + Sync + 'static {
    /// The mesh as it runs; `None` until a node has read the desired state.
    fn mesh(&self) -> Option<Arc<Mesh>>;
    /// Generation of a port, if one is recorded.
    fn generation(&self, port: &PortId) -> Option<u32>;
    /// The standard descriptors as their teams wrote them, of the same revision.
    fn descriptors(&self) -> Arc<DescriptorTexts>;
    /// Where Kafka clients start, and how; `None` until the node knows.
    fn kafka(&self) -> Option<KafkaDoor>;
    /// How a product is doing; `None` where Weft does not run it.
    fn run_state(&self, product: &ProductId) -> Option<RunState>;
    /// What must be there before requests can be answered; the node is ready when all of it is.
    fn readiness(&self) -> Vec<Readiness>;
}

/// The Kafka that carries the mesh, as clients see it. No secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaDoor {
    /// `host:port`, comma-separated.
    pub bootstrap: String,
    /// Connections are encrypted.
    pub by_tls: bool,
    /// How clients log in, in Kafka's words: `PLAIN`, `SCRAM-SHA-512`, …; `None` where they do not.
    pub sasl_mechanism: Option<String>,
}

/// How a product is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunState {
    /// One word: `running`, `replaying`, `complete`, `stopped`.
    pub state: String,
    /// A sentence where there is more to say: progress, or why it stopped.
    pub detail: Option<String>,
}

/// One part of readiness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// What it is: `log`, `engine`, `views`.
    pub part: String,
    /// Can it do its work?
    pub ready: bool,
    /// Why not; or, when ready, what it does.
    pub reason: String,
}
