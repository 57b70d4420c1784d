//! DeleteRecords (key 21), versions 0–2. Offset -1: everything up to the high watermark.

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::delete_records_request::DeleteRecordsPartition;
use kafka_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;
use crate::error::Coded;

pub(super) async fn handle(ctx: Ctx, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let result = DeleteRecordsPartitionResult::default().with_partition_index(asked.partition_index);
            partitions.push(match delete(&ctx, &topic.name, asked) {
                Ok(low_watermark) => result.with_low_watermark(low_watermark),
                Err(code) => result.with_low_watermark(-1).with_error_code(code.code()),
            });
        }
        topics.push(DeleteRecordsTopicResult::default().with_name(topic.name).with_partitions(partitions));
    }
    DeleteRecordsResponse::default().with_topics(topics)
}

fn delete(ctx: &Ctx, topic: &str, asked: &DeleteRecordsPartition) -> Result<i64, Code> {
    if !ctx.may(Resource::Topic(topic), Action::Delete) {
        return Err(Code::TopicAuthorizationFailed);
    }
    let topic = ctx.broker.topics.get(topic).ok_or(Code::UnknownTopicOrPartition)?;
    let partition = topic.partition(asked.partition_index).ok_or(Code::UnknownTopicOrPartition)?;
    let config = partition.config();
    if config.cleanup.compact && !config.cleanup.delete {
        return Err(Code::PolicyViolation);
    }
    partition.delete_records(asked.offset).map_err(|error| error.code())
}
