//! What a plan asks of the Kafka about topics: create, set, widen, delete. Done in earnest by `apply`, tried out by `rehearse`.

use rdkafka::admin::{AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::RDKafkaErrorCode as Code;

use crate::error::CatalogError;
use crate::kafka::{Admin, broker_error};
use crate::plan::TopicChange;
use crate::topics::TopicSpec;

/// What the Kafka would not do for a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unwilling {
    pub(crate) topic: String,
    pub(crate) code: Code,
}

pub(crate) async fn create(
    admin: &Admin,
    specs: &[&TopicSpec],
    options: &AdminOptions,
) -> Result<Vec<Unwilling>, CatalogError> {
    let mut topics = Vec::with_capacity(specs.len());
    for spec in specs {
        let partitions = i32::try_from(spec.partitions).expect("the loader bounds partitions");
        // -1: as many copies as the broker's own default (KIP-464).
        let copies = TopicReplication::Fixed(spec.replication_factor.map_or(-1, i32::from));
        let mut topic = NewTopic::new(&spec.name, partitions, copies);
        for (key, value) in &spec.configs {
            topic = topic.set(key, value);
        }
        topics.push(topic);
    }
    if topics.is_empty() {
        return Ok(Vec::new());
    }
    let done = admin.create_topics(&topics, options).await.map_err(|error| broker_error("creating topics", &error))?;
    Ok(failures(done, Code::TopicAlreadyExists))
}

/// Settings of topics that are there.
pub(crate) async fn configure(
    admin: &Admin,
    changes: &[TopicChange],
    options: &AdminOptions,
) -> Result<Vec<Unwilling>, CatalogError> {
    let mut alters = Vec::new();
    for change in changes {
        let TopicChange::Configure { topic, configs, .. } = change else { continue };
        let mut alter = AlterConfig::new(ResourceSpecifier::Topic(topic));
        for (key, value) in configs {
            alter = alter.set(key, value);
        }
        alters.push(alter);
    }
    if alters.is_empty() {
        return Ok(Vec::new());
    }
    let done = admin.alter_configs(&alters, options).await;
    let done = done.map_err(|error| broker_error("changing settings of topics", &error))?;
    let refused = done.into_iter().filter_map(|one| {
        let (resource, code) = one.err()?;
        let rdkafka::admin::OwnedResourceSpecifier::Topic(topic) = resource else { return None };
        Some(Unwilling { topic, code })
    });
    Ok(refused.collect())
}

/// More partitions of topics that are there.
pub(crate) async fn widen(
    admin: &Admin,
    changes: &[TopicChange],
    options: &AdminOptions,
) -> Result<Vec<Unwilling>, CatalogError> {
    let mut partitions = Vec::new();
    for change in changes {
        let TopicChange::AddPartitions { topic, to, .. } = change else { continue };
        partitions.push(NewPartitions::new(topic, usize::try_from(*to).expect("a count of partitions")));
    }
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let done = admin.create_partitions(&partitions, options).await;
    Ok(failures(done.map_err(|error| broker_error("adding partitions", &error))?, Code::NoError))
}

pub(crate) async fn delete(
    admin: &Admin,
    topics: &[&str],
    options: &AdminOptions,
) -> Result<Vec<Unwilling>, CatalogError> {
    if topics.is_empty() {
        return Ok(Vec::new());
    }
    let done = admin.delete_topics(topics, options).await;
    Ok(failures(done.map_err(|error| broker_error("deleting topics", &error))?, Code::UnknownTopicOrPartition))
}

/// What failed, other than with `fine`: done before, by us or by a retry of librdkafka's.
fn failures(done: Vec<Result<String, (String, Code)>>, fine: Code) -> Vec<Unwilling> {
    let failed = done.into_iter().filter_map(Result::err);
    failed.filter(|(_, code)| *code != fine).map(|(topic, code)| Unwilling { topic, code }).collect()
}
