//! DescribeTopicPartitions (key 75), version 0: metadata in pages, in order of topic name and partition.

use std::sync::Arc;

use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::{BrokerId, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse};

use super::topic_name;
use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;
use crate::error::{Coded, TopicError};
use crate::topics::{Topic, check_name};

/// Kafka's `max.request.partition.size.limit`.
const PARTITIONS_PER_PAGE_MAX: usize = 2_000;

pub(super) async fn handle(ctx: Ctx, request: DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse {
    let mut response = DescribeTopicPartitionsResponse::default();
    let (from_topic, mut from_partition) = match &request.cursor {
        Some(cursor) => (cursor.topic_name.to_string(), cursor.partition_index.max(0)),
        None => (String::new(), 0),
    };
    let limit = usize::try_from(request.response_partition_limit).unwrap_or(0);
    let mut left = limit.clamp(1, PARTITIONS_PER_PAGE_MAX);
    for (name, topic) in wanted(&ctx, &request) {
        if name < from_topic {
            continue;
        }
        if name != from_topic {
            from_partition = 0;
        }
        if left == 0 {
            response.next_cursor = Some(cursor(&name, from_partition));
            break;
        }
        let topic = match topic {
            Ok(topic) => topic,
            Err(error) => {
                let refused = DescribeTopicPartitionsResponseTopic::default()
                    .with_error_code(error.code().code())
                    .with_name(Some(topic_name(&name)));
                response.topics.push(refused);
                continue;
            }
        };
        let skip = usize::try_from(from_partition).unwrap_or(0);
        let end = topic.partitions.len().min(skip.saturating_add(left));
        let page = describe(&ctx, &topic, skip, end);
        left -= page.partitions.len();
        response.topics.push(page);
        if end < topic.partitions.len() {
            response.next_cursor = Some(cursor(&name, i32::try_from(end).unwrap_or(i32::MAX)));
            break;
        }
    }
    response
}

type Found = Result<Arc<Topic>, TopicError>;

fn wanted(ctx: &Ctx, request: &DescribeTopicPartitionsRequest) -> Vec<(String, Found)> {
    if request.topics.is_empty() {
        let topics = ctx.broker.topics.all().into_iter();
        let visible = topics.filter(|t| ctx.may(Resource::Topic(&t.name), Action::Describe));
        return visible.map(|t| (t.name.clone(), Ok(t))).collect();
    }
    let mut names: Vec<String> = request.topics.iter().map(|t| t.name.to_string()).collect();
    names.sort();
    names.dedup();
    let find = |name: &str| {
        check_name(name)?;
        if !ctx.may(Resource::Topic(name), Action::Describe) {
            return Err(TopicError::Denied { action: "describe" });
        }
        ctx.broker.topics.get(name).ok_or(TopicError::Unknown)
    };
    let found = |name: String| {
        let topic = find(&name);
        (name, topic)
    };
    names.into_iter().map(found).collect()
}

fn describe(ctx: &Ctx, topic: &Topic, from: usize, to: usize) -> DescribeTopicPartitionsResponseTopic {
    let node = BrokerId(ctx.broker.options.node_id);
    let page = topic.partitions.iter().take(to).skip(from);
    let partitions = page.map(|partition| {
        DescribeTopicPartitionsResponsePartition::default()
            .with_partition_index(i32::try_from(partition.index()).unwrap_or(i32::MAX))
            .with_leader_id(node)
            .with_leader_epoch(partition.leader_epoch())
            .with_replica_nodes(vec![node])
            .with_isr_nodes(vec![node])
            .with_eligible_leader_replicas(Some(Vec::new()))
            .with_last_known_elr(Some(Vec::new()))
    });
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(topic_name(&topic.name)))
        .with_topic_id(topic.id)
        .with_partitions(partitions.collect())
        .with_topic_authorized_operations(ctx.operations(Resource::Topic(&topic.name)))
}

fn cursor(topic: &str, partition: i32) -> Cursor {
    Cursor::default().with_topic_name(topic_name(topic)).with_partition_index(partition)
}
