//! FindCoordinator (key 10), versions 0–6: the one broker coordinates every group and every transactional id.

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;

use super::text;
use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

pub(super) async fn handle(ctx: Ctx, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
    let node = BrokerId(ctx.broker.options.node_id);
    let (host, port) = ctx.advertised.clone();
    let (host, port) = (text(host), i32::from(port));
    if ctx.version < 4 {
        let response = FindCoordinatorResponse::default().with_error_message(None);
        return match check(&ctx, &request.key, request.key_type) {
            Ok(()) => response.with_node_id(node).with_host(host).with_port(port),
            Err((code, because)) => response
                .with_error_code(code.code())
                .with_error_message(Some(text(because)))
                .with_node_id(BrokerId(-1))
                .with_port(-1),
        };
    }
    let mut coordinators = Vec::with_capacity(request.coordinator_keys.len());
    for key in request.coordinator_keys {
        let checked = check(&ctx, &key, request.key_type);
        let response = Coordinator::default().with_key(key).with_error_message(None);
        coordinators.push(match checked {
            Ok(()) => response.with_node_id(node).with_host(host.clone()).with_port(port),
            Err((code, because)) => response
                .with_error_code(code.code())
                .with_error_message(Some(text(because)))
                .with_node_id(BrokerId(-1))
                .with_port(-1),
        });
    }
    FindCoordinatorResponse::default().with_coordinators(coordinators)
}

fn check(ctx: &Ctx, key: &StrBytes, key_type: i8) -> Result<(), (Code, &'static str)> {
    match key_type {
        GROUP if ctx.may(Resource::Group(key), Action::Describe) => Ok(()),
        GROUP => Err((Code::GroupAuthorizationFailed, "not allowed to see the group")),
        TRANSACTION if ctx.may(Resource::TransactionalId(key), Action::Describe) => Ok(()),
        TRANSACTION => Err((Code::TransactionalIdAuthorizationFailed, "not allowed to use the transactional id")),
        _ => Err((Code::InvalidRequest, "only groups and transactional ids have a coordinator here")),
    }
}
