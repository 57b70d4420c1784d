//! `tests/*.yaml`: how they are read, what is wrong with them, and how a difference reads.

use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use weft_model::load::product_tests;
use weft_model::name::ProductId;
use weft_model::tests::{ProductTest, diff};

use crate::support::{load_files, shop};

const FILE: &str = "domains/sales/big/tests/big.yaml";

const TEST: &str = r#"defaults:
  orders: { ordered_at: 2013-01-01T11:00:00Z }
tests:
  - name: only big orders come out
    given:
      orders:
        - { order_id: a, amount: 99.99 }
        - { order_id: b, amount: "100.01", ordered_at: 2013-01-01T06:30:00-05:00 }
        - progress: 2013-01-01T12:00:00Z
        - complete
    expect:
      orders:
        - { order_id: b, amount: 100.01 }
"#;

fn big() -> ProductId {
    ProductId { domain: "sales".parse().unwrap(), product: "big".parse().unwrap() }
}

fn read(text: &str) -> ProductTest {
    let mut files = shop();
    files.0.insert(FILE.to_owned(), text.to_owned());
    let mesh = load_files(&files).unwrap_or_else(|findings| panic!("{findings}"));
    product_tests(&files, &mesh.products[&big()], &mesh).unwrap().remove(0)
}

#[test]
fn rows_are_typed_in_contract_order() {
    let test = read(TEST);
    expect![[r#"
        {
            "orders": [
                Row(
                    "{\"order_id\":\"a\",\"amount\":\"99.99\",\"ordered_at\":\"2013-01-01T11:00:00.000Z\"}",
                ),
                Row(
                    "{\"order_id\":\"b\",\"amount\":\"100.01\",\"ordered_at\":\"2013-01-01T11:30:00.000Z\"}",
                ),
                Progress(
                    1357041600000,
                ),
                Complete,
            ],
        }"#]]
    .assert_eq(&format!("{:#?}", test.given));
    expect![[
        r#"{"orders": [ExpectedRow { line: 13, columns: {"amount": String("100.01"), "order_id": String("b")} }]}"#
    ]]
    .assert_eq(&format!("{:?}", test.expect));
}

#[test]
fn a_list_without_progress_ends_complete() {
    let test = read(&TEST.replace("        - progress: 2013-01-01T12:00:00Z\n        - complete\n", ""));
    expect!["Some(Complete)"].assert_eq(&format!("{:?}", test.given["orders"].last()));
    let test = read(&TEST.replace("        - complete\n", ""));
    expect!["Some(Progress(1357041600000))"].assert_eq(&format!("{:?}", test.given["orders"].last()));
}

#[track_caller]
fn check_wrong(from: &str, to: &str, expected: Expect) {
    assert!(TEST.contains(from));
    let mut files = shop();
    files.0.insert(FILE.to_owned(), TEST.replace(from, to));
    expected.assert_eq(&load_files(&files).expect_err("a finding").to_string());
}

#[test]
fn a_slip_in_a_test_is_found_without_running_it() {
    check_wrong(
        "amount: 99.99",
        "amuont: 99.99",
        expect![[r#"
        error: the row has an unknown column "amuont"
          at       domains/sales/big/tests/big.yaml:7
          because  tests of product "sales.big" name its ports and their columns
          try      did you mean "amount"?
          code     MODEL-050 · weft explain MODEL-050"#]],
    );
    check_wrong(
        "amount: 99.99",
        "amount: 99.999",
        expect![[r#"
        error: column "amount" of the row has a value of the wrong type: 99.999 does not fit decimal(12,2)
          at       domains/sales/big/tests/big.yaml:7
          because  tests of product "sales.big" name its ports and their columns
          try      write a value of the contract's type
          code     MODEL-050 · weft explain MODEL-050"#]],
    );
    check_wrong(
        "order_id: a, ",
        "",
        expect![[r#"
        error: the row has no value for column "order_id"
          at       domains/sales/big/tests/big.yaml:7
          because  tests of product "sales.big" name its ports and their columns
          try      the contract says `required: true`: add it to the row or to `defaults`
          code     MODEL-050 · weft explain MODEL-050"#]],
    );
    check_wrong(
        "order_id: a, ",
        "order_id: 1, ",
        expect![[r#"
        error: column "order_id" of the row has a value of the wrong type: 1 is not a string
          at       domains/sales/big/tests/big.yaml:7
          because  tests of product "sales.big" name its ports and their columns
          try      write a value of the contract's type
          code     MODEL-050 · weft explain MODEL-050"#]],
    );
    check_wrong(
        "progress: 2013-01-01T12:00:00Z",
        "progress: noon",
        expect![[r#"
        error: "progress" has a value of the wrong type
          at       domains/sales/big/tests/big.yaml:9
          because  it is text "noon", expected a timestamp such as 2013-01-01T12:00:00Z
          try      write a timestamp such as 2013-01-01T12:00:00Z
          code     MODEL-006 · weft explain MODEL-006"#]],
    );
    check_wrong(
        "progress: 2013-01-01T12:00:00Z",
        "delete: { order_id: a }",
        expect![[r#"
        error: the test deletes from a stream
          at       domains/sales/big/tests/big.yaml:9
          because  tests of product "sales.big" name its ports and their columns
          try      only tables (`kind: upsert`) know deletes
          code     MODEL-050 · weft explain MODEL-050"#]],
    );
    check_wrong(
        "    given:\n      orders:",
        "    given:\n      order:",
        expect![[r#"
        error: the test gives rows to input "order", which the product does not have
          at       domains/sales/big/tests/big.yaml:6
          because  tests of product "sales.big" name its ports and their columns
          try      did you mean "orders"?
          code     MODEL-050 · weft explain MODEL-050"#]],
    );
    check_wrong(
        "    expect:\n      orders:",
        "    expect:\n      big:",
        expect![[r#"
        error: the test expects rows of port "big", which the product does not have
          at       domains/sales/big/tests/big.yaml:12
          because  tests of product "sales.big" name its ports and their columns
          try      known here: orders, errors, late
          code     MODEL-050 · weft explain MODEL-050"#]],
    );
    check_wrong(
        "    expect:",
        "    expected:",
        expect![[r#"
        error: a test lacks key "expect"
          at       domains/sales/big/tests/big.yaml:4
          because  it is required
          try      add `expect: { port: [ … ] }`
          code     MODEL-007 · weft explain MODEL-007

        error: unknown key "expected" in a test
          at       domains/sales/big/tests/big.yaml:11
          because  a test has the keys name, given, expect
          try      did you mean "expect"?
          code     MODEL-005 · weft explain MODEL-005"#]],
    );
}

#[track_caller]
fn check_diff(expected_rows: &str, actual: &[&str], upsert: bool, expected: Expect) {
    let at = TEST.find("        - { order_id: b, amount: 100.01 }").unwrap();
    let test = read(&format!("{}{expected_rows}", &TEST[..at]));
    let mut product = load_files(&shop()).unwrap().products.remove(&big()).unwrap();
    if upsert {
        product.outputs[0].kind = weft_model::product::PortKind::Upsert;
    }
    let rows = actual.iter().map(|row| (*row).to_owned()).collect();
    let actual = BTreeMap::from([("orders".to_owned(), rows)]);
    expected.assert_eq(&diff(&test, &product, &actual).unwrap_or_else(|| "same".to_owned()));
}

const A: &str = r#"{"order_id":"a","amount":"1.00","ordered_at":"2013-01-01T11:00:00.000Z"}"#;
const A_LATER: &str = r#"{"order_id":"a","amount":"2.00","ordered_at":"2013-01-01T12:00:00.000Z"}"#;
const B: &str = r#"{"order_id":"b","amount":null,"ordered_at":"2013-01-01T11:00:00.000Z"}"#;

#[test]
fn order_and_unnamed_columns_do_not_count() {
    check_diff("        - { order_id: b }\n        - { order_id: a, amount: 1 }\n", &[A, B], false, expect!["same"]);
}

#[test]
fn a_vague_expectation_leaves_a_precise_one_its_row() {
    check_diff("        - {}\n        - { order_id: a }\n", &[A, B], false, expect!["same"]);
}

#[test]
fn a_table_is_compared_by_its_last_rows() {
    check_diff("        - { order_id: a, amount: 2 }\n", &[A, A_LATER], true, expect!["same"]);
    check_diff(
        "        - { order_id: a, amount: 2 }\n",
        &[A, A_LATER],
        false,
        expect![[r#"
        port "orders": 1 rows expected, 2 came, 1 agree
          + not expected: {"order_id":"a","amount":"1.00","ordered_at":"2013-01-01T11:00:00.000Z"}
    "#]],
    );
}

#[test]
fn a_difference_shows_the_row_that_was_probably_meant() {
    check_diff(
        "        - { order_id: a, amount: 3 }\n        - { order_id: c }\n",
        &[A, B],
        false,
        expect![[r#"
        port "orders": 2 rows expected, 2 came, 0 agree
          row at line 13
            - amount: "3.00"
            + amount: "1.00"
              order_id: "a"
          - row at line 14: {"order_id":"c"}
          + not expected: {"order_id":"b","amount":null,"ordered_at":"2013-01-01T11:00:00.000Z"}
    "#]],
    );
    check_diff(
        "        - { order_id: b, amount: 0 }\n",
        &[],
        false,
        expect![[r#"
        port "orders": 1 rows expected, 0 came, 0 agree
          - row at line 13: {"amount":"0.00","order_id":"b"}
    "#]],
    );
}
