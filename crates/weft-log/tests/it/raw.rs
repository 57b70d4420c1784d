//! A log on a free port in a temporary folder, and a client that speaks in frames.

use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    CreateTopicsRequest, FetchRequest, MetadataRequest, ProduceRequest, RequestHeader, ResponseHeader, TopicName,
    TransactionalId,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;
use weft_log::{Log, LogHandle, Options, StartError};
use weft_wire::batch::{BatchSpec, NewRecord, build};
use weft_wire::env::Env;

/// Long enough for a loaded machine; a test that waits for it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct TestLog {
    pub(crate) folder: TempDir,
    pub(crate) handle: LogHandle,
}

impl TestLog {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let handle = start_in(&folder).await;
        Self { folder, handle }
    }

    pub(crate) fn bootstrap(&self) -> String {
        self.handle.listen_addr().to_string()
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(&self.bootstrap()).await
    }

    /// Stops it as a crash would: nothing is written any more, and comes back on the same folder.
    pub(crate) async fn crash_and_restart(self) -> Self {
        let Self { folder, handle } = self;
        drop(handle);
        let handle = start_in(&folder).await;
        Self { folder, handle }
    }

    /// Stops it cleanly and comes back.
    pub(crate) async fn restart(self) -> Self {
        let Self { folder, handle } = self;
        handle.shutdown().await.unwrap();
        let handle = start_in(&folder).await;
        Self { folder, handle }
    }
}

pub(crate) fn options(folder: &TempDir) -> Options {
    let mut options = Options::new(folder.path().join("log"));
    options.listen.set_port(0);
    options
}

async fn start_in(folder: &TempDir) -> LogHandle {
    let started = Instant::now();
    loop {
        match Log::start(options(folder), Env::real()).await {
            Ok(handle) => return handle,
            // The tasks of a dropped log let go of the folder one after the other.
            Err(StartError::Store { .. }) if started.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(error) => panic!("{}", error.diagnostic()),
        }
    }
}

/// One connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
}

static CORRELATION: AtomicI32 = AtomicI32::new(1);

impl Client {
    pub(crate) async fn connect(bootstrap: &str) -> Self {
        Self { stream: TcpStream::connect(bootstrap).await.unwrap() }
    }

    /// Sends a request without waiting for its answer.
    pub(crate) async fn send<Q: Request>(&mut self, version: i16, request: &Q) -> i32 {
        let correlation_id = CORRELATION.fetch_add(1, Ordering::Relaxed);
        let header = RequestHeader::default()
            .with_request_api_key(Q::KEY)
            .with_request_api_version(version)
            .with_correlation_id(correlation_id)
            .with_client_id(Some(StrBytes::from_static_str("raw")));
        let mut body = BytesMut::new();
        header.encode(&mut body, Q::header_version(version)).unwrap();
        request.encode(&mut body, version).unwrap();
        self.send_frame(&body).await;
        correlation_id
    }

    pub(crate) async fn send_frame(&mut self, body: &[u8]) {
        let mut frame = BytesMut::new();
        frame.put_i32(i32::try_from(body.len()).unwrap());
        frame.put_slice(body);
        self.stream.write_all(&frame).await.unwrap();
    }

    /// The next answer, which must be the one to `correlation_id`.
    pub(crate) async fn receive<Q: Request>(&mut self, version: i16, correlation_id: i32) -> Q::Response {
        let mut frame = self.receive_frame().await.expect("an answer");
        let header_version = Q::Response::header_version(version);
        let header = ResponseHeader::decode(&mut frame, header_version).unwrap();
        assert_eq!(header.correlation_id, correlation_id, "answers come in the order of the requests");
        let response = Q::Response::decode(&mut frame, version).unwrap();
        assert!(!frame.has_remaining(), "bytes after the answer");
        response
    }

    /// A frame, or `None` when the log closed the connection.
    pub(crate) async fn receive_frame(&mut self) -> Option<Bytes> {
        let read = async {
            let size = self.stream.read_i32().await.ok()?;
            let mut body = vec![0; usize::try_from(size).unwrap()];
            self.stream.read_exact(&mut body).await.ok()?;
            Some(Bytes::from(body))
        };
        tokio::time::timeout(PATIENCE, read).await.expect("an answer or an end in time")
    }

    pub(crate) async fn call<Q: Request>(&mut self, version: i16, request: &Q) -> Q::Response {
        let correlation_id = self.send(version, request).await;
        self.receive::<Q>(version, correlation_id).await
    }

    pub(crate) async fn create_topic(&mut self, topic: &str, partitions: i32, configs: &[(&str, &str)]) -> Uuid {
        let configs = configs
            .iter()
            .map(|(name, value)| CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value))));
        let new = CreatableTopic::default()
            .with_name(name(topic))
            .with_num_partitions(partitions)
            .with_replication_factor(-1)
            .with_configs(configs.collect());
        let response = self.call(7, &CreateTopicsRequest::default().with_topics(vec![new])).await;
        let result = &response.topics[0];
        assert_eq!(result.error_code, 0, "{:?}", result.error_message);
        result.topic_id
    }

    pub(crate) async fn produce(&mut self, topic: &str, batch: &[u8]) -> PartitionProduceResponse {
        self.produce_to(9, topic, 0, None, batch).await
    }

    pub(crate) async fn produce_to(
        &mut self,
        version: i16,
        topic: &str,
        partition: i32,
        transactional_id: Option<&str>,
        batch: &[u8],
    ) -> PartitionProduceResponse {
        let request = produce_request(topic, partition, transactional_id, batch);
        let mut response = self.call(version, &request).await;
        response.responses.remove(0).partition_responses.remove(0)
    }

    pub(crate) async fn fetch(&mut self, topic: &str, offset: i64, isolation: i8) -> PartitionData {
        let request = fetch_request(topic, offset, 0, isolation);
        let mut response = self.call(12, &request).await;
        response.responses.remove(0).partitions.remove(0)
    }

    pub(crate) async fn topic_names(&mut self) -> Vec<String> {
        let response = self.call(9, &MetadataRequest::default().with_topics(None)).await;
        response.topics.iter().map(|t| t.name.as_ref().unwrap().to_string()).collect()
    }
}

pub(crate) fn produce_request(
    topic: &str,
    partition: i32,
    transactional_id: Option<&str>,
    batch: &[u8],
) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(partition).with_records(Some(Bytes::copy_from_slice(batch)));
    let topic = TopicProduceData::default().with_name(name(topic)).with_partition_data(vec![data]);
    ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(1_000)
        .with_transactional_id(transactional_id.map(|id| TransactionalId(text(id))))
        .with_topic_data(vec![topic])
}

pub(crate) fn fetch_request(topic: &str, offset: i64, wait_ms: i32, isolation: i8) -> FetchRequest {
    let partition = FetchPartition::default().with_fetch_offset(offset).with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default().with_topic(name(topic)).with_partitions(vec![partition]);
    FetchRequest::default()
        .with_max_wait_ms(wait_ms)
        .with_min_bytes(1)
        .with_isolation_level(isolation)
        .with_topics(vec![topic])
}

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(crate) fn name(topic: &str) -> TopicName {
    TopicName(text(topic))
}

pub(crate) fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

/// One batch of `values`, all with key `k`.
pub(crate) fn batch(spec: &BatchSpec, values: &[&str]) -> Vec<u8> {
    let timestamp = now_ms();
    let records: Vec<NewRecord<'_>> = values
        .iter()
        .map(|value| NewRecord { timestamp, key: Some(b"k"), value: Some(value.as_bytes()), headers: &[] })
        .collect();
    build(spec, &records)
}

pub(crate) fn plain(values: &[&str]) -> Vec<u8> {
    batch(&BatchSpec::PLAIN, values)
}

/// What a Kafka error code is called.
pub(crate) fn code(name: kafka_protocol::ResponseError) -> i16 {
    name.code()
}
