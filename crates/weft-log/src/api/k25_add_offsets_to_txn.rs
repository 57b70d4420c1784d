//! AddOffsetsToTxn (key 25), versions 0–4: a group takes part in the transaction.

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};

use super::k24_add_partitions_to_txn::code;
use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;
use crate::txn::core::Producer;

pub(super) async fn handle(ctx: Ctx, request: AddOffsetsToTxnRequest) -> AddOffsetsToTxnResponse {
    let response = AddOffsetsToTxnResponse::default();
    match add(&ctx, &request) {
        Ok(()) => response,
        Err(code) => response.with_error_code(code.code()),
    }
}

fn add(ctx: &Ctx, request: &AddOffsetsToTxnRequest) -> Result<(), Code> {
    let id = request.transactional_id.as_str();
    let group = request.group_id.as_str();
    if !ctx.may(Resource::TransactionalId(id), Action::Write) {
        return Err(Code::TransactionalIdAuthorizationFailed);
    }
    if !ctx.may(Resource::Group(group), Action::Read) {
        return Err(Code::GroupAuthorizationFailed);
    }
    if group.is_empty() {
        return Err(Code::InvalidGroupId);
    }
    let producer = Producer { id: request.producer_id.0, epoch: request.producer_epoch };
    let added = ctx.broker.transactions.add(id, producer, &[], Some(group));
    added.map_err(|error| code(&error, ctx.version))
}
