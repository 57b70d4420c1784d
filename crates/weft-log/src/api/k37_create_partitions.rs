//! CreatePartitions (key 37), versions 0–3.

use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

use super::{code_of, message_of};
use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;
use crate::error::TopicError;

pub(super) async fn handle(ctx: Ctx, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let twice = request.topics.iter().filter(|t| t.name == topic.name).count() > 1;
        let grown = if twice {
            Err(TopicError::Twice { name: topic.name.to_string() })
        } else {
            grow(&ctx, topic, request.validate_only).await
        };
        results.push(
            CreatePartitionsTopicResult::default()
                .with_name(topic.name.clone())
                .with_error_code(code_of(&grown))
                .with_error_message(message_of(&grown)),
        );
    }
    CreatePartitionsResponse::default().with_results(results)
}

async fn grow(ctx: &Ctx, topic: &CreatePartitionsTopic, validate_only: bool) -> Result<(), TopicError> {
    if !ctx.may(Resource::Topic(&topic.name), Action::Alter) {
        return Err(TopicError::Denied { action: "change" });
    }
    let node_id = ctx.broker.options.node_id;
    if let Some(assignments) = &topic.assignments {
        let now = ctx.broker.topics.get(&topic.name).ok_or(TopicError::Unknown)?.partitions.len();
        let new = usize::try_from(topic.count).unwrap_or(0).saturating_sub(now);
        let here = assignments.iter().all(|a| matches!(a.broker_ids.as_slice(), [only] if only.0 == node_id));
        if !here || assignments.len() != new {
            return Err(TopicError::InvalidAssignment { node_id });
        }
    }
    if let Some(position) = ctx.broker.topics.grow(&topic.name, topic.count, validate_only)? {
        let durable = ctx.broker.store.meta().wait_durable(position).await;
        durable.map_err(|_| TopicError::Storage)?;
    }
    Ok(())
}
