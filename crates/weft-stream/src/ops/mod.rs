//! Operators: what a task's batches pass through. Called directly, no queue between them.
//!
//! ```text
//!   input batch ─► window ─► filter ─► late ─► project ─► rekey ═► (another task)
//!                                        │                          aggregate ─► project ─► sink
//!                                        └─► effects for the port late
//! ```

pub(crate) mod accumulate;
pub(crate) mod aggregate;
pub(crate) mod batch;
pub(crate) mod bind;
pub(crate) mod evaluate;
pub(crate) mod rejected;
pub(crate) mod rekey;
pub(crate) mod sink;
pub(crate) mod table;
pub(crate) mod table_join;
pub(crate) mod window_join;

/// First byte of every state value and repartition record.
pub(crate) const BYTES_VERSION: u8 = 1;
