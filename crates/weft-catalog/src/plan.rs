//! The plan: what an apply would do, and what it refuses. A pure comparison of three things: what is desired now, what
//! the folder declares, and what is on the Kafka.

use std::collections::{BTreeMap, BTreeSet};

use weft_model::kind::{Diagnostic, Diagnostics, Kind};
use weft_model::name::{MeshId, ProductId};
use weft_model::product::{OutputPort, PortRole, Product};

use crate::declared::{Declared, StateVerdict};
use crate::desired::{Desired, Intent, MeshRecord, OwnedTopic, PortRecord, ProductRecord, port_key};
use crate::observed::{Observed, ObservedTopic};
use crate::topics::{TopicSpec, internal_topic_specs, port_topic_spec};

/// What a person asked for besides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlanOptions {
    /// `--delete-data NAME`: retired products (`domain.product`) or topics whose data may go.
    pub delete_data: Vec<String>,
}

/// What an apply would do. `Display` is the diff a person reads.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The mesh.
    pub mesh: MeshId,
    /// Revision that it was made on.
    pub base_revision: u64,
    /// Topics, in the order of their names.
    pub topics: Vec<TopicChange>,
    /// Products, in the order of their names.
    pub products: Vec<ProductChange>,
    /// Why it may not be applied.
    pub refused: Vec<Refusal>,
    /// What should be known, though nothing is done about it.
    pub notes: Vec<String>,
    /// What will be written.
    pub(crate) next: Next,
}

/// One topic's change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicChange {
    /// It is not there yet.
    Create(TopicSpec),
    /// It is there and as it should be.
    Keep {
        /// Its name.
        topic: String,
        /// Somebody else's, and left alone.
        adopted: bool,
    },
    /// Settings differ.
    Configure {
        /// Its name.
        topic: String,
        /// Setting, value now, value wanted.
        changes: Vec<(String, String, String)>,
        /// All settings the topic will have of its own.
        configs: BTreeMap<String, String>,
    },
    /// A port without a key gets more partitions.
    AddPartitions {
        /// Its name.
        topic: String,
        /// Now.
        from: u32,
        /// Then.
        to: u32,
    },
    /// Its data was named to be deleted.
    Delete {
        /// Its name.
        topic: String,
    },
}

/// One product's change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductChange {
    /// Which.
    pub product: ProductId,
    /// How.
    pub change: Change,
    /// What happens to its state; `None` where Weft computes nothing.
    pub verdict: Option<StateVerdict>,
}

/// How a product differs from what is desired now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// New.
    Added,
    /// These differ.
    Changed {
        /// Files, ports, program: in words.
        what: Vec<String>,
    },
    /// The same.
    Unchanged,
    /// No longer declared; topics and state stay.
    Retired,
}

/// Something that may not be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The product it is about, if it is about one.
    pub product: Option<ProductId>,
    /// Why.
    pub diagnostic: Diagnostic,
}

/// The records of the next revision.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Next {
    pub(crate) mesh: Option<MeshRecord>,
    pub(crate) products: BTreeMap<ProductId, Option<ProductRecord>>,
    pub(crate) creates: BTreeMap<String, OwnedTopic>,
    /// An unfinished intent is there and must be taken back.
    pub(crate) unfinished: Option<Intent>,
}

impl Plan {
    /// Is there nothing to do?
    pub fn is_empty(&self) -> bool {
        let still = |change: &TopicChange| matches!(change, TopicChange::Keep { .. });
        self.topics.iter().all(still) && !self.writes()
    }

    /// May it be applied?
    pub fn is_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    /// The refusals, for an error.
    pub fn diagnostics(&self) -> Diagnostics {
        Diagnostics(self.refused.iter().map(|refusal| refusal.diagnostic.clone()).collect())
    }

    /// Does it write a revision?
    pub(crate) fn writes(&self) -> bool {
        self.next.mesh.is_some() || self.next.unfinished.is_some()
    }
}

/// Compares. Pure: no clock, no network.
pub fn plan(desired: &Desired, declared: &Declared<'_>, observed: &Observed, options: &PlanOptions) -> Plan {
    let mut planner = Planner {
        desired,
        declared,
        observed,
        topics: BTreeMap::new(),
        owned: desired.mesh.as_ref().map_or_else(BTreeMap::new, |mesh| mesh.topics.clone()),
        next: Next { unfinished: desired.intent.clone(), ..Next::default() },
        products: Vec::new(),
        refused: Vec::new(),
        notes: Vec::new(),
    };
    planner.prefix();
    planner.internal_topics();
    for product in declared.mesh.products.values() {
        planner.product(product);
    }
    planner.retire();
    for name in &options.delete_data {
        planner.delete_data(name);
    }
    planner.finish()
}

struct Planner<'a> {
    desired: &'a Desired,
    declared: &'a Declared<'a>,
    observed: &'a Observed,
    topics: BTreeMap<String, TopicChange>,
    /// `topics` of the next mesh record.
    owned: BTreeMap<String, OwnedTopic>,
    next: Next,
    products: Vec<ProductChange>,
    refused: Vec<Refusal>,
    notes: Vec<String>,
}

impl Planner<'_> {
    fn refuse(
        &mut self,
        product: Option<&ProductId>,
        kind: Kind,
        code: &'static str,
        what: String,
        because: String,
        try_: &str,
    ) {
        let diagnostic = Diagnostic { kind, code, what, because, try_: try_.to_owned(), place: None };
        self.refused.push(Refusal { product: product.cloned(), diagnostic });
    }

    fn prefix(&mut self) {
        let Some(mesh) = &self.desired.mesh else { return };
        let (was, is) = (mesh.topic_prefix.clone(), self.declared.mesh.topic_prefix.clone());
        if was != is {
            self.refuse(
                None,
                Kind::Invalid,
                "APPLY-006",
                format!("cannot change `topic_prefix` of mesh \"{}\"", self.declared.mesh.id),
                format!("it was applied with \"{was}\" and is now \"{is}\": every port would move to another topic"),
                "put the old prefix back, or give the mesh a new id",
            );
        }
    }

    fn internal_topics(&mut self) {
        for spec in internal_topic_specs(&self.declared.mesh.id) {
            match self.observed.topics.get(&spec.name) {
                None => {
                    self.topics.insert(spec.name.clone(), TopicChange::Create(spec));
                }
                Some(found) => self.settings(&spec, found),
            }
        }
    }

    fn product(&mut self, product: &Product) {
        let old = self.desired.products.get(&product.id);
        let compiled = self.declared.programs.get(&product.id);
        let verdict = compiled.map(|compiled| compiled.verdict.clone());
        match &verdict {
            Some(StateVerdict::NewState { reason }) => {
                let what = format!("cannot change product \"{}\" in place: its state would not fit", product.id);
                let try_ = "give its ports a new major version, so that old and new run side by side";
                self.refuse(Some(&product.id), Kind::Invalid, "APPLY-005", what, reason.clone(), try_);
            }
            Some(StateVerdict::Breaking { reason }) => {
                let what = format!("cannot change product \"{}\" in place: it would break its consumers", product.id);
                let try_ = "give its ports a new major version, so that old and new run side by side";
                self.refuse(Some(&product.id), Kind::Invalid, "APPLY-005", what, reason.clone(), try_);
            }
            Some(StateVerdict::New | StateVerdict::Same | StateVerdict::InPlace) | None => {}
        }
        let mut ports = BTreeMap::new();
        let mut what = Vec::new();
        for port in &product.outputs {
            let key = port_key(port);
            let was = self.port_before(product, port);
            let generation = was.as_ref().map_or(1, |was| was.generation);
            let record = PortRecord::of(port, generation);
            match &was {
                None => {}
                Some(was) => self.promise(product, port, was),
            }
            self.port_topic(product, port, &record);
            match old.map(|old| old.ports.get(&key)) {
                Some(None) => what.push(format!("port \"{key}\" added")),
                Some(Some(was)) if *was != record => what.push(format!("port \"{key}\" {}", difference(was, &record))),
                Some(Some(_)) | None => {}
            }
            ports.insert(key, record);
        }
        if let Some(old) = old {
            for gone in old.ports.keys().filter(|key| !ports.contains_key(*key)) {
                what.push(format!("port \"{gone}\" retired, its topic stays"));
            }
        }
        let files = product_files(self.declared, &product.id);
        let program = compiled.map(|compiled| compiled.program.clone());
        let record = ProductRecord { v: Desired::VERSION, revision: self.desired.revision + 1, files, ports, program };
        let change = match old {
            None => Change::Added,
            Some(old) => {
                what.extend(file_differences(&old.files, &record.files));
                if old.program != record.program {
                    what.push("program".to_owned());
                }
                if what.is_empty() { Change::Unchanged } else { Change::Changed { what } }
            }
        };
        if change != Change::Unchanged {
            self.next.products.insert(product.id.clone(), Some(record));
        }
        self.products.push(ProductChange { product: product.id.clone(), change, verdict });
    }

    /// What the port was when it was applied last, even if it was retired since.
    fn port_before(&self, product: &Product, port: &OutputPort) -> Option<PortRecord> {
        let key = port_key(port);
        if let Some(record) = self.desired.products.get(&product.id).and_then(|old| old.ports.get(&key)) {
            return Some(record.clone());
        }
        let owned = self.desired.mesh.as_ref()?.topics.get(&port.topic)?;
        (owned.product == product.id && owned.port == key).then(|| owned.record.clone())
    }

    /// Within a major version a port keeps its topic, key and columns.
    fn promise(&mut self, product: &Product, port: &OutputPort, was: &PortRecord) {
        let new_major = "declare it as a new major version beside this one; consumers move when they can";
        let name = &port.id;
        if was.topic != port.topic || was.adopted != port.adopted {
            let own = |adopted: bool| if adopted { " (adopted)" } else { "" };
            self.refuse(
                Some(&product.id),
                Kind::Invalid,
                "APPLY-006",
                format!("cannot move port \"{name}\" to another topic"),
                format!(
                    "its topic is \"{}\"{} and would be \"{}\"{}",
                    was.topic,
                    own(was.adopted),
                    port.topic,
                    own(port.adopted)
                ),
                new_major,
            );
        }
        if port.role != PortRole::Declared {
            return; // their shape is ours, and only grows
        }
        if was.key != port.key {
            let because = format!("it was ({}) and would be ({})", was.key.join(", "), port.key.join(", "));
            let what = format!("cannot change the key of port \"{name}\" within version {}", name.major);
            self.refuse(Some(&product.id), Kind::Invalid, "APPLY-003", what, because, new_major);
        }
        if let Some(because) = schema_difference(was, port) {
            let what = format!("cannot change the columns of port \"{name}\" within version {}", name.major);
            self.refuse(Some(&product.id), Kind::Invalid, "APPLY-004", what, because, new_major);
        }
    }

    fn port_topic(&mut self, product: &Product, port: &OutputPort, record: &PortRecord) {
        let found = self.observed.topics.get(&port.topic);
        if port.adopted {
            match found {
                None => self.refuse(
                    Some(&product.id),
                    Kind::NotFound,
                    "APPLY-007",
                    format!("cannot adopt topic \"{}\" for port \"{}\"", port.topic, port.id),
                    "it is not on the Kafka".to_owned(),
                    "create it with the tool that owns it, or drop `topic:` so that weft makes one",
                ),
                Some(found) => {
                    if found.partitions != port.partitions {
                        self.notes.push(format!(
                            "topic \"{}\" is adopted and has {} partitions; the descriptor says {}",
                            port.topic, found.partitions, port.partitions
                        ));
                    }
                    self.topics
                        .insert(port.topic.clone(), TopicChange::Keep { topic: port.topic.clone(), adopted: true });
                }
            }
            return;
        }
        let spec = port_topic_spec(port);
        let owned = OwnedTopic { product: product.id.clone(), port: port_key(port), record: record.clone() };
        let Some(found) = found else {
            self.topics.insert(spec.name.clone(), TopicChange::Create(spec));
            self.next.creates.insert(port.topic.clone(), owned.clone());
            self.owned.insert(port.topic.clone(), owned);
            return;
        };
        match self.desired.owned(&port.topic) {
            Some(mine) if mine.product == product.id => {}
            Some(other) => {
                let because = format!("this mesh made it for product \"{}\"", other.product);
                let what = format!("cannot use topic \"{}\" for port \"{}\"", port.topic, port.id);
                let try_ = "rename one of the two, or delete its data with `weft apply --delete-data`";
                self.refuse(Some(&product.id), Kind::Exists, "APPLY-001", what, because, try_);
                return;
            }
            None => {
                let others = other_meshes(self.observed, &self.declared.mesh.id);
                let because = if others.is_empty() {
                    "it exists, and this mesh did not make it".to_owned()
                } else {
                    format!(
                        "it exists, and this mesh did not make it; on this Kafka there is also mesh {}",
                        others.join(", ")
                    )
                };
                let what = format!("cannot use topic \"{}\" for port \"{}\"", port.topic, port.id);
                let try_ = "adopt it with `topic:` on the port, set `topic_prefix` in weft.yaml, or remove the topic";
                self.refuse(Some(&product.id), Kind::Exists, "APPLY-001", what, because, try_);
                return;
            }
        }
        if found.partitions != port.partitions {
            if !port.key.is_empty() || found.partitions > port.partitions {
                let because = if port.key.is_empty() {
                    format!(
                        "it has {} partitions and would have {}; Kafka never takes one away",
                        found.partitions, port.partitions
                    )
                } else {
                    format!(
                        "it has {} partitions and would have {}: keys would move, and their order with them",
                        found.partitions, port.partitions
                    )
                };
                let what = format!("cannot change the partitions of port \"{}\"", port.id);
                let try_ = "put the old number back, or declare a new major version of the port";
                self.refuse(Some(&product.id), Kind::Invalid, "APPLY-002", what, because, try_);
                return;
            }
            let (topic, from, to) = (port.topic.clone(), found.partitions, port.partitions);
            self.topics.insert(port.topic.clone(), TopicChange::AddPartitions { topic, from, to });
        } else {
            self.settings(&spec, found);
        }
        self.owned.insert(port.topic.clone(), owned);
    }

    fn settings(&mut self, spec: &TopicSpec, found: &ObservedTopic) {
        let mut changes = Vec::new();
        for (key, wanted) in &spec.configs {
            // A broker that does not know a setting does not show it, and cannot drift from it.
            if let Some(now) = found.configs.get(key)
                && now.value != *wanted
            {
                changes.push((key.clone(), now.value.clone(), wanted.clone()));
            }
        }
        let topic = spec.name.clone();
        let change = if changes.is_empty() {
            TopicChange::Keep { topic, adopted: false }
        } else {
            // AlterConfigs replaces them all: what others set on the topic is sent along.
            let mut configs: BTreeMap<String, String> = found
                .configs
                .iter()
                .filter(|(_, config)| config.set_on_topic)
                .map(|(key, config)| (key.clone(), config.value.clone()))
                .collect();
            configs.extend(spec.configs.clone());
            TopicChange::Configure { topic, changes, configs }
        };
        self.topics.insert(spec.name.clone(), change);
    }

    fn retire(&mut self) {
        for product in self.desired.products.keys() {
            if !self.declared.mesh.products.contains_key(product) {
                self.next.products.insert(product.clone(), None);
                let (product, change) = (product.clone(), Change::Retired);
                self.products.push(ProductChange { product, change, verdict: None });
            }
        }
        self.products.sort_by(|a, b| a.product.cmp(&b.product));
    }

    /// Every topic that the declared ports use.
    fn used(&self) -> BTreeSet<&str> {
        let ports = self.declared.mesh.products.values().flat_map(|product| &product.outputs);
        ports.map(|port| port.topic.as_str()).collect()
    }

    fn delete_data(&mut self, name: &str) {
        let used = self.used();
        let product_internal = format!("{}.g", weft_model::topic::internal(&self.declared.mesh.id, name));
        let named = |topic: &str, owned: &OwnedTopic| topic == name || owned.product.to_string() == name;
        let mut topics: Vec<String> =
            self.owned.iter().filter(|(topic, owned)| named(topic, owned)).map(|(topic, _)| topic.clone()).collect();
        let is_product = self.owned.values().any(|owned| owned.product.to_string() == name);
        if is_product {
            let internal = self.observed.topics.keys().filter(|topic| topic.starts_with(&product_internal));
            topics.extend(internal.cloned());
        }
        let in_use = topics.iter().find(|topic| used.contains(topic.as_str())).cloned();
        let what = format!("cannot delete the data of \"{name}\"");
        let adopted = self.declared.mesh.products.values().flat_map(|product| &product.outputs);
        if adopted.into_iter().any(|port| port.adopted && port.topic == name) {
            let because = "the topic is adopted: it belongs to somebody else".to_owned();
            self.refuse(None, Kind::Denied, "APPLY-008", what, because, "delete it with the tool that owns it");
        } else if let Some(topic) = in_use {
            let because = format!("topic \"{topic}\" belongs to a port that is declared");
            self.refuse(
                None,
                Kind::Invalid,
                "APPLY-008",
                what,
                because,
                "take the port or product out of the folder first",
            );
        } else if topics.is_empty() {
            let because = "no retired product and no topic that this mesh made has that name".to_owned();
            let try_ = "name a retired product as domain.product, or one of its topics; `weft plan` lists them";
            self.refuse(None, Kind::NotFound, "APPLY-008", what, because, try_);
        } else {
            for topic in topics {
                self.owned.remove(&topic);
                if self.observed.topics.contains_key(&topic) {
                    self.topics.insert(topic.clone(), TopicChange::Delete { topic });
                }
            }
        }
    }

    fn finish(mut self) -> Plan {
        let Self { desired, declared, .. } = self;
        let mut files = declared.files.0.clone();
        for product in declared.mesh.products.values() {
            for path in product_files(declared, &product.id).keys() {
                files.remove(path);
            }
        }
        let source_files = &declared.options.source_files;
        let record = MeshRecord {
            v: Desired::VERSION,
            revision: desired.revision + 1,
            controller: String::new(), // the controller writes its name
            topic_prefix: declared.mesh.topic_prefix.clone(),
            files,
            source_files: source_files.iter().map(|(product, file)| (product.to_string(), file.clone())).collect(),
            partitions: declared.options.partitions,
            topics: std::mem::take(&mut self.owned),
        };
        let same = desired.mesh.as_ref().is_some_and(|mesh| {
            let stamped = MeshRecord { revision: mesh.revision, controller: mesh.controller.clone(), ..record.clone() };
            *mesh == stamped
        });
        if !same || !self.next.products.is_empty() {
            self.next.mesh = Some(record);
        }
        if let Some(mesh) = &desired.mesh {
            let retired = mesh.topics.iter().filter(|(topic, _)| !self.topics.contains_key(*topic));
            self.notes.extend(retired.map(|(topic, owned)| {
                format!(
                    "topic \"{topic}\" of product \"{}\" is retired; its data stays until --delete-data names it",
                    owned.product
                )
            }));
        }
        Plan {
            mesh: declared.mesh.id.clone(),
            base_revision: desired.revision,
            topics: self.topics.into_values().collect(),
            products: self.products,
            refused: self.refused,
            notes: self.notes,
            next: self.next,
        }
    }
}

/// Files under the folder of a product.
fn product_files(declared: &Declared<'_>, product: &ProductId) -> BTreeMap<String, String> {
    let folder = format!("domains/{}/{}/", product.domain, product.product);
    let files = declared.files.0.iter().filter(|(path, _)| path.starts_with(&folder));
    files.map(|(path, text)| (path.clone(), text.clone())).collect()
}

fn file_differences(was: &BTreeMap<String, String>, is: &BTreeMap<String, String>) -> Vec<String> {
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let mut what = Vec::new();
    for (path, text) in is {
        match was.get(path) {
            None => what.push(format!("{} added", name(path))),
            Some(old) if old != text => what.push(name(path)),
            Some(_) => {}
        }
    }
    let gone = was.keys().filter(|path| !is.contains_key(*path));
    what.extend(gone.map(|path| format!("{} removed", name(path))));
    what
}

fn difference(was: &PortRecord, is: &PortRecord) -> String {
    let mut what = Vec::new();
    if was.retention_ms != is.retention_ms {
        what.push(format!("retention.ms {} → {}", was.retention_ms, is.retention_ms));
    }
    if was.partitions != is.partitions {
        what.push(format!("partitions {} → {}", was.partitions, is.partitions));
    }
    if was.key != is.key {
        what.push("key".to_owned());
    }
    if was.topic != is.topic || was.adopted != is.adopted {
        what.push("topic".to_owned());
    }
    if what.is_empty() {
        what.push("columns".to_owned());
    }
    what.join(", ")
}

fn schema_difference(was: &PortRecord, port: &OutputPort) -> Option<String> {
    if was.kind != port.kind {
        return Some(format!("its kind was {:?} and would be {:?}", was.kind, port.kind).to_lowercase());
    }
    if was.encoding != port.encoding {
        return Some(format!("its encoding was {:?} and would be {:?}", was.encoding, port.encoding).to_lowercase());
    }
    if was.event_time != port.event_time || was.event_time_offset_ms != port.event_time_offset_ms {
        let name = |column: &Option<String>| column.clone().unwrap_or_else(|| "none".to_owned());
        return Some(format!("its event time was {} and would be {}", name(&was.event_time), name(&port.event_time)));
    }
    for column in &was.schema.columns {
        match port.schema.column(&column.name) {
            None => return Some(format!("column \"{}\" would be gone", column.name)),
            Some(now) if now.column_type != column.column_type => {
                return Some(format!(
                    "column \"{}\" was {:?} and would be {:?}",
                    column.name, column.column_type, now.column_type
                ));
            }
            Some(now) if now.nullable != column.nullable => {
                let may = if now.nullable { "would become optional" } else { "would become required" };
                return Some(format!("column \"{}\" {may}", column.name));
            }
            Some(_) => {}
        }
    }
    let added = port.schema.columns.iter().find(|column| was.schema.column(&column.name).is_none());
    if let Some(added) = added {
        return Some(format!("column \"{}\" would be added, and older records do not have it", added.name));
    }
    (was.schema != port.schema).then(|| "its columns would stand in another order".to_owned())
}

/// Ids of the other meshes on a Kafka.
fn other_meshes(observed: &Observed, mesh: &MeshId) -> Vec<String> {
    let others = observed.topics.keys().filter_map(|topic| topic.strip_prefix("__weft.")?.strip_suffix(".desired"));
    others.filter(|other| *other != mesh.as_str()).map(|other| format!("\"{other}\"")).collect()
}

#[cfg(test)]
mod tests;
