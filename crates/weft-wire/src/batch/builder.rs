//! Making batches: transaction markers, and what tests and internal writers send.

use super::header::{MARKER_ATTRIBUTES, TRANSACTIONAL_ATTRIBUTE, seal};
use super::{Codec, HEADER_BYTES};
use crate::compression;
use crate::varint::put_varlong;

/// Everything of a batch but its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSpec {
    /// Compression.
    pub codec: Codec,
    /// −1 = none.
    pub producer_id: i64,
    /// −1 = none.
    pub producer_epoch: i16,
    /// −1 = none.
    pub base_sequence: i32,
    /// Part of a transaction?
    pub transactional: bool,
}

impl BatchSpec {
    /// No producer id, no compression.
    pub const PLAIN: Self =
        Self { codec: Codec::None, producer_id: -1, producer_epoch: -1, base_sequence: -1, transactional: false };
}

/// A record to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NewRecord<'a> {
    /// Milliseconds since the Unix epoch.
    pub timestamp: i64,
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Headers in order.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
}

/// Encodes a batch with base offset 0 and leader epoch −1.
pub fn build(spec: &BatchSpec, new: &[NewRecord<'_>]) -> Vec<u8> {
    let base_timestamp = new.first().map_or(0, |record| record.timestamp);
    let max_timestamp = new.iter().map(|record| record.timestamp).max().unwrap_or(-1);
    let mut body = Vec::new();
    let mut one = Vec::new();
    for (delta, record) in (0i64..).zip(new) {
        one.clear();
        one.push(0);
        put_varlong(&mut one, record.timestamp - base_timestamp);
        put_varlong(&mut one, delta);
        put_bytes(&mut one, record.key);
        put_bytes(&mut one, record.value);
        put_varlong(&mut one, record.headers.len() as i64);
        for (name, value) in record.headers {
            put_bytes(&mut one, Some(name.as_bytes()));
            put_bytes(&mut one, *value);
        }
        put_varlong(&mut body, one.len() as i64);
        body.extend_from_slice(&one);
    }
    let body = compression::deflate(spec.codec, body);
    let mut attributes = spec.codec.bits();
    if spec.transactional {
        attributes |= TRANSACTIONAL_ATTRIBUTE;
    }
    let count = i32::try_from(new.len()).unwrap_or(i32::MAX);
    assemble(attributes, count, (base_timestamp, max_timestamp), spec, &body)
}

/// The batch that ends a transaction in one partition (KIP-98).
pub fn control_batch(
    producer_id: i64,
    producer_epoch: i16,
    coordinator_epoch: i32,
    commit: bool,
    timestamp: i64,
) -> Vec<u8> {
    let key = [0, 0, 0, u8::from(commit)]; // version 0; type 0 = abort, 1 = commit
    let mut value = [0; 6]; // version 0; coordinator epoch
    value.get_mut(2..).expect("six bytes").copy_from_slice(&coordinator_epoch.to_be_bytes());
    let mut body = vec![0, 0, 0]; // attributes, timestamp delta, offset delta
    put_bytes(&mut body, Some(&key));
    put_bytes(&mut body, Some(&value));
    put_varlong(&mut body, 0);
    let mut record = Vec::new();
    put_varlong(&mut record, body.len() as i64);
    record.extend_from_slice(&body);
    let spec = BatchSpec { producer_id, producer_epoch, ..BatchSpec::PLAIN };
    assemble(MARKER_ATTRIBUTES, 1, (timestamp, timestamp), &spec, &record)
}

fn assemble(attributes: i16, count: i32, (base, max): (i64, i64), spec: &BatchSpec, body: &[u8]) -> Vec<u8> {
    let mut batch = Vec::with_capacity(HEADER_BYTES + body.len());
    let length = i32::try_from(HEADER_BYTES - 12 + body.len()).unwrap_or(i32::MAX);
    batch.extend_from_slice(&0i64.to_be_bytes());
    batch.extend_from_slice(&length.to_be_bytes());
    batch.extend_from_slice(&(-1i32).to_be_bytes());
    batch.push(2);
    batch.extend_from_slice(&0u32.to_be_bytes());
    batch.extend_from_slice(&attributes.to_be_bytes());
    batch.extend_from_slice(&(count - 1).to_be_bytes());
    batch.extend_from_slice(&base.to_be_bytes());
    batch.extend_from_slice(&max.to_be_bytes());
    batch.extend_from_slice(&spec.producer_id.to_be_bytes());
    batch.extend_from_slice(&spec.producer_epoch.to_be_bytes());
    batch.extend_from_slice(&spec.base_sequence.to_be_bytes());
    batch.extend_from_slice(&count.to_be_bytes());
    batch.extend_from_slice(body);
    seal(&mut batch);
    batch
}

fn put_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => put_varlong(out, -1),
        Some(bytes) => {
            put_varlong(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
    }
}
