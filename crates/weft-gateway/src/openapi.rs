//! The OpenAPI 3.1 document, made from the handlers' own descriptions.
//!
//! Every route can meet the same refusals, so they are added to all of them here, once.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, HeaderBuilder, KnownFormat, ObjectBuilder, Ref, RefOr, ResponseBuilder, SchemaFormat, Type,
};
use utoipa::{Modify, OpenApi, ToSchema};

use crate::config::Options;
use crate::describe::doors;
use crate::error::ProblemDetails;
use crate::{facts, gate, house, mcp, products, pull, sql, stream};

/// Rows with the position they speak for. (The bytes are written by `answer.rs`; this says what they look like.)
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AnswerShape {
    /// One object per row: the columns of the contract, or of the query.
    #[schema(value_type = Vec<Object>, example = json!([{"origin": "EWR", "carrier": "UA",
        "window_start": "2013-01-01T11:00:00.000Z", "flights": 3}]))]
    rows: Vec<serde_json::Value>,
    /// What the rows speak for: one entry per port that was read.
    position: Vec<PositionShape>,
    /// Give it as `page` for the rows after these; null when there are none.
    next: Option<String>,
}

/// Everything below these offsets of this generation of the port.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PositionShape {
    /// The port.
    #[schema(example = "insights.delays.current@1")]
    port: String,
    /// Its generation.
    #[schema(example = 1)]
    generation: u32,
    /// Kafka's id of the topic, where the cluster has ids.
    topic_id: Option<String>,
    /// Next offset per partition.
    #[schema(example = json!({"0": 1234}))]
    offsets: BTreeMap<String, i64>,
    /// No row with an earlier event time will come; `complete` when the inputs have ended; null when nothing is known.
    #[schema(example = "2013-01-01T12:00:00.000Z")]
    watermark: Option<String>,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Weft",
        description = "Data products of a streaming mesh over HTTP: rows by key, range or SQL, live streams, and the catalogue.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    servers((url = "/", description = "This node.")),
    tags(
        (name = "data", description = "Rows of output ports."),
        (name = "catalogue", description = "What is here, who answers for it, and what it promises."),
        (name = "agents", description = "The same for programs that speak the Model Context Protocol."),
        (name = "house", description = "For those who run the node."),
    ),
    paths(
        products::list, products::show, pull::pull, stream::stream, sql::sql,
        doors::asyncapi, doors::odps, doors::odcs, doors::schema, doors::catalogue,
        mcp::door, house::healthz, house::readyz, house::metrics, house::openapi, house::error_page,
    ),
    components(schemas(ProblemDetails, facts::MeshFacts)),
    modifiers(&CommonResponses),
)]
struct Document;

/// The document as JSON text, with the bounds that these options set, and with the keys that a gate wants.
pub(crate) fn document(options: &Options, is_guarded: bool) -> String {
    let mut document = Document::openapi();
    if is_guarded {
        guard(&mut document);
    }
    for item in document.paths.paths.values_mut() {
        for operation in item.get.iter_mut() {
            for parameter in operation.parameters.iter_mut().flatten() {
                let RefOr::T(parameter) = parameter else { continue };
                if parameter.name != "limit" {
                    continue;
                }
                let limit = ObjectBuilder::new()
                    .schema_type(Type::Integer)
                    .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)))
                    .minimum(Some(1))
                    .maximum(Some(options.pull.rows_max))
                    .examples([100.min(options.pull.rows_max)])
                    .build();
                parameter.schema = Some(limit.into());
                parameter.description = Some(format!("Rows per page, at most. Default {}.", options.rows_default));
            }
        }
    }
    document.to_pretty_json().expect("an OpenAPI document has a JSON form")
}

/// Every door but the public ones wants a key, and says 401 without one.
fn guard(document: &mut utoipa::openapi::OpenApi) {
    let key = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("weft_<id>_<secret>");
    let key = key.description(Some("The key of a client of the mesh: `weft client create NAME`.")).build();
    let components = document.components.get_or_insert_default();
    components.security_schemes.insert(KEY.to_owned(), RefOr::T(SecurityScheme::Http(key)));
    document.security = Some(vec![SecurityRequirement::new(KEY, Vec::<String>::new())]);
    for (path, item) in &mut document.paths.paths {
        for operation in item.get.iter_mut().chain(item.post.iter_mut()) {
            add(operation, OF_GATE);
            if gate::is_public(path) {
                operation.security = Some(Vec::new());
            }
        }
    }
}

struct CommonResponses;

/// Refusals that any route can meet.
const EVERY: &[(u16, &str)] = &[
    (400, "The request is malformed: `Host`, a parameter, or the body."),
    (403, "Another site's web page asked, or the principal may not."),
    (404, "Nothing of that name, or you may not see it."),
    (405, "The path takes another method; `Allow` lists them."),
    (414, "Path and query are over `http.uri_bytes_max`."),
    (421, "The `Host` is not one this node answers for."),
    (431, "The head is over `http.header_bytes_max` or `http.headers_max`; without a body."),
    (500, "A fault in Weft."),
    (503, "Not available now; `Retry-After` says when to try again."),
];
/// Refusals of a gate; a wrong key is refused at public doors too.
const OF_GATE: &[(u16, &str)] =
    &[(401, "There is no key, or it opens nothing; `WWW-Authenticate` says how to send one.")];
/// Name of the one security scheme.
const KEY: &str = "key";
/// Refusals that queries and streams meet besides.
const OF_DATA: &[(u16, &str)] = &[
    (409, "The resume or page token belongs to something that is no more."),
    (422, "The answer would be over a limit, which is named."),
    (429, "Too many of its kind are at work; `Retry-After` says when to try again."),
];
/// Refusals that a body can meet.
const OF_BODY: &[(u16, &str)] = &[
    (408, "The body did not come in time."),
    (413, "The body is over `http.body_bytes_max`."),
    (415, "The body is not `application/json`."),
];

impl Modify for CommonResponses {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        for item in document.paths.paths.values_mut() {
            for operation in item.get.iter_mut().chain(item.post.iter_mut()) {
                let tag = operation.tags.iter().flatten().next().cloned();
                add(operation, EVERY);
                if tag.as_deref() == Some("data") {
                    add(operation, OF_DATA);
                }
                if operation.request_body.is_some() {
                    add(operation, OF_BODY);
                }
                for response in operation.responses.responses.values_mut() {
                    if let RefOr::T(response) = response {
                        let text = ObjectBuilder::new().schema_type(Type::String).build();
                        let header =
                            HeaderBuilder::new().schema(Some(text)).description(Some("Id of the request.")).build();
                        response.headers.insert("X-Request-Id".to_owned(), header.into());
                    }
                }
            }
        }
    }
}

fn add(operation: &mut Operation, responses: &[(u16, &str)]) {
    for (status, description) in responses {
        let status_text = status.to_string();
        if operation.responses.responses.contains_key(&status_text) {
            continue;
        }
        let mut response = ResponseBuilder::new().description(*description);
        if *status != 431 {
            let schema = RefOr::Ref(Ref::from_schema_name("ProblemDetails"));
            response = response.content("application/problem+json", ContentBuilder::new().schema(Some(schema)).build());
        }
        if *status == 401 {
            let text = ObjectBuilder::new().schema_type(Type::String).build();
            let header = HeaderBuilder::new().schema(Some(text)).description(Some("`Bearer`.")).build();
            response = response.header("WWW-Authenticate", header);
        }
        if matches!(status, 429 | 503) {
            let seconds = ObjectBuilder::new().schema_type(Type::Integer).build();
            let header = HeaderBuilder::new().schema(Some(seconds)).description(Some("Seconds to wait.")).build();
            response = response.header("Retry-After", header);
        }
        operation.responses.responses.insert(status_text, response.build().into());
    }
}
