//! The addresses at which descriptions are found. They are stable, carry an `ETag`, and answer 304 to who has them.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{OriginalUri, Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Addresses, asyncapi, dcat, json_schema};
use crate::error::{self, Problem};
use crate::facts;
use crate::params::shorten;
use crate::products::{self, Captures, PortCaptures, find_port, find_product};
use crate::routes::App;

const JSON: &str = "application/json";
const JSON_LD: &str = "application/ld+json";
const JSON_SCHEMA: &str = "application/schema+json";
const YAML: &str = "application/yaml";
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// A data product as AsyncAPI 3: its topics and live streams, with the schema of every message.
///
/// The document describes the product, which *sends*; whoever consumes does the opposite.
#[utoipa::path(
    get,
    path = "/v1/products/{domain}/{product}/asyncapi.json",
    tag = "catalogue",
    params(
        ("domain" = String, Path, description = "Name of the domain.", example = "insights"),
        ("product" = String, Path, description = "Name of the product in its domain.", example = "delays"),
        ("If-None-Match" = Option<String>, Header, description = "`ETag` of the answer that the caller has."),
    ),
    responses(
        (status = 200, description = "AsyncAPI 3.1.", body = Object, content_type = "application/json"),
        (status = 304, description = "It is as the caller has it."),
    ),
)]
pub(crate) async fn asyncapi(
    State(app): State<Arc<App>>,
    OriginalUri(uri): OriginalUri,
    captures: Captures<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Path((domain, product)) = captures.map_err(|_| error::unreadable_path(&shorten(uri.path())))?;
    let mesh = products::mesh(&app)?;
    let product = find_product(&mesh, &domain, &product)?;
    Ok(json(&asyncapi::document(&mesh, product, &addresses(&app, &headers)), JSON, &headers))
}

/// The product's descriptor (ODPS), byte for byte as its team wrote it.
#[utoipa::path(
    get,
    path = "/v1/products/{domain}/{product}/odps.yaml",
    tag = "catalogue",
    params(
        ("domain" = String, Path, description = "Name of the domain.", example = "insights"),
        ("product" = String, Path, description = "Name of the product in its domain.", example = "delays"),
        ("If-None-Match" = Option<String>, Header, description = "`ETag` of the answer that the caller has."),
    ),
    responses(
        (status = 200, description = "Open Data Product Standard.", body = Object, content_type = "application/yaml"),
        (status = 304, description = "It is as the caller has it."),
    ),
)]
pub(crate) async fn odps(
    State(app): State<Arc<App>>,
    OriginalUri(uri): OriginalUri,
    captures: Captures<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Path((domain, product)) = captures.map_err(|_| error::unreadable_path(&shorten(uri.path())))?;
    let mesh = products::mesh(&app)?;
    let product = find_product(&mesh, &domain, &product)?;
    let texts = app.catalog.descriptors();
    // A revision may just be coming in; then the text is there in a moment.
    let text = texts.products.get(&product.id).ok_or_else(error::no_mesh)?;
    Ok(fresh(Bytes::from(text.as_bytes().to_vec()), YAML, &headers))
}

/// The contract of an output port (ODCS), byte for byte as its team wrote it.
#[utoipa::path(
    get,
    path = "/v1/products/{domain}/{product}/ports/{port}/{version}/odcs.yaml",
    tag = "catalogue",
    params(
        ("domain" = String, Path, description = "Name of the domain.", example = "insights"),
        ("product" = String, Path, description = "Name of the product in its domain.", example = "delays"),
        ("port" = String, Path, description = "Name of the output port.", example = "current"),
        ("version" = String, Path, description = "`v` and the major version of the contract.", example = "v1",
            pattern = "^v[0-9]+$"),
        ("If-None-Match" = Option<String>, Header, description = "`ETag` of the answer that the caller has."),
    ),
    responses(
        (status = 200, description = "Open Data Contract Standard.", body = Object, content_type = "application/yaml"),
        (status = 304, description = "It is as the caller has it."),
    ),
)]
pub(crate) async fn odcs(
    State(app): State<Arc<App>>,
    OriginalUri(uri): OriginalUri,
    captures: PortCaptures,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let port = products::port_of(&app, captures, uri.path())?;
    if !facts::has_contract(&port) {
        return Err(error::no_contract(&port.id.to_string(), &facts::port_path(&port.id)));
    }
    let texts = app.catalog.descriptors();
    let text = texts.contracts.get(&port.id).ok_or_else(error::no_mesh)?;
    Ok(fresh(Bytes::from(text.as_bytes().to_vec()), YAML, &headers))
}

/// A row of an output port as JSON Schema (2020-12), with its key in `$defs`.
#[utoipa::path(
    get,
    path = "/v1/products/{domain}/{product}/ports/{port}/{version}/schema.json",
    tag = "catalogue",
    params(
        ("domain" = String, Path, description = "Name of the domain.", example = "insights"),
        ("product" = String, Path, description = "Name of the product in its domain.", example = "delays"),
        ("port" = String, Path, description = "Name of the output port.", example = "current"),
        ("version" = String, Path, description = "`v` and the major version of the contract.", example = "v1",
            pattern = "^v[0-9]+$"),
        ("If-None-Match" = Option<String>, Header, description = "`ETag` of the answer that the caller has."),
    ),
    responses(
        (status = 200, description = "JSON Schema 2020-12.", body = Object, content_type = "application/schema+json"),
        (status = 304, description = "It is as the caller has it."),
    ),
)]
pub(crate) async fn schema(
    State(app): State<Arc<App>>,
    OriginalUri(uri): OriginalUri,
    captures: Captures<(String, String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Path((domain, product, port, version)) = captures.map_err(|_| error::unreadable_path(&shorten(uri.path())))?;
    let mesh = products::mesh(&app)?;
    let port = find_port(&mesh, (&domain, &product, &port, &version))?;
    Ok(json(&json_schema::document(port, &addresses(&app, &headers)), JSON_SCHEMA, &headers))
}

/// The catalogue as linked data: DCAT 3 in JSON-LD.
#[utoipa::path(
    get,
    path = "/v1/catalogue.jsonld",
    tag = "catalogue",
    params(("If-None-Match" = Option<String>, Header, description = "`ETag` of the answer that the caller has.")),
    responses(
        (status = 200, description = "A dataset per output port, a distribution per binding.", body = Object,
            content_type = "application/ld+json"),
        (status = 304, description = "It is as the caller has it."),
    ),
)]
pub(crate) async fn catalogue(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Problem> {
    let mesh = products::mesh(&app)?;
    Ok(json(&dcat::document(&mesh, &addresses(&app, &headers)), JSON_LD, &headers))
}

/// Where this caller finds us. The edge has checked that `Host` names this node.
fn addresses(app: &App, headers: &HeaderMap) -> Addresses {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    Addresses { kafka: app.catalog.kafka(), http: host.to_ascii_lowercase(), by_tls: by_tls(host, app, headers) }
}

/// Our own TLS; else only a name of `http.hosts` can have a proxy in front of it, whose word on TLS is `X-Forwarded-Proto`.
fn by_tls(host: &str, app: &App, headers: &HeaderMap) -> bool {
    let name = host.split(':').next().unwrap_or(host);
    let is_ours = app.options.hosts.iter().any(|known| known.eq_ignore_ascii_case(name));
    app.by_tls
        || is_ours
            && headers.get(X_FORWARDED_PROTO).is_some_and(|scheme| scheme.as_bytes().eq_ignore_ascii_case(b"https"))
}

fn json(document: &Value, content_type: &'static str, headers: &HeaderMap) -> Response {
    let text = serde_json::to_vec(document).expect("a JSON value has a text");
    fresh(Bytes::from(text), content_type, headers)
}

/// The body, or 304 if the caller has it. `no-cache`: keep it, but ask whether it still holds.
pub(crate) fn fresh(body: Bytes, content_type: &'static str, headers: &HeaderMap) -> Response {
    let etag = etag(&body);
    let mut response = if has(headers, &etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = body.into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        response
    };
    let answer = response.headers_mut();
    answer.insert(header::ETAG, HeaderValue::from_str(&etag).expect("hexadecimal digits in quotes"));
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn etag(body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

/// RFC 9110 §13.1.2: any tag of the list, weak or strong, or `*`.
fn has(headers: &HeaderMap, etag: &str) -> bool {
    headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|list| {
        list.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == etag)
    })
}
