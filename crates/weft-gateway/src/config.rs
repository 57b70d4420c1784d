//! Options of the doors. The doc comments are the manual.

use std::time::Duration;

use weft_model::kind::{Diagnostic, Diagnostics, Kind};
use weft_model::query::QueryLimits;

/// What a user may tune. `Default` is right for a laptop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Names, besides `localhost` and loopback addresses, that a request's `Host` may carry, without port; compared
    /// without regard to case. Default: none. A name too many lets a web page reach the mesh by DNS rebinding. Since 0.1.
    pub hosts: Vec<String>,
    /// Origins (`https://portal.example`) whose web pages may read the mesh: they get CORS headers. Default: none, so a
    /// page that a user happens to visit cannot read a mesh on loopback. Since 0.1.
    pub origins: Vec<String>,
    /// Longest request target (path and query) taken, in bytes. Default 8 KiB. Over it: 414. Since 0.1.
    pub uri_bytes_max: usize,
    /// Longest head (request line and headers) read, in bytes. Default 32 KiB, at least 8 KiB. Over it: 431. Since 0.1.
    pub header_bytes_max: usize,
    /// Most headers in a request. Default 64. Over it: 431. Since 0.1.
    pub headers_max: usize,
    /// Longest request body read, in bytes. Default 256 KiB: SQL, nothing else, comes as a body. Over it: 413. Since 0.1.
    pub body_bytes_max: usize,
    /// Most connections at once. Default 1024; each takes a file descriptor. Over it: 503 and closed. Since 0.1.
    pub connections_max: usize,
    /// Most pull queries at work at once. Default 64. Over it a query waits up to `queue_wait`, then 429. Since 0.1.
    pub pulls_max: usize,
    /// Most SQL queries at work at once. Default 4: each may take a core. Over it as with `pulls_max`. Since 0.1.
    pub sqls_max: usize,
    /// Most streams open at once. Default 512; keep it below `connections_max`, or streams shut everyone else out. Over
    /// it: 429. Since 0.1.
    pub streams_max: usize,
    /// How long a query waits for its turn before it is sent away with 429. Default 1 s. Since 0.1.
    pub queue_wait: Duration,
    /// Rows of a pull page when the caller names no `limit`. Default 1000. Since 0.1.
    pub rows_default: usize,
    /// Limits of a pull query. Default 10 000 rows a page, 16 MiB, 10 s. Since 0.1.
    pub pull: QueryLimits,
    /// Limits of a SQL query. Default 10 000 rows, 16 MiB, 30 s. Since 0.1.
    pub sql: QueryLimits,
    /// How long a peer may take to send a request head; an idle connection is closed after it too. Default 30 s. Since 0.1.
    pub header_read: Duration,
    /// How long a peer may take to send a body. Default 10 s. Over it: 408. Since 0.1.
    pub body_read: Duration,
    /// How long a peer may take nothing of what is written to it before its connection is cut. Default 20 s; too short
    /// cuts sleeping laptops off, too long keeps their buffers. Since 0.1.
    pub write_stall: Duration,
    /// How often a silent stream gets a comment, so that proxies and peers know it lives. Default 15 s. Since 0.1.
    pub heartbeat: Duration,
    /// Most bytes of a stream gathered before they are handed to the socket. Default 16 KiB. Since 0.1.
    pub stream_chunk_bytes: usize,
    /// How long open requests may take to end after shutdown began. Default 5 s. Since 0.1.
    pub drain: Duration,
    /// What `Retry-After` says on 429 and 503, rounded up to whole seconds. Default 1 s. Since 0.1.
    pub retry_after: Duration,
}

impl Default for Options {
    fn default() -> Self {
        const MIB_16: usize = 16 * 1024 * 1024;
        Self {
            hosts: Vec::new(),
            origins: Vec::new(),
            uri_bytes_max: 8 * 1024,
            header_bytes_max: 32 * 1024,
            headers_max: 64,
            body_bytes_max: 256 * 1024,
            connections_max: 1024,
            pulls_max: 64,
            sqls_max: 4,
            streams_max: 512,
            queue_wait: Duration::from_secs(1),
            rows_default: 1000,
            pull: QueryLimits { rows_max: 10_000, bytes_max: MIB_16, time_ms_max: 10_000 },
            sql: QueryLimits { rows_max: 10_000, bytes_max: MIB_16, time_ms_max: 30_000 },
            header_read: Duration::from_secs(30),
            body_read: Duration::from_secs(10),
            write_stall: Duration::from_secs(20),
            heartbeat: Duration::from_secs(15),
            stream_chunk_bytes: 16 * 1024,
            drain: Duration::from_secs(5),
            retry_after: Duration::from_secs(1),
        }
    }
}

impl Options {
    /// Every value that cannot work, before a socket is bound.
    pub fn validate(&self) -> Result<(), Diagnostics> {
        let mut wrong = Vec::new();
        let mut least = |name: &str, value: usize, least: usize| {
            if value < least {
                wrong.push(bad_option(name, format!("it is {value}; the least that works is {least}")));
            }
        };
        least("uri_bytes_max", self.uri_bytes_max, 64);
        least("header_bytes_max", self.header_bytes_max, HEADER_BYTES_LEAST);
        least("headers_max", self.headers_max, 8);
        least("body_bytes_max", self.body_bytes_max, 1);
        least("connections_max", self.connections_max, 1);
        least("pulls_max", self.pulls_max, 1);
        least("sqls_max", self.sqls_max, 1);
        least("streams_max", self.streams_max, 1);
        least("rows_default", self.rows_default, 1);
        least("pull.rows_max", self.pull.rows_max, self.rows_default);
        least("sql.rows_max", self.sql.rows_max, 1);
        least("stream_chunk_bytes", self.stream_chunk_bytes, 1);
        for (name, value) in [
            ("header_read", self.header_read),
            ("body_read", self.body_read),
            ("write_stall", self.write_stall),
            ("heartbeat", self.heartbeat),
        ] {
            if value.is_zero() {
                wrong.push(bad_option(name, "it is 0; nothing would ever be in time".to_owned()));
            }
        }
        for origin in &self.origins {
            if !crate::guard::is_origin(origin) {
                let because = format!("\"{origin}\" is not an origin: scheme://host or scheme://host:port, no path");
                wrong.push(bad_option("origins", because));
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(Diagnostics(wrong)) }
    }
}

/// hyper reads into a buffer that is never smaller.
const HEADER_BYTES_LEAST: usize = 8 * 1024;

fn bad_option(name: &str, because: String) -> Diagnostic {
    Diagnostic {
        kind: Kind::Invalid,
        code: "HTTP-022",
        what: format!("cannot use HTTP option \"{name}\""),
        because,
        try_: "leave it out to have the default".to_owned(),
        place: None,
    }
}
