//! Consumer groups over time: every ten seconds who is there and how far, for the last ten minutes.
//!
//! How long a record has waited is measured by our own looks, not by its timestamp, which may be any time at all: the oldest
//! look that already saw an end beyond the commit says since when something waits.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::RwLock;
use weft_catalog::groups::Member;
use weft_catalog::{CatalogError, Connection, Group, Groups, Kept, Offsets};
use weft_model::product::Behaviour;
use weft_portal::{GroupPartition, GroupSeen, GroupsSeen, MemberSeen, Waits};

use crate::node::Node;

const INTERVAL: Duration = Duration::from_secs(10);
/// Groups looked at; a Kafka with more shows the first by name, and says so.
const GROUPS: usize = 1_000;
/// Partitions of one group that are looked at.
const PARTITIONS: usize = 20_000;
/// Looks kept: ten minutes.
const LOOKS: usize = 60;

/// The newest look.
pub(crate) type Seen = Arc<RwLock<Option<Arc<GroupsSeen>>>>;

/// Looks until the node is gone.
pub(crate) async fn run(node: Weak<Node>, connection: Connection, seen: Seen) {
    let clients = Groups::open(&connection).and_then(|groups| Ok((groups, Offsets::open(&connection)?)));
    let (groups, offsets) = match clients {
        Ok(clients) => clients,
        Err(error) => return tracing::error!(%error, "the portal sees no groups"),
    };
    let mut history = History::default();
    loop {
        let Some(ours) = node.upgrade().map(|node| written_by_us(&node)) else { return };
        let after = match look(&groups, &offsets, &connection).await {
            Ok((found, count, ends)) => {
                let at_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
                history.take(at_ms, &ends);
                let groups = found.into_iter().map(|group| history.group(at_ms, group, &ends, &ours)).collect();
                GroupsSeen { at_ms, count, groups, error: None }
            }
            Err(error) => {
                tracing::info!(%error, "no look at the groups");
                let before = seen.read().clone();
                let before = before.map_or_else(GroupsSeen::default, |before| GroupsSeen::clone(&before));
                GroupsSeen { error: Some(error.to_string()), ..before }
            }
        };
        *seen.write() = Some(Arc::new(after));
        tokio::time::sleep(INTERVAL).await;
    }
}

type Ends = BTreeMap<String, BTreeMap<u32, Kept>>;

/// Topics whose records all come in transactions of ours.
fn written_by_us(node: &Node) -> BTreeSet<String> {
    let mesh = node.running().read().mesh.clone();
    let products = mesh.iter().flat_map(|mesh| mesh.products.values());
    let ours = products.filter(|product| !matches!(product.behaviour, Behaviour::External));
    ours.flat_map(|product| product.outputs.iter().map(|port| port.topic.clone())).collect()
}

/// All groups, and the ends of every partition of every topic that one of them reads.
async fn look(
    groups: &Groups,
    offsets: &Offsets,
    connection: &Connection,
) -> Result<(Vec<Group>, usize, Ends), CatalogError> {
    let (found, count) = groups.all(GROUPS).await?;
    let read: BTreeSet<&String> = found.iter().flat_map(topics).collect();
    if read.is_empty() {
        return Ok((found, count, Ends::new()));
    }
    let known = weft_catalog::topics_of(connection).await?;
    let asked = read.into_iter().filter_map(|topic| Some((topic.clone(), *known.topics.get(topic)?))).collect();
    let ends = offsets.kept(asked).await?;
    Ok((found, count, ends))
}

fn topics(group: &Group) -> impl Iterator<Item = &String> {
    let assigned = group.members.iter().flat_map(|member| member.assigned.iter().map(|(topic, _)| topic));
    group.committed.keys().map(|(topic, _)| topic).chain(assigned)
}

/// Ends by partition as they moved, and lags by group.
#[derive(Default)]
struct History {
    /// When an end was first seen to be so. Only changes are kept, so that a still partition costs one entry.
    ends: BTreeMap<(String, u32), VecDeque<(i64, i64)>>,
    lags: BTreeMap<String, VecDeque<u64>>,
}

impl History {
    fn take(&mut self, at_ms: i64, ends: &Ends) {
        for (topic, partitions) in ends {
            for (partition, kept) in partitions {
                let seen = self.ends.entry((topic.clone(), *partition)).or_default();
                if seen.back().is_none_or(|(_, end)| *end != kept.end) {
                    seen.push_back((at_ms, kept.end));
                }
                if seen.len() > LOOKS {
                    seen.pop_front();
                }
            }
        }
        self.ends.retain(|(topic, partition), _| ends.get(topic).is_some_and(|known| known.contains_key(partition)));
    }

    /// Since when the record at `committed` has been there.
    fn waits(&self, at_ms: i64, topic: &str, partition: u32, committed: i64) -> Option<Waits> {
        let seen = self.ends.get(&(topic.to_owned(), partition))?;
        let (since, is_first) =
            seen.iter().enumerate().find_map(|(at, (when, end))| (*end > committed).then_some((*when, at == 0)))?;
        let ms = u64::try_from(at_ms - since).unwrap_or(0);
        Some(if is_first { Waits::Over(ms) } else { Waits::For(ms) })
    }

    fn group(&mut self, at_ms: i64, group: Group, ends: &Ends, ours: &BTreeSet<String>) -> GroupSeen {
        let read: BTreeSet<&String> = topics(&group).collect();
        let mut wanted: BTreeSet<(String, u32)> = group.committed.keys().cloned().collect();
        wanted.extend(group.members.iter().flat_map(|member| member.assigned.iter().cloned()));
        for topic in read {
            wanted.extend(ends.get(topic).into_iter().flatten().map(|(partition, _)| (topic.clone(), *partition)));
        }
        let mut partitions = Vec::with_capacity(wanted.len().min(PARTITIONS));
        for (topic, partition) in wanted.into_iter().take(PARTITIONS) {
            let committed = group.committed.get(&(topic.clone(), partition)).copied();
            let end = ends.get(&topic).and_then(|known| known.get(&partition)).map(|kept| kept.end);
            // A transaction ends in a marker that no reader is handed: who has read all has committed the offset before it.
            let is_at_marker = ours.contains(&topic) && committed.is_some() && end == committed.map(|at| at + 1);
            let end = if is_at_marker { committed } else { end };
            let behind = committed.filter(|committed| end.is_some_and(|end| end > *committed));
            let waits = behind.and_then(|committed| self.waits(at_ms, &topic, partition, committed));
            partitions.push(GroupPartition { topic, partition, committed, end, waits });
        }
        let trend = self.lags.entry(group.id.clone()).or_default();
        if partitions.iter().any(|one| one.lag().is_some()) {
            trend.push_back(partitions.iter().filter_map(GroupPartition::lag).sum());
        }
        if trend.len() > LOOKS {
            trend.pop_front();
        }
        GroupSeen {
            trend: trend.iter().copied().collect(),
            id: group.id,
            kind: group.kind,
            state: group.state,
            members: group.members.into_iter().map(|member| seen(member, &partitions)).collect(),
            partitions,
            error: group.error,
        }
    }
}

fn seen(member: Member, partitions: &[GroupPartition]) -> MemberSeen {
    let its = |one: &&GroupPartition| member.assigned.contains(&(one.topic.clone(), one.partition));
    let lag = partitions.iter().filter(its).filter_map(GroupPartition::lag).sum();
    MemberSeen { client_id: member.client_id, host: member.host, lag }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(end: i64) -> Ends {
        BTreeMap::from([(
            "t".to_owned(),
            BTreeMap::from([(0, Kept { start: 0, end }), (1, Kept { start: 0, end: 5 })]),
        )])
    }

    fn group(committed: i64) -> Group {
        Group { id: "g".to_owned(), committed: BTreeMap::from([(("t".to_owned(), 0), committed)]), ..Group::default() }
    }

    #[test]
    fn a_partition_without_a_commit_has_no_lag_and_not_the_lag_0() {
        let mut history = History::default();
        history.take(0, &ends(100));
        let seen = history.group(0, group(40), &ends(100), &BTreeSet::new());
        let lags: Vec<Option<u64>> = seen.partitions.iter().map(GroupPartition::lag).collect();
        assert_eq!(lags, [Some(60), None]);
        assert_eq!(seen.partitions[1].committed, None);
        assert_eq!(seen.trend, [60]);
    }

    #[test]
    fn time_behind_is_that_of_the_oldest_record_that_waits() {
        let mut history = History::default();
        for (at_ms, end) in [(0, 100), (10_000, 100), (20_000, 120), (30_000, 150)] {
            history.take(at_ms, &ends(end));
        }
        let waits = |history: &mut History, committed| {
            history.group(40_000, group(committed), &ends(150), &BTreeSet::new()).partitions[0].waits
        };
        assert_eq!(waits(&mut history, 99), Some(Waits::Over(40_000)), "there before the first look");
        assert_eq!(waits(&mut history, 100), Some(Waits::For(20_000)), "record 100 came between 10 s and 20 s");
        assert_eq!(waits(&mut history, 120), Some(Waits::For(10_000)));
        assert_eq!(waits(&mut history, 150), None, "nothing waits");
    }

    #[test]
    fn the_marker_of_our_own_transaction_is_no_record_that_waits() {
        let mut history = History::default();
        history.take(0, &ends(100));
        let lag = |history: &mut History, committed, ours: &[&str]| {
            let ours = ours.iter().map(|topic| (*topic).to_owned()).collect();
            history.group(0, group(committed), &ends(100), &ours).partitions[0].lag()
        };
        assert_eq!(lag(&mut history, 99, &["t"]), Some(0));
        assert_eq!(lag(&mut history, 98, &["t"]), Some(2), "a record and a marker");
        assert_eq!(lag(&mut history, 99, &[]), Some(1), "others may write without transactions");
    }
}
