//! Section `access` of `weft.yaml`: whether callers must show a key, and what the listeners prove themselves with.

use std::fmt;

/// What a node was told about access.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccessSettings {
    /// Callers need a key; default no, which is for loopback only.
    pub enabled: bool,
    /// Certificate and key of the Kafka listener and of HTTP; beyond loopback there must be one.
    pub tls: Option<TlsFiles>,
    /// Where `weft.yaml` speaks of it; 0 where it does not.
    pub line: u32,
}

/// Where a listener's certificate lies. Paths are relative to the folder of `weft.yaml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM: the certificate, and those between it and its CA.
    pub certificate: String,
    /// PEM: its private key.
    pub key: String,
}

impl fmt::Display for AccessSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.tls, self.enabled) {
            (_, false) => f.write_str("off"),
            (None, true) => f.write_str("on"),
            (Some(tls), true) => write!(f, "on, TLS by {} and {}", tls.certificate, tls.key),
        }
    }
}
