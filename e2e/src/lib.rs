//! The tier that runs against programs nobody here wrote.
//!
//! ```text
//!   tests/it ──▶ Server ─────────▶ `weft log` · `weft up` · Apache Kafka      a real process, loopback only
//!      │  ╰────▶ Client ─────────▶ clients/*  around librdkafka, Java, …      one command line for all of them
//!      ╰───────▶ scripts/*.py ───▶ DuckDB and a Kafka client                  what the answers must be
//! ```
//!
//! Always: every wait has an end; a process started here dies with the value that holds it; what a process printed is
//! kept and its last lines are shown when something fails. The suite of the log runs unchanged against Apache Kafka,
//! so that a check which only our own log can pass is found out.
//!
//! Start reading at [`process::Process`], then [`server::Server`]. The benchmarks of `xtask` drive the same types.

#![expect(clippy::print_stderr, reason = "a harness tells its reader what failed")]

mod apache;
pub mod client;
pub mod http;
pub mod mesh;
pub mod peers;
pub mod process;
pub mod secured;
pub mod server;
pub mod sse;
