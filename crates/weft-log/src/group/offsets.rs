//! Committed offsets, pending ones of open transactions, and when they go.

use std::collections::{BTreeMap, HashSet};

use tracing::warn;

use super::core::Group;
use super::words::{MemberRef, State};
use super::{Groups, Puts, TopicPartition};
use crate::error::GroupError;
use crate::records::{Key, OffsetRecord, Record};
use crate::store::MetaPosition;

/// One answer per offset, and the position to wait for before giving them; or why none was looked at.
pub(crate) type Committed = Result<(Vec<Result<(), GroupError>>, Option<MetaPosition>), GroupError>;

/// A committed offset, or why there is none to give.
pub(crate) type FetchedOffset = Result<Option<OffsetRecord>, GroupError>;

impl Groups {
    /// OffsetCommit: one answer per offset, and a position to wait for before giving it.
    pub(crate) fn commit(
        &self,
        group: &str,
        member: &MemberRef,
        offsets: Vec<(TopicPartition, OffsetRecord)>,
    ) -> Committed {
        let founds = member.generation < 0;
        let committed = self.with(group, founds, |state| {
            state.core.check_commit(self.now(), member, false)?;
            self.reschedule(group, state);
            let record = |(topic, partition): &TopicPartition, offset: &OffsetRecord| {
                Record::Offset(group.to_owned(), topic.clone(), *partition, offset.clone())
            };
            self.put_offsets(offsets, record, &mut state.offsets)
        })?;
        // A generation of a group that is not there, as Kafka answers it.
        committed.unwrap_or(Err(GroupError::IllegalGeneration { current: 0 }))
    }

    /// TxnOffsetCommit: offsets stay pending until the transaction ends.
    pub(crate) fn commit_pending(
        &self,
        group: &str,
        member: &MemberRef,
        producer_id: i64,
        offsets: Vec<(TopicPartition, OffsetRecord)>,
    ) -> Committed {
        let committed = self.with(group, member.generation < 0, |state| {
            state.core.check_commit(self.now(), member, true)?;
            self.reschedule(group, state);
            let record = |(topic, partition): &TopicPartition, offset: &OffsetRecord| {
                Record::PendingOffset(producer_id, group.to_owned(), topic.clone(), *partition, offset.clone())
            };
            // Nothing is pending where nothing could be put.
            let mut pending = BTreeMap::new();
            let committed = self.put_offsets(offsets, record, &mut pending)?;
            state.pending.entry(producer_id).or_default().extend(pending);
            Ok(committed)
        })?;
        committed.unwrap_or(Err(GroupError::IllegalGeneration { current: 0 }))
    }

    /// Puts the offsets whose metadata is within bounds, and takes them over once they are put.
    fn put_offsets(
        &self,
        offsets: Vec<(TopicPartition, OffsetRecord)>,
        record: impl Fn(&TopicPartition, &OffsetRecord) -> Record,
        into: &mut BTreeMap<TopicPartition, OffsetRecord>,
    ) -> Committed {
        let answers: Vec<_> = offsets.iter().map(|(_, offset)| self.check_metadata(&offset.metadata)).collect();
        let accepted: Vec<_> =
            offsets.into_iter().zip(&answers).filter(|(_, answer)| answer.is_ok()).map(|(one, _)| one).collect();
        let position = self.put(accepted.iter().map(|(at, offset)| record(at, offset).put()).collect())?;
        into.extend(accepted);
        Ok((answers, position))
    }

    /// The records that end a transaction's offsets in one group; [`Groups::end_pending`] follows when they are put.
    pub(crate) fn pending_puts(&self, group: &str, producer_id: i64, commit: bool) -> Puts {
        let mut puts = Puts::new();
        self.locked(group, |state| {
            for ((topic, partition), offset) in state.pending.get(&producer_id).into_iter().flatten() {
                let pending = Key::PendingOffset {
                    producer_id,
                    group: group.to_owned(),
                    topic: topic.clone(),
                    partition: *partition,
                };
                puts.push((pending.encode(), None));
                if commit {
                    let (group, topic) = (group.to_owned(), topic.clone());
                    puts.push(Record::Offset(group, topic, *partition, offset.clone()).put());
                }
            }
        });
        puts
    }

    /// Pending offsets become committed, or vanish.
    pub(crate) fn end_pending(&self, group: &str, producer_id: i64, commit: bool) {
        self.locked(group, |state| {
            let pending = state.pending.remove(&producer_id).unwrap_or_default();
            if commit {
                state.offsets.extend(pending);
            }
        });
    }

    /// OffsetFetch: the partitions asked for, or all that have an offset.
    pub(crate) fn offsets(
        &self,
        group: &str,
        asked: Option<Vec<TopicPartition>>,
        require_stable: bool,
    ) -> Vec<(TopicPartition, FetchedOffset)> {
        let none = asked.clone().unwrap_or_default();
        let found = self.locked(group, |state| {
            let asked = asked.unwrap_or_else(|| {
                let pending = state.pending.values().flat_map(|p| p.keys());
                let pending = pending.filter(|_| require_stable);
                let all: HashSet<&TopicPartition> = state.offsets.keys().chain(pending).collect();
                let mut all: Vec<TopicPartition> = all.into_iter().cloned().collect();
                all.sort();
                all
            });
            let unstable = |at: &TopicPartition| require_stable && state.pending.values().any(|p| p.contains_key(at));
            asked
                .into_iter()
                .map(|at| {
                    let offset = if unstable(&at) {
                        Err(GroupError::UnstableOffset)
                    } else {
                        Ok(state.offsets.get(&at).cloned())
                    };
                    (at, offset)
                })
                .collect()
        });
        found.unwrap_or_else(|| none.into_iter().map(|at| (at, Ok(None))).collect())
    }

    /// OffsetDelete: one answer per partition. `subscribed` reads topics out of a member's metadata.
    pub(crate) fn delete_offsets(&self, group: &str, partitions: &[TopicPartition]) -> Committed {
        self.with(group, false, |state| {
            let is_live = state.core.state() != State::Empty;
            if is_live && state.core.protocol_type() != "consumer" {
                return Err(GroupError::NotEmpty);
            }
            let subscribed = if is_live { subscribed_topics(&state.core) } else { Some(HashSet::new()) };
            let mut puts = Puts::new();
            let mut answers = Vec::with_capacity(partitions.len());
            let mut deleted = Vec::new();
            for at in partitions {
                let is_read = subscribed.as_ref().is_none_or(|topics| topics.contains(&at.0));
                if is_read {
                    answers.push(Err(GroupError::SubscribedToTopic));
                    continue;
                }
                if state.offsets.contains_key(at) {
                    puts.push(offset_tombstone(group, at));
                    deleted.push(at);
                }
                answers.push(Ok(()));
            }
            let position = self.put(puts)?;
            for at in deleted {
                state.offsets.remove(at);
            }
            Ok((answers, position))
        })?
        .unwrap_or(Err(GroupError::NotFound))
    }

    /// Drops every offset of a deleted topic; the records belong into the same put as the topic's end.
    pub(crate) fn forget_topic(&self, topic: &str) -> Puts {
        let ids: Vec<String> = self.groups.lock().keys().cloned().collect();
        let mut puts = Puts::new();
        for id in ids {
            self.locked(&id, |state| {
                let of_topic = |at: &TopicPartition| at.0 == topic;
                let mine: Vec<_> = state.offsets.keys().filter(|at| of_topic(at)).collect();
                puts.extend(mine.iter().map(|at| offset_tombstone(&id, at)));
                state.offsets.retain(|at, _| !of_topic(at));
                for (producer_id, pending) in &mut state.pending {
                    for (topic, partition) in pending.keys().filter(|at| of_topic(at)) {
                        let key = Key::PendingOffset {
                            producer_id: *producer_id,
                            group: id.clone(),
                            topic: topic.clone(),
                            partition: *partition,
                        };
                        puts.push((key.encode(), None));
                    }
                    pending.retain(|at, _| !of_topic(at));
                }
            });
        }
        puts
    }

    /// Drops the offsets of groups that have been empty for too long.
    pub(crate) fn expire_offsets(&self) {
        let now = self.env.clock.wall_ms();
        let retention = i64::try_from(self.offsets_retention.as_millis()).unwrap_or(i64::MAX);
        let ids: Vec<String> = self.groups.lock().keys().cloned().collect();
        for id in ids {
            let expired = self.with(&id, false, |state| {
                let is_old = now.saturating_sub(state.empty_since) >= retention;
                let old = |o: &OffsetRecord| now.saturating_sub(o.committed_at) >= retention;
                let expired = is_old && state.offsets.values().all(old);
                if !state.core.is_vacant() || !state.pending.is_empty() {
                    return Ok(());
                }
                if !state.offsets.is_empty() && !expired {
                    return Ok(());
                }
                let mut puts = vec![(Key::Group(id.clone()).encode(), None)];
                puts.extend(state.offsets.keys().map(|at| offset_tombstone(&id, at)));
                self.put(puts)?;
                self.forget(&id, state);
                Ok::<(), GroupError>(())
            });
            if let Ok(Some(Err(error))) = expired {
                warn!(group = id, %error, "could not drop expired offsets");
            }
        }
    }

    fn check_metadata(&self, metadata: &str) -> Result<(), GroupError> {
        if metadata.len() > self.metadata_bytes_max {
            return Err(GroupError::MetadataTooLarge { size: metadata.len(), limit: self.metadata_bytes_max });
        }
        Ok(())
    }
}

pub(super) fn offset_tombstone(
    group: &str,
    (topic, partition): &TopicPartition,
) -> (bytes::Bytes, Option<bytes::Bytes>) {
    let key = Key::Offset { group: group.to_owned(), topic: topic.clone(), partition: *partition };
    (key.encode(), None)
}

/// Topics the members of a `consumer` group subscribe to; `None` if the metadata cannot be read.
fn subscribed_topics(group: &Group) -> Option<HashSet<String>> {
    let mut topics = HashSet::new();
    for member in group.members().values() {
        for protocol in &member.protocols {
            topics.extend(subscription(&protocol.metadata)?);
        }
    }
    Some(topics)
}

/// The topic list of a consumer subscription: version, then strings with 2-byte lengths. Source: KIP-429.
fn subscription(mut bytes: &[u8]) -> Option<Vec<String>> {
    fn take<'a>(bytes: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
        let (head, tail) = bytes.split_at_checked(n)?;
        *bytes = tail;
        Some(head)
    }
    take(&mut bytes, 2)?;
    let count = i32::from_be_bytes(take(&mut bytes, 4)?.try_into().ok()?);
    let mut topics = Vec::new();
    for _ in 0..count {
        let len = i16::from_be_bytes(take(&mut bytes, 2)?.try_into().ok()?);
        let name = take(&mut bytes, usize::try_from(len).ok()?)?;
        topics.push(String::from_utf8(name.to_vec()).ok()?);
    }
    Some(topics)
}
