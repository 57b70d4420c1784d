//! Descriptors of every version of the standards that we read: valid by their schema, and what is beyond us is named.

use expect_test::{Expect, expect};

use crate::support::{load_files, shop};

const PRODUCT_1_1: &str = include_str!("../golden/orders-enriched.odps-1.1.0.yaml");
const PRODUCT_1_0: &str = include_str!("../golden/orders-enriched.odps-1.0.0.yaml");
const CONTRACT_3_1: &str = include_str!("../golden/orders-enriched.odcs-3.1.0.yaml");
const CONTRACT_3_2: &str = include_str!("../golden/orders-enriched.odcs-3.2.0.yaml");
const FRAUD: &str = include_str!("../golden/fraud-model.odps-1.1.0.yaml");
const FRAUD_CONTRACT: &str = include_str!("../golden/fraud-score.odcs-3.1.0.yaml");

/// Code and place of every finding about a product made of the two files, which is in all other respects in order.
#[track_caller]
fn check(name: &str, product: &str, contract: &str, expected: Expect) {
    let mut files = shop();
    let mut add = |file: &str, text: &str| files.0.insert(format!("domains/sales/{name}/{file}"), text.to_owned());
    add("product.odps.yaml", product);
    add("contract.odcs.yaml", contract);
    add("external.yaml", "technology: flink\n");
    let mut out = String::new();
    for finding in load_files(&files).err().map(|findings| findings.0).unwrap_or_default() {
        let place = finding.place.expect("findings about files have a place");
        out.push_str(&format!("{} line {}: {}\n", finding.code, place.line, finding.what));
    }
    expected.assert_eq(&out);
}

#[test]
fn odps_1_1_with_odcs_3_1() {
    check(
        "orders-enriched",
        PRODUCT_1_1,
        CONTRACT_3_1,
        expect![[r#"
        MODEL-027 line 24: port "http-query" is encoded in a way that Weft does not speak yet
        MODEL-027 line 24: port "kafka" is encoded in a way that Weft does not speak yet
        MODEL-038 line 42: the contract names another topic than its port has
        MODEL-030 line 18: input port "orders" reads a port that does not exist
        MODEL-030 line 21: input port "customers" reads a port that does not exist
        MODEL-028 line 23: port "kafka" adopts a topic without saying how many partitions it has
    "#]],
    );
}

#[test]
fn odps_1_0_with_odcs_3_2() {
    check(
        "orders-enriched",
        PRODUCT_1_0,
        CONTRACT_3_2,
        expect![[r#"
        MODEL-027 line 24: port "http-query" is encoded in a way that Weft does not speak yet
        MODEL-027 line 24: port "kafka" is encoded in a way that Weft does not speak yet
        MODEL-038 line 42: the contract names another topic than its port has
        MODEL-030 line 17: input port "orders" reads a port that does not exist
        MODEL-030 line 20: input port "customers" reads a port that does not exist
        MODEL-028 line 22: port "kafka" adopts a topic without saying how many partitions it has
    "#]],
    );
}

#[test]
fn a_product_of_a_newer_standard_is_not_valid_by_the_older_one() {
    let product = PRODUCT_1_1.replace("apiVersion: v1.1.0", "apiVersion: v1.0.0");
    check(
        "orders-enriched",
        &product,
        CONTRACT_3_1,
        expect![[r#"
        MODEL-027 line 24: port "http-query" is encoded in a way that Weft does not speak yet
        MODEL-027 line 24: port "kafka" is encoded in a way that Weft does not speak yet
        MODEL-038 line 42: the contract names another topic than its port has
        MODEL-005 line 7: unknown key "type" in the descriptor
        MODEL-030 line 18: input port "orders" reads a port that does not exist
        MODEL-030 line 21: input port "customers" reads a port that does not exist
        MODEL-028 line 23: port "kafka" adopts a topic without saying how many partitions it has
    "#]],
    );
}

#[test]
fn a_model_product() {
    check(
        "fraud-model",
        FRAUD,
        FRAUD_CONTRACT,
        expect![[r#"
        MODEL-038 line 34: the contract names another topic than its port has
        MODEL-038 line 34: the contract names another topic than its port has
        MODEL-038 line 34: the contract names another topic than its port has
        MODEL-013 line 8: `domain` is not the name of the domain's folder
        MODEL-030 line 12: input port "transactions" reads a port that does not exist
    "#]],
    );
}

#[test]
fn odcs_3_0_2_has_its_own_schema() {
    let contract = CONTRACT_3_1.replace("apiVersion: v3.1.0", "apiVersion: v3.0.2");
    check(
        "orders-enriched",
        PRODUCT_1_1,
        &contract,
        expect![[r#"
        MODEL-027 line 24: port "http-query" is encoded in a way that Weft does not speak yet
        MODEL-027 line 24: port "kafka" is encoded in a way that Weft does not speak yet
        MODEL-005 line 40: unknown key "id" in "schema[0]"
        MODEL-038 line 42: the contract names another topic than its port has
        MODEL-005 line 52: unknown key "id" in "schema[0].properties[0]"
        MODEL-007 line 64: "schema[0].properties[0].quality[0]" lacks key "rule"
        MODEL-005 line 71: unknown key "id" in "schema[0].properties[1]"
        MODEL-005 line 80: unknown key "id" in "schema[0].properties[2]"
        MODEL-005 line 97: unknown key "id" in "schema[0].properties[3]"
        MODEL-007 line 103: "schema[0].properties[3].quality[0]" lacks key "rule"
        MODEL-005 line 111: unknown key "id" in "schema[0].properties[4]"
        MODEL-006 line 113: "schema[0].properties[4].logicalType" has an unknown value
        MODEL-007 line 118: "schema[0].quality[0]" lacks key "rule"
        MODEL-006 line 142: "team" has a value of the wrong type
        MODEL-030 line 18: input port "orders" reads a port that does not exist
        MODEL-030 line 21: input port "customers" reads a port that does not exist
        MODEL-028 line 23: port "kafka" adopts a topic without saying how many partitions it has
    "#]],
    );
}

#[test]
fn odcs_3_2_is_accepted_if_either_copy_accepts_it() {
    // The strict copy knows no such id; the loose one does.
    let contract = CONTRACT_3_2.replace("id: order_enriched", "id: order:enriched");
    assert!(contract.contains("order:enriched"));
    check(
        "orders-enriched",
        PRODUCT_1_1,
        &contract,
        expect![[r#"
            MODEL-027 line 24: port "http-query" is encoded in a way that Weft does not speak yet
            MODEL-027 line 24: port "kafka" is encoded in a way that Weft does not speak yet
            MODEL-038 line 42: the contract names another topic than its port has
            MODEL-030 line 18: input port "orders" reads a port that does not exist
            MODEL-030 line 21: input port "customers" reads a port that does not exist
            MODEL-028 line 23: port "kafka" adopts a topic without saying how many partitions it has
        "#]],
    );
}
