//! Every route, and what the handlers share.

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::OriginalUri;
use axum::http::{Method, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

use crate::asker::Asker;
use crate::config::Options;
use crate::describe::{dcat, doors};
use crate::error::{self, Problem};
use crate::gate::Gate;
use crate::guard::Entry;
use crate::metrics::Metrics;
use crate::params::shorten;
use crate::views::{CatalogView, Views};
use crate::{edge, house, mcp, openapi, products, pull, sql, stream};

/// What every handler can reach.
pub(crate) struct App {
    pub(crate) options: Options,
    pub(crate) views: Arc<dyn Views>,
    pub(crate) catalog: Arc<dyn CatalogView>,
    pub(crate) metrics: Metrics,
    /// Asks the views in turn.
    pub(crate) asker: Asker,
    /// Turns of streams.
    pub(crate) streams: Arc<Semaphore>,
    /// The OpenAPI document, made once.
    pub(crate) openapi: Bytes,
    /// Who callers are; without one nobody is asked.
    pub(crate) gate: Option<Arc<dyn Gate>>,
    /// Is what is served here encrypted by the listener itself?
    pub(crate) by_tls: bool,
    pub(crate) shutdown: CancellationToken,
}

impl App {
    pub(crate) fn new(
        options: Options,
        views: Arc<dyn Views>,
        catalog: Arc<dyn CatalogView>,
        asker: Asker,
        metrics: Metrics,
        (gate, by_tls): (Option<Arc<dyn Gate>>, bool),
        shutdown: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            asker,
            streams: Arc::new(Semaphore::new(options.streams_max)),
            openapi: Bytes::from(openapi::document(&options, gate.is_some())),
            options,
            views,
            catalog,
            metrics,
            gate,
            by_tls,
            shutdown,
        })
    }
}

const GET: &str = "GET, HEAD, OPTIONS";
const POST: &str = "POST, OPTIONS";

/// The table of routes, and the pages mounted beside them. `/openapi.json` describes each of the routes, which a test checks.
pub(crate) fn router(app: Arc<App>, pages: Option<Router>) -> Router {
    let routes: [(&str, &'static str, MethodRouter<Arc<App>>); 16] = [
        ("/v1/products", GET, get(products::list)),
        ("/v1/products/{domain}/{product}", GET, get(products::show)),
        ("/v1/products/{domain}/{product}/ports/{port}/{version}", GET, get(pull::pull)),
        ("/v1/products/{domain}/{product}/ports/{port}/{version}/stream", GET, get(stream::stream)),
        ("/v1/products/{domain}/{product}/asyncapi.json", GET, get(doors::asyncapi)),
        ("/v1/products/{domain}/{product}/odps.yaml", GET, get(doors::odps)),
        ("/v1/products/{domain}/{product}/ports/{port}/{version}/odcs.yaml", GET, get(doors::odcs)),
        ("/v1/products/{domain}/{product}/ports/{port}/{version}/schema.json", GET, get(doors::schema)),
        (dcat::PATH, GET, get(doors::catalogue)),
        ("/v1/sql", POST, post(sql::sql)),
        ("/mcp", POST, post(mcp::door)),
        ("/v1/errors/{code}", GET, get(house::error_page)),
        ("/openapi.json", GET, get(house::openapi)),
        ("/metrics", GET, get(house::metrics)),
        ("/healthz", GET, get(house::healthz)),
        ("/readyz", GET, get(house::readyz)),
    ];
    let mut router = Router::new();
    for (path, allowed, methods) in routes {
        router = router.route(path, methods.fallback(move |method: Method| other_method(method, allowed)));
    }
    let doors = behind_edge(router.fallback(no_route).with_state(Arc::clone(&app)), &app, Entry::Call);
    match pages {
        Some(pages) => doors.merge(behind_edge(pages, &app, Entry::Page)),
        None => doors,
    }
}

fn behind_edge(router: Router, app: &Arc<App>, entry: Entry) -> Router {
    router
        .layer(CatchPanicLayer::custom(caught))
        .layer(middleware::from_fn_with_state((Arc::clone(app), entry), edge::edge))
}

/// OPTIONS says what the path takes; everything else is refused with the same words.
async fn other_method(method: Method, allowed: &'static str) -> Response {
    let mut response = if method == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        error::method_not_allowed(&shorten(method.as_str()), allowed).into_response()
    };
    response.extensions_mut().insert(edge::Allow(allowed));
    response
}

async fn no_route(OriginalUri(uri): OriginalUri) -> Problem {
    error::no_route(&shorten(uri.path()))
}

#[expect(clippy::needless_pass_by_value, reason = "tower-http asks for a handler of this form")]
fn caught(panic: Box<dyn Any + Send>) -> Response<Body> {
    of_panic(&*panic).into_response()
}

/// What a caller hears of a panic; the log hears more.
pub(crate) fn of_panic(panic: &(dyn Any + Send)) -> Problem {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text.unwrap_or("(not text)"), "a request handler panicked");
    error::panicked()
}
