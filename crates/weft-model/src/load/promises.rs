//! What one product says about the contracts of others, checked against the mesh: the `contractId` and `version` of an
//! input port, and the `inputContracts` of an output port, are those of a port that the product reads.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::contract::Contract;
use super::findings::{Findings, place};
use super::near;
use super::product::{ContractRef, RawInput, RawProduct, reads_uri};
use crate::name::{PortId, ProductId};
use crate::product::OutputPort;

/// All contracts of a mesh, by the product whose folder they lie in.
pub(crate) type Contracts = BTreeMap<ProductId, Vec<Contract>>;

/// The contract of a port.
fn contract_of<'a>(contracts: &'a Contracts, port: &OutputPort) -> Option<&'a Contract> {
    let own = contracts.get(&port.id.product)?;
    own.iter().find(|contract| contract.id == port.contract_id && contract.major == Some(port.id.major))
}

/// An input port names the contract of the port that it reads, in a version that this one has.
pub(crate) fn input(
    raw: &RawProduct,
    input: &RawInput,
    port: &OutputPort,
    contracts: &Contracts,
    findings: &mut Findings,
) {
    if let Some((contract_id, line)) = &input.contract_id
        && *contract_id != port.contract_id
    {
        findings.add(
            "MODEL-039",
            place(&raw.file, *line),
            format!("input port \"{}\" expects another contract than the port it reads", input.name),
            format!("it says \"{contract_id}\", {} has \"{}\"", reads_uri(&port.id), port.contract_id),
            format!("write `contractId: {}`, or read another port", port.contract_id),
        );
        return; // versions of two contracts do not compare
    }
    let (Some((version, line)), Some(contract)) = (&input.version, contract_of(contracts, port)) else { return };
    match fits(version, contract) {
        Fit::Yes => {}
        Fit::OtherMajor => findings.add(
            "MODEL-015",
            place(&raw.file, *line),
            format!("input port \"{}\" expects another major version than the port it reads", input.name),
            format!("it says \"{version}\", {} has \"{}\" ({})", reads_uri(&port.id), contract.version, at(contract)),
            format!("write `version: {}`, or read another port", contract.version),
        ),
        Fit::Newer => findings.add(
            "MODEL-015",
            place(&raw.file, *line),
            format!("input port \"{}\" expects a newer version than the port it reads", input.name),
            format!("it says \"{version}\", {} has \"{}\" ({})", reads_uri(&port.id), contract.version, at(contract)),
            format!("write `version: {}`, or let its owner raise the contract first", contract.version),
        ),
    }
}

/// What an output port says to be made from: contracts of ports that the product reads. `reads`: those ports, all of them.
pub(crate) fn output(
    raw: &RawProduct,
    reads: &[&OutputPort],
    contracts: &Contracts,
    computed_here: bool,
    findings: &mut Findings,
) {
    for output in &raw.outputs {
        for made_from in &output.input_contracts {
            let found = reads.iter().find(|port| port.contract_id == made_from.id);
            let Some(contract) = found.and_then(|port| contract_of(contracts, port)) else {
                unread(raw, output.name.as_str(), made_from, reads, contracts, computed_here, findings);
                continue;
            };
            // One contract may be read in two majors.
            let fitting = reads.iter().filter(|port| port.contract_id == made_from.id);
            let mut fits =
                fitting.filter_map(|port| contract_of(contracts, port)).map(|one| fits(&made_from.version, one));
            if fits.any(|fit| fit == Fit::Yes) {
                continue;
            }
            findings.add(
                "MODEL-045",
                place(&raw.file, made_from.version_line),
                format!("output port \"{}\" is made from a version that the product does not read", output.name),
                format!(
                    "`inputContracts` says \"{}\" of contract \"{}\", the port that is read has \"{}\" ({})",
                    made_from.version,
                    made_from.id,
                    contract.version,
                    at(contract)
                ),
                format!("write `version: {}`", contract.version),
            );
        }
    }
}

fn unread(
    raw: &RawProduct,
    output: &str,
    made_from: &ContractRef,
    reads: &[&OutputPort],
    contracts: &Contracts,
    computed_here: bool,
    findings: &mut Findings,
) {
    let of_mesh = contracts.values().flatten().find(|contract| contract.id == made_from.id);
    let because = match of_mesh {
        Some(contract) => format!("contract \"{}\" ({}) is not that of any of its inputs", made_from.id, at(contract)),
        None if computed_here => format!("no contract of the mesh has the id \"{}\"", made_from.id),
        // What others compute may be made from what no mesh knows.
        None => return,
    };
    let ids: Vec<&str> = reads.iter().map(|port| port.contract_id.as_str()).collect();
    let try_ = match near::near_miss(&made_from.id, ids.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None if ids.is_empty() => "add the input port, or drop the entry".to_owned(),
        None => format!("add the input port, or write one of {}", ids.join(", ")),
    };
    findings.add(
        "MODEL-045",
        place(&raw.file, made_from.line),
        format!("output port \"{output}\" is made from a contract that no input port reads"),
        because,
        try_,
    );
}

fn at(contract: &Contract) -> String {
    format!("{}:{}", contract.file, contract.version_line)
}

/// How a version that a reader names stands to that of a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    /// The same major, and the contract has all that the reader knows of.
    Yes,
    OtherMajor,
    /// The reader knows of a minor or patch that the contract does not have.
    Newer,
}

fn fits(expected: &str, contract: &Contract) -> Fit {
    let (expected, found) = (numbers(expected), numbers(&contract.version));
    if expected.first() != found.first() {
        return Fit::OtherMajor;
    }
    // `1` and `1.2` leave the rest open.
    match expected.cmp(&found) {
        Ordering::Greater => Fit::Newer,
        Ordering::Less | Ordering::Equal => Fit::Yes,
    }
}

/// `v1.2.0-beta` is 1, 2, 0; what is no number ends it.
fn numbers(version: &str) -> Vec<u64> {
    let core = version.strip_prefix('v').unwrap_or(version).split(['-', '+']).next().unwrap_or_default();
    core.split('.').map_while(|part| part.parse().ok()).collect()
}

/// The ports that the resolved inputs of a product read.
pub(crate) fn reads<'a>(
    inputs: impl Iterator<Item = &'a PortId>,
    ports: &'a BTreeMap<PortId, (OutputPort, bool)>,
) -> Vec<&'a OutputPort> {
    inputs.filter_map(|id| ports.get(id)).map(|(port, _)| port).collect()
}
