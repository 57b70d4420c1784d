//! The portal: pages for people. What the mesh is, how it is, how to use it.
//!
//! ```text
//!   browser ─► weft-gateway's edge ─► page ──► Ask  (asked: mesh, numbers, rows; `weft` answers)
//!              Host, Origin, limits    │
//!                                      ├─► HTML, whole without a script
//!                                      └─► islands: live tail, SQL editor, zoom of the graph (`web/`)
//! ```
//!
//! Invariants:
//! 1. Every page is whole without a script: forms are GET forms, and each state of a page has a URL that can be shared.
//! 2. Text of others (names, descriptions, rows, bytes) is escaped by maud; nothing of it is ever markup, a script or a style.
//! 3. A row stays text until it is in the page, so integers beyond 2⁵³ are shown exactly.
//! 4. What others made long is folded or cut with a word about it: no page grows with one field.
//! 5. A page asks for what it shows: none reads every topic of a Kafka, or every row of a port.
//! 6. What is not known is said to be unknown. A partition without a commit has no lag, not the lag 0.
//! 7. What changes something is a POST form of ours: the edge refuses those of other sites, and the cookie does not come with them.
//!
//! Start reading in `pages.rs` (the routes), then `page.rs` (what every page is made of) and `product.rs`.
//! What it does *not* know: Kafka, Arrow, SQL, the engine. It asks, through the trait in `ask.rs`.

mod access;
mod ask;
mod assets;
mod catalogue;
mod chart;
mod console;
mod contract;
mod desk;
mod glance;
mod graph;
mod groups;
mod home;
mod layout;
mod nodes;
mod operations;
mod page;
mod pages;
mod ports;
mod product;
mod rows;
mod search;
mod sign_in;
mod snippets;
#[cfg(test)]
mod tests;
mod trace;
mod words;

pub use ask::{
    Addresses, Answered, Ask, GroupPartition, GroupSeen, GroupsSeen, MemberSeen, NodeOn, NodeSeen, Numbers,
    PartitionNumbers, PortNumbers, ProductTasks, RunState, Task, Topics, Waits,
};
pub use desk::{ClientSeen, Decision, Desk, KeysHere, RequestSeen};
pub use pages::router;
