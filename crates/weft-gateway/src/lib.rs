//! The HTTP doors of the mesh: every output port as pull, SQL and live stream, and the house's own doors beside them.
//!
//! ```text
//!   socket ─► accept ─► edge ───────────► route ─► handler ──► Views        (asked: rows)
//!             limits    id, Host, Origin,          parse URL   CatalogView  (asked: facts)
//!             timers    headers, metrics,          by schema
//!                       problem+json
//! ```
//!
//! Invariants:
//! 1. No answer leaves without passing the edge: unknown `Host` and foreign `Origin` are refused before a handler runs.
//! 2. A row is text from [`Views`] to the socket. Nothing here reads it into a number, so integers stay exact.
//! 3. Every call carries a `Principal`. A listener beyond loopback is refused unless it has TLS and a gate, and then no
//!    handler but those of `gate.rs`'s list runs for somebody whom the gate does not know.
//! 4. An answer is whole or an error: limits never cut rows off silently.
//! 5. Pages of others come in by [`Gateway::mount`] and pass the same edge; only they may be opened by a link from another site.
//! 6. A reader that does not read costs one bounded buffer, and after `write_stall` its own connection.
//!
//! Start reading in `routes.rs`, then `edge.rs` (what happens to every request) and `serve.rs` (the sockets beneath).
//! What it does *not* know: Kafka, Arrow, SQL. It asks for rows and writes them.

mod answer;
mod asker;
mod audit;
mod config;
mod describe;
mod edge;
mod error;
mod facts;
mod gate;
mod guard;
mod house;
mod mcp;
mod metrics;
mod openapi;
mod params;
mod products;
mod pull;
mod routes;
mod serve;
mod sql;
mod stall;
mod stream;
mod views;

pub use asker::Asker;
pub use config::Options;
pub use error::{ViewError, http_status, retryable};
pub use gate::{Gate, SESSION_COOKIE, SIGN_IN};
pub use metrics::MetricsHook;
pub use serve::Gateway;
pub use views::{CatalogView, EventStream, KafkaDoor, Readiness, RunState, Views};
