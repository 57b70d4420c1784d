//! What can go wrong between the desired state and the Kafka.

use weft_model::kind::{Diagnostic, Diagnostics, Kind};
use weft_model::name::MeshId;

/// Why reading, watching or applying did not do.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The plan holds refusals: nothing was done.
    #[error("the plan is refused in {} place(s)", .0.0.len())]
    Refused(Diagnostics),
    /// A newer controller took over.
    #[error("controller \"{by}\" took over at revision {revision}")]
    Fenced {
        /// The name it gave.
        by: String,
        /// The newest revision seen.
        revision: u64,
    },
    /// The plan was made on an older revision.
    #[error("the plan was made on revision {planned}, and controller \"{by}\" has written revision {found}")]
    Stale {
        /// Revision the plan knows.
        planned: u64,
        /// Revision now.
        found: u64,
        /// Who wrote it.
        by: String,
    },
    /// The broker refused, or could not be reached.
    #[error("{doing}: {reason}")]
    Kafka {
        /// What was tried.
        doing: &'static str,
        /// What it said.
        reason: String,
        /// Trying again may help.
        retriable: bool,
    },
    /// Nobody answers there, or not yet.
    #[error("{reason}")]
    Away {
        /// Where it was asked.
        bootstrap: String,
        /// What was heard last.
        reason: String,
    },
    /// The Kafka refuses us, or we refuse it: TLS or log-in.
    #[error("{reason}")]
    NotLetIn {
        /// Where it was asked.
        bootstrap: String,
        /// What was said.
        reason: String,
    },
    /// The Kafka lacks what Weft stands on.
    #[error("{reason}")]
    TooOld {
        /// Where it was asked.
        bootstrap: String,
        /// What is missing, and since when Kafka has it.
        reason: String,
    },
    /// Brokers say they are where nobody answers.
    #[error("broker {broker} says that it is at {address}, and there: {reason}")]
    Advertised {
        /// Where it was asked.
        bootstrap: String,
        /// Which broker.
        broker: i32,
        /// Where it says it is.
        address: String,
        /// What connecting there came to.
        reason: String,
    },
    /// librdkafka does not take the properties of the connection.
    #[error("{reason}")]
    Properties {
        /// What it said.
        reason: String,
    },
    /// The broker did not create, change or delete a topic.
    #[error("topic \"{topic}\": {reason}")]
    Topic {
        /// Which.
        topic: String,
        /// What it said.
        reason: String,
    },
    /// The desired topic holds what this version cannot read.
    #[error("record \"{key}\" of the desired state: {reason}")]
    Unreadable {
        /// Its key.
        key: String,
        /// What is wrong.
        reason: String,
    },
}

impl CatalogError {
    /// May trying again help?
    pub fn is_retriable(&self) -> bool {
        matches!(self, Self::Kafka { retriable: true, .. } | Self::Away { .. } | Self::Advertised { .. })
    }

    /// The sentences a person reads.
    pub fn diagnostics(&self, mesh: &MeshId) -> Diagnostics {
        let again = "plan and apply again: a half-done apply is repaired by the next".to_owned();
        let (kind, code, what, try_) = match self {
            Self::Refused(diagnostics) => return diagnostics.clone(),
            Self::Fenced { .. } => (
                Kind::Fenced,
                "APPLY-009",
                format!("apply of mesh \"{mesh}\" was taken over"),
                "look at what the other one applied with `weft plan`, then apply again".to_owned(),
            ),
            Self::Stale { .. } => (
                Kind::Fenced,
                "APPLY-010",
                format!("plan of mesh \"{mesh}\" is out of date"),
                "run `weft plan` again and look at the difference".to_owned(),
            ),
            Self::Kafka { retriable, .. } => (
                if *retriable { Kind::Unavailable } else { Kind::Denied },
                "APPLY-011",
                format!("could not reach or change the desired state of mesh \"{mesh}\""),
                if *retriable {
                    format!("check the Kafka with `weft doctor --kafka HOST:PORT`; then {again}")
                } else {
                    "have an administrator give the rights that `weft explain APPLY-019` lists".to_owned()
                },
            ),
            Self::Away { bootstrap, .. } => (
                Kind::Unavailable,
                "APPLY-011",
                format!("could not reach the Kafka at {bootstrap}"),
                "see that it runs and listens there; --kafka, or `clusters` in weft.yaml, says where".to_owned(),
            ),
            Self::NotLetIn { bootstrap, .. } => (
                Kind::Denied,
                "APPLY-015",
                format!("cannot get in at the Kafka at {bootstrap}"),
                "compare `client` of the cluster in weft.yaml, or --kafka-config, with what its operator gave you: \
                 security.protocol, sasl.mechanism, user and password, the CA and its dates"
                    .to_owned(),
            ),
            Self::TooOld { bootstrap, .. } => (
                Kind::Invalid,
                "APPLY-016",
                format!("cannot run a mesh on the Kafka at {bootstrap}: it is too old"),
                "upgrade it to Kafka 2.5 at least; Weft is tested on 4.3".to_owned(),
            ),
            Self::Advertised { bootstrap, .. } => (
                Kind::Unavailable,
                "APPLY-017",
                format!("could not reach the brokers behind {bootstrap}"),
                "have its operator set `advertised.listeners` to an address that is reached from here; or start the broker"
                    .to_owned(),
            ),
            Self::Properties { .. } => (
                Kind::Invalid,
                "APPLY-018",
                "cannot make a Kafka client with these properties".to_owned(),
                "put right `client` of the cluster in weft.yaml, or --kafka-config".to_owned(),
            ),
            Self::Topic { .. } => (
                Kind::Unavailable,
                "APPLY-012",
                format!("could not bring the topics of mesh \"{mesh}\" to what they should be"),
                again,
            ),
            Self::Unreadable { .. } => (
                Kind::Corrupt,
                "APPLY-013",
                format!("cannot read the desired state of mesh \"{mesh}\""),
                "use the version of weft that wrote it, or a newer one".to_owned(),
            ),
        };
        Diagnostic { kind, code, what, because: self.to_string(), try_, place: None }.into()
    }
}
