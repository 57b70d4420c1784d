//! OffsetCommit (key 8), versions 2–9.

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};

use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;
use crate::error::{Coded, GroupError};
use crate::group::offsets::Committed;
use crate::group::words::MemberRef;
use crate::records::OffsetRecord;

pub(super) async fn handle(ctx: Ctx, request: OffsetCommitRequest) -> OffsetCommitResponse {
    let group = request.group_id.as_str();
    let member = MemberRef {
        member_id: request.member_id.to_string(),
        instance_id: request.group_instance_id.as_ref().map(|i| i.to_string()),
        generation: request.generation_id_or_member_epoch,
    };
    let now = ctx.broker.env.clock.wall_ms();
    let mut offsets = Vec::new();
    let mut codes: Vec<Vec<(i32, Option<Code>)>> = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let known = ctx.broker.topics.get(&topic.name);
        let allowed = ctx.may(Resource::Topic(&topic.name), Action::Read);
        let mut of_topic = Vec::with_capacity(topic.partitions.len());
        for part in &topic.partitions {
            let exists = known.as_ref().is_some_and(|t| t.partition(part.partition_index).is_some());
            let refused = match (allowed, exists) {
                (false, _) => Some(Code::TopicAuthorizationFailed),
                (true, false) => Some(Code::UnknownTopicOrPartition),
                (true, true) => None,
            };
            of_topic.push((part.partition_index, refused));
            if refused.is_none() {
                let record = OffsetRecord {
                    offset: part.committed_offset,
                    leader_epoch: part.committed_leader_epoch,
                    metadata: part.committed_metadata.as_ref().map(|m| m.to_string()).unwrap_or_default(),
                    committed_at: now,
                };
                offsets.push(((topic.name.to_string(), part.partition_index), record));
            }
        }
        codes.push(of_topic);
    }
    let outcome = if group.is_empty() {
        Err(GroupError::InvalidGroupId.code())
    } else if !ctx.may(Resource::Group(group), Action::Read) {
        Err(Code::GroupAuthorizationFailed)
    } else {
        let committed = ctx.broker.groups.commit(group, &member, offsets);
        durable(&ctx, committed).await
    };
    let mut answers = outcome.as_ref().map(|a| a.iter()).unwrap_or_default();
    let mut topics = Vec::with_capacity(request.topics.len());
    for (topic, of_topic) in request.topics.iter().zip(codes) {
        let mut partitions = Vec::with_capacity(of_topic.len());
        for (index, refused) in of_topic {
            let code = match (refused, &outcome) {
                (Some(code), _) => code.code(),
                (None, Err(code)) => code.code(),
                (None, Ok(_)) => answers.next().map_or(0, super::code_of),
            };
            partitions.push(OffsetCommitResponsePartition::default().with_partition_index(index).with_error_code(code));
        }
        topics.push(OffsetCommitResponseTopic::default().with_name(topic.name.clone()).with_partitions(partitions));
    }
    OffsetCommitResponse::default().with_topics(topics)
}

/// Answers of a commit, once they are durable.
pub(super) async fn durable(ctx: &Ctx, committed: Committed) -> Result<Vec<Result<(), GroupError>>, Code> {
    let (answers, position) = committed.map_err(|error| error.code())?;
    if let Some(position) = position {
        let durable = ctx.broker.store.meta().wait_durable(position).await;
        durable.map_err(|_| GroupError::Storage.code())?;
    }
    Ok(answers)
}
