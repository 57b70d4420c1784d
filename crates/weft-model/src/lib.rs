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

pub mod kind;
pub mod name;
pub mod schema;
pub mod product;
pub mod mesh;
pub mod topic;
pub mod partitioner;
pub mod progress;
pub mod query;
pub mod principal;
