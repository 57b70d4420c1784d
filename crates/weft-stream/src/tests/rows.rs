//! Single rows: bad ones stand alone, good ones go on.

use weft_model::tests::GivenRow;

use super::lab::{at, checked, compiled, fields, given, order};
use crate::offline::{OfflineOptions, run_with};

fn plain(expr: &str) -> String {
    format!("INSERT INTO plain SELECT id, {expr} AS x, ts FROM orders EMIT CHANGES;")
}

#[track_caller]
fn check(expr: &str, rows: &[GivenRow], expected: &[&str], reasons: &[&str]) {
    let output = checked(&plain(expr), &["plain"], &given(&[("orders", rows)]));
    assert_eq!(fields(&output, "plain", &["id", "x"]), expected);
    let found = fields(&output, "errors", &["reason"]);
    assert_eq!(found.len(), reasons.len(), "{found:?}");
    for (found, wanted) in found.iter().zip(reasons) {
        assert!(found.contains(wanted), "\"{found}\" does not say \"{wanted}\"");
    }
}

#[test]
fn overflow_and_division_by_zero_are_the_rows_own() {
    let rows =
        [order("1", "x", 1, 1.0), order("2", "x", i64::MAX, 2.0), order("3", "x", 3, 3.0), order("4", "x", 0, 4.0)];
    check("amount * 2", &rows, &["1 2", "3 6", "4 0"], &["verflow"]);
    check("12 / amount", &rows, &["1 12", "2 0", "3 4"], &["ivide by zero"]);
}

#[test]
fn one_bad_row_among_thousands() {
    let mut rows: Vec<GivenRow> = (0..2000).map(|n| order(&format!("{n}"), "x", n, 1.0)).collect();
    rows[1234] = GivenRow::Row("{\"id\":\"1234\",\"amount\":\"many\",\"ts\":\"1970-01-01T00:00:01Z\"}".to_owned());
    let program = compiled(&plain("amount"), &["plain"], 1).unwrap();
    let output = run_with(&program, &given(&[("orders", &rows)]), OfflineOptions::default()).unwrap();
    assert_eq!(output.rows("plain").len(), 1999);
    let errors = output.rows("errors");
    let error: serde_json::Value = serde_json::from_str(&errors[0]).unwrap();
    assert_eq!(error["offset"], 1234);
    assert_eq!(error["column"], "amount");
    assert_eq!(error["reason"], "column \"amount\": \"many\" is not a 64-bit integer");
}

#[test]
fn what_is_no_row_is_an_error() {
    let bad = |text: &str| GivenRow::Row(text.to_owned());
    let rows = [
        bad("{\"id\":\"a\",\"amount\":1}"),
        bad("{\"id\":\"b\",\"amount\":1,\"ts\":\"yesterday\"}"),
        bad("{\"id\":\"c\",\"amount\":1.5,\"ts\":\"1970-01-01T00:00:01Z\"}"),
        GivenRow::Delete("{\"id\":\"d\"}".to_owned()),
        order("good", "x", 1, 1.0),
    ];
    check("amount", &rows, &["good 1"], &["1.5", "required", "yesterday", "value is null"]);
}

#[test]
fn a_null_in_a_required_column_of_a_port_is_an_error() {
    let rows = [order("1", "x", 1, 1.0), order("2", "", 2, 2.0), order("3", "y", 3, 3.0)];
    let sql = "INSERT INTO pairs SELECT id AS a, shop AS b, ts FROM orders EMIT CHANGES;";
    let output = checked(sql, &["pairs"], &given(&[("orders", &rows)]));
    assert_eq!(fields(&output, "pairs", &["a", "b"]), ["1 x", "3 y"]);
    let expected = ["1 column \"b\" is null; its contract says required"];
    assert_eq!(fields(&output, "errors", &["offset", "reason"]), expected);
}

#[test]
fn intervals_multiply_and_parameters_stand_for_literals() {
    let sql = "INSERT INTO plain SELECT id, CAST(date_part('minute', ts + amount * INTERVAL '1' MINUTE) AS BIGINT) AS x, ts FROM orders WHERE amount > $limit EMIT CHANGES;";
    let rows = [order("1", "x", 10, 60.0), order("2", "x", 11, 60.0)];
    let output = checked(sql, &["plain"], &given(&[("orders", &rows)]));
    assert_eq!(fields(&output, "plain", &["id", "x", "ts"]), [format!("2 12 {}", at(60.0))]);
}

#[test]
fn record_timestamps_are_event_time_and_never_negative() {
    let program = compiled(&plain("amount"), &["plain"], 1).unwrap();
    let rows = [order("1", "x", 1, 5.0), order("2", "x", 1, -5.0)];
    let output = run_with(&program, &given(&[("orders", &rows)]), OfflineOptions::default()).unwrap();
    let times: Vec<i64> = output.records["plain"].iter().map(|record| record.timestamp_ms).collect();
    assert_eq!(times, [5000, 0]);
}
