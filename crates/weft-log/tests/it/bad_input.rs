//! Whatever a stranger sends, only that connection ends, and the log goes on.

use bytes::{BufMut, BytesMut};
use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::{Decodable, StrBytes};
use tokio::io::AsyncWriteExt;

use crate::raw::{Client, TestLog};

fn header(key: i16, version: i16) -> BytesMut {
    let mut frame = BytesMut::new();
    frame.put_i16(key);
    frame.put_i16(version);
    frame.put_i32(7);
    frame.put_i16(-1);
    frame
}

async fn is_alive(log: &TestLog) {
    let mut client = log.client().await;
    assert!(client.topic_names().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_are_no_requests_end_their_connection() {
    let log = TestLog::start().await;
    let mut two_billion = header(3, 1);
    two_billion.put_i32(2_000_000_000);
    let mut negative_length = header(3, 1);
    negative_length.put_i32(1);
    negative_length.put_i16(-5);
    let cases: [(&str, BytesMut); 7] = [
        ("nothing", BytesMut::new()),
        ("three bytes", BytesMut::from(&[1, 2, 3][..])),
        ("text", BytesMut::from(&b"GET / HTTP/1.1\r\n\r\n"[..])),
        ("an API nobody has", header(999, 0)),
        ("a version nobody has", header(3, 99)),
        ("an array of two billion", two_billion),
        ("a negative string length", negative_length),
    ];
    for (what, frame) in cases {
        let mut client = log.client().await;
        client.send_frame(&frame).await;
        assert_eq!(client.receive_frame().await, None, "{what}");
    }
    is_alive(&log).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_that_are_no_frames_end_their_connection() {
    let log = TestLog::start().await;
    for size in [i32::MAX, -1, i32::MIN, 200 << 20] {
        let mut client = log.client().await;
        client.stream.write_all(&size.to_be_bytes()).await.unwrap();
        assert_eq!(client.receive_frame().await, None, "size {size}");
    }
    // Half a frame, then silence from the client's side.
    let mut client = log.client().await;
    client.stream.write_all(&100_i32.to_be_bytes()).await.unwrap();
    client.stream.write_all(&[0; 10]).await.unwrap();
    client.stream.shutdown().await.unwrap();
    assert_eq!(client.receive_frame().await, None);
    is_alive(&log).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_version_of_api_versions_is_answered_in_the_oldest_shape() {
    let log = TestLog::start().await;
    let mut client = log.client().await;
    let mut frame = header(18, 77);
    frame.put_u8(0); // no tagged fields in the header
    frame.put_slice(b"whatever a later version may bring");
    client.send_frame(&frame).await;
    let mut answer = client.receive_frame().await.unwrap().slice(4..);
    let response = ApiVersionsResponse::decode(&mut answer, 0).unwrap();
    assert_eq!(response.error_code, Code::UnsupportedVersion.code());
    assert!(response.api_keys.iter().any(|a| a.api_key == 18 && a.max_version == 4));
    is_alive(&log).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_librdkafka_finds_the_versions_it_looks_for() {
    let log = TestLog::start().await;
    let mut client = log.client().await;
    let request = ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("raw"))
        .with_client_software_version(StrBytes::from_static_str("1.0"));
    let response = client.call(4, &request).await;
    let min = |key: i16| response.api_keys.iter().find(|a| a.api_key == key).unwrap().min_version;
    assert_eq!([min(0), min(10), min(11), min(17)], [0; 4]);
    let feature = &response.finalized_features[0];
    assert_eq!((feature.name.as_str(), feature.max_version_level), ("transaction.version", 2));
    let unnamed = client.call(3, &ApiVersionsRequest::default()).await;
    assert_eq!(unnamed.error_code, Code::InvalidRequest.code());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_advertised_is_answered() {
    let log = TestLog::start().await;
    let mut client = log.client().await;
    let response = client.call(0, &ApiVersionsRequest::default()).await;
    for api in response.api_keys {
        for version in api.min_version..=api.max_version {
            // An empty body is wrong for nearly all of them; what must not happen is a panic of the whole log.
            let mut client = Client::connect(&log.bootstrap()).await;
            client.send_frame(&header(api.api_key, version)).await;
            client.stream.shutdown().await.unwrap();
            client.receive_frame().await;
        }
    }
    is_alive(&log).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_produce_older_than_records_is_told_so() {
    let log = TestLog::start().await;
    for version in 0..3 {
        let mut frame = header(0, version);
        frame.put_i16(1);
        frame.put_i32(1_000);
        frame.put_i32(1);
        frame.put_i16(1);
        frame.put_slice(b"t");
        frame.put_i32(1);
        frame.put_i32(5);
        frame.put_i32(3);
        frame.put_slice(b"old");
        let mut client = log.client().await;
        client.send_frame(&frame).await;
        let answer = client.receive_frame().await.unwrap();
        // correlation id, one topic "t", one partition 5, then the code
        let expected =
            [&[0, 0, 0, 7, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 5][..], &35_i16.to_be_bytes()].concat();
        assert_eq!(answer[..21], expected, "v{version}");
        assert_eq!(answer.len(), 29 + [0, 4, 12][usize::from(version.unsigned_abs())]);
        let mut cut = log.client().await;
        cut.send_frame(&frame[..frame.len() - 1]).await;
        assert_eq!(cut.receive_frame().await, None);
    }
    is_alive(&log).await;
}
