//! JoinGroup (key 11), versions 0–9: answered when the rebalance is done.

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse};
use kafka_protocol::protocol::StrBytes;

use super::text;
use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;
use crate::error::Coded;
use crate::group::words::{Join, Protocol};

pub(super) async fn handle(ctx: Ctx, request: JoinGroupRequest) -> JoinGroupResponse {
    let group = request.group_id.to_string();
    if !ctx.may(Resource::Group(&group), Action::Read) {
        return refused(&ctx, Code::GroupAuthorizationFailed, request.member_id);
    }
    let session_timeout = u64::try_from(request.session_timeout_ms).unwrap_or(0);
    // v0 has no rebalance timeout: the session's is meant.
    let rebalance_timeout = u64::try_from(request.rebalance_timeout_ms).unwrap_or(session_timeout);
    let client_id = if ctx.client_id.is_empty() { "client" } else { &ctx.client_id };
    let protocols = request.protocols.iter().map(|p| Protocol {
        name: p.name.to_string(),
        // Copied: a slice would keep the whole request in memory as long as the member lives.
        metadata: bytes::Bytes::copy_from_slice(&p.metadata),
    });
    let join = Join {
        ticket: 0,
        member_id: request.member_id.to_string(),
        new_member_id: format!(
            "{}-{}",
            request.group_instance_id.as_deref().unwrap_or(client_id),
            ctx.broker.env.random_uuid()
        ),
        instance_id: request.group_instance_id.as_ref().map(|i| i.to_string()),
        client_id: ctx.client_id.clone(),
        client_host: format!("/{}", ctx.connection.peer.ip()),
        session_timeout,
        rebalance_timeout,
        protocol_type: request.protocol_type.to_string(),
        protocols: protocols.collect(),
        member_id_required: ctx.version >= 4,
        can_skip_assignment: ctx.version >= 9,
    };
    let joined = match ctx.broker.groups.join(&group, join).await {
        Ok(joined) => joined,
        Err(refusal) => return refused(&ctx, refusal.error.code(), text(refusal.member_id)),
    };
    let member = |(id, instance_id, metadata): (String, Option<String>, bytes::Bytes)| {
        JoinGroupResponseMember::default()
            .with_member_id(text(id))
            .with_group_instance_id(instance_id.map(text))
            .with_metadata(metadata)
    };
    JoinGroupResponse::default()
        .with_generation_id(joined.generation)
        .with_protocol_type(Some(text(joined.protocol_type)))
        .with_protocol_name(Some(text(joined.protocol)))
        .with_leader(text(joined.leader))
        .with_member_id(text(joined.member_id))
        .with_skip_assignment(joined.skip_assignment)
        .with_members(joined.members.into_iter().map(member).collect())
}

fn refused(ctx: &Ctx, code: Code, member_id: StrBytes) -> JoinGroupResponse {
    let response = JoinGroupResponse::default().with_error_code(code.code()).with_member_id(member_id);
    // Null where it may be: before v7 it may not.
    response.with_protocol_name((ctx.version < 7).then(|| text("")))
}
