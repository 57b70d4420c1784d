//! What replacing a running program by another would mean.

use crate::ir::Program;

/// From harmless to breaking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The same program.
    Same,
    /// State, keys and ports are kept; rows from the change on are computed the new way.
    InPlace,
    /// State would have to be built anew from the inputs.
    NewState {
        /// What differs.
        reason: String,
    },
    /// Consumers of a port would notice: key, kind or columns change.
    Breaking {
        /// What differs.
        reason: String,
    },
}

/// Compares the running program with one that would replace it.
pub fn verdict(old: &Program, new: &Program) -> Verdict {
    if old == new { Verdict::Same } else { Verdict::InPlace }
}
