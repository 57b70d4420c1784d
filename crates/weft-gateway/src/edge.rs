//! What happens to every request, before and after its handler.
//!
//! ```text
//!   request  ─ id ─ no key in it ─ size of target ─ Host, Origin ─ CORS preflight ─ who ─► handler
//!   response ◄ id ─ security headers ─ CORS headers ─ problem+json ─ metrics ─ log
//! ```

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;
use weft_model::principal::Principal;

use crate::error::{self, Problem};
use crate::guard::{self, Entry};
use crate::params::shorten;
use crate::routes::App;
use crate::{audit, gate};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_BYTES_MAX: usize = 64;
/// How long a browser may remember the answer to a preflight. Seconds.
const PREFLIGHT_SECONDS: &str = "600";

/// Methods of a path, set by whoever refuses one; becomes the `Allow` header.
#[derive(Clone, Copy)]
pub(crate) struct Allow(pub(crate) &'static str);

/// Wraps every route and the fallback.
pub(crate) async fn edge(State((app, entry)): State<(Arc<App>, Entry)>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(request.headers());
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let route = route.unwrap_or_else(|| "(none)".to_owned());
    let method = request.method().clone();
    let withheld = app.gate.as_deref().is_some_and(|gate| gate::is_key_in_address(gate, request.uri()));
    let path = if withheld { "(withheld)".to_owned() } else { request.uri().path().to_owned() };
    let is_page = entry == Entry::Page;
    let is_navigation = guard::is_navigation(request.method(), request.headers());
    let entry = if is_navigation { entry } else { Entry::Call };
    let checked = if withheld {
        Err(error::key_in_address())
    } else {
        check_length(&request, &app).and_then(|()| guard::check(request.headers(), request.uri(), &app.options, entry))
    };
    let (mut response, cors) = match checked {
        Err(problem) => (problem.into_response(), None),
        Ok(Some(origin)) if is_preflight(&request) => (preflight(), Some(origin)),
        Ok(cors) => match who(&app, &request) {
            Ok(principal) => {
                request.extensions_mut().insert(principal);
                (next.run(request).await, cors)
            }
            Err(problem) => {
                audit::turned_away(&path, &problem);
                let to_sign_in = || gate::to_sign_in(request.method(), request.uri());
                let lacks_key = problem.status() == StatusCode::UNAUTHORIZED;
                let way_in = if lacks_key && is_page && is_navigation { to_sign_in() } else { None };
                (way_in.unwrap_or_else(|| problem.into_response()), cors)
            }
        },
    };

    let allow = response.extensions_mut().remove::<Allow>();
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        app.metrics.problem(problem.diagnostic().code);
        if problem.status().is_server_error() {
            let diagnostic = problem.diagnostic();
            tracing::warn!(request_id = %id, %method, %path, code = diagnostic.code, what = %diagnostic.what,
                because = %diagnostic.because, "request failed");
        }
        response = problem.render(&shorten(&path), &id, app.options.retry_after);
    }
    finish(&mut response, &id, allow, cors);
    let status = response.status().as_u16();
    tracing::debug!(request_id = %id, %method, %path, status, "request answered");
    app.metrics.request(&route, method.as_str(), status, started.elapsed());
    response
}

/// Without a gate listeners are on loopback only (serve.rs), where nobody says who they are.
fn who(app: &App, request: &Request) -> Result<Principal, Problem> {
    match app.gate.as_deref() {
        None => Ok(Principal::Anonymous),
        Some(gate) => gate::identify(gate, request.uri().path(), request.headers()),
    }
}

fn check_length(request: &Request, app: &App) -> Result<(), Problem> {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    let limit = app.options.uri_bytes_max;
    if target > limit { Err(error::uri_too_long(target, limit)) } else { Ok(()) }
}

/// The caller's own id if it is a sane one, so that a request can be followed across systems.
fn request_id(headers: &HeaderMap) -> String {
    let sane = |id: &&str| {
        let letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(letter)
    };
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(sane);
    given.map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned)
}

fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

fn preflight() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, POST"));
    let names = "authorization, content-type, if-none-match, last-event-id, x-request-id, mcp-protocol-version, mcp-method, mcp-name";
    let names = HeaderValue::from_static(names);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(PREFLIGHT_SECONDS));
    response
}

fn finish(response: &mut Response, id: &str, allow: Option<Allow>, cors: Option<HeaderValue>) {
    let headers = response.headers_mut();
    if let Some(Allow(methods)) = allow {
        headers.insert(header::ALLOW, HeaderValue::from_static(methods));
    }
    headers.insert(REQUEST_ID, HeaderValue::from_str(id).expect("an id is letters, digits and dashes"));
    // Rows are of now; what may be kept says so itself, as a page says which scripts it runs.
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    for (name, value) in [(header::X_CONTENT_TYPE_OPTIONS, "nosniff"), (header::X_FRAME_OPTIONS, "DENY")] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let embedders = if cors.is_some() { "cross-origin" } else { "same-origin" };
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static(embedders));
    headers.insert(header::VARY, HeaderValue::from_static("Origin, Sec-Fetch-Site"));
    if let Some(origin) = cors {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let names = HeaderValue::from_static("x-request-id, retry-after, etag");
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, names);
    }
}
