//! The product page: what it is for, how it is, and one of its ports in full. Which port is part of the address.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use weft_model::kind::{Diagnostic, Kind};
use weft_model::load::near::near_miss;
use weft_model::mesh::Mesh;
use weft_model::name::ProductId;
use weft_model::principal::Principal;
use weft_model::product::{Behaviour, OutputPort, PortRole, Product};

use crate::glance;
use crate::page::{self, Page, Place};
use crate::pages::{Given, Portal, given, pairs};
use crate::ports;
use crate::words::{brief, cut, prose};

/// Longest SQL shown. Bytes.
const SQL_BYTES: usize = 32 * 1024;

/// `GET /products/{domain}/{product}?port=&v=`, and what selects rows of the port.
pub(crate) async fn product(
    State(portal): State<Arc<Portal>>,
    Extension(principal): Extension<Principal>,
    Path((domain, name)): Path<(String, String)>,
    query: Given,
) -> Response {
    let mesh = match portal.mesh() {
        Ok(mesh) => mesh,
        Err(refusal) => return refusal,
    };
    let asked = format!("{domain}.{name}");
    let Some(product) = mesh.products.values().find(|product| product.id.to_string() == asked) else {
        return page::refusal(mesh.id.as_str(), &no_product(&mesh, &asked));
    };
    let query = pairs(query);
    let port = match chosen(product, &query) {
        Ok(port) => port,
        Err(diagnostic) => return page::refusal(mesh.id.as_str(), &diagnostic),
    };
    let shown = match port {
        Some(port) => ports::port(&portal, &principal, &mesh, port, &query).await,
        None => html! { p { "It has no output port." } },
    };
    let refused = ports::refused(&portal, &principal, product).await;
    let page = Page {
        place: Place::Catalogue,
        title: product.id.to_string(),
        mesh: mesh.id.to_string(),
        search: String::new(),
        scripts: &["tail"],
        main: main(&portal, &mesh, product, port, &shown, &refused),
    };
    page.respond(StatusCode::OK)
}

/// The port that the address names; the newest major of the first one where it names none.
fn chosen<'p>(
    product: &'p Product,
    query: &BTreeMap<String, String>,
) -> Result<Option<&'p OutputPort>, Box<Diagnostic>> {
    let (name, version) = (given(query, "port"), given(query, "v"));
    let name = if name.is_empty() {
        let first = glance::declared(product).next().or_else(|| product.outputs.first());
        let Some(first) = first else { return Ok(None) };
        first.id.port.to_string()
    } else {
        name
    };
    let of_name = product.outputs.iter().filter(|port| port.id.port.as_str() == name);
    let newest = of_name
        .filter(|port| version.is_empty() || port.id.major.to_string() == version)
        .max_by_key(|port| port.id.major);
    newest.map(Some).ok_or_else(|| {
        let names = product.outputs.iter().map(|port| port.id.port.as_str());
        let near = near_miss(&name, names).map_or(String::new(), |near| format!(", such as \"{near}\""));
        Box::new(Diagnostic {
            kind: Kind::NotFound,
            code: "HTTP-009",
            what: format!("cannot find port \"{}\" of product \"{}\"", cut(&name, 80).0, product.id),
            because: "the product has no port of that name and version".to_owned(),
            try_: format!("open the product and choose one of its ports{near}"),
            place: None,
        })
    })
}

fn no_product(mesh: &Mesh, asked: &str) -> Diagnostic {
    let known: Vec<String> = mesh.products.keys().map(ProductId::to_string).collect();
    let near = near_miss(asked, known.iter().map(String::as_str));
    Diagnostic {
        kind: Kind::NotFound,
        code: "HTTP-008",
        what: format!("cannot find product \"{}\"", cut(asked, 80).0),
        because: "the mesh has no product of that name".to_owned(),
        try_: near
            .map_or_else(|| "look it up in the catalogue".to_owned(), |near| format!("\"{near}\", or the catalogue")),
        place: None,
    }
}

fn main(
    portal: &Portal,
    mesh: &Mesh,
    product: &Product,
    port: Option<&OutputPort>,
    shown: &Markup,
    refused: &Markup,
) -> Markup {
    html! {
        nav.crumbs aria-label="You are here" {
            a href="/catalogue" { "Catalogue" } " / "
            a href={ "/catalogue?domain=" (product.id.domain) } { (product.id.domain) } " / " span { (product.id.product) }
        }
        (head(portal, product))
        section aria-labelledby="ports" {
            h2 #ports { "Ports" }
            nav aria-label={ "Ports of " (product.id) } {
                ul.tabs {
                    @for one in &product.outputs {
                        li {
                            a href={ (glance::port_address(&one.id)) "#ports" }
                                aria-current=[port.is_some_and(|port| port.id == one.id).then_some("true")] {
                                (one.id.port) " " span.note { "v" (one.id.major) }
                            }
                        }
                    }
                }
            }
            (shown)
        }
        section aria-labelledby="lineage" { h2 #lineage { "Lineage" } (lineage(mesh, product)) }
        section aria-labelledby="refused" { h2 #refused { "Errors and late rows" } (refused) }
        section aria-labelledby="versions" { h2 #versions { "Versions" } (versions(portal, product)) }
        (made(product))
    }
}

fn head(portal: &Portal, product: &Product) -> Markup {
    let (health, state) = glance::state_of(&*portal.ask, product);
    let detail = portal.ask.run_state(&product.id).and_then(|run| run.detail);
    html! {
        div.head {
            h1 { (product.id.product) }
            (glance::pill(health, &state))
        }
        @if let Some(detail) = detail { p.note { (brief(&detail)) } }
        (prose(&product.purpose))
        dl.facts {
            div { dt { "Owner" } dd { (brief(&product.owner)) } }
            div { dt { "Status" } dd { (glance::status_word(product.status)) } }
            div { dt { "Version" } dd { (brief(&product.version)) } }
            div { dt { "Made as" } dd { (glance::behaviour_word(&product.behaviour)) } }
            @if !product.tags.is_empty() {
                div {
                    dt { "Tags" }
                    dd { @for tag in product.tags.iter().take(20) { (glance::tag(tag)) " " } }
                }
            }
        }
    }
}

/// What it reads and who reads it.
fn lineage(mesh: &Mesh, product: &Product) -> Markup {
    let readers: Vec<(&Product, String)> = mesh
        .products
        .values()
        .flat_map(|reader| reader.inputs.iter().map(move |input| (reader, input)))
        .filter(|(_, input)| input.reads.product == product.id)
        .map(|(reader, input)| (reader, format!("{}@{}", input.reads.port, input.reads.major)))
        .collect();
    html! {
        p { a href={ "/graph?around=" (product.id) } { "See it in the graph" } }
        div.columns {
            div {
                h3 { "Reads" }
                @if product.inputs.is_empty() {
                    p {
                        @match &product.behaviour {
                            Behaviour::Source(source) => { "A file from outside the mesh: " code { (source.file) } }
                            Behaviour::Transform { .. } => "Nothing.",
                            Behaviour::External => "What others run; the mesh does not know what.",
                        }
                    }
                } @else {
                    ul.plain {
                        @for input in &product.inputs {
                            li {
                                a href=(glance::port_address(&input.reads)) { (input.reads) }
                                span.note { " as " code { (input.name) } @if input.broadcast { ", whole in every task" } }
                            }
                        }
                    }
                }
            }
            div {
                h3 { "Is read by" }
                @if readers.is_empty() {
                    p { "No product of this mesh. Consumers outside it are groups of its topics." }
                } @else {
                    ul.plain {
                        @for (reader, port) in &readers {
                            li { (glance::product_link(&reader.id)) span.note { " reads " code { (port) } } }
                        }
                    }
                }
            }
        }
    }
}

fn versions(portal: &Portal, product: &Product) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label={ "Versions of the ports of " (product.id) } {
            table {
                caption.hidden { "Versions of the ports of " (product.id) }
                thead { tr {
                    th scope="col" { "Port" } th scope="col" { "Major" } th scope="col" { "Generation" } th scope="col" { "Topic" } th scope="col" { "Contract" }
                } }
                tbody {
                    @for port in product.outputs.iter().filter(|port| port.role == PortRole::Declared) {
                        tr {
                            th scope="row" { a href=(glance::port_address(&port.id)) { (port.id.port) } }
                            td.number { (port.id.major) }
                            td.number { @match portal.ask.generation(&port.id) { Some(generation) => (generation), None => "none recorded" } }
                            td { code { (port.topic) } @if port.adopted { " " span.badge { "adopted" } } }
                            td { code { (port.contract_id) } }
                        }
                    }
                }
            }
        }
    }
}

/// How it is made: the SQL where there is one.
fn made(product: &Product) -> Markup {
    let Behaviour::Transform { sql, file } = &product.behaviour else { return html! {} };
    let (shown, is_cut) = cut(sql, SQL_BYTES);
    html! {
        section aria-labelledby="made" {
            h2 #made { "How it is made" }
            details.fold {
                summary { code { (file) } }
                pre tabindex="0" data-copy { code { (shown) @if is_cut { "\n-- the rest is left out here" } } }
            }
        }
    }
}
