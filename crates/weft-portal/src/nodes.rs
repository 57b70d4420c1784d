//! Nodes: which there are, who runs what, and how far behind it is.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use crate::ask::{GroupsSeen, NodeOn, NodeSeen};
use crate::glance::{self, Health};
use crate::operations::{page, tabs};
use crate::pages::Portal;
use crate::words::{brief, grouped, plural, rate};

/// `GET /operations/nodes`.
pub(crate) async fn nodes(State(portal): State<Arc<Portal>>) -> Response {
    let mesh = match portal.mesh() {
        Ok(mesh) => mesh,
        Err(refusal) => return refusal,
    };
    let nodes = portal.ask.nodes();
    let groups = portal.ask.groups();
    let main = html! {
        (tabs("/operations/nodes"))
        div #nodes data-live {
            p.count { (plural(nodes.len(), "node")) " spoke of itself in the last minutes." }
            @for node in &nodes { (one(node, mesh.id.as_str(), groups.as_deref())) }
        }
    };
    page("Nodes", mesh.id.as_str(), main)
}

fn one(node: &NodeSeen, mesh: &str, groups: Option<&GroupsSeen>) -> Markup {
    let health = match (node.lives, node.leaving) {
        (Some(true), false) => (Health::Good, "up"),
        (Some(true), true) => (Health::Unknown, "leaving"),
        (Some(false), true) => (Health::Unknown, "left"),
        (Some(false), false) => (Health::Bad, "gone"),
        (None, _) => (Health::Unknown, "not looked at yet"),
    };
    let name = format!("What runs on {}", node.name);
    html! {
        section {
            div.head {
                h2 { (node.name) @if node.is_this { " " span.note { "this one" } } }
                (glance::pill(health.0, health.1))
            }
            dl.facts {
                div { dt { "HTTP" } dd { a href={ "http://" (node.http) "/" } { (node.http) } } }
                div { dt { "Process" } dd { (brief(&node.process)) } }
                div { dt { "Weft" } dd { (node.version) } }
                div { dt { "Revision" } dd { (grouped(node.revision)) } }
                div { dt { "Sources" } dd { @if node.leads { "runs them" } @else { "no" } } }
                div { dt { "Desired state" } dd { @if node.writes { "writes it from its folder" } @else { "follows" } } }
            }
            @if node.lives != Some(false) && !node.runs.is_empty() {
                div.scroll tabindex="0" role="region" aria-label=(name) {
                    table {
                        caption.hidden { (name) }
                        thead { tr {
                            th scope="col" { "Product" } th scope="col" { "State" } th.number scope="col" { "Tasks" }
                            th.number scope="col" { "Records in" } th.number scope="col" { "Behind" } th scope="col" { "Restored" }
                        } }
                        tbody { @for on in &node.runs { (row(on, behind(node, on, mesh, groups))) } }
                    }
                }
            }
        }
    }
}

fn row(on: &NodeOn, behind: Option<u64>) -> Markup {
    html! {
        tr {
            th scope="row" { (glance::product_link(&on.product)) }
            td {
                (glance::pill(Health::of_state(&on.state), &on.state))
                @if let Some(detail) = &on.detail { " " span.note { (brief(detail)) } }
            }
            td.number { @if let Some(tasks) = on.tasks { (grouped(tasks as u64)) } @else { "source" } }
            td.number { @if on.tasks.is_some() { (rate(on.records_in_per_second)) } }
            td.number { @if let Some(behind) = behind { (grouped(behind)) " records" } }
            td { @if let Some((done, total)) = on.restoring { (grouped(done)) " of " (grouped(total)) " records" } }
        }
    }
}

/// Records that wait for this node's member of the product's group.
fn behind(node: &NodeSeen, on: &NodeOn, mesh: &str, groups: Option<&GroupsSeen>) -> Option<u64> {
    let generation = on.generation?;
    let id = format!("__weft.{mesh}.{}.g{generation}", on.product);
    let group = groups?.groups.iter().find(|group| group.id == id)?;
    let client = format!("weft-engine/{}", node.name);
    Some(group.members.iter().filter(|member| member.client_id == client).map(|member| member.lag).sum())
}
