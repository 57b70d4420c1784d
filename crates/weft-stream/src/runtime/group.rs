//! This node's place in the product's group: what it is given, what it lets go, and what it gives back.
//!
//! ```text
//!   revoke   commit, close tasks, keep their state on disk, then let the partitions go
//!   assign   whole?  yes: read committed offsets, bring state to them (`restore.rs`), open tasks, then fetch
//!                    no: leave, wait until the broker shows every topic, join again
//! ```
//! On several brokers a topic that was just created, or whose leader just died, is unknown to some of them for a moment.
//! Whoever shares out the partitions then leaves that topic out, and a static member that joins again is handed the same
//! shares without anybody thinking anew (KIP-345). Only leaving makes the group share out again.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::error::SessionError;
use super::kafka::{self, GroupConsumer, Rebalance};
use super::restore::Committed;
use super::session::{Context, POLL_TIME, Session, worrying};
use super::status::ProductState;

/// Longest wait for the group to take our partitions back.
const LEAVE: Duration = Duration::from_secs(2);
/// A session ends this much later than its timeout says, at most.
const GHOST: Duration = Duration::from_secs(2);
const GHOST_LOOK: Duration = Duration::from_millis(250);
/// Time to send the word.
const LEFT: Duration = Duration::from_millis(50);
/// First pause before joining again; doubles up to a second.
pub(super) const REJOIN: Duration = Duration::from_millis(50);
const REJOIN_MAX: Duration = Duration::from_secs(1);

/// Waits until the group has given us partitions, perhaps none.
pub(super) fn join(context: &Context, consumer: &GroupConsumer) -> Result<(), SessionError> {
    while consumer.context().rebalances.lock().is_empty() {
        if context.stop.load(Ordering::Relaxed) {
            return Err(SessionError::Stopped);
        }
        if let Some(Err(error)) = consumer.poll(POLL_TIME) {
            worrying(&error)?;
        }
    }
    Ok(())
}

/// Who a node is to the coordinator of transactions.
pub(super) fn transactional_id(group: &str, slot: &str) -> String {
    format!("{group}.{slot}")
}

/// Whoever fenced us is in the group under our name. Another node beats its heart; the ghost of a request that a broker
/// answered after we had given it up and sent it again does not, and the group forgets it when its session ends.
pub(super) fn another_is_there(context: &Context) -> bool {
    if !context.options.static_membership {
        return true;
    }
    let us = kafka::client_id(&context.options.slot);
    let timeout = Duration::from_millis(context.options.request_timeout_ms);
    let session = Duration::from_millis(u64::from(context.options.session_timeout_ms));
    let until = Instant::now() + session + GHOST;
    while Instant::now() < until && !context.stop.load(Ordering::Relaxed) {
        if let Ok(found) = context.admin.inner().fetch_group_list(Some(&context.group), timeout)
            && !found.groups().iter().flat_map(|group| group.members()).any(|member| member.client_id() == us)
        {
            return false;
        }
        std::thread::sleep(GHOST_LOOK);
    }
    true
}

/// Asks for a share of every partitioned input.
pub(super) fn subscribe(context: &Context, consumer: &GroupConsumer) -> Result<(), SessionError> {
    let topics: Vec<&str> = context.plan.partitioned.keys().map(String::as_str).collect();
    consumer.subscribe(&topics).map_err(|e| SessionError::of("subscribe", &e))
}

/// What is missing in an assignment that is not empty. Range assignment gives whoever has a partition of one topic the same
/// partition of every topic with as many, and partition 0 of all topics to one member.
pub(super) fn hole(partitioned: &BTreeMap<String, u32>, assigned: &HashSet<(String, u32)>) -> Option<String> {
    assigned.iter().find_map(|(of, partition)| {
        let count = partitioned.get(of)?;
        let alike = |(_, partitions): &(&String, &u32)| *partitions == count || *partition == 0;
        let missing = |(topic, _): &(&String, &u32)| !assigned.contains(&((*topic).clone(), *partition));
        let (topic, _) = partitioned.iter().filter(alike).find(missing)?;
        Some(format!(
            "partition {partition} of \"{of}\" is assigned here, that of \"{topic}\" is not: whoever shared them out did \
             not know of all topics"
        ))
    })
}

impl Session<'_> {
    /// A fenced producer means that another node has our slot, or only that the coordinator gave up on a transaction of
    /// ours. The group knows: another node's member under our name makes ours invalid at its next heartbeat.
    pub(crate) fn replaced(&self) -> bool {
        if !self.context.options.static_membership {
            return true;
        }
        let until = Instant::now() + Duration::from_millis(u64::from(self.context.options.session_timeout_ms) / 2);
        while Instant::now() < until && !self.context.stop.load(Ordering::Relaxed) {
            if self.consumer.client().fatal_error().is_some() {
                return true;
            }
            if let Some(Err(KafkaError::MessageConsumptionFatal(_))) = self.consumer.poll(POLL_TIME) {
                return true;
            }
        }
        false
    }

    /// Acts on what the group told since the last look.
    pub(super) fn rebalance(&mut self) -> Result<(), SessionError> {
        let noted = std::mem::take(&mut *self.consumer.context().rebalances.lock());
        for rebalance in noted {
            match rebalance {
                Rebalance::Revoke => {
                    if !self.consumer.assignment_lost() {
                        self.commit()?;
                    } else if self.producer.is_open() {
                        return Err(SessionError::StartOver("the group took our partitions away".to_owned()));
                    }
                    self.tasks.open.clear();
                    self.paused.clear();
                    self.consumer.unassign().map_err(|e| SessionError::of("unassign", &e))?;
                }
                Rebalance::Assign(partitions) => {
                    let assigned: HashSet<(String, u32)> = partitions.iter().cloned().collect();
                    match self.incomplete(&assigned) {
                        Some(why) => return self.rejoin(&why, !assigned.is_empty()),
                        None => self.assign(&assigned)?,
                    }
                }
                Rebalance::Failed(why) => return Err(SessionError::StartOver(format!("rebalance: {why}"))),
            }
        }
        Ok(())
    }

    fn assign(&mut self, assigned: &HashSet<(String, u32)>) -> Result<(), SessionError> {
        let plan = &self.context.plan;
        let timeout = Duration::from_millis(self.context.options.request_timeout_ms);
        self.context.counters.lock().state = ProductState::Restoring;
        self.fence_the_dead(timeout);
        let committed = Committed::read(&self.consumer, assigned, timeout)?;
        let (latest, cursor) = self.context.board.all(&plan.topics);
        self.cursor = cursor;
        self.tasks.open.clear();
        for id in plan.tasks(assigned) {
            let open = self.open(id, &committed)?;
            self.tasks.open.insert(id, open);
            self.tasks.progress(plan, &latest, Some(id))?;
            self.observe(id)?;
        }
        let mut list = TopicPartitionList::new();
        for (topic, partition) in assigned {
            let start = committed.start(topic, *partition);
            list.add_partition_offset(topic, partition.cast_signed(), start)
                .map_err(|e| SessionError::of("assign", &e))?;
        }
        self.consumer.assign(&list).map_err(|e| SessionError::of("assign", &e))?;
        if let Some(broadcast) = &self.broadcast {
            let mut list = TopicPartitionList::new();
            for (topic, partitions) in &plan.broadcast {
                for partition in 0..*partitions {
                    list.add_partition_offset(topic, partition.cast_signed(), Offset::Beginning)
                        .map_err(|e| SessionError::of("assign", &e))?;
                }
            }
            broadcast.assign(&list).map_err(|e| SessionError::of("assign", &e))?;
        }
        self.touched = true;
        self.rejoin = REJOIN;
        // Seen before the first commit, too: what has nothing to do may not commit for a long time.
        self.tasks.note_watermarks();
        let mut counters = self.context.counters.lock();
        counters.tasks = self.tasks.status();
        counters.state = ProductState::Running;
        Ok(())
    }

    /// A node that died may have left a transaction open, behind which nobody sees its partitions' offsets, nor what lies
    /// after it on its outputs. Whoever takes over ends it.
    fn fence_the_dead(&self, timeout: Duration) {
        let context = self.context;
        let others = (context.options.others.0)();
        if others.is_empty() {
            return;
        }
        let Ok(found) = self.consumer.client().fetch_group_list(Some(&context.group), timeout) else {
            // The broker's own timeout ends it, later.
            return;
        };
        let living: HashSet<String> = found
            .groups()
            .iter()
            .flat_map(|group| group.members())
            .map(|member| member.client_id().to_owned())
            .collect();
        let mut fenced = context.fenced.lock();
        for slot in others {
            if living.contains(&kafka::client_id(&slot)) {
                fenced.remove(&slot);
            } else if !fenced.contains(&slot) {
                let id = transactional_id(&context.group, &slot);
                match kafka::TransactionalProducer::fence(&context.options, &id) {
                    Ok(()) => {
                        tracing::info!(id, "ended what a node that is gone may have left open");
                        fenced.insert(slot);
                    }
                    Err(error) => tracing::debug!(%error, id, "fence"),
                }
            }
        }
    }

    /// Gives the partitions back in order, so that others have them at once: a static member does not leave by ending.
    pub(super) fn give_back(&mut self) {
        self.tasks.open.clear();
        let has_any = self.consumer.assignment().is_ok_and(|assigned| assigned.count() > 0);
        if let Err(error) = self.leave(has_any) {
            tracing::debug!(%error, "handing over");
        }
    }

    /// Leaves the group. What was assigned is revoked first, which is waited for.
    fn leave(&mut self, has_any: bool) -> Result<(), SessionError> {
        let failed = |e: KafkaError| SessionError::of("leave the group", &e);
        self.consumer.assign(&TopicPartitionList::new()).map_err(failed)?;
        self.consumer.unsubscribe();
        let until = Instant::now() + LEAVE;
        while has_any && Instant::now() < until {
            if let Some(Err(error)) = self.consumer.poll(POLL_TIME) {
                worrying(&error)?;
            }
            if !std::mem::take(&mut *self.consumer.context().rebalances.lock()).is_empty() {
                self.consumer.unassign().map_err(failed)?;
                break;
            }
        }
        // The word to leave goes out when the client next has time for it.
        self.consumer.poll(LEFT);
        Ok(())
    }

    /// Why an assignment cannot be all that is ours.
    fn incomplete(&self, assigned: &HashSet<(String, u32)>) -> Option<String> {
        if !assigned.is_empty() {
            return hole(&self.context.plan.partitioned, assigned);
        }
        // With more nodes than partitions some are given none; a group of one is given all there is.
        let timeout = Duration::from_millis(self.context.options.request_timeout_ms);
        let members = match self.consumer.client().fetch_group_list(Some(&self.context.group), timeout) {
            Ok(found) => found.groups().iter().map(|group| group.members().len()).sum(),
            Err(error) => {
                tracing::debug!(%error, group = %self.context.group, "members");
                1
            }
        };
        (members <= 1).then(|| "the group shared out no partition at all".to_owned())
    }

    /// Leaves the group, waits for the topics, and joins again.
    fn rejoin(&mut self, why: &str, has_any: bool) -> Result<(), SessionError> {
        let context = self.context;
        tracing::info!(group = %context.group, why, "joins the group again");
        context.counters.lock().state = ProductState::StartingOver { reason: why.to_owned() };
        self.tasks.open.clear();
        self.paused.clear();
        self.leave(has_any)?;
        std::thread::sleep(self.rejoin);
        self.rejoin = (self.rejoin * 2).min(REJOIN_MAX);
        let timeout = Duration::from_millis(context.options.request_timeout_ms);
        kafka::wait_for_topics(&self.consumer, &context.plan, timeout, &context.stop)?;
        subscribe(context, &self.consumer)
    }
}
