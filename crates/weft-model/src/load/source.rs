//! `source.yaml`: a CSV file replayed into the product's port; and `external.yaml`: somebody else computes it.

use super::findings::{Findings, place};
use super::strict;
use super::{near, product};
use crate::name::PortName;
use crate::product::{DerivedColumn, Disorder, ReplayMode, SourceSpec};
use crate::schema::{ColumnType, Schema};
use crate::yaml::Node;

const MODES: [(&str, ReplayMode); 3] =
    [("once", ReplayMode::Once), ("loop", ReplayMode::Loop), ("follow", ReplayMode::Follow)];

/// Free disk at which `loop` stops, unless said otherwise. Bytes: 1 GiB.
const DISK_RESERVE_BYTES_DEFAULT: u64 = 1 << 30;

/// Where `source.yaml` says what, for checks against the contract.
#[derive(Debug, Clone)]
pub(crate) struct RawSource {
    pub(crate) spec: SourceSpec,
    pub(crate) file: String,
    pub(crate) port_line: u32,
    /// Line of each derived column, in the order of `spec.derive`.
    pub(crate) derive_lines: Vec<u32>,
}

/// Reads `source.yaml`. `ports` are the product's declared output ports.
pub(crate) fn read(file: &str, root: &Node, ports: &[PortName], findings: &mut Findings) -> Option<RawSource> {
    let known = ["port", "csv", "mode", "derive", "disorder", "disk_reserve_bytes"];
    let top = strict::fields(file, root, "source.yaml", &known, findings)?;
    let port = port(&top, ports, findings);
    let csv = top.required("csv", "{ file: data/rows.csv }", findings).and_then(|node| {
        let csv = strict::fields(file, node, "csv", &["file", "null_text"], findings)?;
        let path = csv.required_text("file", "data/rows.csv", findings)?;
        let null = csv.text("null_text", findings).unwrap_or_default();
        Some((path.to_owned(), null.to_owned()))
    });
    let mode = top.word("mode", &MODES, findings).unwrap_or(ReplayMode::Once);
    let mut derive = Vec::new();
    let mut derive_lines = Vec::new();
    for item in top.items("derive", findings) {
        if let Some(column) = derived(file, item, findings) {
            derive.push(column);
            derive_lines.push(item.line);
        }
    }
    let disorder = top.get("disorder").and_then(|node| disorder(file, node, findings));
    let reserve = top.number("disk_reserve_bytes", 0, 1 << 50, findings);
    let (csv_file, null) = csv?;
    Some(RawSource {
        spec: SourceSpec {
            port: port?,
            file: csv_file,
            null,
            mode,
            derive,
            disorder,
            disk_reserve_bytes: reserve.unwrap_or(DISK_RESERVE_BYTES_DEFAULT),
        },
        file: file.to_owned(),
        port_line: top.line("port"),
        derive_lines,
    })
}

fn port(top: &strict::Fields<'_>, ports: &[PortName], findings: &mut Findings) -> Option<PortName> {
    let names: Vec<&str> = ports.iter().map(PortName::as_str).collect();
    let Some(text) = top.text("port", findings) else {
        match ports {
            [port] => return Some(port.clone()),
            [] => return None, // that the product has no port has been reported
            _ => {}
        }
        findings.add(
            "MODEL-037",
            place(top.file, top.node.line),
            "source.yaml does not say which port the rows go to",
            format!("the product declares {} output ports", ports.len()),
            "declare one output port, or name it with `port:`",
        );
        return None;
    };
    let found = ports.iter().find(|port| port.as_str() == text);
    if found.is_none() {
        findings.add(
            "MODEL-037",
            place(top.file, top.line("port")),
            format!("source.yaml feeds port \"{text}\", which the product does not declare"),
            format!("its output ports are {}", names.join(", ")),
            near::suggest(text, &names),
        );
    }
    found.cloned()
}

fn derived(file: &str, node: &Node, findings: &mut Findings) -> Option<DerivedColumn> {
    let known = ["name", "timestamp", "plus_minutes"];
    let fields = strict::fields(file, node, "derive", &known, findings)?;
    let name = fields.required_text("name", "scheduled_at", findings);
    let timestamp = fields.required_text("timestamp", "time_hour", findings);
    let plus_minutes = fields.text("plus_minutes", findings).map(str::to_owned);
    Some(DerivedColumn { name: name?.to_owned(), timestamp: timestamp?.to_owned(), plus_minutes })
}

fn disorder(file: &str, node: &Node, findings: &mut Findings) -> Option<Disorder> {
    let fields = strict::fields(file, node, "disorder", &["rows", "seconds", "seed"], findings)?;
    for key in ["rows", "seconds"] {
        fields.required(key, "100", findings);
    }
    let rows = fields.number("rows", 1, 1 << 40, findings);
    let seconds = fields.number("seconds", 1, 1 << 32, findings);
    let seed = fields.number("seed", 0, i64::MAX.unsigned_abs(), findings).unwrap_or(0);
    Some(Disorder { rows: rows?, seconds: seconds?, seed })
}

/// Reads `external.yaml`: words for people, nothing that Weft runs.
pub(crate) fn read_external(file: &str, root: &Node, findings: &mut Findings) {
    let known = ["technology", "description", "repository", "runbook"];
    let Some(fields) = strict::fields(file, root, "external.yaml", &known, findings) else { return };
    fields.required_text("technology", "python service", findings);
    for key in ["description", "repository", "runbook"] {
        fields.text(key, findings);
    }
}

/// Checks derived columns against the columns of the port's contract.
pub(crate) fn check_columns(source: &RawSource, schema: &Schema, findings: &mut Findings) {
    let known: Vec<&str> = schema.columns.iter().map(|column| column.name.as_str()).collect();
    for (index, (derived, &line)) in source.spec.derive.iter().zip(&source.derive_lines).enumerate() {
        let mut wanted =
            vec![(derived.name.as_str(), ColumnType::Timestamp), (&derived.timestamp, ColumnType::Timestamp)];
        if let Some(minutes) = &derived.plus_minutes {
            wanted.push((minutes, ColumnType::Int64));
        }
        for (name, column_type) in wanted {
            let needed = crate::contract::type_name(column_type);
            let (because, try_) = match schema.column(name) {
                Some(column) if column.column_type == column_type => continue,
                Some(column) => {
                    let found = crate::contract::type_name(column.column_type);
                    let because = format!("the contract says {found}, `derive` needs {needed}");
                    (because, format!("name a column of type {needed}"))
                }
                None => ("the contract of the port has no such column".to_owned(), near::suggest(name, &known)),
            };
            findings.add(
                "MODEL-037",
                place(&source.file, line),
                format!("`derive` names column \"{name}\", which it cannot use"),
                because,
                try_,
            );
        }
        let twice = source.spec.derive[..index].iter().any(|before| before.name == derived.name);
        if twice || derived.timestamp == derived.name {
            findings.add(
                "MODEL-037",
                place(&source.file, line),
                format!("column \"{}\" is derived twice, or from itself", derived.name),
                "every derived column has one definition over columns of the file",
                "keep one definition",
            );
        }
    }
}

/// A source writes one port and reads none.
pub(crate) fn check_ports(source: &RawSource, raw: &product::RawProduct, findings: &mut Findings) {
    if let Some(input) = raw.inputs.first() {
        findings.add(
            "MODEL-035",
            place(&raw.file, input.line),
            format!("source product \"{}\" has an input port", raw.id),
            "source.yaml reads a file; it has no way to read a port",
            "drop `inputPorts`, or write transform.sql in place of source.yaml",
        );
    }
    for output in &raw.outputs {
        if output.name != source.spec.port {
            findings.add(
                "MODEL-037",
                place(&raw.file, output.line),
                format!("nothing would ever be written to port \"{}\"", output.name),
                format!("{} feeds port \"{}\" only (line {})", source.file, source.spec.port, source.port_line),
                "make it a product of its own",
            );
        }
    }
}
