//! Who asks. Every serving call carries one from the first day.

/// The caller as the listener knows them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Principal {
    /// Nobody said who: on loopback they may see output ports, and nothing else.
    Anonymous,
    /// An authenticated name.
    User(String),
}
