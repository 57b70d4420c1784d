//! `GET …/ports/{port}/v{major}`: one page of rows.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{OriginalUri, RawQuery, State};
use axum::response::Response;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use weft_model::name::PortId;
use weft_model::principal::Principal;
use weft_model::query::{Answer, PullQuery};

use crate::error::{self, Problem};
use crate::openapi::AnswerShape;
use crate::params;
use crate::products::{self, PortCaptures};
use crate::routes::App;
use crate::{answer, audit};

/// How long after a limit of time the doors stop a query that did not stop itself.
pub(crate) const BACKSTOP: Duration = Duration::from_millis(250);

/// Rows of an output port, by key, range, window or offset, page by page.
///
/// An `upsert` port is asked by its key columns: all of them for one row, the first ones for a prefix, `name.from` and
/// `name.to` for a half-open range. Deleted and never written keys alike give no rows; the position says up to where that
/// holds. An `append` port is asked by `from_offset.P` and `to_offset.P` per partition P, or by a range of its event time.
/// Without any bound the answer starts at the beginning.
#[utoipa::path(
    get,
    path = "/v1/products/{domain}/{product}/ports/{port}/{version}",
    tag = "data",
    params(
        ("domain" = String, Path, description = "Name of the domain.", example = "insights"),
        ("product" = String, Path, description = "Name of the product in its domain.", example = "delays"),
        ("port" = String, Path, description = "Name of the output port.", example = "current"),
        ("version" = String, Path, description = "`v` and the major version of the contract.", example = "v1",
            pattern = "^v[0-9]+$"),
        ("limit" = Option<u32>, Query, description = "Rows per page, at most. Default 1000.", minimum = 1,
            maximum = 10000, example = 100),
        ("page" = Option<String>, Query, description = "`next` of the page before, with the same other parameters.",
            min_length = 1),
        ("bounds" = Option<BTreeMap<String, String>>, Query, style = Form, explode,
            description = "Bounds by name. `upsert`: `COLUMN=value`, `COLUMN.from=` (inclusive), `COLUMN.to=` (exclusive) \
                of key columns. `append`: the same of the event time, and `from_offset.P=`, `to_offset.P=` of partition \
                P. A column named like a parameter is written `column.NAME`. Timestamps are RFC 3339, with a `+` as \
                `%2B`.",
            example = json!({"origin": "EWR", "carrier": "UA", "window_start": "2013-01-01T11:00:00.000Z"})),
    ),
    responses((status = 200, description = "A page of rows, the position they speak for, and where the next page begins.",
        body = AnswerShape)),
)]
pub(crate) async fn pull(
    State(app): State<Arc<App>>,
    Extension(principal): Extension<Principal>,
    OriginalUri(uri): OriginalUri,
    captures: PortCaptures,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let port = products::port_of(&app, captures, uri.path())?;
    let query = params::pull_query(query.as_deref().unwrap_or(""), &port, &app.options)?;
    let result = within_limits(&app, &principal, &port.id, query).await;
    audit::read(&principal, "http", "pull", &port.id.to_string(), &result);
    Ok(answer::response(&result?))
}

async fn within_limits(app: &App, principal: &Principal, port: &PortId, query: PullQuery) -> Result<Answer, Problem> {
    let _turn = turn(app, &app.pulls, "pull query", app.options.pulls_max, "pulls_max").await?;
    let limits = app.options.pull;
    let work = app.views.pull(principal, port, query, limits);
    let time_max = Duration::from_millis(limits.time_ms_max) + BACKSTOP;
    match tokio::time::timeout(time_max, work).await {
        Ok(answer) => Ok(answer?),
        Err(_) => {
            let try_ = "ask for fewer rows with `limit`, or for a narrower range";
            Err(error::too_slow("pull query", limits.time_ms_max, "pull.time_ms_max", try_))
        }
    }
}

/// Waits for a turn, up to `queue_wait`.
pub(crate) async fn turn(
    app: &App,
    turns: &Arc<Semaphore>,
    what: &str,
    limit: usize,
    option: &str,
) -> Result<OwnedSemaphorePermit, Problem> {
    match tokio::time::timeout(app.options.queue_wait, Arc::clone(turns).acquire_owned()).await {
        Ok(Ok(turn)) => Ok(turn),
        Ok(Err(_)) | Err(_) => Err(error::busy(what, limit, option)),
    }
}
