//! Puts products together: ports with their contracts, inputs with the ports of others.

use std::collections::BTreeMap;

use super::LoadOptions;
use super::contract::{self, Contract, Table};
use super::findings::{Findings, place};
use super::layout::{Layout, ProductFiles};
use super::mesh_yaml::MeshFile;
use super::near;
use super::product::{self, RawInput, RawOutput, RawProduct, reads_uri};
use super::source;
use crate::builtin_ports::builtin_ports;
use crate::kind::{Diagnostic, Kind, Place};
use crate::name::{PortId, PortName, ProductId};
use crate::product::{Behaviour, InputPort, OutputPort, PortKind, PortRole, Product};
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
    let mut contracts: BTreeMap<ProductId, Vec<Contract>> = BTreeMap::new();
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
    let known = Known { ports, raws: &raws, layout };
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

fn duplicate_contracts(contracts: &BTreeMap<ProductId, Vec<Contract>>, findings: &mut Findings) {
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
    contracts: &BTreeMap<ProductId, Vec<Contract>>,
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
    contracts: &BTreeMap<ProductId, Vec<Contract>>,
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
    contracts: &'a BTreeMap<ProductId, Vec<Contract>>,
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

/// What inputs may refer to.
struct Known<'a> {
    ports: BTreeMap<PortId, (OutputPort, bool)>,
    raws: &'a BTreeMap<ProductId, RawProduct>,
    layout: &'a Layout,
}

impl Known<'_> {
    fn input(&self, raw: &RawProduct, input: &RawInput, findings: &mut Findings) -> Option<InputPort> {
        if input.broken {
            return None;
        }
        let reads = match &input.reads {
            Some((port, line)) => self.named(raw, input, port, *line, findings)?,
            None => self.by_contract(raw, input, findings)?,
        };
        let (port, external) = &self.ports[&reads];
        if let Some((contract_id, line)) = &input.contract_id
            && *contract_id != port.contract_id
        {
            findings.add(
                "MODEL-039",
                place(&raw.file, *line),
                format!("input port \"{}\" expects another contract than the port it reads", input.name),
                format!("it says \"{contract_id}\", {} has \"{}\"", reads_uri(&reads), port.contract_id),
                format!("write `contractId: {}`, or read another port", port.contract_id),
            );
        }
        if let Some(major) = input.major
            && major != reads.major
        {
            findings.add(
                "MODEL-015",
                place(&raw.file, input.line),
                format!("input port \"{}\" says two major versions", input.name),
                format!("`version` says {major}, `reads` says {}", reads.major),
                "give both the same major",
            );
        }
        if input.broadcast && port.kind == PortKind::Append {
            findings.add(
                "MODEL-041",
                place(&raw.file, input.line),
                format!("input port \"{}\" broadcasts a stream", input.name),
                format!("{} is `append`; only a table can be held whole", reads_uri(&reads)),
                "drop `broadcast`, or read a port whose contract says `kind: upsert`",
            );
        }
        if input.bound_ms > 0 && !external && !port.adopted {
            findings.add(
                "MODEL-041",
                place(&raw.file, input.line),
                format!("input port \"{}\" sets a bound that has no effect", input.name),
                format!("Weft writes {} and knows its progress exactly", reads_uri(&reads)),
                "drop `watermarkBoundMs`: it is for topics that others write",
            );
        }
        Some(InputPort { name: input.name.clone(), reads, broadcast: input.broadcast, bound_ms: input.bound_ms })
    }

    /// The port that `reads` names.
    fn named(
        &self,
        raw: &RawProduct,
        input: &RawInput,
        port: &PortId,
        line: u32,
        findings: &mut Findings,
    ) -> Option<PortId> {
        if self.ports.contains_key(port) {
            return Some(port.clone());
        }
        if self.is_broken(port) {
            return None;
        }
        let majors: Vec<String> = self
            .ports
            .keys()
            .filter(|known| known.product == port.product && known.port == port.port)
            .map(|known| format!("v{}", known.major))
            .collect();
        let uris: Vec<String> = self.ports.keys().map(reads_uri).collect();
        let uris: Vec<&str> = uris.iter().map(String::as_str).collect();
        let (because, try_) = if majors.is_empty() {
            let because = match self.raws.get(&port.product) {
                Some(_) => format!("product \"{}\" has no output port \"{}\"", port.product, port.port),
                None => format!("the mesh has no product \"{}\"", port.product),
            };
            let mut try_ = near::suggest(&reads_uri(port), &uris);
            if !try_.starts_with("did") {
                let of_product: Vec<&str> = uris
                    .iter()
                    .copied()
                    .filter(|uri| uri.starts_with(&format!("weft://{}/{}/", port.product.domain, port.product.product)))
                    .collect();
                if !of_product.is_empty() {
                    try_ = format!("it has {}", of_product.join(", "));
                }
            }
            (because, try_)
        } else {
            (
                format!("port \"{}.{}\" has {}, not v{}", port.product, port.port, majors.join(", "), port.major),
                format!("read {}", majors.join(" or ")),
            )
        };
        findings.add(
            "MODEL-030",
            place(&raw.file, line),
            format!("input port \"{}\" reads a port that does not exist", input.name),
            because,
            try_,
        );
        None
    }

    /// The one port that has the input's contract.
    fn by_contract(&self, raw: &RawProduct, input: &RawInput, findings: &mut Findings) -> Option<PortId> {
        let Some((contract_id, line)) = &input.contract_id else {
            findings.add(
                "MODEL-030",
                place(&raw.file, input.line),
                format!("input port \"{}\" does not say what it reads", input.name),
                "it has neither custom property `reads` nor a `contractId`",
                "add `{ property: reads, value: \"weft://<domain>/<product>/<port>/v1\" }`",
            );
            return None;
        };
        let fits = |port: &&OutputPort| {
            port.contract_id == *contract_id && input.major.is_none_or(|major| port.id.major == major)
        };
        let found: Vec<&OutputPort> = self.ports.values().map(|(port, _)| port).filter(fits).collect();
        match found[..] {
            [port] => return Some(port.id.clone()),
            [] if self.layout.products.values().any(|files| files.broken) => return None,
            [] => {
                let declared = self.raws.values().flat_map(|raw| &raw.outputs);
                let mut ids = declared.filter_map(|output| output.contract_id.as_ref());
                if ids.any(|(id, _)| id == contract_id) {
                    return None; // that port is wrong itself, which has been reported
                }
                let ids: Vec<&str> = self.ports.values().map(|(port, _)| port.contract_id.as_str()).collect();
                findings.add(
                    "MODEL-030",
                    place(&raw.file, *line),
                    format!("input port \"{}\" reads a port that does not exist", input.name),
                    format!("no output port of the mesh has contract \"{contract_id}\""),
                    near::near_miss(contract_id, ids).map_or_else(
                        || "add `reads`, or mend the id".to_owned(),
                        |near| format!("did you mean \"{near}\"?"),
                    ),
                );
            }
            _ => {
                let uris: Vec<String> = found.iter().map(|port| reads_uri(&port.id)).collect();
                findings.add(
                    "MODEL-030",
                    place(&raw.file, *line),
                    format!("input port \"{}\" may read several ports", input.name),
                    format!("contract \"{contract_id}\" is that of {}", uris.join(", ")),
                    "say which with custom property `reads`",
                );
            }
        }
        None
    }

    /// Is the port declared, but wrong in a way that has been reported?
    fn is_broken(&self, port: &PortId) -> bool {
        let declared = self.raws.get(&port.product).is_some_and(|raw| {
            let resolved = self.ports.keys().any(|known| known.product == port.product && known.port == port.port);
            !resolved && (raw.outputs.is_empty() || raw.outputs.iter().any(|output| output.name == port.port))
        });
        declared || self.layout.products.get(&port.product).is_some_and(|files| files.broken)
    }
}
