//! Letting in: what the rooms ask about people, answered from the audit topic and from the node's own key.
//!
//! ```text
//!   weft-log: Keys, Authorizer ─┐                  ┌─ Access: clients, and what was granted to them
//!   weft-stream: MayRead ───────┼─► Doorkeeper ────┤
//!   weft-gateway: Gate ─────────┘                  └─ the node's own key: the operator
//! ```

mod gate;
mod kafka;
mod own_key;
mod sessions;
mod tls;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use weft_access::{Access, Key};
use weft_gateway::KafkaDoor;
use weft_model::access::AccessSettings;
use weft_model::kind::{Diagnostic, Diagnostics, Kind};
use weft_model::name::{MeshId, PortId};
use weft_model::principal::Principal;
use weft_stream::views::MayRead;

use crate::kafka::Kafka;

pub(crate) use own_key::read as read_own_key;
pub(crate) use tls::check as check_tls;

use own_key::OwnKey;
use sessions::Sessions;

/// Longest wait for the audit topic before a start is given up.
const AUDIT_WAIT: Duration = Duration::from_secs(30);

/// Answers who may come in. One per node that has access switched on.
pub(crate) struct Doorkeeper {
    own: OwnKey,
    http_tls: Option<Arc<rustls::ServerConfig>>,
    kafka_tls: Option<Arc<rustls::ServerConfig>>,
    /// Set when the Kafka that carries the audit topic is known.
    access: watch::Sender<Option<Access>>,
    sessions: Mutex<Sessions>,
}

impl Doorkeeper {
    /// As `weft.yaml` has it; `None`: access is off. Reads the certificate, and makes the node's key if it has none.
    pub(crate) fn open(
        settings: &AccessSettings,
        folder: &Path,
        data: &Path,
    ) -> Result<Option<Arc<Self>>, Diagnostics> {
        if !settings.enabled {
            return Ok(None);
        }
        let read = |protocols: &[&str]| settings.tls.as_ref().map(|files| tls::read(files, folder, protocols));
        let http_tls = read(&["http/1.1"]).transpose()?;
        let kafka_tls = read(&[]).transpose()?;
        let own = OwnKey::open(data)?;
        let (access, _) = watch::channel(None);
        Ok(Some(Arc::new(Self { own, http_tls, kafka_tls, access, sessions: Mutex::default() })))
    }

    /// May others than those on this machine come to its listeners?
    pub(crate) fn has_tls(&self) -> bool {
        self.http_tls.is_some()
    }

    /// How the node itself speaks to its own log at `bootstrap`.
    pub(crate) fn own_kafka(&self, bootstrap: String) -> Kafka {
        Kafka { client: self.own.properties(), ..Kafka::plain(bootstrap) }
    }

    /// How clients come in at the log's listener.
    pub(crate) fn door(&self, bootstrap: String) -> KafkaDoor {
        KafkaDoor { bootstrap, by_tls: self.kafka_tls.is_some(), sasl_mechanism: Some("SCRAM-SHA-512".to_owned()) }
    }

    /// Begins to follow the audit topic, and waits until all of it has been read. Leaves beside the key what commands need
    /// to come in by `kafka`.
    pub(crate) async fn follow(&self, kafka: &Kafka, mesh: &MeshId, is_own_log: bool) -> Result<(), Diagnostics> {
        let access = Access::follow(options(kafka, mesh));
        self.access.send_replace(Some(access.clone()));
        if is_own_log {
            self.own.leave_way_in(&kafka.bootstrap)?;
        }
        match tokio::time::timeout(AUDIT_WAIT, access.ready()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.diagnostic().into()),
            Err(_) => {
                let reason = access.trouble().map_or_else(|| "no answer".to_owned(), |error| error.to_string());
                let error = weft_access::AccessError::Kafka { doing: "following the audit topic", reason };
                Err(error.diagnostic().into())
            }
        }
    }

    /// Where the node's own key lies.
    pub(crate) fn own_key_file(&self) -> std::path::PathBuf {
        self.own.key_file()
    }

    /// The access as it is followed; `None` before the Kafka is known.
    pub(crate) fn access(&self) -> Option<Access> {
        self.access.borrow().clone()
    }

    /// Whose key this is.
    fn holder(&self, presented: &str) -> Option<Principal> {
        if self.own.matches(presented) {
            return Some(Principal::Operator);
        }
        let state = self.access()?.state();
        state.holder(presented).map(|client| Principal::Client(client.name.clone()))
    }

    /// A session of the portal for whoever shows this key.
    pub(crate) fn sign_in(&self, presented: &str) -> Option<String> {
        let principal = self.holder(presented.trim())?;
        let key = Key::parse(presented.trim())?;
        Some(self.sessions.lock().begin(principal, key.id()))
    }

    /// Ends a session.
    pub(crate) fn sign_out(&self, token: &str) {
        self.sessions.lock().end(token);
    }

    /// Whose session this is, if what it rests on still holds.
    fn session_of(&self, token: &str) -> Option<Principal> {
        let (principal, key_id) = self.sessions.lock().of(token)?;
        let holds = match &principal {
            Principal::Operator => true,
            Principal::Anonymous => false,
            Principal::Client(name) => {
                let state = self.access()?.state();
                state.client(name).and_then(|client| client.key.as_ref()).is_some_and(|key| key.id == key_id)
            }
        };
        holds.then_some(principal)
    }
}

impl MayRead for Doorkeeper {
    fn may_read(&self, principal: &Principal, port: &PortId) -> bool {
        match principal {
            Principal::Operator => true,
            Principal::Anonymous => false,
            Principal::Client(client) => self.access().is_some_and(|access| access.state().may_read(client, port)),
        }
    }
}

/// The audit topic of a mesh on this Kafka.
pub(crate) fn options(kafka: &Kafka, mesh: &MeshId) -> weft_access::Options {
    weft_access::Options {
        client: kafka.client.clone(),
        topics: kafka.topics,
        ..weft_access::Options::new(kafka.bootstrap.clone(), mesh.clone())
    }
}

/// A file that access needs, and that cannot be used.
fn bad_file(what: String, because: String, try_: &str) -> Diagnostics {
    let try_ = try_.to_owned();
    Diagnostics::from(Diagnostic { kind: Kind::Invalid, code: "ACCESS-009", what, because, try_, place: None })
}
