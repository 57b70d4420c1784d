//! Everything the handlers share.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use weft_model::principal::Principal;
use weft_wire::env::Env;
use weft_wire::server::Connection;

use crate::authorizer::{Action, Authorizer, Resource};
use crate::config::Options;
use crate::group::Groups;
use crate::producer_ids::ProducerIds;
use crate::store::Store;
use crate::topics::Topics;
use crate::txn::Transactions;

/// The broker: one node, the whole cluster.
pub(crate) struct Broker {
    pub(crate) options: Options,
    pub(crate) env: Env,
    pub(crate) cluster_id: String,
    pub(crate) store: Arc<Store>,
    pub(crate) topics: Arc<Topics>,
    pub(crate) groups: Arc<Groups>,
    pub(crate) transactions: Arc<Transactions>,
    pub(crate) producer_ids: Arc<ProducerIds>,
    pub(crate) authorizer: Arc<dyn Authorizer>,
    /// What is spoken at the listener for clients, as Kafka names it.
    pub(crate) protocol: &'static str,
    /// Cancelled when the log shuts down: parked fetches answer what they have.
    pub(crate) stopping: CancellationToken,
}

/// One request's surroundings.
#[derive(Clone)]
pub(crate) struct Ctx {
    pub(crate) broker: Arc<Broker>,
    pub(crate) connection: Arc<Connection>,
    pub(crate) principal: Principal,
    /// Where clients of this listener are told to connect.
    pub(crate) advertised: (String, u16),
    pub(crate) client_id: String,
    pub(crate) version: i16,
}

impl Ctx {
    /// May the caller do this?
    pub(crate) fn may(&self, resource: Resource<'_>, action: Action) -> bool {
        self.broker.authorizer.allows(&self.principal, resource, action)
    }

    /// Bits of the actions the caller may do, as `authorized_operations` wants them.
    pub(crate) fn operations(&self, resource: Resource<'_>) -> i32 {
        let actions: &[Action] = match resource {
            Resource::Cluster => {
                &[Action::Create, Action::Alter, Action::Describe, Action::DescribeConfigs, Action::AlterConfigs]
            }
            Resource::Topic(_) => &[
                Action::Read,
                Action::Write,
                Action::Create,
                Action::Delete,
                Action::Alter,
                Action::Describe,
                Action::DescribeConfigs,
                Action::AlterConfigs,
            ],
            Resource::Group(_) => &[Action::Read, Action::Delete, Action::Describe],
            Resource::TransactionalId(_) => &[Action::Write, Action::Describe],
        };
        let allowed = actions.iter().filter(|a| self.may(resource, **a));
        allowed.fold(0, |bits, action| bits | 1 << action.code())
    }
}
