//! What the doors ask for, answered by the other rooms: rows by the views, facts by the node.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use futures::future::BoxFuture;
use parking_lot::RwLock;
use weft_connect::SourceHandle;
use weft_gateway::{CatalogView, EventStream, Readiness, RunState, ViewError};
use weft_model::mesh::Mesh;
use weft_model::name::{PortId, ProductId};
use weft_model::principal::Principal;
use weft_model::query::{Answer, PullQuery, QueryLimits};
use weft_stream::views::{QueryError, Views};

use crate::status::source_state;

/// Rows for the doors.
pub(crate) struct Rows(pub(crate) Views);

fn boxed(error: QueryError) -> ViewError {
    Box::new(error.diagnostic())
}

impl weft_gateway::Views for Rows {
    fn pull<'a>(
        &'a self,
        principal: &'a Principal,
        port: &'a PortId,
        query: PullQuery,
        limits: QueryLimits,
    ) -> BoxFuture<'a, Result<Answer, ViewError>> {
        Box::pin(async move { self.0.pull(principal, port, query, limits).await.map_err(boxed) })
    }

    fn sql<'a>(
        &'a self,
        principal: &'a Principal,
        sql: &'a str,
        limits: QueryLimits,
    ) -> BoxFuture<'a, Result<Answer, ViewError>> {
        Box::pin(async move { self.0.sql(principal, sql, limits).await.map_err(boxed) })
    }

    fn stream<'a>(
        &'a self,
        principal: &'a Principal,
        port: &'a PortId,
        resume: Option<String>,
    ) -> BoxFuture<'a, Result<EventStream, ViewError>> {
        Box::pin(async move {
            let events = self.0.stream(principal, port, resume).await.map_err(boxed)?;
            Ok(events.map(|event| event.map_err(boxed)).boxed())
        })
    }
}

/// What runs in this node, as the doors and the terminal see it.
#[derive(Default)]
pub(crate) struct Running {
    /// The mesh as this node runs it.
    pub(crate) mesh: Option<Arc<Mesh>>,
    /// Generation of every port.
    pub(crate) generations: BTreeMap<PortId, u32>,
    /// Sources by product.
    pub(crate) sources: BTreeMap<ProductId, SourceHandle>,
    /// Products the engine runs: one word each, and a sentence where there is more to say.
    pub(crate) engine: BTreeMap<ProductId, RunState>,
}

/// Facts for the doors.
pub(crate) struct Facts(pub(crate) Arc<RwLock<Running>>);

impl CatalogView for Facts {
    fn mesh(&self) -> Option<Arc<Mesh>> {
        self.0.read().mesh.clone()
    }

    fn generation(&self, port: &PortId) -> Option<u32> {
        self.0.read().generations.get(port).copied()
    }

    fn run_state(&self, product: &ProductId) -> Option<RunState> {
        let running = self.0.read();
        if let Some(source) = running.sources.get(product) {
            return Some(source_state(&source.status()));
        }
        running.engine.get(product).cloned()
    }

    fn readiness(&self) -> Vec<Readiness> {
        let running = self.0.read();
        let mesh = match &running.mesh {
            Some(mesh) => Readiness {
                part: "mesh".to_owned(),
                ready: true,
                reason: format!("{} products of mesh \"{}\"", mesh.products.len(), mesh.id),
            },
            None => Readiness {
                part: "mesh".to_owned(),
                ready: false,
                reason: "the desired state has not been read yet".to_owned(),
            },
        };
        let stopped: Vec<String> = running
            .engine
            .iter()
            .filter(|(_, state)| state.state == "failed")
            .map(|(product, _)| product.to_string())
            .collect();
        let engine = Readiness {
            part: "engine".to_owned(),
            ready: stopped.is_empty(),
            reason: if stopped.is_empty() {
                format!("{} products run", running.engine.len())
            } else {
                format!("not running: {}", stopped.join(", "))
            },
        };
        vec![mesh, engine]
    }
}
