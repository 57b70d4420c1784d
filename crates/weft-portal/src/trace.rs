//! "Where is my row?": step by step from the port back to what it reads, and the first step that explains it.
//!
//! ```text
//!   is the row there? ─ no ─► does the product run? ─► is the row on errors or late? ─► did it arrive at the inputs?
//!                                                        ─► how far behind, and which partition holds event time back?
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use weft_model::json::parse_text;
use weft_model::mesh::Mesh;
use weft_model::name::PortId;
use weft_model::principal::Principal;
use weft_model::product::{OutputPort, PortRole, Product};
use weft_model::progress::WATERMARK_COMPLETE;
use weft_model::schema::ColumnType;

use crate::glance::{self, Health};
use crate::page::{self, Page, Place};
use crate::pages::{Given, Portal, given, pairs};
use crate::ports;
use crate::rows::{self, Table};
use crate::snippets::sql_name;
use crate::words::{grouped, watermark};

/// Rows of an answer that are shown.
const ROWS: usize = 3;
/// Refused rows that are searched, the newest first.
const REFUSED_SEARCHED: usize = 1_000;
/// Columns by which a row can be looked for.
const COLUMNS_OFFERED: usize = 6;
const WHERE: &str = "where.";

/// One step of the search, and what it found.
struct Step {
    health: Health,
    word: &'static str,
    what: String,
    more: Markup,
}

impl Step {
    fn new(health: Health, word: &'static str, what: impl Into<String>) -> Self {
        Self { health, word, what: what.into(), more: html! {} }
    }
}

/// `GET /trace?port=domain.product.port@1&where.column=value`.
pub(crate) async fn trace(
    State(portal): State<Arc<Portal>>,
    Extension(principal): Extension<Principal>,
    query: Given,
) -> Response {
    let mesh = match portal.mesh() {
        Ok(mesh) => mesh,
        Err(refusal) => return refusal,
    };
    let query = pairs(query);
    let asked = given(&query, "port");
    let found = chosen(&mesh, &asked);
    let steps = match found {
        Some((product, port)) => Some(search(&portal, &principal, &mesh, product, port, &query).await),
        None => None,
    };
    let page = Page {
        place: Place::Operations,
        title: "Where is my row?".to_owned(),
        mesh: mesh.id.to_string(),
        search: String::new(),
        scripts: &[],
        main: html! {
            h1 { "Where is my row?" }
            p.prose { "Why a port has no output, or not this row: there, in error, late, not arrived, behind, waiting for event time, or left out by the product's own SQL." }
            (form(&mesh, found.map(|(_, port)| port), &query))
            @if let Some(steps) = steps { (said(&steps)) }
        },
    };
    page.respond(StatusCode::OK)
}

fn chosen<'m>(mesh: &'m Mesh, asked: &str) -> Option<(&'m Product, &'m OutputPort)> {
    for product in mesh.products.values() {
        if let Some(port) = glance::declared(product).find(|port| port.id.to_string() == asked) {
            return Some((product, port));
        }
    }
    None
}

fn form(mesh: &Mesh, chosen: Option<&OutputPort>, query: &BTreeMap<String, String>) -> Markup {
    html! {
        form.filters action="/trace" method="get" aria-label="Choose a port and a row" {
            div.field {
                label for="port" { "Port" }
                select id="port" name="port" {
                    @for port in mesh.products.values().flat_map(glance::declared) {
                        option value=(port.id) selected[chosen.is_some_and(|chosen| chosen.id == port.id)] { (port.id) }
                    }
                }
            }
            @if let Some(port) = chosen {
                @for column in offered(port) {
                    @let name = format!("{WHERE}{column}");
                    div.field { label for=(name) { (column) } input id=(name) name=(name) value=(given(query, &name)) autocomplete="off"; }
                }
            }
            div.field { button.primary type="submit" { @if chosen.is_some() { "Look" } @else { "Choose" } } }
        }
        @if chosen.is_some() { p.note { "Leave the columns empty to ask about the port as a whole." } }
    }
}

/// Key columns, then event time.
fn offered(port: &OutputPort) -> Vec<&str> {
    let mut columns: Vec<&str> = port.key.iter().map(String::as_str).collect();
    if let Some(event_time) = port.event_time.as_deref().filter(|name| !columns.contains(name)) {
        columns.push(event_time);
    }
    columns.truncate(COLUMNS_OFFERED);
    columns
}

/// `"column" = value` for each column given that a port has; `Err` for a value that is none of its type.
fn conditions(port: &OutputPort, wanted: &BTreeMap<&str, String>) -> Result<Vec<String>, String> {
    let mut conditions = Vec::new();
    for (name, text) in wanted {
        let Some(column) = port.schema.column(name) else { continue };
        parse_text(text, column.column_type).map_err(|error| format!("cannot read {name}: {error}"))?;
        let value = match column.column_type {
            ColumnType::Int64 | ColumnType::Float64 | ColumnType::Boolean => text.clone(),
            ColumnType::String
            | ColumnType::Decimal { .. }
            | ColumnType::Timestamp
            | ColumnType::Date
            | ColumnType::Bytes => {
                format!("'{}'", text.replace('\'', "''"))
            }
        };
        conditions.push(format!("\"{}\" = {value}", name.replace('"', "\"\"")));
    }
    Ok(conditions)
}

async fn search(
    portal: &Portal,
    principal: &Principal,
    mesh: &Mesh,
    product: &Product,
    port: &OutputPort,
    query: &BTreeMap<String, String>,
) -> Vec<Step> {
    let wanted: BTreeMap<&str, String> = offered(port)
        .into_iter()
        .map(|column| (column, given(query, &format!("{WHERE}{column}"))))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let mut steps = Vec::new();
    let is_there = look(portal, principal, port, &wanted, "On the port", &mut steps).await;
    let (health, state) = glance::state_of(&*portal.ask, product);
    let detail = portal.ask.run_state(&product.id).and_then(|run| run.detail).unwrap_or_default();
    let word = match health {
        Health::Bad => "the reason",
        Health::Watch => "may be the reason",
        Health::Good | Health::Unknown => "not the reason",
    };
    steps.push(Step::new(health, word, format!("Product {} is {state}. {detail}", product.id)));
    if is_there && !wanted.is_empty() {
        return steps;
    }
    for refused in product.outputs.iter().filter(|port| port.role != PortRole::Declared) {
        steps.push(on_refused(portal, principal, refused, &wanted).await);
    }
    for input in &product.inputs {
        if let Some(read) = mesh.port(&input.reads) {
            let arrived = look(portal, principal, read, &wanted, "At its input", &mut steps).await;
            steps.push(behind(portal, product, &input.reads));
            if !arrived {
                steps.push(waiting(portal, &input.reads));
            }
        }
    }
    steps.push(event_time(portal, product));
    steps
}

/// Is the row on a port? Columns that the port does not have say nothing about it.
async fn look(
    portal: &Portal,
    principal: &Principal,
    port: &OutputPort,
    wanted: &BTreeMap<&str, String>,
    place: &str,
    steps: &mut Vec<Step>,
) -> bool {
    let conditions = match conditions(port, wanted) {
        Ok(conditions) => conditions,
        Err(because) => {
            steps.push(Step::new(Health::Unknown, "not asked", format!("{place} {}: {because}.", port.id)));
            return false;
        }
    };
    if conditions.is_empty() && !wanted.is_empty() {
        let what = format!("{place} {}: it has none of these columns, so it cannot be asked for this row.", port.id);
        steps.push(Step::new(Health::Unknown, "not asked", what));
        return true;
    }
    let filter = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    let sql = format!("SELECT * FROM {}{filter} LIMIT {ROWS}", sql_name(&port.id));
    match portal.ask.sql(principal, &sql).await {
        Err(diagnostic) => {
            let what = format!("{place} {}: it could not be asked.", port.id);
            steps.push(Step { more: page::problem(&diagnostic), ..Step::new(Health::Unknown, "not known", what) });
            false
        }
        Ok(answer) if answer.rows.is_empty() => {
            let what = if wanted.is_empty() { "there is no row at all" } else { "there is no such row" };
            let step = Step::new(Health::Watch, "not there", format!("{place} {}: {what}.", port.id));
            steps.push(Step { more: html! { p.note { (ports::position(&answer)) } }, ..step });
            false
        }
        Ok(answer) => {
            let table = Table::of(port.schema.columns.iter().map(|column| column.name.clone()).collect(), &answer.rows);
            let what = if wanted.is_empty() { "it has rows, such as these" } else { "here it is" };
            let more =
                html! { (rows::table(&format!("Rows of {}", port.id), &table)) p.note { (ports::position(&answer)) } };
            steps.push(Step { more, ..Step::new(Health::Good, "there", format!("{place} {}: {what}.", port.id)) });
            true
        }
    }
}

/// Is the row among the refused ones? They are known by their bytes only, so each value must stand somewhere in them.
async fn on_refused(
    portal: &Portal,
    principal: &Principal,
    port: &OutputPort,
    wanted: &BTreeMap<&str, String>,
) -> Step {
    let answer = match ports::latest(portal, principal, port, REFUSED_SEARCHED).await {
        Ok(answer) => answer,
        Err(diagnostic) => {
            let what = format!("Port {} could not be asked.", port.id);
            return Step { more: page::problem(&diagnostic), ..Step::new(Health::Unknown, "not known", what) };
        }
    };
    let table = Table::of(Vec::new(), &answer.rows);
    let fits = |row: &&Vec<rows::Cell>| {
        let raw = table.text(row, "raw").and_then(|raw| rows::original(&raw)).map(|raw| raw.shown).unwrap_or_default();
        wanted.values().all(|value| raw.contains(value.as_str()))
    };
    let fitting: Vec<&Vec<rows::Cell>> = table.rows.iter().filter(fits).collect();
    let name = &port.id.port;
    match fitting.first() {
        None => Step::new(Health::Good, "not the reason", format!("Not among the rows on port {name}.")),
        Some(row) => {
            let reason = table.text(row, "reason").unwrap_or_default();
            let what = if wanted.is_empty() {
                format!("{} rows lie on port {name}; the newest: {reason}", grouped(fitting.len() as u64))
            } else {
                format!("A row with these values lies on port {name}: {reason}")
            };
            Step { more: ports::refused_row(&table, row), ..Step::new(Health::Bad, "the reason", what) }
        }
    }
}

/// How far the product is behind this input.
fn behind(portal: &Portal, product: &Product, port: &PortId) -> Step {
    match portal.ask.numbers().backlog(&product.id, port) {
        Some(0) => Step::new(Health::Good, "not the reason", format!("{} has read everything of {port}.", product.id)),
        Some(backlog) => {
            let what = format!("{} has not read {} records of {port} yet.", product.id, grouped(backlog));
            Step::new(Health::Watch, "may be the reason", what)
        }
        None => Step::new(Health::Unknown, "not known", format!("How far {} is in {port} is not known.", product.id)),
    }
}

/// Will more come to a port?
fn waiting(portal: &Portal, port: &PortId) -> Step {
    let watermark_ms = portal.ask.numbers().ports.get(port).and_then(|numbers| numbers.watermark);
    if watermark_ms == Some(WATERMARK_COMPLETE) {
        return Step::new(Health::Bad, "the reason", format!("{port} is complete: the row did not come and will not."));
    }
    let what = format!("It may still come to {port}, whose event time has reached {}.", watermark(watermark_ms));
    Step::new(Health::Watch, "may be the reason", what)
}

/// Which partition holds event time back: a window closes when the slowest one has passed its end.
fn event_time(portal: &Portal, product: &Product) -> Step {
    let numbers = portal.ask.numbers();
    let partitions = product.inputs.iter().filter_map(|input| Some((&input.reads, numbers.ports.get(&input.reads)?)));
    let times =
        partitions.flat_map(|(port, known)| known.partitions.iter().map(move |(at, kept)| (kept.watermark, port, *at)));
    match times.min_by_key(|(time, ..)| time.unwrap_or(i64::MIN)) {
        None => Step::new(Health::Unknown, "not known", "It reads no port, so no event time holds it back."),
        Some((Some(WATERMARK_COMPLETE), ..)) => {
            let what = "Every partition of its inputs is complete: every window has closed. A row that arrived, and is neither \
                        on errors nor late, was left out by the product's own SQL: its filter, its join, or its grouping.";
            Step::new(Health::Watch, "what remains", what)
        }
        Some((time, port, partition)) => {
            let what = format!(
                "The slowest partition is {partition} of {port}, whose event time has reached {}. Windows that end later are open: \
                 EMIT FINAL gives their rows when it has passed. A row of an earlier window that arrived was left out by the \
                 product's own SQL.",
                watermark(time)
            );
            Step::new(Health::Watch, "may be the reason", what)
        }
    }
}

fn said(steps: &[Step]) -> Markup {
    html! {
        ol.steps {
            @for step in steps {
                li {
                    p { (glance::pill(step.health, step.word)) " " (crate::words::brief(&step.what)) }
                    (step.more)
                }
            }
        }
    }
}
