//! What goes into a group's state machine and comes out of it.

use bytes::Bytes;

use crate::error::GroupError;

/// Monotonic milliseconds; only differences mean anything.
pub(crate) type Millis = u64;

/// Names one parked request, so that the shell finds whom to answer.
pub(crate) type Ticket = u64;

/// Where a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// No members; offsets may be left.
    Empty,
    /// Waiting for members to join again.
    PreparingRebalance,
    /// Waiting for the leader's assignment.
    CompletingRebalance,
    /// Everyone has an assignment.
    Stable,
}

impl State {
    /// Kafka's name, as DescribeGroups and ListGroups show it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::PreparingRebalance => "PreparingRebalance",
            State::CompletingRebalance => "CompletingRebalance",
            State::Stable => "Stable",
        }
    }
}

/// Bounds every group keeps to.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Members one group may have.
    pub(crate) members_max: usize,
    /// How long an empty group waits for more members before its first generation.
    pub(crate) initial_rebalance_delay: Millis,
}

/// One way a member can take part: protocol name and its opaque metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Protocol {
    /// Such as `range` or `cooperative-sticky`.
    pub(crate) name: String,
    /// Opaque to us.
    pub(crate) metadata: Bytes,
}

/// What JoinGroup asks.
#[derive(Debug, Clone)]
pub(crate) struct Join {
    /// Whom to answer.
    pub(crate) ticket: Ticket,
    /// Empty for a member that has no id yet.
    pub(crate) member_id: String,
    /// The id to give it then.
    pub(crate) new_member_id: String,
    /// `group.instance.id` of a static member.
    pub(crate) instance_id: Option<String>,
    /// For people who describe the group.
    pub(crate) client_id: String,
    /// For people who describe the group.
    pub(crate) client_host: String,
    /// Silence after which the member is dropped.
    pub(crate) session_timeout: Millis,
    /// How long a rebalance waits for it.
    pub(crate) rebalance_timeout: Millis,
    /// `consumer`, `connect`, …
    pub(crate) protocol_type: String,
    /// In the member's order of preference.
    pub(crate) protocols: Vec<Protocol>,
    /// The client knows MEMBER_ID_REQUIRED (JoinGroup v4+).
    pub(crate) member_id_required: bool,
    /// The client knows `skip_assignment` (JoinGroup v9+).
    pub(crate) can_skip_assignment: bool,
}

/// A successful JoinGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Joined {
    /// The generation joined.
    pub(crate) generation: i32,
    /// Protocol type of the group.
    pub(crate) protocol_type: String,
    /// The protocol chosen.
    pub(crate) protocol: String,
    /// Who assigns.
    pub(crate) leader: String,
    /// The asker's id.
    pub(crate) member_id: String,
    /// The leader need not assign again (KIP-814).
    pub(crate) skip_assignment: bool,
    /// Everyone, for the leader only: id, instance id, metadata.
    pub(crate) members: Vec<(String, Option<String>, Bytes)>,
}

/// A refused JoinGroup; the id goes with MEMBER_ID_REQUIRED.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinRefused {
    /// Why.
    pub(crate) error: GroupError,
    /// The id the client should come back with, or the one it sent.
    pub(crate) member_id: String,
}

/// What SyncGroup asks.
#[derive(Debug, Clone)]
pub(crate) struct Sync {
    /// Whom to answer.
    pub(crate) ticket: Ticket,
    /// Who asks.
    pub(crate) member: MemberRef,
    /// Named by newer clients, checked when named.
    pub(crate) protocol_type: Option<String>,
    /// Named by newer clients, checked when named.
    pub(crate) protocol: Option<String>,
    /// From the leader: member id → assignment.
    pub(crate) assignments: Vec<(String, Bytes)>,
}

/// A successful SyncGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Synced {
    /// Protocol type of the group.
    pub(crate) protocol_type: String,
    /// The protocol chosen.
    pub(crate) protocol: String,
    /// The member's share; opaque.
    pub(crate) assignment: Bytes,
}

/// How a request names a member.
#[derive(Debug, Clone)]
pub(crate) struct MemberRef {
    /// Member id; may be empty.
    pub(crate) member_id: String,
    /// `group.instance.id`, when static.
    pub(crate) instance_id: Option<String>,
    /// Generation the member believes in.
    pub(crate) generation: i32,
}

/// What the shell must do after a step.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Answer a parked or new JoinGroup.
    Join(Ticket, Result<Joined, JoinRefused>),
    /// Answer a parked or new SyncGroup.
    Sync(Ticket, Result<Synced, GroupError>),
    /// The group as it now is must survive a restart.
    Persist,
}

/// What of a member survives a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptMember {
    /// Member id.
    pub(crate) member_id: String,
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
    /// Its share.
    pub(crate) assignment: Bytes,
}

/// What of a group survives a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Last generation.
    pub(crate) generation: i32,
    /// `consumer`, `connect`, …; empty when never joined.
    pub(crate) protocol_type: String,
    /// The protocol chosen.
    pub(crate) protocol: String,
    /// Who assigned.
    pub(crate) leader: String,
    /// Everyone, in order of member id.
    pub(crate) members: Vec<KeptMember>,
}
