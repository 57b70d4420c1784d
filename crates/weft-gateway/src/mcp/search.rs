//! Search of the catalogue: every word must be somewhere; where it is decides how far up.

use serde_json::{Value, json};
use weft_model::mesh::Mesh;
use weft_model::product::Product;

use crate::facts;

/// Characters of a purpose or description in a list of findings.
const SHOWN_CHARS: usize = 300;

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Search<'q> {
    pub(super) words: &'q str,
    pub(super) domain: Option<&'q str>,
    pub(super) tag: Option<&'q str>,
}

impl Search<'_> {
    /// The best `limit` products; equals in the order of their names.
    pub(super) fn run(&self, mesh: &Mesh, limit: usize) -> Value {
        let words: Vec<String> = self.words.split_whitespace().map(str::to_lowercase).collect();
        let mut found: Vec<(u32, &Product)> = Vec::new();
        for product in mesh.products.values() {
            let in_domain = self.domain.is_none_or(|domain| product.id.domain.as_str() == domain);
            let tagged = self.tag.is_none_or(|tag| product.tags.iter().any(|one| one == tag));
            if in_domain
                && tagged
                && let Some(score) = score(product, &words)
            {
                found.push((score, product));
            }
        }
        found.sort_by(|(left, _), (right, _)| right.cmp(left));
        let shown: Vec<Value> = found.iter().take(limit).map(|(_, product)| summary(product)).collect();
        json!({ "found": found.len(), "products": shown })
    }
}

/// A word in a name counts more than one in a sentence; `None` if one of the words is nowhere.
fn score(product: &Product, words: &[String]) -> Option<u32> {
    let mut places: Vec<(u32, String)> = vec![
        (8, product.id.to_string().to_lowercase()),
        (3, product.purpose.to_lowercase()),
        (2, product.owner.to_lowercase()),
    ];
    places.extend(product.tags.iter().map(|tag| (4, tag.to_lowercase())));
    for port in &product.outputs {
        if !facts::has_contract(port) {
            continue;
        }
        places.push((4, port.id.port.as_str().to_lowercase()));
        places.push((2, port.description.to_lowercase()));
        places.extend(port.schema.columns.iter().map(|column| (2, column.name.to_lowercase())));
        places.extend(port.column_docs.values().map(|doc| (1, doc.to_lowercase())));
    }
    let mut score = 0;
    for word in words {
        score += places.iter().filter(|(_, text)| text.contains(word)).map(|(weight, _)| *weight).max()?;
    }
    Some(score)
}

fn summary(product: &Product) -> Value {
    let ports: Vec<Value> = product
        .outputs
        .iter()
        .map(|port| {
            let id = &port.id;
            json!({
                "id": id.to_string(),
                "sql": format!("\"{}\".\"{}\".\"{}\"", id.product.domain, id.product.product, id.port),
                "kind": facts::kind_word(port.kind),
                "description": shown(&port.description),
            })
        })
        .collect();
    json!({
        "id": product.id.to_string(), "owner": product.owner, "status": facts::status_word(product.status),
        "purpose": shown(&product.purpose), "tags": product.tags, "ports": ports,
        "href": facts::product_path(&product.id),
    })
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
