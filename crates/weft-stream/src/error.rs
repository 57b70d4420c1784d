//! What can go wrong in the engine's core. Bad rows are not errors: they go to the port `errors`.

use crate::state::StateError;

/// Why a task cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// The program holds something this build cannot run.
    #[error("operator \"{operator}\" cannot be built: {reason}")]
    Program {
        /// Its id.
        operator: String,
        /// Why.
        reason: String,
    },
    /// State could not be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// State or a repartition record holds bytes of no version this build knows.
    #[error("{what} of operator \"{operator}\" is corrupt")]
    Corrupt {
        /// `state` or `repartition record`.
        what: &'static str,
        /// Its id.
        operator: String,
    },
}
