//! What every request we serve consists of, version by version: the layout that `kafka-protocol` 0.18 decodes, as data.
//!
//! A test feeds the same random bytes to both and insists that they agree on where a request ends, so this cannot
//! drift from the decoder unnoticed.

use super::Kind::{Array, Bytes, Fixed, Optional, Struct, Text};
use super::{Field, LATEST, NEVER, Schema, field, tagged};

/// All of them, by API key.
pub(super) static SCHEMAS: &[Schema] = &[
    Schema { api_key: 0, min: 3, max: 13, flexible_from: 9, fields: produce::FIELDS },
    Schema { api_key: 1, min: 4, max: 18, flexible_from: 12, fields: fetch::FIELDS },
    Schema { api_key: 2, min: 1, max: 10, flexible_from: 6, fields: list_offsets::FIELDS },
    Schema { api_key: 3, min: 0, max: 13, flexible_from: 9, fields: metadata::FIELDS },
    Schema { api_key: 8, min: 2, max: 9, flexible_from: 8, fields: offset_commit::FIELDS },
    Schema { api_key: 9, min: 1, max: 9, flexible_from: 6, fields: offset_fetch::FIELDS },
    Schema { api_key: 10, min: 0, max: 6, flexible_from: 3, fields: find_coordinator::FIELDS },
    Schema { api_key: 11, min: 0, max: 9, flexible_from: 6, fields: join_group::FIELDS },
    Schema { api_key: 12, min: 0, max: 4, flexible_from: 4, fields: heartbeat::FIELDS },
    Schema { api_key: 13, min: 0, max: 5, flexible_from: 4, fields: leave_group::FIELDS },
    Schema { api_key: 14, min: 0, max: 5, flexible_from: 4, fields: sync_group::FIELDS },
    Schema { api_key: 15, min: 0, max: 6, flexible_from: 5, fields: describe_groups::FIELDS },
    Schema { api_key: 16, min: 0, max: 5, flexible_from: 3, fields: list_groups::FIELDS },
    Schema { api_key: 17, min: 0, max: 1, flexible_from: NEVER, fields: sasl_handshake::FIELDS },
    Schema { api_key: 18, min: 0, max: 4, flexible_from: 3, fields: api_versions::FIELDS },
    Schema { api_key: 19, min: 2, max: 7, flexible_from: 5, fields: create_topics::FIELDS },
    Schema { api_key: 20, min: 1, max: 6, flexible_from: 4, fields: delete_topics::FIELDS },
    Schema { api_key: 21, min: 0, max: 2, flexible_from: 2, fields: delete_records::FIELDS },
    Schema { api_key: 22, min: 0, max: 5, flexible_from: 2, fields: init_producer_id::FIELDS },
    Schema { api_key: 23, min: 2, max: 4, flexible_from: 4, fields: offset_for_leader_epoch::FIELDS },
    Schema { api_key: 24, min: 0, max: 5, flexible_from: 3, fields: add_partitions_to_txn::FIELDS },
    Schema { api_key: 25, min: 0, max: 4, flexible_from: 3, fields: add_offsets_to_txn::FIELDS },
    Schema { api_key: 26, min: 0, max: 5, flexible_from: 3, fields: end_txn::FIELDS },
    Schema { api_key: 27, min: 1, max: 1, flexible_from: 1, fields: write_txn_markers::FIELDS },
    Schema { api_key: 28, min: 0, max: 5, flexible_from: 3, fields: txn_offset_commit::FIELDS },
    Schema { api_key: 29, min: 1, max: 3, flexible_from: 2, fields: describe_acls::FIELDS },
    Schema { api_key: 30, min: 1, max: 3, flexible_from: 2, fields: create_acls::FIELDS },
    Schema { api_key: 31, min: 1, max: 3, flexible_from: 2, fields: delete_acls::FIELDS },
    Schema { api_key: 32, min: 1, max: 4, flexible_from: 4, fields: describe_configs::FIELDS },
    Schema { api_key: 33, min: 0, max: 2, flexible_from: 2, fields: alter_configs::FIELDS },
    Schema { api_key: 35, min: 1, max: 4, flexible_from: 2, fields: describe_log_dirs::FIELDS },
    Schema { api_key: 36, min: 0, max: 2, flexible_from: 2, fields: sasl_authenticate::FIELDS },
    Schema { api_key: 37, min: 0, max: 3, flexible_from: 2, fields: create_partitions::FIELDS },
    Schema { api_key: 42, min: 0, max: 2, flexible_from: 2, fields: delete_groups::FIELDS },
    Schema { api_key: 43, min: 0, max: 2, flexible_from: 2, fields: elect_leaders::FIELDS },
    Schema { api_key: 44, min: 0, max: 1, flexible_from: 1, fields: incremental_alter_configs::FIELDS },
    Schema { api_key: 46, min: 0, max: 0, flexible_from: 0, fields: list_partition_reassignments::FIELDS },
    Schema { api_key: 47, min: 0, max: 0, flexible_from: NEVER, fields: offset_delete::FIELDS },
    Schema { api_key: 50, min: 0, max: 0, flexible_from: 0, fields: describe_user_scram_credentials::FIELDS },
    Schema { api_key: 51, min: 0, max: 0, flexible_from: 0, fields: alter_user_scram_credentials::FIELDS },
    Schema { api_key: 60, min: 0, max: 2, flexible_from: 0, fields: describe_cluster::FIELDS },
    Schema { api_key: 61, min: 0, max: 0, flexible_from: 0, fields: describe_producers::FIELDS },
    Schema { api_key: 65, min: 0, max: 0, flexible_from: 0, fields: describe_transactions::FIELDS },
    Schema { api_key: 66, min: 0, max: 2, flexible_from: 0, fields: list_transactions::FIELDS },
    Schema { api_key: 68, min: 0, max: 1, flexible_from: 0, fields: consumer_group_heartbeat::FIELDS },
    Schema { api_key: 69, min: 0, max: 1, flexible_from: 0, fields: consumer_group_describe::FIELDS },
    Schema { api_key: 74, min: 0, max: 1, flexible_from: 0, fields: list_config_resources::FIELDS },
    Schema { api_key: 75, min: 0, max: 0, flexible_from: 0, fields: describe_topic_partitions::FIELDS },
];

/// ProduceRequest
mod produce {
    use super::*;
    pub(super) const PARTITION_PRODUCE_DATA: &[Field] =
        &[field("index", 0, LATEST, Fixed(4)), field("records", 0, LATEST, Bytes)];
    pub(super) const TOPIC_PRODUCE_DATA: &[Field] = &[
        field("name", 0, 12, Text),
        field("topic_id", 13, LATEST, Fixed(16)),
        field("partition_data", 0, LATEST, Array(&Struct(PARTITION_PRODUCE_DATA))),
    ];
    pub(super) const FIELDS: &[Field] = &[
        field("transactional_id", 0, LATEST, Text),
        field("acks", 0, LATEST, Fixed(2)),
        field("timeout_ms", 0, LATEST, Fixed(4)),
        field("topic_data", 0, LATEST, Array(&Struct(TOPIC_PRODUCE_DATA))),
    ];
}

/// FetchRequest
mod fetch {
    use super::*;
    pub(super) const FETCH_PARTITION: &[Field] = &[
        field("partition", 0, LATEST, Fixed(4)),
        field("current_leader_epoch", 9, LATEST, Fixed(4)),
        field("fetch_offset", 0, LATEST, Fixed(8)),
        field("last_fetched_epoch", 12, LATEST, Fixed(4)),
        field("log_start_offset", 5, LATEST, Fixed(8)),
        field("partition_max_bytes", 0, LATEST, Fixed(4)),
        tagged(0, "replica_directory_id", 17, Fixed(16)),
        tagged(1, "high_watermark", 18, Fixed(8)),
    ];
    pub(super) const FETCH_TOPIC: &[Field] = &[
        field("topic", 0, 12, Text),
        field("topic_id", 13, LATEST, Fixed(16)),
        field("partitions", 0, LATEST, Array(&Struct(FETCH_PARTITION))),
    ];
    pub(super) const FORGOTTEN_TOPIC: &[Field] = &[
        field("topic", 7, 12, Text),
        field("topic_id", 13, LATEST, Fixed(16)),
        field("partitions", 7, LATEST, Array(&Fixed(4))),
    ];
    pub(super) const REPLICA_STATE: &[Field] =
        &[field("replica_id", 15, LATEST, Fixed(4)), field("replica_epoch", 15, LATEST, Fixed(8))];
    pub(super) const FIELDS: &[Field] = &[
        field("replica_id", 0, 14, Fixed(4)),
        field("max_wait_ms", 0, LATEST, Fixed(4)),
        field("min_bytes", 0, LATEST, Fixed(4)),
        field("max_bytes", 0, LATEST, Fixed(4)),
        field("isolation_level", 0, LATEST, Fixed(1)),
        field("session_id", 7, LATEST, Fixed(4)),
        field("session_epoch", 7, LATEST, Fixed(4)),
        field("topics", 0, LATEST, Array(&Struct(FETCH_TOPIC))),
        field("forgotten_topics_data", 7, LATEST, Array(&Struct(FORGOTTEN_TOPIC))),
        field("rack_id", 11, LATEST, Text),
        tagged(0, "cluster_id", 12, Text),
        tagged(1, "replica_state", 15, Struct(REPLICA_STATE)),
    ];
}

/// ListOffsetsRequest
mod list_offsets {
    use super::*;
    pub(super) const LIST_OFFSETS_PARTITION: &[Field] = &[
        field("partition_index", 0, LATEST, Fixed(4)),
        field("current_leader_epoch", 4, LATEST, Fixed(4)),
        field("timestamp", 0, LATEST, Fixed(8)),
    ];
    pub(super) const LIST_OFFSETS_TOPIC: &[Field] =
        &[field("name", 0, LATEST, Text), field("partitions", 0, LATEST, Array(&Struct(LIST_OFFSETS_PARTITION)))];
    pub(super) const FIELDS: &[Field] = &[
        field("replica_id", 0, LATEST, Fixed(4)),
        field("isolation_level", 2, LATEST, Fixed(1)),
        field("topics", 0, LATEST, Array(&Struct(LIST_OFFSETS_TOPIC))),
        field("timeout_ms", 10, LATEST, Fixed(4)),
    ];
}

/// MetadataRequest
mod metadata {
    use super::*;
    pub(super) const METADATA_REQUEST_TOPIC: &[Field] =
        &[field("topic_id", 10, LATEST, Fixed(16)), field("name", 0, LATEST, Text)];
    pub(super) const FIELDS: &[Field] = &[
        field("topics", 0, LATEST, Array(&Struct(METADATA_REQUEST_TOPIC))),
        field("allow_auto_topic_creation", 4, LATEST, Fixed(1)),
        field("include_cluster_authorized_operations", 8, 10, Fixed(1)),
        field("include_topic_authorized_operations", 8, LATEST, Fixed(1)),
    ];
}

/// OffsetCommitRequest
mod offset_commit {
    use super::*;
    pub(super) const OFFSET_COMMIT_REQUEST_PARTITION: &[Field] = &[
        field("partition_index", 0, LATEST, Fixed(4)),
        field("committed_offset", 0, LATEST, Fixed(8)),
        field("committed_leader_epoch", 6, LATEST, Fixed(4)),
        field("committed_metadata", 0, LATEST, Text),
    ];
    pub(super) const OFFSET_COMMIT_REQUEST_TOPIC: &[Field] = &[
        field("name", 0, LATEST, Text),
        field("partitions", 0, LATEST, Array(&Struct(OFFSET_COMMIT_REQUEST_PARTITION))),
    ];
    pub(super) const FIELDS: &[Field] = &[
        field("group_id", 0, LATEST, Text),
        field("generation_id_or_member_epoch", 0, LATEST, Fixed(4)),
        field("member_id", 0, LATEST, Text),
        field("group_instance_id", 7, LATEST, Text),
        field("retention_time_ms", 0, 4, Fixed(8)),
        field("topics", 0, LATEST, Array(&Struct(OFFSET_COMMIT_REQUEST_TOPIC))),
    ];
}

/// OffsetFetchRequest
mod offset_fetch {
    use super::*;
    pub(super) const OFFSET_FETCH_REQUEST_GROUP: &[Field] = &[
        field("group_id", 8, LATEST, Text),
        field("member_id", 9, LATEST, Text),
        field("member_epoch", 9, LATEST, Fixed(4)),
        field("topics", 8, LATEST, Array(&Struct(OFFSET_FETCH_REQUEST_TOPICS))),
    ];
    pub(super) const OFFSET_FETCH_REQUEST_TOPIC: &[Field] =
        &[field("name", 0, 7, Text), field("partition_indexes", 0, 7, Array(&Fixed(4)))];
    pub(super) const OFFSET_FETCH_REQUEST_TOPICS: &[Field] =
        &[field("name", 8, LATEST, Text), field("partition_indexes", 8, LATEST, Array(&Fixed(4)))];
    pub(super) const FIELDS: &[Field] = &[
        field("group_id", 0, 7, Text),
        field("topics", 0, 7, Array(&Struct(OFFSET_FETCH_REQUEST_TOPIC))),
        field("groups", 8, LATEST, Array(&Struct(OFFSET_FETCH_REQUEST_GROUP))),
        field("require_stable", 7, LATEST, Fixed(1)),
    ];
}

/// FindCoordinatorRequest
mod find_coordinator {
    use super::*;
    pub(super) const FIELDS: &[Field] = &[
        field("key", 0, 3, Text),
        field("key_type", 1, LATEST, Fixed(1)),
        field("coordinator_keys", 4, LATEST, Array(&Text)),
    ];
}

/// JoinGroupRequest
mod join_group {
    use super::*;
    pub(super) const JOIN_GROUP_REQUEST_PROTOCOL: &[Field] =
        &[field("name", 0, LATEST, Text), field("metadata", 0, LATEST, Bytes)];
    pub(super) const FIELDS: &[Field] = &[
        field("group_id", 0, LATEST, Text),
        field("session_timeout_ms", 0, LATEST, Fixed(4)),
        field("rebalance_timeout_ms", 1, LATEST, Fixed(4)),
        field("member_id", 0, LATEST, Text),
        field("group_instance_id", 5, LATEST, Text),
        field("protocol_type", 0, LATEST, Text),
        field("protocols", 0, LATEST, Array(&Struct(JOIN_GROUP_REQUEST_PROTOCOL))),
        field("reason", 8, LATEST, Text),
    ];
}

/// HeartbeatRequest
mod heartbeat {
    use super::*;
    pub(super) const FIELDS: &[Field] = &[
        field("group_id", 0, LATEST, Text),
        field("generation_id", 0, LATEST, Fixed(4)),
        field("member_id", 0, LATEST, Text),
        field("group_instance_id", 3, LATEST, Text),
    ];
}

/// LeaveGroupRequest
mod leave_group {
    use super::*;
    pub(super) const MEMBER_IDENTITY: &[Field] = &[
        field("member_id", 3, LATEST, Text),
        field("group_instance_id", 3, LATEST, Text),
        field("reason", 5, LATEST, Text),
    ];
    pub(super) const FIELDS: &[Field] = &[
        field("group_id", 0, LATEST, Text),
        field("member_id", 0, 2, Text),
        field("members", 3, LATEST, Array(&Struct(MEMBER_IDENTITY))),
    ];
}

/// SyncGroupRequest
mod sync_group {
    use super::*;
    pub(super) const SYNC_GROUP_REQUEST_ASSIGNMENT: &[Field] =
        &[field("member_id", 0, LATEST, Text), field("assignment", 0, LATEST, Bytes)];
    pub(super) const FIELDS: &[Field] = &[
        field("group_id", 0, LATEST, Text),
        field("generation_id", 0, LATEST, Fixed(4)),
        field("member_id", 0, LATEST, Text),
        field("group_instance_id", 3, LATEST, Text),
        field("protocol_type", 5, LATEST, Text),
        field("protocol_name", 5, LATEST, Text),
        field("assignments", 0, LATEST, Array(&Struct(SYNC_GROUP_REQUEST_ASSIGNMENT))),
    ];
}

/// DescribeGroupsRequest
mod describe_groups {
    use super::*;
    pub(super) const FIELDS: &[Field] =
        &[field("groups", 0, LATEST, Array(&Text)), field("include_authorized_operations", 3, LATEST, Fixed(1))];
}

/// ListGroupsRequest
mod list_groups {
    use super::*;
    pub(super) const FIELDS: &[Field] =
        &[field("states_filter", 4, LATEST, Array(&Text)), field("types_filter", 5, LATEST, Array(&Text))];
}

/// SaslHandshakeRequest
mod sasl_handshake {
    use super::*;
    pub(super) const FIELDS: &[Field] = &[field("mechanism", 0, LATEST, Text)];
}

/// ApiVersionsRequest
mod api_versions {
    use super::*;
    pub(super) const FIELDS: &[Field] =
        &[field("client_software_name", 3, LATEST, Text), field("client_software_version", 3, LATEST, Text)];
}

/// CreateTopicsRequest
mod create_topics {
    use super::*;
    pub(super) const CREATABLE_REPLICA_ASSIGNMENT: &[Field] =
        &[field("partition_index", 0, LATEST, Fixed(4)), field("broker_ids", 0, LATEST, Array(&Fixed(4)))];
    pub(super) const CREATABLE_TOPIC: &[Field] = &[
        field("name", 0, LATEST, Text),
        field("num_partitions", 0, LATEST, Fixed(4)),
        field("replication_factor", 0, LATEST, Fixed(2)),
        field("assignments", 0, LATEST, Array(&Struct(CREATABLE_REPLICA_ASSIGNMENT))),
        field("configs", 0, LATEST, Array(&Struct(CREATABLE_TOPIC_CONFIG))),
    ];
    pub(super) const CREATABLE_TOPIC_CONFIG: &[Field] =
        &[field("name", 0, LATEST, Text), field("value", 0, LATEST, Text)];
    pub(super) const FIELDS: &[Field] = &[
        field("topics", 0, LATEST, Array(&Struct(CREATABLE_TOPIC))),
        field("timeout_ms", 0, LATEST, Fixed(4)),
        field("validate_only", 0, LATEST, Fixed(1)),
    ];
}

/// DeleteTopicsRequest
mod delete_topics {
    use super::*;
    pub(super) const DELETE_TOPIC_STATE: &[Field] =
        &[field("name", 6, LATEST, Text), field("topic_id", 6, LATEST, Fixed(16))];
    pub(super) const FIELDS: &[Field] = &[
        field("topics", 6, LATEST, Array(&Struct(DELETE_TOPIC_STATE))),
        field("topic_names", 0, 5, Array(&Text)),
        field("timeout_ms", 0, LATEST, Fixed(4)),
    ];
}

/// DeleteRecordsRequest
mod delete_records {
    use super::*;
    pub(super) const DELETE_RECORDS_PARTITION: &[Field] =
        &[field("partition_index", 0, LATEST, Fixed(4)), field("offset", 0, LATEST, Fixed(8))];
    pub(super) const DELETE_RECORDS_TOPIC: &[Field] =
        &[field("name", 0, LATEST, Text), field("partitions", 0, LATEST, Array(&Struct(DELETE_RECORDS_PARTITION)))];
    pub(super) const FIELDS: &[Field] =
        &[field("topics", 0, LATEST, Array(&Struct(DELETE_RECORDS_TOPIC))), field("timeout_ms", 0, LATEST, Fixed(4))];
}

/// InitProducerIdRequest
mod init_producer_id {
    use super::*;
    pub(super) const FIELDS: &[Field] = &[
        field("transactional_id", 0, LATEST, Text),
        field("transaction_timeout_ms", 0, LATEST, Fixed(4)),
        field("producer_id", 3, LATEST, Fixed(8)),
        field("producer_epoch", 3, LATEST, Fixed(2)),
    ];
}

/// OffsetForLeaderEpochRequest
mod offset_for_leader_epoch {
    use super::*;
    pub(super) const OFFSET_FOR_LEADER_PARTITION: &[Field] = &[
        field("partition", 0, LATEST, Fixed(4)),
        field("current_leader_epoch", 0, LATEST, Fixed(4)),
        field("leader_epoch", 0, LATEST, Fixed(4)),
    ];
    pub(super) const OFFSET_FOR_LEADER_TOPIC: &[Field] =
        &[field("topic", 0, LATEST, Text), field("partitions", 0, LATEST, Array(&Struct(OFFSET_FOR_LEADER_PARTITION)))];
    pub(super) const FIELDS: &[Field] = &[
        field("replica_id", 3, LATEST, Fixed(4)),
        field("topics", 0, LATEST, Array(&Struct(OFFSET_FOR_LEADER_TOPIC))),
    ];
}

/// AddPartitionsToTxnRequest
mod add_partitions_to_txn {
    use super::*;
    pub(super) const ADD_PARTITIONS_TO_TXN_TOPIC: &[Field] =
        &[field("name", 0, LATEST, Text), field("partitions", 0, LATEST, Array(&Fixed(4)))];
    pub(super) const ADD_PARTITIONS_TO_TXN_TRANSACTION: &[Field] = &[
        field("transactional_id", 4, LATEST, Text),
        field("producer_id", 4, LATEST, Fixed(8)),
        field("producer_epoch", 4, LATEST, Fixed(2)),
        field("verify_only", 4, LATEST, Fixed(1)),
        field("topics", 4, LATEST, Array(&Struct(ADD_PARTITIONS_TO_TXN_TOPIC))),
    ];
    pub(super) const FIELDS: &[Field] = &[
        field("transactions", 4, LATEST, Array(&Struct(ADD_PARTITIONS_TO_TXN_TRANSACTION))),
        field("v3_and_below_transactional_id", 0, 3, Text),
        field("v3_and_below_producer_id", 0, 3, Fixed(8)),
        field("v3_and_below_producer_epoch", 0, 3, Fixed(2)),
        field("v3_and_below_topics", 0, 3, Array(&Struct(ADD_PARTITIONS_TO_TXN_TOPIC))),
    ];
}

/// AddOffsetsToTxnRequest
mod add_offsets_to_txn {
    use super::*;
    pub(super) const FIELDS: &[Field] = &[
        field("transactional_id", 0, LATEST, Text),
        field("producer_id", 0, LATEST, Fixed(8)),
        field("producer_epoch", 0, LATEST, Fixed(2)),
        field("group_id", 0, LATEST, Text),
    ];
}

/// EndTxnRequest
mod end_txn {
    use super::*;
    pub(super) const FIELDS: &[Field] = &[
        field("transactional_id", 0, LATEST, Text),
        field("producer_id", 0, LATEST, Fixed(8)),
        field("producer_epoch", 0, LATEST, Fixed(2)),
        field("committed", 0, LATEST, Fixed(1)),
    ];
}

/// WriteTxnMarkersRequest
mod write_txn_markers {
    use super::*;
    pub(super) const WRITABLE_TXN_MARKER: &[Field] = &[
        field("producer_id", 0, LATEST, Fixed(8)),
        field("producer_epoch", 0, LATEST, Fixed(2)),
        field("transaction_result", 0, LATEST, Fixed(1)),
        field("topics", 0, LATEST, Array(&Struct(WRITABLE_TXN_MARKER_TOPIC))),
        field("coordinator_epoch", 0, LATEST, Fixed(4)),
    ];
    pub(super) const WRITABLE_TXN_MARKER_TOPIC: &[Field] =
        &[field("name", 0, LATEST, Text), field("partition_indexes", 0, LATEST, Array(&Fixed(4)))];
    pub(super) const FIELDS: &[Field] = &[field("markers", 0, LATEST, Array(&Struct(WRITABLE_TXN_MARKER)))];
}

/// TxnOffsetCommitRequest
mod txn_offset_commit {
    use super::*;
    pub(super) const TXN_OFFSET_COMMIT_REQUEST_PARTITION: &[Field] = &[
        field("partition_index", 0, LATEST, Fixed(4)),
        field("committed_offset", 0, LATEST, Fixed(8)),
        field("committed_leader_epoch", 2, LATEST, Fixed(4)),
        field("committed_metadata", 0, LATEST, Text),
    ];
    pub(super) const TXN_OFFSET_COMMIT_REQUEST_TOPIC: &[Field] = &[
        field("name", 0, LATEST, Text),
        field("partitions", 0, LATEST, Array(&Struct(TXN_OFFSET_COMMIT_REQUEST_PARTITION))),
    ];
    pub(super) const FIELDS: &[Field] = &[
        field("transactional_id", 0, LATEST, Text),
        field("group_id", 0, LATEST, Text),
        field("producer_id", 0, LATEST, Fixed(8)),
        field("producer_epoch", 0, LATEST, Fixed(2)),
        field("generation_id", 3, LATEST, Fixed(4)),
        field("member_id", 3, LATEST, Text),
        field("group_instance_id", 3, LATEST, Text),
        field("topics", 0, LATEST, Array(&Struct(TXN_OFFSET_COMMIT_REQUEST_TOPIC))),
    ];
}

/// DescribeAclsRequest
mod describe_acls {
    use super::*;
    pub(super) const FIELDS: &[Field] = &[
        field("resource_type_filter", 0, LATEST, Fixed(1)),
        field("resource_name_filter", 0, LATEST, Text),
        field("pattern_type_filter", 0, LATEST, Fixed(1)),
        field("principal_filter", 0, LATEST, Text),
        field("host_filter", 0, LATEST, Text),
        field("operation", 0, LATEST, Fixed(1)),
        field("permission_type", 0, LATEST, Fixed(1)),
    ];
}

/// CreateAclsRequest
mod create_acls {
    use super::*;
    pub(super) const ACL_CREATION: &[Field] = &[
        field("resource_type", 0, LATEST, Fixed(1)),
        field("resource_name", 0, LATEST, Text),
        field("resource_pattern_type", 0, LATEST, Fixed(1)),
        field("principal", 0, LATEST, Text),
        field("host", 0, LATEST, Text),
        field("operation", 0, LATEST, Fixed(1)),
        field("permission_type", 0, LATEST, Fixed(1)),
    ];
    pub(super) const FIELDS: &[Field] = &[field("creations", 0, LATEST, Array(&Struct(ACL_CREATION)))];
}

/// DeleteAclsRequest
mod delete_acls {
    use super::*;
    pub(super) const DELETE_ACLS_FILTER: &[Field] = &[
        field("resource_type_filter", 0, LATEST, Fixed(1)),
        field("resource_name_filter", 0, LATEST, Text),
        field("pattern_type_filter", 0, LATEST, Fixed(1)),
        field("principal_filter", 0, LATEST, Text),
        field("host_filter", 0, LATEST, Text),
        field("operation", 0, LATEST, Fixed(1)),
        field("permission_type", 0, LATEST, Fixed(1)),
    ];
    pub(super) const FIELDS: &[Field] = &[field("filters", 0, LATEST, Array(&Struct(DELETE_ACLS_FILTER)))];
}

/// DescribeConfigsRequest
mod describe_configs {
    use super::*;
    pub(super) const DESCRIBE_CONFIGS_RESOURCE: &[Field] = &[
        field("resource_type", 0, LATEST, Fixed(1)),
        field("resource_name", 0, LATEST, Text),
        field("configuration_keys", 0, LATEST, Array(&Text)),
    ];
    pub(super) const FIELDS: &[Field] = &[
        field("resources", 0, LATEST, Array(&Struct(DESCRIBE_CONFIGS_RESOURCE))),
        field("include_synonyms", 0, LATEST, Fixed(1)),
        field("include_documentation", 3, LATEST, Fixed(1)),
    ];
}

/// AlterConfigsRequest
mod alter_configs {
    use super::*;
    pub(super) const ALTER_CONFIGS_RESOURCE: &[Field] = &[
        field("resource_type", 0, LATEST, Fixed(1)),
        field("resource_name", 0, LATEST, Text),
        field("configs", 0, LATEST, Array(&Struct(ALTERABLE_CONFIG))),
    ];
    pub(super) const ALTERABLE_CONFIG: &[Field] = &[field("name", 0, LATEST, Text), field("value", 0, LATEST, Text)];
    pub(super) const FIELDS: &[Field] = &[
        field("resources", 0, LATEST, Array(&Struct(ALTER_CONFIGS_RESOURCE))),
        field("validate_only", 0, LATEST, Fixed(1)),
    ];
}

/// DescribeLogDirsRequest
mod describe_log_dirs {
    use super::*;
    pub(super) const DESCRIBABLE_LOG_DIR_TOPIC: &[Field] =
        &[field("topic", 0, LATEST, Text), field("partitions", 0, LATEST, Array(&Fixed(4)))];
    pub(super) const FIELDS: &[Field] = &[field("topics", 0, LATEST, Array(&Struct(DESCRIBABLE_LOG_DIR_TOPIC)))];
}

/// SaslAuthenticateRequest
mod sasl_authenticate {
    use super::*;
    pub(super) const FIELDS: &[Field] = &[field("auth_bytes", 0, LATEST, Bytes)];
}

/// CreatePartitionsRequest
mod create_partitions {
    use super::*;
    pub(super) const CREATE_PARTITIONS_ASSIGNMENT: &[Field] = &[field("broker_ids", 0, LATEST, Array(&Fixed(4)))];
    pub(super) const CREATE_PARTITIONS_TOPIC: &[Field] = &[
        field("name", 0, LATEST, Text),
        field("count", 0, LATEST, Fixed(4)),
        field("assignments", 0, LATEST, Array(&Struct(CREATE_PARTITIONS_ASSIGNMENT))),
    ];
    pub(super) const FIELDS: &[Field] = &[
        field("topics", 0, LATEST, Array(&Struct(CREATE_PARTITIONS_TOPIC))),
        field("timeout_ms", 0, LATEST, Fixed(4)),
        field("validate_only", 0, LATEST, Fixed(1)),
    ];
}

/// DeleteGroupsRequest
mod delete_groups {
    use super::*;
    pub(super) const FIELDS: &[Field] = &[field("groups_names", 0, LATEST, Array(&Text))];
}

/// ElectLeadersRequest
mod elect_leaders {
    use super::*;
    pub(super) const TOPIC_PARTITIONS: &[Field] =
        &[field("topic", 0, LATEST, Text), field("partitions", 0, LATEST, Array(&Fixed(4)))];
    pub(super) const FIELDS: &[Field] = &[
        field("election_type", 1, LATEST, Fixed(1)),
        field("topic_partitions", 0, LATEST, Array(&Struct(TOPIC_PARTITIONS))),
        field("timeout_ms", 0, LATEST, Fixed(4)),
    ];
}

/// IncrementalAlterConfigsRequest
mod incremental_alter_configs {
    use super::*;
    pub(super) const ALTER_CONFIGS_RESOURCE: &[Field] = &[
        field("resource_type", 0, LATEST, Fixed(1)),
        field("resource_name", 0, LATEST, Text),
        field("configs", 0, LATEST, Array(&Struct(ALTERABLE_CONFIG))),
    ];
    pub(super) const ALTERABLE_CONFIG: &[Field] = &[
        field("name", 0, LATEST, Text),
        field("config_operation", 0, LATEST, Fixed(1)),
        field("value", 0, LATEST, Text),
    ];
    pub(super) const FIELDS: &[Field] = &[
        field("resources", 0, LATEST, Array(&Struct(ALTER_CONFIGS_RESOURCE))),
        field("validate_only", 0, LATEST, Fixed(1)),
    ];
}

/// ListPartitionReassignmentsRequest
mod list_partition_reassignments {
    use super::*;
    pub(super) const LIST_PARTITION_REASSIGNMENTS_TOPICS: &[Field] =
        &[field("name", 0, LATEST, Text), field("partition_indexes", 0, LATEST, Array(&Fixed(4)))];
    pub(super) const FIELDS: &[Field] = &[
        field("timeout_ms", 0, LATEST, Fixed(4)),
        field("topics", 0, LATEST, Array(&Struct(LIST_PARTITION_REASSIGNMENTS_TOPICS))),
    ];
}

/// OffsetDeleteRequest
mod offset_delete {
    use super::*;
    pub(super) const OFFSET_DELETE_REQUEST_PARTITION: &[Field] = &[field("partition_index", 0, LATEST, Fixed(4))];
    pub(super) const OFFSET_DELETE_REQUEST_TOPIC: &[Field] = &[
        field("name", 0, LATEST, Text),
        field("partitions", 0, LATEST, Array(&Struct(OFFSET_DELETE_REQUEST_PARTITION))),
    ];
    pub(super) const FIELDS: &[Field] =
        &[field("group_id", 0, LATEST, Text), field("topics", 0, LATEST, Array(&Struct(OFFSET_DELETE_REQUEST_TOPIC)))];
}

/// DescribeUserScramCredentialsRequest
mod describe_user_scram_credentials {
    use super::*;
    pub(super) const USER_NAME: &[Field] = &[field("name", 0, LATEST, Text)];
    pub(super) const FIELDS: &[Field] = &[field("users", 0, LATEST, Array(&Struct(USER_NAME)))];
}

/// AlterUserScramCredentialsRequest
mod alter_user_scram_credentials {
    use super::*;
    pub(super) const SCRAM_CREDENTIAL_DELETION: &[Field] =
        &[field("name", 0, LATEST, Text), field("mechanism", 0, LATEST, Fixed(1))];
    pub(super) const SCRAM_CREDENTIAL_UPSERTION: &[Field] = &[
        field("name", 0, LATEST, Text),
        field("mechanism", 0, LATEST, Fixed(1)),
        field("iterations", 0, LATEST, Fixed(4)),
        field("salt", 0, LATEST, Bytes),
        field("salted_password", 0, LATEST, Bytes),
    ];
    pub(super) const FIELDS: &[Field] = &[
        field("deletions", 0, LATEST, Array(&Struct(SCRAM_CREDENTIAL_DELETION))),
        field("upsertions", 0, LATEST, Array(&Struct(SCRAM_CREDENTIAL_UPSERTION))),
    ];
}

/// DescribeClusterRequest
mod describe_cluster {
    use super::*;
    pub(super) const FIELDS: &[Field] = &[
        field("include_cluster_authorized_operations", 0, LATEST, Fixed(1)),
        field("endpoint_type", 1, LATEST, Fixed(1)),
        field("include_fenced_brokers", 2, LATEST, Fixed(1)),
    ];
}

/// DescribeProducersRequest
mod describe_producers {
    use super::*;
    pub(super) const TOPIC_REQUEST: &[Field] =
        &[field("name", 0, LATEST, Text), field("partition_indexes", 0, LATEST, Array(&Fixed(4)))];
    pub(super) const FIELDS: &[Field] = &[field("topics", 0, LATEST, Array(&Struct(TOPIC_REQUEST)))];
}

/// DescribeTransactionsRequest
mod describe_transactions {
    use super::*;
    pub(super) const FIELDS: &[Field] = &[field("transactional_ids", 0, LATEST, Array(&Text))];
}

/// ListTransactionsRequest
mod list_transactions {
    use super::*;
    pub(super) const FIELDS: &[Field] = &[
        field("state_filters", 0, LATEST, Array(&Text)),
        field("producer_id_filters", 0, LATEST, Array(&Fixed(8))),
        field("duration_filter", 1, LATEST, Fixed(8)),
        field("transactional_id_pattern", 2, LATEST, Text),
    ];
}

/// ConsumerGroupHeartbeatRequest
mod consumer_group_heartbeat {
    use super::*;
    pub(super) const TOPIC_PARTITIONS: &[Field] =
        &[field("topic_id", 0, LATEST, Fixed(16)), field("partitions", 0, LATEST, Array(&Fixed(4)))];
    pub(super) const FIELDS: &[Field] = &[
        field("group_id", 0, LATEST, Text),
        field("member_id", 0, LATEST, Text),
        field("member_epoch", 0, LATEST, Fixed(4)),
        field("instance_id", 0, LATEST, Text),
        field("rack_id", 0, LATEST, Text),
        field("rebalance_timeout_ms", 0, LATEST, Fixed(4)),
        field("subscribed_topic_names", 0, LATEST, Array(&Text)),
        field("subscribed_topic_regex", 1, LATEST, Text),
        field("server_assignor", 0, LATEST, Text),
        field("topic_partitions", 0, LATEST, Array(&Struct(TOPIC_PARTITIONS))),
    ];
}

/// ConsumerGroupDescribeRequest
mod consumer_group_describe {
    use super::*;
    pub(super) const FIELDS: &[Field] =
        &[field("group_ids", 0, LATEST, Array(&Text)), field("include_authorized_operations", 0, LATEST, Fixed(1))];
}

/// ListConfigResourcesRequest
mod list_config_resources {
    use super::*;
    pub(super) const FIELDS: &[Field] = &[field("resource_types", 1, LATEST, Array(&Fixed(1)))];
}

/// DescribeTopicPartitionsRequest
mod describe_topic_partitions {
    use super::*;
    pub(super) const CURSOR: &[Field] =
        &[field("topic_name", 0, LATEST, Text), field("partition_index", 0, LATEST, Fixed(4))];
    pub(super) const TOPIC_REQUEST: &[Field] = &[field("name", 0, LATEST, Text)];
    pub(super) const FIELDS: &[Field] = &[
        field("topics", 0, LATEST, Array(&Struct(TOPIC_REQUEST))),
        field("response_partition_limit", 0, LATEST, Fixed(4)),
        field("cursor", 0, LATEST, Optional(CURSOR)),
    ];
}
