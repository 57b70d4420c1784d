//! Walking a request before it is decoded.

mod requests;

use super::{RequestError, RequestLimits};
use crate::varint::Cursor;

/// For fields that are there up to the newest version.
const LATEST: i16 = i16::MAX;

/// For requests without a flexible version.
const NEVER: i16 = i16::MAX;

/// Deepest nesting of any schema; a test says so.
const DEPTH_MAX: u32 = 6;

/// One request type.
struct Schema {
    api_key: i16,
    /// Versions that the decoder takes.
    min: i16,
    max: i16,
    /// First version with compact lengths and tagged fields (KIP-482).
    flexible_from: i16,
    fields: &'static [Field],
}

/// One field of a request or of a structure in it.
struct Field {
    /// For people; the walk does not need it.
    #[expect(dead_code, reason = "names make the table readable")]
    name: &'static str,
    from: i16,
    to: i16,
    tag: Option<u32>,
    kind: Kind,
}

/// How a field stands in the bytes.
#[derive(Clone, Copy)]
enum Kind {
    /// So many bytes.
    Fixed(usize),
    /// Length (i16, or compact), then UTF-8. May be null.
    Text,
    /// Length (i32, or compact), then bytes. May be null.
    Bytes,
    /// Count (i32, or compact), then elements. May be null.
    Array(&'static Kind),
    /// Fields, then tagged fields in flexible versions.
    Struct(&'static [Field]),
    /// A sign (−1 = none), then a structure.
    Optional(&'static [Field]),
}

const fn field(name: &'static str, from: i16, to: i16, kind: Kind) -> Field {
    Field { name, from, to, tag: None, kind }
}

const fn tagged(tag: u32, name: &'static str, from: i16, kind: Kind) -> Field {
    Field { name, from, to: LATEST, tag: Some(tag), kind }
}

fn schema(api_key: i16) -> Option<&'static Schema> {
    requests::SCHEMAS.iter().find(|schema| schema.api_key == api_key)
}

/// Versions of an API whose requests can be decoded, `None` for an API that we do not know. What is *served* is the
/// broker's decision.
pub fn versions(api_key: i16) -> Option<(i16, i16)> {
    schema(api_key).map(|schema| (schema.min, schema.max))
}

/// Every API key there is a schema for, ascending.
pub fn api_keys() -> impl Iterator<Item = i16> {
    requests::SCHEMAS.iter().map(|schema| schema.api_key)
}

/// Does this version use compact lengths and tagged fields? False for an API that we do not know.
pub fn is_flexible(api_key: i16, api_version: i16) -> bool {
    schema(api_key).is_some_and(|schema| api_version >= schema.flexible_from)
}

/// Walks a body: every length fits what is there, and there are no more elements than allowed. Answers how many bytes
/// the request takes.
pub fn check(api_key: i16, api_version: i16, body: &[u8], limits: &RequestLimits) -> Result<usize, RequestError> {
    let schema = schema(api_key)
        .filter(|schema| (schema.min..=schema.max).contains(&api_version))
        .ok_or(RequestError::Unsupported { api_key, api_version })?;
    let mut walk = Walk {
        cursor: Cursor::new(body),
        version: api_version,
        flexible: api_version >= schema.flexible_from,
        elements: limits.elements_max,
    };
    match walk.fields(schema.fields, DEPTH_MAX) {
        Ok(()) => Ok(body.len() - walk.cursor.remaining()),
        Err(Wrong::TooMany) => Err(RequestError::TooManyElements { limit: limits.elements_max }),
        Err(Wrong::Bytes(what)) => Err(RequestError::Body { api_key, api_version, what }),
    }
}

enum Wrong {
    Bytes(&'static str),
    TooMany,
}

const ENDS_EARLY: Wrong = Wrong::Bytes("ends early");

struct Walk<'a> {
    cursor: Cursor<'a>,
    version: i16,
    flexible: bool,
    /// Still allowed.
    elements: u32,
}

impl Walk<'_> {
    fn fields(&mut self, fields: &'static [Field], depth: u32) -> Result<(), Wrong> {
        let depth = depth.checked_sub(1).ok_or(Wrong::Bytes("nested too deep"))?;
        for field in fields {
            if field.tag.is_none() && (field.from..=field.to).contains(&self.version) {
                self.kind(&field.kind, depth)?;
            }
        }
        if self.flexible { self.tagged_fields(fields, depth) } else { Ok(()) }
    }

    fn tagged_fields(&mut self, fields: &'static [Field], depth: u32) -> Result<(), Wrong> {
        let count = self.cursor.unsigned_varint().ok_or(ENDS_EARLY)?;
        self.count(count, 2)?;
        for _ in 0..count {
            let tag = self.cursor.unsigned_varint().ok_or(ENDS_EARLY)?;
            let size = self.cursor.unsigned_varint().ok_or(ENDS_EARLY)? as usize;
            let before = self.cursor.remaining();
            if size > before {
                return Err(Wrong::Bytes("tagged field is longer than the request"));
            }
            let version = self.version;
            match fields.iter().find(|field| field.tag == Some(tag)) {
                None => {
                    self.cursor.take(size).ok_or(ENDS_EARLY)?;
                }
                Some(field) if version < field.from => return Err(Wrong::Bytes("tag of a later version")),
                Some(field) => {
                    self.kind(&field.kind, depth)?;
                    if before - self.cursor.remaining() != size {
                        return Err(Wrong::Bytes("tagged field and its size disagree"));
                    }
                }
            }
        }
        Ok(())
    }

    fn kind(&mut self, kind: &'static Kind, depth: u32) -> Result<(), Wrong> {
        match kind {
            Kind::Fixed(size) => {
                self.cursor.take(*size).ok_or(ENDS_EARLY)?;
                Ok(())
            }
            Kind::Text => {
                let length =
                    if self.flexible { self.compact()? } else { self.cursor.i16().map(i32::from).ok_or(ENDS_EARLY)? };
                self.pass(length)
            }
            Kind::Bytes => {
                let length = if self.flexible { self.compact()? } else { self.cursor.i32().ok_or(ENDS_EARLY)? };
                self.pass(length)
            }
            Kind::Array(element) => {
                let count = if self.flexible { self.compact()? } else { self.cursor.i32().ok_or(ENDS_EARLY)? };
                if count == -1 {
                    return Ok(());
                }
                let count = u32::try_from(count).map_err(|_| Wrong::Bytes("negative array length"))?;
                self.count(count, 1)?;
                for _ in 0..count {
                    self.kind(element, depth)?;
                }
                Ok(())
            }
            Kind::Struct(fields) => self.fields(fields, depth),
            Kind::Optional(fields) => match self.cursor.u8().ok_or(ENDS_EARLY)?.cast_signed() {
                -1 => Ok(()),
                1 => self.fields(fields, depth),
                _ => Err(Wrong::Bytes("neither a structure nor none")),
            },
        }
    }

    /// A compact length: one more than the length, 0 for null.
    fn compact(&mut self) -> Result<i32, Wrong> {
        let plus_one = self.cursor.unsigned_varint().ok_or(ENDS_EARLY)?;
        i32::try_from(i64::from(plus_one) - 1).map_err(|_| Wrong::Bytes("length over 2 GiB"))
    }

    fn pass(&mut self, length: i32) -> Result<(), Wrong> {
        if length == -1 {
            return Ok(());
        }
        let length = usize::try_from(length).map_err(|_| Wrong::Bytes("negative length"))?;
        self.cursor.take(length).ok_or(ENDS_EARLY)?;
        Ok(())
    }

    /// So many elements of at least `least` bytes must fit what is left, and what is still allowed.
    fn count(&mut self, count: u32, least: usize) -> Result<(), Wrong> {
        if (count as usize).saturating_mul(least) > self.cursor.remaining() {
            return Err(Wrong::Bytes("more elements than bytes"));
        }
        self.elements = self.elements.checked_sub(count).ok_or(Wrong::TooMany)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
