//! DeleteGroups (key 42), versions 0–2: groups without members, with their offsets.

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};

use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;
use crate::error::{Coded, GroupError};

pub(super) async fn handle(ctx: Ctx, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let mut results = Vec::with_capacity(request.groups_names.len());
    for group in request.groups_names {
        let code = match delete(&ctx, &group).await {
            Ok(()) => 0,
            Err(code) => code.code(),
        };
        results.push(DeletableGroupResult::default().with_group_id(group).with_error_code(code));
    }
    DeleteGroupsResponse::default().with_results(results)
}

async fn delete(ctx: &Ctx, group: &str) -> Result<(), Code> {
    if !ctx.may(Resource::Group(group), Action::Delete) {
        return Err(Code::GroupAuthorizationFailed);
    }
    let position = ctx.broker.groups.delete(group).map_err(|error| error.code())?;
    if let Some(position) = position {
        let durable = ctx.broker.store.meta().wait_durable(position).await;
        durable.map_err(|_| GroupError::Storage.code())?;
    }
    Ok(())
}
