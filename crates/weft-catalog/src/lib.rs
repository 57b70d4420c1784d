//! What the mesh should be, and how it comes to be so: the desired state, the plan, the apply.
//!
//! ```text
//!   folder ─► Mesh, programs ─┐
//!   __weft.<mesh>.desired ────┼─► plan: a pure comparison ─► Plan ─► apply: topics first, the revision last
//!   topics on the Kafka ──────┘        │
//!                                      └─ Display: what a person reads before saying yes
//! ```
//!
//! Always:
//! 1. Nodes run from the desired topic, never from a folder: two nodes cannot flap between two checkouts.
//! 2. One writer at a time: the transactional id `__weft.<mesh>.controller`. A newer controller fences an older one, and
//!    a plan made on an older revision is refused.
//! 3. Applying twice changes nothing. A crash in the middle is repaired by applying again: what an apply is about to
//!    create is written as an intent first, so that a topic found later is known as ours.
//! 4. What leaves the folder is retired. No topic is deleted unless it is named, an adopted one never.
//! 5. Within one major version of a port its topic, key, columns and state do not change.
//!
//! Beside it, questions to a Kafka that people ask of a whole mesh: where its partitions end (`offsets.rs`), who has read how far
//! (`groups/mod.rs`), which nodes run it (`nodes/mod.rs`).
//!
//! Start reading in `plan.rs`; `desired.rs` has the shapes.

pub mod apply;
pub mod config;
pub mod declared;
pub mod desired;
mod display;
pub mod error;
pub mod groups;
mod kafka;
pub mod nodes;
pub mod observed;
pub mod offsets;
pub mod plan;
mod reach;
mod rehearse;
mod topic_requests;
pub mod topics;
pub mod watch;

pub use apply::{Applied, Controller, apply};
pub use config::Connection;
pub use declared::{CompiledProduct, Declared, StateVerdict};
pub use desired::{Desired, MeshRecord, PortRecord, ProductRecord};
pub use error::CatalogError;
pub use groups::{Group, Groups};
pub use kafka::{Cluster, is_weft_log, topics_of};
pub use nodes::{Membership, NodeRecord, Roll, Standing, read_roll};
pub use observed::{Observed, ObservedTopic};
pub use offsets::{Kept, Offsets};
pub use plan::{Plan, PlanOptions, plan};
pub use reach::{Reached, reach};
pub use rehearse::rehearse;
pub use watch::{Watch, watch};
