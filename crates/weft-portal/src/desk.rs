//! What the pages about access ask and do. `weft` plugs the answers in.

use futures::future::BoxFuture;
use weft_model::name::{ClientName, PortId};

use crate::ask::Answered;

/// Who may read what, where callers must show a key.
pub trait Desk: Send + Sync {
    /// A session for whoever shows this key; `None`: it opens nothing.
    fn sign_in(&self, key: &str) -> Option<String>;
    /// Ends a session.
    fn sign_out(&self, token: &str);
    /// Every client that is or was, by name.
    fn clients(&self) -> Vec<ClientSeen>;
    /// Every request, oldest first.
    fn requests(&self) -> Vec<RequestSeen>;
    /// Makes a client; the key, which nobody will see again.
    fn create_client<'a>(&'a self, by: &'a str, name: &'a str) -> BoxFuture<'a, Answered<String>>;
    /// Gives a client a new key, which nobody will see again; the old one opens nothing any more.
    fn rotate_key<'a>(&'a self, by: &'a str, client: &'a ClientName) -> BoxFuture<'a, Answered<String>>;
    /// Asks for a port, as `domain.product.port@1`, in the name of a client; the number of the request.
    fn request<'a>(
        &'a self,
        by: &'a str,
        client: &'a ClientName,
        port: &'a str,
        purpose: &'a str,
    ) -> BoxFuture<'a, Answered<u64>>;
    /// Decides a request.
    fn decide<'a>(
        &'a self,
        by: &'a str,
        request: u64,
        decision: Decision,
        reason: &'a str,
    ) -> BoxFuture<'a, Answered<()>>;
}

/// What may be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The client may read.
    Approve,
    /// It may not.
    Deny,
    /// It may not any more.
    Revoke,
}

/// A client, as the pages show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSeen {
    /// Its name.
    pub name: ClientName,
    /// Id of its key; `None` once it was removed.
    pub key_id: Option<String>,
    /// Since when there is one.
    pub since: String,
}

/// A request, as the pages show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestSeen {
    /// Its number.
    pub number: u64,
    /// Who asks.
    pub client: ClientName,
    /// For what.
    pub port: PortId,
    /// What for.
    pub purpose: String,
    /// `pending`, `approved`, `denied`, `revoked`.
    pub standing: &'static str,
    /// Its records, for people.
    pub story: String,
}

/// How keys are used where they are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeysHere {
    /// HTTP is encrypted by the listener.
    pub http_tls: bool,
    /// The log in this process, which knows the keys, and whether its listener is encrypted; `None`: a Kafka of others,
    /// which does not know them.
    pub own_log_tls: Option<bool>,
}
