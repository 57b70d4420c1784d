//! Tumbling windows: bounds, lateness by header, changes and finals.

use weft_model::tests::GivenRow;

use crate::offline::{OfflineOptions, run_with};

use super::lab::{at, checked, fields, given, order, progress};

const BOTH: &str = "
INSERT INTO changes
SELECT window_start, window_end, shop, COUNT(*) AS n, SUM(amount) AS total
FROM TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '1' MINUTE, GRACE INTERVAL '10' SECOND)
GROUP BY window_start, window_end, shop EMIT CHANGES;
INSERT INTO finals
SELECT window_start, window_end, shop, COUNT(*) AS n, SUM(amount) AS total
FROM TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '1' MINUTE, GRACE INTERVAL '10' SECOND)
GROUP BY window_start, window_end, shop EMIT FINAL;";

const PORTS: [&str; 2] = ["changes", "finals"];

#[track_caller]
fn check(rows: &[GivenRow], finals: &[&str], late: usize) {
    let output = checked(BOTH, &PORTS, &given(&[("orders", rows)]));
    assert_eq!(fields(&output, "finals", &["window_start", "shop", "n", "total"]), finals);
    assert_eq!(output.rows("late").len(), late);
    // Finals are the last changes.
    let mut changes = output.rows("changes");
    let mut last = output.rows("finals");
    changes.sort();
    last.sort();
    for row in &last {
        assert!(changes.contains(row), "{row} is no last change");
    }
}

#[test]
fn a_window_holds_its_start_and_not_its_end() {
    let (zero, minute) = (at(0.0), at(60.0));
    check(
        &[order("1", "x", 1, 59.999), order("2", "x", 2, 60.0), GivenRow::Complete],
        &[&format!("{zero} x 1 1"), &format!("{minute} x 1 2")],
        0,
    );
}

#[test]
fn before_1970_windows_are_floored() {
    let start = at(-60.0);
    check(
        &[order("1", "x", 1, -0.001), order("2", "x", 2, -60.0), GivenRow::Complete],
        &[&format!("{start} x 2 3")],
        0,
    );
}

#[test]
fn a_row_is_late_from_end_plus_grace_on_and_not_before() {
    let zero = at(0.0);
    let early = [order("1", "x", 1, 10.0), progress(69.999), order("2", "x", 2, 20.0), GivenRow::Complete];
    check(&early, &[&format!("{zero} x 2 3")], 0);
    let late = [order("1", "x", 1, 10.0), progress(70.0), order("2", "x", 2, 20.0), GivenRow::Complete];
    check(&late, &[&format!("{zero} x 1 1")], 1);
}

#[test]
fn a_late_row_keeps_its_bytes_and_says_its_window() {
    let row = order("2", "x", 2, 20.0);
    let GivenRow::Row(text) = &row else { panic!("a row") };
    let rows = [order("1", "x", 1, 10.0), progress(80.0), row.clone(), GivenRow::Complete];
    let output = checked(BOTH, &PORTS, &given(&[("orders", &rows)]));
    let late = output.rows("late");
    let late: serde_json::Value = serde_json::from_str(&late[0]).unwrap();
    use base64::Engine as _;
    let raw = base64::engine::general_purpose::STANDARD.decode(late["raw"].as_str().unwrap()).unwrap();
    assert_eq!(String::from_utf8(raw).unwrap(), *text);
    assert_eq!(late["window_start"], at(0.0));
    assert_eq!(late["window_end"], at(60.0));
    assert_eq!(late["watermark"], at(80.0));
    assert_eq!(late["topic"], "lab.orders.orders.v1");
    assert_eq!(late["offset"], 1);
}

#[test]
fn without_progress_no_window_closes() {
    let output = checked(BOTH, &PORTS, &given(&[("orders", &[order("1", "x", 1, 10.0), progress(60.0)])]));
    assert_eq!(output.rows("finals"), Vec::<String>::new());
    assert_eq!(output.rows("changes").len(), 1);
    assert_eq!(output.watermarks["changes"], 50_000); // 60 s less 10 s of grace
}

#[test]
fn null_is_a_group_of_its_own() {
    let zero = at(0.0);
    check(
        &[order("1", "", 1, 1.0), order("2", "", 2, 2.0), order("3", "x", 4, 3.0), GivenRow::Complete],
        &[&format!("{zero} null 2 3"), &format!("{zero} x 1 4")],
        0,
    );
}

#[test]
fn rows_out_of_order_within_the_watermark_count() {
    let zero = at(0.0);
    let rows = [
        order("1", "x", 1, 50.0),
        order("2", "x", 2, 5.0),
        order("3", "x", 4, 130.0),
        order("4", "x", 8, 1.0),
        GivenRow::Complete,
    ];
    check(&rows, &[&format!("{zero} x 3 11"), &format!("{} x 1 4", at(120.0))], 0);
}

#[test]
fn many_rows_in_any_cut_and_mix_give_the_same_windows() {
    let mut rows = Vec::new();
    for n in 0..600_i64 {
        if n % 50 == 0 {
            rows.push(progress((n as f64 - 20.0).max(0.0)));
        }
        let wobble = f64::from(i32::try_from(n * 7 % 40).unwrap());
        rows.push(order(&format!("o{n}"), ["x", "y", "", "z"][usize::try_from(n % 4).unwrap()], n, n as f64 - wobble));
    }
    rows.push(GivenRow::Complete);
    let output = checked(BOTH, &PORTS, &given(&[("orders", &rows)]));
    let counted: i64 = fields(&output, "finals", &["n"]).iter().map(|n| n.parse::<i64>().unwrap()).sum();
    let late = i64::try_from(output.rows("late").len()).unwrap();
    assert!(late > 0, "the wobble makes some late");
    assert_eq!(counted + late, 600);
}

#[test]
fn a_sum_that_overflows_sends_its_row_to_errors_and_counts_the_rest() {
    // One partition: which row is one too many depends on their order.
    let rows = [order("1", "x", i64::MAX, 1.0), order("2", "x", 1, 2.0), order("3", "x", -1, 3.0), GivenRow::Complete];
    let program = super::lab::compiled(BOTH, &PORTS, 1).unwrap();
    for batch_rows in [1, 2, 4096] {
        let options = OfflineOptions { batch_rows, ..OfflineOptions::default() };
        let output = run_with(&program, &given(&[("orders", &rows)]), options).unwrap();
        assert_eq!(fields(&output, "finals", &["n", "total"]), [format!("2 {}", i64::MAX - 1)]);
        assert_eq!(fields(&output, "errors", &["reason"]), ["a SUM overflows its type"]);
    }
}
