//! Record batches: round trips, checks, bombs, and bytes that real clients sent.

use weft_wire::batch::{
    self, BatchError, BatchHeader, BatchSpec, Codec, NewRecord, RecordRules, build, check_records, records,
};

use crate::memory::peak_of;

const HEADERS: &[(&str, Option<&[u8]>)] = &[("one", Some(b"1")), ("none", None)];

fn three() -> Vec<NewRecord<'static>> {
    vec![
        NewRecord { timestamp: 1000, key: Some(b"k"), value: Some(b"v"), headers: HEADERS },
        NewRecord { timestamp: 900, key: None, value: None, headers: &[] },
        NewRecord { timestamp: 2000, key: Some(b""), value: Some(b""), headers: &[] },
    ]
}

fn with(codec: Codec) -> BatchSpec {
    BatchSpec { codec, ..BatchSpec::PLAIN }
}

#[test]
fn every_codec_round_trips() {
    for codec in Codec::ALL {
        let bytes = build(&with(codec), &three());
        let header = BatchHeader::check_from_client(&bytes).unwrap();
        assert_eq!((header.codec(), header.max_timestamp, header.record_count), (Ok(codec), 2000, 3));
        let summary = check_records(&bytes, &header, &RecordRules::ANY).unwrap();
        assert_eq!(summary.max_timestamp, 2000);
        let found = records(&bytes, 1 << 20).unwrap();
        assert_eq!(found.len(), 3);
        for ((offset, new), record) in (0..).zip(three()).zip(found) {
            assert_eq!((record.offset, record.timestamp), (offset, new.timestamp), "{codec:?}");
            assert_eq!((record.key.as_deref(), record.value.as_deref()), (new.key, new.value), "{codec:?}");
            assert_eq!(record.headers.len(), new.headers.len());
        }
    }
}

#[test]
fn large_batches_round_trip_through_the_window() {
    let value: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
    for codec in Codec::ALL {
        let new = [NewRecord { timestamp: 1, key: None, value: Some(&value), headers: &[] }; 2];
        let bytes = build(&with(codec), &new);
        let found = records(&bytes, 16 << 20).unwrap();
        assert!(found.iter().all(|record| record.value.as_deref() == Some(&value)), "{codec:?}");
    }
}

#[test]
fn a_bomb_is_refused_within_the_limit_and_costs_no_memory() {
    let zeros = vec![0; 64 << 20];
    for codec in [Codec::Gzip, Codec::Zstd, Codec::Lz4, Codec::Snappy] {
        let new = [NewRecord { timestamp: 1, key: None, value: Some(&zeros), headers: &[] }];
        let bytes = build(&with(codec), &new);
        let header = BatchHeader::check_from_client(&bytes).unwrap();
        let rules = RecordRules { inflated_bytes_max: 1 << 20, ..RecordRules::ANY };
        let (result, peak) = peak_of(|| check_records(&bytes, &header, &rules));
        assert_eq!(result, Err(BatchError::InflatesTooMuch { limit: 1 << 20 }), "{codec:?}");
        assert!(peak < 10 << 20, "{codec:?} took {peak} bytes");
    }
}

#[test]
fn checking_allocates_nothing_per_record() {
    let peak = |count: usize| {
        let bytes = build(&BatchSpec::PLAIN, &vec![three()[0]; count]);
        let header = BatchHeader::check_from_client(&bytes).unwrap();
        peak_of(|| check_records(&bytes, &header, &RecordRules::ANY).unwrap()).1
    };
    assert_eq!((peak(1), peak(10_000)), (0, 0));
}

#[test]
fn records_that_disagree_with_their_batch_are_refused() {
    let good = build(&BatchSpec::PLAIN, &three());
    let edited = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    // The first record: 61 length, 62 attributes, 63 time, 64 offset, 65 key length.
    for (what, bytes) in [
        ("length", edited(61, 2)),
        ("offset delta", edited(64, 4)),
        ("key length", edited(65, 0x7e)),
        ("negative key length", edited(65, 3)),
        ("count", edited(60, 2)),
        ("count", edited(60, 4)),
    ] {
        let header = BatchHeader::parse(&bytes).unwrap();
        let result = check_records(&bytes, &header, &RecordRules::ANY);
        assert!(matches!(result, Err(BatchError::Record { .. })), "{what}: {result:?}");
    }
}

#[test]
fn timestamps_and_keys_follow_the_rules() {
    let bytes = build(&BatchSpec::PLAIN, &three());
    let header = BatchHeader::check_from_client(&bytes).unwrap();
    let check = |rules: RecordRules| check_records(&bytes, &header, &rules).map(|_| ());
    let keyed = RecordRules { key_required: true, ..RecordRules::ANY };
    assert_eq!(check(keyed), Err(BatchError::NullKey { index: 1 }));
    let bounded = RecordRules { timestamp_min: 950, timestamp_max: 3000, ..RecordRules::ANY };
    assert_eq!(check(bounded), Err(BatchError::Timestamp { timestamp: 900, min: 950, max: 3000 }));
}

#[test]
fn clients_may_not_send_what_is_ours() {
    let plain = build(&BatchSpec::PLAIN, &three());
    let with_attributes = |bits: u8| {
        let mut bytes = plain.clone();
        bytes[22] = bits;
        let crc = crc32c::crc32c(&bytes[21..]).to_be_bytes();
        bytes[17..21].copy_from_slice(&crc);
        BatchHeader::check_from_client(&bytes).map(|_| ())
    };
    assert_eq!(with_attributes(0), Ok(()));
    assert_eq!(with_attributes(8), Err(BatchError::Attributes { bits: 8 }));
    assert_eq!(with_attributes(32), Err(BatchError::Control));
    assert_eq!(with_attributes(64), Err(BatchError::Attributes { bits: 64 }));
    assert_eq!(with_attributes(7), Err(BatchError::UnknownCodec { bits: 7 }));
    assert!(matches!(with_attributes(16), Err(BatchError::Producer { .. })), "transactional without a producer id");
}

/// KIP-98: a marker is a batch of 78 bytes.
#[test]
fn markers_have_the_bytes_of_a_kafka_broker() {
    for commit in [true, false] {
        let bytes = batch::control_batch(7, 3, 5, commit, 1000);
        assert_eq!(bytes.len(), 78);
        let header = BatchHeader::parse(&bytes).unwrap();
        header.check_crc(&bytes).unwrap();
        assert_eq!(header.marker(&bytes), Some(commit));
        assert_eq!(bytes[61..], {
            let kind = u8::from(commit);
            [32, 0, 0, 0, 8, 0, 0, 0, kind, 12, 0, 0, 0, 0, 0, 5, 0]
        });
    }
}

#[test]
fn patching_leaves_the_checksum_right() {
    let mut bytes = build(&BatchSpec::PLAIN, &three());
    batch::patch(&mut bytes, 1_000_000_000_000, 42);
    let header = BatchHeader::parse(&bytes).unwrap();
    header.check_crc(&bytes).unwrap();
    assert_eq!((header.base_offset, header.leader_epoch), (1_000_000_000_000, 42));
}

#[test]
fn records_are_found_by_time_and_from_an_offset() {
    let bytes = build(&BatchSpec::PLAIN, &three());
    let header = BatchHeader::parse(&bytes).unwrap();
    let find = |time, from| batch::first_at_or_after(&bytes, &header, time, from, 1 << 20).unwrap();
    assert_eq!(find(0, 0), Some((0, 1000)));
    assert_eq!(find(0, 1), Some((1, 900)));
    assert_eq!(find(1001, 0), Some((2, 2000)));
    assert_eq!(find(2001, 0), None);
    assert_eq!(batch::first_with_max_timestamp(&bytes, &header, 1 << 20), Ok(Some((2, 2000))));
}
