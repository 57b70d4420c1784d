//! DescribeLogDirs (key 35), versions 1–4: one folder, with what every partition takes of it.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};

use super::{text, topic_name};
use crate::authorizer::{Action, Resource};
use crate::broker::Ctx;

pub(super) async fn handle(ctx: Ctx, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse {
    if !ctx.may(Resource::Cluster, Action::Describe) {
        return DescribeLogDirsResponse::default().with_error_code(Code::ClusterAuthorizationFailed.code());
    }
    let asked: Option<BTreeMap<&str, &[i32]>> = request.topics.as_ref().map(|topics| {
        let topics = topics.iter();
        topics.map(|t| (t.topic.as_str(), t.partitions.as_slice())).collect()
    });
    let mut topics = Vec::new();
    for topic in ctx.broker.topics.all() {
        let wanted = match &asked {
            None => None,
            Some(asked) => match asked.get(topic.name.as_str()) {
                Some(partitions) => Some(*partitions),
                None => continue,
            },
        };
        let mut partitions = Vec::new();
        for partition in &topic.partitions {
            let index = i32::try_from(partition.index()).unwrap_or(i32::MAX);
            if wanted.is_none_or(|w| w.contains(&index)) {
                partitions.push(
                    DescribeLogDirsPartition::default()
                        .with_partition_index(index)
                        .with_partition_size(i64::try_from(partition.size_bytes()).unwrap_or(i64::MAX)),
                );
            }
        }
        topics.push(DescribeLogDirsTopic::default().with_name(topic_name(&topic.name)).with_partitions(partitions));
    }
    let dir = &ctx.broker.options.data_dir;
    let mut result = DescribeLogDirsResult::default().with_log_dir(text(dir.display().to_string())).with_topics(topics);
    if ctx.version >= 4
        && let Ok(free) = ctx.broker.env.disk.free_space(dir)
    {
        result.usable_bytes = i64::try_from(free).unwrap_or(i64::MAX);
    }
    DescribeLogDirsResponse::default().with_results(vec![result])
}
