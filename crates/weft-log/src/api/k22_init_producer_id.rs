//! InitProducerId (key 22), versions 0–5: a fresh id, or with a transactional id the next epoch, which shuts older
//! producers out and aborts what they left open.

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;
use crate::error::{Coded, TxnError};
use crate::txn::core::Producer;

pub(super) async fn handle(ctx: Ctx, request: InitProducerIdRequest) -> InitProducerIdResponse {
    let response = InitProducerIdResponse::default();
    match init(&ctx, &request).await {
        Ok(producer) => response.with_producer_id(ProducerId(producer.id)).with_producer_epoch(producer.epoch),
        Err(code) => response.with_error_code(code.code()).with_producer_id(ProducerId(-1)).with_producer_epoch(-1),
    }
}

async fn init(ctx: &Ctx, request: &InitProducerIdRequest) -> Result<Producer, Code> {
    let Some(id) = &request.transactional_id else {
        let id = ctx.broker.producer_ids.allocate().await;
        let id = id.map_err(|_| Code::CoordinatorNotAvailable)?;
        return Ok(Producer { id, epoch: 0 });
    };
    if !ctx.may(Resource::TransactionalId(id), Action::Write) {
        return Err(Code::TransactionalIdAuthorizationFailed);
    }
    let (producer_id, epoch) = (request.producer_id.0, request.producer_epoch);
    if (producer_id < 0) != (epoch < 0) {
        return Err(Code::InvalidRequest);
    }
    let expected = (producer_id >= 0).then_some(Producer { id: producer_id, epoch });
    let timeout_ms = request.transaction_timeout_ms;
    let ready = ctx.broker.transactions.init(id, timeout_ms, expected).await;
    ready.map_err(|error| match error {
        // PRODUCER_FENCED came with v4.
        TxnError::Fenced if ctx.version < 4 => Code::InvalidProducerEpoch,
        other => other.code(),
    })
}
