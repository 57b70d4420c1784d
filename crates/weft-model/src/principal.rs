//! Who asks. Every serving call carries one from the first day.

use std::fmt;

use crate::name::ClientName;

/// The caller as the listener knows them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Principal {
    /// Nobody said who. Where access is off, which is on loopback only, they may read every output port.
    Anonymous,
    /// An application that showed its key: it may read what was granted to it.
    Client(ClientName),
    /// Whoever holds the node's own secret: the node itself, and people who run it. They may do everything.
    Operator,
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::Client(name) => write!(f, "{name}"),
            // No client can have this name: names hold no underscore.
            Self::Operator => f.write_str("__operator"),
        }
    }
}
