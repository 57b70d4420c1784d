//! The answer to a Fetch, with the records left where they are.
//!
//! ```text
//!   throttle · error · session │ topic │ partition … records length ┃ records ┃ tags │ partition …
//!   ───────────── one buffer ──────────────────────────────────────┘ as read └──── the next buffer
//! ```
//! The library encodes into one buffer and so copies the records; they are all there is to such an answer. Here only
//! what surrounds them is encoded. Of a partition the library encodes everything with empty records, whose length is
//! then the last thing (before the tags, where there are any) and is put in place.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::{FetchResponse, ResponseHeader};
use kafka_protocol::protocol::{Encodable, HeaderVersion};

use super::{Request, RequestError};
use crate::parts::Parts;

/// From this version on lengths are varints, and tags follow every structure.
const FLEXIBLE_FROM: i16 = 12;

/// From this version on topics are named by their id.
const TOPIC_ID_FROM: i16 = 13;

/// Records up to this size are copied: a piece of its own costs more.
const COPIED_BYTES_MAX: usize = 4096;

impl Request {
    /// Encodes the answer to a Fetch: header and body, without the frame's length. The records are not copied.
    pub fn respond_fetch(&self, response: FetchResponse) -> Result<Parts, RequestError> {
        let (api_key, version) = (self.api_key, self.api_version);
        let mut out = Splice::default();
        encode(&mut out, self.correlation_id, version, response).map_err(|_| RequestError::Body {
            api_key,
            api_version: version,
            what: "response does not encode",
        })?;
        Ok(out.finish())
    }
}

#[derive(Default)]
struct Splice {
    flat: BytesMut,
    parts: Parts,
}

impl Splice {
    fn take_in(&mut self, records: Bytes) {
        self.parts.push(self.flat.split().freeze());
        self.parts.push(records);
    }

    fn finish(mut self) -> Parts {
        self.parts.push(self.flat.freeze());
        self.parts
    }
}

/// Whatever the library says went wrong: its error type is not ours to name.
struct Unencodable;

fn encode(out: &mut Splice, correlation_id: i32, version: i16, response: FetchResponse) -> Result<(), Unencodable> {
    let header = ResponseHeader::default().with_correlation_id(correlation_id);
    header.encode(&mut out.flat, FetchResponse::header_version(version)).map_err(|_| Unencodable)?;
    // Neither has a place below; nobody sets them.
    if !response.node_endpoints.is_empty() || !response.unknown_tagged_fields.is_empty() {
        return Err(Unencodable);
    }
    out.flat.put_i32(response.throttle_time_ms);
    if version >= 7 {
        out.flat.put_i16(response.error_code);
        out.flat.put_i32(response.session_id);
    }
    length(out, version, response.responses.len())?;
    for topic in response.responses {
        encode_topic(out, version, topic)?;
    }
    tags(out, version);
    Ok(())
}

fn encode_topic(out: &mut Splice, version: i16, topic: FetchableTopicResponse) -> Result<(), Unencodable> {
    if !topic.unknown_tagged_fields.is_empty() {
        return Err(Unencodable);
    }
    if version >= TOPIC_ID_FROM {
        out.flat.put_slice(topic.topic_id.as_bytes());
    } else if version >= FLEXIBLE_FROM {
        length(out, version, topic.topic.len())?;
        out.flat.put_slice(topic.topic.as_bytes());
    } else {
        out.flat.put_i16(i16::try_from(topic.topic.len()).map_err(|_| Unencodable)?);
        out.flat.put_slice(topic.topic.as_bytes());
    }
    length(out, version, topic.partitions.len())?;
    for partition in topic.partitions {
        encode_partition(out, version, partition)?;
    }
    tags(out, version);
    Ok(())
}

fn encode_partition(out: &mut Splice, version: i16, mut partition: PartitionData) -> Result<(), Unencodable> {
    let records = match partition.records.take() {
        Some(records) if records.len() > COPIED_BYTES_MAX && has_no_tags(&partition) => records,
        copied => {
            partition.records = copied;
            return partition.encode(&mut out.flat, version).map_err(|_| Unencodable);
        }
    };
    partition.records = Some(Bytes::new());
    partition.encode(&mut out.flat, version).map_err(|_| Unencodable)?;
    let empty: &[u8] = if version >= FLEXIBLE_FROM { &[1, 0] } else { &[0; 4] };
    assert!(out.flat.ends_with(empty), "empty records end a partition without tags");
    out.flat.truncate(out.flat.len() - empty.len());
    length(out, version, records.len())?;
    out.take_in(records);
    tags(out, version);
    Ok(())
}

fn has_no_tags(partition: &PartitionData) -> bool {
    partition.diverging_epoch == Default::default()
        && partition.current_leader == Default::default()
        && partition.snapshot_id == Default::default()
        && partition.unknown_tagged_fields.is_empty()
}

/// How many elements or bytes follow: compact lengths are one higher, since 0 is null.
fn length(out: &mut Splice, version: i16, count: usize) -> Result<(), Unencodable> {
    let count = i32::try_from(count).map_err(|_| Unencodable)?;
    if version < FLEXIBLE_FROM {
        out.flat.put_i32(count);
        return Ok(());
    }
    let mut rest = count.unsigned_abs() + 1;
    while rest >= 0x80 {
        out.flat.put_u8((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.flat.put_u8(rest as u8);
    Ok(())
}

fn tags(out: &mut Splice, version: i16) {
    if version >= FLEXIBLE_FROM {
        out.flat.put_u8(0);
    }
}
