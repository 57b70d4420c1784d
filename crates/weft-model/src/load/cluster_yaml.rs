//! Section `clusters` of `weft.yaml`.

use std::collections::BTreeMap;

use super::findings::{Findings, place};
use super::{near, strict};
use crate::cluster::{
    Cluster, Property, PropertyKind, REPLICATION_FACTOR_MAX, TopicDefaults, property_kind, property_names,
};
use crate::name::ClusterName;
use crate::yaml::{Node, Value};

/// Reads the entries below `node`, in the order of their names.
pub(crate) fn read(file: &str, node: &Node, findings: &mut Findings) -> Vec<Cluster> {
    if !matches!(node.value, Value::Map(_)) {
        strict::wrong_type(file, node, "clusters", "a map from names to clusters", findings);
        return Vec::new();
    }
    let mut clusters = BTreeMap::new();
    for entry in node.entries() {
        match entry.key.parse::<ClusterName>() {
            Ok(name) => {
                let read = cluster(file, &name, &entry.node, entry.line, findings);
                clusters.extend(read.map(|cluster| (name, cluster)));
            }
            Err(error) => findings.add(
                "MODEL-013",
                place(file, entry.line),
                "a cluster has a name that no command line takes",
                error.to_string(),
                "write something like `prod`",
            ),
        }
    }
    clusters.into_values().collect()
}

fn cluster(file: &str, name: &ClusterName, node: &Node, line: u32, findings: &mut Findings) -> Option<Cluster> {
    let what = format!("clusters.{name}");
    let fields = strict::fields(file, node, &what, &["bootstrap", "client", "topics"], findings)?;
    let bootstrap = fields.required_text("bootstrap", "kafka-1.example:9092,kafka-2.example:9092", findings);
    let bootstrap = bootstrap.filter(|text| addresses(file, fields.line("bootstrap"), text, findings));
    let client = fields.get("client").map(|node| client(file, node, findings)).unwrap_or_default();
    let topics = fields.get("topics").map(|node| topics(file, node, findings)).unwrap_or_default();
    Some(Cluster { name: name.clone(), bootstrap: bootstrap?.to_owned(), client, topics, line })
}

fn addresses(file: &str, line: u32, text: &str, findings: &mut Findings) -> bool {
    let is_address = |one: &str| {
        one.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && host.trim() == host && port.parse::<u16>().is_ok_and(|port| port > 0)
        })
    };
    if text.split(',').all(is_address) {
        return true;
    }
    findings.add(
        "MODEL-042",
        place(file, line),
        "`bootstrap` is no list of addresses",
        format!("it is \"{text}\", expected host:port, several with commas"),
        "write `kafka-1.example:9092,kafka-2.example:9092`",
    );
    false
}

fn client(file: &str, node: &Node, findings: &mut Findings) -> BTreeMap<String, Property> {
    let mut properties = BTreeMap::new();
    if !matches!(node.value, Value::Map(_)) {
        strict::wrong_type(file, node, "client", "a map of librdkafka properties", findings);
        return properties;
    }
    for entry in node.entries() {
        let key = entry.key.as_str();
        let Some(kind) = property_kind(key) else {
            let known = property_names();
            findings.add(
                "MODEL-051",
                place(file, entry.line),
                format!("property \"{key}\" cannot be set on a connection to Kafka"),
                "only what reaches and secures a connection may be set; the rest is what Weft's promises stand on",
                near::suggest(key, &known),
            );
            continue;
        };
        let text = match &entry.node.value {
            Value::Text(text) => text.clone(),
            Value::Int(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            _ => {
                strict::wrong_type(file, &entry.node, key, "text, a number, true or false", findings);
                continue;
            }
        };
        let property = Property::parse(&text);
        if kind == PropertyKind::Secret && matches!(property, Property::Text(_)) {
            findings.add(
                "MODEL-052",
                place(file, entry.line),
                format!("property \"{key}\" holds a secret"),
                "descriptors are kept in git and copied to the Kafka, where everybody who reads the mesh would see it",
                format!("write `{key}: env:KAFKA_SECRET` or `{key}: file:/run/secrets/kafka`"),
            );
            continue;
        }
        properties.insert(entry.key.clone(), property);
    }
    properties
}

fn topics(file: &str, node: &Node, findings: &mut Findings) -> TopicDefaults {
    let known = ["replication_factor", "min_insync_replicas"];
    let Some(fields) = strict::fields(file, node, "topics", &known, findings) else { return TopicDefaults::default() };
    let mut copies = |key: &str| {
        let number = fields.number(key, 1, u64::from(REPLICATION_FACTOR_MAX), findings)?;
        Some(u16::try_from(number).expect("checked against the bound"))
    };
    let topics = TopicDefaults { replication_factor: copies(known[0]), min_insync_replicas: copies(known[1]) };
    if let (Some(all), Some(least)) = (topics.replication_factor, topics.min_insync_replicas)
        && least > all
    {
        findings.add(
            "MODEL-042",
            place(file, fields.line(known[1])),
            "no record could ever be written",
            format!("`min_insync_replicas` is {least}, and there are {all} copies of a partition"),
            format!("lower it to {all} at most"),
        );
    }
    topics
}
