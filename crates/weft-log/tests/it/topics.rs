//! Topics and their configs.

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, DescribeAclsRequest, DescribeClusterRequest,
    DescribeConfigsRequest, DescribeTopicPartitionsRequest, FetchRequest, IncrementalAlterConfigsRequest,
    MetadataRequest, SaslHandshakeRequest,
};

use crate::raw::{Client, TestLog, code, name, plain, text};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

async fn try_create(client: &mut Client, topic: CreatableTopic) -> i16 {
    let response = client.call(7, &CreateTopicsRequest::default().with_topics(vec![topic])).await;
    response.topics[0].error_code
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kafka_refuses_is_refused() {
    let log = TestLog::start().await;
    let mut client = log.client().await;
    client.create_topic("a.b", 1, &[]).await;
    let new = |topic: &str, partitions: i32, replicas: i16| {
        CreatableTopic::default()
            .with_name(name(topic))
            .with_num_partitions(partitions)
            .with_replication_factor(replicas)
    };
    let config = |key: &str, value: &str| {
        let config = CreatableTopicConfig::default().with_name(text(key)).with_value(Some(text(value)));
        new("t", 1, 1).with_configs(vec![config])
    };
    let cases = [
        ("exists", new("a.b", 1, 1), Code::TopicAlreadyExists),
        ("'.' and '_'", new("a_b", 1, 1), Code::InvalidTopicException),
        ("empty name", new("", 1, 1), Code::InvalidTopicException),
        ("'..'", new("..", 1, 1), Code::InvalidTopicException),
        ("a space", new("a b", 1, 1), Code::InvalidTopicException),
        ("250 bytes", new(&"x".repeat(250), 1, 1), Code::InvalidTopicException),
        ("no partitions", new("t", 0, 1), Code::InvalidPartitions),
        ("too many partitions", new("t", 1_000_000, 1), Code::InvalidPartitions),
        ("three replicas", new("t", 1, 3), Code::InvalidReplicationFactor),
        ("unknown config", config("retentio.ms", "1"), Code::InvalidConfig),
        ("bad value", config("retention.ms", "-2"), Code::InvalidConfig),
        ("not served", config("compression.type", "zstd"), Code::InvalidConfig),
    ];
    for (what, topic, expected) in cases {
        assert_eq!(try_create(&mut client, topic).await, code(expected), "{what}");
    }
    let dry = CreateTopicsRequest::default().with_topics(vec![new("t", 2, 1)]).with_validate_only(true);
    assert_eq!(client.call(7, &dry).await.topics[0].error_code, 0);
    assert_eq!(client.topic_names().await, ["a.b"], "nothing was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_again_is_another_topic() {
    let log = TestLog::start().await;
    let mut client = log.client().await;
    let old = client.create_topic("t", 1, &[]).await;
    client.produce("t", &plain(&["old"])).await;
    let by_id = |id| {
        let partition = FetchPartition::default().with_partition_max_bytes(1 << 20);
        let topic = FetchTopic::default().with_topic_id(id).with_partitions(vec![partition]);
        FetchRequest::default().with_max_wait_ms(60_000).with_min_bytes(1).with_topics(vec![topic])
    };
    // A reader at the end is woken by the topic's end.
    let mut reader = log.client().await;
    let mut at_end = by_id(old);
    at_end.topics[0].partitions[0].fetch_offset = 1;
    let parked = reader.send::<FetchRequest>(13, &at_end).await;
    let state = DeleteTopicState::default().with_name(Some(name("t")));
    let deleted = client.call(6, &DeleteTopicsRequest::default().with_topics(vec![state])).await;
    assert_eq!((deleted.responses[0].error_code, deleted.responses[0].topic_id), (0, old));
    let new = client.create_topic("t", 2, &[]).await;
    assert_ne!(old, new);
    let woken = reader.receive::<FetchRequest>(13, parked).await;
    assert_eq!(woken.responses[0].partitions[0].error_code, code(Code::UnknownTopicId));
    let gone = client.call(13, &by_id(old)).await;
    assert_eq!(gone.responses[0].partitions[0].error_code, code(Code::UnknownTopicId));
    assert_eq!(client.fetch("t", 0, 0).await.high_watermark, 0, "no old data");
    let log = log.crash_and_restart().await;
    let mut client = log.client().await;
    let request = MetadataRequestTopic::default().with_name(Some(name("t")));
    let found = client.call(12, &MetadataRequest::default().with_topics(Some(vec![request]))).await;
    assert_eq!((found.topics[0].topic_id, found.topics[0].partitions.len()), (new, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_only_ever_added() {
    let log = TestLog::start().await;
    let mut client = log.client().await;
    client.create_topic("t", 2, &[]).await;
    for (count, expected) in [(2, code(Code::InvalidPartitions)), (1, code(Code::InvalidPartitions)), (5, 0)] {
        let topic = CreatePartitionsTopic::default().with_name(name("t")).with_count(count).with_assignments(None);
        let request = CreatePartitionsRequest::default().with_topics(vec![topic]);
        assert_eq!(client.call(3, &request).await.results[0].error_code, expected, "{count}");
    }
    let done = client.produce_to(9, "t", 4, None, &plain(&["v"])).await;
    assert_eq!(done.error_code, 0);
    let log = log.restart().await;
    let mut client = log.client().await;
    let request = DescribeTopicPartitionsRequest::default().with_response_partition_limit(3);
    let page = client.call(0, &request).await;
    assert_eq!(page.topics[0].partitions.len(), 3);
    let next = page.next_cursor.unwrap();
    assert_eq!((next.topic_name.as_str(), next.partition_index), ("t", 3));
}

async fn alter(client: &mut Client, changes: &[(&str, i8, Option<&str>)]) -> i16 {
    let configs = changes.iter().map(|(key, operation, value)| {
        AlterableConfig::default().with_name(text(key)).with_config_operation(*operation).with_value(value.map(text))
    });
    let resource = AlterConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text("t"))
        .with_configs(configs.collect());
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    client.call(1, &request).await.responses[0].error_code
}

async fn config(client: &mut Client, resource_type: i8, resource: &str, key: &str) -> (String, i8) {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(resource_type)
        .with_resource_name(text(resource))
        .with_configuration_keys(Some(vec![text(key)]));
    let response = client.call(4, &DescribeConfigsRequest::default().with_resources(vec![resource])).await;
    let found = &response.results[0].configs[0];
    (found.value.as_ref().unwrap().to_string(), found.config_source)
}

#[tokio::test(flavor = "multi_thread")]
async fn configs_are_changed_one_by_one_and_kept() {
    const SET: i8 = 0;
    const DELETE: i8 = 1;
    const APPEND: i8 = 2;
    const SUBTRACT: i8 = 3;
    let log = TestLog::start().await;
    let mut client = log.client().await;
    client.create_topic("t", 1, &[("retention.ms", "1000")]).await;
    assert_eq!(config(&mut client, TOPIC, "t", "retention.ms").await, ("1000".to_owned(), 1));
    assert_eq!(config(&mut client, TOPIC, "t", "segment.ms").await, ("604800000".to_owned(), 5));
    assert_eq!(alter(&mut client, &[("cleanup.policy", APPEND, Some("compact"))]).await, 0);
    assert_eq!(config(&mut client, TOPIC, "t", "cleanup.policy").await.0, "delete,compact");
    assert_eq!(alter(&mut client, &[("cleanup.policy", SUBTRACT, Some("delete"))]).await, 0);
    assert_eq!(alter(&mut client, &[("retention.ms", DELETE, None)]).await, 0);
    assert_eq!(config(&mut client, TOPIC, "t", "retention.ms").await, ("604800000".to_owned(), 5));
    for (change, expected) in [
        (("retention.ms", SET, Some("soon")), Code::InvalidConfig),
        (("retention.ms", SET, None), Code::InvalidConfig),
        (("retention.ms", APPEND, Some("1")), Code::InvalidConfig),
        (("retention.ms", 9, Some("1")), Code::InvalidRequest),
    ] {
        let both = [("segment.ms", SET, Some("5")), change];
        assert_eq!(alter(&mut client, &both).await, code(expected), "{change:?}");
    }
    assert_eq!(config(&mut client, TOPIC, "t", "segment.ms").await.0, "604800000", "all of a request or nothing");
    let log = log.crash_and_restart().await;
    let mut client = log.client().await;
    assert_eq!(config(&mut client, TOPIC, "t", "cleanup.policy").await, ("compact".to_owned(), 1));
    assert_eq!(config(&mut client, BROKER, "1", "log.flush.interval.messages").await, ("1".to_owned(), 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_served_is_said_so() {
    let log = TestLog::start().await;
    let mut client = log.client().await;
    let acls = client.call(3, &DescribeAclsRequest::default()).await;
    assert_eq!(acls.error_code, code(Code::SecurityDisabled));
    let sasl = SaslHandshakeRequest::default().with_mechanism(text("PLAIN"));
    assert_eq!(client.call(1, &sasl).await.error_code, code(Code::IllegalSaslState));
    let cluster = client.call(2, &DescribeClusterRequest::default()).await;
    assert_eq!((cluster.brokers.len(), cluster.cluster_id.len()), (1, 22));
    let id = cluster.cluster_id;
    let log = log.restart().await;
    let again = log.client().await.call(0, &DescribeClusterRequest::default()).await;
    assert_eq!(again.cluster_id, id, "a log keeps its identity");
}
