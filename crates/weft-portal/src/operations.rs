//! Operations: what the engine does, task by task; and the topics of the Kafka beneath.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

use crate::ask::{ProductTasks, Topics};
use crate::glance::{self, Health};
use crate::page::{self, Page, Place};
use crate::pages::{Given, Portal, given, pairs};
use crate::words::{brief, encoded, grouped, plural, rate, watermark};

/// Tasks shown of one product; the rest are counted.
const TASKS_SHOWN: usize = 50;
/// Topics on one page: each is asked for its offsets.
const TOPICS_PER_PAGE: usize = 50;
/// Partitions shown of one topic.
const PARTITIONS_SHOWN: usize = 12;

/// Tabs of this part of the portal.
pub(crate) fn tabs(here: &str) -> Markup {
    let all = [
        ("/operations", "Tasks"),
        ("/operations/nodes", "Nodes"),
        ("/operations/groups", "Consumer groups"),
        ("/operations/topics", "Topics"),
        ("/trace", "Where is my row?"),
    ];
    html! {
        h1 { "Operations" }
        nav aria-label="Operations" {
            ul.tabs { @for (address, name) in all { li { a href=(address) aria-current=[(address == here).then_some("page")] { (name) } } } }
        }
    }
}

/// `GET /operations`: tasks, partitions, restore progress.
pub(crate) async fn tasks(State(portal): State<Arc<Portal>>) -> Response {
    let mesh = match portal.mesh() {
        Ok(mesh) => mesh,
        Err(refusal) => return refusal,
    };
    let products = portal.ask.tasks();
    let main = html! {
        (tabs("/operations"))
        div #tasks data-live {
            p.count { (plural(products.len(), "product")) " with " (plural(products.iter().map(|one| one.tasks.len()).sum(), "task")) " on this node." }
            @for product in &products { (product_tasks(product)) }
            @if products.is_empty() { p { "This mesh has no product that the engine runs." } }
        }
    };
    page("Tasks", mesh.id.as_str(), main)
}

pub(crate) fn page(title: &str, mesh: &str, main: Markup) -> Response {
    let page = Page {
        place: Place::Operations,
        title: title.to_owned(),
        mesh: mesh.to_owned(),
        search: String::new(),
        scripts: &[],
        main,
    };
    page.respond(StatusCode::OK)
}

fn product_tasks(product: &ProductTasks) -> Markup {
    let name = format!("Tasks of {}", product.product);
    html! {
        section {
            div.head {
                h2 { (glance::product_link(&product.product)) }
                (glance::pill(Health::of_state(&product.state), &product.state))
            }
            @if let Some(detail) = &product.detail { p.note { (brief(detail)) } }
            dl.facts {
                div { dt { "Generation" } dd { (product.generation) } }
                div { dt { "Records in" } dd { (rate(product.records_in_per_second)) } }
                div { dt { "Commits" } dd { (grouped(product.commits)) } }
                div {
                    dt { "Restored from changelogs" }
                    dd {
                        @if let Some((done, total)) = product.restoring { (grouped(done)) " of " (grouped(total)) " records, now" }
                        @else { (grouped(product.restored_records)) " records" }
                    }
                }
                div { dt { "Started over" } dd { (grouped(product.start_overs)) " times" } }
            }
            @if product.tasks.is_empty() {
                p { "No task yet: it joins its group, or another node has them." }
            } @else {
                div.scroll tabindex="0" role="region" aria-label=(name) {
                    table {
                        caption.hidden { (name) }
                        thead { tr {
                            th scope="col" { "Task" } th scope="col" { "Event time reached" } th.number scope="col" { "Commit" }
                            th.number scope="col" { "Waiting in it" } th scope="col" { "Next offset by input and partition" }
                        } }
                        tbody {
                            @for task in product.tasks.iter().take(TASKS_SHOWN) {
                                tr {
                                    th scope="row" { "part " (task.subtopology) ", partition " (task.partition) }
                                    td { (watermark(Some(task.watermark))) }
                                    td.number { (grouped(task.commit)) }
                                    td.number { (grouped(task.waiting.0 as u64)) " records, " (grouped(task.waiting.1 as u64)) " bytes" }
                                    td {
                                        @for (at, (input, partition, offset)) in task.positions.iter().enumerate() {
                                            @if at > 0 { ", " }
                                            code { (input) } "/" (partition) ": " (offset)
                                        }
                                        @if task.positions.is_empty() { "none" }
                                    }
                                }
                            }
                        }
                    }
                }
                @if product.tasks.len() > TASKS_SHOWN { p.note { "and " (product.tasks.len() - TASKS_SHOWN) " more tasks" } }
            }
        }
    }
}

/// `GET /operations/topics?q=&page=`.
pub(crate) async fn topics(State(portal): State<Arc<Portal>>, query: Given) -> Response {
    let mesh = match portal.mesh() {
        Ok(mesh) => mesh,
        Err(refusal) => return refusal,
    };
    let query = pairs(query);
    let words = given(&query, "q");
    let at: usize = given(&query, "page").parse().unwrap_or(1).clamp(1, 1_000_000);
    let found = portal.ask.topics(&words, (at - 1) * TOPICS_PER_PAGE, TOPICS_PER_PAGE).await;
    let main = html! {
        (tabs("/operations/topics"))
        form.filters action="/operations/topics" method="get" aria-label="Find topics" {
            div.field.wide { label for="q" { "Name holds" } input id="q" type="search" name="q" value=(words) autocomplete="off"; }
            div.field { button type="submit" { "Show" } }
        }
        @match &found {
            Err(diagnostic) => (page::problem(diagnostic)),
            Ok(found) => (topic_table(found, &words, at)),
        }
    };
    page("Topics", mesh.id.as_str(), main)
}

fn topic_table(found: &Topics, words: &str, at: usize) -> Markup {
    let pages = found.fitting.div_ceil(TOPICS_PER_PAGE).max(1);
    let address = |page: usize| format!("/operations/topics?q={}&page={page}", encoded(words));
    html! {
        p.count {
            (grouped(found.fitting as u64)) " of " (plural(found.count, "topic")) ", " (plural(found.partitions, "partition")) " on "
            (plural(found.brokers.len(), "broker")) " (" (found.brokers.join("; ")) ")"
            @if pages > 1 { ", page " (at) " of " (pages) }
        }
        div.scroll tabindex="0" role="region" aria-label="Topics" {
            table {
                caption.hidden { "Topics" }
                thead { tr { th scope="col" { "Topic" } th.number scope="col" { "Partitions" } th scope="col" { "First and next offset by partition" } } }
                tbody {
                    @for (name, partitions) in &found.topics {
                        tr {
                            th scope="row" { code { (name) } }
                            td.number { (partitions.len()) }
                            td {
                                @for (at, (partition, kept)) in partitions.iter().take(PARTITIONS_SHOWN).enumerate() {
                                    @if at > 0 { ", " }
                                    (partition) ": "
                                    @match kept { Some(kept) => { (kept.start) "–" (kept.end) } None => "not known" }
                                }
                                @if partitions.len() > PARTITIONS_SHOWN { " and " (partitions.len() - PARTITIONS_SHOWN) " more" }
                            }
                        }
                    }
                }
            }
        }
        @if pages > 1 {
            nav.pages aria-label="Pages of topics" {
                @if at > 1 { a rel="prev" href=(address(at - 1)) { "← Page " (at - 1) } }
                @if at < pages { a rel="next" href=(address(at + 1)) { "Page " (at + 1) " →" } }
            }
        }
    }
}
