//! From the graph to the program: sub-topologies are cut where the key changes, operators get their ids.

use std::collections::{BTreeMap, HashMap};

use weft_model::mesh::Mesh;
use weft_model::product::{Behaviour, InputPort, OutputPort, PortKind, PortRole, Product};
use weft_model::schema::Schema;

use super::graph::{Edge, Graph, Kind};
use super::refuse::{Outcome, refuse};
use crate::ir::{
    Destination, DestinationTo, From, Input, InputFrom, InputProgress, Operator, OperatorId, OperatorKind, Program,
    Store, SubTopology, VERSION,
};

/// What the cut needs to know of the product.
pub(super) struct Cut<'a> {
    pub(super) mesh: &'a Mesh,
    pub(super) product: &'a Product,
    pub(super) graph: &'a Graph,
    /// Sink node → its port.
    pub(super) sinks: &'a BTreeMap<usize, &'a OutputPort>,
    pub(super) previous: Option<&'a Program>,
}

/// Groups of nodes that run in one task.
struct Union(Vec<usize>);

impl Union {
    fn root(&self, at: usize) -> usize {
        if self.0[at] == at { at } else { self.root(self.0[at]) }
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        let (low, high) = (a.min(b), a.max(b));
        self.0[high] = low;
    }
}

impl Cut<'_> {
    fn input(&self, name: &str) -> (&InputPort, &OutputPort) {
        let input = self.product.inputs.iter().find(|input| input.name == name).expect("resolved before");
        (input, self.mesh.port(&input.reads).expect("validated"))
    }

    /// A broadcast input and the table over it are in every sub-topology that uses them.
    fn everywhere(&self, node: usize) -> bool {
        match &self.graph.nodes[node].kind {
            Kind::Scan { input } => self.input(input).0.broadcast,
            Kind::Op(OperatorKind::Table { store }) => store.is_none(),
            Kind::Op(_) => false,
        }
    }

    fn is_rekey(&self, node: usize) -> bool {
        matches!(self.graph.nodes[node].kind, Kind::Op(OperatorKind::Rekey { .. }))
    }

    pub(super) fn program(&self) -> Outcome<Program> {
        let used = self.used();
        let count = self.graph.nodes.len();
        let mut union = Union((0..count).collect());
        for at in (0..count).filter(|&at| used[at] && !self.everywhere(at)) {
            for edge in &self.graph.nodes[at].from {
                if !self.is_rekey(edge.node) && !self.everywhere(edge.node) {
                    union.join(at, edge.node);
                }
            }
        }
        let roots: Vec<usize> = (0..count).map(|at| union.root(at)).collect();
        let groups = self.in_order(&roots, &used)?;
        let structures = self.structures();
        let mut ids = Ids::new(self.previous);
        let names: Vec<OperatorId> = (0..count)
            .map(|at| {
                let named = used[at] && matches!(self.graph.nodes[at].kind, Kind::Op(_));
                if named { ids.of(&structures[at]) } else { String::new() }
            })
            .collect();
        let mut program = Program {
            version: VERSION,
            mesh: self.mesh.id.clone(),
            product: self.product.id.clone(),
            next_operator: 0,
            subtopologies: Vec::new(),
            destinations: Vec::new(),
        };
        for group in groups {
            let members: Vec<usize> =
                (0..count).filter(|&at| used[at] && roots[at] == group && !self.everywhere(at)).collect();
            self.subtopology(&members, &structures, &names, &mut program);
        }
        self.builtin_destinations(&mut program);
        program.next_operator = ids.next;
        Ok(program)
    }

    fn used(&self) -> Vec<bool> {
        let mut used = vec![false; self.graph.nodes.len()];
        for at in (0..used.len()).rev() {
            used[at] |= self.sinks.contains_key(&at);
            if used[at] {
                for edge in &self.graph.nodes[at].from {
                    used[edge.node] = true;
                }
            }
        }
        used
    }

    /// Groups such that each reads only repartition topics of earlier ones.
    fn in_order(&self, roots: &[usize], used: &[bool]) -> Outcome<Vec<usize>> {
        let mut needs: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (at, node) in self.graph.nodes.iter().enumerate() {
            if !used[at] || self.everywhere(at) {
                continue;
            }
            let needs = needs.entry(roots[at]).or_default();
            needs.extend(node.from.iter().filter(|edge| self.is_rekey(edge.node)).map(|edge| roots[edge.node]));
        }
        let mut order: Vec<usize> = Vec::new();
        while order.len() < needs.len() {
            let ready = needs
                .iter()
                .find(|(group, needs)| !order.contains(group) && needs.iter().all(|need| order.contains(need)));
            match ready {
                Some((group, _)) => order.push(*group),
                None => {
                    return Err(refuse(
                        "SQL-015",
                        "an input is joined with itself by its own key and by another",
                        "the same task would have to read what it repartitions",
                        "compute the repartitioned side in a product of its own",
                    ));
                }
            }
        }
        Ok(order)
    }

    /// What every node computes, whatever its number: hash of its kind and of what it is computed from.
    fn structures(&self) -> Vec<String> {
        let mut structures: Vec<String> = Vec::new();
        for node in &self.graph.nodes {
            let mut text = match &node.kind {
                Kind::Scan { input } => {
                    let (input, port) = self.input(input);
                    format!("scan {} {} {:?}", port.topic, input.broadcast, node.columns)
                }
                Kind::Op(kind) => serde_json::to_string(kind).expect("an operator is JSON"),
            };
            text.push_str(&node.salt);
            for edge in &node.from {
                text.push_str(&format!(" {} {}", structures[edge.node], edge.is_final));
            }
            structures.push(fnv(&text));
        }
        structures
    }

    fn subtopology(&self, members: &[usize], structures: &[String], names: &[OperatorId], program: &mut Program) {
        let mut sub = SubTopology { partitions: 1, inputs: Vec::new(), operators: Vec::new(), stores: Vec::new() };
        let mut places: HashMap<usize, From> = HashMap::new();
        for &at in members {
            self.place(at, structures, names, program, &mut sub, &mut places);
        }
        let partitions = sub.inputs.iter().filter(|input| !input.broadcast).map(|input| input.partitions);
        sub.partitions = partitions.max().unwrap_or(1);
        for operator in &sub.operators {
            if let OperatorKind::Rekey { destination, .. } | OperatorKind::Sink { destination, .. } = operator.kind {
                program.destinations[destination].writers = sub.partitions;
            }
        }
        program.subtopologies.push(sub);
    }

    fn place(
        &self,
        at: usize,
        structures: &[String],
        names: &[OperatorId],
        program: &mut Program,
        sub: &mut SubTopology,
        places: &mut HashMap<usize, From>,
    ) -> From {
        if let Some(&place) = places.get(&at) {
            return place;
        }
        let node = &self.graph.nodes[at];
        let mut kind = match &node.kind {
            Kind::Scan { input } => {
                sub.inputs.push(self.port_input(input, &node.columns));
                let place = From::Input(sub.inputs.len() - 1);
                places.insert(at, place);
                return place;
            }
            Kind::Op(kind) => kind.clone(),
        };
        let from = node
            .from
            .iter()
            .map(|edge: &Edge| {
                if self.is_rekey(edge.node) {
                    return self.repartition_input(edge.node, names, program, sub, places);
                }
                match self.place(edge.node, structures, names, program, sub, places) {
                    From::Operator(place) if edge.is_final => From::Final(place),
                    place => place,
                }
            })
            .collect();
        match &mut kind {
            OperatorKind::WindowAggregate { store, .. }
            | OperatorKind::WindowJoin { store, .. }
            | OperatorKind::Table { store: Some(store) } => {
                *store = sub.stores.len();
                sub.stores.push(Store { operator: names[at].clone() });
            }
            OperatorKind::Rekey { destination, key } => {
                *destination = program.destinations.len();
                let columns = &node.columns.columns;
                program.destinations.push(Destination {
                    to: DestinationTo::Repartition { operator: names[at].clone() },
                    partitions: node.facts.partitions,
                    writers: 1,
                    key: key.iter().map(|&column| columns[column].name.clone()).collect(),
                    columns: node.columns.clone(),
                    kind: PortKind::Append,
                });
            }
            OperatorKind::Sink { destination, .. } => {
                *destination = program.destinations.len();
                program.destinations.push(port_destination(self.sinks[&at]));
            }
            _ => {}
        }
        let operator = Operator {
            id: names[at].clone(),
            structure: structures[at].clone(),
            from,
            kind,
            columns: node.columns.clone(),
        };
        sub.operators.push(operator);
        let place = From::Operator(sub.operators.len() - 1);
        places.insert(at, place);
        place
    }

    fn port_input(&self, name: &str, columns: &Schema) -> Input {
        let (input, port) = self.input(name);
        let behaviour = self.mesh.products.get(&port.id.product).map(|product| &product.behaviour);
        let progress = match behaviour {
            Some(Behaviour::External) => InputProgress::Observed { bound_ms: input.bound_ms },
            _ => InputProgress::Declared,
        };
        let key = port.key.iter().filter_map(|name| port.schema.column(name).cloned()).collect();
        Input {
            name: name.to_owned(),
            from: InputFrom::Port { port: port.id.clone(), topic: port.topic.clone() },
            partitions: port.partitions,
            broadcast: input.broadcast,
            kind: port.kind,
            columns: columns.clone(),
            key,
            event_time: port.event_time.clone(),
            event_time_offset_ms: port.event_time_offset_ms,
            progress,
        }
    }

    fn repartition_input(
        &self,
        rekey: usize,
        names: &[OperatorId],
        program: &Program,
        sub: &mut SubTopology,
        places: &mut HashMap<usize, From>,
    ) -> From {
        if let Some(&place) = places.get(&rekey) {
            return place;
        }
        let node = &self.graph.nodes[rekey];
        let Kind::Op(OperatorKind::Rekey { key, .. }) = &node.kind else { panic!("asked for a re-key") };
        debug_assert!(
            program.destinations.iter().any(
                |destination| matches!(&destination.to, DestinationTo::Repartition { operator } if *operator == names[rekey])
            ),
            "sub-topologies come in the order data flows"
        );
        sub.inputs.push(Input {
            name: names[rekey].clone(),
            from: InputFrom::Repartition { operator: names[rekey].clone() },
            partitions: node.facts.partitions,
            broadcast: false,
            kind: PortKind::Append,
            columns: node.columns.clone(),
            key: key.iter().map(|&column| node.columns.columns[column].clone()).collect(),
            event_time: None,
            event_time_offset_ms: 0,
            progress: InputProgress::Declared,
        });
        let place = From::Input(sub.inputs.len() - 1);
        places.insert(rekey, place);
        place
    }

    fn builtin_destinations(&self, program: &mut Program) {
        let tasks: u32 = program.subtopologies.iter().map(|sub| sub.partitions).sum();
        for role in [PortRole::Errors, PortRole::Late] {
            let declared = self.product.outputs.iter().find(|port| port.role == role);
            let mut destination = match declared {
                Some(port) => port_destination(port),
                None => {
                    let ports = weft_model::builtin_ports::builtin_ports(&self.mesh.topic_prefix, &self.product.id);
                    let port = ports.iter().find(|port| port.role == role).expect("both roles are built in");
                    port_destination(port)
                }
            };
            destination.writers = tasks;
            program.destinations.push(destination);
        }
    }
}

fn port_destination(port: &OutputPort) -> Destination {
    Destination {
        to: DestinationTo::Port { port: port.id.clone(), topic: port.topic.clone(), role: port.role },
        partitions: port.partitions,
        writers: 1,
        columns: port.schema.clone(),
        key: port.key.clone(),
        kind: port.kind,
    }
}

/// Operator ids: those of the previous program for what it computed too, new numbers for what is new.
struct Ids {
    known: HashMap<String, Vec<OperatorId>>,
    next: u32,
}

impl Ids {
    fn new(previous: Option<&Program>) -> Self {
        let mut known: HashMap<String, Vec<OperatorId>> = HashMap::new();
        for operator in previous.iter().flat_map(|program| &program.subtopologies).flat_map(|sub| &sub.operators) {
            let ids = known.entry(operator.structure.clone()).or_default();
            if !ids.contains(&operator.id) {
                ids.push(operator.id.clone());
            }
        }
        Self { known, next: previous.map_or(1, |program| program.next_operator) }
    }

    fn of(&mut self, structure: &str) -> OperatorId {
        if let Some(ids) = self.known.get_mut(structure)
            && !ids.is_empty()
        {
            return ids.remove(0);
        }
        let id = format!("op-{}", self.next);
        self.next += 1;
        id
    }
}

/// 128 bits of FNV-1a in hex.
fn fnv(text: &str) -> String {
    let hash =
        |seed: u64| text.bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{:016x}{:016x}", hash(0xcbf2_9ce4_8422_2325), hash(0x9747_b28c_85eb_ca6b))
}
