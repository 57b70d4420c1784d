//! `/mcp`: the door for agents. Model Context Protocol over streamable HTTP, by the official SDK.
//!
//! ```text
//!   POST /mcp ─ edge ─ type, size, time of the body ─► SDK: JSON-RPC, versions ─► tools ─► catalogue, contracts, /v1/sql
//! ```
//!
//! An agent is a caller like any other: the edge has checked `Host` and `Origin`, it carries the same `Principal`, and its
//! queries wait for the same turns, meet the same limits and leave the same audit lines as those of `/v1/sql`. There are no
//! sessions: nothing is kept between two requests, so there is nothing to bound and any node can answer.

mod search;
mod tools;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http_body_util::{BodyExt, Full};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde::Deserialize;
use serde::de::IgnoredAny;
use utoipa::ToSchema;
use weft_model::principal::Principal;

use crate::error::{self, Problem};
use crate::params::shorten;
use crate::routes::{self, App};
use crate::sql;

const INSTRUCTIONS: &str = "Data products of a streaming mesh. Find one with search_catalogue, read what it promises with \
    describe_product and read_contract, and ask for rows with query: one SQL SELECT, in which a port is \
    \"domain\".\"product\".\"port\". Rows are JSON; integers are exact, decimals are strings. Answers are whole or an error that \
    names the limit.";

/// A JSON-RPC 2.0 message of the Model Context Protocol; without `id` it is a notification.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "the SDK reads messages; this says what they look like")]
pub(crate) struct RpcMessage {
    /// Always `2.0`.
    #[schema(pattern = "^2\\.0$", example = "2.0")]
    jsonrpc: String,
    /// Comes back with the answer.
    #[schema(example = 1)]
    id: Option<i32>,
    /// `tools/list`, `tools/call`, `initialize`, …
    #[schema(example = "tools/call")]
    method: String,
    /// As the method has it.
    #[schema(value_type = Option<Object>, example = json!({"name": "search_catalogue", "arguments": {"query": "delays"}}))]
    params: Option<serde_json::Value>,
}

/// Agents speak here: Model Context Protocol, streamable HTTP, one JSON-RPC message per request.
///
/// `tools/list` says what can be called: search of the catalogue, contracts, and SQL with the limits of `/v1/sql`. Refusals of
/// a tool are results with `isError`. There are no sessions, so GET and DELETE are refused.
#[utoipa::path(
    post,
    path = "/mcp",
    tag = "agents",
    params(("Accept" = String, Header, description = "Both types, as the protocol wants it.",
        pattern = "^application/json, text/event-stream$", example = "application/json, text/event-stream")),
    request_body(content = RpcMessage, content_type = "application/json"),
    responses(
        (status = 200, description = "The JSON-RPC answer.", body = Object, content_type = "application/json"),
        (status = 202, description = "A notification was taken."),
        (status = 406, description = "`Accept` does not name both types.", body = error::ProblemDetails,
            content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn door(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    sql::check_content_type(&headers)?;
    let (parts, body) = request.into_parts();
    let body = sql::read_body(&app, &headers, body).await?;
    if let Err(wrong) = serde_json::from_slice::<IgnoredAny>(&body) {
        let try_ = "send one JSON-RPC 2.0 message".to_owned();
        return Err(error::bad_call(StatusCode::BAD_REQUEST, format!("the body is not JSON: {wrong}"), try_));
    }
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(app.options.body_bytes_max)
        // The edge has done it, with the names and origins of the options.
        .disable_allowed_hosts();
    let agents = move || Ok(Agent { app: Arc::clone(&app) });
    let service = StreamableHttpService::new(agents, Arc::new(NeverSessionManager::default()), config);
    let answer = service.handle(Request::from_parts(parts, Full::new(body))).await;
    worded(answer.map(Body::new)).await
}

/// Refusals of the SDK that are plain text become problems, as everywhere else. JSON-RPC errors pass.
async fn worded(answer: Response) -> Result<Response, Problem> {
    let status = answer.status();
    let is_json = answer.headers().get(header::CONTENT_TYPE).is_some_and(|given| given == "application/json");
    if status.is_success() || is_json {
        return Ok(answer.into_response());
    }
    let text = match answer.into_body().collect().await {
        Ok(collected) => String::from_utf8_lossy(&collected.to_bytes()).into_owned(),
        Err(cause) => cause.to_string(),
    };
    // The type was checked before; what is left is JSON that is no message.
    let status = if status == StatusCode::UNSUPPORTED_MEDIA_TYPE { StatusCode::BAD_REQUEST } else { status };
    let try_ = "send one JSON-RPC 2.0 message, as MCP's streamable HTTP has it".to_owned();
    Err(error::bad_call(status, shorten(&text), try_))
}

/// The SDK answers nothing when a tool panics, and the caller would wait for ever.
async fn caught(work: impl Future<Output = Result<String, Problem>>) -> Result<String, Problem> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(said) => said,
        Err(panic) => Err(routes::of_panic(&*panic)),
    }
}

/// Answers one request.
#[derive(Clone)]
struct Agent {
    app: Arc<App>,
}

impl ServerHandler for Agent {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("weft", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::list().into_iter().find(|tool| tool.name == name)
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::list()))
    }

    async fn call_tool(
        &self,
        call: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let principal = context.extensions.get::<Parts>().and_then(|parts| parts.extensions.get::<Principal>());
        let Some(principal) = principal else {
            return Err(ErrorData::internal_error("the request came without a principal", None));
        };
        if self.get_tool(&call.name).is_none() {
            let message = format!("no tool \"{}\"; tools/list has all", shorten(&call.name));
            return Err(ErrorData::invalid_params(message, None));
        }
        let arguments = call.arguments.unwrap_or_default();
        // A caller that went away is not worked for.
        let said = tokio::select! {
            biased;
            () = context.ct.cancelled() => return Err(ErrorData::internal_error("the caller went away", None)),
            said = caught(tools::call(&self.app, principal, &call.name, arguments)) => said,
        };
        let result = match said {
            Ok(text) => CallToolResult::success(vec![ContentBlock::text(text)]),
            Err(problem) => {
                self.app.metrics.problem(problem.diagnostic().code);
                CallToolResult::error(vec![ContentBlock::text(problem.diagnostic().to_string())])
            }
        };
        Ok(result.into())
    }
}
