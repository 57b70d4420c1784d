//! AddPartitionsToTxn (key 24), versions 0–5. Producers use 0–3; 4 and up carry many transactions (KIP-890).

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};

use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;
use crate::error::{Coded, TxnError};
use crate::txn::core::{Producer, TopicPartitionId};

/// A topic asked for, and per partition its id or the code to answer.
type FoundTopic<'a> = (&'a AddPartitionsToTxnTopic, Vec<(i32, Result<TopicPartitionId, Code>)>);

pub(super) async fn handle(ctx: Ctx, request: AddPartitionsToTxnRequest) -> AddPartitionsToTxnResponse {
    let response = AddPartitionsToTxnResponse::default();
    if ctx.version < 4 {
        let producer = Producer { id: request.v3_and_below_producer_id.0, epoch: request.v3_and_below_producer_epoch };
        let id = request.v3_and_below_transactional_id.as_str();
        let topics = add(&ctx, id, producer, false, &request.v3_and_below_topics);
        return response.with_results_by_topic_v3_and_below(topics);
    }
    let mut results = Vec::with_capacity(request.transactions.len());
    for txn in request.transactions {
        let producer = Producer { id: txn.producer_id.0, epoch: txn.producer_epoch };
        let topics = add(&ctx, &txn.transactional_id, producer, txn.verify_only, &txn.topics);
        results.push(
            AddPartitionsToTxnResult::default().with_transactional_id(txn.transactional_id).with_topic_results(topics),
        );
    }
    response.with_results_by_transaction(results)
}

fn add(
    ctx: &Ctx,
    id: &str,
    producer: Producer,
    verify_only: bool,
    topics: &[AddPartitionsToTxnTopic],
) -> Vec<AddPartitionsToTxnTopicResult> {
    let found: Vec<FoundTopic<'_>> = topics.iter().map(|topic| (topic, find(ctx, topic))).collect();
    let all: Result<Vec<TopicPartitionId>, Code> =
        found.iter().flat_map(|(_, parts)| parts.iter().map(|(_, at)| *at)).collect();
    // All or nothing: a transaction is not opened for a request that names a partition it cannot have.
    let outcome = match all {
        Err(_) => Err(Code::OperationNotAttempted),
        Ok(_) if !ctx.may(Resource::TransactionalId(id), Action::Write) => {
            Err(Code::TransactionalIdAuthorizationFailed)
        }
        Ok(parts) => {
            let transactions = &ctx.broker.transactions;
            let done = if verify_only {
                parts.iter().try_for_each(|at| transactions.verify(id, producer, *at))
            } else {
                transactions.add(id, producer, &parts, None)
            };
            done.map_err(|error| code(&error, ctx.version))
        }
    };
    let topic_result = |(topic, parts): FoundTopic<'_>| {
        let result = |(index, at): (i32, Result<TopicPartitionId, Code>)| {
            let code = at.err().or_else(|| outcome.err()).map_or(0, |code| code.code());
            AddPartitionsToTxnPartitionResult::default().with_partition_index(index).with_partition_error_code(code)
        };
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name.clone())
            .with_results_by_partition(parts.into_iter().map(result).collect())
    };
    found.into_iter().map(topic_result).collect()
}

fn find(ctx: &Ctx, topic: &AddPartitionsToTxnTopic) -> Vec<(i32, Result<TopicPartitionId, Code>)> {
    let found = ctx.broker.topics.get(&topic.name);
    let allowed = ctx.may(Resource::Topic(&topic.name), Action::Write);
    let one = |index: &i32| {
        let at = match &found {
            _ if !allowed => Err(Code::TopicAuthorizationFailed),
            Some(t) if t.partition(*index).is_some() => Ok((t.id, *index)),
            Some(_) | None => Err(Code::UnknownTopicOrPartition),
        };
        (*index, at)
    };
    topic.partitions.iter().map(one).collect()
}

/// PRODUCER_FENCED came with v2 of the transactional requests.
pub(super) fn code(error: &TxnError, version: i16) -> Code {
    match error {
        TxnError::Fenced if version < 2 => Code::InvalidProducerEpoch,
        other => other.code(),
    }
}
