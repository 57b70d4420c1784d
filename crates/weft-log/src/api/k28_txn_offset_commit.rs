//! TxnOffsetCommit (key 28), versions 0–5: offsets that count when the transaction commits. v5 (KIP-890, TV2) takes the
//! group into the transaction by itself.

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};

use super::k08_offset_commit::durable;
use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;
use crate::error::{Coded, GroupError, TxnError};
use crate::group::TopicPartition;
use crate::group::words::MemberRef;
use crate::records::OffsetRecord;
use crate::txn::core::Producer;

pub(super) async fn handle(ctx: Ctx, request: TxnOffsetCommitRequest) -> TxnOffsetCommitResponse {
    let mut offsets = Vec::new();
    let mut codes = Vec::with_capacity(request.topics.len());
    let now = ctx.broker.env.clock.wall_ms();
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
    let outcome = commit(&ctx, &request, offsets).await;
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
            partitions
                .push(TxnOffsetCommitResponsePartition::default().with_partition_index(index).with_error_code(code));
        }
        topics.push(TxnOffsetCommitResponseTopic::default().with_name(topic.name.clone()).with_partitions(partitions));
    }
    TxnOffsetCommitResponse::default().with_topics(topics)
}

async fn commit(
    ctx: &Ctx,
    request: &TxnOffsetCommitRequest,
    offsets: Vec<(TopicPartition, OffsetRecord)>,
) -> Result<Vec<Result<(), GroupError>>, Code> {
    let id = request.transactional_id.as_str();
    let group = request.group_id.as_str();
    if !ctx.may(Resource::TransactionalId(id), Action::Write) {
        return Err(Code::TransactionalIdAuthorizationFailed);
    }
    if !ctx.may(Resource::Group(group), Action::Read) {
        return Err(Code::GroupAuthorizationFailed);
    }
    if group.is_empty() {
        return Err(Code::InvalidGroupId);
    }
    let producer = Producer { id: request.producer_id.0, epoch: request.producer_epoch };
    let member = MemberRef {
        member_id: request.member_id.to_string(),
        instance_id: request.group_instance_id.as_ref().map(|i| i.to_string()),
        generation: request.generation_id,
    };
    let adds = ctx.version >= 5;
    let committed = ctx.broker.transactions.commit_offsets(id, producer, group, adds, || {
        ctx.broker.groups.commit_pending(group, &member, producer.id, offsets)
    });
    let committed = committed.map_err(|error| match error {
        // The group's coordinator knows no PRODUCER_FENCED: to it, the epoch is old.
        TxnError::Fenced => Code::InvalidProducerEpoch,
        other => other.code(),
    })?;
    durable(ctx, committed).await
}
