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
        matches!(self, Self::Kafka { retriable: true, .. })
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
                format!("check the broker with `weft doctor`; then {again}"),
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
