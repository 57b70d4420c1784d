//! Puts products together: ports with their contracts, inputs with the ports of others.

use std::collections::BTreeMap;

use super::LoadOptions;
use super::contract::{self, Contract, Table};
use super::findings::{Findings, place};
use super::inputs::Known;
use super::layout::{Layout, ProductFiles};
use super::mesh_yaml::MeshFile;
use super::near;
use super::product::{self, RawOutput, RawProduct};
use super::promises::{self, Contracts};
use super::source;
use crate::builtin_ports::builtin_ports;
use crate::kind::{Diagnostic, Kind, Place};
use crate::name::{PortId, PortName, ProductId};
use crate::product::{Behaviour, OutputPort, PortKind, PortRole, Product};
use crate::topic;

/// A product with the places its checks need.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) product: Product,
    pub(crate) raw: RawProduct,
    /// Line of each of `product.inputs`.
    pub(crate) input_lines: Vec<u32>,
    /// Where each of `product.outputs` is declared; for built-in ports, the descriptor.
    pub(crate) output_places: Vec<Place>,
}

/// All products whose descriptor can be read.
pub(crate) fn products(
    layout: &Layout,
    mesh: &MeshFile,
    options: &LoadOptions,
    findings: &mut Findings,
) -> BTreeMap<ProductId, Resolved> {
    let mut raws: BTreeMap<ProductId, RawProduct> = BTreeMap::new();
    let mut contracts: Contracts = BTreeMap::new();
    for (id, files) in &layout.products {
        if let Some((file, node)) = &files.descriptor {
            raws.insert(id.clone(), product::read(file, node, id, findings));
        }
        let read = files.contracts.iter().filter_map(|(file, node)| contract::read(file, node, findings)).collect();
        contracts.insert(id.clone(), read);
    }
    duplicate_contracts(&contracts, findings);

    let mut resolved: BTreeMap<ProductId, Resolved> = BTreeMap::new();
    for (id, raw) in &raws {
        let files = &layout.products[id];
        if let Some(product) = outputs(raw, files, &contracts, mesh, options, findings) {
            resolved.insert(id.clone(), product);
        }
    }
    unknown_sources(&resolved, options, findings);

    let ports: BTreeMap<PortId, (OutputPort, bool)> = resolved
        .values()
        .flat_map(|resolved| {
            let external = matches!(resolved.product.behaviour, Behaviour::External);
            resolved.product.outputs.iter().map(move |port| (port.id.clone(), (port.clone(), external)))
        })
        .collect();
    let known = Known { ports, raws: &raws, layout, contracts: &contracts };
    for (id, raw) in &raws {
        let mut inputs = Vec::new();
        let mut lines = Vec::new();
        for (at, input) in raw.inputs.iter().enumerate() {
            if let Some(before) = raw.inputs[..at].iter().find(|before| before.name == input.name) {
                twice(&raw.file, input.line, &format!("input port \"{}\"", input.name), before.line, findings);
                continue;
            }
            if let Some(port) = known.input(raw, input, findings) {
                inputs.push(port);
                lines.push(input.line);
            }
        }
        if let Some(resolved) = resolved.get_mut(id) {
            if inputs.len() == raw.inputs.len() {
                let reads = promises::reads(inputs.iter().map(|input| &input.reads), &known.ports);
                let computed_here = matches!(resolved.product.behaviour, Behaviour::Transform { .. });
                promises::output(raw, &reads, &contracts, computed_here, findings);
            }
            resolved.product.inputs = inputs;
            resolved.input_lines = lines;
        }
    }
    resolved
}

fn twice(file: &str, line: u32, what: &str, before: u32, findings: &mut Findings) {
    findings.add(
        "MODEL-031",
        place(file, line),
        format!("{what} stands twice"),
        format!("first in line {before}"),
        "rename or remove one of them",
    );
}

fn duplicate_contracts(contracts: &Contracts, findings: &mut Findings) {
    let mut seen: BTreeMap<(&str, Option<u32>), &Contract> = BTreeMap::new();
    for contract in contracts.values().flatten() {
        if let Some(before) = seen.insert((&contract.id, contract.major), contract) {
            findings.add(
                "MODEL-021",
                place(&contract.file, contract.id_line),
                format!("contract id \"{}\" is taken", contract.id),
                format!("{}:{} has the same id and major version", before.file, before.id_line),
                "give each contract an id of its own; two files of one contract differ in the major of `version`",
            );
        }
    }
}

fn unknown_sources(products: &BTreeMap<ProductId, Resolved>, options: &LoadOptions, findings: &mut Findings) {
    for id in options.source_files.keys() {
        let is_source =
            products.get(id).is_some_and(|resolved| matches!(resolved.product.behaviour, Behaviour::Source(_)));
        if is_source {
            continue;
        }
        let sources: Vec<String> = products
            .iter()
            .filter(|(_, resolved)| matches!(resolved.product.behaviour, Behaviour::Source(_)))
            .map(|(id, _)| id.to_string())
            .collect();
        let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
        findings.push(Diagnostic {
            kind: Kind::NotFound,
            code: "MODEL-044",
            what: format!("cannot read another file for \"{id}\""),
            because: "the mesh has no source product of that name".to_owned(),
            try_: near::suggest(&id.to_string(), &sources),
            place: None,
        });
    }
}

/// The product without its inputs.
fn outputs(
    raw: &RawProduct,
    files: &ProductFiles,
    contracts: &Contracts,
    mesh: &MeshFile,
    options: &LoadOptions,
    findings: &mut Findings,
) -> Option<Resolved> {
    let mut outputs: Vec<OutputPort> = Vec::new();
    let mut output_places = Vec::new();
    if raw.outputs.is_empty() && !findings.has(&raw.file) {
        findings.add(
            "MODEL-007",
            place(&raw.file, raw.line),
            format!("product \"{}\" has no output port", raw.id),
            "a product is what others can read",
            "add `outputPorts:` with `name`, `version` and `contractId`",
        );
    }
    for output in &raw.outputs {
        let Some(port) = output_port(raw, output, contracts, mesh, options, findings) else { continue };
        if let Some(at) = outputs.iter().position(|before| before.id == port.id) {
            let before: &Place = &output_places[at];
            twice(&raw.file, output.line, &format!("output port \"{}\"", port.id), before.line, findings);
            continue;
        }
        outputs.push(port);
        output_places.push(place(&raw.file, output.line));
    }
    let behaviour = behaviour(raw, files, &outputs, options, findings)?;
    if behaviour != Behaviour::External {
        for port in builtin_ports(&mesh.topic_prefix, &raw.id) {
            outputs.push(port);
            output_places.push(place(&raw.file, raw.line));
        }
    }
    Some(Resolved {
        product: Product {
            id: raw.id.clone(),
            owner: raw.owner.clone(),
            version: raw.version.clone(),
            status: raw.status,
            purpose: raw.purpose.clone(),
            tags: raw.tags.clone(),
            inputs: Vec::new(),
            outputs,
            behaviour,
            parameters: raw
                .parameters
                .iter()
                .map(|(name, parameter)| (name.clone(), parameter.value.clone()))
                .collect(),
        },
        raw: raw.clone(),
        input_lines: Vec::new(),
        output_places,
    })
}

fn behaviour(
    raw: &RawProduct,
    files: &ProductFiles,
    outputs: &[OutputPort],
    options: &LoadOptions,
    findings: &mut Findings,
) -> Option<Behaviour> {
    if let Some((file, node)) = &files.source {
        let names: Vec<PortName> = raw.outputs.iter().map(|output| output.name.clone()).collect();
        let mut source = source::read(file, node, &names, findings)?;
        source::check_ports(&source, raw, findings);
        if let Some(port) = outputs.iter().find(|port| port.id.port == source.spec.port) {
            source::check_columns(&source, &port.schema, findings);
        }
        if let Some(file) = options.source_files.get(&raw.id) {
            source.spec.file.clone_from(file);
        }
        return Some(Behaviour::Source(source.spec));
    }
    if let Some((file, sql)) = &files.transform {
        return Some(Behaviour::Transform { sql: sql.clone(), file: file.clone() });
    }
    let (file, node) = files.external.as_ref()?;
    source::read_external(file, node, findings);
    Some(Behaviour::External)
}

fn output_port(
    raw: &RawProduct,
    output: &RawOutput,
    contracts: &Contracts,
    mesh: &MeshFile,
    options: &LoadOptions,
    findings: &mut Findings,
) -> Option<OutputPort> {
    let contract = find_contract(raw, output, contracts, findings)?;
    let major = contract.major?;
    let table = contract.table.as_ref()?;
    let id = PortId { product: raw.id.clone(), port: output.name.clone(), major };
    let adopted = output.topic.is_some();
    let topic = match &output.topic {
        Some((topic, _)) => topic.clone(),
        None => topic::port_topic(&mesh.topic_prefix, &id),
    };
    check_physical_name(contract, table, &topic, mesh, findings);
    if adopted && output.partitions.is_none() {
        findings.add(
            "MODEL-028",
            place(&raw.file, output.line),
            format!("port \"{}\" adopts a topic without saying how many partitions it has", output.name),
            format!("topic \"{topic}\" was made by somebody else"),
            "add `{ property: partitions, value: … }` as the topic has it",
        );
    }
    let declared = output.partitions.unwrap_or(mesh.partitions);
    let partitions = if adopted { declared } else { options.partitions.unwrap_or(declared) };
    if let Some((format, line)) = &contract.format
        && format != "json"
    {
        findings.add(
            "MODEL-027",
            place(&contract.file, *line),
            format!("port \"{}\" is encoded in a way that Weft does not speak yet", output.name),
            format!("the contract's kafka server says `format: {format}`, this version speaks only `json`"),
            "write `format: json`",
        );
    }
    let mut retention_ms = -1;
    if let Some((ms, line)) = contract.retention {
        if table.kind == PortKind::Upsert && ms != -1 {
            findings.add(
                "MODEL-029",
                place(&contract.file, line),
                format!("port \"{}\" is a table with a retention", output.name),
                "a table keeps the last value of every key for ever; nothing of it expires by age",
                "drop the SLA `retention`, or write `kind: append`",
            );
        } else {
            retention_ms = ms;
        }
    }
    let description = if output.description.is_empty() { &contract.description } else { &output.description };
    Some(OutputPort {
        id,
        role: PortRole::Declared,
        kind: table.kind,
        topic,
        adopted,
        partitions,
        contract_id: contract.id.clone(),
        description: description.clone(),
        schema: table.schema.clone(),
        key: table.key.clone(),
        event_time: table.event_time.clone(),
        event_time_offset_ms: table.event_time_offset_ms,
        column_docs: table.docs.clone(),
        encoding: output.encoding,
        retention_ms,
    })
}

/// The contract of an output port: by id among the product's own contracts, and by major where there are several.
fn find_contract<'a>(
    raw: &RawProduct,
    output: &RawOutput,
    contracts: &'a Contracts,
    findings: &mut Findings,
) -> Option<&'a Contract> {
    let own = contracts.get(&raw.id).map(Vec::as_slice).unwrap_or_default();
    let Some((contract_id, line)) = &output.contract_id else {
        findings.add(
            "MODEL-020",
            place(&raw.file, output.line),
            format!("output port \"{}\" has no contract", output.name),
            "it has no `contractId`",
            "add `contractId:` with the `id` of a contract in the product's folder",
        );
        return None;
    };
    let candidates: Vec<&Contract> = own.iter().filter(|contract| contract.id == *contract_id).collect();
    if candidates.is_empty() {
        let elsewhere = contracts.values().flatten().find(|contract| contract.id == *contract_id);
        let ids: Vec<&str> = own.iter().map(|contract| contract.id.as_str()).collect();
        let (because, try_) = match elsewhere {
            Some(contract) => (
                format!("it lies in {}, the folder of another product", contract.file),
                "move the contract into this product's folder, or give the port its own".to_owned(),
            ),
            None => (
                "no *.odcs.yaml in the product's folder has that `id`".to_owned(),
                match near::suggest(contract_id, &ids) {
                    text if text.is_empty() => "add the contract".to_owned(),
                    text => text,
                },
            ),
        };
        findings.add(
            "MODEL-020",
            place(&raw.file, *line),
            format!("contract \"{contract_id}\" of output port \"{}\" is missing", output.name),
            because,
            try_,
        );
        return None;
    }
    let fits = |contract: &&Contract| output.major.is_none_or(|(major, _)| contract.major == Some(major));
    let mut fitting = candidates.iter().copied().filter(fits);
    let Some(contract) = fitting.next() else {
        let line = output.major.map_or(output.line, |(_, line)| line);
        let first = candidates[0];
        if first.major.is_some() {
            findings.add(
                "MODEL-015",
                place(&raw.file, line),
                format!("output port \"{}\" and its contract differ in their major version", output.name),
                format!(
                    "the port says {}, contract \"{contract_id}\" says \"{}\" ({}:{})",
                    output.major.map_or(0, |(major, _)| major),
                    first.version,
                    first.file,
                    first.version_line
                ),
                "give both the same major",
            );
        }
        return None;
    };
    if fitting.next().is_some() && output.major.is_none() {
        findings.add(
            "MODEL-015",
            place(&raw.file, output.line),
            format!("output port \"{}\" does not say which version of its contract holds", output.name),
            format!("there are {} contracts \"{contract_id}\"", candidates.len()),
            "add `version:` to the port",
        );
        return None;
    }
    Some(contract)
}

fn check_physical_name(contract: &Contract, table: &Table, topic: &str, mesh: &MeshFile, findings: &mut Findings) {
    let Some((name, line)) = &table.physical_name else { return };
    if name == topic || topic.strip_prefix(mesh.topic_prefix.as_str()) == Some(name) {
        return;
    }
    findings.add(
        "MODEL-038",
        place(&contract.file, *line),
        "the contract names another topic than its port has",
        format!("`physicalName` is \"{name}\", the port's topic is \"{topic}\""),
        format!("write `physicalName: {topic}`; a port adopts a topic of another name with custom property `topic`"),
    );
}
