//! OffsetFetch (key 9), versions 1–9. v7 added `require_stable`, v8 many groups in one request.

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{GroupId, OffsetFetchRequest, OffsetFetchResponse};

use super::{text, topic_name};
use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;
use crate::error::Coded;
use crate::group::TopicPartition;
use crate::group::offsets::FetchedOffset;

/// A topic's name, and what was found per partition.
type TopicOffsets = (String, Vec<(i32, FetchedOffset)>);

pub(super) async fn handle(ctx: Ctx, request: OffsetFetchRequest) -> OffsetFetchResponse {
    let stable = request.require_stable;
    if ctx.version < 8 {
        let asked = request.topics.as_ref().map(|topics| {
            let parts = topics.iter().map(|t| (t.name.as_str(), t.partition_indexes.as_slice()));
            flatten(parts)
        });
        return one_group(&ctx, request.group_id.as_str(), asked, stable);
    }
    let mut groups = Vec::with_capacity(request.groups.len());
    for group in &request.groups {
        let asked = group.topics.as_ref().map(|topics| {
            let parts = topics.iter().map(|t| (t.name.as_str(), t.partition_indexes.as_slice()));
            flatten(parts)
        });
        groups.push(of_group(&ctx, &group.group_id, asked, stable));
    }
    OffsetFetchResponse::default().with_groups(groups)
}

fn flatten<'a>(topics: impl Iterator<Item = (&'a str, &'a [i32])>) -> Vec<TopicPartition> {
    topics.flat_map(|(name, parts)| parts.iter().map(move |p| (name.to_owned(), *p))).collect()
}

fn look_up(
    ctx: &Ctx,
    group: &str,
    asked: Option<Vec<TopicPartition>>,
    stable: bool,
) -> Result<Vec<TopicOffsets>, Code> {
    if !ctx.may(Resource::Group(group), Action::Describe) {
        return Err(Code::GroupAuthorizationFailed);
    }
    let mut topics: Vec<TopicOffsets> = Vec::new();
    for ((topic, partition), offset) in ctx.broker.groups.offsets(group, asked, stable) {
        match topics.last_mut() {
            Some((last, parts)) if *last == topic => parts.push((partition, offset)),
            _ => topics.push((topic, vec![(partition, offset)])),
        }
    }
    Ok(topics)
}

fn one_group(ctx: &Ctx, group: &str, asked: Option<Vec<TopicPartition>>, stable: bool) -> OffsetFetchResponse {
    let topics = match look_up(ctx, group, asked, stable) {
        Ok(topics) => topics,
        Err(code) => return OffsetFetchResponse::default().with_error_code(code.code()),
    };
    let topics = topics.into_iter().map(|(name, parts)| {
        let partitions = parts.into_iter().map(|(index, offset)| {
            let response = OffsetFetchResponsePartition::default()
                .with_partition_index(index)
                .with_committed_offset(-1)
                .with_metadata(Some(text("")));
            match offset {
                Ok(Some(o)) => response
                    .with_committed_offset(o.offset)
                    .with_committed_leader_epoch(o.leader_epoch)
                    .with_metadata(Some(text(o.metadata))),
                Ok(None) => response,
                Err(error) => response.with_error_code(error.code().code()),
            }
        });
        OffsetFetchResponseTopic::default().with_name(topic_name(&name)).with_partitions(partitions.collect())
    });
    OffsetFetchResponse::default().with_topics(topics.collect())
}

fn of_group(ctx: &Ctx, group: &GroupId, asked: Option<Vec<TopicPartition>>, stable: bool) -> OffsetFetchResponseGroup {
    let response = OffsetFetchResponseGroup::default().with_group_id(group.clone());
    let topics = match look_up(ctx, group, asked, stable) {
        Ok(topics) => topics,
        Err(code) => return response.with_error_code(code.code()),
    };
    let topics = topics.into_iter().map(|(name, parts)| {
        let partitions = parts.into_iter().map(|(index, offset)| {
            let response = OffsetFetchResponsePartitions::default()
                .with_partition_index(index)
                .with_committed_offset(-1)
                .with_metadata(Some(text("")));
            match offset {
                Ok(Some(o)) => response
                    .with_committed_offset(o.offset)
                    .with_committed_leader_epoch(o.leader_epoch)
                    .with_metadata(Some(text(o.metadata))),
                Ok(None) => response,
                Err(error) => response.with_error_code(error.code().code()),
            }
        });
        OffsetFetchResponseTopics::default().with_name(topic_name(&name)).with_partitions(partitions.collect())
    });
    response.with_topics(topics.collect())
}
