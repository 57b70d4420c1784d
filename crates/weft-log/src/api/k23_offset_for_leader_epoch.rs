//! OffsetForLeaderEpoch (key 23), versions 2–4: where a leader epoch ended, so that a reader notices a shortened log.

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use super::k01_fetch::check_epoch;
use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;

pub(super) async fn handle(ctx: Ctx, request: OffsetForLeaderEpochRequest) -> OffsetForLeaderEpochResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let response = EpochEndOffset::default().with_partition(asked.partition);
            partitions.push(match look_up(&ctx, &topic.topic, asked) {
                Ok((epoch, end_offset)) => response.with_leader_epoch(epoch).with_end_offset(end_offset),
                Err(code) => response.with_error_code(code.code()),
            });
        }
        topics.push(OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(partitions));
    }
    OffsetForLeaderEpochResponse::default().with_topics(topics)
}

fn look_up(ctx: &Ctx, topic: &str, asked: &OffsetForLeaderPartition) -> Result<(i32, i64), Code> {
    if !ctx.may(Resource::Topic(topic), Action::Describe) {
        return Err(Code::TopicAuthorizationFailed);
    }
    let topic = ctx.broker.topics.get(topic).ok_or(Code::UnknownTopicOrPartition)?;
    let partition = topic.partition(asked.partition).ok_or(Code::UnknownTopicOrPartition)?;
    check_epoch(partition, asked.current_leader_epoch)?;
    Ok(partition.epoch_end_offset(asked.leader_epoch).unwrap_or((-1, -1)))
}
