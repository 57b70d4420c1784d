//! An answer to Fetch in pieces is the library's answer in one, and its records are not copied.

use bytes::{Buf, Bytes};
use kafka_protocol::messages::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchableTopicResponse, PartitionData,
};
use kafka_protocol::messages::{FetchResponse, ProducerId, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;
use weft_wire::parts::Parts;
use weft_wire::request::Request;

fn request(version: i16) -> Request {
    Request { api_key: 1, api_version: version, correlation_id: 77, client_id: None, body: Bytes::new() }
}

fn partition(index: i32, records: Option<Bytes>) -> PartitionData {
    PartitionData::default().with_partition_index(index).with_high_watermark(9).with_records(records)
}

fn topic(version: i16, name: &str, partitions: Vec<PartitionData>) -> FetchableTopicResponse {
    let topic = FetchableTopicResponse::default().with_partitions(partitions);
    match version {
        13.. => topic.with_topic_id(Uuid::from_u128(name.len() as u128)),
        _ => topic.with_topic(TopicName(StrBytes::from_string(name.to_owned()))),
    }
}

/// Records of every size that matters: none, empty, copied, and around the widths of a length.
fn response(version: i16) -> FetchResponse {
    let sizes = [0, 1, 127, 4096, 4097, 16_382, 16_383, 16_384, 200_000, 2_200_000];
    let records = |(size, index)| partition(index, Some(Bytes::from(vec![index as u8 + 1; size])));
    let mut many: Vec<PartitionData> = sizes.into_iter().zip(0..).map(records).collect();
    many.push(partition(90, None));
    let aborted = AbortedTransaction::default().with_producer_id(ProducerId(5)).with_first_offset(6);
    many.push(partition(91, Some(Bytes::from(vec![1; 5000]))).with_aborted_transactions(Some(vec![aborted])));
    if version >= 12 {
        let diverging = EpochEndOffset::default().with_epoch(3).with_end_offset(4);
        many.push(partition(92, Some(Bytes::from(vec![1; 5000]))).with_diverging_epoch(diverging));
    }
    let topics = vec![
        topic(version, "many", many),
        topic(version, "none", Vec::new()),
        topic(version, &"n".repeat(200), vec![]),
    ];
    FetchResponse::default().with_responses(topics)
}

#[test]
fn the_pieces_are_what_the_library_encodes() {
    for version in 4..=18 {
        let mut response = response(version);
        if version >= 7 {
            response.error_code = 70;
            response.session_id = 12;
        }
        let whole = request(version).respond(&response).unwrap();
        let parts = request(version).respond_fetch(response).unwrap();
        assert_eq!(parts.len(), whole.len(), "version {version}");
        assert!(parts.joined() == whole, "version {version}");
    }
}

#[test]
fn large_records_are_sent_from_where_they_are() {
    for version in [4, 12, 18] {
        let records = Bytes::from(vec![7; 1 << 20]);
        let place = records.as_ptr();
        let response =
            FetchResponse::default().with_responses(vec![topic(version, "t", vec![partition(0, Some(records))])]);
        let mut parts = request(version).respond_fetch(response).unwrap();
        parts.advance(parts.chunk().len());
        assert_eq!(parts.chunk().as_ptr(), place, "version {version}");
    }
}

#[test]
fn pieces_are_advanced_over_as_one() {
    let mut parts = Parts::from(Bytes::from_static(b"ab"));
    for part in ["", "c", "defg", "h"] {
        parts.push(Bytes::from_static(part.as_bytes()));
    }
    for step in 1..=8 {
        let mut left = parts.clone();
        let mut seen = Vec::new();
        while !left.is_empty() {
            let take = step.min(left.len());
            seen.extend_from_slice(&left.clone().joined()[..take]);
            left.advance(take);
        }
        assert_eq!(seen, b"abcdefgh", "steps of {step}");
    }
}
