//! Metadata (key 3), versions 0–13: one broker, which leads everything and is the controller.

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse};
use uuid::Uuid;

use super::{text, topic_name};
use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;
use crate::error::{Coded, TopicError};
use crate::store::Partition;
use crate::topic_config::Configs;
use crate::topics::{NewTopic, Topic, check_name};

pub(super) async fn handle(ctx: Ctx, request: MetadataRequest) -> MetadataResponse {
    let node = BrokerId(ctx.broker.options.node_id);
    let (host, port) = ctx.advertised.clone();
    let broker = MetadataResponseBroker::default().with_node_id(node).with_host(text(host)).with_port(i32::from(port));
    let with_operations = request.include_topic_authorized_operations;
    let creates = ctx.broker.options.auto_create_topics && (ctx.version < 4 || request.allow_auto_topic_creation);
    // Null is all topics; in v0, which has no null, an empty list is.
    let asked = request.topics.filter(|t| ctx.version > 0 || !t.is_empty());
    let mut topics = Vec::new();
    match asked {
        None => {
            for topic in ctx.broker.topics.all() {
                if ctx.may(Resource::Topic(&topic.name), Action::Describe) {
                    topics.push(topic_response(&ctx, &topic, with_operations));
                }
            }
        }
        Some(asked) => {
            for one in asked {
                let name = one.name.as_ref().map(|n| n.as_str());
                let found = find(&ctx, name, one.topic_id, creates).await;
                topics.push(match found {
                    Ok(topic) => topic_response(&ctx, &topic, with_operations),
                    Err(error) => refused(&ctx, name, one.topic_id, &error),
                });
            }
        }
    }
    let mut response = MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_cluster_id(Some(text(ctx.broker.cluster_id.clone())))
        .with_controller_id(node)
        .with_topics(topics);
    if request.include_cluster_authorized_operations {
        response.cluster_authorized_operations = ctx.operations(Resource::Cluster);
    }
    response
}

async fn find(ctx: &Ctx, name: Option<&str>, id: Uuid, creates: bool) -> Result<std::sync::Arc<Topic>, TopicError> {
    let topics = &ctx.broker.topics;
    let Some(name) = name else {
        let topic = topics.get_by_id(id).ok_or(TopicError::UnknownId)?;
        if !ctx.may(Resource::Topic(&topic.name), Action::Describe) {
            return Err(TopicError::UnknownId);
        }
        return Ok(topic);
    };
    check_name(name)?;
    if !ctx.may(Resource::Topic(name), Action::Describe) {
        return Err(TopicError::Denied { action: "describe" });
    }
    if let Some(topic) = topics.get(name) {
        return Ok(topic);
    }
    if !creates || !ctx.may(Resource::Topic(name), Action::Create) {
        return Err(TopicError::Unknown);
    }
    let new =
        NewTopic { name: name.to_owned(), partitions: ctx.broker.options.partitions_default, configs: Configs::new() };
    let (topic, position) = topics.create(ctx.broker.env.random_uuid(), new)?;
    let durable = ctx.broker.store.meta().wait_durable(position).await;
    durable.map_err(|_| TopicError::Storage)?;
    Ok(topic)
}

fn topic_response(ctx: &Ctx, topic: &Topic, with_operations: bool) -> MetadataResponseTopic {
    let node = BrokerId(ctx.broker.options.node_id);
    let partition = |p: &std::sync::Arc<Partition>| {
        let response = MetadataResponsePartition::default()
            .with_partition_index(i32::try_from(p.index()).unwrap_or(i32::MAX))
            .with_leader_id(node)
            .with_replica_nodes(vec![node])
            .with_isr_nodes(vec![node]);
        if ctx.version >= 7 { response.with_leader_epoch(p.leader_epoch()) } else { response }
    };
    let mut response = MetadataResponseTopic::default()
        .with_name(Some(topic_name(&topic.name)))
        .with_partitions(topic.partitions.iter().map(partition).collect());
    if ctx.version >= 10 {
        response.topic_id = topic.id;
    }
    if with_operations {
        response.topic_authorized_operations = ctx.operations(Resource::Topic(&topic.name));
    }
    response
}

fn refused(ctx: &Ctx, name: Option<&str>, id: Uuid, error: &TopicError) -> MetadataResponseTopic {
    let code = match error {
        // Two clients asked for the same missing topic at once: the second one looks again.
        TopicError::Exists { .. } => Code::LeaderNotAvailable,
        other => other.code(),
    };
    let mut response = MetadataResponseTopic::default().with_error_code(code.code());
    // Before v12 a name is never null.
    response.name = match name {
        Some(name) => Some(topic_name(name)),
        None => (ctx.version < 12).then(|| topic_name("")),
    };
    if ctx.version >= 10 {
        response.topic_id = id;
    }
    response
}
