//! Who is in a group, and how a generation comes about.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Group, Member};
use crate::error::GroupError;
use crate::group::words::{Effect, Join, JoinRefused, Joined, Millis, State, Synced};

impl Group {
    pub(super) fn add_member(&mut self, now: Millis, id: String, join: Join) {
        self.protocol_type.get_or_insert_with(|| join.protocol_type.clone());
        if self.members.is_empty() {
            self.protocol_type = Some(join.protocol_type);
        }
        let member = Member {
            instance_id: join.instance_id,
            client_id: join.client_id,
            client_host: join.client_host,
            session_timeout: join.session_timeout,
            rebalance_timeout: join.rebalance_timeout,
            protocols: join.protocols,
            assignment: Bytes::new(),
            expires_at: now + join.session_timeout,
            joining: Some(join.ticket),
            syncing: None,
        };
        self.members.insert(id, member);
    }

    pub(super) fn update_member(&mut self, now: Millis, join: Join, effects: &mut Vec<Effect>) {
        let Some(member) = self.members.get_mut(&join.member_id) else {
            return;
        };
        member.protocols = join.protocols;
        member.session_timeout = join.session_timeout;
        member.rebalance_timeout = join.rebalance_timeout;
        member.client_id = join.client_id;
        member.client_host = join.client_host;
        member.expires_at = now + join.session_timeout;
        if let Some(older) = member.joining.replace(join.ticket) {
            let refused = JoinRefused { error: GroupError::UnknownMemberId, member_id: join.member_id };
            effects.push(Effect::Join(older, Err(refused)));
        }
    }

    pub(super) fn remove_member(&mut self, now: Millis, id: &str, effects: &mut Vec<Effect>) {
        let Some(mut member) = self.members.remove(id) else {
            return;
        };
        if let Some(ticket) = member.joining.take() {
            let refused = JoinRefused { error: GroupError::UnknownMemberId, member_id: id.to_owned() };
            effects.push(Effect::Join(ticket, Err(refused)));
        }
        if let Some(ticket) = member.syncing.take() {
            effects.push(Effect::Sync(ticket, Err(GroupError::UnknownMemberId)));
        }
        if self.leader.as_deref() == Some(id) {
            self.leader = None;
        }
        match self.state {
            State::Empty => {}
            State::PreparingRebalance => self.maybe_complete_join(now, effects),
            State::CompletingRebalance | State::Stable => self.prepare_rebalance(now, effects),
        }
    }

    pub(super) fn prepare_rebalance(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        let was_empty = self.state == State::Empty;
        if self.state == State::CompletingRebalance {
            for member in self.members.values_mut() {
                member.assignment = Bytes::new();
                if let Some(ticket) = member.syncing.take() {
                    member.expires_at = now + member.session_timeout;
                    effects.push(Effect::Sync(ticket, Err(GroupError::RebalanceInProgress)));
                }
            }
        }
        if self.state != State::PreparingRebalance {
            self.state = State::PreparingRebalance;
            let patience = self.members.values().map(|m| m.rebalance_timeout).max().unwrap_or(0);
            self.initial_delay = was_empty && self.limits.initial_rebalance_delay > 0;
            let wait = if self.initial_delay { self.limits.initial_rebalance_delay.min(patience) } else { patience };
            self.rebalance_ends_at = Some(now + wait);
        }
        self.maybe_complete_join(now, effects);
    }

    pub(super) fn maybe_complete_join(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        let all_joined = self.pending.is_empty() && self.members.values().all(|m| m.joining.is_some());
        if self.state == State::PreparingRebalance && all_joined && !self.initial_delay {
            self.complete_join(now, effects);
        }
    }

    pub(super) fn complete_join(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        // Who did not come back is out; a static member keeps its place until its session lapses.
        let leader_before = self.leader.take();
        self.members.retain(|_, m| m.joining.is_some() || m.instance_id.is_some());
        let nobody_joined = self.members.values().all(|m| m.joining.is_none());
        if nobody_joined && !self.members.is_empty() {
            // Only absent static members: wait for one of them, or for its session.
            self.leader = leader_before;
            let patience = self.members.values().map(|m| m.rebalance_timeout).max();
            self.rebalance_ends_at = Some(now + patience.unwrap_or(0).max(1));
            return;
        }
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        self.rebalance_ends_at = None;
        if self.members.is_empty() {
            self.state = State::Empty;
            self.protocol = None;
            effects.push(Effect::Persist);
            return;
        }
        self.leader =
            leader_before.filter(|id| self.members.get(id).is_some_and(|m| m.joining.is_some())).or_else(|| {
                let joined = self.members.iter().find(|(_, m)| m.joining.is_some());
                joined.map(|(id, _)| id.clone())
            });
        self.protocol = self.choose_protocol();
        self.state = State::CompletingRebalance;
        let patience = self.members.values().map(|m| m.rebalance_timeout).max();
        self.rebalance_ends_at = patience.map(|wait| now + wait);
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            let Some(member) = self.members.get_mut(&id) else {
                continue;
            };
            if let Some(ticket) = member.joining.take() {
                member.expires_at = now + member.session_timeout;
                let joined = self.joined(&id, false);
                effects.push(Effect::Join(ticket, Ok(joined)));
            }
        }
    }

    /// Every member votes for its first protocol that all support.
    pub(super) fn choose_protocol(&self) -> Option<String> {
        let supported_by_all = |name: &str| self.members.values().all(|m| m.protocols.iter().any(|p| p.name == name));
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        let mut order: Vec<&str> = Vec::new();
        for member in self.members.values() {
            let choice = member.protocols.iter().find(|p| supported_by_all(&p.name));
            if let Some(choice) = choice {
                *votes.entry(&choice.name).or_default() += 1;
                if !order.contains(&choice.name.as_str()) {
                    order.push(&choice.name);
                }
            }
        }
        let most = votes.values().max().copied()?;
        order.into_iter().find(|name| votes.get(name) == Some(&most)).map(str::to_owned)
    }

    pub(super) fn joined(&self, member_id: &str, skip_assignment: bool) -> Joined {
        let protocol = self.protocol.clone().unwrap_or_default();
        let leads = self.leader.as_deref() == Some(member_id);
        let members = if leads {
            self.members.iter().map(|(id, m)| (id.clone(), m.instance_id.clone(), m.metadata(&protocol))).collect()
        } else {
            Vec::new()
        };
        Joined {
            generation: self.generation,
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol,
            leader: self.leader.clone().unwrap_or_default(),
            member_id: member_id.to_owned(),
            skip_assignment,
            members,
        }
    }

    pub(super) fn synced(&self, member_id: &str) -> Synced {
        Synced {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol: self.protocol.clone().unwrap_or_default(),
            assignment: self.members.get(member_id).map_or_else(Bytes::new, |m| m.assignment.clone()),
        }
    }
}
