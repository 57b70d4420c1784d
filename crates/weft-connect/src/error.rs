//! Why a source cannot go on. Broken rows are not here: they go to the product's `errors` port and the replay goes on.

use std::path::PathBuf;

use weft_model::kind::{Diagnostic, Kind, Place};
use weft_model::name::ProductId;

/// Why a source stopped, or could not start.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The product is not there, is no source, or its `source.yaml` asks for what cannot be.
    #[error("{reason}")]
    Spec {
        /// What is wrong with it.
        reason: String,
    },
    /// The file cannot be read.
    #[error("{path}: {source}")]
    File {
        /// Where it was looked for.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A `.gz` or `.zip` that is none, or holds more than one file.
    #[error("{path}: {reason}")]
    Archive {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The header row does not fit the contract.
    #[error("{reason}")]
    Header {
        /// The file as `source.yaml` names it.
        file: String,
        /// What does not fit.
        reason: String,
    },
    /// The file is not the one that the position was written for.
    #[error("position {position} of generation {generation} was written for {was}; the file now has {is}")]
    FileChanged {
        /// The file as `source.yaml` names it.
        file: String,
        /// Rows sent so far.
        position: u64,
        /// Generation of the replay.
        generation: u32,
        /// Size and hash then.
        was: String,
        /// Size and hash now.
        is: String,
    },
    /// `source.yaml` or the contract now gives another order or other rows.
    #[error("position {position} of generation {generation} was written for another mode, event time or disorder")]
    ReplayChanged {
        /// Rows sent so far.
        position: u64,
        /// Generation of the replay.
        generation: u32,
    },
    /// A topic is not there, or has not the partitions the descriptor says.
    #[error("{reason}")]
    Topic {
        /// What is missing.
        reason: String,
    },
    /// Another node runs this source now.
    #[error("another node writes with transactional id \"{transactional_id}\"")]
    Fenced {
        /// The identity that was taken over.
        transactional_id: String,
    },
    /// `loop` met the disk reserve.
    #[error("{free} bytes are free on the disk of {path}, the reserve is {reserve}")]
    DiskReserve {
        /// Where the data lies.
        path: PathBuf,
        /// Free now.
        free: u64,
        /// `disk_reserve_bytes` of `source.yaml`.
        reserve: u64,
    },
    /// The broker refused, or could not be reached.
    #[error("{doing}: {reason}")]
    Kafka {
        /// What was tried.
        doing: &'static str,
        /// What librdkafka said.
        reason: String,
        /// Trying again may help.
        retriable: bool,
    },
    /// A position record that cannot be read, such as one of a newer version.
    #[error("{reason}")]
    Position {
        /// What is wrong with it.
        reason: String,
    },
    /// The decompressed copy cannot be written.
    #[error("{path}: {source}")]
    Spool {
        /// The copy.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl SourceError {
    /// The sentence a person reads.
    pub fn diagnostic(&self, product: &ProductId) -> Diagnostic {
        let reading = |verb: &str| format!("{verb} source of product \"{product}\"");
        let restart = format!("put the old file back, or begin again with `weft source restart {product}`");
        let (kind, code, what, try_) = match self {
            Self::Spec { .. } => (
                Kind::Invalid,
                "SRC-001",
                reading("cannot run"),
                "correct the product's source.yaml and `weft apply`".to_owned(),
            ),
            Self::File { source, .. } => (
                if source.kind() == std::io::ErrorKind::NotFound { Kind::NotFound } else { Kind::Unavailable },
                "SRC-002",
                reading("cannot read"),
                "check `file` in source.yaml: it is relative to the folder of weft.yaml; then start the node again"
                    .to_owned(),
            ),
            Self::Archive { .. } => (
                Kind::Corrupt,
                "SRC-003",
                reading("cannot unpack"),
                "name a .csv, a .csv.gz, or a .zip with exactly one file in it".to_owned(),
            ),
            Self::Header { .. } => (
                Kind::Invalid,
                "SRC-004",
                reading("cannot read"),
                "make the header row and the columns of the contract agree, or derive the column in source.yaml"
                    .to_owned(),
            ),
            Self::FileChanged { .. } => (Kind::Invalid, "SRC-005", reading("cannot resume"), restart),
            Self::ReplayChanged { .. } => (
                Kind::Invalid,
                "SRC-006",
                reading("cannot resume"),
                format!("put the old source.yaml back, or begin again with `weft source restart {product}`"),
            ),
            Self::Topic { .. } => (
                Kind::NotFound,
                "SRC-007",
                reading("cannot run"),
                "`weft apply` makes the topics of the mesh".to_owned(),
            ),
            Self::Fenced { .. } => (
                Kind::Fenced,
                "SRC-008",
                reading("stopped"),
                "let one node run the mesh, or start this one again to take the source back".to_owned(),
            ),
            Self::DiskReserve { .. } => (
                Kind::TooLarge,
                "SRC-009",
                reading("stopped"),
                "free disk space, or lower `disk_reserve_bytes` in source.yaml; then start the node again".to_owned(),
            ),
            Self::Kafka { retriable, .. } => (
                if *retriable { Kind::Unavailable } else { Kind::Denied },
                "SRC-010",
                reading("could not write"),
                "check that the broker runs and listens at the bootstrap address; `weft doctor` looks".to_owned(),
            ),
            Self::Position { .. } => (
                Kind::Corrupt,
                "SRC-011",
                reading("cannot resume"),
                format!("use the version of weft that wrote it, or begin again with `weft source restart {product}`"),
            ),
            Self::Spool { .. } => (
                Kind::Unavailable,
                "SRC-012",
                reading("cannot unpack"),
                "make room or permission in the data directory, or unpack the file by hand and name the .csv"
                    .to_owned(),
            ),
        };
        let place = match self {
            Self::Header { file, .. } => Some(Place { file: file.clone(), line: 1 }),
            _ => None,
        };
        Diagnostic { kind, code, what, because: self.to_string(), try_, place }
    }
}
