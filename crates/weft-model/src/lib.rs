//! The words every room shares: mesh, domain, data product, port, contract, principal, and what can be said wrong
//! about them. Pure: no I/O but reading a folder's files, no clock, no network.
//!
//! ```text
//!   folder of files ──► load ──► Mesh ─┬─ Domain ── owner
//!     weft.yaml                        └─ Product ─┬─ inputs   (names SQL sees)
//!     domains/…/product.odps.yaml                  ├─ outputs  (contract + topic + bindings)
//!     …/*.odcs.yaml, source.yaml,                  └─ behaviour: Source | Transform | External
//!     transform.sql, external.yaml
//! ```
//!
//! Start reading in `mesh.rs`, then `product.rs`; `load` shows how files become them.

pub mod access;
pub mod builtin_ports;
pub mod cluster;
pub mod contract;
pub mod explain;
pub mod json;
pub mod key;
pub mod kind;
pub mod load;
pub mod mesh;
pub mod name;
pub mod partitioner;
pub mod principal;
pub mod product;
pub mod progress;
pub mod query;
pub mod schema;
pub mod settings;
pub mod tests;
pub mod topic;
mod yaml;
