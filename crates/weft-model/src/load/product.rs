//! `product.odps.yaml`: who owns the product, what goes in, what comes out. Here as read; `resolve` puts it together
//! with contracts and the ports of others.

use std::collections::BTreeMap;

use super::custom;
use super::findings::{Findings, place};
use super::{standard, version_major};
use crate::name::{PortId, PortName, ProductId};
use crate::product::{Encoding, Status};
use crate::yaml::{Node, Value};

/// A product descriptor as read.
#[derive(Debug, Clone)]
pub(crate) struct RawProduct {
    pub(crate) id: ProductId,
    pub(crate) file: String,
    pub(crate) owner: String,
    pub(crate) version: String,
    pub(crate) status: Status,
    pub(crate) purpose: String,
    pub(crate) tags: Vec<String>,
    pub(crate) inputs: Vec<RawInput>,
    pub(crate) outputs: Vec<RawOutput>,
    pub(crate) parameters: BTreeMap<String, Parameter>,
    pub(crate) line: u32,
}

/// A `$name` value for SQL.
#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    pub(crate) value: serde_json::Value,
    pub(crate) line: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct RawInput {
    pub(crate) name: String,
    pub(crate) line: u32,
    pub(crate) contract_id: Option<(String, u32)>,
    /// As written, with its line; one without a major has been reported.
    pub(crate) version: Option<(String, u32)>,
    pub(crate) major: Option<u32>,
    /// From `reads`, with its line.
    pub(crate) reads: Option<(PortId, u32)>,
    /// `reads` is there but wrong, which has been reported.
    pub(crate) broken: bool,
    pub(crate) broadcast: bool,
    pub(crate) bound_ms: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct RawOutput {
    pub(crate) name: PortName,
    pub(crate) line: u32,
    pub(crate) description: String,
    /// Major from the port's own `version`, with its line.
    pub(crate) major: Option<(u32, u32)>,
    pub(crate) contract_id: Option<(String, u32)>,
    pub(crate) topic: Option<(String, u32)>,
    pub(crate) partitions: Option<u32>,
    pub(crate) encoding: Encoding,
    /// What the port says to be made from.
    pub(crate) input_contracts: Vec<ContractRef>,
}

/// A contract of another port, in a version.
#[derive(Debug, Clone)]
pub(crate) struct ContractRef {
    pub(crate) id: String,
    pub(crate) line: u32,
    pub(crate) version: String,
    pub(crate) version_line: u32,
}

/// Most partitions a port may ask for.
pub(crate) const PARTITIONS_MAX: i64 = 1024;
/// Longest bound of an input. Milliseconds: 366 days.
const BOUND_MS_MAX: i64 = 366 * 86_400_000;

const STATUSES: [(&str, Status); 5] = [
    ("proposed", Status::Proposed),
    ("draft", Status::Draft),
    ("active", Status::Active),
    ("deprecated", Status::Deprecated),
    ("retired", Status::Retired),
];

/// Reads a product descriptor that lies in the folder of product `id`.
pub(crate) fn read(file: &str, root: &Node, id: &ProductId, findings: &mut Findings) -> RawProduct {
    standard::validate(standard::Standard::Odps, file, root, findings);
    for (key, expected, folder) in [("name", id.product.as_str(), "product"), ("domain", id.domain.as_str(), "domain")]
    {
        if let Some(node) = root.get(key)
            && let Some(text) = node.text()
            && text != expected
        {
            findings.add(
                "MODEL-013",
                place(file, node.line),
                format!("`{key}` is not the name of the {folder}'s folder"),
                format!("it is \"{text}\", the folder is \"{expected}\""),
                format!("write `{key}: {expected}`, or rename the folder"),
            );
        }
    }
    let parameters = custom::custom(file, root, &["parameters"], findings);
    let version = text_of(root, "version");
    if let Some(node) = root.get("version")
        && let Some(text) = node.text()
        && version_major(text).is_none()
    {
        super::bad_version(file, node.line, text, findings);
    }
    RawProduct {
        id: id.clone(),
        file: file.to_owned(),
        owner: owner(file, root, findings),
        version,
        status: status(file, root, findings),
        purpose: root.get("description").map(|node| text_of(node, "purpose")).unwrap_or_default(),
        tags: strings(root.get("tags")),
        inputs: list(root, "inputPorts").iter().filter_map(|node| input(file, node, findings)).collect(),
        outputs: list(root, "outputPorts").iter().filter_map(|node| output(file, node, findings)).collect(),
        parameters: read_parameters(file, parameters.get("parameters").copied(), findings),
        line: root.line,
    }
}

fn text_of(node: &Node, key: &str) -> String {
    node.get(key).and_then(Node::text).unwrap_or_default().trim().to_owned()
}

fn list<'a>(node: &'a Node, key: &str) -> &'a [Node] {
    node.get(key).map(Node::items).unwrap_or_default()
}

fn strings(node: Option<&Node>) -> Vec<String> {
    let items = node.map(Node::items).unwrap_or_default();
    items.iter().filter_map(Node::text).map(str::to_owned).collect()
}

fn owner(file: &str, root: &Node, findings: &mut Findings) -> String {
    let owner = root.get("team").map(|team| text_of(team, "name")).unwrap_or_default();
    if owner.is_empty() {
        findings.add(
            "MODEL-014",
            place(file, root.get("team").map_or(root.line, |node| node.line)),
            "the product has no owner",
            "`team.name` is missing or empty",
            "name the team that answers for it: `team: { name: … }`",
        );
    }
    owner
}

fn status(file: &str, root: &Node, findings: &mut Findings) -> Status {
    let Some(node) = root.get("status") else { return Status::Draft };
    let Some(text) = node.text() else { return Status::Draft };
    if let Some((_, status)) = STATUSES.iter().find(|(word, _)| *word == text) {
        return *status;
    }
    let words = STATUSES.map(|(word, _)| word);
    findings.add(
        "MODEL-006",
        place(file, node.line),
        "`status` has an unknown value",
        format!("it is \"{text}\", expected one of {}", words.join(", ")),
        super::near::suggest(text, &words),
    );
    Status::Draft
}

fn input(file: &str, node: &Node, findings: &mut Findings) -> Option<RawInput> {
    let name_node = node.get("name")?;
    let name = name_node.text()?.to_owned();
    let starts = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_');
    let inside = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !starts || !inside || name.len() > 63 {
        findings.add(
            "MODEL-013",
            place(file, name_node.line),
            format!("input port \"{name}\" cannot be named in SQL"),
            "an input's name is the table name that SQL sees: 1 to 63 of a-z, 0-9 and _, not starting with a digit",
            format!("write `name: {}`", name.to_ascii_lowercase().replace(['-', '.', ' '], "_")),
        );
    }
    let ours = custom::custom(file, node, &["reads", "broadcast", "watermarkBoundMs"], findings);
    let mut broken = false;
    let reads = custom::text(file, &ours, "reads", findings).and_then(|text| {
        let line = ours.get("reads").map_or(node.line, |node| node.line);
        let port = parse_reads(text);
        if port.is_none() {
            broken = true;
            findings.add(
                "MODEL-030",
                place(file, line),
                format!("input port \"{name}\" reads something that is no port"),
                format!("`reads` is \"{text}\""),
                "write `weft://<domain>/<product>/<port>/v<major>`, such as `weft://flight-ops/flights/flights/v1`",
            );
        }
        Some((port?, line))
    });
    let version = version(file, node, findings);
    Some(RawInput {
        line: node.line,
        contract_id: with_line(node, "contractId"),
        major: version.as_ref().and_then(|(text, _)| version_major(text)),
        version,
        reads,
        broken: broken || ours.get("reads").is_some_and(|node| node.text().is_none()),
        broadcast: custom::flag(file, &ours, "broadcast", findings).unwrap_or(false),
        bound_ms: custom::number(file, &ours, "watermarkBoundMs", 0..=BOUND_MS_MAX, findings)
            .map_or(0, i64::unsigned_abs),
        name,
    })
}

/// `weft://domain/product/port/v1`.
fn parse_reads(text: &str) -> Option<PortId> {
    let mut steps = text.strip_prefix("weft://")?.split('/');
    let domain = steps.next()?.parse().ok()?;
    let product = steps.next()?.parse().ok()?;
    let port = steps.next()?.parse().ok()?;
    let major = steps.next()?.strip_prefix('v')?.parse().ok()?;
    if steps.next().is_some() {
        return None;
    }
    Some(PortId { product: ProductId { domain, product }, port, major })
}

/// The inverse of `parse_reads`.
pub(crate) fn reads_uri(port: &PortId) -> String {
    format!("weft://{}/{}/{}/v{}", port.product.domain, port.product.product, port.port, port.major)
}

fn with_line(node: &Node, key: &str) -> Option<(String, u32)> {
    let node = node.get(key)?;
    Some((node.text()?.to_owned(), node.line))
}

fn output(file: &str, node: &Node, findings: &mut Findings) -> Option<RawOutput> {
    let name_node = node.get("name")?;
    let name = match name_node.text()?.parse::<PortName>() {
        Ok(name) => name,
        Err(error) => {
            findings.add(
                "MODEL-013",
                place(file, name_node.line),
                "an output port has a name that topics and URLs cannot carry",
                error.to_string(),
                "rename the port",
            );
            return None;
        }
    };
    if matches!(name.as_str(), crate::builtin_ports::ERRORS | crate::builtin_ports::LATE) {
        findings.add(
            "MODEL-031",
            place(file, name_node.line),
            format!("output port \"{name}\" is one that every product has already"),
            "`errors` and `late` exist on every product that Weft runs and need no declaration",
            "rename the port, or leave it out",
        );
    }
    let ours = custom::custom(file, node, &["topic", "partitions", "encoding", "schemaId"], findings);
    let major = version(file, node, findings).and_then(|(text, line)| Some((version_major(&text)?, line)));
    let topic = custom::text(file, &ours, "topic", findings)
        .map(|text| (text.to_owned(), ours.get("topic").map_or(node.line, |node| node.line)));
    let partitions = ours.get("partitions").and_then(|value| {
        let count = value.int().filter(|count| (1..=PARTITIONS_MAX).contains(count));
        if count.is_none() {
            findings.add(
                "MODEL-028",
                place(file, value.line),
                format!("partition count of port \"{name}\" is out of range"),
                format!("it is {}, a topic has 1 to {PARTITIONS_MAX} partitions", value.describe()),
                "write `value: 4` or so; on a keyed port it cannot change later",
            );
        }
        u32::try_from(count?).ok()
    });
    check_encoding(file, name.as_str(), &ours, findings);
    Some(RawOutput {
        name,
        line: node.line,
        description: text_of(node, "description"),
        major,
        contract_id: with_line(node, "contractId"),
        topic,
        partitions,
        encoding: Encoding::Json,
        input_contracts: list(node, "inputContracts")
            .iter()
            .filter_map(|node| made_from(file, node, findings))
            .collect(),
    })
}

/// One of `inputContracts`. What it lacks, the standard's own schema has reported.
fn made_from(file: &str, node: &Node, findings: &mut Findings) -> Option<ContractRef> {
    let (id, line) = with_line(node, "id")?;
    let (version, version_line) = version(file, node, findings)?;
    Some(ContractRef { id, line, version, version_line })
}

/// `version` with its line; `None`, reported, where it has no major.
fn version(file: &str, node: &Node, findings: &mut Findings) -> Option<(String, u32)> {
    let (text, line) = with_line(node, "version")?;
    if version_major(&text).is_none() {
        super::bad_version(file, line, &text, findings);
        return None;
    }
    Some((text, line))
}

/// Encoding is declared, never sniffed; what we do not speak yet is refused by name.
fn check_encoding(file: &str, port: &str, ours: &custom::Custom<'_>, findings: &mut Findings) {
    for (name, spoken, other) in
        [("encoding", "json", ["avro", "protobuf"]), ("schemaId", "none", ["prefix", "header"])]
    {
        let Some(node) = ours.get(name) else { continue };
        let text = node.text().unwrap_or_default();
        if text == spoken {
            continue;
        }
        let because = if other.contains(&text) {
            format!("`{name}: {text}` is part of the design, but this version speaks only `{spoken}`")
        } else {
            format!("`{name}` is {}, this version speaks only `{spoken}`", node.describe())
        };
        findings.add(
            "MODEL-027",
            place(file, node.line),
            format!("port \"{port}\" is encoded in a way that Weft does not speak yet"),
            because,
            format!("write `{{ property: {name}, value: {spoken} }}`, or leave it out"),
        );
    }
}

fn read_parameters(file: &str, node: Option<&Node>, findings: &mut Findings) -> BTreeMap<String, Parameter> {
    let mut parameters = BTreeMap::new();
    let Some(node) = node else { return parameters };
    if !matches!(node.value, Value::Map(_)) {
        super::strict::wrong_type(file, node, "parameters", "a map of names and values", findings);
        return parameters;
    }
    for entry in node.entries() {
        let name = &entry.key;
        let fits = !name.is_empty()
            && name.len() <= 63
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            && !name.starts_with(|c: char| c.is_ascii_digit());
        if !fits {
            findings.add(
                "MODEL-036",
                place(file, entry.line),
                format!("parameter \"{name}\" cannot be named in SQL"),
                "SQL writes it `$name`: 1 to 63 of a-z, 0-9 and _, not starting with a digit",
                "rename it here and in the SQL",
            );
        }
        match entry.node.value {
            Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => {
                parameters.insert(name.clone(), Parameter { value: entry.node.to_json(), line: entry.line });
            }
            _ => super::strict::wrong_type(file, &entry.node, name, "a number, text, true or false", findings),
        }
    }
    parameters
}
