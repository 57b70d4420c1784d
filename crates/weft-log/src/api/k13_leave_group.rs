//! LeaveGroup (key 13), versions 0–5; from v3 several members at once, static ones by instance id.

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};

use super::{code_of, denied};
use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;

pub(super) async fn handle(ctx: Ctx, request: LeaveGroupRequest) -> LeaveGroupResponse {
    let response = LeaveGroupResponse::default();
    if !ctx.may(Resource::Group(&request.group_id), Action::Read) {
        return response.with_error_code(denied(Code::GroupAuthorizationFailed));
    }
    let groups = &ctx.broker.groups;
    if ctx.version < 3 {
        let left = groups.leave(&request.group_id, &request.member_id, None);
        return response.with_error_code(code_of(&left));
    }
    let mut members = Vec::with_capacity(request.members.len());
    for member in request.members {
        let instance_id = member.group_instance_id.as_ref().map(|i| i.as_str());
        let left = groups.leave(&request.group_id, &member.member_id, instance_id);
        members.push(
            MemberResponse::default()
                .with_member_id(member.member_id)
                .with_group_instance_id(member.group_instance_id)
                .with_error_code(code_of(&left)),
        );
    }
    response.with_members(members)
}
