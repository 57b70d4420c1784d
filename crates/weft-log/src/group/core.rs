//! One classic consumer group as a state machine: no clock, no socket, no file.
//!
//! ```text
//!            join                 all joined, or deadline            leader syncs
//!   Empty ─────────▶ Preparing ───────────────────────▶ Completing ───────────────▶ Stable
//!     ▲                 ▲  ▲                                │                          │
//!     │                 │  └──────── join, leave, expiry ───┘                          │
//!     │                 └─────────────── join, leave, expiry ──────────────────────────┘
//!     └── the last member left or expired
//! ```
//!
//! Always: a member waits on at most one join and one sync; replies of one generation carry the same generation
//! number; a request that names an older generation or a replaced static member is refused and changes nothing.
//! Protocol bytes (`consumer`, `connect`, Kafka Streams) are opaque here. Source: KIP-62, 134, 345, 394, 559, 800, 814.

mod rebalance;

use std::collections::BTreeMap;

use bytes::Bytes;

use super::words::{
    Effect, Join, JoinRefused, Kept, KeptMember, Limits, MemberRef, Millis, Protocol, State, Sync, Ticket,
};
use crate::error::GroupError;

/// One member.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    /// `group.instance.id`, when static.
    pub(crate) instance_id: Option<String>,
    /// For people.
    pub(crate) client_id: String,
    /// For people.
    pub(crate) client_host: String,
    /// Silence after which it is dropped.
    pub(crate) session_timeout: Millis,
    /// How long a rebalance waits for it.
    pub(crate) rebalance_timeout: Millis,
    /// In order of preference.
    pub(crate) protocols: Vec<Protocol>,
    /// Its share of the current generation.
    pub(crate) assignment: Bytes,
    expires_at: Millis,
    joining: Option<Ticket>,
    syncing: Option<Ticket>,
}

impl Member {
    /// A member as it comes back from the meta log: alive for one more session.
    pub(crate) fn restored(now: Millis, kept: KeptMember) -> Self {
        Self {
            instance_id: kept.instance_id,
            client_id: kept.client_id,
            client_host: kept.client_host,
            session_timeout: kept.session_timeout,
            rebalance_timeout: kept.rebalance_timeout,
            protocols: kept.protocols,
            assignment: kept.assignment,
            expires_at: now + kept.session_timeout,
            joining: None,
            syncing: None,
        }
    }

    /// Metadata this member gave for `protocol`.
    pub(crate) fn metadata(&self, protocol: &str) -> Bytes {
        self.protocols.iter().find(|p| p.name == protocol).map_or_else(Bytes::new, |p| p.metadata.clone())
    }
}

/// The group. See the module for its picture.
#[derive(Debug)]
pub(crate) struct Group {
    limits: Limits,
    state: State,
    generation: i32,
    protocol_type: Option<String>,
    protocol: Option<String>,
    leader: Option<String>,
    members: BTreeMap<String, Member>,
    /// Ids handed out with MEMBER_ID_REQUIRED and not used yet → when they lapse.
    pending: BTreeMap<String, Millis>,
    /// When a rebalance stops waiting for joins (preparing) or syncs (completing).
    rebalance_ends_at: Option<Millis>,
    /// An empty group's first delay runs to its end even when all have joined.
    initial_delay: bool,
}

impl Group {
    /// A group nobody joined yet.
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Empty,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            pending: BTreeMap::new(),
            rebalance_ends_at: None,
            initial_delay: false,
        }
    }

    /// The group as it was kept: stable if it had members, and every member alive for one more session.
    pub(crate) fn restored(limits: Limits, now: Millis, kept: Kept) -> Self {
        let mut group = Self::new(limits);
        group.generation = kept.generation;
        group.protocol_type = Some(kept.protocol_type).filter(|t| !t.is_empty());
        if !kept.members.is_empty() {
            group.state = State::Stable;
            group.protocol = Some(kept.protocol);
            group.leader = Some(kept.leader);
            for member in kept.members {
                let id = member.member_id.clone();
                group.members.insert(id, Member::restored(now, member));
            }
        }
        group
    }

    /// What must survive a restart.
    pub(crate) fn kept(&self) -> Kept {
        Kept {
            generation: self.generation,
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol: self.protocol.clone().unwrap_or_default(),
            leader: self.leader.clone().unwrap_or_default(),
            members: self
                .members
                .iter()
                .map(|(id, m)| KeptMember {
                    member_id: id.clone(),
                    instance_id: m.instance_id.clone(),
                    client_id: m.client_id.clone(),
                    client_host: m.client_host.clone(),
                    session_timeout: m.session_timeout,
                    rebalance_timeout: m.rebalance_timeout,
                    protocols: m.protocols.clone(),
                    assignment: m.assignment.clone(),
                })
                .collect(),
        }
    }

    /// Where it stands.
    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// Nobody is in it, and nobody has been given an id to come in with.
    pub(crate) fn is_vacant(&self) -> bool {
        self.state == State::Empty && self.pending.is_empty()
    }

    /// `consumer`, `connect`, …, or empty.
    pub(crate) fn protocol_type(&self) -> &str {
        self.protocol_type.as_deref().unwrap_or_default()
    }

    /// The protocol of a stable group, or empty.
    pub(crate) fn protocol(&self) -> &str {
        self.protocol.as_deref().unwrap_or_default()
    }

    /// Members by id.
    pub(crate) fn members(&self) -> &BTreeMap<String, Member> {
        &self.members
    }

    /// When [`Group::tick`] has something to do, if ever.
    pub(crate) fn next_deadline(&self) -> Option<Millis> {
        let members =
            self.members.values().filter(|m| m.joining.is_none() && m.syncing.is_none()).map(|m| m.expires_at);
        members.chain(self.pending.values().copied()).chain(self.rebalance_ends_at).min()
    }

    /// JoinGroup: answered now, or parked until the rebalance ends.
    pub(crate) fn join(&mut self, now: Millis, join: Join, effects: &mut Vec<Effect>) {
        let ticket = join.ticket;
        if let Err(refused) = self.try_join(now, join, effects) {
            effects.push(Effect::Join(ticket, Err(refused)));
        }
    }

    fn try_join(&mut self, now: Millis, join: Join, effects: &mut Vec<Effect>) -> Result<(), JoinRefused> {
        let refuse = |error| JoinRefused { error, member_id: join.member_id.clone() };
        if join.protocols.is_empty() || join.protocol_type.is_empty() {
            return Err(refuse(GroupError::InconsistentProtocol));
        }
        if !self.members.is_empty() && !self.accepts(&join) {
            return Err(refuse(GroupError::InconsistentProtocol));
        }
        if join.member_id.is_empty() {
            return self.join_unknown(now, join, effects);
        }
        if self.pending.contains_key(&join.member_id) && join.instance_id.is_none() {
            self.pending.remove(&join.member_id);
            let id = join.member_id.clone();
            self.add_member(now, id, join);
            self.prepare_rebalance(now, effects);
            return Ok(());
        }
        self.check_identity(&join.member_id, join.instance_id.as_deref()).map_err(&refuse)?;
        self.rejoin(now, join, effects);
        Ok(())
    }

    fn join_unknown(&mut self, now: Millis, join: Join, effects: &mut Vec<Effect>) -> Result<(), JoinRefused> {
        let id = join.new_member_id.clone();
        if let Some(instance_id) = join.instance_id.clone()
            && let Some(old_id) = self.static_member(&instance_id)
        {
            self.replace_static(now, old_id, id, join, effects);
            return Ok(());
        }
        if self.members.len() + self.pending.len() >= self.limits.members_max {
            return Err(JoinRefused {
                error: GroupError::MaxSizeReached { limit: self.limits.members_max },
                member_id: join.member_id,
            });
        }
        if join.member_id_required && join.instance_id.is_none() {
            self.pending.insert(id.clone(), now + join.session_timeout);
            return Err(JoinRefused { error: GroupError::MemberIdRequired, member_id: id });
        }
        self.add_member(now, id, join);
        self.prepare_rebalance(now, effects);
        Ok(())
    }

    /// A member that is already in the group joins again.
    fn rejoin(&mut self, now: Millis, join: Join, effects: &mut Vec<Effect>) {
        let is_leader = self.leader.as_deref() == Some(join.member_id.as_str());
        let unchanged = self.members.get(&join.member_id).is_some_and(|m| m.protocols == join.protocols);
        let answer_now = match self.state {
            State::PreparingRebalance | State::Empty => false,
            // The answer to its join was lost: the same generation again.
            State::CompletingRebalance => unchanged,
            // A leader joins again to make a rebalance happen, a follower with the same metadata only to hear its place.
            State::Stable => unchanged && !is_leader,
        };
        let member_id = join.member_id.clone();
        self.update_member(now, join, effects);
        if answer_now {
            let ticket =
                self.members.get_mut(&member_id).and_then(|m| m.joining.take()).expect("update_member has just set it");
            effects.push(Effect::Join(ticket, Ok(self.joined(&member_id, false))));
        } else {
            self.prepare_rebalance(now, effects);
        }
    }

    /// A static member came back under its `group.instance.id`: it takes over the place of its old self.
    fn replace_static(&mut self, now: Millis, old_id: String, new_id: String, join: Join, effects: &mut Vec<Effect>) {
        let mut member = self.members.remove(&old_id).expect("static_member found it");
        if let Some(ticket) = member.joining.take() {
            let refused = JoinRefused { error: GroupError::FencedInstanceId, member_id: old_id.clone() };
            effects.push(Effect::Join(ticket, Err(refused)));
        }
        if let Some(ticket) = member.syncing.take() {
            effects.push(Effect::Sync(ticket, Err(GroupError::FencedInstanceId)));
        }
        let was_leader = self.leader.as_deref() == Some(old_id.as_str());
        if was_leader {
            self.leader = Some(new_id.clone());
        }
        let ticket = join.ticket;
        let can_skip = join.can_skip_assignment;
        self.members.insert(new_id.clone(), member);
        let join = Join { member_id: new_id.clone(), ..join };
        self.update_member(now, join, effects);
        let still_chosen = self.state == State::Stable && self.choose_protocol() == self.protocol;
        if !still_chosen {
            self.prepare_rebalance(now, effects);
            return;
        }
        if let Some(member) = self.members.get_mut(&new_id) {
            member.joining = None;
        }
        let mut joined = self.joined(&new_id, can_skip && was_leader);
        if was_leader && !can_skip {
            // An older client must not think that it leads, or it would assign anew without a rebalance.
            joined.leader = old_id;
            joined.members = Vec::new();
        }
        effects.push(Effect::Persist);
        effects.push(Effect::Join(ticket, Ok(joined)));
    }

    /// SyncGroup: answered now, or parked until the leader has assigned.
    pub(crate) fn sync(&mut self, now: Millis, sync: Sync, effects: &mut Vec<Effect>) {
        let ticket = sync.ticket;
        if let Err(error) = self.try_sync(now, sync, effects) {
            effects.push(Effect::Sync(ticket, Err(error)));
        }
    }

    fn try_sync(&mut self, now: Millis, sync: Sync, effects: &mut Vec<Effect>) -> Result<(), GroupError> {
        self.check_member(&sync.member)?;
        let type_differs = sync.protocol_type.is_some() && sync.protocol_type != self.protocol_type;
        let protocol_differs = sync.protocol.is_some() && sync.protocol != self.protocol;
        if type_differs || protocol_differs {
            return Err(GroupError::InconsistentProtocol);
        }
        let member_id = sync.member.member_id;
        match self.state {
            State::Empty => return Err(GroupError::UnknownMemberId),
            State::PreparingRebalance => return Err(GroupError::RebalanceInProgress),
            State::Stable => {
                self.touch(now, &member_id);
                let synced = self.synced(&member_id);
                effects.push(Effect::Sync(sync.ticket, Ok(synced)));
            }
            State::CompletingRebalance => {
                let member = self.members.get_mut(&member_id).ok_or(GroupError::UnknownMemberId)?;
                if let Some(older) = member.syncing.replace(sync.ticket) {
                    effects.push(Effect::Sync(older, Err(GroupError::RebalanceInProgress)));
                }
                if self.leader.as_deref() == Some(member_id.as_str()) {
                    self.assign(now, sync.assignments, effects);
                }
            }
        }
        Ok(())
    }

    fn assign(&mut self, now: Millis, assignments: Vec<(String, Bytes)>, effects: &mut Vec<Effect>) {
        let mut assignments: BTreeMap<String, Bytes> = assignments.into_iter().collect();
        for (id, member) in &mut self.members {
            member.assignment = assignments.remove(id).unwrap_or_default();
        }
        self.state = State::Stable;
        effects.push(Effect::Persist);
        // Who has not fetched its assignment yet is watched by its session.
        self.rebalance_ends_at = None;
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            let Some(member) = self.members.get_mut(&id) else {
                continue;
            };
            if let Some(ticket) = member.syncing.take() {
                member.expires_at = now + member.session_timeout;
                let synced = self.synced(&id);
                effects.push(Effect::Sync(ticket, Ok(synced)));
            }
        }
    }

    /// Heartbeat: the member lives on; the answer says whether it must join again.
    pub(crate) fn heartbeat(&mut self, now: Millis, member: &MemberRef) -> Result<(), GroupError> {
        self.check_member(member)?;
        match self.state {
            State::Empty => Err(GroupError::UnknownMemberId),
            State::PreparingRebalance => {
                self.touch(now, &member.member_id);
                Err(GroupError::RebalanceInProgress)
            }
            State::CompletingRebalance | State::Stable => {
                self.touch(now, &member.member_id);
                Ok(())
            }
        }
    }

    /// LeaveGroup of one member, by id or by instance id alone (an admin removing a static member).
    pub(crate) fn leave(
        &mut self,
        now: Millis,
        member_id: &str,
        instance_id: Option<&str>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), GroupError> {
        if let Some(instance_id) = instance_id {
            let current = self.static_member(instance_id).ok_or(GroupError::UnknownMemberId)?;
            if !member_id.is_empty() && member_id != current {
                return Err(GroupError::FencedInstanceId);
            }
            self.remove_member(now, &current, effects);
            return Ok(());
        }
        if self.pending.remove(member_id).is_some() {
            self.maybe_complete_join(now, effects);
            return Ok(());
        }
        if !self.members.contains_key(member_id) {
            return Err(GroupError::UnknownMemberId);
        }
        self.remove_member(now, member_id, effects);
        Ok(())
    }

    /// May this request commit offsets? Also a sign of life.
    pub(crate) fn check_commit(
        &mut self,
        now: Millis,
        member: &MemberRef,
        transactional: bool,
    ) -> Result<(), GroupError> {
        if member.generation < 0 && self.state == State::Empty {
            return Ok(());
        }
        let names_member = member.generation >= 0 || !member.member_id.is_empty() || member.instance_id.is_some();
        if names_member {
            self.check_member(member)?;
            self.touch(now, &member.member_id);
        } else if !transactional && self.state != State::Empty {
            return Err(GroupError::UnknownMemberId);
        }
        if !transactional && self.state == State::CompletingRebalance {
            return Err(GroupError::RebalanceInProgress);
        }
        Ok(())
    }

    /// Time has passed: drop who was silent, end what waited too long.
    pub(crate) fn tick(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        let lapsed = self.pending.len();
        self.pending.retain(|_, at| *at > now);
        if self.pending.len() != lapsed {
            self.maybe_complete_join(now, effects);
        }
        let silent: Vec<String> = self
            .members
            .iter()
            .filter(|(_, m)| m.expires_at <= now && m.joining.is_none() && m.syncing.is_none())
            .map(|(id, _)| id.clone())
            .collect();
        for id in silent {
            self.remove_member(now, &id, effects);
        }
        if self.rebalance_ends_at.is_none_or(|at| at > now) {
            return;
        }
        match self.state {
            State::PreparingRebalance => {
                self.initial_delay = false;
                self.complete_join(now, effects);
            }
            State::CompletingRebalance => {
                // The leader, or others, never came for the assignment: go on without them.
                self.rebalance_ends_at = None;
                let missing: Vec<String> =
                    self.members.iter().filter(|(_, m)| m.syncing.is_none()).map(|(id, _)| id.clone()).collect();
                for id in missing {
                    self.remove_member(now, &id, effects);
                }
            }
            State::Empty | State::Stable => self.rebalance_ends_at = None,
        }
    }

    fn accepts(&self, join: &Join) -> bool {
        if self.protocol_type.as_deref().is_some_and(|t| t != join.protocol_type) {
            return false;
        }
        join.protocols.iter().any(|offered| {
            self.members
                .iter()
                .filter(|(id, _)| **id != join.member_id)
                .all(|(_, m)| m.protocols.iter().any(|p| p.name == offered.name))
        })
    }

    fn static_member(&self, instance_id: &str) -> Option<String> {
        self.members.iter().find(|(_, m)| m.instance_id.as_deref() == Some(instance_id)).map(|(id, _)| id.clone())
    }

    fn check_identity(&self, member_id: &str, instance_id: Option<&str>) -> Result<(), GroupError> {
        if let Some(instance_id) = instance_id {
            let current = self.static_member(instance_id).ok_or(GroupError::UnknownMemberId)?;
            if current != member_id {
                return Err(GroupError::FencedInstanceId);
            }
        }
        if !self.members.contains_key(member_id) {
            return Err(GroupError::UnknownMemberId);
        }
        Ok(())
    }

    fn check_member(&self, member: &MemberRef) -> Result<(), GroupError> {
        self.check_identity(&member.member_id, member.instance_id.as_deref())?;
        if member.generation != self.generation {
            return Err(GroupError::IllegalGeneration { current: self.generation });
        }
        Ok(())
    }

    fn touch(&mut self, now: Millis, member_id: &str) {
        if let Some(member) = self.members.get_mut(member_id) {
            member.expires_at = now + member.session_timeout;
        }
    }
}
