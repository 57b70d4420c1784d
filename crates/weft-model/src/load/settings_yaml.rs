//! The sections of `weft.yaml` that tune a node, read by the table of their keys.

use std::collections::BTreeSet;

use super::findings::{Findings, place};
use super::strict;
use crate::settings::{Fsync, KEYS, Key, ORDERED, Setting, Settings, Shape, VOID_ABOVE, key};
use crate::yaml::{Node, Value};

/// Reads these sections below `root`: all of them in `weft.yaml`.
pub(crate) fn read(file: &str, root: &Node, sections: &[&str], findings: &mut Findings) -> Settings {
    let mut settings = Settings::default();
    for section in sections {
        if let Some(node) = root.get(section) {
            map(file, section, node, &mut settings, findings);
        }
    }
    ordered(file, &settings, sections, findings);
    settings
}

/// A section, or a group of keys in one: `http`, `http.sql`.
fn map(file: &str, name: &str, node: &Node, settings: &mut Settings, findings: &mut Findings) {
    let known = names_below(name);
    let Some(fields) = strict::fields(file, node, name, &known, findings) else { return };
    for entry in node.entries() {
        let full = format!("{name}.{}", entry.key);
        let Some(node) = fields.get(&entry.key) else { continue };
        match key(&full) {
            Some(key) => {
                if let Some(setting) = value(&fields, key, &entry.key, node, findings) {
                    settings.say(key, setting, entry.line);
                }
            }
            None if !names_below(&full).is_empty() => map(file, &full, node, settings, findings),
            None => {} // unknown, which has been reported
        }
    }
}

/// The next words of all keys below `name`, in the order of the table.
fn names_below(name: &str) -> Vec<&'static str> {
    let mut seen = BTreeSet::new();
    let next = |key: &'static Key| key.name.strip_prefix(name)?.strip_prefix('.')?.split('.').next();
    KEYS.iter().filter_map(next).filter(|word| seen.insert(*word)).collect()
}

fn value(fields: &strict::Fields<'_>, key: &Key, name: &str, node: &Node, findings: &mut Findings) -> Option<Setting> {
    match key.shape {
        Shape::Number { min, max, .. } => fields.number(name, min, max, findings).map(Setting::Number),
        Shape::Flag { .. } => {
            if node.bool().is_none() {
                strict::wrong_type(fields.file, node, name, "true or false", findings);
            }
            node.bool().map(Setting::Flag)
        }
        Shape::Hosts => {
            let expected = "a host name without scheme and port, such as mesh.example";
            texts(fields, name, expected, is_host, findings)
        }
        Shape::Origins => {
            let expected = "scheme://host or scheme://host:port, no path and no wildcard";
            texts(fields, name, expected, is_origin, findings)
        }
        Shape::Fsync => match fields.text(name, findings)?.parse::<Fsync>() {
            Ok(fsync) => Some(Setting::Fsync(fsync)),
            Err(expected) => {
                cannot_be(fields.file, node.line, key.name, &node.describe(), &expected, findings);
                None
            }
        },
        Shape::Address => {
            let address = fields.text(name, findings).and_then(host_and_port);
            if address.is_none() && matches!(node.value, Value::Text(_)) {
                cannot_be(fields.file, node.line, key.name, &node.describe(), "write host:port", findings);
            }
            address.map(|address| Setting::Address(Some(address)))
        }
    }
}

fn texts(
    fields: &strict::Fields<'_>,
    name: &str,
    expected: &str,
    fits: fn(&str) -> bool,
    findings: &mut Findings,
) -> Option<Setting> {
    let mut texts = Vec::new();
    for item in fields.items(name, findings) {
        match item.text() {
            None => strict::wrong_type(fields.file, item, name, "text", findings),
            Some(text) if fits(text) => texts.push(text.to_owned()),
            Some(_) => {
                cannot_be(fields.file, item.line, name, &item.describe(), &format!("write {expected}"), findings);
            }
        }
    }
    Some(Setting::Texts(texts))
}

fn cannot_be(file: &str, line: u32, name: &str, found: &str, try_: &str, findings: &mut Findings) {
    let because = format!("it holds {found}");
    findings.add("MODEL-043", place(file, line), format!("setting \"{name}\" cannot be so"), because, try_);
}

/// A name as a `Host` header carries it, without port.
fn is_host(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    !text.is_empty() && text.len() <= 253 && text.bytes().all(legal)
}

/// As browsers send it (RFC 6454 §6.2): `*` and `null` are none, since they would let every page in.
fn is_origin(text: &str) -> bool {
    let Some(authority) = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")) else { return false };
    let (host, port) = authority.rsplit_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    is_host(host) && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok()?;
    is_host(host).then(|| (host.to_owned(), port))
}

/// Values that contradict each other, reported where the file says one of them.
fn ordered(file: &str, settings: &Settings, sections: &[&str], findings: &mut Findings) {
    let is_read = |key: &str| key.split('.').next().is_some_and(|section| sections.contains(&section));
    let impossible = ORDERED.iter().map(|pair| (pair, settings.line(pair.0).or_else(|| settings.line(pair.1))));
    let void = VOID_ABOVE.iter().map(|pair| (pair, settings.line(pair.0)));
    for ((small, large), line) in impossible.chain(void).filter(|((small, large), _)| is_read(small) && is_read(large))
    {
        let (Setting::Number(least), Setting::Number(most)) = (settings.value(small), settings.value(large)) else {
            unreachable!("only numbers are ordered, which a test says");
        };
        let Some(line) = line.filter(|_| least > most) else { continue };
        let default = |name: &str| if settings.said(name).is_none() { " by default" } else { "" };
        findings.add(
            "MODEL-043",
            place(file, line),
            format!("\"{small}\" is above \"{large}\""),
            format!("{small} is {least}{}, {large} is {most}{}", default(small), default(large)),
            format!("raise {large} to {least} at least, or lower {small} to {most}"),
        );
    }
}
