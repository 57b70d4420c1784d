//! Consumer groups: the shell around [`core`] with parked requests, committed offsets and what of it is kept.

pub(crate) mod core;
pub(crate) mod offsets;
#[cfg(test)]
mod tests;
pub(crate) mod words;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tracing::warn;
use weft_wire::env::{Env, Moment};

use self::core::Group;
use self::offsets::offset_tombstone;
use self::words::{Effect, Join, JoinRefused, Joined, Kept, Limits, MemberRef, Millis, State, Sync, Synced, Ticket};
use crate::config::Options;
use crate::deadlines::Deadlines;
use crate::error::GroupError;
use crate::records::{Key, OffsetRecord, Record};
use crate::store::{MetaLog, MetaPosition};

/// A topic's name and a partition in it.
pub(crate) type TopicPartition = (String, i32);

/// Keys and values for one put of the meta log.
pub(crate) type Puts = Vec<(bytes::Bytes, Option<bytes::Bytes>)>;

/// What DescribeGroups shows.
pub(crate) struct Description {
    pub(crate) state: State,
    pub(crate) protocol_type: String,
    pub(crate) protocol: String,
    pub(crate) members: Vec<DescribedMember>,
}

/// A member of a [`Description`].
pub(crate) struct DescribedMember {
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) metadata: bytes::Bytes,
    pub(crate) assignment: bytes::Bytes,
}

struct GroupState {
    core: Group,
    joins: HashMap<Ticket, oneshot::Sender<Result<Joined, JoinRefused>>>,
    syncs: HashMap<Ticket, oneshot::Sender<Result<Synced, GroupError>>>,
    next_ticket: Ticket,
    offsets: BTreeMap<TopicPartition, OffsetRecord>,
    /// Producer id → offsets in its open transaction.
    pending: BTreeMap<i64, BTreeMap<TopicPartition, OffsetRecord>>,
    /// Wall clock when the last member left.
    empty_since: i64,
    scheduled: Option<Moment>,
    /// Taken out of the map: look again.
    gone: bool,
}

/// All groups.
pub(crate) struct Groups {
    env: Env,
    meta: Arc<MetaLog>,
    groups: Mutex<HashMap<String, Arc<Mutex<GroupState>>>>,
    deadlines: Deadlines,
    limits: Limits,
    groups_max: usize,
    session_timeout_min: Duration,
    session_timeout_max: Duration,
    metadata_bytes_max: usize,
    offsets_retention: Duration,
}

/// What of groups the meta log had at start.
#[derive(Default)]
pub(crate) struct KeptGroups {
    pub(crate) groups: Vec<(String, Kept)>,
    pub(crate) offsets: Vec<(String, TopicPartition, OffsetRecord)>,
    pub(crate) pending: Vec<(i64, String, TopicPartition, OffsetRecord)>,
}

impl Groups {
    pub(crate) fn open(env: Env, meta: Arc<MetaLog>, options: &Options, kept: KeptGroups) -> Self {
        let groups = Self {
            env,
            meta,
            groups: Mutex::new(HashMap::new()),
            deadlines: Deadlines::default(),
            limits: Limits {
                members_max: options.group_members_max,
                initial_rebalance_delay: millis(options.group_initial_rebalance_delay),
            },
            groups_max: options.groups_max,
            session_timeout_min: options.group_session_timeout_min,
            session_timeout_max: options.group_session_timeout_max,
            metadata_bytes_max: options.offset_metadata_bytes_max,
            offsets_retention: options.offsets_retention,
        };
        let now = groups.now();
        for (id, kept) in kept.groups {
            let core = Group::restored(groups.limits.clone(), now, kept);
            let state = groups.new_state(core);
            groups.groups.lock().insert(id.clone(), Arc::new(Mutex::new(state)));
            groups.locked(&id, |state| groups.reschedule(&id, state));
        }
        for (id, at, offset) in kept.offsets {
            groups.locked_or_new(&id, |state| state.offsets.insert(at, offset));
        }
        for (producer_id, id, at, offset) in kept.pending {
            groups.locked_or_new(&id, |state| state.pending.entry(producer_id).or_default().insert(at, offset));
        }
        groups
    }

    /// JoinGroup; `join.ticket` is given here. The answer may take as long as a rebalance does.
    pub(crate) async fn join(&self, group: &str, mut join: Join) -> Result<Joined, JoinRefused> {
        let member_id = join.member_id.clone();
        let refuse = |error| JoinRefused { error, member_id: member_id.clone() };
        if group.is_empty() {
            return Err(refuse(GroupError::InvalidGroupId));
        }
        let timeout = Duration::from_millis(join.session_timeout);
        if timeout < self.session_timeout_min || timeout > self.session_timeout_max {
            return Err(refuse(GroupError::InvalidSessionTimeout {
                timeout_ms: i32::try_from(join.session_timeout).unwrap_or(i32::MAX),
                min_ms: millis(self.session_timeout_min),
                max_ms: millis(self.session_timeout_max),
            }));
        }
        // Only a member without an id can found a group.
        let founds = join.member_id.is_empty();
        let (sender, receiver) = oneshot::channel();
        let joined = self.with(group, founds, |state| {
            join.ticket = state.ticket();
            state.joins.insert(join.ticket, sender);
            let mut effects = Vec::new();
            state.core.join(self.now(), join, &mut effects);
            self.act(group, state, effects);
        });
        match joined {
            Ok(Some(())) => {}
            Ok(None) => return Err(refuse(GroupError::UnknownMemberId)),
            Err(error) => return Err(refuse(error)),
        }
        receiver.await.unwrap_or_else(|_| Err(refuse(GroupError::UnknownMemberId)))
    }

    /// SyncGroup; `sync.ticket` is given here.
    pub(crate) async fn sync(&self, group: &str, mut sync: Sync) -> Result<Synced, GroupError> {
        let (sender, receiver) = oneshot::channel();
        self.with(group, false, |state| {
            sync.ticket = state.ticket();
            state.syncs.insert(sync.ticket, sender);
            let mut effects = Vec::new();
            state.core.sync(self.now(), sync, &mut effects);
            self.act(group, state, effects);
        })?
        .ok_or(GroupError::UnknownMemberId)?;
        receiver.await.unwrap_or(Err(GroupError::UnknownMemberId))
    }

    pub(crate) fn heartbeat(&self, group: &str, member: &MemberRef) -> Result<(), GroupError> {
        self.with(group, false, |state| {
            let answer = state.core.heartbeat(self.now(), member);
            self.reschedule(group, state);
            answer
        })?
        .unwrap_or(Err(GroupError::UnknownMemberId))
    }

    pub(crate) fn leave(&self, group: &str, member_id: &str, instance_id: Option<&str>) -> Result<(), GroupError> {
        self.with(group, false, |state| {
            let mut effects = Vec::new();
            let answer = state.core.leave(self.now(), member_id, instance_id, &mut effects);
            self.act(group, state, effects);
            answer
        })?
        .unwrap_or(Err(GroupError::UnknownMemberId))
    }

    /// The group as people see it, if it is there.
    pub(crate) fn describe(&self, group: &str) -> Option<Description> {
        self.locked(group, |state| {
            let core = &state.core;
            // The parts a member chose are shown once everyone has them.
            let stable = core.state() == State::Stable;
            Description {
                state: core.state(),
                protocol_type: core.protocol_type().to_owned(),
                protocol: if stable { core.protocol().to_owned() } else { String::new() },
                members: core
                    .members()
                    .iter()
                    .map(|(id, m)| DescribedMember {
                        member_id: id.clone(),
                        instance_id: m.instance_id.clone(),
                        client_id: m.client_id.clone(),
                        client_host: m.client_host.clone(),
                        metadata: if stable { m.metadata(core.protocol()) } else { bytes::Bytes::new() },
                        assignment: if stable { m.assignment.clone() } else { bytes::Bytes::new() },
                    })
                    .collect(),
            }
        })
    }

    /// Id, state and protocol type of every group, by id.
    pub(crate) fn list(&self) -> Vec<(String, State, String)> {
        let mut ids: Vec<String> = self.groups.lock().keys().cloned().collect();
        ids.sort();
        let mut list = Vec::with_capacity(ids.len());
        for id in ids {
            let group = self.locked(&id, |state| (state.core.state(), state.core.protocol_type().to_owned()));
            if let Some((state, protocol_type)) = group {
                list.push((id, state, protocol_type));
            }
        }
        list
    }

    /// DeleteGroups: offsets and all, if nobody is in it.
    pub(crate) fn delete(&self, group: &str) -> Result<Option<MetaPosition>, GroupError> {
        if group.is_empty() {
            return Err(GroupError::InvalidGroupId);
        }
        self.with(group, false, |state| {
            if state.core.state() != State::Empty {
                return Err(GroupError::NotEmpty);
            }
            if !state.pending.is_empty() {
                return Err(GroupError::UnstableOffset);
            }
            let mut puts = vec![(Key::Group(group.to_owned()).encode(), None)];
            puts.extend(state.offsets.keys().map(|at| offset_tombstone(group, at)));
            let position = self.put(puts)?;
            self.forget(group, state);
            Ok(position)
        })?
        .unwrap_or(Err(GroupError::NotFound))
    }

    /// Runs for ever: ends what waited too long.
    pub(crate) async fn run(&self) {
        loop {
            for id in self.deadlines.due(&self.env.clock).await {
                self.locked(&id, |state| {
                    state.scheduled = None;
                    let mut effects = Vec::new();
                    state.core.tick(self.now(), &mut effects);
                    self.act(&id, state, effects);
                });
            }
        }
    }

    fn now(&self) -> Millis {
        self.env.clock.now().0 / 1_000_000
    }

    fn put(&self, puts: Puts) -> Result<Option<MetaPosition>, GroupError> {
        if puts.is_empty() {
            return Ok(None);
        }
        self.meta.put(puts).map(Some).map_err(|error| {
            warn!(%error, "could not keep a group's records");
            GroupError::Storage
        })
    }

    fn new_state(&self, core: Group) -> GroupState {
        GroupState {
            core,
            joins: HashMap::new(),
            syncs: HashMap::new(),
            next_ticket: 0,
            offsets: BTreeMap::new(),
            pending: BTreeMap::new(),
            empty_since: self.env.clock.wall_ms(),
            scheduled: None,
            gone: false,
        }
    }

    /// Runs `f` on a group, made if it is not there and `create` is set; `None` when there is none.
    fn with<R>(&self, id: &str, create: bool, f: impl FnOnce(&mut GroupState) -> R) -> Result<Option<R>, GroupError> {
        loop {
            let group = {
                let mut groups = self.groups.lock();
                match groups.get(id) {
                    Some(group) => group.clone(),
                    None if !create => return Ok(None),
                    None if groups.len() >= self.groups_max => {
                        return Err(GroupError::MaxSizeReached { limit: self.groups_max });
                    }
                    None => {
                        let state = self.new_state(Group::new(self.limits.clone()));
                        let group = Arc::new(Mutex::new(state));
                        groups.insert(id.to_owned(), group.clone());
                        group
                    }
                }
            };
            let mut state = group.lock();
            if !state.gone {
                return Ok(Some(f(&mut state)));
            }
        }
    }

    fn locked<R>(&self, id: &str, f: impl FnOnce(&mut GroupState) -> R) -> Option<R> {
        self.with(id, false, f).ok().flatten()
    }

    fn locked_or_new<R>(&self, id: &str, f: impl FnOnce(&mut GroupState) -> R) {
        if self.with(id, true, f).is_err() {
            warn!(group = id, "more groups kept than groups_max allows; this one is left out");
        }
    }

    fn forget(&self, id: &str, state: &mut GroupState) {
        state.gone = true;
        self.groups.lock().remove(id);
    }

    fn act(&self, id: &str, state: &mut GroupState, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Join(ticket, answer) => {
                    if let Some(waiter) = state.joins.remove(&ticket) {
                        // The client may have gone; its session will end it.
                        let _ = waiter.send(answer);
                    }
                }
                Effect::Sync(ticket, answer) => {
                    if let Some(waiter) = state.syncs.remove(&ticket) {
                        let _ = waiter.send(answer);
                    }
                }
                Effect::Persist => {
                    if state.core.state() == State::Empty {
                        state.empty_since = self.env.clock.wall_ms();
                    }
                    let record = Record::Group(id.to_owned(), state.core.kept());
                    // Not waited for: if it is lost, members join again, and nothing else happens.
                    if let Err(error) = self.meta.put(vec![record.put()]) {
                        warn!(group = id, %error, "could not keep the group; its members will join again after a restart");
                    }
                }
            }
        }
        self.reschedule(id, state);
    }

    fn reschedule(&self, id: &str, state: &mut GroupState) {
        let Some(at) = state.core.next_deadline() else {
            return;
        };
        let at = Moment(at.saturating_mul(1_000_000));
        if state.scheduled.is_none_or(|scheduled| at < scheduled) {
            state.scheduled = Some(at);
            self.deadlines.schedule(at, id);
        }
    }
}

impl GroupState {
    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        self.next_ticket
    }
}

fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}
