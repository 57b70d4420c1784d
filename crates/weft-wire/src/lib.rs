//! The edge of Weft: bytes that somebody else made, and the world they came from.
//!
//! ```text
//!   socket ──► frame ──► request (bounded pre-walk, then decode) ──► Handler ──► response, in order
//!                            │
//!                            └─► batch: record batches as bytes; checked, patched, never rebuilt
//!   disk, clock, randomness ──► env
//! ```
//!
//! Invariants:
//! 1. Nothing here panics on foreign bytes, and nothing allocates more than a named bound because of them.
//! 2. A record batch leaves as the bytes it came in; only base offset and leader epoch, which lie outside the CRC,
//!    are patched.
//! 3. Responses leave a connection in the order of its requests.
//!
//! Start reading at [`server`], then [`request`] and [`batch`].

pub mod batch;
pub mod env;
pub mod frame;
pub mod parts;
pub mod request;
pub mod server;
pub mod tls;

mod compression;
mod varint;
