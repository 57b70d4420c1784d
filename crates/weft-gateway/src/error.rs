//! What can go wrong at the doors, and how it reaches a caller: RFC 9457 `application/problem+json`.
//!
//! A handler returns a [`Problem`]; the edge turns it into bytes, because only the edge knows the request id.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use weft_model::kind::{Diagnostic, Kind};
use weft_model::name::PortId;
use weft_model::principal::Principal;

/// An error of [`Views`](crate::Views), worded by whoever found it.
pub type ViewError = Box<Diagnostic>;

/// Kind → status. The only such table; a problem with a status of its own (405, 413, …) is made in this file too.
pub fn http_status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Invalid => StatusCode::BAD_REQUEST,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Exists | Kind::Fenced => StatusCode::CONFLICT,
        Kind::Denied => StatusCode::FORBIDDEN,
        Kind::TooLarge => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::Busy => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Corrupt | Kind::Bug => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// May the same request succeed later? Then the answer carries `Retry-After`.
pub fn retryable(kind: Kind) -> bool {
    match kind {
        Kind::Busy | Kind::Unavailable => true,
        Kind::Invalid
        | Kind::NotFound
        | Kind::Exists
        | Kind::Denied
        | Kind::TooLarge
        | Kind::Fenced
        | Kind::Corrupt
        | Kind::Bug => false,
    }
}

/// What a kind is called, the same in every occurrence (RFC 9457 §3.1.3).
fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Invalid => "the request is wrong",
        Kind::NotFound => "not found",
        Kind::Exists => "it exists already",
        Kind::Denied => "denied",
        Kind::TooLarge => "over a limit",
        Kind::Busy => "busy, try again",
        Kind::Unavailable => "not available now, try again",
        Kind::Fenced => "a newer holder took over",
        Kind::Corrupt => "stored bytes are damaged",
        Kind::Bug => "a fault in Weft",
    }
}

/// A refusal on its way to the edge.
#[derive(Debug, Clone)]
pub(crate) struct Problem(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    status: StatusCode,
    diagnostic: Diagnostic,
}

impl Problem {
    fn new(status: StatusCode, diagnostic: Diagnostic) -> Self {
        Self(Box::new(Inner { status, diagnostic }))
    }

    fn of_kind(kind: Kind, code: &'static str, what: String, because: String, try_: String) -> Self {
        Self::with_status(http_status(kind), kind, code, what, because, try_)
    }

    fn with_status(
        status: StatusCode,
        kind: Kind,
        code: &'static str,
        what: String,
        because: String,
        try_: String,
    ) -> Self {
        Self::new(status, Diagnostic { kind, code, what, because, try_, place: None })
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.0.status
    }

    pub(crate) fn into_diagnostic(self) -> Box<Diagnostic> {
        Box::new(self.0.diagnostic)
    }

    pub(crate) fn diagnostic(&self) -> &Diagnostic {
        &self.0.diagnostic
    }

    /// The JSON that goes out.
    pub(crate) fn details(&self, instance: &str, request_id: &str) -> ProblemDetails {
        let Inner { status, diagnostic } = &*self.0;
        ProblemDetails {
            problem_type: format!("/v1/errors/{}", diagnostic.code),
            title: title(diagnostic.kind).to_owned(),
            status: status.as_u16(),
            detail: diagnostic.what.clone(),
            instance: instance.to_owned(),
            code: diagnostic.code.to_owned(),
            because: diagnostic.because.clone(),
            try_: diagnostic.try_.clone(),
            request_id: request_id.to_owned(),
        }
    }

    /// The finished response.
    pub(crate) fn render(&self, instance: &str, request_id: &str, retry_after: Duration) -> Response {
        let details = self.details(instance, request_id);
        let body = serde_json::to_vec(&details).expect("text and numbers have a JSON form");
        let mut response = (self.0.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.0.status == StatusCode::UNAUTHORIZED {
            let wrong = self.0.diagnostic.code == "ACCESS-004";
            let challenge =
                if wrong { r#"Bearer realm="weft", error="invalid_token""# } else { r#"Bearer realm="weft""# };
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if retryable(self.0.diagnostic.kind) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(retry_after)));
        }
        response
    }
}

/// Rounded up, at least 1: `Retry-After: 0` would invite a storm.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    (duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).max(1)
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.0.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<ViewError> for Problem {
    fn from(diagnostic: ViewError) -> Self {
        Self::new(http_status(diagnostic.kind), *diagnostic)
    }
}

/// RFC 9457 problem details. `detail` says what happened, `because` why, `try` what to do next.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProblemDetails {
    /// Path of a page about `code`, on this server.
    #[serde(rename = "type")]
    #[schema(example = "/v1/errors/HTTP-010")]
    problem_type: String,
    /// What kind of error it is, always in the same words.
    #[schema(example = "the request is wrong")]
    title: String,
    /// The HTTP status again.
    #[schema(example = 400)]
    status: u16,
    /// What happened.
    #[schema(example = "cannot read parameter \"orgin\"")]
    detail: String,
    /// Path of the request.
    #[schema(example = "/v1/products/insights/delays/ports/current/v1")]
    instance: String,
    /// Stable code; `weft explain CODE` has a page for each.
    #[schema(example = "HTTP-010")]
    code: String,
    /// Why, with names, numbers and units.
    #[schema(example = "port \"insights.delays.current@1\" has no column \"orgin\"")]
    because: String,
    /// What to do next; empty when there is nothing to say.
    #[serde(rename = "try")]
    #[schema(example = "did you mean \"origin\"?")]
    try_: String,
    /// The same as the `X-Request-Id` header: quote it when asking for help.
    #[schema(example = "0f8fad5b-d9cb-469f-a165-70867728950e")]
    request_id: String,
}

/// A `Host` nobody told us about.
pub(crate) fn unknown_host(host: &str) -> Problem {
    Problem::with_status(
        StatusCode::MISDIRECTED_REQUEST,
        Kind::Denied,
        "HTTP-001",
        format!("cannot answer for host \"{host}\""),
        "only localhost, loopback addresses and the names in `http.hosts` are answered for, so that no web page \
         reaches this mesh by pointing its own name here"
            .to_owned(),
        "use http://127.0.0.1 or http://localhost with the port, or add the name to `http.hosts` in weft.yaml"
            .to_owned(),
    )
}

/// No `Host`, or two.
pub(crate) fn bad_host(because: &str) -> Problem {
    Problem::of_kind(
        Kind::Invalid,
        "HTTP-001",
        "cannot tell which host is asked for".to_owned(),
        because.to_owned(),
        "send exactly one Host header, as HTTP/1.1 clients do".to_owned(),
    )
}

/// A web page of somebody else.
pub(crate) fn foreign_origin(because: String) -> Problem {
    Problem::of_kind(
        Kind::Denied,
        "HTTP-002",
        "cannot answer another site's web page".to_owned(),
        because,
        "open the address directly, or let the owner of this mesh add the origin to `http.origins` in weft.yaml"
            .to_owned(),
    )
}

/// Nobody said who they are, and it must be known.
pub(crate) fn no_key() -> Problem {
    Problem::with_status(
        StatusCode::UNAUTHORIZED,
        Kind::Denied,
        "ACCESS-005",
        "cannot answer without a key".to_owned(),
        "access is on at this mesh, and the request says nobody's name".to_owned(),
        "send `Authorization: Bearer KEY`; the owner of the mesh makes one with `weft client create NAME`".to_owned(),
    )
}

/// They said who they are, and it is not so.
pub(crate) fn bad_key(because: &str) -> Problem {
    Problem::with_status(
        StatusCode::UNAUTHORIZED,
        Kind::Denied,
        "ACCESS-004",
        "cannot let this key in".to_owned(),
        because.to_owned(),
        "send the key as it was shown, `Authorization: Bearer weft_…`; `weft client rotate NAME` makes a new one"
            .to_owned(),
    )
}

/// A key where everybody sees it.
pub(crate) fn key_in_address() -> Problem {
    Problem::of_kind(
        Kind::Invalid,
        "ACCESS-006",
        "cannot take a key from an address".to_owned(),
        "addresses are kept in logs and histories; this one has been kept in none of ours".to_owned(),
        "send it as `Authorization: Bearer KEY`, and rotate this one: `weft client rotate NAME`".to_owned(),
    )
}

/// Who may come in has not been read yet.
pub(crate) fn gate_not_ready() -> Problem {
    Problem::of_kind(
        Kind::Unavailable,
        "ACCESS-010",
        "could not tell yet who may come in".to_owned(),
        "the node is still reading the audit topic of the mesh".to_owned(),
        "try again in a moment".to_owned(),
    )
}

/// What was open is open no longer.
pub(crate) fn revoked(principal: &Principal, port: &PortId) -> Problem {
    Problem::of_kind(
        Kind::Denied,
        "ACCESS-003",
        format!("cannot read port \"{port}\" any more"),
        format!("what was granted to {principal} was taken back"),
        format!("the owner knows why: `weft access why {principal} {port}`"),
    )
}

/// No such path.
pub(crate) fn no_route(path: &str) -> Problem {
    let try_ = match path.strip_suffix('/') {
        Some(shorter) if !shorter.is_empty() => format!("leave out the \"/\" at the end: {shorter}"),
        _ => "GET /v1/products lists what is here, /openapi.json how to ask for it".to_owned(),
    };
    Problem::of_kind(
        Kind::NotFound,
        "HTTP-003",
        format!("no route \"{path}\""),
        "this server has nothing at that path".to_owned(),
        try_,
    )
}

/// A path that cannot be read as text.
pub(crate) fn unreadable_path(path: &str) -> Problem {
    Problem::of_kind(
        Kind::Invalid,
        "HTTP-003",
        format!("cannot read path \"{path}\""),
        "it is not percent-encoded UTF-8".to_owned(),
        "GET /v1/products lists the paths that exist".to_owned(),
    )
}

/// A path that is there, asked in the wrong way.
pub(crate) fn method_not_allowed(method: &str, allowed: &str) -> Problem {
    Problem::with_status(
        StatusCode::METHOD_NOT_ALLOWED,
        Kind::Invalid,
        "HTTP-004",
        format!("cannot {method} here"),
        format!("this path takes {allowed}"),
        format!("use {}", allowed.split(',').next().unwrap_or(allowed)),
    )
}

/// A body that is not JSON by its own account.
pub(crate) fn not_json(content_type: Option<&str>) -> Problem {
    let because = match content_type {
        Some(given) => {
            format!("Content-Type is \"{given}\"; only application/json is read, which no form of a web page can send")
        }
        None => "there is no Content-Type; only application/json is read".to_owned(),
    };
    Problem::with_status(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Kind::Invalid,
        "HTTP-005",
        "cannot read the request's body".to_owned(),
        because,
        "send the header Content-Type: application/json".to_owned(),
    )
}

/// A body over the limit.
pub(crate) fn body_too_large(limit: usize) -> Problem {
    Problem::with_status(
        StatusCode::PAYLOAD_TOO_LARGE,
        Kind::TooLarge,
        "HTTP-006",
        "cannot take the request's body".to_owned(),
        format!("it is over {limit} bytes, the limit `http.body_bytes_max`"),
        "send a shorter query, or raise `http.body_bytes_max` in weft.yaml and restart the node".to_owned(),
    )
}

/// A body that is not what the route asks for.
pub(crate) fn bad_body(because: String) -> Problem {
    Problem::of_kind(
        Kind::Invalid,
        "HTTP-007",
        "cannot read the request's body".to_owned(),
        because,
        "send {\"sql\": \"SELECT …\"}".to_owned(),
    )
}

/// The connection broke in the middle of a body.
pub(crate) fn broken_body(because: String) -> Problem {
    Problem::of_kind(
        Kind::Invalid,
        "HTTP-007",
        "cannot read the request's body".to_owned(),
        because,
        "send as many bytes as Content-Length says, or well-formed chunks".to_owned(),
    )
}

/// No such product.
pub(crate) fn no_product(product: &str, near: Option<&str>) -> Problem {
    Problem::of_kind(
        Kind::NotFound,
        "HTTP-008",
        format!("no data product \"{product}\""),
        "the mesh declares none of that name, or you may not see it".to_owned(),
        match near {
            Some(near) => format!("did you mean \"{near}\"? GET /v1/products lists all"),
            None => "GET /v1/products lists all".to_owned(),
        },
    )
}

/// No such output port, or not in that version.
pub(crate) fn no_port(port: &str, because: String, near: Option<String>, product_path: &str) -> Problem {
    Problem::of_kind(
        Kind::NotFound,
        "HTTP-009",
        format!("no output port \"{port}\""),
        because,
        match near {
            Some(near) => format!("did you mean {near}? GET {product_path} lists all"),
            None => format!("GET {product_path} lists all"),
        },
    )
}

/// A parameter that is neither ours nor a column.
pub(crate) fn unknown_parameter(name: &str, because: String, try_: String) -> Problem {
    Problem::of_kind(Kind::Invalid, "HTTP-010", format!("cannot read parameter \"{name}\""), because, try_)
}

/// A column that a port of this kind is not asked by.
pub(crate) fn unbindable(name: &str, because: String, try_: String) -> Problem {
    Problem::of_kind(Kind::Invalid, "HTTP-011", format!("cannot select by \"{name}\""), because, try_)
}

/// A value that is not of its column's type.
pub(crate) fn bad_value(name: &str, because: String, try_: String) -> Problem {
    Problem::of_kind(Kind::Invalid, "HTTP-012", format!("cannot read the value of \"{name}\""), because, try_)
}

/// A parameter that is malformed, doubled, out of range or at odds with another.
pub(crate) fn bad_parameter(name: &str, because: String, try_: String) -> Problem {
    Problem::of_kind(Kind::Invalid, "HTTP-013", format!("cannot use parameter \"{name}\""), because, try_)
}

/// A request target over the limit.
pub(crate) fn uri_too_long(length: usize, limit: usize) -> Problem {
    Problem::with_status(
        StatusCode::URI_TOO_LONG,
        Kind::TooLarge,
        "HTTP-014",
        "cannot take the request".to_owned(),
        format!("its path and query have {length} bytes; `http.uri_bytes_max` is {limit}"),
        "ask for less at once, or POST the question to /v1/sql".to_owned(),
    )
}

/// A query that did not end in time.
pub(crate) fn too_slow(what: &str, limit_ms: u64, option: &str, try_: &str) -> Problem {
    Problem::of_kind(
        Kind::TooLarge,
        "HTTP-015",
        format!("the {what} took too long and was stopped"),
        format!("it was not done after {limit_ms} ms, the limit `http.{option}`"),
        format!("{try_}; or raise `http.{option}` in weft.yaml and restart the node"),
    )
}

/// A bound is met now.
pub(crate) fn busy(what: &str, limit: usize, option: &str) -> Problem {
    Problem::of_kind(
        Kind::Busy,
        "HTTP-016",
        format!("could not start another {what}"),
        format!("{limit} are at work, the limit `http.{option}`"),
        format!("try again after the seconds in Retry-After; if it happens often, raise `http.{option}` in weft.yaml"),
    )
}

/// The node has not read the mesh yet.
pub(crate) fn no_mesh() -> Problem {
    Problem::of_kind(
        Kind::Unavailable,
        "HTTP-017",
        "could not look at the mesh".to_owned(),
        "this node has not read the desired state yet".to_owned(),
        "wait until GET /readyz answers 200".to_owned(),
    )
}

/// A body that dribbles in.
pub(crate) fn body_too_slow(limit: Duration) -> Problem {
    Problem::with_status(
        StatusCode::REQUEST_TIMEOUT,
        Kind::Invalid,
        "HTTP-018",
        "gave up waiting for the request's body".to_owned(),
        format!("it was not complete after {} ms, the limit `http.body_read_ms`", limit.as_millis()),
        "send the request again, at once".to_owned(),
    )
}

/// A handler panicked.
pub(crate) fn panicked() -> Problem {
    Problem::of_kind(
        Kind::Bug,
        "HTTP-019",
        "this request met a fault in Weft".to_owned(),
        "the code that answers it broke one of its own promises; other requests go on".to_owned(),
        "report it with the request_id and the node's log".to_owned(),
    )
}

/// A stream that has to end because the node does.
pub(crate) fn shutting_down() -> Problem {
    Problem::of_kind(
        Kind::Unavailable,
        "HTTP-017",
        "could not start a stream".to_owned(),
        "this node is shutting down".to_owned(),
        "connect again; with Last-Event-ID nothing is lost".to_owned(),
    )
}

/// A page about a code that does not exist.
pub(crate) fn no_error_page(code: &str) -> Problem {
    Problem::of_kind(
        Kind::NotFound,
        "HTTP-023",
        format!("no page about \"{code}\""),
        "no error of Weft has that code".to_owned(),
        "codes look like HTTP-010; `weft explain` lists all".to_owned(),
    )
}

/// A port that no team wrote a contract for.
pub(crate) fn no_contract(port: &str, path: &str) -> Problem {
    Problem::of_kind(
        Kind::NotFound,
        "HTTP-030",
        format!("output port \"{port}\" has no contract of its own"),
        "it is one of the two that every product has without declaring them".to_owned(),
        format!("GET {path}/schema.json has its columns"),
    )
}

/// A call of an agent that cannot be read, at the level of HTTP or of a tool's arguments.
pub(crate) fn bad_call(status: StatusCode, because: String, try_: String) -> Problem {
    let kind = if status.is_server_error() { Kind::Bug } else { Kind::Invalid };
    Problem::with_status(status, kind, "HTTP-031", "cannot read an agent's call".to_owned(), because, try_)
}

/// More connections than the limit.
pub(crate) fn too_many_connections(limit: usize) -> Problem {
    Problem::of_kind(
        Kind::Unavailable,
        "HTTP-024",
        "could not take another connection".to_owned(),
        format!("{limit} are open, the limit `http.connections_max`"),
        "close some, or try again after the seconds in Retry-After".to_owned(),
    )
}
