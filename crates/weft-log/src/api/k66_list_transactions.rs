//! ListTransactions (key 66), versions 0–2; v2's pattern (KIP-1152) is matched as a plain prefix ending in `.*`, or whole.

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::list_transactions_response::TransactionState;
use kafka_protocol::messages::{ListTransactionsRequest, ListTransactionsResponse, ProducerId, TransactionalId};

use super::text;
use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;
use crate::txn::core::State;

const STATES: [State; 6] = [
    State::Empty,
    State::Ongoing,
    State::PrepareCommit,
    State::PrepareAbort,
    State::CompleteCommit,
    State::CompleteAbort,
];

pub(super) async fn handle(ctx: Ctx, request: ListTransactionsRequest) -> ListTransactionsResponse {
    let pattern = request.transactional_id_pattern.as_ref().map(|p| p.as_str());
    let prefix = match pattern.map(Pattern::parse) {
        None => None,
        Some(Some(pattern)) => Some(pattern),
        Some(None) => {
            let code = Code::InvalidRegularExpression;
            return ListTransactionsResponse::default().with_error_code(code.code());
        }
    };
    let known = |name: &str| STATES.iter().any(|s| s.name() == name);
    let unknown = request.state_filters.iter().filter(|f| !known(f)).cloned();
    let unknown: Vec<_> = unknown.collect();
    let now = ctx.broker.env.clock.wall_ms();
    let mut states = Vec::new();
    for (id, txn) in ctx.broker.transactions.list() {
        let by_state =
            request.state_filters.is_empty() || request.state_filters.iter().any(|f| f.as_str() == txn.state.name());
        let by_producer = request.producer_id_filters.is_empty()
            || request.producer_id_filters.iter().any(|p| p.0 == txn.producer_id);
        let is_open = txn.started_at >= 0;
        let by_duration =
            request.duration_filter < 0 || is_open && now.saturating_sub(txn.started_at) > request.duration_filter;
        let by_pattern = prefix.as_ref().is_none_or(|p| p.matches(&id));
        let allowed = ctx.may(Resource::TransactionalId(&id), Action::Describe);
        if by_state && by_producer && by_duration && by_pattern && allowed {
            states.push(
                TransactionState::default()
                    .with_transactional_id(TransactionalId(text(id)))
                    .with_producer_id(ProducerId(txn.producer_id))
                    .with_transaction_state(text(txn.state.name())),
            );
        }
    }
    ListTransactionsResponse::default().with_unknown_state_filters(unknown).with_transaction_states(states)
}

/// The part of regular expressions that people use on ids: a literal, with or without `.*` at its end.
enum Pattern {
    Whole(String),
    Prefix(String),
}

impl Pattern {
    fn parse(pattern: &str) -> Option<Self> {
        let (literal, is_prefix) = match pattern.strip_suffix(".*") {
            Some(prefix) => (prefix, true),
            None => (pattern, false),
        };
        if literal.contains(['*', '+', '?', '(', ')', '[', ']', '{', '}', '|', '^', '$', '\\']) {
            return None;
        }
        let literal = literal.to_owned();
        Some(if is_prefix { Self::Prefix(literal) } else { Self::Whole(literal) })
    }

    fn matches(&self, id: &str) -> bool {
        match self {
            Self::Whole(whole) => id == whole,
            Self::Prefix(prefix) => id.starts_with(prefix),
        }
    }
}
