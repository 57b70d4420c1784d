//! OffsetDelete (key 47), version 0: offsets of topics that no member of the group reads.

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use kafka_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

use super::k08_offset_commit::durable;
use super::{code_of, denied};
use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;
use crate::group::TopicPartition;

pub(super) async fn handle(ctx: Ctx, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
    let response = OffsetDeleteResponse::default();
    let group = request.group_id.as_str();
    if !ctx.may(Resource::Group(group), Action::Delete) {
        return response.with_error_code(denied(Code::GroupAuthorizationFailed));
    }
    let asked: Vec<TopicPartition> = request
        .topics
        .iter()
        .flat_map(|t| t.partitions.iter().map(|p| (t.name.to_string(), p.partition_index)))
        .collect();
    let deleted = ctx.broker.groups.delete_offsets(group, &asked);
    let answers = match durable(&ctx, deleted).await {
        Ok(answers) => answers,
        Err(code) => return response.with_error_code(code.code()),
    };
    let mut answers = answers.iter();
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            OffsetDeleteResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(answers.next().map_or(0, code_of))
        });
        OffsetDeleteResponseTopic::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
    });
    let topics = topics.collect();
    response.with_topics(topics)
}
