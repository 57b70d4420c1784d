//! ListOffsets (key 2), versions 1–10. -1 latest (for `read_committed` the last stable offset), -2 earliest, -3 the
//! record with the greatest timestamp, -4 earliest local and -5 latest tiered: there are no tiers.

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};

use super::k01_fetch::check_epoch;
use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;
use crate::error::Coded;
use crate::store::{Isolation, Partition, TimestampOffset};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;

pub(super) async fn handle(ctx: Ctx, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let isolation = match request.isolation_level {
        0 => Isolation::ReadUncommitted,
        _ => Isolation::ReadCommitted,
    };
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let partitions =
            topic.partitions.iter().map(|asked| partition_response(&ctx, &topic, asked, isolation)).collect();
        topics.push(ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions));
    }
    ListOffsetsResponse::default().with_topics(topics)
}

fn partition_response(
    ctx: &Ctx,
    topic: &ListOffsetsTopic,
    asked: &ListOffsetsPartition,
    isolation: Isolation,
) -> ListOffsetsPartitionResponse {
    let response = ListOffsetsPartitionResponse::default().with_partition_index(asked.partition_index);
    match look_up(ctx, topic, asked, isolation) {
        Ok(found) => {
            let response = response.with_offset(found.offset).with_timestamp(found.timestamp);
            if ctx.version >= 4 { response.with_leader_epoch(found.leader_epoch) } else { response }
        }
        Err(code) => response.with_error_code(code.code()),
    }
}

fn look_up(
    ctx: &Ctx,
    topic: &ListOffsetsTopic,
    asked: &ListOffsetsPartition,
    isolation: Isolation,
) -> Result<TimestampOffset, Code> {
    if !ctx.may(Resource::Topic(&topic.name), Action::Describe) {
        return Err(Code::TopicAuthorizationFailed);
    }
    let topic = ctx.broker.topics.get(&topic.name).ok_or(Code::UnknownTopicOrPartition)?;
    let partition = topic.partition(asked.partition_index).ok_or(Code::UnknownTopicOrPartition)?;
    check_epoch(partition, asked.current_leader_epoch)?;
    let none = TimestampOffset { offset: -1, timestamp: -1, leader_epoch: -1 };
    let found = match asked.timestamp {
        LATEST => latest(partition, isolation),
        EARLIEST | EARLIEST_LOCAL => earliest(partition),
        MAX_TIMESTAMP => partition.offset_of_max_timestamp().map_err(|e| e.code())?.unwrap_or(none),
        LATEST_TIERED => none,
        time => partition.offset_for_timestamp(time, isolation).map_err(|e| e.code())?.unwrap_or(none),
    };
    Ok(found)
}

fn latest(partition: &Partition, isolation: Isolation) -> TimestampOffset {
    let offsets = partition.offsets();
    TimestampOffset {
        offset: match isolation {
            Isolation::ReadUncommitted => offsets.high_watermark,
            Isolation::ReadCommitted => offsets.last_stable_offset,
        },
        timestamp: -1,
        leader_epoch: partition.leader_epoch(),
    }
}

fn earliest(partition: &Partition) -> TimestampOffset {
    TimestampOffset { offset: partition.offsets().log_start_offset, timestamp: -1, leader_epoch: -1 }
}
