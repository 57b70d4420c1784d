//! Heartbeat (key 12), versions 0–4.

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use super::{code_of, denied};
use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;
use crate::group::words::MemberRef;

pub(super) async fn handle(ctx: Ctx, request: HeartbeatRequest) -> HeartbeatResponse {
    let response = HeartbeatResponse::default();
    if !ctx.may(Resource::Group(&request.group_id), Action::Read) {
        return response.with_error_code(denied(Code::GroupAuthorizationFailed));
    }
    let member = MemberRef {
        member_id: request.member_id.to_string(),
        instance_id: request.group_instance_id.map(|i| i.to_string()),
        generation: request.generation_id,
    };
    let beat = ctx.broker.groups.heartbeat(&request.group_id, &member);
    response.with_error_code(code_of(&beat))
}
