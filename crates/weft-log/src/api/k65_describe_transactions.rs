//! DescribeTransactions (key 65), version 0.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::describe_transactions_response::{TopicData, TransactionState};
use kafka_protocol::messages::{DescribeTransactionsRequest, DescribeTransactionsResponse, ProducerId};

use super::{text, topic_name};
use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;
use crate::error::{Coded, TxnError};
use crate::txn::core::Txn;

pub(super) async fn handle(ctx: Ctx, request: DescribeTransactionsRequest) -> DescribeTransactionsResponse {
    let mut states = Vec::with_capacity(request.transactional_ids.len());
    for id in request.transactional_ids {
        let state = TransactionState::default().with_transactional_id(id.clone());
        if !ctx.may(Resource::TransactionalId(&id), Action::Describe) {
            let code = Code::TransactionalIdAuthorizationFailed;
            states.push(state.with_error_code(code.code()));
            continue;
        }
        states.push(match ctx.broker.transactions.describe(&id) {
            None => state.with_error_code(TxnError::NotFound.code().code()),
            Some(txn) => state
                .with_transaction_state(text(txn.state.name()))
                .with_transaction_timeout_ms(txn.timeout_ms)
                .with_transaction_start_time_ms(txn.started_at)
                .with_producer_id(ProducerId(txn.producer_id))
                .with_producer_epoch(txn.producer_epoch)
                .with_topics(topics(&ctx, &txn)),
        });
    }
    DescribeTransactionsResponse::default().with_transaction_states(states)
}

fn topics(ctx: &Ctx, txn: &Txn) -> Vec<TopicData> {
    let mut topics: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for (topic_id, partition) in &txn.partitions {
        if let Some(topic) = ctx.broker.topics.get_by_id(*topic_id)
            && ctx.may(Resource::Topic(&topic.name), Action::Describe)
        {
            topics.entry(topic.name.clone()).or_default().push(*partition);
        }
    }
    let data = |(name, partitions): (String, Vec<i32>)| {
        TopicData::default().with_topic(topic_name(&name)).with_partitions(partitions)
    };
    topics.into_iter().map(data).collect()
}
