//! A seeded fuzz runner on stable Rust: every decoder of untrusted bytes gets random and damaged input and must
//! neither panic nor take more memory than its bound. `WEFT_FUZZ_ROUNDS` makes it longer; the seed of a failure is in
//! the message.

use bytes::Bytes;
use weft_wire::batch::{self, BatchHeader, BatchSpec, Codec, NewRecord, RecordRules};
use weft_wire::env::Rng;
use weft_wire::env::sim::SimRng;
use weft_wire::request::{Request, RequestLimits, schema};

use crate::memory::peak_of;
use crate::requests;

fn rounds() -> u64 {
    std::env::var("WEFT_FUZZ_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(300)
}

/// Interesting lengths and counts, as they stand in bytes.
const NASTY: [[u8; 4]; 6] =
    [[0x7f, 0xff, 0xff, 0xff], [0xff; 4], [0x80, 0, 0, 0], [0xff, 0xff, 0xff, 0x7f], [0; 4], [0x7f, 0xff, 0, 1]];

fn damage(bytes: &mut Vec<u8>, rng: &SimRng) {
    for _ in 0..=rng.below(4) {
        let at = rng.below(bytes.len() as u64 + 1) as usize;
        match rng.below(5) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, rng.next_u64() as u8),
            2 | 3 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = rng.next_u64() as u8;
                }
            }
            _ => {
                let nasty = NASTY[rng.below(6) as usize];
                for (place, byte) in bytes.iter_mut().skip(at).zip(nasty) {
                    *place = byte;
                }
            }
        }
    }
}

fn random(rng: &SimRng, length: u64) -> Vec<u8> {
    (0..rng.below(length)).map(|_| if rng.one_in(3) { 0xff } else { rng.next_u64() as u8 }).collect()
}

#[test]
fn request_bodies() {
    let limits = RequestLimits::default();
    for api_key in schema::api_keys() {
        let (min, max) = schema::versions(api_key).unwrap();
        for version in min..=max {
            for round in 0..rounds() / 10 {
                let seed = round << 32 | (api_key as u64) << 16 | version as u64;
                let rng = SimRng::new(seed);
                let mut bytes =
                    if rng.one_in(2) { random(&rng, 300) } else { requests::empty(api_key, version).to_vec() };
                damage(&mut bytes, &rng);
                let body = Bytes::from(bytes);
                let (_, peak) = peak_of(|| {
                    if schema::check(api_key, version, &body, &limits).is_ok() {
                        requests::decode(api_key, version, &body);
                    }
                });
                // A byte on the wire is at most an empty element in memory.
                let bound = 4096 + 400 * body.len();
                assert!(peak <= bound, "seed {seed}: API {api_key} version {version} took {peak} bytes for {body:?}");
            }
        }
    }
}

/// Without the walk the decoder takes what the length says: this is why the walk is there.
#[test]
fn the_decoder_alone_would_allocate_by_the_length() {
    let body = Bytes::from_static(&[0, 0x10, 0, 0]); // Metadata 1: a million topics
    let (_, peak) = peak_of(|| requests::decode(3, 1, &body));
    assert!(peak > 1 << 20, "{peak}");
}

#[test]
fn request_headers() {
    for seed in 0..rounds() * 10 {
        let rng = SimRng::new(seed);
        let mut bytes = random(&rng, 100);
        if rng.one_in(2) {
            bytes.splice(..0, [0, rng.below(80) as u8, 0, rng.below(20) as u8, 0, 0, 0, 1, 0, 1, b'c']);
        }
        let frame = Bytes::from(bytes);
        let (_, peak) = peak_of(|| Request::parse(&frame).ok());
        assert!(peak < 4096, "seed {seed}: {peak} bytes for {frame:?}");
    }
}

fn valid_batch(rng: &SimRng) -> Vec<u8> {
    let value = vec![b'v'; rng.below(3000) as usize];
    let headers: [(&str, Option<&[u8]>); 2] = [("h", Some(b"x")), ("n", None)];
    let record = NewRecord { timestamp: 5, key: Some(b"key"), value: Some(&value), headers: &headers };
    let new = vec![record; 1 + rng.below(20) as usize];
    let codec = Codec::ALL[rng.below(5) as usize];
    batch::build(&BatchSpec { codec, ..BatchSpec::PLAIN }, &new)
}

/// Puts the right CRC on damaged bytes, so that they get past it.
fn reseal(bytes: &mut [u8]) {
    if bytes.len() >= batch::HEADER_BYTES {
        let length = (bytes.len() as i32 - 12).to_be_bytes();
        bytes[8..12].copy_from_slice(&length);
        bytes[16] = 2;
        let crc = crc32c::crc32c(&bytes[21..]).to_be_bytes();
        bytes[17..21].copy_from_slice(&crc);
    }
}

#[test]
fn record_batches() {
    const INFLATED_MAX: u64 = 1 << 20;
    let rules = RecordRules { inflated_bytes_max: INFLATED_MAX, ..RecordRules::ANY };
    let mut accepted = 0;
    for seed in 0..rounds() * 5 {
        let rng = SimRng::new(seed);
        let mut bytes = valid_batch(&rng);
        if !rng.one_in(10) {
            damage(&mut bytes, &rng);
        }
        if !rng.one_in(4) {
            reseal(&mut bytes);
        }
        let (ok, peak) = peak_of(|| {
            let header = BatchHeader::check_from_client(&bytes).ok()?;
            batch::check_records(&bytes, &header, &rules).ok()
        });
        accepted += u32::from(ok.is_some());
        // The window, and what the largest codec keeps: LZ4 blocks of 4 MiB, twice and a half.
        assert!(peak < 12 << 20, "seed {seed}: checking took {peak} bytes");
        let (_, peak) = peak_of(|| batch::records(&bytes, INFLATED_MAX).ok().map(|records| records.len()));
        assert!(peak < 16 << 20, "seed {seed}: reading took {peak} bytes");
        let _ = batch::split(&bytes);
    }
    assert!(accepted > 20, "some must be good: {accepted}");
}

#[test]
fn random_bytes_are_no_batch() {
    for seed in 0..rounds() * 10 {
        let rng = SimRng::new(seed);
        let mut bytes = random(&rng, 400);
        reseal(&mut bytes);
        if let Ok(header) = BatchHeader::parse(&bytes) {
            let (_, peak) = peak_of(|| batch::check_records(&bytes, &header, &RecordRules::ANY).ok());
            assert!(peak < 12 << 20, "seed {seed}: {peak}");
        }
    }
}
