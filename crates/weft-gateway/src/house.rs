//! Doors for those who run the house: is it alive, is it ready, what does it count, what does an error mean.

use std::sync::Arc;

use axum::Json;
use axum::extract::{OriginalUri, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::describe::doors;
use crate::error::{self, Problem};
use crate::params::shorten;
use crate::products::Captures;
use crate::routes::App;

/// The process lives.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

/// Is this node ready to answer, and if not, why not?
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ready {
    /// All parts are.
    ready: bool,
    /// Each part with its reason.
    parts: Vec<ReadyPart>,
}

/// One part of readiness.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReadyPart {
    /// What it is.
    #[schema(example = "engine")]
    part: String,
    /// Can it do its work?
    ready: bool,
    /// Why not, or what it does.
    #[schema(example = "10 products run")]
    reason: String,
}

/// Is the process alive? Asks nothing of anyone.
#[utoipa::path(get, path = "/healthz", tag = "house",
    responses((status = 200, description = "It is.", body = Health)))]
pub(crate) async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Can this node answer? With the reason of every part.
#[utoipa::path(get, path = "/readyz", tag = "house",
    responses(
        (status = 200, description = "It can.", body = Ready),
        (status = 503, description = "Not yet, or no more; `parts` says why.", body = Ready),
    ))]
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Response {
    let readiness = app.catalog.readiness();
    let mut parts: Vec<ReadyPart> =
        readiness.into_iter().map(|one| ReadyPart { part: one.part, ready: one.ready, reason: one.reason }).collect();
    if app.shutdown.is_cancelled() {
        parts.push(ReadyPart { part: "node".to_owned(), ready: false, reason: "it is shutting down".to_owned() });
    }
    let ready = parts.iter().all(|part| part.ready);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut response = (status, Json(Ready { ready, parts })).into_response();
    if !ready {
        let seconds = error::whole_seconds(app.options.retry_after);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Counters of this node, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "house",
    responses((status = 200, description = "OpenMetrics text.", body = String,
        content_type = "application/openmetrics-text", example = "weft_http_streams_max 2\n# EOF\n")))]
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let mut response = app.metrics.text().into_response();
    let content_type = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "house",
    params(("If-None-Match" = Option<String>, Header, description = "`ETag` of the answer that the caller has.")),
    responses(
        (status = 200, description = "OpenAPI 3.1.", body = Object),
        (status = 304, description = "It is as the caller has it."),
    ))]
pub(crate) async fn openapi(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    doors::fresh(app.openapi.clone(), "application/json", &headers)
}

/// The page about an error's code: what it means, an example, what to do.
#[utoipa::path(get, path = "/v1/errors/{code}", tag = "house",
    params(("code" = String, Path, description = "The code of a problem.", example = "HTTP-010")),
    responses((status = 200, description = "Markdown.", body = String, content_type = "text/markdown",
        example = "# HTTP-010\n")))]
pub(crate) async fn error_page(OriginalUri(uri): OriginalUri, captures: Captures<String>) -> Result<Response, Problem> {
    let Path(code) = captures.map_err(|_| error::unreadable_path(&shorten(uri.path())))?;
    let page = weft_model::explain::page(&code).ok_or_else(|| error::no_error_page(&shorten(&code)))?;
    let mut response = page.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/markdown; charset=utf-8"));
    Ok(response)
}
