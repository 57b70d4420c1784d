//! Refusals: what a stream cannot do, why, and where it stands.

use weft_model::kind::{Diagnostic, Kind};

/// A finding, and the word of the statement it is about.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) diagnostic: Diagnostic,
    pub(crate) word: Option<String>,
}

pub(crate) type Outcome<T> = Result<T, Box<Refusal>>;

/// A refusal without a place yet.
pub(crate) fn refuse(
    code: &'static str,
    what: impl Into<String>,
    because: impl Into<String>,
    try_: impl Into<String>,
) -> Box<Refusal> {
    Box::new(Refusal {
        diagnostic: Diagnostic {
            kind: Kind::Invalid,
            code,
            what: what.into(),
            because: because.into(),
            try_: try_.into(),
            place: None,
        },
        word: None,
    })
}

impl Refusal {
    /// Stands where this word stands in the statement.
    pub(crate) fn at(mut self: Box<Self>, word: impl Into<String>) -> Box<Self> {
        self.word.get_or_insert_with(|| word.into());
        self
    }
}

/// The name nearest to `wanted`, if one is near enough to be what was meant.
pub(crate) fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut best: Option<(usize, &str)> = None;
    for name in names {
        let distance = if name.eq_ignore_ascii_case(wanted) { 0 } else { distance(wanted, name) };
        if distance <= 1 + wanted.len() / 4 && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, name));
        }
    }
    best.map(|(_, name)| name)
}

/// Levenshtein distance of two names.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, wanted) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (column, &found) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(wanted != found);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

/// `did you mean "x"?` or the list of what there is.
pub(crate) fn suggestion<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match nearest(wanted, names.clone()) {
        Some(name) => format!("did you mean \"{name}\"?"),
        None => {
            let names: Vec<&str> = names.into_iter().collect();
            format!("there are: {}", names.join(", "))
        }
    }
}
