//! What the pages about access ask, answered from the audit topic; and what they decide, written to it.

use std::sync::Arc;

use futures::future::BoxFuture;
use parking_lot::RwLock;
use weft_access::{Access, AccessError, Change, Hand, why};
use weft_model::kind::{Diagnostic, Diagnostics, Kind};
use weft_model::name::ClientName;
use weft_portal::{Answered, ClientSeen, Decision, Desk, KeysHere, RequestSeen};

use crate::access::Doorkeeper;
use crate::access_cmd::{client_name, find_port};
use crate::doors::Running;

/// The desk of a node with access on.
pub(crate) struct AccessDesk {
    pub(crate) doorkeeper: Arc<Doorkeeper>,
    pub(crate) running: Arc<RwLock<Running>>,
    /// The log in this process carries the mesh.
    pub(crate) is_own_log: bool,
}

impl AccessDesk {
    /// How keys are used here.
    pub(crate) fn keys_here(&self) -> KeysHere {
        let tls = self.doorkeeper.has_tls();
        KeysHere { http_tls: tls, own_log_tls: self.is_own_log.then_some(tls) }
    }

    fn access(&self) -> Answered<Access> {
        self.doorkeeper.access().ok_or_else(|| {
            let reason = "the node has not begun to read it".to_owned();
            worded(&AccessError::Kafka { doing: "reading the audit topic", reason })
        })
    }

    async fn record(&self, by: &str, change: Change) -> Answered<Option<u64>> {
        let recorded = self.access()?.record(&hand(by), change).await;
        recorded.map(|taken| taken.request).map_err(|error| worded(&error))
    }
}

fn hand(by: &str) -> Hand {
    Hand { by: by.to_owned(), via: "portal".to_owned() }
}

fn worded(error: &AccessError) -> Box<Diagnostic> {
    Box::new(error.diagnostic())
}

/// The first of several findings; there is always one.
fn first(findings: Diagnostics) -> Box<Diagnostic> {
    Box::new(findings.0.into_iter().next().expect("an error has a finding"))
}

impl Desk for AccessDesk {
    fn sign_in(&self, key: &str) -> Option<String> {
        self.doorkeeper.sign_in(key)
    }

    fn sign_out(&self, token: &str) {
        self.doorkeeper.sign_out(token);
    }

    fn clients(&self) -> Vec<ClientSeen> {
        let Some(access) = self.doorkeeper.access() else { return Vec::new() };
        let seen = |client: &weft_access::Client| ClientSeen {
            name: client.name.clone(),
            key_id: client.key.as_ref().map(|key| key.id.clone()),
            since: client.happened.first().map(|one| one.at.clone()).unwrap_or_default(),
        };
        access.state().clients().map(seen).collect()
    }

    fn requests(&self) -> Vec<RequestSeen> {
        let Some(access) = self.doorkeeper.access() else { return Vec::new() };
        let state = access.state();
        let seen = |request: &weft_access::Request| RequestSeen {
            number: request.number,
            client: request.client.clone(),
            port: request.port.clone(),
            purpose: request.happened.first().map(|one| one.text.clone()).unwrap_or_default(),
            standing: request.standing.word(),
            story: why::of_request(&state, request.number).unwrap_or_default(),
        };
        state.requests().iter().map(seen).collect()
    }

    fn create_client<'a>(&'a self, by: &'a str, name: &'a str) -> BoxFuture<'a, Answered<String>> {
        Box::pin(async move {
            let name = client_name(name).map_err(first)?;
            let made = self.access()?.create_client(&hand(by), name).await;
            made.map(|key| key.reveal().to_owned()).map_err(|error| worded(&error))
        })
    }

    fn rotate_key<'a>(&'a self, by: &'a str, client: &'a ClientName) -> BoxFuture<'a, Answered<String>> {
        Box::pin(async move {
            let made = self.access()?.rotate_key(&hand(by), client.clone()).await;
            made.map(|key| key.reveal().to_owned()).map_err(|error| worded(&error))
        })
    }

    fn request<'a>(
        &'a self,
        by: &'a str,
        client: &'a ClientName,
        port: &'a str,
        purpose: &'a str,
    ) -> BoxFuture<'a, Answered<u64>> {
        Box::pin(async move {
            let mesh = self.running.read().mesh.clone();
            let mesh = mesh.ok_or_else(|| {
                Box::new(Diagnostic {
                    kind: Kind::Unavailable,
                    code: "HTTP-017",
                    what: "the mesh is not known yet".to_owned(),
                    because: "the node has not read the desired state yet".to_owned(),
                    try_: "reload in a moment".to_owned(),
                    place: None,
                })
            })?;
            let found = find_port(&mesh, port).map_err(first)?;
            let (port, topic) = (found.id.clone(), found.topic.clone());
            let purpose = purpose.to_owned();
            let change = Change::Requested { client: client.clone(), port, topic, purpose };
            let number = self.record(by, change).await?;
            Ok(number.expect("a request that counts has a number"))
        })
    }

    fn decide<'a>(
        &'a self,
        by: &'a str,
        request: u64,
        decision: Decision,
        reason: &'a str,
    ) -> BoxFuture<'a, Answered<()>> {
        let reason = reason.to_owned();
        let change = match decision {
            Decision::Approve => Change::Approved { request, reason },
            Decision::Deny => Change::Denied { request, reason },
            Decision::Revoke => Change::Revoked { request, reason },
        };
        Box::pin(async move { self.record(by, change).await.map(drop) })
    }
}
