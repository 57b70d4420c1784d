//! Small things that many pages show: how a product does, its status, its numbers, links.

use maud::{Markup, html};
use weft_model::name::{PortId, ProductId};
use weft_model::product::{Behaviour, PortKind, PortRole, Product, Status};

use crate::ask::{Ask, Numbers};
use crate::words::{brief, duration, encoded, grouped, rate};

/// Rates are of this long. Milliseconds.
pub(crate) const RATE_WINDOW_MS: i64 = 10_000;

/// How well something does; the words beside the colour say it as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Health {
    Good,
    Unknown,
    Watch,
    Bad,
}

impl Health {
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Unknown => "unknown",
            Self::Watch => "watch",
            Self::Bad => "bad",
        }
    }

    /// By the word that the engine or a source says.
    pub(crate) fn of_state(state: &str) -> Self {
        match state {
            "running" | "complete" | "replaying" | "reading" | "drained" => Self::Good,
            "starting" | "restoring" | "retrying" | "starting over" => Self::Watch,
            "failed" | "fenced" | "stopped" => Self::Bad,
            _ => Self::Unknown,
        }
    }
}

/// How a product does: a word and its colour.
pub(crate) fn state_of(ask: &dyn Ask, product: &Product) -> (Health, String) {
    match ask.run_state(&product.id) {
        Some(run) => (Health::of_state(&run.state), run.state),
        None if matches!(product.behaviour, Behaviour::External) => (Health::Unknown, "run by others".to_owned()),
        None => (Health::Watch, "not running yet".to_owned()),
    }
}

pub(crate) fn pill(health: Health, word: &str) -> Markup {
    html! { span class={ "pill " (health.class()) } { (word) } }
}

pub(crate) fn status_word(status: Status) -> &'static str {
    match status {
        Status::Proposed => "proposed",
        Status::Draft => "draft",
        Status::Active => "active",
        Status::Deprecated => "deprecated",
        Status::Retired => "retired",
    }
}

pub(crate) fn kind_word(kind: PortKind) -> &'static str {
    match kind {
        PortKind::Append => "events",
        PortKind::Upsert => "table",
    }
}

pub(crate) fn behaviour_word(behaviour: &Behaviour) -> &'static str {
    match behaviour {
        Behaviour::Source(_) => "source",
        Behaviour::Transform { .. } => "transform",
        Behaviour::External => "external",
    }
}

pub(crate) fn product_address(id: &ProductId) -> String {
    format!("/products/{}/{}", id.domain, id.product)
}

pub(crate) fn port_address(id: &PortId) -> String {
    format!("{}?port={}&v={}", product_address(&id.product), id.port, id.major)
}

pub(crate) fn product_link(id: &ProductId) -> Markup {
    html! { a href=(product_address(id)) { (id) } }
}

/// `declared` ports in the order of the descriptor.
pub(crate) fn declared(product: &Product) -> impl Iterator<Item = &weft_model::product::OutputPort> {
    product.outputs.iter().filter(|port| port.role == PortRole::Declared)
}

/// Longest text that can be chosen as a filter: it stands whole in an address. Bytes.
pub(crate) const CHOICE_BYTES: usize = 200;

/// A tag, and the way to all products that have it.
pub(crate) fn tag(tag: &str) -> Markup {
    html! {
        @if tag.len() <= CHOICE_BYTES { a.tag href={ "/catalogue?tag=" (encoded(tag)) } { (tag) } } @else { span.tag { (brief(tag)) } }
    }
}

/// When the last record came, in words.
pub(crate) fn changed(numbers: &Numbers, port: &PortId) -> String {
    let now = numbers.at_ms.last().copied().unwrap_or_default();
    match numbers.changed_at_ms(port) {
        None => "not known yet".to_owned(),
        Some(Ok(at)) => format!("{} ago", duration(now - at)),
        Some(Err(since)) => format!("more than {} ago", duration(now - since)),
    }
}

pub(crate) fn rate_word(numbers: &Numbers, port: &PortId) -> String {
    numbers.rate(port, RATE_WINDOW_MS).map_or_else(|| "not known yet".to_owned(), rate)
}

pub(crate) fn kept_word(numbers: &Numbers, port: &PortId) -> String {
    numbers
        .ports
        .get(port)
        .map_or_else(|| "not known yet".to_owned(), |numbers| format!("up to {}", grouped(numbers.offsets_kept())))
}
