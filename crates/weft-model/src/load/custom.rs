//! What is ours inside standard files: `customProperties`, so that other tools still accept them.

use std::collections::BTreeMap;

use super::findings::{Findings, place};
use super::near;
use crate::yaml::{Node, Value};

/// Our custom properties of one object, by name, with the node of each value.
pub(crate) type Custom<'a> = BTreeMap<&'a str, &'a Node>;

/// Reads the properties of `ours`; others belong to other tools and are left alone, unless they look like a slip of
/// one of ours.
pub(crate) fn custom<'a>(file: &str, object: &'a Node, ours: &[&str], findings: &mut Findings) -> Custom<'a> {
    let mut found: Custom<'a> = BTreeMap::new();
    let list = object.get("customProperties").map(Node::items).unwrap_or_default();
    for item in list {
        let (Some(name), Some(value)) = (item.get("property"), item.get("value")) else { continue };
        let Some(text) = name.text() else { continue };
        if ours.contains(&text) {
            if found.insert(text, value).is_some() {
                findings.add(
                    "MODEL-012",
                    place(file, name.line),
                    format!("custom property \"{text}\" stands twice"),
                    "only one value can hold",
                    "keep one of them",
                );
            }
            continue;
        }
        let foreign = item.get("vendor").and_then(Node::text).is_some_and(|vendor| vendor != "weft");
        if foreign {
            continue;
        }
        if let Some(near) = near::near_miss(text, ours.iter().copied()) {
            findings.add(
                "MODEL-012",
                place(file, name.line),
                format!("custom property \"{text}\" is not one of Weft's, but nearly"),
                format!("Weft reads {} here", ours.join(", ")),
                format!("did you mean \"{near}\"? If it belongs to another tool, say so with `vendor:`"),
            );
        }
    }
    found
}

/// Text value of a custom property.
pub(crate) fn text<'a>(file: &str, custom: &Custom<'a>, name: &str, findings: &mut Findings) -> Option<&'a str> {
    let node = *custom.get(name)?;
    if node.text().is_none() {
        super::strict::wrong_type(file, node, name, "text", findings);
    }
    node.text()
}

/// Boolean value of a custom property.
pub(crate) fn flag(file: &str, custom: &Custom<'_>, name: &str, findings: &mut Findings) -> Option<bool> {
    let node = *custom.get(name)?;
    if node.bool().is_none() {
        super::strict::wrong_type(file, node, name, "true or false", findings);
    }
    node.bool()
}

/// Whole-number value of a custom property.
pub(crate) fn number(
    file: &str,
    custom: &Custom<'_>,
    name: &str,
    range: std::ops::RangeInclusive<i64>,
    findings: &mut Findings,
) -> Option<i64> {
    let node = *custom.get(name)?;
    match node.value {
        Value::Int(value) if range.contains(&value) => Some(value),
        _ => {
            let expected = format!("a whole number from {} to {}", range.start(), range.end());
            super::strict::wrong_type(file, node, name, &expected, findings);
            None
        }
    }
}

/// One of a few words as the value of a custom property.
pub(crate) fn word<T: Copy>(
    file: &str,
    custom: &Custom<'_>,
    name: &str,
    words: &[(&str, T)],
    findings: &mut Findings,
) -> Option<T> {
    let node = *custom.get(name)?;
    let found = node.text().and_then(|text| words.iter().find(|(word, _)| *word == text));
    if found.is_none() {
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        findings.add(
            "MODEL-006",
            place(file, node.line),
            format!("custom property \"{name}\" has an unknown value"),
            format!("it is {}, expected one of {}", node.describe(), names.join(", ")),
            near::suggest(node.text().unwrap_or_default(), &names),
        );
    }
    found.map(|(_, value)| *value)
}
