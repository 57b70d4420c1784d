//! DescribeProducers (key 61), version 0: who writes to a partition, and whose transaction is open.

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::describe_producers_response::{PartitionResponse, ProducerState, TopicResponse};
use kafka_protocol::messages::{DescribeProducersRequest, DescribeProducersResponse, ProducerId};

use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;
use crate::store::ProducerInfo;

pub(super) async fn handle(ctx: Ctx, request: DescribeProducersRequest) -> DescribeProducersResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let allowed = ctx.may(Resource::Topic(&topic.name), Action::Read);
        let known = ctx.broker.topics.get(&topic.name);
        let mut partitions = Vec::with_capacity(topic.partition_indexes.len());
        for index in topic.partition_indexes {
            let response = PartitionResponse::default().with_partition_index(index);
            let partition = known.as_ref().and_then(|t| t.partition(index));
            partitions.push(match partition {
                _ if !allowed => response.with_error_code(Code::TopicAuthorizationFailed.code()),
                None => response.with_error_code(Code::UnknownTopicOrPartition.code()),
                Some(partition) => {
                    let producers = partition.producers().into_iter().map(producer);
                    response.with_active_producers(producers.collect())
                }
            });
        }
        topics.push(TopicResponse::default().with_name(topic.name).with_partitions(partitions));
    }
    DescribeProducersResponse::default().with_topics(topics)
}

fn producer(info: ProducerInfo) -> ProducerState {
    ProducerState::default()
        .with_producer_id(ProducerId(info.producer_id))
        .with_producer_epoch(i32::from(info.producer_epoch))
        .with_last_sequence(info.last_sequence)
        .with_last_timestamp(info.last_timestamp)
        .with_coordinator_epoch(info.coordinator_epoch)
        .with_current_txn_start_offset(info.transaction_start_offset.unwrap_or(-1))
}
