//! What lies on `__weft.<mesh>.audit`: one JSON object per decision, in the order in which they count.

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use weft_model::name::{ClientName, PortId};

use crate::key::KeyRecord;

/// Version of the shape written now.
pub const VERSION: u32 = 1;

/// Longest purpose or reason. Bytes.
pub const TEXT_BYTES_MAX: usize = 1000;

/// One record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Version of this shape.
    pub v: u32,
    /// Known by its writer, who waits for it to come back.
    pub id: Uuid,
    /// When its writer wrote it: RFC 3339, UTC, whole seconds. For people; the topic's order is what counts.
    pub at: String,
    /// Who.
    #[serde(flatten)]
    pub hand: Hand,
    /// What.
    #[serde(flatten)]
    pub change: Change,
}

/// Who wrote a record, and from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hand {
    /// The name they gave, or the client's own.
    pub by: String,
    /// `cli` or `portal`.
    pub via: String,
}

/// What a record changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Change {
    /// There is a new client.
    ClientCreated {
        /// Its name; never given out twice.
        client: ClientName,
        /// What checks its key.
        key: KeyRecord,
    },
    /// A client has a new key; the one before opens nothing any more.
    KeyRotated {
        /// Whose.
        client: ClientName,
        /// What checks it.
        key: KeyRecord,
    },
    /// A client is put out for good, with everything granted to it.
    ClientRemoved {
        /// Which.
        client: ClientName,
        /// Why.
        reason: String,
    },
    /// A client asks for a port.
    Requested {
        /// Who wants to read.
        client: ClientName,
        /// What.
        port: PortId,
        /// The port's topic, which does not change within a major version.
        topic: String,
        /// What for.
        purpose: String,
    },
    /// A request is granted.
    Approved {
        /// Its number.
        request: u64,
        /// Why.
        reason: String,
    },
    /// A request is turned down.
    Denied {
        /// Its number.
        request: u64,
        /// Why.
        reason: String,
    },
    /// What was granted is taken back.
    Revoked {
        /// Number of the request.
        request: u64,
        /// Why.
        reason: String,
    },
}

impl Change {
    /// What happened, in one word for people.
    pub fn word(&self) -> &'static str {
        match self {
            Self::ClientCreated { .. } => "created",
            Self::KeyRotated { .. } => "key rotated",
            Self::ClientRemoved { .. } => "removed",
            Self::Requested { .. } => "requested",
            Self::Approved { .. } => "approved",
            Self::Denied { .. } => "denied",
            Self::Revoked { .. } => "revoked",
        }
    }

    /// The purpose or reason it carries.
    pub fn text(&self) -> &str {
        match self {
            Self::ClientCreated { .. } | Self::KeyRotated { .. } => "",
            Self::Requested { purpose: text, .. }
            | Self::ClientRemoved { reason: text, .. }
            | Self::Approved { reason: text, .. }
            | Self::Denied { reason: text, .. }
            | Self::Revoked { reason: text, .. } => text,
        }
    }
}
