//! `GET …/stream`: server-sent events. Snapshot, then tail, resumable by token.
//!
//! ```text
//!   retry: 1000                     ← how soon a browser comes back
//!   id: TOKEN                       ← Last-Event-ID of a reader that comes back
//!   event: row | delete | live | reset | error
//!   data: {…}                       ← one JSON object
//!   :                               ← heartbeat: a comment, every `heartbeat`
//! ```
//!
//! Nothing is pumped: the socket asks for the next chunk when it has room, and only then are events asked for. So a slow
//! reader slows its own stream, and one that takes nothing at all is cut by the socket's stall timer (`stall.rs`).

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{OriginalUri, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use weft_model::json;
use weft_model::kind::Diagnostic;
use weft_model::principal::Principal;
use weft_model::query::StreamEvent;

use crate::audit;
use crate::error::{self, Problem};
use crate::metrics::OpenStream;
use crate::params::{self, shorten};
use crate::products::{self, PortCaptures};
use crate::routes::App;
use crate::views::EventStream;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// How soon a browser connects again. Milliseconds.
const RETRY_MS: u32 = 1000;

/// A port as it changes, as server-sent events.
///
/// First the rows that are there (`event: row`), then `event: live`, then what comes: `row`, and `delete` with the key
/// columns of an `upsert` port. Every event has an id; a reader that comes back with the last one, as `Last-Event-ID` or
/// `?resume=`, goes on after it. `event: reset` means that this is not possible: forget what you have, a new snapshot
/// follows. `event: error` carries a problem and ends the stream.
#[utoipa::path(
    get,
    path = "/v1/products/{domain}/{product}/ports/{port}/{version}/stream",
    tag = "data",
    params(
        ("domain" = String, Path, description = "Name of the domain.", example = "insights"),
        ("product" = String, Path, description = "Name of the product in its domain.", example = "delays"),
        ("port" = String, Path, description = "Name of the output port.", example = "current"),
        ("version" = String, Path, description = "`v` and the major version of the contract.", example = "v1",
            pattern = "^v[0-9]+$"),
        ("resume" = Option<String>, Query, description = "Id of the last event seen."),
        ("Last-Event-ID" = Option<String>, Header, description = "The same, as browsers send it."),
    ),
    responses((status = 200, description = "Events, until one side ends the connection.", body = String,
        content_type = "text/event-stream",
        example = "id: djE6MA\nevent: row\ndata: {\"origin\":\"EWR\",\"carrier\":\"UA\",\"flights\":12}\n\nid: djE6MQ\nevent: live\ndata: {}\n\n")),
)]
pub(crate) async fn stream(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    OriginalUri(uri): OriginalUri,
    captures: PortCaptures,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let port = products::port_of(&app, captures, uri.path())?;
    let resume = resume(query.as_deref().unwrap_or(""), &headers)?;
    if app.shutdown.is_cancelled() {
        return Err(error::shutting_down());
    }
    let permit = Arc::clone(&app.streams)
        .try_acquire_owned()
        .map_err(|_| error::busy("stream", app.options.streams_max, "streams_max"))?;
    // From before it is opened, so that what is taken back meanwhile ends it too.
    let revoked = app.gate.as_deref().map(|gate| gate.until_revoked(&principal, &port.id));
    let events = app.views.stream(&principal, &port.id, resume).await.map_err(Problem::from);
    audit::read(&principal, "http", "stream", &port.id.to_string(), &events);
    let events = events?;
    let reader = Reader {
        events,
        revoked: revoked.unwrap_or_else(|| Box::pin(std::future::pending())),
        last_word: error::revoked(&principal, &port.id),
        heartbeat: app.options.heartbeat,
        chunk_bytes: app.options.stream_chunk_bytes,
        shutdown: app.shutdown.clone(),
        phase: Phase::Start,
        _open: app.metrics.stream_opened(),
        _permit: permit,
    };
    let chunks = futures::stream::unfold(reader, |mut reader| async move {
        let chunk = reader.next_chunk().await?;
        Some((Ok::<_, std::convert::Infallible>(chunk), reader))
    });
    let mut response = Body::from_stream(chunks).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // Reverse proxies that gather answers would hold events back.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

/// The token to go on from: `Last-Event-ID` is newer than a `?resume=` that a browser repeats when it comes back.
fn resume(query: &str, headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut resume = None;
    for (name, value) in params::pairs(query)? {
        if name != "resume" {
            let because = "a stream takes only `resume`".to_owned();
            let try_ = "leave it out; select rows by SQL or a pull instead".to_owned();
            return Err(error::unknown_parameter(&shorten(&name), because, try_));
        }
        if resume.replace(value).is_some() {
            return Err(error::bad_parameter("resume", "it is there twice".to_owned(), "give it once".to_owned()));
        }
    }
    if let Some(last) = headers.get(LAST_EVENT_ID) {
        let last = last.to_str().map_err(|_| {
            let try_ = "send the id of the last event, as it came".to_owned();
            error::bad_parameter("Last-Event-ID", "it is not ASCII text".to_owned(), try_)
        })?;
        if !last.is_empty() {
            return Ok(Some(last.to_owned()));
        }
    }
    Ok(resume.filter(|token| !token.is_empty()))
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Start,
    Open,
    Ended,
}

/// One reader of one port.
struct Reader {
    events: EventStream,
    /// Ready when the caller may not read the port any more.
    revoked: BoxFuture<'static, ()>,
    /// What the caller hears then.
    last_word: Problem,
    heartbeat: Duration,
    chunk_bytes: usize,
    shutdown: CancellationToken,
    phase: Phase,
    _open: OpenStream,
    _permit: OwnedSemaphorePermit,
}

impl Reader {
    /// What to write next; `None` when the stream is over.
    async fn next_chunk(&mut self) -> Option<Bytes> {
        match self.phase {
            Phase::Ended => return None,
            Phase::Start => {
                self.phase = Phase::Open;
                return Some(Bytes::from(format!("retry: {RETRY_MS}\n\n")));
            }
            Phase::Open => {}
        }
        let heartbeat_at = Instant::now() + self.heartbeat;
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => {
                self.phase = Phase::Ended;
                Some(Bytes::from_static(b": the node shuts down, connect again\n\n"))
            }
            () = &mut self.revoked => {
                self.phase = Phase::Ended;
                tracing::info!(code = self.last_word.diagnostic().code, "stream ended: access was taken back");
                let mut out = Vec::new();
                push_problem(&mut out, &self.last_word);
                Some(Bytes::from(out))
            }
            event = self.events.next() => {
                let mut out = Vec::new();
                self.write(event, &mut out);
                self.gather(&mut out);
                if out.is_empty() { None } else { Some(Bytes::from(out)) }
            }
            () = sleep_until(heartbeat_at) => Some(Bytes::from_static(b":\n\n")),
        }
    }

    /// Adds what is ready, up to one chunk.
    fn gather(&mut self, out: &mut Vec<u8>) {
        while self.phase == Phase::Open && out.len() < self.chunk_bytes {
            let Some(event) = self.events.next().now_or_never() else { return };
            self.write(event, out);
        }
    }

    fn write(&mut self, event: Option<Result<StreamEvent, Box<Diagnostic>>>, out: &mut Vec<u8>) {
        match event {
            Some(Ok(event)) => push_event(out, &event),
            Some(Err(diagnostic)) => {
                self.phase = Phase::Ended;
                tracing::info!(code = diagnostic.code, because = %diagnostic.because, "stream ended by an error");
                push_problem(out, &Problem::from(diagnostic));
            }
            None => self.phase = Phase::Ended,
        }
    }
}

fn push_problem(out: &mut Vec<u8>, problem: &Problem) {
    let details = serde_json::to_string(&problem.details("", "")).expect("text and numbers have a JSON form");
    push_fields(out, None, "error", &details);
}

fn push_event(out: &mut Vec<u8>, event: &StreamEvent) {
    match event {
        StreamEvent::Row { row, token } => push_fields(out, Some(token), "row", row),
        StreamEvent::Delete { key, token } => push_fields(out, Some(token), "delete", key),
        StreamEvent::Live { token } => push_fields(out, Some(token), "live", "{}"),
        StreamEvent::Reset { reason } => {
            let mut data = b"{\"reason\":".to_vec();
            json::push_string(&mut data, reason);
            data.push(b'}');
            push_fields(out, None, "reset", &String::from_utf8(data).expect("a JSON string is UTF-8"));
        }
    }
}

/// Lines of data each get their own field: a line break inside would end the event and start a forged one.
fn push_fields(out: &mut Vec<u8>, token: Option<&str>, name: &str, data: &str) {
    if let Some(token) = token {
        assert!(!token.contains(['\n', '\r', '\0']), "a resume token is one line of text");
        out.extend_from_slice(b"id: ");
        out.extend_from_slice(token.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.push(b'\n');
    for line in data.split(['\n', '\r']) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(event: &StreamEvent) -> String {
        let mut out = Vec::new();
        push_event(&mut out, event);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn events_have_the_form_that_browsers_read() {
        let token = "t1".to_owned();
        let row = StreamEvent::Row { row: r#"{"n":9007199254740993}"#.to_owned(), token: token.clone() };
        assert_eq!(text(&row), "id: t1\nevent: row\ndata: {\"n\":9007199254740993}\n\n");
        let delete = StreamEvent::Delete { key: r#"{"k":1}"#.to_owned(), token: token.clone() };
        assert_eq!(text(&delete), "id: t1\nevent: delete\ndata: {\"k\":1}\n\n");
        assert_eq!(text(&StreamEvent::Live { token }), "id: t1\nevent: live\ndata: {}\n\n");
        let reset = StreamEvent::Reset { reason: "retention\npassed \"it\"".to_owned() };
        assert_eq!(text(&reset), "event: reset\ndata: {\"reason\":\"retention\\npassed \\\"it\\\"\"}\n\n");
    }

    #[test]
    fn a_line_break_in_a_row_cannot_forge_an_event() {
        let row = StreamEvent::Row { row: "{\"a\":\n\r1}\n\nevent: reset".to_owned(), token: "t".to_owned() };
        for line in text(&row).trim_end().lines().skip(2) {
            assert!(line.starts_with("data: "), "{line:?}");
        }
    }
}
