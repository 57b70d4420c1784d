//! Golden bytes: keys decide partitions, so these may never change.

use proptest::prelude::*;
use weft_model::json::{self, Scalar};
use weft_model::key::{BadKey, key_bytes, key_json, parse_key};
use weft_model::partitioner::{murmur2, partition_of};
use weft_model::schema::{Column, ColumnType};

fn column(name: &str, column_type: ColumnType) -> Column {
    Column { name: name.to_owned(), column_type, nullable: false }
}

#[test]
fn murmur2_is_kafkas() {
    // From the tests of Kafka's own `Utils.murmur2`, as signed 32-bit integers.
    let cases: [(&[u8], i32); 6] = [
        (b"21", -973_932_308),
        (b"foobar", -790_332_482),
        (b"a-little-bit-long-string", -985_981_536),
        (b"a-little-bit-longer-string", -1_486_304_829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        (b"abc", 479_470_107),
    ];
    for (data, hash) in cases {
        assert_eq!(murmur2(data), hash.cast_unsigned(), "{}", String::from_utf8_lossy(data));
    }
}

#[test]
fn the_sign_bit_does_not_choose_the_partition() {
    assert_eq!(partition_of(b"21", 4), (murmur2(b"21") & 0x7fff_ffff) % 4);
    assert_eq!(partition_of(b"foobar", 1), 0);
}

#[test]
fn key_bytes_are_fixed() {
    let text = |text: &'static str| Scalar::String(text.into());
    let cases: Vec<(Vec<Scalar<'_>>, &[u8])> = vec![
        (vec![text("EWR")], b"EWR"),
        (vec![text("")], b""),
        (vec![text("\"ü\n")], "\"ü\n".as_bytes()),
        (vec![Scalar::Int64(1545)], &[0, 0, 0, 0, 0, 0, 6, 9]),
        (vec![Scalar::Int64(-1)], &[255; 8]),
        (vec![Scalar::Null], b"[null]"),
        (vec![Scalar::Boolean(true)], b"[true]"),
        (vec![Scalar::Timestamp(1_357_038_000_000)], br#"["2013-01-01T11:00:00.000Z"]"#),
        (vec![text("EWR"), text("UA"), Scalar::Int64(1545)], br#"["EWR","UA",1545]"#),
        (vec![text("a\"b\\c\u{1}\t/ü"), Scalar::Null], "[\"a\\\"b\\\\c\\u0001\\t/ü\",null]".as_bytes()),
        (vec![Scalar::Decimal { unscaled: -5, scale: 2 }, Scalar::Date(0)], br#"["-0.05","1970-01-01"]"#),
        (vec![Scalar::Int64(i64::MAX), Scalar::Float64(0.1)], b"[9223372036854775807,0.1]"),
        (vec![Scalar::Bytes(vec![0, 255].into()), Scalar::Int64(0)], br#"["AP8=",0]"#),
    ];
    for (values, bytes) in cases {
        assert_eq!(key_bytes(&values).unwrap(), bytes, "{values:?}");
    }
    assert!(key_bytes(&[Scalar::Float64(f64::NAN)]).is_err());
}

#[test]
fn keys_read_back() {
    let string = column("faa", ColumnType::String);
    let long = column("id", ColumnType::Int64);
    assert_eq!(key_json(b"EWR", &[&string]).unwrap(), r#"{"faa":"EWR"}"#);
    assert_eq!(key_json(&[0, 0, 0, 0, 0, 0, 6, 9], &[&long]).unwrap(), r#"{"id":1545}"#);
    assert_eq!(key_json(br#"["EWR",7]"#, &[&string, &long]).unwrap(), r#"{"faa":"EWR","id":7}"#);
    assert_eq!(parse_key(b"\xff", &[&string]), Err(BadKey::NotUtf8));
    assert_eq!(parse_key(b"1545", &[&long]), Err(BadKey::NotInt64 { bytes: 4 }));
    assert_eq!(parse_key(b"[1]", &[&string, &long]), Err(BadKey::NotArray { columns: 2 }));
    assert!(
        matches!(parse_key(br#"["EWR","7"]"#, &[&string, &long]), Err(BadKey::Column { column, .. }) if column == "id")
    );
}

#[test]
fn timestamps_are_rfc_3339_in_milliseconds() {
    let cases = [
        ("2013-01-01T11:00:00Z", Some(1_357_038_000_000)),
        ("2013-01-01T11:00:00.1239Z", Some(1_357_038_000_123)),
        ("2013-01-01 06:00:00.5-05:00", Some(1_357_038_000_500)),
        ("1970-01-01T00:00:00Z", Some(0)),
        ("1969-12-31T23:59:59.999Z", Some(-1)),
        ("2012-02-29T00:00:00Z", Some(1_330_473_600_000)),
        ("0000-01-01T00:00:00Z", Some(json::TIMESTAMP_MS_MIN)),
        ("9999-12-31T23:59:59.999Z", Some(json::TIMESTAMP_MS_MAX)),
        ("2013-02-29T00:00:00Z", None),
        ("2013-01-01T24:00:00Z", None),
        ("2013-01-01T11:00:00", None),
        ("2013-01-01", None),
        ("2013-01-01T11:00:00.Z", None),
        ("9999-12-31T23:59:59.999-01:00", None),
        ("٢٠١٣-01-01T11:00:00Z", None),
        ("", None),
    ];
    for (text, ms) in cases {
        assert_eq!(json::parse_timestamp_ms(text), ms, "{text}");
    }
    assert_eq!(json::format_timestamp_ms(-1), "1969-12-31T23:59:59.999Z");
}

#[test]
fn floats_are_shortest_and_finite() {
    for (value, text) in
        [(0.1, "0.1"), (15.0, "15.0"), (1e16, "1e16"), (-0.0, "-0.0"), (10.357_019_999_999_999, "10.357019999999999")]
    {
        let mut out = Vec::new();
        json::push_float64(&mut out, value).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }
    assert!(json::push_float64(&mut Vec::new(), f64::INFINITY).is_err());
}

#[test]
fn values_of_other_types_are_refused() {
    use serde_json::json;
    let decimal = ColumnType::Decimal { precision: 4, scale: 2 };
    for (value, column_type, fits) in [
        (json!(3), ColumnType::Int64, true),
        (json!(3.0), ColumnType::Int64, true),
        (json!(3.5), ColumnType::Int64, false),
        (json!(1e300), ColumnType::Int64, false),
        (json!("3"), ColumnType::Int64, false),
        (json!(3), ColumnType::String, false),
        (json!("12.5"), decimal, true),
        (json!("12.500"), decimal, true),
        (json!("12.505"), decimal, false),
        (json!("123.5"), decimal, false),
        (json!("99.99"), decimal, true),
        (json!("1e2"), decimal, false),
        (json!("2013-01-01"), ColumnType::Date, true),
        (json!("2013-13-01"), ColumnType::Date, false),
        (json!("AP8="), ColumnType::Bytes, true),
        (json!("AP8"), ColumnType::Bytes, false),
        (json!(null), ColumnType::Int64, true),
        (json!(1), ColumnType::Boolean, false),
    ] {
        assert_eq!(json::parse_value(&value, column_type).is_ok(), fits, "{value} as {column_type:?}");
    }
}

proptest! {
    #[test]
    fn strings_read_back(text in ".*") {
        let mut out = Vec::new();
        json::push_string(&mut out, &text);
        prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
    }

    #[test]
    fn timestamps_read_back(ms in json::TIMESTAMP_MS_MIN..=json::TIMESTAMP_MS_MAX) {
        prop_assert_eq!(json::parse_timestamp_ms(&json::format_timestamp_ms(ms)), Some(ms));
    }

    #[test]
    fn decimals_read_back(unscaled in -(10_i128.pow(38) - 1)..10_i128.pow(38), scale in 0_i8..=38) {
        let text = json::format_decimal(unscaled, scale);
        prop_assert_eq!(json::parse_decimal(&text, 38, scale), Ok(unscaled));
    }

    #[test]
    fn any_text_is_read_without_panic(text in ".{0,40}") {
        json::parse_timestamp_ms(&text);
        json::parse_date(&text);
        let _ = json::parse_decimal(&text, 12, 2);
    }

    #[test]
    fn keys_of_several_columns_read_back(text in ".*", long in any::<i64>(), ms in json::TIMESTAMP_MS_MIN..=json::TIMESTAMP_MS_MAX) {
        let columns = [column("a", ColumnType::String), column("b", ColumnType::Int64), column("c", ColumnType::Timestamp)];
        let values = vec![Scalar::String(text.into()), Scalar::Int64(long), Scalar::Timestamp(ms)];
        let bytes = key_bytes(&values).unwrap();
        prop_assert_eq!(parse_key(&bytes, &columns.each_ref()).unwrap(), values);
    }
}
