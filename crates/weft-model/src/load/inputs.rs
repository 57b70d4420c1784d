//! Which port an input reads: the one it names, or the one that has its contract.

use std::collections::BTreeMap;

use super::findings::{Findings, place};
use super::layout::Layout;
use super::near;
use super::product::{RawInput, RawProduct, reads_uri};
use super::promises::{self, Contracts};
use crate::name::{PortId, ProductId};
use crate::product::{InputPort, OutputPort, PortKind};

/// What inputs may refer to.
pub(super) struct Known<'a> {
    pub(super) ports: BTreeMap<PortId, (OutputPort, bool)>,
    pub(super) raws: &'a BTreeMap<ProductId, RawProduct>,
    pub(super) layout: &'a Layout,
    pub(super) contracts: &'a Contracts,
}

impl Known<'_> {
    /// The input with the port that it reads.
    pub(super) fn input(&self, raw: &RawProduct, input: &RawInput, findings: &mut Findings) -> Option<InputPort> {
        if input.broken {
            return None;
        }
        let reads = match &input.reads {
            Some((port, line)) => self.named(raw, input, port, *line, findings)?,
            None => self.by_contract(raw, input, findings)?,
        };
        let (port, external) = &self.ports[&reads];
        promises::input(raw, input, port, self.contracts, findings);
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
