//! Who somebody is: asked of others through one trait, for this log keeps no keys.

use std::sync::Arc;

use futures::future::BoxFuture;
use weft_model::principal::Principal;

use crate::authorizer::Authorizer;

/// A hash that SCRAM is done with (RFC 5802, RFC 7677).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScramHash {
    /// `SCRAM-SHA-256`.
    Sha256,
    /// `SCRAM-SHA-512`.
    Sha512,
}

/// What SCRAM keeps of a key (RFC 5802 §3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScramCredential {
    /// Salt.
    pub salt: Vec<u8>,
    /// Iterations of PBKDF2.
    pub iterations: u32,
    /// `H(HMAC(SaltedPassword, "Client Key"))`.
    pub stored_key: Vec<u8>,
    /// `HMAC(SaltedPassword, "Server Key")`.
    pub server_key: Vec<u8>,
}

/// Answers who may log in. Asked during a log-in, so it must be quick and must not block.
pub trait Keys: Send + Sync + 'static {
    /// Ready when it can be asked; nobody is accepted before.
    fn ready(&self) -> BoxFuture<'static, ()>;

    /// What SCRAM needs about the holder of this name; `None`: there is none.
    fn scram(&self, name: &str, hash: ScramHash) -> Option<ScramCredential>;

    /// Is this the key of that name?
    fn matches(&self, name: &str, key: &str) -> bool;

    /// Who that name is, once its key has been checked.
    fn principal(&self, name: &str) -> Option<Principal>;

    /// Ready when something that this name could do is taken away from it, counted from this call: its connections end
    /// then.
    fn shrinks(&self, name: &str) -> BoxFuture<'static, ()>;
}

/// What a guarded log asks.
#[derive(Clone)]
pub struct Guard {
    /// Clients, at the listener that the options name.
    pub clients: Arc<dyn Keys>,
    /// The process itself and those who run it, at a listener of their own on loopback.
    pub own: Arc<dyn Keys>,
    /// Who may do what.
    pub authorizer: Arc<dyn Authorizer>,
    /// TLS at the listener for clients; beyond loopback there must be one.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}
