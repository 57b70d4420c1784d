//! Requests: the header, and bodies that are walked before they are decoded.
//!
//! The decoders of `kafka-protocol` allocate what an array length on the wire says. So [`schema`] walks the bytes
//! first, with a schema of every request we serve: it proves that every length fits the bytes that are there and that
//! the number of elements is within a bound. Only then the decoder runs.

mod fetched;
pub mod schema;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::ResponseHeader;
use kafka_protocol::protocol::{Encodable, HeaderVersion};

use crate::varint::Cursor;

/// One request, its header read, its body still bytes.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which API.
    pub api_key: i16,
    /// Which version of it.
    pub api_version: i16,
    /// Echoed in the response.
    pub correlation_id: i32,
    /// What the client calls itself; cut at 255 bytes, made valid UTF-8.
    pub client_id: Option<String>,
    /// The rest. For an API or version that we do not know it may begin with a part of the header.
    pub body: Bytes,
}

/// Bounds on one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// Array elements and tagged fields in one request, all levels together. Default 100,000: each costs about 100
    /// bytes once decoded.
    pub elements_max: u32,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self { elements_max: 100_000 }
    }
}

/// Why a request cannot be read. All of them close the connection, but [`RequestError::Unsupported`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not even a header.
    #[error("request header is malformed")]
    Header,
    /// We do not serve this API or this version of it.
    #[error("API {api_key} version {api_version} is not served")]
    Unsupported {
        /// API key.
        api_key: i16,
        /// Version.
        api_version: i16,
    },
    /// The body breaks its schema.
    #[error("request body (API {api_key} version {api_version}): {what}")]
    Body {
        /// API key.
        api_key: i16,
        /// Version.
        api_version: i16,
        /// What is wrong.
        what: &'static str,
    },
    /// More elements than allowed.
    #[error("request has more than {limit} elements")]
    TooManyElements {
        /// The limit.
        limit: u32,
    },
}

impl Request {
    /// Reads the header of a frame.
    pub fn parse(frame: &Bytes) -> Result<Self, RequestError> {
        let mut cursor = Cursor::new(frame);
        let header = || RequestError::Header;
        let api_key = cursor.i16().ok_or_else(header)?;
        let api_version = cursor.i16().ok_or_else(header)?;
        let correlation_id = cursor.i32().ok_or_else(header)?;
        let client_id = match cursor.i16().ok_or_else(header)? {
            -1 => None,
            length => {
                let length = usize::try_from(length).map_err(|_| RequestError::Header)?;
                let bytes = cursor.take(length).ok_or_else(header)?;
                Some(String::from_utf8_lossy(bytes.get(..255).unwrap_or(bytes)).into_owned())
            }
        };
        if schema::is_flexible(api_key, api_version) {
            let fields = cursor.unsigned_varint().ok_or_else(header)?;
            for _ in 0..fields {
                cursor.unsigned_varint().ok_or_else(header)?;
                let size = cursor.unsigned_varint().ok_or_else(header)?;
                cursor.take(size as usize).ok_or_else(header)?;
            }
        }
        let body = frame.slice(frame.len() - cursor.remaining()..);
        Ok(Self { api_key, api_version, correlation_id, client_id, body })
    }

    /// Decodes the body, after the walk.
    pub fn decode<T: kafka_protocol::protocol::Request>(&self, limits: &RequestLimits) -> Result<T, RequestError> {
        let (api_key, api_version) = (self.api_key, self.api_version);
        if T::KEY != api_key {
            return Err(RequestError::Unsupported { api_key, api_version });
        }
        let _taken = schema::check(api_key, api_version, &self.body, limits)?;
        T::decode(&mut self.body.clone(), api_version).map_err(|_| RequestError::Body {
            api_key,
            api_version,
            what: "does not decode",
        })
    }

    /// Encodes a response to this request: header and body, without the frame's length.
    pub fn respond<T: Encodable + HeaderVersion>(&self, response: &T) -> Result<Bytes, RequestError> {
        respond(self.correlation_id, self.api_key, self.api_version, response)
    }
}

/// Encodes a response: header and body, without the frame's length.
pub fn respond<T: Encodable + HeaderVersion>(
    correlation_id: i32,
    api_key: i16,
    api_version: i16,
    response: &T,
) -> Result<Bytes, RequestError> {
    let wrong = |_| RequestError::Body { api_key, api_version, what: "response does not encode" };
    let size = response.compute_size(api_version).map_err(wrong)?;
    let mut out = BytesMut::with_capacity(size + 8);
    let header_version = T::header_version(api_version);
    ResponseHeader::default().with_correlation_id(correlation_id).encode(&mut out, header_version).map_err(wrong)?;
    response.encode(&mut out, api_version).map_err(wrong)?;
    Ok(out.freeze())
}
