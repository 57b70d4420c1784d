//! Consumer groups and their offsets, frame by frame.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteTopicsRequest, DescribeGroupsRequest, GroupId, HeartbeatRequest, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupRequest, OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest,
};

use crate::raw::{Client, TestLog, code, name, text};

fn group() -> GroupId {
    GroupId(text("g"))
}

fn join(member_id: &str) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(Bytes::from_static(b"m"));
    JoinGroupRequest::default()
        .with_group_id(group())
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(60_000)
        .with_member_id(text(member_id))
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol])
}

fn sync(joined: &JoinGroupResponse) -> SyncGroupRequest {
    let assign = |member: &kafka_protocol::messages::join_group_response::JoinGroupResponseMember| {
        SyncGroupRequestAssignment::default()
            .with_member_id(member.member_id.clone())
            .with_assignment(Bytes::from(format!("for {}", member.member_id.as_str())))
    };
    SyncGroupRequest::default()
        .with_group_id(group())
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone())
        .with_assignments(joined.members.iter().map(assign).collect())
}

async fn beat(client: &mut Client, joined: &JoinGroupResponse) -> i16 {
    let request = HeartbeatRequest::default()
        .with_group_id(group())
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone());
    client.call(3, &request).await.error_code
}

/// Joins as the first member: asks for an id, then joins with it.
async fn join_alone(client: &mut Client) -> JoinGroupResponse {
    let asked = client.call(5, &join("")).await;
    assert_eq!(asked.error_code, code(Code::MemberIdRequired));
    let joined = client.call(5, &join(&asked.member_id)).await;
    assert_eq!(joined.error_code, 0);
    joined
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_one_forms_at_once() {
    let mut fastest = Duration::MAX;
    // The best of a few, since the machine may be busy with something else; a delay by design would show in each.
    for _ in 0..5 {
        let log = TestLog::start().await;
        let mut client = log.client().await;
        let started = Instant::now();
        let joined = join_alone(&mut client).await;
        assert_eq!((joined.generation_id, joined.members.len()), (1, 1));
        let synced = client.call(3, &sync(&joined)).await;
        assert_eq!(synced.assignment, format!("for {}", joined.member_id.as_str()));
        fastest = fastest.min(started.elapsed());
    }
    assert!(fastest < Duration::from_millis(200), "{fastest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_members_share_and_one_takes_over() {
    let log = TestLog::start().await;
    let (mut a, mut b) = (log.client().await, log.client().await);
    let first = join_alone(&mut a).await;
    a.call(3, &sync(&first)).await;
    let asked = b.call(5, &join("")).await;
    let parked = b.send::<JoinGroupRequest>(5, &join(&asked.member_id)).await;
    while beat(&mut a, &first).await == 0 {}
    assert_eq!(beat(&mut a, &first).await, code(Code::RebalanceInProgress));
    let a2 = a.call(5, &join(&first.member_id)).await;
    let b2 = b.receive::<JoinGroupRequest>(5, parked).await;
    assert_eq!((a2.generation_id, b2.generation_id), (2, 2));
    assert_eq!((a2.members.len(), b2.members.len()), (2, 0), "only the leader sees the others");
    let waiting = b.send::<SyncGroupRequest>(3, &sync(&b2)).await;
    a.call(3, &sync(&a2)).await;
    let synced = b.receive::<SyncGroupRequest>(3, waiting).await;
    assert_eq!(synced.assignment, format!("for {}", b2.member_id.as_str()));
    assert_eq!(beat(&mut a, &first).await, code(Code::IllegalGeneration));
    // Members survive a crash of the log: same generation, no rebalance.
    let log = log.crash_and_restart().await;
    let (mut a, mut b) = (log.client().await, log.client().await);
    assert_eq!((beat(&mut a, &a2).await, beat(&mut b, &b2).await), (0, 0));
    let leave = LeaveGroupRequest::default().with_group_id(group()).with_member_id(a2.member_id.clone());
    assert_eq!(a.call(2, &leave).await.error_code, 0);
    assert_eq!(beat(&mut b, &b2).await, code(Code::RebalanceInProgress));
    let b3 = b.call(5, &join(&b2.member_id)).await;
    assert_eq!((b3.generation_id, b3.leader.as_str()), (3, b2.member_id.as_str()));
    let described = b.call(5, &DescribeGroupsRequest::default().with_groups(vec![group()])).await;
    assert_eq!(described.groups[0].group_state.as_str(), "CompletingRebalance");
    let deleted = b.call(2, &DeleteGroupsRequest::default().with_groups_names(vec![group()])).await;
    assert_eq!(deleted.results[0].error_code, code(Code::NonEmptyGroup));
}

async fn commit(client: &mut Client, member: Option<&JoinGroupResponse>, offset: i64) -> i16 {
    let partition = OffsetCommitRequestPartition::default()
        .with_committed_offset(offset)
        .with_committed_metadata(Some(text("words")));
    let topic = OffsetCommitRequestTopic::default().with_name(name("t")).with_partitions(vec![partition]);
    let mut request = OffsetCommitRequest::default().with_group_id(group()).with_topics(vec![topic]);
    if let Some(member) = member {
        request.member_id = member.member_id.clone();
        request.generation_id_or_member_epoch = member.generation_id;
    }
    client.call(7, &request).await.topics[0].partitions[0].error_code
}

async fn committed(client: &mut Client) -> (i64, String) {
    let topic = OffsetFetchRequestTopics::default().with_name(name("t")).with_partition_indexes(vec![0]);
    let one = OffsetFetchRequestGroup::default().with_group_id(group()).with_topics(Some(vec![topic]));
    let response = client.call(8, &OffsetFetchRequest::default().with_groups(vec![one])).await;
    let found = &response.groups[0].topics[0].partitions[0];
    assert_eq!(found.error_code, 0);
    (found.committed_offset, found.metadata.as_ref().unwrap().to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_kept_until_their_group_or_topic_goes() {
    let log = TestLog::start().await;
    let mut client = log.client().await;
    client.create_topic("t", 1, &[]).await;
    assert_eq!(committed(&mut client).await, (-1, String::new()));
    assert_eq!(commit(&mut client, None, 5).await, 0, "a consumer without a group's management");
    let joined = join_alone(&mut client).await;
    assert_eq!(commit(&mut client, Some(&joined), 6).await, code(Code::RebalanceInProgress));
    client.call(3, &sync(&joined)).await;
    assert_eq!(commit(&mut client, Some(&joined), 7).await, 0);
    assert_eq!(commit(&mut client, None, 8).await, code(Code::UnknownMemberId), "the group has members now");
    let mut old = joined.clone();
    old.generation_id -= 1;
    assert_eq!(commit(&mut client, Some(&old), 9).await, code(Code::IllegalGeneration));
    let log = log.crash_and_restart().await;
    let mut client = log.client().await;
    assert_eq!(committed(&mut client).await, (7, "words".to_owned()));
    let request = DeleteTopicsRequest::default().with_topic_names(vec![name("t")]);
    assert_eq!(client.call(5, &request).await.responses[0].error_code, 0);
    assert_eq!(committed(&mut client).await.0, -1);
    client.create_topic("t", 1, &[]).await;
    assert_eq!(committed(&mut client).await.0, -1, "a new topic of the same name starts without offsets");
}

#[tokio::test(flavor = "multi_thread")]
async fn out_of_bounds_is_refused() {
    let log = TestLog::start().await;
    let mut client = log.client().await;
    for session_timeout_ms in [0, 5_999, 1_800_001, -1] {
        let request = join("").with_session_timeout_ms(session_timeout_ms);
        let refused = client.call(5, &request).await;
        assert_eq!(refused.error_code, code(Code::InvalidSessionTimeout), "{session_timeout_ms}");
    }
    let nameless = client.call(5, &join("").with_group_id(GroupId(text("")))).await;
    assert_eq!(nameless.error_code, code(Code::InvalidGroupId));
    let stranger = client.call(5, &join("somebody")).await;
    assert_eq!(stranger.error_code, code(Code::UnknownMemberId));
    let missing = client.call(2, &DeleteGroupsRequest::default().with_groups_names(vec![group()])).await;
    assert_eq!(missing.results[0].error_code, code(Code::GroupIdNotFound));
}
