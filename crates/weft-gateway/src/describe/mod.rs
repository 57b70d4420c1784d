//! Data products described for programs of others, in the words of their own standards.
//!
//! ```text
//!   Mesh, Product, OutputPort ──┬─► json_schema   a row and its key
//!   (the model that runs)       ├─► asyncapi      topics and live streams of a product    AsyncAPI 3.1
//!   Addresses                   └─► dcat          the catalogue as linked data            DCAT 3, JSON-LD
//!   files as their team wrote them ─► doors       ODPS, ODCS: byte for byte
//! ```
//!
//! Nothing here is written by hand and nothing is kept: each document is a pure function of the model that runs, so it
//! cannot say what is not so. Texts of others go in as JSON strings and are clipped, never spliced.

pub(crate) mod asyncapi;
pub(crate) mod dcat;
pub(crate) mod doors;
pub(crate) mod json_schema;

use weft_model::product::OutputPort;

use crate::views::KafkaDoor;

/// Most characters of one description in a generated document. The contract, which is linked, has all of it.
pub(crate) const DESCRIPTION_CHARS_MAX: usize = 4096;

/// Where clients find this node.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    /// Where Kafka clients start; none where the node does not say.
    pub(crate) kafka: Option<KafkaDoor>,
    /// `host:port`, as the caller itself named it.
    pub(crate) http: String,
    /// The caller came by TLS, which a proxy in front of us ended.
    pub(crate) by_tls: bool,
}

impl Addresses {
    /// A path of this node as a whole address.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme(), self.http)
    }

    /// `http` or `https`.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.by_tls { "https" } else { "http" }
    }

    /// The brokers to start from, one by one.
    pub(crate) fn brokers(&self) -> impl Iterator<Item = &str> {
        let brokers = self.kafka.as_ref().map_or("", |kafka| kafka.bootstrap.as_str()).split(',');
        brokers.map(str::trim).filter(|broker| !broker.is_empty())
    }
}

/// The text, or its beginning if it is very long.
pub(crate) fn clip(text: &str) -> String {
    match text.char_indices().nth(DESCRIPTION_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// `current-v1`: a name within the product that is also an identifier in every format.
pub(crate) fn port_name(port: &OutputPort) -> String {
    format!("{}-v{}", port.id.port, port.id.major)
}
