//! Fetch (key 1), versions 4–18: whole batches as they lie on disk.
//!
//! A fetch with too little to read is parked and woken by the partitions it reads; it never polls. Replica fields, rack
//! and incremental sessions (KIP-227) are not used: every answer is a full one, with session id 0.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{FutureExt, select_all};
use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchableTopicResponse, PartitionData,
};
use kafka_protocol::messages::{FetchRequest, FetchResponse, ProducerId};
use tokio::sync::watch;
use weft_wire::request::Request;
use weft_wire::server::Outcome;

use super::decode;
use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;
use crate::error::Coded;
use crate::store::{FetchError, Isolation, Offline, Offsets, Partition};
use crate::topics::Topic;

/// A partition asked for: what to read, or the code to answer.
struct Wanted<'a> {
    asked: &'a FetchPartition,
    partition: Result<Arc<Partition>, Code>,
}

pub(super) async fn answer(ctx: Ctx, request: Request) -> Outcome {
    let (decoded, request) = match decode(request) {
        Ok(decoded) => decoded,
        Err(outcome) => return outcome,
    };
    match request.respond_fetch(handle(ctx, decoded).await) {
        Ok(parts) => Outcome::Send(parts),
        Err(error) => Outcome::Close(error.to_string()),
    }
}

async fn handle(ctx: Ctx, request: FetchRequest) -> FetchResponse {
    if request.session_id != 0 {
        // We never gave one out: the client comes back with a full fetch.
        return FetchResponse::default().with_error_code(Code::FetchSessionIdNotFound.code());
    }
    let isolation = match request.isolation_level {
        0 => Isolation::ReadUncommitted,
        _ => Isolation::ReadCommitted,
    };
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    let deadline = ctx.broker.env.clock.now() + wait.min(ctx.broker.options.fetch_wait_max);
    let wanted: Vec<(&FetchTopic, Vec<Wanted<'_>>)> =
        request.topics.iter().map(|topic| (topic, resolve(&ctx, topic))).collect();
    let partitions = || {
        let parts = wanted.iter().flat_map(|(_, parts)| parts.iter());
        parts.filter_map(|w| Some((w.asked, w.partition.as_ref().ok()?)))
    };
    let has_error = wanted.iter().flat_map(|(_, parts)| parts).any(|w| w.partition.is_err());
    let min_bytes = u64::try_from(request.min_bytes).unwrap_or(0);
    loop {
        // Subscribe, then check, then sleep: what changes after the check wakes us.
        let mut changes: Vec<_> = partitions().map(|(_, p)| p.changed()).collect();
        let ready = has_error
            || changes.is_empty()
            || is_enough(partitions(), isolation, min_bytes)
            || ctx.broker.env.clock.now() >= deadline
            || ctx.broker.stopping.is_cancelled();
        if ready {
            break;
        }
        tokio::select! {
            biased;
            () = any_change(&mut changes) => {}
            () = ctx.broker.stopping.cancelled() => {}
            () = ctx.broker.env.clock.sleep_until(deadline) => {}
        }
    }
    read(&ctx, &request, &wanted, isolation)
}

async fn any_change(changes: &mut [watch::Receiver<Offsets>]) {
    if let [only] = changes {
        // A sender that is gone is a deleted topic: a change as well.
        let _ = only.changed().await;
        return;
    }
    let all = changes.iter_mut().map(|c| c.changed().boxed());
    let _ = select_all(all).await;
}

fn resolve<'a>(ctx: &Ctx, topic: &'a FetchTopic) -> Vec<Wanted<'a>> {
    let found = find(ctx, topic);
    let partition = |asked: &FetchPartition| -> Result<Arc<Partition>, Code> {
        let topic = found.as_ref().map_err(|code| *code)?;
        let partition = topic.partition(asked.partition);
        let partition = partition.ok_or(Code::UnknownTopicOrPartition)?;
        check_epoch(partition, asked.current_leader_epoch)?;
        Ok(partition.clone())
    };
    let wanted = |asked| Wanted { asked, partition: partition(asked) };
    topic.partitions.iter().map(wanted).collect()
}

fn find(ctx: &Ctx, topic: &FetchTopic) -> Result<Arc<Topic>, Code> {
    let found = if ctx.version >= 13 {
        ctx.broker.topics.get_by_id(topic.topic_id).ok_or(Code::UnknownTopicId)?
    } else {
        ctx.broker.topics.get(&topic.topic).ok_or(Code::UnknownTopicOrPartition)?
    };
    if !ctx.may(Resource::Topic(&found.name), Action::Read) {
        return Err(Code::TopicAuthorizationFailed);
    }
    Ok(found)
}

/// Does the client know the leader epoch we are at (KIP-320)? -1: it does not say.
pub(super) fn check_epoch(partition: &Partition, client_epoch: i32) -> Result<(), Code> {
    let ours = partition.leader_epoch();
    match client_epoch {
        epoch if epoch < 0 || epoch == ours => Ok(()),
        epoch if epoch < ours => Err(Code::FencedLeaderEpoch),
        _ => Err(Code::UnknownLeaderEpoch),
    }
}

/// Is there enough to read, or anything a client should hear at once?
fn is_enough<'a>(
    partitions: impl Iterator<Item = (&'a FetchPartition, &'a Arc<Partition>)>,
    isolation: Isolation,
    min_bytes: u64,
) -> bool {
    let mut available = 0;
    for (asked, partition) in partitions {
        let offsets = partition.offsets();
        let in_range = (offsets.log_start_offset..=offsets.high_watermark).contains(&asked.fetch_offset);
        if !in_range || offsets.offline.is_some() || diverges(asked, partition).is_some() {
            return true;
        }
        let most = u64::try_from(asked.partition_max_bytes).unwrap_or(0).max(1);
        available += partition.available_bytes(asked.fetch_offset, isolation).min(most);
    }
    available >= min_bytes
}

/// The client's last epoch ended before the offset it asks for: its log is not ours from there on.
fn diverges(asked: &FetchPartition, partition: &Partition) -> Option<EpochEndOffset> {
    if asked.last_fetched_epoch < 0 {
        return None;
    }
    let (epoch, end_offset) = partition.epoch_end_offset(asked.last_fetched_epoch)?;
    let same = epoch == asked.last_fetched_epoch && end_offset >= asked.fetch_offset;
    (!same).then(|| EpochEndOffset::default().with_epoch(epoch).with_end_offset(end_offset))
}

fn read(
    ctx: &Ctx,
    request: &FetchRequest,
    wanted: &[(&FetchTopic, Vec<Wanted<'_>>)],
    isolation: Isolation,
) -> FetchResponse {
    let asked = usize::try_from(request.max_bytes).unwrap_or(0);
    let mut left = asked.min(ctx.broker.options.fetch_bytes_max as usize);
    let mut any_read = false;
    let mut responses = Vec::with_capacity(wanted.len());
    for (topic, parts) in wanted {
        let mut partitions = Vec::with_capacity(parts.len());
        for want in parts {
            let data = match &want.partition {
                Ok(partition) => {
                    let most = usize::try_from(want.asked.partition_max_bytes).unwrap_or(0);
                    read_partition(ctx, want.asked, partition, most.min(left), any_read, isolation)
                }
                Err(code) => refused(want.asked, *code),
            };
            let size = data.records.as_ref().map_or(0, Bytes::len);
            left = left.saturating_sub(size);
            any_read |= size > 0;
            partitions.push(data);
        }
        let mut response = FetchableTopicResponse::default().with_partitions(partitions);
        if ctx.version >= 13 {
            response.topic_id = topic.topic_id;
        } else {
            response.topic = topic.topic.clone();
        }
        responses.push(response);
    }
    FetchResponse::default().with_responses(responses)
}

fn read_partition(
    ctx: &Ctx,
    asked: &FetchPartition,
    partition: &Partition,
    max_bytes: usize,
    any_read: bool,
    isolation: Isolation,
) -> PartitionData {
    if let Some(diverging) = diverges(asked, partition) {
        let offsets = partition.offsets();
        return PartitionData::default()
            .with_partition_index(asked.partition)
            .with_high_watermark(offsets.high_watermark)
            .with_last_stable_offset(offsets.last_stable_offset)
            .with_log_start_offset(offsets.log_start_offset)
            .with_diverging_epoch(diverging)
            .with_records(Some(Bytes::new()));
    }
    let fetched = match partition.fetch(asked.fetch_offset, max_bytes, isolation) {
        Ok(fetched) => fetched,
        Err(error) => {
            let code = match error {
                FetchError::Offline(Offline::Deleted) if ctx.version >= 13 => Code::UnknownTopicId,
                other => other.code(),
            };
            return refused(asked, code);
        }
    };
    let aborted = (isolation == Isolation::ReadCommitted).then(|| {
        let aborted = fetched.aborted.iter().map(|a| {
            AbortedTransaction::default().with_producer_id(ProducerId(a.producer_id)).with_first_offset(a.first_offset)
        });
        aborted.collect()
    });
    // One whole batch is given even above the limits, but only as the first thing of an answer (KIP-74).
    let fits = fetched.records.len() <= max_bytes || !any_read;
    let records = if fits { fetched.records } else { Bytes::new() };
    PartitionData::default()
        .with_partition_index(asked.partition)
        .with_high_watermark(fetched.high_watermark)
        .with_last_stable_offset(fetched.last_stable_offset)
        .with_log_start_offset(fetched.log_start_offset)
        .with_aborted_transactions(aborted)
        .with_records(Some(records))
}

fn refused(asked: &FetchPartition, code: Code) -> PartitionData {
    PartitionData::default()
        .with_partition_index(asked.partition)
        .with_error_code(code.code())
        .with_high_watermark(-1)
        .with_records(Some(Bytes::new()))
}
