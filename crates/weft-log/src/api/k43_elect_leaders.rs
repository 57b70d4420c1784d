//! ElectLeaders (key 43), versions 0–2: the one broker leads everything already.

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse};

use super::text;
use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;

pub(super) async fn handle(ctx: Ctx, request: ElectLeadersRequest) -> ElectLeadersResponse {
    let allowed = ctx.may(Resource::Cluster, Action::Alter);
    let mut results = Vec::new();
    // Null is every partition, of which only those with an election are answered: none.
    for topic in request.topic_partitions.unwrap_or_default() {
        let known = ctx.broker.topics.get(&topic.topic);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for index in topic.partitions {
            let exists = known.as_ref().is_some_and(|t| t.partition(index).is_some());
            let (code, because) = match (allowed, exists) {
                (false, _) => (Code::ClusterAuthorizationFailed, "not allowed to elect leaders"),
                (true, false) => (Code::UnknownTopicOrPartition, "there is no such partition"),
                (true, true) => (Code::ElectionNotNeeded, "the one broker leads it already"),
            };
            partitions.push(
                PartitionResult::default()
                    .with_partition_id(index)
                    .with_error_code(code.code())
                    .with_error_message(Some(text(because))),
            );
        }
        results.push(ReplicaElectionResult::default().with_topic(topic.topic).with_partition_result(partitions));
    }
    ElectLeadersResponse::default().with_replica_election_results(results)
}
