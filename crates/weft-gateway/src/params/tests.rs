use proptest::prelude::*;
use serde_json::{Value, json};
use weft_model::product::{Encoding, PortRole};
use weft_model::schema::{ColumnType, Schema};

use super::*;

fn port(kind: PortKind) -> OutputPort {
    let columns = [
        ("origin", ColumnType::String),
        ("carrier", ColumnType::String),
        ("window_start", ColumnType::Timestamp),
        ("flight", ColumnType::Int64),
        ("price", ColumnType::Decimal { precision: 10, scale: 2 }),
        ("share", ColumnType::Float64),
        ("day", ColumnType::Date),
        ("limit", ColumnType::Int64),
        ("open", ColumnType::Boolean),
        ("mean", ColumnType::Float64),
    ];
    let columns = columns.map(|(name, column_type)| Column { name: name.to_owned(), column_type, nullable: true });
    OutputPort {
        id: weft_model::name::PortId {
            product: weft_model::name::ProductId {
                domain: "insights".parse().unwrap(),
                product: "delays".parse().unwrap(),
            },
            port: "current".parse().unwrap(),
            major: 1,
        },
        role: PortRole::Declared,
        kind,
        topic: "insights.delays.current.v1".to_owned(),
        adopted: false,
        partitions: 4,
        contract_id: "delays-current".to_owned(),
        description: String::new(),
        schema: Schema { columns: columns.to_vec() },
        key: ["origin", "carrier", "window_start", "flight", "price", "share", "day", "limit", "open"]
            .map(str::to_owned)
            .to_vec(),
        event_time: Some("window_start".to_owned()),
        event_time_offset_ms: 0,
        column_docs: BTreeMap::new(),
        encoding: Encoding::Json,
        retention_ms: -1,
    }
}

fn equal(value: Value) -> Bound {
    Bound::Equal(value)
}

#[track_caller]
fn reads(kind: PortKind, query: &str) -> PullQuery {
    match pull_query(query, &port(kind), &Options::default()) {
        Ok(read) => read,
        Err(problem) => panic!("{query}: {}", problem.diagnostic()),
    }
}

/// `code: because | try`.
#[track_caller]
fn refuses(kind: PortKind, query: &str, expected: &str) {
    let problem = pull_query(query, &port(kind), &Options::default()).expect_err(query);
    let diagnostic = problem.diagnostic();
    let found = format!("{} {}: {} | {}", diagnostic.code, diagnostic.what, diagnostic.because, diagnostic.try_);
    assert!(found.contains(expected), "{query}\n found {found}\nwanted {expected}");
    assert_eq!(problem.status().as_u16(), 400);
}

#[test]
fn values_take_the_json_form_of_their_column() {
    let read = reads(
        PortKind::Upsert,
        "origin=EWR&carrier=U%41&window_start=2013-01-01T12:00:00%2B01:00&flight=9007199254740993&price=1.5&share=0.25\
         &day=2013-01-31&open=true",
    );
    let expected = [
        ("origin", json!("EWR")),
        ("carrier", json!("UA")),
        ("window_start", json!("2013-01-01T11:00:00.000Z")),
        ("flight", json!(9_007_199_254_740_993_i64)),
        ("price", json!("1.50")),
        ("share", json!(0.25)),
        ("day", json!("2013-01-31")),
        ("open", json!(true)),
    ];
    for (column, value) in expected {
        assert_eq!(read.bounds.get(column), Some(&equal(value)), "{column}");
    }
    assert_eq!(read.rows_max, 1000);
}

#[test]
fn ranges_are_half_open_and_may_miss_a_side() {
    let read = reads(PortKind::Append, "window_start.from=2013-01-01T00:00:00Z&window_start.to=2013-01-02T00:00:00Z");
    let from = Some(json!("2013-01-01T00:00:00.000Z"));
    let to = Some(json!("2013-01-02T00:00:00.000Z"));
    assert_eq!(read.bounds["window_start"], Bound::Range { from: from.clone(), to });
    let read = reads(PortKind::Append, "window_start.from=2013-01-01T00:00:00Z");
    assert_eq!(read.bounds["window_start"], Bound::Range { from, to: None });
    // Nothing lies in an empty range, which is not an error.
    reads(PortKind::Append, "from_offset.0=5&to_offset.0=5");
}

#[test]
fn offsets_limit_and_page() {
    let read = reads(PortKind::Append, "from_offset.0=0&from_offset.3=17&to_offset.3=42&limit=10000&page=abc%3D");
    assert_eq!(read.from_offsets, BTreeMap::from([(0, 0), (3, 17)]));
    assert_eq!(read.to_offsets, BTreeMap::from([(3, 42)]));
    assert_eq!((read.rows_max, read.page.as_deref()), (10_000, Some("abc=")));
    assert_eq!(reads(PortKind::Append, ""), PullQuery { rows_max: 1000, ..PullQuery::default() });
    assert_eq!(reads(PortKind::Append, "&&"), PullQuery { rows_max: 1000, ..PullQuery::default() });
}

#[test]
fn a_column_named_like_a_parameter_is_still_reached() {
    let read = reads(PortKind::Upsert, "limit=5&column.limit=7");
    assert_eq!((read.rows_max, &read.bounds["limit"]), (5, &equal(json!(7))));
    let read = reads(PortKind::Upsert, "column.origin=EWR&column.limit.from=3&column.limit.to=4&column.carrier=");
    assert_eq!(read.bounds["limit"], Bound::Range { from: Some(json!(3)), to: Some(json!(4)) });
    assert_eq!(read.bounds["carrier"], equal(json!("")));
}

#[test]
fn what_is_not_understood_is_refused_with_a_way_out() {
    use PortKind::{Append, Upsert};
    for (kind, query, expected) in [
        (Upsert, "orgin=EWR", "HTTP-010 cannot read parameter \"orgin\""),
        (Upsert, "orgin=EWR", "did you mean \"origin\"?"),
        (Upsert, "window_strat.from=x", "did you mean \"window_start.from\"?"),
        (Upsert, "limt=5", "did you mean \"limit\"?"),
        (Upsert, "=", "select by \"origin\", \"carrier\""),
        (Upsert, "xyz=5", "select by \"origin\", \"carrier\""),
        (Upsert, "mean=1.0", "HTTP-011 cannot select by \"mean\": port \"insights.delays.current@1\" is upsert"),
        (Upsert, "mean=1.0", "POST /v1/sql"),
        (Append, "origin=EWR", "is append and is asked by offsets or by its event time, \"window_start\""),
        (Upsert, "from_offset.0=1", "HTTP-011 cannot select by \"from_offset.0\""),
        (
            Upsert,
            "window_start=yesterday",
            "HTTP-012 cannot read the value of \"window_start\": \"yesterday\" is not a timestamp",
        ),
        (Upsert, "window_start=2013-01-01T11:00:00", "is not a timestamp"),
        (Upsert, "window_start=2013-01-01T12:00:00+01:00", "write it as %2B"),
        (Upsert, "window_start=2013-02-30T12:00:00Z", "is not a timestamp"),
        (Upsert, "flight=9223372036854775808", "is not a 64-bit integer"),
        (Upsert, "flight=1.5", "is not a 64-bit integer"),
        (Upsert, "flight=", "is not a 64-bit integer"),
        (Upsert, "price=1.555", "does not fit decimal(10,2)"),
        (Upsert, "share=NaN", "is not a finite number"),
        (Upsert, "open=1", "is not true or false"),
        (Upsert, "origin=EWR&origin=LGA", "HTTP-013 cannot use parameter \"origin\": it is there twice"),
        (Upsert, "origin=EWR&origin.from=A", "it is given as a value and as a range"),
        (Upsert, "flight.from=10&flight.to=9", "HTTP-013 cannot use parameter \"flight.to\": `to` is before `from`"),
        (Upsert, "origin", "it has no value"),
        (Upsert, "origin=%4", "a % is not followed by two hexadecimal digits"),
        (Upsert, "origin=%zz", "a % is not followed by two hexadecimal digits"),
        (Upsert, "origin=%ff", "it is not UTF-8"),
        (Upsert, "limit=0", "it is 0"),
        (Upsert, "limit=10001", "`http.pull.rows_max` is 10000"),
        (Upsert, "limit=-1", "is not a number of rows"),
        (Upsert, "limit=99999999999999999999999", "is not a number of rows"),
        (Upsert, "limit=1&limit=1", "it is there twice"),
        (Upsert, "page=", "it is empty"),
        (Append, "from_offset.4=1", "has 4 partitions and no partition \"4\""),
        (Append, "from_offset.x=1", "no partition \"x\""),
        (Append, "from_offset.+1=1", "no partition"),
        (Append, "from_offset.01=1", "no partition \"01\""),
        (Append, "from_offset.=1", "no partition \"\""),
        (Append, "from_offset.0=-1", "\"-1\" is not an offset"),
        (Append, "from_offset.0=1&from_offset.0=1", "it is there twice"),
        (Append, "from_offset.0=9&to_offset.0=8", "it is below from_offset.0, which is 9"),
    ] {
        refuses(kind, query, expected);
    }
}

proptest! {
    #[test]
    fn no_text_panics_and_every_refusal_is_the_callers(query in "[ -~é€]{0,200}") {
        if let Err(problem) = pull_query(&query, &port(PortKind::Append), &Options::default()) {
            prop_assert_eq!(problem.status().as_u16(), 400);
        }
    }

    #[test]
    fn pieces_of_real_queries_in_any_order_never_panic(
        pieces in proptest::collection::vec(
            proptest::sample::select(vec![
                "origin", "=", "&", ".from", ".to", "limit", "page", "from_offset.", "to_offset.", "0", "%", "%2B", "+",
                "window_start", "2013-01-01T00:00:00Z", "column.", "-", "9223372036854775807",
            ]),
            0..24,
        ),
    ) {
        let query = pieces.concat();
        for kind in [PortKind::Append, PortKind::Upsert] {
            if let Err(problem) = pull_query(&query, &port(kind), &Options::default()) {
                prop_assert_eq!(problem.status().as_u16(), 400);
            }
        }
    }

    #[test]
    fn every_string_survives_its_percent_encoding(text in "\\PC{0,40}") {
        let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let read = reads(PortKind::Upsert, &format!("origin={encoded}"));
        prop_assert_eq!(&read.bounds["origin"], &equal(Value::from(text)));
    }

    #[test]
    fn every_integer_and_instant_is_read_exactly(number: i64, ms in json::TIMESTAMP_MS_MIN..=json::TIMESTAMP_MS_MAX) {
        let instant = json::format_timestamp_ms(ms);
        let read = reads(PortKind::Upsert, &format!("flight={number}&window_start={instant}"));
        prop_assert_eq!(&read.bounds["flight"], &equal(Value::from(number)));
        prop_assert_eq!(&read.bounds["window_start"], &equal(Value::from(instant)));
    }
}
