//! Joins with tables as of a row's time, and of streams within bounds.

use weft_model::tests::GivenRow;

use super::lab::{Given, checked, fields, given, order, progress, shop, view};
use crate::offline::{OfflineOptions, run_with};

const TABLE: &str = "INSERT INTO joined SELECT o.id, o.shop, s.city, o.ts FROM orders o LEFT JOIN shops s ON s.shop = o.shop EMIT CHANGES;";

#[track_caller]
fn table(sql: &str, orders: &[GivenRow], shops: &[GivenRow], expected: &[&str], late: usize) {
    let output = checked(sql, &["joined"], &given(&[("orders", orders), ("shops", shops)]));
    assert_eq!(fields(&output, "joined", &["id", "city"]), expected);
    assert_eq!(output.rows("late").len(), late);
}

#[test]
fn a_table_row_of_the_same_time_is_seen_and_a_newer_one_is_not() {
    let shops = [shop("x", "old", 1.0), shop("x", "same", 10.0), shop("x", "new", 10.001), GivenRow::Complete];
    let orders = [
        order("0", "x", 1, 0.5),
        order("1", "x", 1, 9.999),
        order("2", "x", 1, 10.0),
        order("3", "x", 1, 11.0),
        GivenRow::Complete,
    ];
    table(TABLE, &orders, &shops, &["0 null", "1 old", "2 same", "3 new"], 0);
}

#[test]
fn a_row_waits_until_the_table_is_past_its_time() {
    // The table never gets past 20 s: a row from there on stays at the head of its queue, neither lost nor joined with
    // nothing. One partition: with more, a row may wait behind another writer's.
    let shops = [shop("x", "a", 1.0), progress(20.0)];
    let orders = [order("1", "x", 1, 19.999), order("2", "x", 1, 20.0), GivenRow::Complete];
    let program = super::lab::compiled(TABLE, &["joined"], 1).unwrap();
    for batch_rows in [1, 4096] {
        let options = OfflineOptions { batch_rows, ..OfflineOptions::default() };
        let output = run_with(&program, &given(&[("orders", &orders), ("shops", &shops)]), options).unwrap();
        assert_eq!(fields(&output, "joined", &["id", "city"]), ["1 a"]);
        assert_eq!(output.rows("late").len() + output.rows("errors").len(), 0);
    }
}

#[test]
fn deleted_is_gone_from_then_on() {
    let gone = GivenRow::Delete("{\"shop\":\"x\"}".to_owned());
    let shops = [shop("x", "a", 1.0), progress(10.0), gone, progress(30.0), GivenRow::Complete];
    let orders = [order("1", "x", 1, 5.0), order("2", "x", 1, 10.0), order("3", "x", 1, 40.0), GivenRow::Complete];
    table(TABLE, &orders, &shops, &["1 a", "2 null", "3 null"], 0);
}

#[test]
fn null_keys_match_nothing_and_left_keeps_them() {
    let shops = [shop("x", "a", 0.0), GivenRow::Complete];
    let orders = [order("1", "", 1, 5.0), order("2", "x", 1, 6.0), order("3", "y", 1, 7.0), GivenRow::Complete];
    table(TABLE, &orders, &shops, &["1 null", "2 a", "3 null"], 0);
    let inner = TABLE.replace("LEFT JOIN", "JOIN");
    table(&inner, &orders, &shops, &["2 a"], 0);
    let condition = TABLE.replace("EMIT", "AND s.city <> 'a' EMIT");
    table(&condition, &orders, &shops, &["1 null", "2 null", "3 null"], 0);
}

#[test]
fn a_row_behind_its_watermark_is_late_since_versions_are_gone() {
    let shops = [shop("x", "a", 0.0), GivenRow::Complete];
    let orders = [progress(10.0), order("1", "x", 1, 10.0), order("2", "x", 1, 9.999), GivenRow::Complete];
    table(TABLE, &orders, &shops, &["1 a"], 1);
}

#[test]
fn broadcast_tables_join_without_repartition() {
    let sql = "INSERT INTO joined SELECT o.id, o.shop, c.country AS city, o.ts FROM orders o JOIN cities c ON c.city = o.shop EMIT CHANGES;";
    let program = super::lab::compiled(sql, &["joined"], 4).unwrap();
    assert_eq!(program.subtopologies.len(), 1);
    assert_eq!(program.internal_topics(1), Vec::new());
    let city = GivenRow::Row("{\"city\":\"x\",\"country\":\"CH\"}".to_owned());
    let input: Given =
        given(&[("orders", &[order("1", "x", 1, 5.0), GivenRow::Complete]), ("cities", &[city, GivenRow::Complete])]);
    let output = checked(sql, &["joined"], &input);
    assert_eq!(fields(&output, "joined", &["id", "city"]), ["1 CH"]);
}

const WITHIN: &str = "INSERT INTO pairs SELECT o.id AS a, v.id AS b, v.ts FROM orders o JOIN views v ON v.shop = o.shop
  AND v.ts BETWEEN o.ts - INTERVAL '5' SECOND AND o.ts + INTERVAL '10' SECOND EMIT CHANGES;";

#[track_caller]
fn within(sql: &str, orders: &[GivenRow], views: &[GivenRow], expected: &[&str]) {
    let output = checked(sql, &["pairs"], &given(&[("orders", orders), ("views", views)]));
    assert_eq!(fields(&output, "pairs", &["a", "b"]), expected);
}

#[test]
fn bounds_of_a_stream_join_are_exact_on_both_sides() {
    let orders = [order("o", "x", 1, 100.0), GivenRow::Complete];
    let views = [
        view("far-before", "x", 94.999),
        view("before", "x", 95.0),
        view("same", "x", 100.0),
        view("other", "y", 100.0),
        view("after", "x", 110.0),
        view("far-after", "x", 110.001),
        GivenRow::Complete,
    ];
    within(WITHIN, &orders, &views, &["o after", "o before", "o same"]);
}

#[test]
fn a_stream_joined_with_itself_is_repartitioned_once_and_pairs_once() {
    let sql = "INSERT INTO pairs SELECT a.id AS a, b.id AS b, b.ts FROM orders a JOIN orders b ON a.shop = b.shop
      AND b.ts > a.ts AND b.ts <= a.ts + 3 * INTERVAL '1' SECOND EMIT CHANGES;";
    let program = super::lab::compiled(sql, &["pairs"], 4).unwrap();
    assert_eq!(program.internal_topics(1).len(), 2, "one repartition, one changelog");
    let orders = [
        order("1", "x", 1, 1.0),
        order("2", "x", 1, 2.0),
        order("3", "x", 1, 4.0),
        order("4", "x", 1, 4.0),
        order("5", "", 1, 4.0),
        GivenRow::Complete,
    ];
    let output = checked(sql, &["pairs"], &given(&[("orders", &orders)]));
    assert_eq!(fields(&output, "pairs", &["a", "b"]), ["1 2", "1 3", "1 4", "2 3", "2 4"]);
}

#[test]
fn many_pairs_in_any_mix() {
    let mut orders = Vec::new();
    let mut views = Vec::new();
    for n in 0..150 {
        let time = f64::from(n);
        if n % 20 == 0 {
            orders.push(progress(time));
            views.push(progress(time));
        }
        orders.push(order(&format!("o{n:03}"), ["x", "y"][n as usize % 2], 1, time));
        views.push(view(&format!("v{n:03}"), ["x", "y", "z"][n as usize % 3], time + 0.5));
    }
    orders.push(GivenRow::Complete);
    views.push(GivenRow::Complete);
    let mut expected = Vec::new();
    for o in 0..150_i32 {
        for v in 0..150_i32 {
            let distance = f64::from(v) + 0.5 - f64::from(o);
            let same = (v % 3 == 0 && o % 2 == 0) || (v % 3 == 1 && o % 2 == 1);
            if same && (-5.0..=10.0).contains(&distance) {
                expected.push(format!("o{o:03} v{v:03}"));
            }
        }
    }
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    within(WITHIN, &orders, &views, &expected);
}
