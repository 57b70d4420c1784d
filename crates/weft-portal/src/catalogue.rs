//! The catalogue: what there is, searched and filtered. Every state of it is an address.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use weft_model::mesh::Mesh;
use weft_model::product::{Product, Status};

use crate::glance;
use crate::page::{Page, Place};
use crate::pages::{Given, Portal, given, pairs};
use crate::words::{brief, cut, encoded, grouped, plural};

/// Products on one page.
const PER_PAGE: usize = 50;
/// Tags offered as a filter; the rest is found by searching.
const TAGS_OFFERED: usize = 200;
/// Longest question that is looked at. Bytes.
const QUESTION_BYTES: usize = 200;

/// What was asked.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Filters {
    q: String,
    domain: String,
    owner: String,
    status: String,
    tag: String,
    page: usize,
}

impl Filters {
    fn of(query: &BTreeMap<String, String>) -> Self {
        Self {
            q: cut(&given(query, "q"), QUESTION_BYTES).0.to_owned(),
            domain: given(query, "domain"),
            owner: given(query, "owner"),
            status: given(query, "status"),
            tag: given(query, "tag"),
            page: given(query, "page").parse().unwrap_or(1).clamp(1, 100_000),
        }
    }

    fn pass(&self, product: &Product) -> bool {
        let fits = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
        fits(&self.domain, product.id.domain.as_str())
            && fits(&self.owner, &product.owner)
            && fits(&self.status, glance::status_word(product.status))
            && (self.tag.is_empty() || product.tags.contains(&self.tag))
    }

    fn is_empty(&self) -> bool {
        *self == Self { page: self.page, ..Self::default() }
    }

    fn address(&self, page: usize) -> String {
        let mut address = "/catalogue".to_owned();
        let page = if page > 1 { page.to_string() } else { String::new() };
        let all = [
            ("q", &self.q),
            ("domain", &self.domain),
            ("owner", &self.owner),
            ("status", &self.status),
            ("tag", &self.tag),
            ("page", &page),
        ];
        for (name, value) in all {
            if !value.is_empty() {
                let join = if address.contains('?') { '&' } else { '?' };
                address.push_str(&format!("{join}{name}={}", encoded(value)));
            }
        }
        address
    }
}

/// A product in the list, and where a word of the question was found in it.
struct Found<'m> {
    product: &'m Product,
    found_in: Vec<String>,
}

/// `GET /catalogue?q=&domain=&owner=&status=&tag=&page=`.
pub(crate) async fn catalogue(State(portal): State<Arc<Portal>>, query: Given) -> Response {
    let mesh = match portal.mesh() {
        Ok(mesh) => mesh,
        Err(refusal) => return refusal,
    };
    let filters = Filters::of(&pairs(query));
    let found = find(&portal, &mesh, &filters);
    let title = if filters.q.is_empty() { "Catalogue".to_owned() } else { format!("{} · Catalogue", filters.q) };
    let page = Page {
        place: Place::Catalogue,
        title,
        mesh: mesh.id.to_string(),
        search: filters.q.clone(),
        scripts: &[],
        main: main(&portal, &mesh, &filters, &found),
    };
    page.respond(StatusCode::OK)
}

fn find<'m>(portal: &Portal, mesh: &'m Arc<Mesh>, filters: &Filters) -> Vec<Found<'m>> {
    let found: Vec<Found<'m>> = match portal.index(mesh).search(&filters.q) {
        Some(hits) => {
            let mut found = Vec::with_capacity(hits.len());
            for hit in hits {
                if let Some(product) = mesh.products.get(&hit.product) {
                    found.push(Found { product, found_in: hit.found_in });
                }
            }
            found
        }
        None => mesh.products.values().map(|product| Found { product, found_in: Vec::new() }).collect(),
    };
    found.into_iter().filter(|found| filters.pass(found.product)).collect()
}

fn main(portal: &Portal, mesh: &Mesh, filters: &Filters, found: &[Found<'_>]) -> Markup {
    let pages = found.len().div_ceil(PER_PAGE).max(1);
    let page = filters.page.min(pages);
    let shown = found.iter().skip((page - 1) * PER_PAGE).take(PER_PAGE);
    html! {
        h1 { "Catalogue" }
        (form(mesh, filters))
        p.count role="status" {
            @if found.is_empty() {
                "No product fits. "
                @if !filters.is_empty() { a href="/catalogue" { "Show all " (plural(mesh.products.len(), "product")) } }
            } @else {
                (plural(found.len(), "product"))
                @if pages > 1 { ", page " (page) " of " (pages) }
                @if !filters.is_empty() { " · " a href="/catalogue" { "clear" } }
            }
        }
        ul.results {
            @for found in shown { (result(portal, found)) }
        }
        @if pages > 1 {
            nav.pages aria-label="Pages of the catalogue" {
                @if page > 1 { a rel="prev" href=(filters.address(page - 1)) { "← Page " (page - 1) } }
                @if page < pages { a rel="next" href=(filters.address(page + 1)) { "Page " (page + 1) " →" } }
            }
        }
    }
}

fn form(mesh: &Mesh, filters: &Filters) -> Markup {
    let owners: BTreeSet<&str> = mesh.products.values().map(|product| product.owner.as_str()).collect();
    let tags: BTreeSet<&str> = mesh.products.values().flat_map(|product| &product.tags).map(String::as_str).collect();
    let statuses: BTreeSet<&str> = mesh.products.values().map(|product| glance::status_word(product.status)).collect();
    let statuses = [Status::Proposed, Status::Draft, Status::Active, Status::Deprecated, Status::Retired]
        .map(glance::status_word)
        .into_iter()
        .filter(move |status| statuses.contains(status));
    html! {
        form.filters action="/catalogue" method="get" aria-label="Filter the catalogue" data-auto {
            div.field.wide {
                label for="q" { "Words" }
                input id="q" type="search" name="q" value=(filters.q) maxlength=(QUESTION_BYTES) autocomplete="off";
            }
            (choice("domain", "Domain", mesh.domains.keys().map(weft_model::name::DomainName::as_str), &filters.domain))
            (choice("owner", "Owner", owners.into_iter(), &filters.owner))
            (choice("status", "Status", statuses, &filters.status))
            @if !tags.is_empty() { (choice("tag", "Tag", tags.into_iter().take(TAGS_OFFERED), &filters.tag)) }
            div.field { button type="submit" { "Show" } }
        }
    }
}

fn choice<'t>(name: &str, label: &str, values: impl Iterator<Item = &'t str>, chosen: &str) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) }
            select id=(name) name=(name) {
                option value="" { "any" }
                @for value in values.filter(|value| value.len() <= glance::CHOICE_BYTES) { option value=(value) selected[value == chosen] { (value) } }
            }
        }
    }
}

fn result(portal: &Portal, found: &Found<'_>) -> Markup {
    let product = found.product;
    let (health, state) = glance::state_of(&*portal.ask, product);
    let numbers = portal.ask.numbers();
    html! {
        li.result {
            div.head {
                h2 {
                    a href=(glance::product_address(&product.id)) {
                        span.domain { (product.id.domain) span.sep { "/" } } (product.id.product)
                    }
                }
                (glance::pill(health, &state))
            }
            p { (brief(&product.purpose)) }
            ul.ports aria-label={ "Ports of " (product.id) } {
                @for port in glance::declared(product) {
                    li {
                        a href=(glance::port_address(&port.id)) { (port.id.port) }
                        " " span.note {
                            "v" (port.id.major) " · " (glance::kind_word(port.kind)) " · "
                            @match numbers.ports.get(&port.id) {
                                Some(numbers) => { "up to " (grouped(numbers.offsets_kept())) " records" }
                                None => { "size not known yet" }
                            }
                        }
                    }
                }
            }
            p.note {
                (brief(&product.owner)) " · " (glance::status_word(product.status)) " · "
                (glance::behaviour_word(&product.behaviour))
                @for tag in product.tags.iter().take(8) {
                    " " (glance::tag(tag))
                }
            }
            @if !found.found_in.is_empty() { p.note { "Found in " (found.found_in.join(", ")) } }
        }
    }
}
