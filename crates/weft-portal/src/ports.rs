//! One port in full: numbers, contract, bindings, rows, live tail, snippets. And what a product refused.

use std::collections::BTreeMap;

use maud::{Markup, html};
use weft_model::json::parse_text;
use weft_model::mesh::Mesh;
use weft_model::name::PortId;
use weft_model::principal::Principal;
use weft_model::product::{OutputPort, PortKind, PortRole, Product};
use weft_model::query::{Answer, Bound, PullQuery};

use crate::ask::{Answered, Numbers};
use crate::chart::chart;
use crate::pages::{Portal, given};
use crate::rows::{self, Cell, Table};
use crate::words::{duration, encoded, grouped, rate, watermark};
use crate::{access, contract, glance, page, snippets};

/// Rows shown as a sample.
const SAMPLE_ROWS: usize = 10;
/// Refused rows shown per port.
const REFUSED_ROWS: usize = 5;
/// Starts the names of parameters that hold a key column's value, so that a column named `port` is not one.
const KEY: &str = "key.";

/// Everything about one port.
pub(crate) async fn port(
    portal: &Portal,
    principal: &Principal,
    mesh: &Mesh,
    port: &OutputPort,
    query: &BTreeMap<String, String>,
) -> Markup {
    let sample = sample(portal, principal, port, query).await;
    let addresses = portal.ask.addresses();
    let path = snippets::pull_path(&port.id);
    html! {
        article.port aria-label={ "Port " (port.id) } {
            (numbers(portal, mesh, port))
            section aria-labelledby="contract" { h3 #contract { "Contract" } (contract::contract(port)) }
            section aria-labelledby="rows" {
                h3 #rows { "Rows" }
                (selection(port, query))
                (sample)
                p.note { a href={ "/sql?q=" (encoded(&snippets::sample_query(&port.id))) } { "Ask it in SQL" } }
            }
            section aria-labelledby="live" {
                h3 #live { "Live" }
                div data-tail={ (path) "/stream" } data-from=[portal.ask.tail_token(&port.id)] data-keys=(port.key.join(" ")) {
                    p.note { "Rows as they come, as server-sent events. Without scripts: " code { "curl -N " (addresses.scheme()) "://" (addresses.http) (path) "/stream" } }
                }
            }
            section aria-labelledby="access" { h3 #access { "Access" } (access::of_port(portal, principal, port)) }
            section aria-labelledby="use" {
                h3 #use { "Use it" }
                @if let Some(keys) = addresses.keys { (access::how(&keys, None)) }
                (contract::bindings(port, &addresses))
                (snippets::snippets(port, &addresses))
            }
        }
    }
}

/// What is known of it now.
fn numbers(portal: &Portal, mesh: &Mesh, port: &OutputPort) -> Markup {
    let numbers = portal.ask.numbers();
    let known = numbers.ports.get(&port.id);
    html! {
        dl.figures #numbers data-live {
            div { dt { "Records kept" } dd { (glance::kept_word(&numbers, &port.id)) } }
            div { dt { "Throughput" } dd { (glance::rate_word(&numbers, &port.id)) } }
            div { dt { "Last record came" } dd { (glance::changed(&numbers, &port.id)) } }
            div { dt { "Event time reached" } dd { (watermark(known.and_then(|known| known.watermark))) } }
            @if let Some(bad) = known.map(|known| known.bad_records).filter(|bad| *bad > 0) {
                div { dt { "Records that are no rows of it" } dd { (grouped(bad)) } }
            }
            div { dt { "Read by" } dd { (readers(mesh, &port.id)) } }
        }
        div.charts #charts data-live {
            (chart("Throughput", &throughput(&numbers, &port.id), rate, &span(&numbers)))
            (chart("Time since the last record", &stillness(&numbers, &port.id), |ms| duration(ms as i64), &span(&numbers)))
            @for reader in mesh.products.values().filter(|product| product.inputs.iter().any(|input| input.reads == port.id)).take(4) {
                @if let Some(backlog) = numbers.backlogs.get(&(reader.id.clone(), port.id.clone())) {
                    @let backlog: Vec<Option<f64>> = backlog.iter().map(|records| records.map(|records| records as f64)).collect();
                    (chart(&format!("Not read yet by {}", reader.id), &backlog, |records| grouped(records as u64), &span(&numbers)))
                }
            }
        }
        p { a href={ "/trace?port=" (encoded(&port.id.to_string())) } { "Where is my row?" } }
    }
}

/// How long the series are.
fn span(numbers: &Numbers) -> String {
    let first = numbers.at_ms.first().copied().unwrap_or_default();
    duration(numbers.at_ms.last().copied().unwrap_or_default() - first)
}

/// Records per second between each two samples.
fn throughput(numbers: &Numbers, port: &PortId) -> Vec<Option<f64>> {
    let Some(known) = numbers.ports.get(port) else { return Vec::new() };
    let samples: Vec<(i64, Option<i64>)> = numbers.at_ms.iter().copied().zip(known.ends.iter().copied()).collect();
    let between = |pair: &[(i64, Option<i64>)]| {
        let seconds = (pair[1].0 - pair[0].0) as f64 / 1000.0;
        (seconds > 0.0).then(|| Some((pair[1].1? - pair[0].1?).max(0) as f64 / seconds))?
    };
    samples.windows(2).map(between).collect()
}

/// Milliseconds since the last record at each sample, from the first record that was seen to come.
fn stillness(numbers: &Numbers, port: &PortId) -> Vec<Option<f64>> {
    let Some(known) = numbers.ports.get(port) else { return Vec::new() };
    let (mut last, mut came) = (None, None);
    let mut still = Vec::with_capacity(known.ends.len());
    for (at, end) in numbers.at_ms.iter().zip(&known.ends) {
        if let Some(end) = end {
            if last.is_some_and(|last| last != end) {
                came = Some(*at);
            }
            last = Some(end);
        }
        still.push(came.map(|came| (*at - came) as f64));
    }
    still
}

fn readers(mesh: &Mesh, port: &PortId) -> Markup {
    let readers = mesh.products.values().filter(|product| product.inputs.iter().any(|input| input.reads == *port));
    let count = readers.count();
    html! { (crate::words::plural(count, "product")) }
}

/// The form that selects rows: a field per key column of a table, first or last rows of events.
fn selection(port: &OutputPort, query: &BTreeMap<String, String>) -> Markup {
    let is_table = port.kind == PortKind::Upsert;
    let from = given(query, "from");
    html! {
        form.filters method="get" action={ (glance::product_address(&port.id.product)) "#rows" } aria-label="Select rows" {
            input type="hidden" name="port" value=(port.id.port);
            input type="hidden" name="v" value=(port.id.major);
            @if is_table {
                @for column in &port.key {
                    @let name = format!("{KEY}{column}");
                    div.field {
                        label for=(name) { (column) }
                        input id=(name) name=(name) value=(given(query, &name)) autocomplete="off";
                    }
                }
            } @else {
                div.field {
                    label for="from" { "From" }
                    select id="from" name="from" {
                        option value="latest" { "the latest rows" }
                        option value="first" selected[from == "first"] { "the first rows" }
                    }
                }
            }
            div.field { button type="submit" { "Show" } }
        }
        @if is_table && port.key.len() > 1 {
            p.note { "All key columns for one row, or the first ones for all rows that begin so." }
        }
    }
}

async fn sample(portal: &Portal, principal: &Principal, port: &OutputPort, query: &BTreeMap<String, String>) -> Markup {
    let is_latest = port.kind == PortKind::Append && given(query, "from") != "first";
    let asked = match bounds(port, query) {
        Ok(bounds) => {
            let pull = PullQuery { bounds, rows_max: SAMPLE_ROWS, ..PullQuery::default() };
            if is_latest {
                latest(portal, principal, port, SAMPLE_ROWS).await
            } else {
                portal.ask.pull(principal, &port.id, pull).await
            }
        }
        Err(because) => return html! { p.problem role="alert" { (because) } },
    };
    let answer = match asked {
        Ok(answer) => answer,
        Err(diagnostic) => return page::problem(&diagnostic),
    };
    let columns = port.schema.columns.iter().map(|column| column.name.clone()).collect();
    let table = Table::of(columns, &answer.rows);
    html! {
        @if table.rows.is_empty() {
            p { "No rows. " @if !given(query, "port").is_empty() || port.role != PortRole::Declared { "Either none came, or none fits." } }
        } @else {
            (rows::table(&format!("Rows of {}", port.id), &table))
            p.note { (position(&answer)) @if answer.next.is_some() { " There are more." } }
        }
    }
}

/// The last rows of an event port, newest first. Offsets that transactions took for themselves hold no row, so a page may
/// have fewer than asked for.
pub(crate) async fn latest(portal: &Portal, principal: &Principal, port: &OutputPort, rows: usize) -> Answered<Answer> {
    let numbers = portal.ask.numbers();
    let Some(known) = numbers.ports.get(&port.id) else {
        return portal.ask.pull(principal, &port.id, PullQuery { rows_max: rows, ..PullQuery::default() }).await;
    };
    let partitions = known.partitions.len().max(1);
    // Twice as many offsets as rows: each transaction takes an offset for its end.
    let back = i64::try_from((2 * rows).div_ceil(partitions).max(2)).unwrap_or(i64::MAX);
    let from = known.partitions.iter().map(|(partition, kept)| (*partition, (kept.end - back).max(kept.start)));
    let pull = PullQuery { from_offsets: from.collect(), rows_max: 4 * rows, ..PullQuery::default() };
    let mut answer = portal.ask.pull(principal, &port.id, pull).await?;
    answer.rows.reverse();
    answer.rows.truncate(rows);
    answer.next = None;
    Ok(answer)
}

/// What an answer speaks for.
pub(crate) fn position(answer: &Answer) -> Markup {
    html! {
        @for (at, position) in answer.position.iter().enumerate() {
            @if at > 0 { "; " }
            "Position: " code { (position.port) } " generation " (position.generation) ", "
            @for (i, (partition, offset)) in position.offsets.iter().take(8).enumerate() {
                @if i > 0 { ", " }
                "partition " (partition) " below offset " (offset)
            }
            @if position.offsets.len() > 8 { " and " (position.offsets.len() - 8) " more" }
            ", event time " (watermark(position.watermark))
        }
        "."
    }
}

/// Key columns that the form was given.
fn bounds(port: &OutputPort, query: &BTreeMap<String, String>) -> Result<BTreeMap<String, Bound>, String> {
    let mut bounds = BTreeMap::new();
    for column in &port.key {
        let text = given(query, &format!("{KEY}{column}"));
        let Some(known) = port.schema.column(column).filter(|_| !text.is_empty() && port.kind == PortKind::Upsert)
        else {
            continue;
        };
        let scalar = parse_text(&text, known.column_type).map_err(|error| format!("Cannot read {column}: {error}."))?;
        let mut json = Vec::new();
        weft_model::json::push_scalar(&mut json, &scalar).map_err(|error| format!("Cannot read {column}: {error}."))?;
        let value = serde_json::from_slice(&json).map_err(|error| format!("Cannot read {column}: {error}."))?;
        bounds.insert(column.clone(), Bound::Equal(value));
    }
    Ok(bounds)
}

/// The last rows of `errors` and `late`, with the bytes they came as.
pub(crate) async fn refused(portal: &Portal, principal: &Principal, product: &Product) -> Markup {
    let mut parts = Vec::new();
    for port in product.outputs.iter().filter(|port| port.role != PortRole::Declared) {
        let count = portal.ask.numbers().ports.get(&port.id).map(crate::ask::PortNumbers::offsets_kept);
        let answer = if count == Some(0) {
            Ok(Answer { rows: Vec::new(), position: Vec::new(), next: None })
        } else {
            latest(portal, principal, port, REFUSED_ROWS).await
        };
        parts.push((port, answer));
    }
    if parts.is_empty() {
        return html! { p { "Weft does not run this product, so what it refuses is not known here." } };
    }
    html! {
        @for (port, answer) in &parts {
            h3 { a href=(glance::port_address(&port.id)) { (port.id.port) } }
            @match answer {
                Err(diagnostic) => (page::problem(diagnostic)),
                Ok(answer) if answer.rows.is_empty() => p { "None: " (nothing(port)) },
                Ok(answer) => (refused_rows(answer)),
            }
        }
    }
}

fn nothing(port: &OutputPort) -> &'static str {
    match port.role {
        PortRole::Late => "no row came after its window had closed.",
        PortRole::Declared | PortRole::Errors => "every row could be read and computed.",
    }
}

fn refused_rows(answer: &Answer) -> Markup {
    let table = Table::of(Vec::new(), &answer.rows);
    html! {
        ul.refused {
            @for row in &table.rows { li { (refused_row(&table, row)) } }
        }
    }
}

pub(crate) fn refused_row(table: &Table, row: &[Cell]) -> Markup {
    let text = |column: &str| table.text(row, column);
    let origin = match (text("file"), text("topic")) {
        (Some(file), _) => format!("{file}, line {}", text("line").unwrap_or_else(|| "unknown".to_owned())),
        (None, Some(topic)) => format!(
            "{topic}, partition {}, offset {}",
            text("partition").unwrap_or_else(|| "unknown".to_owned()),
            text("offset").unwrap_or_else(|| "unknown".to_owned())
        ),
        (None, None) => "an origin that was not recorded".to_owned(),
    };
    html! {
        div.refused-row {
            p { strong { (rows::folded(&text("reason").unwrap_or_default())) } }
            p.note {
                "From " (origin) @if let Some(column) = text("column") { ", column " code { (column) } }
                @if let (Some(start), Some(end)) = (text("window_start"), text("window_end")) {
                    "; window " (start) " to " (end)
                    @if let Some(passed) = text("watermark") { ", closed by watermark " (passed) }
                }
                "; at " (text("at").unwrap_or_default())
            }
            @if let Some(original) = text("raw").and_then(|raw| rows::original(&raw)) {
                details.fold {
                    summary {
                        "Original bytes (" (grouped(original.bytes as u64)) ")"
                        @if !original.is_text { ", which are no text" }
                    }
                    pre tabindex="0" { code { (original.shown) } }
                    @if original.is_cut { p.note { "The rest is left out here; the port has it." } }
                }
            }
        }
    }
}
