//! The walk and the decoder agree.

use bytes::Bytes as Buffer;

use super::*;
use crate::env::Rng;
use crate::env::sim::SimRng;

#[path = "../../../tests/it/requests.rs"]
mod decoder;

fn depth(fields: &[Field]) -> u32 {
    fn of(kind: &Kind) -> u32 {
        match kind {
            Kind::Array(element) => of(element),
            Kind::Struct(fields) | Kind::Optional(fields) => depth(fields),
            Kind::Fixed(_) | Kind::Text | Kind::Bytes => 0,
        }
    }
    1 + fields.iter().map(|field| of(&field.kind)).max().unwrap_or(0)
}

#[test]
fn the_deepest_schema_is_within_the_bound() {
    let deepest = requests::SCHEMAS.iter().map(|schema| depth(schema.fields)).max();
    assert!(deepest < Some(DEPTH_MAX), "{deepest:?}");
}

/// Writes a random request that fits the schema.
struct Writer<'a> {
    rng: &'a SimRng,
    version: i16,
    flexible: bool,
    out: Vec<u8>,
}

impl Writer<'_> {
    fn unsigned_varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.out.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }

    fn length(&mut self, length: usize, short: bool) {
        if self.flexible {
            self.unsigned_varint(length as u32 + 1);
        } else if short {
            self.out.extend_from_slice(&(length as i16).to_be_bytes());
        } else {
            self.out.extend_from_slice(&(length as i32).to_be_bytes());
        }
    }

    fn fields(&mut self, fields: &'static [Field]) {
        for field in fields {
            if field.tag.is_none() && (field.from..=field.to).contains(&self.version) {
                self.kind(&field.kind);
            }
        }
        if !self.flexible {
            return;
        }
        let known: Vec<&Field> =
            fields.iter().filter(|field| field.tag.is_some() && field.from <= self.version).collect();
        let with_known = self.rng.one_in(2);
        let unknown = self.rng.below(2) as u32;
        self.unsigned_varint(unknown + if with_known { known.len() as u32 } else { 0 });
        if with_known {
            for field in known {
                let mut inner = Writer { rng: self.rng, version: self.version, flexible: true, out: Vec::new() };
                inner.kind(&field.kind);
                self.unsigned_varint(field.tag.unwrap());
                self.unsigned_varint(inner.out.len() as u32);
                self.out.extend_from_slice(&inner.out);
            }
        }
        if unknown == 1 {
            self.unsigned_varint(1000);
            self.unsigned_varint(3);
            self.out.extend_from_slice(b"abc");
        }
    }

    fn kind(&mut self, kind: &'static Kind) {
        match kind {
            Kind::Fixed(size) => {
                for _ in 0..*size {
                    self.out.push(self.rng.next_u64() as u8);
                }
            }
            Kind::Text | Kind::Bytes => {
                let length = self.rng.below(200) as usize;
                self.length(length, matches!(kind, Kind::Text));
                self.out.extend(std::iter::repeat_n(b'x', length));
            }
            Kind::Array(element) => {
                let count = self.rng.below(4) as usize;
                self.length(count, false);
                for _ in 0..count {
                    self.kind(element);
                }
            }
            Kind::Struct(fields) => self.fields(fields),
            Kind::Optional(fields) => {
                if self.rng.one_in(2) {
                    self.out.push(0xff);
                } else {
                    self.out.push(1);
                    self.fields(fields);
                }
            }
        }
    }
}

fn each_version(mut visit: impl FnMut(&'static Schema, i16)) {
    for schema in requests::SCHEMAS {
        for version in schema.min..=schema.max {
            visit(schema, version);
        }
    }
}

#[test]
fn requests_by_the_schema_are_requests_to_the_decoder() {
    let rng = SimRng::new(1);
    each_version(|schema, version| {
        for _ in 0..20 {
            let flexible = version >= schema.flexible_from;
            let mut writer = Writer { rng: &rng, version, flexible, out: Vec::new() };
            writer.fields(schema.fields);
            let body = Buffer::from(writer.out);
            let key = schema.api_key;
            let walked = check(key, version, &body, &RequestLimits::default());
            assert_eq!(walked, Ok(body.len()), "walk of API {key} version {version}");
            assert_eq!(decoder::decode(key, version, &body), Some(body.len()), "API {key} version {version}");
        }
    });
}

#[test]
fn empty_requests_of_the_encoder_are_walked_to_their_end() {
    each_version(|schema, version| {
        let body = decoder::empty(schema.api_key, version);
        let walked = check(schema.api_key, version, &body, &RequestLimits::default());
        assert_eq!(walked, Ok(body.len()), "API {} version {version}", schema.api_key);
    });
}

/// Whatever the walk lets through, the decoder reads to the same end, if it reads it at all (it also refuses bad UTF-8
/// and null where null is not allowed).
#[test]
fn damaged_requests_that_pass_the_walk_end_where_the_decoder_ends() {
    let rng = SimRng::new(2);
    let (mut passed, mut decoded) = (0, 0);
    each_version(|schema, version| {
        for _ in 0..100 {
            let flexible = version >= schema.flexible_from;
            let mut writer = Writer { rng: &rng, version, flexible, out: Vec::new() };
            writer.fields(schema.fields);
            let mut bytes = writer.out;
            for _ in 0..=rng.below(3) {
                let at = rng.below(bytes.len() as u64) as usize;
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = rng.next_u64() as u8;
                }
            }
            let body = Buffer::from(bytes);
            let Ok(walked) = check(schema.api_key, version, &body, &RequestLimits::default()) else { continue };
            passed += 1;
            if let Some(taken) = decoder::decode(schema.api_key, version, &body) {
                decoded += 1;
                assert_eq!(walked, taken, "API {} version {version}: {body:?}", schema.api_key);
            }
        }
    });
    assert!(passed > 1000 && decoded > 1000, "the test must see both: {passed} passed, {decoded} decoded");
}

#[test]
fn an_array_of_two_billion_is_refused_before_anything_is_allocated() {
    // Metadata 1: one array of topics.
    let body = i32::MAX.to_be_bytes();
    let refused = check(3, 1, &body, &RequestLimits::default());
    assert_eq!(refused, Err(RequestError::Body { api_key: 3, api_version: 1, what: "more elements than bytes" }));
}

#[test]
fn elements_are_counted_over_all_levels() {
    // DeleteRecords 0: two topics, each with three partitions of 12 bytes.
    let mut body = 2i32.to_be_bytes().to_vec();
    for _ in 0..2 {
        body.extend_from_slice(&[0, 1, b't', 0, 0, 0, 3]);
        body.extend_from_slice(&[0; 36]);
    }
    body.extend_from_slice(&[0; 4]);
    assert_eq!(check(21, 0, &body, &RequestLimits { elements_max: 8 }), Ok(body.len()));
    let refused = check(21, 0, &body, &RequestLimits { elements_max: 7 });
    assert_eq!(refused, Err(RequestError::TooManyElements { limit: 7 }));
}
