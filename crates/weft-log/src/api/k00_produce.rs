//! Produce (key 0), versions 3–13; 0–2 are advertised for old librdkafka (see [`super::versions`]) and refused.
//!
//! Batches are appended in the order of the connection; the answer waits until all are durable as configured.
//! A transactional batch is checked and appended while nobody can end its transaction. v12+ (KIP-890, TV2) takes the
//! partition into the transaction by itself; below, it must have been added before.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::produce_request::TopicProduceData;
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};
use uuid::Uuid;
use weft_wire::batch::BatchError;
use weft_wire::request::Request;
use weft_wire::server::Outcome;

use super::{decode, send, text, topic_name};
use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;
use crate::error::{Coded, ProduceError};
use crate::store::{AppendError, AppendOrigin, Appended, Partition};
use crate::topics::Topic;
use crate::txn::core::Producer;

/// Offset of the attributes in a batch, its transactional bit, offset of producer id and epoch.
const ATTRIBUTES: usize = 21;
const TRANSACTIONAL: i16 = 1 << 4;
const PRODUCER_ID: usize = 43;
const PRODUCER_EPOCH: usize = 51;

pub(super) async fn answer(ctx: Ctx, request: Request) -> Outcome {
    let (decoded, request): (ProduceRequest, _) = match decode(request) {
        Ok(decoded) => decoded,
        Err(outcome) => return outcome,
    };
    let acks = decoded.acks;
    let (response, failed) = handle(ctx, decoded).await;
    match (acks, failed) {
        (0, None) => Outcome::Nothing,
        // Nobody listens for an answer: a closed connection is the only way to say that something is wrong.
        (0, Some(error)) => Outcome::Close(format!("produce with acks=0 failed: {error}")),
        (_, _) => send(&request, &response),
    }
}

type Written = Result<(Arc<Partition>, Appended), ProduceError>;

async fn handle(ctx: Ctx, mut request: ProduceRequest) -> (ProduceResponse, Option<ProduceError>) {
    let mut topics = Vec::with_capacity(request.topic_data.len());
    for mut data in std::mem::take(&mut request.topic_data) {
        let topic = find(&ctx, &data.name, data.topic_id);
        let mut written = Vec::with_capacity(data.partition_data.len());
        // Waiting for the disk needs no records, so nothing that refers to the request is kept beyond this loop.
        for part in std::mem::take(&mut data.partition_data) {
            let one = topic.clone().and_then(|topic| append(&ctx, &request, &topic, part.index, part.records.as_ref()));
            written.push((part.index, one));
        }
        topics.push((named(&ctx, &data), written));
    }
    let acks = request.acks;
    drop(request);
    let mut failed = None;
    let mut responses = Vec::with_capacity(topics.len());
    for (topic, written) in topics {
        let mut partitions = Vec::with_capacity(written.len());
        for (index, one) in written {
            let done = durable(one, acks).await;
            partitions.push(partition_response(index, &done));
            if let Err(error) = done {
                failed = Some(error);
            }
        }
        responses.push(topic.with_partition_responses(partitions));
    }
    (ProduceResponse::default().with_responses(responses), failed)
}

/// The answer's head for a topic. The name is copied: what was decoded is a slice of the whole request.
fn named(ctx: &Ctx, data: &TopicProduceData) -> TopicProduceResponse {
    let response = TopicProduceResponse::default();
    if ctx.version >= 13 { response.with_topic_id(data.topic_id) } else { response.with_name(topic_name(&data.name)) }
}

fn find(ctx: &Ctx, name: &str, id: Uuid) -> Result<Arc<Topic>, ProduceError> {
    let topic = if ctx.version >= 13 {
        ctx.broker.topics.get_by_id(id).ok_or(ProduceError::UnknownTopicId)?
    } else {
        ctx.broker.topics.get(name).ok_or(ProduceError::UnknownPartition)?
    };
    if !ctx.may(Resource::Topic(&topic.name), Action::Write) {
        return Err(ProduceError::TopicDenied);
    }
    Ok(topic)
}

fn append(ctx: &Ctx, request: &ProduceRequest, topic: &Topic, index: i32, records: Option<&Bytes>) -> Written {
    if !matches!(request.acks, -1..=1) {
        return Err(ProduceError::Acks { acks: request.acks });
    }
    let partition = topic.partition(index).ok_or(ProduceError::UnknownPartition)?;
    let batch = records.ok_or(ProduceError::NoRecords)?;
    let append = || partition.append(batch, AppendOrigin::Client);
    let appended = match transactional_producer(batch) {
        None => append(),
        Some(producer) => {
            let id = request.transactional_id.as_ref().map(|id| id.as_str());
            let id = id.filter(|id| ctx.may(Resource::TransactionalId(id), Action::Write));
            let id = id.ok_or(ProduceError::TransactionalIdDenied)?;
            let adds = ctx.version >= 12;
            let at = (topic.id, index);
            let version = ctx.version;
            let refused = |error| ProduceError::Transaction { error, version };
            ctx.broker.transactions.append(id, producer, at, adds, append).map_err(refused)?
        }
    };
    Ok((partition.clone(), appended?))
}

/// The producer of a transactional batch; a batch too short for a header is left to the append to refuse.
fn transactional_producer(batch: &Bytes) -> Option<Producer> {
    let attributes = batch.get(ATTRIBUTES..ATTRIBUTES + 2)?;
    if i16::from_be_bytes(attributes.try_into().ok()?) & TRANSACTIONAL == 0 {
        return None;
    }
    let id = batch.get(PRODUCER_ID..PRODUCER_ID + 8)?;
    let epoch = batch.get(PRODUCER_EPOCH..PRODUCER_EPOCH + 2)?;
    Some(Producer { id: i64::from_be_bytes(id.try_into().ok()?), epoch: i16::from_be_bytes(epoch.try_into().ok()?) })
}

async fn durable(written: Written, acks: i16) -> Result<Appended, ProduceError> {
    let (partition, appended) = written?;
    if acks != 0 {
        partition.wait_durable(appended.last_offset).await?;
    }
    Ok(appended)
}

fn partition_response(index: i32, done: &Result<Appended, ProduceError>) -> PartitionProduceResponse {
    let response = PartitionProduceResponse::default().with_index(index);
    match done {
        Ok(appended) => response
            .with_base_offset(appended.base_offset)
            .with_log_append_time_ms(appended.log_append_time)
            .with_log_start_offset(appended.log_start_offset),
        Err(error) => response
            .with_error_code(error.code().code())
            .with_base_offset(-1)
            .with_record_errors(record_errors(error))
            .with_error_message(Some(text(error.to_string()))),
    }
}

/// Which record is to blame (KIP-467).
fn record_errors(error: &ProduceError) -> Vec<BatchIndexAndErrorMessage> {
    let index = match error {
        ProduceError::Append(AppendError::Batch(BatchError::Record { index, .. } | BatchError::NullKey { index })) => {
            *index
        }
        _ => return Vec::new(),
    };
    let Ok(index) = i32::try_from(index) else {
        return Vec::new();
    };
    vec![
        BatchIndexAndErrorMessage::default()
            .with_batch_index(index)
            .with_batch_index_error_message(Some(text(error.to_string()))),
    ]
}

/// The answer to versions 0–2: UNSUPPORTED_VERSION for every partition, in their own shape, which the library no longer
/// knows. Reads no more than the names and numbers it repeats.
pub(super) fn unsupported(request: &Request) -> Outcome {
    match unsupported_body(request) {
        Some(body) => Outcome::Send(body.into()),
        None => Outcome::Close("a malformed Produce of an old version".to_owned()),
    }
}

fn unsupported_body(request: &Request) -> Option<Bytes> {
    let mut body = request.body.clone();
    let mut out = BytesMut::new();
    out.put_i32(request.correlation_id);
    body.try_get_i16().ok()?; // acks
    body.try_get_i32().ok()?; // timeout
    let topics = body.try_get_i32().ok()?;
    out.put_i32(topics);
    for _ in 0..topics {
        let length = body.try_get_i16().ok()?;
        let name = take(&mut body, usize::try_from(length).ok()?)?;
        out.put_i16(length);
        out.put_slice(&name);
        let partitions = body.try_get_i32().ok()?;
        out.put_i32(partitions);
        for _ in 0..partitions {
            let index = body.try_get_i32().ok()?;
            let size = body.try_get_i32().ok()?;
            take(&mut body, usize::try_from(size).ok()?)?;
            out.put_i32(index);
            out.put_i16(Code::UnsupportedVersion.code());
            out.put_i64(-1); // base offset
            if request.api_version == 2 {
                out.put_i64(-1); // log append time
            }
        }
    }
    if request.api_version > 0 {
        out.put_i32(0); // throttle time
    }
    Some(out.freeze())
}

fn take(body: &mut Bytes, length: usize) -> Option<Bytes> {
    (length <= body.len()).then(|| body.split_to(length))
}
