//! The standards' own JSON schemas: Bitol ODPS and ODCS, chosen by the file's `apiVersion`. Copies are pinned in
//! `schemas/`; nothing is ever fetched.

use std::sync::LazyLock;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::Value as Json;

use super::findings::{Findings, place};
use super::near;
use crate::json::shorten;
use crate::yaml::Node;

/// Which standard a file follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standard {
    /// Open Data Product Standard: `product.odps.yaml`.
    Odps,
    /// Open Data Contract Standard: `*.odcs.yaml`.
    Odcs,
}

struct Schema {
    json: Json,
    validator: Validator,
}

impl Schema {
    fn new(text: &str) -> Self {
        let json: Json = serde_json::from_str(text).expect("a pinned schema is JSON");
        let validator = jsonschema::options()
            .should_validate_formats(true)
            .build(&json)
            .expect("a pinned schema is a schema and refers to nothing outside itself");
        Self { json, validator }
    }
}

macro_rules! schemas {
    ($($name:ident = $file:literal),* $(,)?) => {$(
        static $name: LazyLock<Schema> = LazyLock::new(|| Schema::new(include_str!(concat!("../../schemas/", $file))));
    )*};
}

schemas! {
    ODPS_1_1 = "odps-v1.1.0.json",
    ODPS_1_0 = "odps-v1.0.0.json",
    ODCS_3_1 = "odcs-v3.1.0.json",
    ODCS_3_0 = "odcs-v3.0.2.json",
    ODCS_3_2_STRICT = "odcs-v3.2.0.strict-ids.json",
    ODCS_3_2_LOOSE = "odcs-v3.2.0.loose-ids.json",
}

/// Versions we read, newest first.
fn versions(standard: Standard) -> &'static [&'static str] {
    match standard {
        Standard::Odps => &["v1.1.0", "v1.0.0", "v0.9.0"],
        Standard::Odcs => &["v3.2.0", "v3.1.0", "v3.0.2", "v3.0.1", "v3.0.0"],
    }
}

/// The copies a version is checked against: it is accepted if one of them accepts it.
fn copies(standard: Standard, version: &str) -> Vec<&'static LazyLock<Schema>> {
    match (standard, version) {
        (Standard::Odps, "v1.1.0") => vec![&ODPS_1_1],
        (Standard::Odps, "v1.0.0" | "v0.9.0") => vec![&ODPS_1_0],
        (Standard::Odcs, "v3.2.0") => vec![&ODCS_3_2_STRICT, &ODCS_3_2_LOOSE],
        (Standard::Odcs, "v3.1.0") => vec![&ODCS_3_1],
        (Standard::Odcs, "v3.0.2" | "v3.0.1" | "v3.0.0") => vec![&ODCS_3_0],
        _ => vec![],
    }
}

impl Standard {
    fn kind(self) -> &'static str {
        match self {
            Self::Odps => "DataProduct",
            Self::Odcs => "DataContract",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Odps => "ODPS",
            Self::Odcs => "ODCS",
        }
    }
}

/// Reports everything the standard's schema refuses in the file.
pub(crate) fn validate(standard: Standard, file: &str, root: &Node, findings: &mut Findings) {
    let known = versions(standard);
    let version = root.get("apiVersion");
    let schemas = copies(standard, version.and_then(Node::text).unwrap_or_default());
    if schemas.is_empty() {
        let (line, because) = match version {
            Some(node) => {
                (node.line, format!("it is {}, Weft reads {} {}", node.describe(), standard.name(), known.join(", ")))
            }
            None => (root.line, format!("it is missing; Weft reads {} {}", standard.name(), known.join(", "))),
        };
        findings.add(
            "MODEL-011",
            place(file, line),
            format!("`apiVersion` names no version of {} that Weft reads", standard.name()),
            because,
            format!(
                "write `apiVersion: {}` and `kind: {}`",
                if standard == Standard::Odps { "v1.1.0" } else { "v3.1.0" },
                standard.kind()
            ),
        );
        return;
    }
    let json = root.to_json();
    if schemas.iter().any(|schema| schema.validator.is_valid(&json)) {
        return;
    }
    let schema = schemas[0];
    for error in schema.validator.iter_errors(&json) {
        report(standard, schema, file, root, &error, findings);
    }
}

fn report(
    standard: Standard,
    schema: &Schema,
    file: &str,
    root: &Node,
    error: &ValidationError<'_>,
    findings: &mut Findings,
) {
    let path = error.instance_path().as_str();
    let node = root.at(path);
    let name = if path.is_empty() { "the descriptor".to_owned() } else { format!("\"{}\"", readable(path)) };
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            let known = known_keys(&schema.json, error.schema_path().as_str());
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            for key in unexpected {
                // `unevaluatedProperties` also names keys it knows, where a value elsewhere in the object is wrong.
                if known.contains(&key.as_str()) {
                    continue;
                }
                let line = node.entry(key).map_or(node.line, |entry| entry.line);
                let try_ = near::near_miss(key, known.iter().copied()).map_or_else(
                    || "remove it, or put what is yours into `customProperties`".to_owned(),
                    |near| format!("did you mean \"{near}\"?"),
                );
                findings.add(
                    "MODEL-005",
                    place(file, line),
                    format!("unknown key \"{key}\" in {name}"),
                    format!("{} knows no such key here", standard.name()),
                    try_,
                );
            }
        }
        ValidationErrorKind::Required { property } => {
            let key = property.as_str().unwrap_or_default();
            findings.add(
                "MODEL-007",
                place(file, node.line),
                format!("{name} lacks key \"{key}\""),
                format!("{} requires it", standard.name()),
                format!("add `{key}:`"),
            );
        }
        ValidationErrorKind::Type { .. } => {
            let try_ = match error.instance().as_ref() {
                Json::Number(_) | Json::Bool(_) if error.to_string().contains("\"string\"") => {
                    "put it in quotes".to_owned()
                }
                _ => String::new(),
            };
            findings.add(
                "MODEL-006",
                place(file, node.line),
                format!("{name} has a value of the wrong type"),
                shorten_long(&error.to_string()),
                try_,
            );
        }
        ValidationErrorKind::Enum { options } => {
            let options: Vec<String> = options.as_array().into_iter().flatten().map(plain).collect();
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            findings.add(
                "MODEL-006",
                place(file, node.line),
                format!("{name} has an unknown value"),
                format!("it is {}, {} allows {}", node.describe(), standard.name(), options.join(", ")),
                near::suggest(node.text().unwrap_or_default(), &options),
            );
        }
        _ => findings.add(
            "MODEL-010",
            place(file, node.line),
            format!("{name} is not valid {}", standard.name()),
            shorten_long(&error.to_string()),
            format!("see the standard's section on `{}`", path.split('/').nth(1).unwrap_or("apiVersion")),
        ),
    }
}

/// `/schema/0/properties/2/name` as `schema[0].properties[2].name`.
fn readable(path: &str) -> String {
    let mut out = String::new();
    for step in path.split('/').skip(1) {
        if step.bytes().all(|byte| byte.is_ascii_digit()) {
            out.push_str(&format!("[{step}]"));
        } else {
            if !out.is_empty() {
                out.push('.');
            }
            out.push_str(step);
        }
    }
    shorten(&out)
}

fn plain(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn shorten_long(text: &str) -> String {
    const CHARS_MAX: usize = 300;
    if text.chars().count() <= CHARS_MAX {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(CHARS_MAX).collect();
    short.push('…');
    short
}

/// Keys that the schema object around a failing keyword allows, through `allOf` and `$ref`.
fn known_keys(schema: &Json, keyword_path: &str) -> Vec<String> {
    let parent = keyword_path.rsplit_once('/').map_or("", |(parent, _)| parent);
    let mut keys = Vec::new();
    if let Some(object) = schema.pointer(parent) {
        collect_keys(schema, object, 0, &mut keys);
    }
    keys.sort();
    keys.dedup();
    keys
}

fn collect_keys(schema: &Json, object: &Json, depth: usize, keys: &mut Vec<String>) {
    const DEPTH_MAX: usize = 8;
    if depth > DEPTH_MAX {
        return;
    }
    if let Some(properties) = object.get("properties").and_then(Json::as_object) {
        keys.extend(properties.keys().cloned());
    }
    if let Some(target) = object.get("$ref").and_then(Json::as_str).and_then(|target| target.strip_prefix('#'))
        && let Some(target) = schema.pointer(target)
    {
        collect_keys(schema, target, depth + 1, keys);
    }
    for branch in ["allOf", "anyOf", "oneOf"] {
        for part in object.get(branch).and_then(Json::as_array).into_iter().flatten() {
            collect_keys(schema, part, depth + 1, keys);
        }
    }
    if let Some(then) = object.get("then") {
        collect_keys(schema, then, depth + 1, keys);
    }
}
