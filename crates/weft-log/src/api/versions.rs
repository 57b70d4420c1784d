//! Which versions of which API are served. Never taken from a library: what we advertise is a promise.

use kafka_protocol::messages::api_versions_response::ApiVersion;

/// Produce: versions 0–2 are advertised, and answered with UNSUPPORTED_VERSION.
pub(crate) const PRODUCE: i16 = 0;

/// ApiVersions itself: its answer is readable even when the question is not.
pub(crate) const API_VERSIONS: i16 = 18;

/// What is served of one API.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Served {
    key: i16,
    /// Lowest version told to clients. librdkafka ≤ 2.8 takes the lack of an old version for the lack of a feature:
    /// without Produce v0 it does not compress, without JoinGroup v0 it knows no groups.
    advertised_min: i16,
    /// Lowest version understood.
    min: i16,
    max: i16,
}

impl Served {
    /// Can a request of this version be read?
    pub(crate) fn decodes(&self, version: i16) -> bool {
        (self.min..=self.max).contains(&version)
    }
}

const fn api(key: i16, min: i16, max: i16) -> Served {
    Served { key, advertised_min: min, min, max }
}

/// In order of key.
pub(crate) const TABLE: &[Served] = &[
    Served { key: 0, advertised_min: 0, min: 3, max: 13 }, // Produce
    api(1, 4, 18),                                         // Fetch
    api(2, 1, 10),                                         // ListOffsets
    api(3, 0, 13),                                         // Metadata
    api(8, 2, 9),                                          // OffsetCommit
    api(9, 1, 9),                                          // OffsetFetch
    api(10, 0, 6),                                         // FindCoordinator
    api(11, 0, 9),                                         // JoinGroup
    api(12, 0, 4),                                         // Heartbeat
    api(13, 0, 5),                                         // LeaveGroup
    api(14, 0, 5),                                         // SyncGroup
    api(15, 0, 6),                                         // DescribeGroups
    api(16, 0, 5),                                         // ListGroups
    api(17, 0, 1),                                         // SaslHandshake
    api(18, 0, 4),                                         // ApiVersions
    api(19, 2, 7),                                         // CreateTopics
    api(20, 1, 6),                                         // DeleteTopics
    api(21, 0, 2),                                         // DeleteRecords
    api(22, 0, 5),                                         // InitProducerId
    api(23, 2, 4),                                         // OffsetForLeaderEpoch
    api(24, 0, 5),                                         // AddPartitionsToTxn
    api(25, 0, 4),                                         // AddOffsetsToTxn
    api(26, 0, 5),                                         // EndTxn
    api(28, 0, 5),                                         // TxnOffsetCommit
    api(29, 1, 3),                                         // DescribeAcls
    api(30, 1, 3),                                         // CreateAcls
    api(31, 1, 3),                                         // DeleteAcls
    api(32, 1, 4),                                         // DescribeConfigs
    api(33, 0, 2),                                         // AlterConfigs
    api(35, 1, 4),                                         // DescribeLogDirs
    api(36, 0, 2),                                         // SaslAuthenticate
    api(37, 0, 3),                                         // CreatePartitions
    api(42, 0, 2),                                         // DeleteGroups
    api(43, 0, 2),                                         // ElectLeaders
    api(44, 0, 1),                                         // IncrementalAlterConfigs
    api(46, 0, 0),                                         // ListPartitionReassignments
    api(47, 0, 0),                                         // OffsetDelete
    api(60, 0, 2),                                         // DescribeCluster
    api(61, 0, 0),                                         // DescribeProducers
    api(65, 0, 0),                                         // DescribeTransactions
    api(66, 0, 2),                                         // ListTransactions
    api(74, 0, 1),                                         // ListConfigResources
    api(75, 0, 0),                                         // DescribeTopicPartitions
];

/// What is served of an API, if anything.
pub(crate) fn served(key: i16) -> Option<&'static Served> {
    TABLE.iter().find(|s| s.key == key)
}

/// The table as ApiVersions tells it.
pub(crate) fn advertised() -> Vec<ApiVersion> {
    let version = |s: &Served| {
        ApiVersion::default().with_api_key(s.key).with_min_version(s.advertised_min).with_max_version(s.max)
    };
    TABLE.iter().map(version).collect()
}
