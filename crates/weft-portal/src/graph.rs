//! The mesh as a picture: domains as regions, products with their ports as boxes, what flows between them as lines.
//!
//! It is SVG from the server (ADR 13): every box and port is a link that the keyboard reaches and a screen reader reads, and
//! the same facts stand in a table below. A mesh of many products opens as a picture of its domains.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use weft_model::mesh::Mesh;
use weft_model::name::{DomainName, PortId, ProductId};
use weft_model::product::Product;

use crate::ask::{Ask, Numbers};
use crate::glance::{self, Health};
use crate::layout::{BOX_HEAD, BOX_LINE, BOX_WIDTH, Item, Layout, layout};
use crate::page::{Page, Place};
use crate::pages::{Given, Portal, given, pairs};
use crate::words::{brief, grouped, plural, rate};

/// A mesh of more products opens as its domains.
const PRODUCTS_AT_ONCE: usize = 60;
/// Letters of a name that fit into a box.
const NAME_LETTERS: usize = 24;
/// Backlogs from here on are something to look at. Records.
const BACKLOG_WATCHED: u64 = 10_000;

/// What a picture shows.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Scope {
    /// Domains, with what flows between them.
    Domains,
    /// Every product.
    Products,
    /// The products of one domain, and those they read from or are read by.
    Domain(String),
    /// A product with everything before and after it.
    Around(ProductId),
}

/// A box of the picture.
struct Node {
    lane: String,
    name: String,
    address: String,
    /// What a screen reader says of it.
    label: String,
    health: Health,
    word: String,
    ports: Vec<Port>,
}

struct Port {
    name: String,
    address: String,
    rate: String,
}

/// A line, from a port (or the head) of one box to another box.
struct Edge {
    from: usize,
    port: Option<usize>,
    to: usize,
    /// For the table: what is read, by whom.
    what: Markup,
    by: Markup,
    rate: Option<f64>,
    backlog: Option<u64>,
}

/// What flows from one domain to another.
#[derive(Default)]
struct Between<'m> {
    ports: BTreeSet<&'m PortId>,
    backlog: Option<u64>,
}

/// Boxes and lines.
#[derive(Default)]
struct Picture {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
}

/// `GET /graph?view=domains|products`, `?domain=`, `?around=domain.product`.
pub(crate) async fn graph(State(portal): State<Arc<Portal>>, query: Given) -> Response {
    let mesh = match portal.mesh() {
        Ok(mesh) => mesh,
        Err(refusal) => return refusal,
    };
    let query = pairs(query);
    let scope = scope(&mesh, &given(&query, "view"), &given(&query, "domain"), &given(&query, "around"));
    let page = Page {
        place: Place::Graph,
        title: "Graph".to_owned(),
        mesh: mesh.id.to_string(),
        search: String::new(),
        scripts: &["graph"],
        main: main(&*portal.ask, &mesh, &scope),
    };
    page.respond(StatusCode::OK)
}

fn scope(mesh: &Mesh, view: &str, domain: &str, around: &str) -> Scope {
    if let Some(product) = mesh.products.keys().find(|id| id.to_string() == around) {
        return Scope::Around(product.clone());
    }
    if mesh.domains.keys().any(|name| name.as_str() == domain) {
        return Scope::Domain(domain.to_owned());
    }
    match view {
        "domains" => Scope::Domains,
        "products" => Scope::Products,
        _ if mesh.products.len() > PRODUCTS_AT_ONCE => Scope::Domains,
        _ => Scope::Products,
    }
}

fn main(ask: &dyn Ask, mesh: &Mesh, scope: &Scope) -> Markup {
    let picture = picture(ask, mesh, scope);
    let tab = |is: bool| is.then_some("page");
    html! {
        h1 { "Mesh graph" }
        p.prose { (words(mesh, scope)) }
        nav aria-label="What the graph shows" {
            ul.tabs {
                li { a href="/graph?view=domains" aria-current=[tab(*scope == Scope::Domains)] { "Domains" } }
                li { a href="/graph?view=products" aria-current=[tab(*scope == Scope::Products)] { "Products" } }
                @match scope {
                    Scope::Domain(domain) => li { a href={ "/graph?domain=" (domain) } aria-current="page" { "Domain " (domain) } },
                    Scope::Around(id) => li { a href={ "/graph?around=" (id) } aria-current="page" { "Around " (id) } },
                    Scope::Domains | Scope::Products => {}
                }
            }
        }
        form.filters action="/graph" method="get" aria-label="Show a part of the graph" data-auto {
            div.field {
                label for="domain" { "One domain and its neighbours" }
                select id="domain" name="domain" {
                    option value="" { "choose" }
                    @for name in mesh.domains.keys() { option value=(name) selected[*scope == Scope::Domain(name.to_string())] { (name) } }
                }
            }
            div.field { button type="submit" { "Show" } }
        }
        a.skip-graph href="#as-table" { "Skip the picture" }
        div.graph data-zoom tabindex="0" role="region" aria-label="Picture of the mesh, scrollable" {
            div.canvas #picture data-live { (drawn(&picture)) }
        }
        (legend())
        section aria-labelledby="as-table" {
            h2 #as-table { "The same as a table" }
            div #flows data-live { (table(&picture)) }
        }
    }
}

/// The whole picture for another page, where the mesh is small enough to be shown at a glance.
pub(crate) fn glimpse(ask: &dyn Ask, mesh: &Mesh) -> Option<Markup> {
    (mesh.products.len() <= PRODUCTS_AT_ONCE / 2).then(|| {
        let picture = picture(ask, mesh, &Scope::Products);
        html! {
            div.graph tabindex="0" role="region" aria-label="Picture of the mesh, scrollable" {
                div.canvas #picture data-live { (drawn(&picture)) }
            }
            (legend())
        }
    })
}

fn words(mesh: &Mesh, scope: &Scope) -> String {
    match scope {
        Scope::Domains => format!(
            "{} and what flows between them. Choose one to see its products.",
            plural(mesh.domains.len(), "domain")
        ),
        Scope::Products => format!(
            "{} in the regions of their domains. From left to right: from the sources to what is made of them.",
            plural(mesh.products.len(), "product")
        ),
        Scope::Domain(domain) => format!("The products of domain {domain}, what they read and who reads them."),
        Scope::Around(id) => format!("Everything that {id} is made of, and everything made of it."),
    }
}

fn picture(ask: &dyn Ask, mesh: &Mesh, scope: &Scope) -> Picture {
    let numbers = ask.numbers();
    match scope {
        Scope::Domains => domains(ask, mesh, &numbers),
        Scope::Products => products(ask, &numbers, &mesh.products.values().collect::<Vec<_>>()),
        Scope::Domain(domain) => {
            let is_in = |product: &Product| product.id.domain.as_str() == domain;
            let mut shown: BTreeSet<&ProductId> = BTreeSet::new();
            for product in mesh.products.values() {
                let reads = product.inputs.iter().map(|input| &input.reads.product);
                if is_in(product) {
                    shown.insert(&product.id);
                    shown.extend(reads);
                } else if reads.clone().any(|read| read.domain.as_str() == domain) {
                    shown.insert(&product.id);
                }
            }
            let shown: Vec<&Product> = shown.into_iter().filter_map(|id| mesh.products.get(id)).collect();
            products(ask, &numbers, &shown)
        }
        Scope::Around(id) => {
            let mut shown = BTreeSet::from([id]);
            reach(mesh, id, &mut shown, |product, at| {
                if product.id == *at {
                    product.inputs.iter().map(|input| &input.reads.product).collect()
                } else {
                    Vec::new()
                }
            });
            let mut after = BTreeSet::from([id]);
            reach(mesh, id, &mut after, |product, at| {
                if product.inputs.iter().any(|input| input.reads.product == *at) {
                    vec![&product.id]
                } else {
                    Vec::new()
                }
            });
            shown.extend(after);
            let shown: Vec<&Product> = shown.into_iter().filter_map(|id| mesh.products.get(id)).collect();
            products(ask, &numbers, &shown)
        }
    }
}

/// Everything that can be reached from a product by `next`.
fn reach<'m>(
    mesh: &'m Mesh,
    from: &'m ProductId,
    seen: &mut BTreeSet<&'m ProductId>,
    next: impl Fn(&'m Product, &ProductId) -> Vec<&'m ProductId>,
) {
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        for id in mesh.products.values().flat_map(|product| next(product, at)) {
            if seen.insert(id) {
                open.push(id);
            }
        }
    }
}

fn products(ask: &dyn Ask, numbers: &Numbers, shown: &[&Product]) -> Picture {
    let places: BTreeMap<&ProductId, usize> = shown.iter().enumerate().map(|(at, product)| (&product.id, at)).collect();
    let mut picture = Picture::default();
    for product in shown {
        let (health, word) = glance::state_of(ask, product);
        let ports: Vec<Port> = glance::declared(product)
            .map(|port| Port {
                name: port.id.port.to_string(),
                address: glance::port_address(&port.id),
                rate: numbers.rate(&port.id, glance::RATE_WINDOW_MS).map_or_else(|| "–".to_owned(), rate),
            })
            .collect();
        picture.nodes.push(Node {
            lane: product.id.domain.to_string(),
            name: product.id.product.to_string(),
            address: glance::product_address(&product.id),
            label: format!("{}, {word}: {}", product.id, brief(&product.purpose)),
            health,
            word,
            ports,
        });
    }
    for (to, reader) in shown.iter().enumerate() {
        let read: BTreeSet<&PortId> = reader.inputs.iter().map(|input| &input.reads).collect();
        for port in read {
            let Some(from) = places.get(&port.product).copied() else { continue };
            let line = glance::declared(shown[from]).position(|one| one.id == *port);
            picture.edges.push(Edge {
                from,
                port: line,
                to,
                what: html! { a href=(glance::port_address(port)) { (port) } },
                by: glance::product_link(&reader.id),
                rate: numbers.rate(port, glance::RATE_WINDOW_MS),
                backlog: numbers.backlog(&reader.id, port),
            });
        }
    }
    picture
}

fn domains(ask: &dyn Ask, mesh: &Mesh, numbers: &Numbers) -> Picture {
    let places: BTreeMap<&DomainName, usize> = mesh.domains.keys().enumerate().map(|(at, name)| (name, at)).collect();
    let mut picture = Picture::default();
    for domain in mesh.domains.values() {
        let products: Vec<&Product> =
            mesh.products.values().filter(|product| product.id.domain == domain.name).collect();
        let worst = products.iter().map(|product| glance::state_of(ask, product)).max_by_key(|(health, _)| *health);
        let (health, word) = worst.unwrap_or_else(|| (Health::Unknown, "empty".to_owned()));
        let count = plural(products.len(), "product");
        picture.nodes.push(Node {
            lane: String::new(),
            name: domain.name.to_string(),
            address: format!("/graph?domain={}", domain.name),
            label: format!("Domain {}, {count}, {word}: {}", domain.name, brief(&domain.description)),
            health,
            word: match health {
                Health::Good => format!("{count} · well"),
                Health::Unknown => count,
                Health::Watch | Health::Bad => format!("{count} · {word}"),
            },
            ports: Vec::new(),
        });
    }
    let mut flows: BTreeMap<(usize, usize), Between<'_>> = BTreeMap::new();
    for reader in mesh.products.values() {
        for input in &reader.inputs {
            let (Some(from), Some(to)) = (places.get(&input.reads.product.domain), places.get(&reader.id.domain))
            else {
                continue;
            };
            if from != to {
                let Between { ports, backlog } = flows.entry((*from, *to)).or_default();
                ports.insert(&input.reads);
                *backlog =
                    numbers.backlog(&reader.id, &input.reads).map(|more| more + backlog.unwrap_or(0)).or(*backlog);
            }
        }
    }
    for ((from, to), Between { ports, backlog }) in flows {
        let rates: Vec<f64> = ports.iter().filter_map(|port| numbers.rate(port, glance::RATE_WINDOW_MS)).collect();
        let name = |at: usize| picture.nodes[at].name.clone();
        let (what, by) = (name(from), name(to));
        picture.edges.push(Edge {
            from,
            port: None,
            to,
            what: html! { a href={ "/graph?domain=" (what) } { (what) } " (" (plural(ports.len(), "port")) ")" },
            by: html! { a href={ "/graph?domain=" (by) } { (by) } },
            rate: (!rates.is_empty()).then(|| rates.iter().sum()),
            backlog,
        });
    }
    picture
}

fn placed(picture: &Picture) -> Layout {
    let mut items: Vec<Item> = picture
        .nodes
        .iter()
        .map(|node| Item { lane: node.lane.clone(), lines: node.ports.len(), reads: Vec::new() })
        .collect();
    for edge in &picture.edges {
        items[edge.to].reads.push(edge.from);
    }
    layout(&items)
}

fn drawn(picture: &Picture) -> Markup {
    if picture.nodes.is_empty() {
        return html! { p { "Nothing to draw." } };
    }
    let layout = placed(picture);
    html! {
        svg.mesh xmlns="http://www.w3.org/2000/svg" width=(layout.width) height=(layout.height)
            viewBox=(format!("0 0 {} {}", layout.width, layout.height)) role="group" aria-label="Mesh graph" {
            defs {
                marker #arrow viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto" {
                    path.tip d="M0 0 L8 4 L0 8 z" {}
                }
            }
            @for lane in layout.lanes.iter().filter(|lane| !lane.name.is_empty()) {
                rect.lane x="4" y=(lane.y) width=(layout.width - 8) height=(lane.height) rx="10" {}
                a href={ "/graph?domain=" (lane.name) } {
                    title { "Domain " (lane.name) }
                    text.lane-name x="20" y=(lane.y + 22) { (lane.name) }
                }
            }
            g aria-hidden="true" { @for edge in &picture.edges { (line(picture, &layout, edge)) } }
            @for (node, spot) in picture.nodes.iter().zip(&layout.spots) {
                g transform=(format!("translate({} {})", spot.x, spot.y)) {
                    rect class={ "box " (node.health.class()) } width=(BOX_WIDTH) height=(spot.height) rx="8" {}
                    a href=(node.address) {
                        title { (node.label) }
                        rect.hit width=(BOX_WIDTH) height=(BOX_HEAD) rx="8" {}
                        circle class={ "dot " (node.health.class()) } cx="16" cy="17" r="4.5" {}
                        text.name x="28" y="21" { (shortened(&node.name)) }
                        text.word x="28" y="37" { (shortened(&node.word)) }
                    }
                    @for (at, port) in node.ports.iter().enumerate() {
                        @let y = BOX_HEAD + BOX_LINE * i32::try_from(at).unwrap_or(0);
                        a href=(port.address) {
                            title { "Port " (port.name) }
                            rect.hit x="4" y=(y) width=(BOX_WIDTH - 8) height=(BOX_LINE) rx="4" {}
                            text.port-name x="28" y=(y + 14) { (shortened(&port.name)) }
                            text.rate x=(BOX_WIDTH - 14) y=(y + 14) text-anchor="end" { (port.rate) }
                        }
                    }
                }
            }
            g.labels aria-hidden="true" { @for edge in &picture.edges { (line_label(picture, &layout, edge)) } }
        }
    }
}

/// Ends of a line: the right side of a port, the left side of the reader.
fn ends(layout: &Layout, edge: &Edge) -> ((i32, i32), (i32, i32)) {
    let (from, to) = (layout.spots[edge.from], layout.spots[edge.to]);
    let row = edge.port.map_or(BOX_HEAD / 2, |at| BOX_HEAD + BOX_LINE * i32::try_from(at).unwrap_or(0) + BOX_LINE / 2);
    ((from.x + BOX_WIDTH, from.y + row), (to.x, to.y + BOX_HEAD / 2))
}

fn line(picture: &Picture, layout: &Layout, edge: &Edge) -> Markup {
    let ((x1, y1), (x2, y2)) = ends(layout, edge);
    let bend = ((x2 - x1).abs() / 2).clamp(44, 160);
    let path = format!("M{x1} {y1} C{} {y1} {} {y2} {} {y2}", x1 + bend, x2 - bend, x2 - 3);
    let flows = edge.rate.is_some_and(|rate| rate >= 0.05);
    let health = if edge.backlog.is_some_and(|backlog| backlog >= BACKLOG_WATCHED) {
        Health::Watch
    } else {
        picture.nodes[edge.to].health
    };
    html! { path class={ "flow " (health.class()) @if flows { " moving" } } d=(path) marker-end="url(#arrow)" {} }
}

/// What flows, near where it arrives: lines part at the reader, and every reader has its own backlog.
fn line_label(picture: &Picture, layout: &Layout, edge: &Edge) -> Markup {
    let mut words = Vec::new();
    // A port's own rate stands in its box.
    if let Some(per_second) = edge.rate.filter(|rate| *rate >= 0.05 && picture.nodes[edge.from].ports.is_empty()) {
        words.push(rate(per_second));
    }
    if let Some(backlog) = edge.backlog.filter(|backlog| *backlog > 0) {
        words.push(format!("{} behind", grouped(backlog)));
    }
    let (_, (x, y)) = ends(layout, edge);
    html! { @if !words.is_empty() { text.flow-label x=(x - 10) y=(y - 7) text-anchor="end" { (words.join(" · ")) } } }
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME_LETTERS {
        return name.to_owned();
    }
    format!("{}…", name.chars().take(NAME_LETTERS - 1).collect::<String>())
}

fn legend() -> Markup {
    html! {
        p.note.legend {
            (glance::pill(Health::Good, "well")) " " (glance::pill(Health::Watch, "starting, retrying or far behind")) " "
            (glance::pill(Health::Bad, "failed or stopped")) " " (glance::pill(Health::Unknown, "run by others"))
            " Rates are records per second over ten seconds."
        }
    }
}

fn table(picture: &Picture) -> Markup {
    let known = |edge: &Edge| edge.backlog.map_or_else(|| "not known".to_owned(), grouped);
    html! {
        div.scroll tabindex="0" role="region" aria-label="What flows" {
            table {
                caption.hidden { "What flows from where to where" }
                thead { tr { th scope="col" { "From" } th scope="col" { "Read by" } th.number scope="col" { "Rate" } th.number scope="col" { "Records not read yet" } } }
                tbody {
                    @for edge in &picture.edges {
                        tr {
                            td { (edge.what) } td { (edge.by) }
                            td.number { @match edge.rate { Some(per_second) => (rate(per_second)), None => "not known" } }
                            td.number { (known(edge)) }
                        }
                    }
                }
            }
        }
    }
}
