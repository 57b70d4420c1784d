//! ListPartitionReassignments (key 46), version 0: with one node there is nothing to move.

use kafka_protocol::messages::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};

use crate::broker::Ctx;

pub(super) async fn handle(
    _ctx: Ctx,
    _request: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    ListPartitionReassignmentsResponse::default().with_error_message(None)
}
