//! Reading our own files: every key is known or it is an error that names the near miss.

use super::findings::{Findings, place};
use super::near;
use crate::yaml::{Node, Value};

/// A map of one of our files whose keys have been checked.
pub(crate) struct Fields<'a> {
    pub(crate) file: &'a str,
    pub(crate) node: &'a Node,
    /// What the map is, for messages: `weft.yaml`, `csv`.
    name: &'a str,
}

/// Checks that `node` is a map of `known` keys. An empty file or value counts as an empty map.
pub(crate) fn fields<'a>(
    file: &'a str,
    node: &'a Node,
    name: &'a str,
    known: &[&str],
    findings: &mut Findings,
) -> Option<Fields<'a>> {
    match node.value {
        Value::Map(_) | Value::Null => {}
        _ => {
            wrong_type(file, node, name, &format!("a map with keys {}", known.join(", ")), findings);
            return None;
        }
    }
    for entry in node.entries() {
        if !known.contains(&entry.key.as_str()) {
            findings.add(
                "MODEL-005",
                place(file, entry.line),
                format!("unknown key \"{}\" in {name}", entry.key),
                format!("{name} has the keys {}", known.join(", ")),
                near::suggest(&entry.key, known),
            );
        }
    }
    Some(Fields { file, node, name })
}

/// Reports a value of a wrong type.
pub(crate) fn wrong_type(file: &str, node: &Node, name: &str, expected: &str, findings: &mut Findings) {
    let quote = match node.value {
        Value::Int(_) | Value::Float(_) | Value::Bool(_) if expected.starts_with("text") => {
            "put it in quotes".to_owned()
        }
        _ => format!("write {expected}"),
    };
    findings.add(
        "MODEL-006",
        place(file, node.line),
        format!("\"{name}\" has a value of the wrong type"),
        format!("it is {}, expected {expected}", node.describe()),
        quote,
    );
}

impl<'a> Fields<'a> {
    /// The value of a key that may be missing; an explicit null counts as missing.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Node> {
        self.node.get(key).filter(|node| node.value != Value::Null)
    }

    pub(crate) fn required(&self, key: &str, example: &str, findings: &mut Findings) -> Option<&'a Node> {
        let found = self.get(key);
        if found.is_none() {
            missing(self.file, self.node.line, key, self.name, example, findings);
        }
        found
    }

    pub(crate) fn text(&self, key: &str, findings: &mut Findings) -> Option<&'a str> {
        let node = self.get(key)?;
        if node.text().is_none() {
            wrong_type(self.file, node, key, "text", findings);
        }
        node.text()
    }

    pub(crate) fn required_text(&self, key: &str, example: &str, findings: &mut Findings) -> Option<&'a str> {
        self.required(key, example, findings)?;
        self.text(key, findings)
    }

    /// A whole number from `min` to `max`.
    pub(crate) fn number(&self, key: &str, min: u64, max: u64, findings: &mut Findings) -> Option<u64> {
        let node = self.get(key)?;
        let value = node.int().and_then(|value| u64::try_from(value).ok());
        match value {
            Some(value) if (min..=max).contains(&value) => Some(value),
            _ => {
                wrong_type(self.file, node, key, &format!("a whole number from {min} to {max}"), findings);
                None
            }
        }
    }

    pub(crate) fn items(&self, key: &str, findings: &mut Findings) -> &'a [Node] {
        let Some(node) = self.get(key) else { return &[] };
        if !matches!(node.value, Value::List(_)) {
            wrong_type(self.file, node, key, "a list", findings);
        }
        node.items()
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(&self, key: &str, words: &[(&str, T)], findings: &mut Findings) -> Option<T> {
        let node = self.get(key)?;
        let found = node.text().and_then(|text| words.iter().find(|(word, _)| *word == text));
        if found.is_none() {
            let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            findings.add(
                "MODEL-006",
                place(self.file, node.line),
                format!("\"{key}\" has an unknown value"),
                format!("it is {}, expected one of {}", node.describe(), names.join(", ")),
                near::suggest(node.text().unwrap_or_default(), &names),
            );
        }
        found.map(|(_, value)| *value)
    }

    /// Line of a key's value, or of the map.
    pub(crate) fn line(&self, key: &str) -> u32 {
        self.node.get(key).map_or(self.node.line, |node| node.line)
    }
}

/// Reports a key that must be there.
pub(crate) fn missing(file: &str, line: u32, key: &str, name: &str, example: &str, findings: &mut Findings) {
    findings.add(
        "MODEL-007",
        place(file, line),
        format!("{name} lacks key \"{key}\""),
        "it is required".to_owned(),
        format!("add `{key}: {example}`"),
    );
}
