//! DescribeCluster (key 60), versions 0–2.

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{BrokerId, DescribeClusterRequest, DescribeClusterResponse};

use super::text;
use crate::authorizer::Resource;
use crate::broker::Ctx;

/// Endpoint type: brokers. The other one, controllers, has no listener here.
const BROKERS: i8 = 1;

pub(super) async fn handle(ctx: Ctx, request: DescribeClusterRequest) -> DescribeClusterResponse {
    let mut response = DescribeClusterResponse::default();
    if ctx.version >= 1 {
        response.endpoint_type = request.endpoint_type;
        if request.endpoint_type != BROKERS {
            return response
                .with_error_code(Code::MismatchedEndpointType.code())
                .with_error_message(Some(text("this listener is for brokers")));
        }
    }
    let node = BrokerId(ctx.broker.options.node_id);
    let (host, port) = ctx.advertised.clone();
    let broker = DescribeClusterBroker::default().with_broker_id(node).with_host(text(host)).with_port(i32::from(port));
    if request.include_cluster_authorized_operations {
        response.cluster_authorized_operations = ctx.operations(Resource::Cluster);
    }
    response.with_cluster_id(text(ctx.broker.cluster_id.clone())).with_controller_id(node).with_brokers(vec![broker])
}
