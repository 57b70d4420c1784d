//! DescribeGroups (key 15), versions 0–6; v6 tells a group that is not there from a dead one (KIP-1043).

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse};

use super::{denied, text};
use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;
use crate::group::DescribedMember;

pub(super) async fn handle(ctx: Ctx, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
    let mut groups = Vec::with_capacity(request.groups.len());
    for id in request.groups {
        let response = DescribedGroup::default().with_group_id(id.clone());
        if !ctx.may(Resource::Group(&id), Action::Describe) {
            groups.push(response.with_error_code(denied(Code::GroupAuthorizationFailed)));
            continue;
        }
        let mut response = match ctx.broker.groups.describe(&id) {
            Some(group) => response
                .with_group_state(text(group.state.name()))
                .with_protocol_type(text(group.protocol_type))
                .with_protocol_data(text(group.protocol))
                .with_members(group.members.into_iter().map(member).collect()),
            None if ctx.version >= 6 => response
                .with_group_state(text("Dead"))
                .with_error_code(Code::GroupIdNotFound.code())
                .with_error_message(Some(text(format!("group \"{}\" is not there", id.as_str())))),
            None => response.with_group_state(text("Dead")),
        };
        if request.include_authorized_operations {
            response.authorized_operations = ctx.operations(Resource::Group(&id));
        }
        groups.push(response);
    }
    DescribeGroupsResponse::default().with_groups(groups)
}

fn member(member: DescribedMember) -> DescribedGroupMember {
    DescribedGroupMember::default()
        .with_member_id(text(member.member_id))
        .with_group_instance_id(member.instance_id.map(text))
        .with_client_id(text(member.client_id))
        .with_client_host(text(member.client_host))
        .with_member_metadata(member.metadata)
        .with_member_assignment(member.assignment)
}
