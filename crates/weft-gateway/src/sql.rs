//! `POST /v1/sql`: one query over the output ports that the caller may see.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;
use weft_model::load::near::near_miss;
use weft_model::principal::Principal;
use weft_model::query::Answer;

use crate::error::{self, Problem};
use crate::openapi::AnswerShape;
use crate::params::shorten;
use crate::routes::App;
use crate::{answer, products};

/// A question in SQL.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SqlRequest {
    /// One `SELECT`. A port is `"domain"."product"."port"`, in its newest active version, or `"port@1"` to pin one.
    #[schema(
        pattern = "\\S",
        example = "SELECT origin, carrier, mean_dep_delay FROM \"insights\".\"delays\".\"current\" ORDER BY mean_dep_delay DESC LIMIT 10"
    )]
    sql: String,
}

/// Full SQL over output ports.
///
/// The answer is whole or an error: a query over the limit of rows, bytes or time is refused by the name of the limit.
/// `position` has one entry per port that the query read; `next` is always null.
#[utoipa::path(
    post,
    path = "/v1/sql",
    tag = "data",
    request_body(content = SqlRequest, content_type = "application/json"),
    responses((status = 200, description = "Every row, and the positions they speak for.", body = AnswerShape)),
)]
pub(crate) async fn sql(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    check_content_type(&headers)?;
    let body = read_body(&app, &headers, body).await?;
    let sql = read_request(&body)?;
    Ok(answer::response(&ask(&app, &principal, "http", &sql).await?))
}

/// The question through whichever door it came: the same turns, limits and audit.
pub(crate) async fn ask(app: &App, principal: &Principal, door: &'static str, sql: &str) -> Result<Answer, Problem> {
    // Before the mesh is known every table would be an unknown one.
    products::mesh(app)?;
    app.asker.sql_in_turn(principal, door, sql).await
}

/// `application/json`, with any parameters. A web form cannot send it, so the browser asks us first.
pub(crate) fn check_content_type(headers: &HeaderMap) -> Result<(), Problem> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let given = values.next().map(|value| value.to_str().unwrap_or("(not ASCII)"));
    let media_type = given.and_then(|given| given.split(';').next()).map(str::trim);
    if values.next().is_none()
        && media_type.is_some_and(|media_type| media_type.eq_ignore_ascii_case("application/json"))
    {
        return Ok(());
    }
    Err(error::not_json(given.map(shorten).as_deref()))
}

pub(crate) async fn read_body(app: &App, headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let limit = app.options.body_bytes_max;
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|declared| declared > limit) {
        return Err(error::body_too_large(limit));
    }
    let collected = tokio::time::timeout(app.options.body_read, axum::body::to_bytes(body, limit)).await;
    match collected {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(broken)) if over_limit(&broken) => Err(error::body_too_large(limit)),
        Ok(Err(broken)) => Err(error::broken_body(broken.to_string())),
        Err(_) => Err(error::body_too_slow(app.options.body_read)),
    }
}

fn over_limit(error: &axum::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if cause.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        source = cause.source();
    }
    false
}

fn read_request(body: &[u8]) -> Result<String, Problem> {
    let fields: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(body).map_err(|wrong| error::bad_body(format!("it is not a JSON object: {wrong}")))?;
    if let Some(unknown) = fields.keys().find(|name| *name != "sql") {
        let near = near_miss(unknown, ["sql"]).map_or(String::new(), |near| format!("; did you mean \"{near}\"?"));
        return Err(error::bad_body(format!("it has a field \"{}\", which nobody reads{near}", shorten(unknown))));
    }
    if !fields.contains_key("sql") {
        return Err(error::bad_body("it has no field \"sql\"".to_owned()));
    }
    match serde_json::from_value::<SqlRequest>(serde_json::Value::Object(fields)) {
        Ok(SqlRequest { sql }) if sql.trim().is_empty() => {
            Err(error::bad_body("its field \"sql\" is empty".to_owned()))
        }
        Ok(SqlRequest { sql }) => Ok(sql),
        Err(_) => Err(error::bad_body("its field \"sql\" is not a string".to_owned())),
    }
}
