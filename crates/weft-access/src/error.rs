//! What can go wrong here, and the sentences a person reads then.

use weft_model::kind::{Diagnostic, Kind};

use crate::record::TEXT_BYTES_MAX;
use crate::state::Refusal;

/// Why a record was not written, not taken, or not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// It came and had no effect.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// A purpose or reason that says nothing, or too much.
    #[error("the {what} has {bytes} bytes, expected 1 to {TEXT_BYTES_MAX}")]
    Text {
        /// `purpose` or `reason`.
        what: &'static str,
        /// Its length.
        bytes: usize,
    },
    /// The Kafka refused, or could not be reached.
    #[error("{doing}: {reason}")]
    Kafka {
        /// What was tried.
        doing: &'static str,
        /// What it said.
        reason: String,
    },
    /// The topic holds what this version cannot read.
    #[error("the record at offset {offset} of the audit topic: {reason}")]
    Unreadable {
        /// Where.
        offset: i64,
        /// What is wrong.
        reason: String,
    },
}

impl AccessError {
    /// The sentences a person reads.
    pub fn diagnostic(&self) -> Diagnostic {
        let (kind, code, what, try_) = match self {
            Self::Refused(refusal) => return refusal.diagnostic(),
            Self::Text { what, .. } => (
                Kind::Invalid,
                "ACCESS-012",
                format!("cannot record a decision without a {what}"),
                format!("say in a sentence what it is: --{what} \"…\""),
            ),
            Self::Kafka { .. } => (
                Kind::Unavailable,
                "ACCESS-010",
                "could not read or write the audit topic of the mesh".to_owned(),
                "see that the mesh runs, and with `weft doctor` that its Kafka is reached; then try again".to_owned(),
            ),
            Self::Unreadable { .. } => (
                Kind::Corrupt,
                "ACCESS-011",
                "cannot read who may do what; nobody but the operator is let in".to_owned(),
                "run the version of weft that wrote the record, or a newer one".to_owned(),
            ),
        };
        Diagnostic { kind, code, what, because: self.to_string(), try_, place: None }
    }
}

impl Refusal {
    /// The sentences a person reads.
    pub fn diagnostic(&self) -> Diagnostic {
        let (kind, code, what, try_) = match self {
            Self::ClientExists { client, .. } => (
                Kind::Exists,
                "ACCESS-007",
                format!("cannot create client \"{client}\""),
                format!("choose another name, or give it a new key: `weft client rotate {client}`"),
            ),
            Self::ClientRemoved { client } => (
                Kind::Exists,
                "ACCESS-007",
                format!("cannot use client \"{client}\""),
                "create one with another name".to_owned(),
            ),
            Self::NoClient { client } => (
                Kind::NotFound,
                "ACCESS-002",
                format!("cannot find client \"{client}\""),
                "`weft client ls` lists those there are; `weft client create` makes one".to_owned(),
            ),
            Self::NoRequest { request } => (
                Kind::NotFound,
                "ACCESS-002",
                format!("cannot find request {request}"),
                "`weft access ls` lists those there are".to_owned(),
            ),
            Self::Waits { request, .. } => (
                Kind::Exists,
                "ACCESS-007",
                "cannot ask twice".to_owned(),
                format!("have the owner decide: `weft access approve {request} --reason …`"),
            ),
            Self::MayAlready { .. } => {
                (Kind::Exists, "ACCESS-007", "cannot ask for what is granted".to_owned(), "read it".to_owned())
            }
            Self::Decided { request, .. } => (
                Kind::Exists,
                "ACCESS-007",
                format!("cannot decide request {request} again"),
                format!(
                    "`weft access why {request}` tells its story; what was approved ends with `weft access revoke`"
                ),
            ),
            Self::Twice => (
                Kind::Exists,
                "ACCESS-007",
                "cannot count a record twice".to_owned(),
                "nothing is to be done: it counted the first time".to_owned(),
            ),
            Self::NothingToRevoke { request, .. } => (
                Kind::Invalid,
                "ACCESS-007",
                format!("cannot revoke request {request}"),
                format!("`weft access why {request}` tells its story"),
            ),
        };
        Diagnostic { kind, code, what, because: self.to_string(), try_, place: None }
    }
}
