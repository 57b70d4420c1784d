//! A Kafka that somebody else runs, as section `clusters` of `weft.yaml` names it.
//!
//! ```text
//!   clusters:
//!     prod:
//!       bootstrap: kafka-1.example:9093,kafka-2.example:9093
//!       client: { security.protocol: sasl_ssl, sasl.username: weft, sasl.password: env:KAFKA_PASSWORD, … }
//!       topics: { replication_factor: 3, min_insync_replicas: 2 }
//! ```
//!
//! `client` has librdkafka's own names and values, because that is what operators know and search for. Only what reaches
//! and secures a connection may be set: everything else would change what Weft promises.

use std::collections::BTreeMap;
use std::fmt;

use crate::name::ClusterName;

/// One entry of section `clusters`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Its name in `weft.yaml`.
    pub name: ClusterName,
    /// `host:port`, several with commas.
    pub bootstrap: String,
    /// librdkafka properties by name.
    pub client: BTreeMap<String, Property>,
    /// What topics get that Weft makes there.
    pub topics: TopicDefaults,
    /// Where `weft.yaml` says it.
    pub line: u32,
}

/// The value of a librdkafka property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Property {
    /// As written.
    Text(String),
    /// What this environment variable holds: `env:NAME`.
    Env(String),
    /// What this file holds, without the end of its last line: `file:PATH`, from the folder of `weft.yaml`.
    File(String),
}

/// What topics get that Weft makes. Where nothing is said, the Kafka's own defaults hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TopicDefaults {
    /// Copies of every partition.
    pub replication_factor: Option<u16>,
    /// How many of them must have a record before it counts as written (`min.insync.replicas`).
    pub min_insync_replicas: Option<u16>,
}

/// Most copies of a partition that may be asked for.
pub const REPLICATION_FACTOR_MAX: u16 = 32;

/// What a librdkafka property is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PropertyKind {
    /// May be written in a descriptor.
    Plain,
    /// The path of a file, from the folder of `weft.yaml`.
    Path,
    /// Must be a reference: a secret has no place in a descriptor.
    Secret,
}

/// Properties that hold a secret.
const SECRETS: &[&str] = &[
    "sasl.password",
    "sasl.oauthbearer.client.credentials.client.secret",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.assertion.private.key.pem",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
];

/// Properties that name a file.
const PATHS: &[&str] = &[
    "https.ca.location",
    "sasl.oauthbearer.assertion.file",
    "sasl.oauthbearer.assertion.jwt.template.file",
    "sasl.oauthbearer.assertion.private.key.file",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.crl.location",
    "ssl.key.location",
    "ssl.keystore.location",
];

/// The rest of what reaches and secures a connection.
const PLAIN: &[&str] = &[
    "broker.address.family",
    "broker.address.ttl",
    "client.dns.lookup",
    "client.rack",
    "connections.max.idle.ms",
    "enable.sasl.oauthbearer.unsecure.jwt",
    "enable.ssl.certificate.verification",
    "https.ca.pem",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.oauthbearer.assertion.algorithm",
    "sasl.oauthbearer.assertion.claim.aud",
    "sasl.oauthbearer.assertion.claim.exp.seconds",
    "sasl.oauthbearer.assertion.claim.iss",
    "sasl.oauthbearer.assertion.claim.jti.include",
    "sasl.oauthbearer.assertion.claim.nbf.seconds",
    "sasl.oauthbearer.assertion.claim.sub",
    "sasl.oauthbearer.client.credentials.client.id",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.extensions",
    "sasl.oauthbearer.grant.type",
    "sasl.oauthbearer.metadata.authentication.type",
    "sasl.oauthbearer.method",
    "sasl.oauthbearer.scope",
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.username",
    "security.protocol",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.receive.buffer.bytes",
    "socket.send.buffer.bytes",
    "socket.timeout.ms",
    "ssl.ca.certificate.stores",
    "ssl.ca.pem",
    "ssl.certificate.pem",
    "ssl.cipher.suites",
    "ssl.curves.list",
    "ssl.endpoint.identification.algorithm",
    "ssl.providers",
    "ssl.sigalgs.list",
];

/// What a property is; `None` if it may not be set.
pub fn property_kind(name: &str) -> Option<PropertyKind> {
    if SECRETS.contains(&name) {
        Some(PropertyKind::Secret)
    } else if PATHS.contains(&name) {
        Some(PropertyKind::Path)
    } else if PLAIN.contains(&name) {
        Some(PropertyKind::Plain)
    } else {
        None
    }
}

/// Every property that may be set, in alphabetical order.
pub fn property_names() -> Vec<&'static str> {
    let mut names: Vec<&str> = [SECRETS, PATHS, PLAIN].concat();
    names.sort_unstable();
    names
}

impl Property {
    /// `env:NAME`, `file:PATH`, or the text itself.
    pub(crate) fn parse(text: &str) -> Self {
        match text.split_once(':') {
            Some(("env", name)) => Self::Env(name.to_owned()),
            Some(("file", path)) => Self::File(path.to_owned()),
            _ => Self::Text(text.to_owned()),
        }
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{path}"),
        }
    }
}

impl fmt::Display for Cluster {
    /// As text that differs when the entry does; references stay references.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.bootstrap)?;
        for (name, value) in &self.client {
            write!(f, " {name}={value}")?;
        }
        if let Some(copies) = self.topics.replication_factor {
            write!(f, " replication_factor={copies}")?;
        }
        if let Some(copies) = self.topics.min_insync_replicas {
            write!(f, " min_insync_replicas={copies}")?;
        }
        Ok(())
    }
}
