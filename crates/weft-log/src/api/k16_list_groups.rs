//! ListGroups (key 16), versions 0–5.

use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{GroupId, ListGroupsRequest, ListGroupsResponse};

use super::text;
use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;

const CLASSIC: &str = "classic";

pub(super) async fn handle(ctx: Ctx, request: ListGroupsRequest) -> ListGroupsResponse {
    let wanted = |filter: &[kafka_protocol::protocol::StrBytes], value: &str| {
        filter.is_empty() || filter.iter().any(|f| f.eq_ignore_ascii_case(value))
    };
    let mut groups = Vec::new();
    for (id, state, protocol_type) in ctx.broker.groups.list() {
        let listed = wanted(&request.states_filter, state.name())
            && wanted(&request.types_filter, CLASSIC)
            && ctx.may(Resource::Group(&id), Action::Describe);
        if listed {
            groups.push(
                ListedGroup::default()
                    .with_group_id(GroupId(text(id)))
                    .with_protocol_type(text(protocol_type))
                    .with_group_state(text(state.name()))
                    .with_group_type(text(CLASSIC)),
            );
        }
    }
    ListGroupsResponse::default().with_groups(groups)
}
