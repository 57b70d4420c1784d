//! Who may do what: asked of others through one trait, for this log decides nothing about people itself.

use weft_model::principal::Principal;

/// What a request acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// The log as a whole.
    Cluster,
    /// A topic, by name.
    Topic(&'a str),
    /// A consumer group.
    Group(&'a str),
    /// A transactional id.
    TransactionalId(&'a str),
}

/// What a request does, in Kafka's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Fetch records; commit offsets; join a group.
    Read,
    /// Append records; use a transactional id.
    Write,
    /// Make a topic.
    Create,
    /// Delete a topic, records or a group.
    Delete,
    /// Change partitions.
    Alter,
    /// See that it exists.
    Describe,
    /// Read configs.
    DescribeConfigs,
    /// Change configs.
    AlterConfigs,
}

impl Action {
    /// Kafka's number, the bit in `authorized_operations`.
    pub fn code(self) -> u8 {
        match self {
            Action::Read => 3,
            Action::Write => 4,
            Action::Create => 5,
            Action::Delete => 6,
            Action::Alter => 7,
            Action::Describe => 8,
            Action::DescribeConfigs => 10,
            Action::AlterConfigs => 11,
        }
    }
}

/// Answers whether a principal may act. Asked on every request, so it must be quick and must not block.
pub trait Authorizer: Send + Sync + 'static {
    /// May `principal` do `action` to `resource`?
    fn allows(&self, principal: &Principal, resource: Resource<'_>, action: Action) -> bool;
}

/// Everyone may do everything: right on loopback, where whoever can connect could read the files too.
#[derive(Debug, Clone, Copy)]
pub struct AllowAll;

impl Authorizer for AllowAll {
    fn allows(&self, _principal: &Principal, _resource: Resource<'_>, _action: Action) -> bool {
        true
    }
}
