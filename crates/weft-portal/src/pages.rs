//! Every page's address, and what the handlers share.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use parking_lot::Mutex;
use weft_model::kind::{Diagnostic, Kind};
use weft_model::mesh::Mesh;
use weft_model::principal::Principal;

use crate::ask::Ask;
use crate::assets;
use crate::search::Index;
use crate::{
    access, catalogue, console, graph, groups, home, nodes, operations, page, product, sign_in, snippets, trace,
};

/// What every handler can reach.
pub(crate) struct Portal {
    pub(crate) ask: Arc<dyn Ask>,
    /// Made once per mesh, kept until the mesh is another one.
    index: Mutex<Option<(Arc<Mesh>, Arc<Index>)>>,
}

/// The pages, to be mounted behind an edge that puts a `Principal` into each request's extensions.
pub fn router(ask: Arc<dyn Ask>) -> Router {
    let portal = Arc::new(Portal { ask, index: Mutex::default() });
    // They show what every topic and group of the Kafka is called.
    let operators = Router::new()
        .route("/operations", get(operations::tasks))
        .route("/operations/nodes", get(nodes::nodes))
        .route("/operations/groups", get(groups::groups))
        .route("/operations/topics", get(operations::topics))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&portal), for_operators));
    Router::new()
        .route("/", get(home::home))
        .route("/catalogue", get(catalogue::catalogue))
        .route("/products/{domain}/{product}", get(product::product))
        .route("/graph", get(graph::graph))
        .merge(operators)
        .route("/access", get(access::access))
        .route("/access/clients", post(access::create))
        .route("/access/clients/{name}/rotate", post(access::rotate))
        .route("/access/requests", post(access::request))
        .route("/access/requests/{number}/{decision}", post(access::decide))
        .route("/sign-in", get(sign_in::form).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/trace", get(trace::trace))
        .route("/sql", get(console::console))
        .route("/portal/snippets/{domain}/{product}/ports/{port}/{version}/{language}", get(snippets::snippet))
        .route("/portal/assets/{version}/{name}", get(assets::asset))
        .with_state(portal)
}

/// Where access is on, the page is the operator's.
async fn for_operators(
    State(portal): State<Arc<Portal>>,
    Extension(principal): Extension<Principal>,
    request: Request,
    next: Next,
) -> Response {
    if portal.ask.desk().is_none() || principal == Principal::Operator {
        return next.run(request).await;
    }
    let mesh = portal.ask.mesh().map_or_else(|| "starting".to_owned(), |mesh| mesh.id.to_string());
    page::refusal(&mesh, &access::operators_only())
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
