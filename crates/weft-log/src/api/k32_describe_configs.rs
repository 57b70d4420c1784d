//! DescribeConfigs (key 32), versions 1–4: topics, and the broker under Kafka's names for its options.

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use super::text;
use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;
use crate::broker_config;
use crate::error::{Coded, ConfigError};
use crate::topic_config::{self, Configs, DEFAULT_CONFIG, DEFINITIONS, Definition, STATIC_BROKER_CONFIG, TOPIC_CONFIG};

pub(super) const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;

pub(super) async fn handle(ctx: Ctx, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let mut results = Vec::with_capacity(request.resources.len());
    for resource in &request.resources {
        let result = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone());
        results.push(match describe(&ctx, &request, resource) {
            Ok(configs) => result.with_error_message(None).with_configs(configs),
            Err((code, because)) => result.with_error_code(code.code()).with_error_message(Some(text(because))),
        });
    }
    DescribeConfigsResponse::default().with_results(results)
}

fn describe(
    ctx: &Ctx,
    request: &DescribeConfigsRequest,
    resource: &DescribeConfigsResource,
) -> Result<Vec<DescribeConfigsResourceResult>, (Code, String)> {
    let name = resource.resource_name.as_str();
    let refuse = |code: Code, because: &str| Err((code, because.to_owned()));
    let wanted = |key: &str| {
        let keys = resource.configuration_keys.as_ref();
        keys.is_none_or(|keys| keys.iter().any(|k| k.as_str() == key))
    };
    match resource.resource_type {
        TOPIC => {
            if !ctx.may(Resource::Topic(name), Action::DescribeConfigs) {
                return refuse(Code::TopicAuthorizationFailed, "not allowed to read the topic's configs");
            }
            let Some(topic) = ctx.broker.topics.get(name) else {
                return refuse(Code::UnknownTopicOrPartition, "there is no such topic");
            };
            let definitions = DEFINITIONS.iter().filter(|d| wanted(d.name));
            Ok(definitions.map(|d| topic_result(ctx, request, &topic.configs, d)).collect())
        }
        BROKER => {
            if !ctx.may(Resource::Cluster, Action::DescribeConfigs) {
                return refuse(Code::ClusterAuthorizationFailed, "not allowed to read the broker's configs");
            }
            let node_id = ctx.broker.options.node_id;
            // An empty name is the default of all brokers: nothing is set there.
            if name.is_empty() {
                return Ok(Vec::new());
            }
            if name != node_id.to_string() {
                let error = ConfigError::Broker { name: name.to_owned(), node_id };
                return Err((error.code(), error.to_string()));
            }
            let configs = broker_config::describe(&ctx.broker.options, ctx.broker.protocol);
            let configs = configs.into_iter().filter(|c| wanted(c.name));
            let result = |c: broker_config::BrokerConfig| {
                let result = DescribeConfigsResourceResult::default()
                    .with_name(text(c.name))
                    .with_value(Some(text(c.value)))
                    .with_read_only(true)
                    .with_config_source(STATIC_BROKER_CONFIG);
                typed(ctx, request, result, c.value_type, c.documentation)
            };
            Ok(configs.map(result).collect())
        }
        resource_type => {
            let error = ConfigError::ResourceType { resource_type };
            Err((error.code(), error.to_string()))
        }
    }
}

fn topic_result(
    ctx: &Ctx,
    request: &DescribeConfigsRequest,
    configs: &Configs,
    definition: &Definition,
) -> DescribeConfigsResourceResult {
    let defaults = ctx.broker.topics.defaults();
    let source = topic_config::source(configs, defaults, definition);
    let mut result = DescribeConfigsResourceResult::default()
        .with_name(text(definition.name))
        .with_value(Some(text(source.value)))
        .with_config_source(source.code);
    if request.include_synonyms {
        let mut synonyms = Vec::new();
        let mut add = |name: &str, value: &str, source: i8| {
            synonyms.push(
                DescribeConfigsSynonym::default()
                    .with_name(text(name))
                    .with_value(Some(text(value)))
                    .with_source(source),
            );
        };
        if let Some(own) = configs.get(definition.name) {
            add(definition.name, own, TOPIC_CONFIG);
        }
        if let Some(broker) = defaults.get(definition.name) {
            add(definition.broker_name, broker, STATIC_BROKER_CONFIG);
        }
        if !definition.broker_name.is_empty() {
            add(definition.broker_name, definition.default, DEFAULT_CONFIG);
        }
        result.synonyms = synonyms;
    }
    typed(ctx, request, result, definition.value_type, definition.documentation)
}

fn typed(
    ctx: &Ctx,
    request: &DescribeConfigsRequest,
    mut result: DescribeConfigsResourceResult,
    value_type: topic_config::Type,
    documentation: &str,
) -> DescribeConfigsResourceResult {
    if ctx.version >= 3 {
        result.config_type = value_type.code();
        result.documentation = request.include_documentation.then(|| text(documentation));
    }
    result
}
