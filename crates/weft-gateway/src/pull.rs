//! `GET …/ports/{port}/v{major}`: one page of rows.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{OriginalUri, RawQuery, State};
use axum::response::Response;
use weft_model::principal::Principal;

use crate::answer;
use crate::error::Problem;
use crate::openapi::AnswerShape;
use crate::params;
use crate::products::{self, PortCaptures};
use crate::routes::App;

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
    Ok(answer::response(&app.asker.pull_in_turn(&principal, "http", &port.id, query).await?))
}
