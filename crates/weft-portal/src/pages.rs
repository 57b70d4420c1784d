//! Every page's address, and what the handlers share.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::response::Response;
use axum::routing::get;
use parking_lot::Mutex;
use weft_model::kind::{Diagnostic, Kind};
use weft_model::mesh::Mesh;

use crate::ask::Ask;
use crate::assets;
use crate::search::Index;
use crate::{catalogue, console, graph, groups, home, nodes, operations, page, product, snippets, trace};

/// What every handler can reach.
pub(crate) struct Portal {
    pub(crate) ask: Arc<dyn Ask>,
    /// Made once per mesh, kept until the mesh is another one.
    index: Mutex<Option<(Arc<Mesh>, Arc<Index>)>>,
}

/// The pages, to be mounted behind an edge that puts a `Principal` into each request's extensions.
pub fn router(ask: Arc<dyn Ask>) -> Router {
    let portal = Arc::new(Portal { ask, index: Mutex::default() });
    Router::new()
        .route("/", get(home::home))
        .route("/catalogue", get(catalogue::catalogue))
        .route("/products/{domain}/{product}", get(product::product))
        .route("/graph", get(graph::graph))
        .route("/operations", get(operations::tasks))
        .route("/operations/nodes", get(nodes::nodes))
        .route("/operations/groups", get(groups::groups))
        .route("/operations/topics", get(operations::topics))
        .route("/trace", get(trace::trace))
        .route("/sql", get(console::console))
        .route("/portal/snippets/{domain}/{product}/ports/{port}/{version}/{language}", get(snippets::snippet))
        .route("/portal/assets/{version}/{name}", get(assets::asset))
        .with_state(portal)
}

/// A query string by name; where a name is given twice, the last counts.
pub(crate) type Given = Result<Query<BTreeMap<String, String>>, QueryRejection>;

/// The value given for a name, without blanks around it; empty if there is none.
pub(crate) fn given(query: &BTreeMap<String, String>, name: &str) -> String {
    query.get(name).map(|value| value.trim().to_owned()).unwrap_or_default()
}

/// The query string, or nothing of it where it cannot be read: a page shows itself rather than a complaint.
pub(crate) fn pairs(query: Given) -> BTreeMap<String, String> {
    query.map(|Query(pairs)| pairs).unwrap_or_default()
}

impl Portal {
    /// The mesh, or the page that says that there is none yet.
    #[expect(clippy::result_large_err, reason = "the response is handed on at once")]
    pub(crate) fn mesh(&self) -> Result<Arc<Mesh>, Response> {
        self.ask.mesh().ok_or_else(|| {
            page::refusal(
                "starting",
                &Diagnostic {
                    kind: Kind::Unavailable,
                    code: "HTTP-017",
                    what: "the mesh is not known yet".to_owned(),
                    because: "the node has not read the desired state yet".to_owned(),
                    try_: "reload in a moment; /readyz says when the node is ready".to_owned(),
                    place: None,
                },
            )
        })
    }

    /// The full-text index of this mesh.
    pub(crate) fn index(&self, mesh: &Arc<Mesh>) -> Arc<Index> {
        let mut cached = self.index.lock();
        if let Some((of, index)) = cached.as_ref()
            && Arc::ptr_eq(of, mesh)
        {
            return Arc::clone(index);
        }
        let index = Arc::new(Index::of(mesh));
        *cached = Some((Arc::clone(mesh), Arc::clone(&index)));
        index
    }
}
