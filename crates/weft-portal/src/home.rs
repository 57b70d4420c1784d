//! The first page: what this mesh is, for somebody who has never seen one; and how it is, for everybody else.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use weft_model::mesh::Mesh;
use weft_model::product::{Behaviour, PortKind, PortRole, Product};

use crate::glance::{self, Health};
use crate::page::{Page, Place};
use crate::pages::Portal;
use crate::words::{brief, plural};

/// Products listed under a domain before "and so many more".
const SHOWN_PER_DOMAIN: usize = 6;
/// Unwell products named before "and so many more".
const UNWELL_SHOWN: usize = 8;

/// `GET /`.
pub(crate) async fn home(State(portal): State<Arc<Portal>>) -> Response {
    let mesh = match portal.mesh() {
        Ok(mesh) => mesh,
        Err(refusal) => return refusal,
    };
    let page = Page {
        place: Place::Home,
        title: "Start".to_owned(),
        mesh: mesh.id.to_string(),
        search: String::new(),
        scripts: &[],
        main: main(&portal, &mesh),
    };
    page.respond(StatusCode::OK)
}

fn main(portal: &Portal, mesh: &Mesh) -> Markup {
    let ports: usize = mesh.products.values().map(|product| glance::declared(product).count()).sum();
    html! {
        section.hero {
            h1 { "The data of mesh " (mesh.id) ", from the teams that know it" }
            p.lead {
                (plural(mesh.domains.len(), "domain")) " · "
                a href="/catalogue" { (plural(mesh.products.len(), "data product")) } " · "
                (plural(ports, "port")) " to read from"
            }
            (health(portal, mesh))
        }
        section aria-labelledby="what" {
            h2 #what { "What is a data mesh?" }
            p.prose {
                "No central team collects everybody's data here. Each team publishes what it knows best as a "
                strong { "data product" } ": with an owner, a purpose, a contract, and ports that others read. "
                "Four ideas hold it together; each one is on this mesh, not only in a book."
            }
            (ideas(mesh))
        }
        @if let Some(picture) = crate::graph::glimpse(&*portal.ask, mesh) {
            section aria-labelledby="flows" {
                h2 #flows { "How the data flows" }
                (picture)
            }
        }
        section aria-labelledby="domains" {
            h2 #domains { "Domains" }
            div.cards {
                @for domain in mesh.domains.values() {
                    @let products: Vec<&Product> =
                        mesh.products.values().filter(|product| product.id.domain == domain.name).collect();
                    section.card aria-labelledby={ "domain-" (domain.name) } {
                        h3 id={ "domain-" (domain.name) } {
                            a href={ "/catalogue?domain=" (domain.name) } { (domain.name) }
                        }
                        p { (brief(&domain.description)) }
                        p.note { "Owner: " (brief(&domain.owner)) }
                        ul.plain {
                            @for product in products.iter().take(SHOWN_PER_DOMAIN) {
                                @let (health, state) = glance::state_of(&*portal.ask, product);
                                li {
                                    a href=(glance::product_address(&product.id)) { (product.id.product) }
                                    " " (glance::pill(health, &state))
                                }
                            }
                            @if products.len() > SHOWN_PER_DOMAIN {
                                li {
                                    a href={ "/catalogue?domain=" (domain.name) } {
                                        "and " (products.len() - SHOWN_PER_DOMAIN) " more"
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// One line that says whether anything needs somebody.
fn health(portal: &Portal, mesh: &Mesh) -> Markup {
    let states = mesh.products.values().map(|product| (product, glance::state_of(&*portal.ask, product)));
    let unwell: Vec<(&Product, (Health, String))> =
        states.filter(|(_, (health, _))| *health >= Health::Watch).collect();
    html! {
        @if unwell.is_empty() {
            p { (glance::pill(Health::Good, "all well")) " Every product that Weft runs is doing what it should." }
        } @else {
            p { (plural(unwell.len(), "product")) " to look at:" }
            ul.plain {
                @for (product, (health, state)) in unwell.iter().take(UNWELL_SHOWN) {
                    li { (glance::product_link(&product.id)) " " (glance::pill(*health, state)) }
                }
                @if unwell.len() > UNWELL_SHOWN { li { "and " (unwell.len() - UNWELL_SHOWN) " more" } }
            }
        }
    }
}

/// The four principles, each shown by something that runs here.
fn ideas(mesh: &Mesh) -> Markup {
    let derived = mesh.products.values().find(|product| {
        matches!(product.behaviour, Behaviour::Transform { .. })
            && glance::declared(product).any(|port| port.kind == PortKind::Upsert)
    });
    let shown = derived.or_else(|| mesh.products.values().next());
    let sources = mesh.products.values().filter(|product| matches!(product.behaviour, Behaviour::Source(_))).count();
    let guarded = mesh
        .products
        .values()
        .filter(|product| product.outputs.iter().any(|port| port.role == PortRole::Errors))
        .count();
    html! {
        ol.ideas {
            li {
                h3 { "Domains own their data" }
                @if let Some(domain) = shown.and_then(|product| mesh.domains.get(&product.id.domain)) {
                    p {
                        "Team " strong { (brief(&domain.owner)) } " answers for domain "
                        a href={ "/catalogue?domain=" (domain.name) } { (domain.name) }
                        ": its descriptors, its SQL, its promises. Nobody else can change them."
                    }
                }
            }
            li {
                h3 { "Data is a product" }
                @if let Some(product) = shown {
                    p {
                        (glance::product_link(&product.id)) " says what it is for, what each column means, and keeps to it: "
                        "its contract has " (plural(columns(product), "column")) ". "
                        "Look, try a query, copy a snippet; that is all it takes to use it."
                    }
                }
            }
            li {
                h3 { "The platform serves itself" }
                p {
                    (plural(sources, "source")) " and " (plural(mesh.products.len() - sources, "derived product"))
                    " run from one folder of files. A team edits its own files; a change that would break a promise is refused."
                }
            }
            li {
                h3 { "Rules are computed, not negotiated" }
                p {
                    "Every record is checked against its contract as it is written. " (plural(guarded, "product"))
                    " keep what did not fit on a port named " code { "errors" } " and what came too late on "
                    code { "late" } ", with the original bytes. Nothing is dropped."
                }
            }
        }
    }
}

fn columns(product: &Product) -> usize {
    glance::declared(product).next().map_or(0, |port| port.schema.columns.len())
}
