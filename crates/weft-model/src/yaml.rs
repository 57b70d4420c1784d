//! YAML as the descriptors use it: every node knows its line, nothing is guessed beyond YAML 1.2's core types, and
//! whatever a file holds, reading it is bounded.
//!
//! Timestamps stay text, `yes` and `NO` are text, duplicate keys are refused, keys are texts as written.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

/// Largest descriptor file. Bytes.
pub(crate) const FILE_BYTES_MAX: usize = 1 << 20;
/// Deepest nesting of lists and maps.
const DEPTH_MAX: usize = 48;
/// Most nodes of one file, counting what aliases repeat.
const NODES_MAX: usize = 200_000;

/// A node and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    /// Line, from 1.
    pub(crate) line: u32,
    pub(crate) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One `key: value` of a map.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) line: u32,
    pub(crate) node: Node,
}

/// Why a text is not YAML that we read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadYaml {
    pub(crate) line: u32,
    pub(crate) because: String,
    pub(crate) try_: String,
}

impl Node {
    /// Value of a map's key; `None` for other nodes.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// Entries of a map; empty for other nodes.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Items of a list; empty for other nodes.
    pub(crate) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn bool(&self) -> Option<bool> {
        match self.value {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn int(&self) -> Option<i64> {
        match self.value {
            Value::Int(value) => Some(value),
            _ => None,
        }
    }

    /// The node at a JSON pointer such as `/outputPorts/0/name`; the nearest ancestor if the last step is missing.
    pub(crate) fn at(&self, pointer: &str) -> &Node {
        let mut node = self;
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            let next = match &node.value {
                Value::Map(_) => node.get(&step),
                Value::List(items) => step.parse::<usize>().ok().and_then(|at| items.get(at)),
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }

    pub(crate) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Int(value) => Json::from(*value),
            Value::Float(value) => serde_json::Number::from_f64(*value).map_or(Json::Null, Json::Number),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(items) => Json::Array(items.iter().map(Node::to_json).collect()),
            Value::Map(entries) => {
                Json::Object(entries.iter().map(|entry| (entry.key.clone(), entry.node.to_json())).collect())
            }
        }
    }

    /// What it is, for a message: `text "abc"`, `number 3`, `a list`.
    pub(crate) fn describe(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(value) => format!("{value}"),
            Value::Int(value) => format!("number {value}"),
            Value::Float(value) => format!("number {value:?}"),
            Value::Text(text) => format!("text \"{}\"", crate::json::shorten(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }
}

/// A collection that is still open while events come in.
struct Open {
    anchor: usize,
    node: Node,
    /// Key that waits for its value, with its line.
    key: Option<(String, u32)>,
}

/// The one document of a file. An empty file is a null node.
pub(crate) fn parse(text: &str) -> Result<Node, BadYaml> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() > FILE_BYTES_MAX {
        return Err(bad(
            1,
            format!("it has {} bytes, a descriptor may have {FILE_BYTES_MAX}", text.len()),
            "keep data out of descriptors, or split the file",
        ));
    }
    let mut builder = Builder { open: Vec::new(), anchors: BTreeMap::new(), nodes: 0, root: None };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            bad(
                line_of(error.marker().line()),
                error.info().to_owned(),
                "check indentation, colons and quotes at this line",
            )
        })?;
        builder.event(event, line_of(span.start.line()))?;
    }
    Ok(builder.root.unwrap_or(Node { line: 1, value: Value::Null }))
}

fn line_of(line: usize) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX).max(1)
}

fn bad(line: u32, because: String, try_: &str) -> BadYaml {
    BadYaml { line, because, try_: try_.to_owned() }
}

struct Builder {
    open: Vec<Open>,
    anchors: BTreeMap<usize, (Node, usize)>,
    nodes: usize,
    root: Option<Node>,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, line: u32) -> Result<(), BadYaml> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(())
            }
            Event::Alias(anchor) => {
                let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
                    return Err(bad(line, "an alias stands inside its own anchor".to_owned(), "write the value out"));
                };
                self.count(size, line)?;
                self.add(node, line)
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.count(1, line)?;
                let is_key =
                    self.open.last().is_some_and(|open| matches!(open.node.value, Value::Map(_)) && open.key.is_none());
                if is_key {
                    return self.key(text.into_owned(), line);
                }
                let node = Node { line, value: scalar(&text, style, tag.as_deref(), line)? };
                self.anchor(anchor, &node, 1);
                self.add(node, line)
            }
            Event::SequenceStart(anchor, tag) => self.start(anchor, tag.as_deref(), Value::List(Vec::new()), line),
            Event::MappingStart(anchor, tag) => self.start(anchor, tag.as_deref(), Value::Map(Vec::new()), line),
            Event::SequenceEnd | Event::MappingEnd => {
                let open = self.open.pop().expect("the parser ends only what it started");
                if open.anchor != 0 {
                    let size = size(&open.node);
                    self.anchor(open.anchor, &open.node, size);
                }
                self.add(open.node, line)
            }
        }
    }

    fn start(&mut self, anchor: usize, tag: Option<&Tag>, value: Value, line: u32) -> Result<(), BadYaml> {
        self.count(1, line)?;
        if tag.is_some_and(|tag| !tag.is_yaml_core_schema()) {
            return Err(unknown_tag(tag, line));
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(bad(line, format!("it nests deeper than {DEPTH_MAX} levels"), "flatten it"));
        }
        let waits_for_key =
            self.open.last().is_some_and(|open| matches!(open.node.value, Value::Map(_)) && open.key.is_none());
        if waits_for_key {
            return Err(bad(line, "a list or map stands where a key is expected".to_owned(), "keys are plain texts"));
        }
        self.open.push(Open { anchor, node: Node { line, value }, key: None });
        Ok(())
    }

    fn key(&mut self, key: String, line: u32) -> Result<(), BadYaml> {
        let open = self.open.last_mut().expect("a key stands in a map");
        if let Some(before) = open.node.entry(&key) {
            return Err(bad(
                line,
                format!(
                    "key \"{}\" stands twice in one map, first in line {}",
                    crate::json::shorten(&key),
                    before.line
                ),
                "keep one of them",
            ));
        }
        open.key = Some((key, line));
        Ok(())
    }

    fn add(&mut self, node: Node, line: u32) -> Result<(), BadYaml> {
        let Some(open) = self.open.last_mut() else {
            if self.root.is_some() {
                return Err(bad(
                    line,
                    "it holds more than one document".to_owned(),
                    "one document per file; drop `---`",
                ));
            }
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.node.value {
            Value::List(items) => items.push(node),
            Value::Map(entries) => match open.key.take() {
                Some((key, key_line)) => entries.push(Entry { key, line: key_line, node }),
                None => {
                    return Err(bad(line, "an alias stands where a key is expected".to_owned(), "write the key out"));
                }
            },
            _ => unreachable!("only lists and maps are opened"),
        }
        Ok(())
    }

    fn anchor(&mut self, anchor: usize, node: &Node, size: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
    }

    fn count(&mut self, nodes: usize, line: u32) -> Result<(), BadYaml> {
        self.nodes += nodes;
        if self.nodes > NODES_MAX {
            return Err(bad(
                line,
                format!("it has more than {NODES_MAX} values, counting what aliases repeat"),
                "write it without nested aliases",
            ));
        }
        Ok(())
    }
}

fn size(node: &Node) -> usize {
    match &node.value {
        Value::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Map(entries) => 1 + entries.iter().map(|entry| 1 + size(&entry.node)).sum::<usize>(),
        _ => 1,
    }
}

fn unknown_tag(tag: Option<&Tag>, line: u32) -> BadYaml {
    let tag = tag.map(ToString::to_string).unwrap_or_default();
    bad(line, format!("tag {tag} has no meaning here"), "drop the tag")
}

/// YAML 1.2 core schema: null, true/false, integers, floats; everything else is text.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, line: u32) -> Result<Value, BadYaml> {
    if let Some(tag) = tag {
        if tag.is_yaml_core_schema() && tag.suffix == "str" {
            return Ok(Value::Text(text.to_owned()));
        }
        return Err(unknown_tag(Some(tag), line));
    }
    if style != ScalarStyle::Plain {
        return Ok(Value::Text(text.to_owned()));
    }
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text).unwrap_or_else(|| Value::Text(text.to_owned())),
    })
}

fn number(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if let Some(hex) = text.strip_prefix("0x") {
        return i64::from_str_radix(hex, 16).ok().map(Value::Int);
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return i64::from_str_radix(octal, 8).ok().map(Value::Int);
    }
    let digits_or_point = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-');
    let starts = unsigned.bytes().next().is_some_and(|b| b.is_ascii_digit() || b == b'.');
    if !starts || !unsigned.bytes().all(digits_or_point) || !unsigned.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    if unsigned.bytes().all(|b| b.is_ascii_digit())
        && let Ok(value) = text.parse()
    {
        return Some(Value::Int(value));
    }
    text.parse().ok().filter(|value: &f64| value.is_finite()).map(Value::Float)
}
