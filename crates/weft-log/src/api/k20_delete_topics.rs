//! DeleteTopics (key 20), versions 1–6; v6 by name or id. Offsets that groups committed go with the topic.

use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};
use uuid::Uuid;

use super::{code_of, message_of, topic_name};
use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;
use crate::error::TopicError;

pub(super) async fn handle(ctx: Ctx, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let asked: Vec<(Option<String>, Uuid)> = if ctx.version < 6 {
        let names = request.topic_names.iter();
        names.map(|n| (Some(n.to_string()), Uuid::nil())).collect()
    } else {
        let topics = request.topics.iter();
        topics.map(|t| (t.name.as_ref().map(|n| n.to_string()), t.topic_id)).collect()
    };
    let mut responses = Vec::with_capacity(asked.len());
    for (name, id) in asked {
        let deleted = delete(&ctx, name.as_deref(), id).await;
        let (name, id) = match &deleted {
            Ok((name, id)) => (Some(name.clone()), *id),
            Err(_) => (name, id),
        };
        let mut result = DeletableTopicResult::default()
            .with_name(name.as_deref().map(topic_name))
            .with_error_code(code_of(&deleted));
        if ctx.version >= 5 {
            result.error_message = message_of(&deleted);
        }
        if ctx.version >= 6 {
            result.topic_id = id;
        }
        responses.push(result);
    }
    DeleteTopicsResponse::default().with_responses(responses)
}

async fn delete(ctx: &Ctx, name: Option<&str>, id: Uuid) -> Result<(String, Uuid), TopicError> {
    let topics = &ctx.broker.topics;
    let topic = match name {
        Some(_) if !id.is_nil() => return Err(TopicError::NameAndId),
        Some(name) => topics.get(name).ok_or(TopicError::Unknown)?,
        None => topics.get_by_id(id).ok_or(TopicError::UnknownId)?,
    };
    if !ctx.may(Resource::Topic(&topic.name), Action::Delete) {
        return Err(TopicError::Denied { action: "delete" });
    }
    let offsets = ctx.broker.groups.forget_topic(&topic.name);
    let position = topics.delete(&topic, offsets)?;
    let durable = ctx.broker.store.meta().wait_durable(position).await;
    durable.map_err(|_| TopicError::Storage)?;
    Ok((topic.name.clone(), topic.id))
}
