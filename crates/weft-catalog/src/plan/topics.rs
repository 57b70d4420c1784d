//! What becomes of every topic: made, kept, set, widened, deleted when named, or refused.

use std::collections::{BTreeMap, BTreeSet};

use weft_model::kind::Kind;
use weft_model::product::{OutputPort, Product};

use super::{Planner, TopicChange};
use crate::desired::{OwnedTopic, PortRecord, port_key};
use crate::observed::ObservedTopic;
use crate::topics::{TopicSpec, internal_topic_specs, port_topic_spec};

impl Planner<'_> {
    pub(super) fn internal_topics(&mut self) {
        for spec in internal_topic_specs(&self.declared.mesh.id, self.defaults) {
            match self.observed.topics.get(&spec.name) {
                None => {
                    self.topics.insert(spec.name.clone(), TopicChange::Create(spec));
                }
                Some(found) => self.settings(&spec, found),
            }
        }
    }

    pub(super) fn port_topic(&mut self, product: &Product, port: &OutputPort, record: &PortRecord) {
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
                        self.refuse(
                            Some(&product.id),
                            Kind::Invalid,
                            "APPLY-007",
                            format!("cannot adopt topic \"{}\" for port \"{}\"", port.topic, port.id),
                            format!(
                                "it has {} partitions, and the descriptor says {}: rows of some would not be read",
                                found.partitions, port.partitions
                            ),
                            &format!("write `partitions: {}` at the port", found.partitions),
                        );
                        return;
                    }
                    self.topics
                        .insert(port.topic.clone(), TopicChange::Keep { topic: port.topic.clone(), adopted: true });
                }
            }
            return;
        }
        let spec = port_topic_spec(port, self.defaults);
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
                let mut owners = self.observed.meshes.iter();
                let because = match owners.find(|(_, other)| other.topics.contains(&port.topic)) {
                    Some((mesh, _)) => format!("mesh \"{mesh}\" on this Kafka made it"),
                    None => "it exists, and no mesh on this Kafka made it".to_owned(),
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

    /// Every topic that the declared ports use.
    fn used(&self) -> BTreeSet<&str> {
        let ports = self.declared.mesh.products.values().flat_map(|product| &product.outputs);
        ports.map(|port| port.topic.as_str()).collect()
    }

    pub(super) fn delete_data(&mut self, name: &str) {
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
}
