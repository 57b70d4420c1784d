//! The SQL console: a form whose address can be shared. The editor with completion is an island over its text area.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use maud::{Markup, html};
use weft_model::contract::type_name;
use weft_model::mesh::Mesh;
use weft_model::principal::Principal;

use crate::glance;
use crate::page::{self, Page, Place};
use crate::pages::{Given, Portal, given, pairs};
use crate::ports;
use crate::rows::{self, Table};
use crate::snippets::{sample_query, sql_name};
use crate::words::{cut, plural};

/// Most rows drawn in the page; the doors give all of them.
const ROWS_SHOWN: usize = 500;
/// Longest plan shown. Bytes.
const PLAN_BYTES: usize = 32 * 1024;

/// `GET /sql?q=…`, `&plan=1` for the plan in place of the answer, `&follow=1` to ask again and again.
pub(crate) async fn console(
    State(portal): State<Arc<Portal>>,
    Extension(principal): Extension<Principal>,
    headers: HeaderMap,
    query: Given,
) -> Response {
    let mesh = match portal.mesh() {
        Ok(mesh) => mesh,
        Err(refusal) => return refusal,
    };
    let query = pairs(query);
    let sql = given(&query, "q");
    let (plan, follow) = (given(&query, "plan") == "1", given(&query, "follow") == "1");
    // A link from another site fills the editor in; to run it is the reader's own decision.
    let is_foreign = headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site" || site == "same-site");
    let answer = match sql.as_str() {
        "" => html! { p.note { "The answer stands here, with the position it speaks for." } },
        _ if is_foreign => {
            html! { p { "This query came by a link from elsewhere. Run it if it is what you want to ask." } }
        }
        _ if plan => explained(&portal, &principal, &sql).await,
        _ => answer(&portal, &principal, &sql).await,
    };
    let page = Page {
        place: Place::Console,
        title: "SQL".to_owned(),
        mesh: mesh.id.to_string(),
        search: String::new(),
        scripts: &["console"],
        main: main(&mesh, &sql, (plan, follow), &answer),
    };
    page.respond(StatusCode::OK)
}

async fn answer(portal: &Portal, principal: &Principal, sql: &str) -> Markup {
    let asked = std::time::Instant::now();
    let answer = match portal.ask.sql(principal, sql).await {
        Ok(answer) => answer,
        Err(diagnostic) => return page::problem(&diagnostic),
    };
    let took = asked.elapsed();
    let table = Table::of(Vec::new(), answer.rows.get(..ROWS_SHOWN).unwrap_or(&answer.rows));
    html! {
        p.count {
            (plural(answer.rows.len(), "row")) " in " (took.as_millis()) " ms"
            @if answer.rows.len() > ROWS_SHOWN {
                ". The first " (ROWS_SHOWN) " are shown; " code { "POST /v1/sql" } " gives all"
            }
            "."
        }
        @if !table.rows.is_empty() { (rows::table("Answer", &table)) }
        p.note { (ports::position(&answer)) }
    }
}

/// How the query is going to be computed.
async fn explained(portal: &Portal, principal: &Principal, sql: &str) -> Markup {
    let answer = match portal.ask.sql(principal, &format!("EXPLAIN {sql}")).await {
        Ok(answer) => answer,
        Err(diagnostic) => return page::problem(&diagnostic),
    };
    let table = Table::of(Vec::new(), &answer.rows);
    html! {
        @for row in &table.rows {
            h3 { (table.text(row, "plan_type").unwrap_or_default()) }
            pre tabindex="0" { code { (cut(&table.text(row, "plan").unwrap_or_default(), PLAN_BYTES).0) } }
        }
    }
}

fn main(mesh: &Mesh, sql: &str, (plan, follow): (bool, bool), answer: &Markup) -> Markup {
    let first = mesh.products.values().rev().flat_map(glance::declared).next();
    let text = match (sql, first) {
        ("", Some(port)) => sample_query(&port.id),
        (sql, _) => sql.to_owned(),
    };
    html! {
        h1 { "SQL" }
        p.prose { "One query over any ports of the mesh. The address of this page is the query: share it." }
        div.console {
            form #console method="get" action="/sql" {
                label for="q" { "Query" }
                textarea id="q" name="q" rows="8" spellcheck="false" autocapitalize="off" autocomplete="off" { (text) }
                div.actions {
                    button.primary type="submit" { "Run" }
                    div.field.check { input id="plan" type="checkbox" name="plan" value="1" checked[plan]; label for="plan" { "Show the plan" } }
                    div.field.check { input id="follow" type="checkbox" name="follow" value="1" checked[follow]; label for="follow" { "Live: ask again every 2 s" } }
                    span.note { kbd { "Ctrl" } " " kbd { "Enter" } }
                }
            }
            section #answer aria-label="Answer" aria-live="polite" { (answer) }
        }
        section aria-labelledby="tables" {
            h2 #tables { "What can be asked" }
            ul.tables {
                @for port in mesh.products.values().flat_map(glance::declared) {
                    li {
                        details.fold data-table=(sql_name(&port.id)) {
                            summary { code { (sql_name(&port.id)) } }
                            ul.plain {
                                @for column in &port.schema.columns {
                                    li { code data-column { (column.name) } " " span.note { (type_name(column.column_type)) } }
                                }
                            }
                            p.note { a href=(glance::port_address(&port.id)) { "Contract" } }
                        }
                    }
                }
            }
        }
    }
}
