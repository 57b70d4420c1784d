//! ListConfigResources (key 74), versions 0–1; v0 means client metrics only, of which there are none.

use kafka_protocol::messages::list_config_resources_response::ConfigResource;
use kafka_protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};

use super::k32_describe_configs::{BROKER, TOPIC};
use super::text;
use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;

pub(super) async fn handle(ctx: Ctx, request: ListConfigResourcesRequest) -> ListConfigResourcesResponse {
    let response = ListConfigResourcesResponse::default();
    if ctx.version == 0 {
        return response;
    }
    let types = &request.resource_types;
    let wanted = |resource_type: i8| types.is_empty() || types.contains(&resource_type);
    let mut resources = Vec::new();
    let mut add = |resource_type: i8, name: String| {
        resources.push(ConfigResource::default().with_resource_type(resource_type).with_resource_name(text(name)));
    };
    if wanted(TOPIC) {
        for topic in ctx.broker.topics.all() {
            if ctx.may(Resource::Topic(&topic.name), Action::DescribeConfigs) {
                add(TOPIC, topic.name.clone());
            }
        }
    }
    if wanted(BROKER) && ctx.may(Resource::Cluster, Action::DescribeConfigs) {
        add(BROKER, ctx.broker.options.node_id.to_string());
    }
    response.with_config_resources(resources)
}
