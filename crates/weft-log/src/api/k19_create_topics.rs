//! CreateTopics (key 19), versions 2–7. -1 partitions or replicas: the default (KIP-464).

use std::collections::HashMap;

use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};
use uuid::Uuid;

use super::{code_of, message_of, text};
use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;
use crate::error::{ConfigError, TopicError};
use crate::store::MetaPosition;
use crate::topic_config::{self, Configs, DEFINITIONS, Operation};
use crate::topics::NewTopic;

struct Made {
    id: Uuid,
    partitions: u32,
    configs: Configs,
    position: Option<MetaPosition>,
}

pub(super) async fn handle(ctx: Ctx, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let mut named: HashMap<&str, usize> = HashMap::new();
    for topic in &request.topics {
        *named.entry(topic.name.as_str()).or_default() += 1;
    }
    let create = |topic: &CreatableTopic| {
        let twice = named.get(topic.name.as_str()).is_some_and(|n| *n > 1);
        create(&ctx, topic, twice, request.validate_only)
    };
    // All are made before the first is waited for: one sync of the meta log serves them together.
    let made: Vec<Result<Made, TopicError>> = request.topics.iter().map(create).collect();
    let mut results = Vec::with_capacity(made.len());
    for (topic, made) in request.topics.iter().zip(made) {
        let made = durable(&ctx, made).await;
        results.push(result(&ctx, topic, &made));
    }
    CreateTopicsResponse::default().with_topics(results)
}

fn create(ctx: &Ctx, topic: &CreatableTopic, twice: bool, validate_only: bool) -> Result<Made, TopicError> {
    let name = topic.name.to_string();
    if twice {
        return Err(TopicError::Twice { name });
    }
    if !ctx.may(Resource::Topic(&name), Action::Create) {
        return Err(TopicError::Denied { action: "create" });
    }
    let mut configs = Configs::new();
    for config in &topic.configs {
        if configs.contains_key(config.name.as_str()) {
            return Err(ConfigError::Twice { name: config.name.to_string() }.into());
        }
        let value = config.value.as_ref().map(|v| v.as_str());
        topic_config::alter(&mut configs, &config.name, Operation::Set, value)?;
    }
    let new = NewTopic { name, partitions: partitions(ctx, topic)?, configs };
    let mut made = Made {
        id: ctx.broker.env.random_uuid(),
        partitions: new.partitions,
        configs: new.configs.clone(),
        position: None,
    };
    if validate_only {
        ctx.broker.topics.check_new(&new)?;
        made.id = Uuid::nil();
    } else {
        let (_, position) = ctx.broker.topics.create(made.id, new)?;
        made.position = Some(position);
    }
    Ok(made)
}

fn partitions(ctx: &Ctx, topic: &CreatableTopic) -> Result<u32, TopicError> {
    let node_id = ctx.broker.options.node_id;
    if !topic.assignments.is_empty() {
        let mut indexes: Vec<i32> = topic.assignments.iter().map(|a| a.partition_index).collect();
        indexes.sort_unstable();
        let consecutive = indexes.iter().zip(0..).all(|(index, expected)| *index == expected);
        let here = topic.assignments.iter().all(|a| matches!(a.broker_ids.as_slice(), [only] if only.0 == node_id));
        let no_counts = topic.num_partitions == -1 && topic.replication_factor == -1;
        if !consecutive || !here || !no_counts {
            return Err(TopicError::InvalidAssignment { node_id });
        }
        return Ok(u32::try_from(indexes.len()).unwrap_or(u32::MAX));
    }
    let asked = topic.replication_factor;
    let clamp = ctx.broker.options.clamp_replication_factor && asked > 0;
    if asked != -1 && asked != 1 && !clamp {
        return Err(TopicError::InvalidReplicationFactor { asked });
    }
    match topic.num_partitions {
        -1 => Ok(ctx.broker.options.partitions_default),
        asked => u32::try_from(asked)
            .map_err(|_| TopicError::InvalidPartitions { asked, because: "a topic has at least one".to_owned() }),
    }
}

async fn durable(ctx: &Ctx, made: Result<Made, TopicError>) -> Result<Made, TopicError> {
    let made = made?;
    if let Some(position) = made.position {
        let durable = ctx.broker.store.meta().wait_durable(position).await;
        durable.map_err(|_| TopicError::Storage)?;
    }
    Ok(made)
}

fn result(ctx: &Ctx, topic: &CreatableTopic, made: &Result<Made, TopicError>) -> CreatableTopicResult {
    let mut result = CreatableTopicResult::default()
        .with_name(topic.name.clone())
        .with_error_code(code_of(made))
        .with_error_message(message_of(made));
    if ctx.version < 5 {
        return result;
    }
    result.configs = Some(Vec::new());
    if let Ok(made) = made {
        result.num_partitions = i32::try_from(made.partitions).unwrap_or(i32::MAX);
        result.replication_factor = 1;
        result.configs = Some(configs(ctx, &made.configs));
        if ctx.version >= 7 {
            result.topic_id = made.id;
        }
    }
    result
}

fn configs(ctx: &Ctx, own: &Configs) -> Vec<CreatableTopicConfigs> {
    let defaults = ctx.broker.topics.defaults();
    let config = |definition: &topic_config::Definition| {
        let source = topic_config::source(own, defaults, definition);
        CreatableTopicConfigs::default()
            .with_name(text(definition.name))
            .with_value(Some(text(source.value)))
            .with_config_source(source.code)
    };
    DEFINITIONS.iter().map(config).collect()
}
