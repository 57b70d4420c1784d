//! Full-text search over products: every word of a question must be found in some field, the best field counts.

use weft_model::mesh::Mesh;
use weft_model::name::ProductId;
use weft_model::product::Product;

use crate::words::cut;

/// Most words of a question that are looked at.
const WORDS_MAX: usize = 8;
/// Most bytes of one field that are searched: a book in a description finds itself by its beginning.
const FIELD_BYTES: usize = 16 * 1024;

/// A product's fields, in lower case.
struct Document {
    product: ProductId,
    fields: Vec<Field>,
}

struct Field {
    /// Where it stands, for the reader; empty where the list shows it anyway.
    label: String,
    text: String,
    weight: u32,
}

/// What can be searched of one mesh.
pub(crate) struct Index(Vec<Document>);

/// A product that answers a question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) product: ProductId,
    /// Fields that the list does not show and that had a word: `column dep_delay of port current`.
    pub(crate) found_in: Vec<String>,
    score: u32,
}

impl Index {
    /// Reads the mesh once.
    pub(crate) fn of(mesh: &Mesh) -> Self {
        Self(mesh.products.values().map(document).collect())
    }

    /// Best first; equals by name. `None` for a question without a word, which is no question.
    pub(crate) fn search(&self, question: &str) -> Option<Vec<Hit>> {
        let question = question.to_lowercase();
        let words: Vec<&str> = question.split_whitespace().take(WORDS_MAX).collect();
        if words.is_empty() {
            return None;
        }
        let mut hits: Vec<Hit> = self.0.iter().filter_map(|document| document.hit(&words)).collect();
        hits.sort_by(|a, b| b.score.cmp(&a.score).then_with(|| a.product.cmp(&b.product)));
        Some(hits)
    }
}

impl Document {
    fn hit(&self, words: &[&str]) -> Option<Hit> {
        let mut hit = Hit { product: self.product.clone(), found_in: Vec::new(), score: 0 };
        for word in words {
            let best = self.fields.iter().filter_map(|field| field.score(word).map(|score| (score, field)));
            // Of equal ones the first: fields stand in the order in which a reader would look.
            let (score, field) = best.reduce(|best, other| if other.0 > best.0 { other } else { best })?;
            hit.score += score;
            if !field.label.is_empty() && !hit.found_in.contains(&field.label) {
                hit.found_in.push(field.label.clone());
            }
        }
        Some(hit)
    }
}

impl Field {
    /// A whole word counts twice the beginning of one, and that twice a piece of one.
    fn score(&self, word: &str) -> Option<u32> {
        let mut best = None;
        for (at, _) in self.text.match_indices(word) {
            let is_inner = |text: Option<char>| text.is_some_and(char::is_alphanumeric);
            let starts = !is_inner(self.text[..at].chars().next_back());
            let ends = !is_inner(self.text[at + word.len()..].chars().next());
            let score = self.weight
                * if starts && ends {
                    4
                } else if starts {
                    2
                } else {
                    1
                };
            best = best.max(Some(score));
            if starts && ends {
                break;
            }
        }
        best
    }
}

fn document(product: &Product) -> Document {
    let mut fields = Vec::new();
    let mut field = |weight: u32, label: String, text: &str| {
        if !text.is_empty() {
            fields.push(Field { label, text: cut(text, FIELD_BYTES).0.to_lowercase(), weight });
        }
    };
    field(12, String::new(), &product.id.to_string());
    field(8, String::new(), &product.tags.join(" "));
    field(6, String::new(), &product.owner);
    field(6, String::new(), &product.purpose);
    for port in &product.outputs {
        let name = &port.id.port;
        field(6, format!("port {name}"), name.as_str());
        field(3, format!("contract of port {name}"), &format!("{} {}", port.contract_id, port.description));
        field(3, format!("topic of port {name}"), &port.topic);
        for column in &port.schema.columns {
            field(4, format!("column {} of port {name}", column.name), &column.name);
            if let Some(doc) = port.column_docs.get(&column.name) {
                field(2, format!("column {} of port {name}", column.name), doc);
            }
        }
    }
    Document { product: product.id.clone(), fields }
}
