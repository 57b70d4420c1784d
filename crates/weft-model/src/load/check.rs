//! What only the whole mesh can show: cycles, topics shared by two ports, parameters that SQL and descriptor disagree on.

use std::collections::{BTreeMap, BTreeSet};

use super::findings::{Findings, place};
use super::near;
use super::resolve::Resolved;
use crate::kind::Place;
use crate::name::ProductId;
use crate::product::Behaviour;
use crate::topic::TOPIC_NAME_BYTES_MAX;

type Products = BTreeMap<ProductId, Resolved>;

/// A product must not read itself, directly or through others. Each cycle is reported once, at its first product.
pub(crate) fn cycles(products: &Products, findings: &mut Findings) {
    let mut done: BTreeSet<&ProductId> = BTreeSet::new();
    for id in products.keys() {
        let mut path: Vec<&ProductId> = Vec::new();
        visit(products, id, &mut path, &mut done, findings);
    }
}

fn visit<'a>(
    products: &'a Products,
    id: &'a ProductId,
    path: &mut Vec<&'a ProductId>,
    done: &mut BTreeSet<&'a ProductId>,
    findings: &mut Findings,
) {
    if done.contains(id) {
        return;
    }
    if let Some(at) = path.iter().position(|before| *before == id) {
        report_cycle(products, &path[at..], findings);
        return;
    }
    let Some(resolved) = products.get(id) else { return };
    path.push(id);
    let upstream: BTreeSet<&ProductId> = resolved.product.inputs.iter().map(|input| &input.reads.product).collect();
    for next in upstream {
        visit(products, next, path, done, findings);
    }
    path.pop();
    done.insert(id);
}

fn report_cycle(products: &Products, cycle: &[&ProductId], findings: &mut Findings) {
    let first = cycle.iter().min().expect("a cycle has a product");
    let start = cycle.iter().position(|id| id == first).expect("found just now");
    let round: Vec<String> = (0..=cycle.len()).map(|step| cycle[(start + step) % cycle.len()].to_string()).collect();
    let next = cycle[(start + 1) % cycle.len()];
    let resolved = &products[*first];
    let input = resolved.product.inputs.iter().position(|input| input.reads.product == *next);
    let line = input.map_or(1, |at| resolved.input_lines[at]);
    findings.add(
        "MODEL-032",
        place(&resolved.raw.file, line),
        format!("product \"{first}\" reads itself"),
        round.join(" reads "),
        "cut the circle: drop one of these inputs, or split a product in two",
    );
}

/// One topic, one port; and a name that Kafka takes.
pub(crate) fn topics(products: &Products, findings: &mut Findings) {
    let mut seen: BTreeMap<&str, (String, &Place)> = BTreeMap::new();
    for resolved in products.values() {
        let mut illegal = false;
        for (port, at) in resolved.product.outputs.iter().zip(&resolved.output_places) {
            let topic = port.topic.as_str();
            if let Some((other, other_at)) = seen.get(topic) {
                findings.add(
                    "MODEL-033",
                    at.clone(),
                    format!("port \"{}\" has a topic that is taken", port.id),
                    format!("topic \"{topic}\" backs port \"{other}\" ({}:{})", other_at.file, other_at.line),
                    "one topic backs one port: adopt another topic, or let one product read the other",
                );
            } else {
                seen.insert(topic, (port.id.to_string(), at));
            }
            let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
            let because = if topic.len() > TOPIC_NAME_BYTES_MAX {
                format!("\"{topic}\" has {} bytes, Kafka takes {TOPIC_NAME_BYTES_MAX}", topic.len())
            } else if topic.is_empty() || topic == "." || topic == ".." || !topic.bytes().all(legal) {
                format!("\"{topic}\" is no topic; topics hold letters, digits, `.`, `-` and `_`")
            } else if topic.starts_with("__") {
                format!("\"{topic}\" starts with `__`, which marks internal topics")
            } else {
                continue;
            };
            if illegal {
                continue; // the same reason once more, most likely
            }
            illegal = true;
            findings.add(
                "MODEL-034",
                at.clone(),
                format!("port \"{}\" has a topic that Kafka would refuse", port.id),
                because,
                "shorten the names of domain, product and port, or adopt another topic",
            );
        }
    }
}

/// Every `$name` in SQL is declared, and every declared one is used.
pub(crate) fn parameters(products: &Products, findings: &mut Findings) {
    for resolved in products.values() {
        let declared: Vec<&str> = resolved.raw.parameters.keys().map(String::as_str).collect();
        let Behaviour::Transform { sql, file } = &resolved.product.behaviour else {
            if let Some((name, parameter)) = resolved.raw.parameters.first_key_value() {
                findings.add(
                    "MODEL-036",
                    place(&resolved.raw.file, parameter.line),
                    format!("parameter \"{name}\" has no SQL to use it"),
                    "only transform.sql knows parameters",
                    "drop `parameters`",
                );
            }
            continue;
        };
        let used = used_parameters(sql);
        let mut reported: BTreeSet<&str> = BTreeSet::new();
        for (name, line) in &used {
            if !declared.contains(&name.as_str()) && reported.insert(name) {
                let try_ = match near::near_miss(name, declared.iter().copied()) {
                    Some(near) => format!("did you mean \"${near}\"?"),
                    None => format!(
                        "declare it: `customProperties: [ {{ property: parameters, value: {{ {name}: … }} }} ]`"
                    ),
                };
                findings.add(
                    "MODEL-036",
                    place(file, *line),
                    format!("SQL uses parameter \"${name}\", which is not declared"),
                    format!(
                        "{} declares {}",
                        resolved.raw.file,
                        if declared.is_empty() { "none".to_owned() } else { declared.join(", ") }
                    ),
                    try_,
                );
            }
        }
        for (name, parameter) in &resolved.raw.parameters {
            if !used.iter().any(|(used, _)| used == name) {
                findings.add(
                    "MODEL-036",
                    place(&resolved.raw.file, parameter.line),
                    format!("parameter \"{name}\" is declared but not used"),
                    format!("{file} has no `${name}`"),
                    "use it or drop it",
                );
            }
        }
    }
}

/// `$name`s of a SQL text with their lines, outside of strings, quoted identifiers and comments.
fn used_parameters(sql: &str) -> Vec<(String, u32)> {
    let bytes = sql.as_bytes();
    let mut found = Vec::new();
    let mut line = 1;
    let mut at = 0;
    // Skips to just behind `end`, counting lines; SQL doubles a quote to mean itself, which reads as two quoted parts.
    let skip = |from: usize, end: &[u8], line: &mut u32| {
        let mut at = from;
        while at < bytes.len() && !bytes[at..].starts_with(end) {
            *line += u32::from(bytes[at] == b'\n');
            at += 1;
        }
        *line += u32::from(end == b"\n" && at < bytes.len());
        (at + end.len()).min(bytes.len())
    };
    while at < bytes.len() {
        match &bytes[at..] {
            [b'\'', ..] => at = skip(at + 1, b"'", &mut line),
            [b'"', ..] => at = skip(at + 1, b"\"", &mut line),
            [b'-', b'-', ..] => at = skip(at + 2, b"\n", &mut line),
            [b'/', b'*', ..] => at = skip(at + 2, b"*/", &mut line),
            [b'$', rest @ ..] => {
                let length = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
                if length > 0 {
                    found.push((sql[at + 1..at + 1 + length].to_owned(), line));
                }
                at += 1 + length;
            }
            [byte, ..] => {
                line += u32::from(*byte == b'\n');
                at += 1;
            }
            [] => break,
        }
    }
    found
}
