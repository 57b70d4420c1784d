//! Opaque tokens: pages of a pull and resume points of a stream. base64url of JSON with a version, the port, the topic's
//! id and the port's generation, so that a token of another topic is told from ours and never misread.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;
/// Longest token we read. Bytes.
const TOKEN_BYTES_MAX: usize = 64 << 10;

/// Where a page ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PageToken {
    pub v: u32,
    /// The port, `domain.product.port@1`.
    pub p: String,
    /// Topic id.
    pub t: Option<String>,
    /// Generation.
    pub g: u32,
    /// Digest of the bounds: a token answers only the question it came from.
    pub q: u64,
    /// Upsert: index key of the last row.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub k: Option<String>,
    /// Append: next offset and end (exclusive) per partition.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub o: BTreeMap<u32, (i64, i64)>,
}

/// Where a stream's reader stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ResumeToken {
    pub v: u32,
    /// The port.
    pub p: String,
    /// Topic id.
    pub t: Option<String>,
    /// Generation.
    pub g: u32,
    /// Next offset per partition.
    pub o: BTreeMap<u32, i64>,
    /// Within the snapshot: index key of the last row sent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub k: Option<String>,
}

/// Base64url of raw bytes inside a token.
pub(crate) fn bytes_text(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

pub(crate) fn text_bytes(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}

fn write<T: Serialize>(token: &T) -> String {
    BASE64.encode(serde_json::to_vec(token).expect("maps with integer keys and strings are JSON"))
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    if text.len() > TOKEN_BYTES_MAX {
        return Err(format!("it has {} bytes, ours have at most {TOKEN_BYTES_MAX}", text.len()));
    }
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    let bytes = BASE64.decode(text).map_err(|_| "it is not base64url".to_owned())?;
    let version: Version = serde_json::from_slice(&bytes).map_err(|_| "it is not one of ours".to_owned())?;
    if version.v != VERSION {
        return Err(format!("it is of version {}, this node reads {VERSION}", version.v));
    }
    serde_json::from_slice(&bytes).map_err(|_| "it is not one of ours".to_owned())
}

impl PageToken {
    pub(crate) fn new(port: String, topic_id: Option<String>, generation: u32, digest: u64) -> Self {
        Self { v: VERSION, p: port, t: topic_id, g: generation, q: digest, k: None, o: BTreeMap::new() }
    }

    pub(crate) fn write(&self) -> String {
        write(self)
    }

    /// The token, if it is this port's, of this generation, for this question.
    pub(crate) fn read(text: &str, expected: &Self) -> Result<Self, String> {
        let token: Self = read(text)?;
        if token.p != expected.p {
            return Err(format!("it belongs to port \"{}\"", token.p));
        }
        if token.g != expected.g || token.t != expected.t {
            return Err(format!("the port was rebuilt (generation {} now, {} then)", expected.g, token.g));
        }
        if token.q != expected.q {
            return Err("it belongs to a query with other bounds".to_owned());
        }
        Ok(token)
    }
}

impl ResumeToken {
    pub(crate) fn new(port: String, topic_id: Option<String>, generation: u32, offsets: BTreeMap<u32, i64>) -> Self {
        Self { v: VERSION, p: port, t: topic_id, g: generation, o: offsets, k: None }
    }

    pub(crate) fn write(&self) -> String {
        write(self)
    }

    pub(crate) fn read(text: &str) -> Result<Self, String> {
        read(text)
    }
}
