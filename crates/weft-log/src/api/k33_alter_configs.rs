//! AlterConfigs (key 33), versions 0–2, replaces all configs of a topic; IncrementalAlterConfigs (key 44), versions
//! 0–1, changes some. The broker's own are options of the program, not for clients.

use std::collections::HashSet;

use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse as ReplaceResponse;
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse as IncrementalResponse;
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};

use super::k32_describe_configs::{BROKER, TOPIC};
use super::{code_of, message_of};
use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;
use crate::error::{ConfigError, TopicError};
use crate::topic_config::{self, Configs, Operation};

/// Name, operation, value.
type Change<'a> = (&'a str, i8, Option<&'a str>);

const SET: i8 = 0;

pub(super) async fn replace(ctx: Ctx, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in &request.resources {
        let changes: Vec<Change<'_>> =
            resource.configs.iter().map(|c| (c.name.as_str(), SET, c.value.as_ref().map(|v| v.as_str()))).collect();
        let at = (resource.resource_type, resource.resource_name.as_str());
        let done = alter(&ctx, at, &changes, true, request.validate_only).await;
        responses.push(
            ReplaceResponse::default()
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name.clone())
                .with_error_code(code_of(&done))
                .with_error_message(message_of(&done)),
        );
    }
    AlterConfigsResponse::default().with_responses(responses)
}

pub(super) async fn incremental(ctx: Ctx, request: IncrementalAlterConfigsRequest) -> IncrementalAlterConfigsResponse {
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in &request.resources {
        let changes: Vec<Change<'_>> = resource
            .configs
            .iter()
            .map(|c| (c.name.as_str(), c.config_operation, c.value.as_ref().map(|v| v.as_str())))
            .collect();
        let at = (resource.resource_type, resource.resource_name.as_str());
        let done = alter(&ctx, at, &changes, false, request.validate_only).await;
        responses.push(
            IncrementalResponse::default()
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name.clone())
                .with_error_code(code_of(&done))
                .with_error_message(message_of(&done)),
        );
    }
    IncrementalAlterConfigsResponse::default().with_responses(responses)
}

async fn alter(
    ctx: &Ctx,
    (resource_type, name): (i8, &str),
    changes: &[Change<'_>],
    from_nothing: bool,
    validate_only: bool,
) -> Result<(), TopicError> {
    if resource_type == BROKER {
        let name = changes.first().map_or(name, |(name, ..)| name).to_owned();
        return Err(ConfigError::ReadOnly { name }.into());
    }
    if resource_type != TOPIC {
        return Err(ConfigError::ResourceType { resource_type }.into());
    }
    if !ctx.may(Resource::Topic(name), Action::AlterConfigs) {
        return Err(TopicError::Denied { action: "change the configs of" });
    }
    let topic = ctx.broker.topics.get(name).ok_or(TopicError::Unknown)?;
    let mut configs = if from_nothing { Configs::new() } else { topic.configs.clone() };
    let mut seen = HashSet::new();
    for (name, operation, value) in changes {
        if !seen.insert(name) {
            return Err(ConfigError::Twice { name: (*name).to_owned() }.into());
        }
        let code = *operation;
        let operation = Operation::from_code(code).ok_or(ConfigError::Operation { code })?;
        topic_config::alter(&mut configs, name, operation, *value)?;
    }
    if validate_only {
        return Ok(());
    }
    let position = ctx.broker.topics.set_configs(name, configs)?;
    let durable = ctx.broker.store.meta().wait_durable(position).await;
    durable.map_err(|_| TopicError::Storage)
}
