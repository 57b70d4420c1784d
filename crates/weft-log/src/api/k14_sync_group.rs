//! SyncGroup (key 14), versions 0–5: answered when the leader has assigned.

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::{SyncGroupRequest, SyncGroupResponse};

use super::{denied, text};
use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;
use crate::error::Coded;
use crate::group::words::{MemberRef, Sync};

pub(super) async fn handle(ctx: Ctx, request: SyncGroupRequest) -> SyncGroupResponse {
    let response = SyncGroupResponse::default();
    let group = request.group_id.to_string();
    if !ctx.may(Resource::Group(&group), Action::Read) {
        return response.with_error_code(denied(Code::GroupAuthorizationFailed));
    }
    // Copied: a slice would keep the whole request in memory as long as the member lives.
    let assignment = |a: &kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment| {
        (a.member_id.to_string(), bytes::Bytes::copy_from_slice(&a.assignment))
    };
    let sync = Sync {
        ticket: 0,
        member: MemberRef {
            member_id: request.member_id.to_string(),
            instance_id: request.group_instance_id.as_ref().map(|i| i.to_string()),
            generation: request.generation_id,
        },
        protocol_type: request.protocol_type.as_ref().map(|t| t.to_string()),
        protocol: request.protocol_name.as_ref().map(|p| p.to_string()),
        assignments: request.assignments.iter().map(assignment).collect(),
    };
    match ctx.broker.groups.sync(&group, sync).await {
        Ok(synced) => response
            .with_protocol_type(Some(text(synced.protocol_type)))
            .with_protocol_name(Some(text(synced.protocol)))
            .with_assignment(synced.assignment),
        Err(error) => response.with_error_code(error.code().code()),
    }
}
