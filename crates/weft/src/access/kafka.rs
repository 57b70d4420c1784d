//! What the log asks: who somebody is, and what they may do there.

use std::sync::Arc;

use futures::future::BoxFuture;
use weft_access::key::{KeyRecord, Scram};
use weft_log::authorizer::{Action, Authorizer, Resource};
use weft_log::keys::{Guard, Keys, ScramCredential, ScramHash};
use weft_model::name::ClientName;
use weft_model::principal::Principal;

use super::Doorkeeper;

impl Doorkeeper {
    /// For a log that lets in nobody else.
    pub(crate) fn guard(self: &Arc<Self>) -> Guard {
        Guard {
            clients: Arc::new(Clients(Arc::clone(self))),
            own: Arc::new(Own(Arc::clone(self))),
            authorizer: Arc::new(Rights(Arc::clone(self))),
            tls: self.kafka_tls.clone(),
        }
    }
}

/// Clients, by the audit topic.
struct Clients(Arc<Doorkeeper>);

impl Clients {
    fn key(&self, name: &str) -> Option<KeyRecord> {
        let name: ClientName = name.parse().ok()?;
        self.0.access()?.state().client(&name)?.key.clone()
    }
}

impl Keys for Clients {
    fn ready(&self) -> BoxFuture<'static, ()> {
        let mut access = self.0.access.subscribe();
        Box::pin(async move {
            let known = match access.wait_for(Option::is_some).await {
                Ok(access) => access.clone(),
                Err(_) => None,
            };
            // A topic that cannot be read lets nobody in: there are no clients then.
            if let Some(access) = known
                && let Err(error) = access.ready().await
            {
                tracing::error!(%error, "no client can log in");
            }
        })
    }

    fn scram(&self, name: &str, hash: ScramHash) -> Option<ScramCredential> {
        credential(&self.key(name)?, hash)
    }

    fn matches(&self, name: &str, key: &str) -> bool {
        self.key(name).is_some_and(|record| record.matches(key))
    }

    fn principal(&self, name: &str) -> Option<Principal> {
        self.key(name)?;
        name.parse().ok().map(Principal::Client)
    }

    fn shrinks(&self, name: &str) -> BoxFuture<'static, ()> {
        let Some((access, name)) = self.0.access().zip(name.parse::<ClientName>().ok()) else {
            return Box::pin(std::future::pending());
        };
        let shrinks = access.shrinks(&name);
        // Nobody has this name: its log-in fails by itself, in the time that every failure takes.
        if access.state().client(&name).is_none() {
            return Box::pin(std::future::pending());
        }
        Box::pin(shrinks.happened())
    }
}

/// The node itself and those who run it, by the node's own key.
struct Own(Arc<Doorkeeper>);

impl Keys for Own {
    fn ready(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }

    fn scram(&self, name: &str, hash: ScramHash) -> Option<ScramCredential> {
        self.principal(name)?;
        credential(self.0.own.record(), hash)
    }

    fn matches(&self, name: &str, key: &str) -> bool {
        self.principal(name).is_some() && self.0.own.matches(key)
    }

    fn principal(&self, name: &str) -> Option<Principal> {
        (name == Principal::Operator.to_string()).then_some(Principal::Operator)
    }

    fn shrinks(&self, _name: &str) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

fn credential(record: &KeyRecord, hash: ScramHash) -> Option<ScramCredential> {
    let hash = match hash {
        ScramHash::Sha256 => Scram::Sha256,
        ScramHash::Sha512 => Scram::Sha512,
    };
    let (salt, stored_key, server_key) = record.scram(hash)?;
    Some(ScramCredential { salt, iterations: record.iterations, stored_key, server_key })
}

/// Clients read what was granted to them, in groups of their own; the operator does everything.
struct Rights(Arc<Doorkeeper>);

impl Authorizer for Rights {
    fn allows(&self, principal: &Principal, resource: Resource<'_>, action: Action) -> bool {
        let client = match principal {
            Principal::Operator => return true,
            Principal::Anonymous => return false,
            Principal::Client(client) => client,
        };
        if !matches!(action, Action::Read | Action::Describe) {
            return false;
        }
        match resource {
            Resource::Topic(topic) => {
                self.0.access().is_some_and(|access| access.state().may_read_topic(client, topic))
            }
            Resource::Group(group) => is_group_of(client, group),
            Resource::Cluster | Resource::TransactionalId(_) => false,
        }
    }
}

/// Groups of client `app` are `app` and `app.…`: names of clients hold no dot, so no client's groups are another's.
fn is_group_of(client: &ClientName, group: &str) -> bool {
    let rest = group.strip_prefix(client.as_str());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_named_after_their_client() {
        let app: ClientName = "app".parse().unwrap();
        for group in ["app", "app.", "app.dashboard"] {
            assert!(is_group_of(&app, group), "{group}");
        }
        for group in ["", "ap", "app2", "app-2", "other.app", "App"] {
            assert!(!is_group_of(&app, group), "{group}");
        }
    }
}
