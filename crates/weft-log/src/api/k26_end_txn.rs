//! EndTxn (key 26), versions 0–5. v5 (KIP-890, TV2) raises the producer's epoch on every end and returns it.
//!
//! Answered when markers and offsets are written: the next transaction never meets the last one half done.

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::{EndTxnRequest, EndTxnResponse, ProducerId};

use super::k24_add_partitions_to_txn::code;
use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;
use crate::txn::core::Producer;

pub(super) async fn handle(ctx: Ctx, request: EndTxnRequest) -> EndTxnResponse {
    let response = EndTxnResponse::default();
    match end(&ctx, &request).await {
        Ok(producer) if ctx.version >= 5 => {
            response.with_producer_id(ProducerId(producer.id)).with_producer_epoch(producer.epoch)
        }
        Ok(_) => response,
        Err(code) => response.with_error_code(code.code()),
    }
}

async fn end(ctx: &Ctx, request: &EndTxnRequest) -> Result<Producer, Code> {
    let id = request.transactional_id.as_str();
    if !ctx.may(Resource::TransactionalId(id), Action::Write) {
        return Err(Code::TransactionalIdAuthorizationFailed);
    }
    let producer = Producer { id: request.producer_id.0, epoch: request.producer_epoch };
    let raises_epoch = ctx.version >= 5;
    let transactions = &ctx.broker.transactions;
    let ended = transactions.end(id, producer, request.committed, raises_epoch).await;
    ended.map_err(|error| code(&error, ctx.version))
}
