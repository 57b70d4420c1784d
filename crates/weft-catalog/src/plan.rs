//! The plan: what an apply would do, and what it refuses. A pure comparison of three things: what is desired now, what
//! the folder declares, and what is on the Kafka.

mod differences;
#[cfg(test)]
mod tests;
mod topics;

use std::collections::BTreeMap;

use weft_model::cluster::TopicDefaults;
use weft_model::kind::{Diagnostic, Diagnostics, Kind};
use weft_model::name::{MeshId, ProductId};
use weft_model::product::{OutputPort, PortRole, Product};

use self::differences::{difference, file_differences, schema_difference};
use crate::declared::{Declared, StateVerdict};
use crate::desired::{Desired, Intent, MeshRecord, OwnedTopic, PortRecord, ProductRecord, port_key};
use crate::observed::Observed;
use crate::topics::TopicSpec;

/// What a person asked for besides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlanOptions {
    /// `--delete-data NAME`: retired products (`domain.product`) or topics whose data may go.
    pub delete_data: Vec<String>,
    /// What topics get that are made.
    pub topics: TopicDefaults,
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

impl TopicChange {
    /// The topic that is made, if one is.
    pub(crate) fn created(&self) -> Option<&TopicSpec> {
        match self {
            Self::Create(spec) => Some(spec),
            Self::Keep { .. } | Self::Configure { .. } | Self::AddPartitions { .. } | Self::Delete { .. } => None,
        }
    }
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
        defaults: options.topics,
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
    defaults: TopicDefaults,
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
        let Some(mesh) = &self.desired.mesh else { return self.prefix_is_free() };
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

    /// A prefix belongs to the mesh that was applied with it first: topics of two would mix.
    fn prefix_is_free(&mut self) {
        let (id, prefix) = (&self.declared.mesh.id, &self.declared.mesh.topic_prefix);
        let Some((other, found)) = self.observed.meshes.iter().find(|(_, found)| found.topic_prefix == *prefix) else {
            return;
        };
        self.refuse(
            None,
            Kind::Exists,
            "APPLY-014",
            format!("cannot apply mesh \"{id}\" beside mesh \"{other}\""),
            format!(
                "both have the `topic_prefix` \"{prefix}\" on this Kafka; \"{other}\" was applied first, by {}",
                found.controller
            ),
            "set another `topic_prefix` in weft.yaml, such as the mesh's id and a point",
        );
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
