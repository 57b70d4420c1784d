//! The decoder's own types, by API key: what the walk is compared with.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable};

macro_rules! by_key {
    ($key:expr, $one:ident, $version:expr, $body:expr) => {
        match $key {
            0 => $one::<ProduceRequest>($version, $body),
            1 => $one::<FetchRequest>($version, $body),
            2 => $one::<ListOffsetsRequest>($version, $body),
            3 => $one::<MetadataRequest>($version, $body),
            8 => $one::<OffsetCommitRequest>($version, $body),
            9 => $one::<OffsetFetchRequest>($version, $body),
            10 => $one::<FindCoordinatorRequest>($version, $body),
            11 => $one::<JoinGroupRequest>($version, $body),
            12 => $one::<HeartbeatRequest>($version, $body),
            13 => $one::<LeaveGroupRequest>($version, $body),
            14 => $one::<SyncGroupRequest>($version, $body),
            15 => $one::<DescribeGroupsRequest>($version, $body),
            16 => $one::<ListGroupsRequest>($version, $body),
            17 => $one::<SaslHandshakeRequest>($version, $body),
            18 => $one::<ApiVersionsRequest>($version, $body),
            19 => $one::<CreateTopicsRequest>($version, $body),
            20 => $one::<DeleteTopicsRequest>($version, $body),
            21 => $one::<DeleteRecordsRequest>($version, $body),
            22 => $one::<InitProducerIdRequest>($version, $body),
            23 => $one::<OffsetForLeaderEpochRequest>($version, $body),
            24 => $one::<AddPartitionsToTxnRequest>($version, $body),
            25 => $one::<AddOffsetsToTxnRequest>($version, $body),
            26 => $one::<EndTxnRequest>($version, $body),
            27 => $one::<WriteTxnMarkersRequest>($version, $body),
            28 => $one::<TxnOffsetCommitRequest>($version, $body),
            29 => $one::<DescribeAclsRequest>($version, $body),
            30 => $one::<CreateAclsRequest>($version, $body),
            31 => $one::<DeleteAclsRequest>($version, $body),
            32 => $one::<DescribeConfigsRequest>($version, $body),
            33 => $one::<AlterConfigsRequest>($version, $body),
            35 => $one::<DescribeLogDirsRequest>($version, $body),
            36 => $one::<SaslAuthenticateRequest>($version, $body),
            37 => $one::<CreatePartitionsRequest>($version, $body),
            42 => $one::<DeleteGroupsRequest>($version, $body),
            43 => $one::<ElectLeadersRequest>($version, $body),
            44 => $one::<IncrementalAlterConfigsRequest>($version, $body),
            46 => $one::<ListPartitionReassignmentsRequest>($version, $body),
            47 => $one::<OffsetDeleteRequest>($version, $body),
            50 => $one::<DescribeUserScramCredentialsRequest>($version, $body),
            51 => $one::<AlterUserScramCredentialsRequest>($version, $body),
            60 => $one::<DescribeClusterRequest>($version, $body),
            61 => $one::<DescribeProducersRequest>($version, $body),
            65 => $one::<DescribeTransactionsRequest>($version, $body),
            66 => $one::<ListTransactionsRequest>($version, $body),
            68 => $one::<ConsumerGroupHeartbeatRequest>($version, $body),
            69 => $one::<ConsumerGroupDescribeRequest>($version, $body),
            74 => $one::<ListConfigResourcesRequest>($version, $body),
            75 => $one::<DescribeTopicPartitionsRequest>($version, $body),
            other => panic!("API {other} is in the schema and not in this table"),
        }
    };
}

/// Decodes a body with the decoder alone; the bytes it took, or `None`.
pub(crate) fn decode(api_key: i16, api_version: i16, body: &Bytes) -> Option<usize> {
    fn one<T: Decodable>(api_version: i16, body: &Bytes) -> Option<usize> {
        let mut rest = body.clone();
        let decoded = T::decode(&mut rest, api_version).ok();
        decoded.map(|_| body.len() - rest.len())
    }
    by_key!(api_key, one, api_version, body)
}

/// Encodes an empty request.
pub(crate) fn empty(api_key: i16, api_version: i16) -> Bytes {
    fn one<T: Default + Encodable>(api_version: i16, _: &()) -> Option<Bytes> {
        let mut out = BytesMut::new();
        T::default().encode(&mut out, api_version).ok().map(|()| out.freeze())
    }
    by_key!(api_key, one, api_version, &()).unwrap_or_default()
}
