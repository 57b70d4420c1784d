//! A small mesh that is right, to be made wrong one file at a time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use weft_model::kind::Diagnostics;
use weft_model::load::{Files, LoadOptions, load};
use weft_model::mesh::Mesh;

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) fn load_files(files: &Files) -> Result<Mesh, Diagnostics> {
    load(files, &LoadOptions::default())
}

pub(crate) const WEFT: &str = "mesh: shop\n";
pub(crate) const DOMAIN: &str = "owner: sales-team\ndescription: What is sold\n";

pub(crate) const ORDERS_PRODUCT: &str = r#"apiVersion: v1.1.0
kind: DataProduct
id: sales.orders
name: orders
version: 1.0.0
status: active
domain: sales
outputPorts:
  - name: orders
    version: 1.0.0
    contractId: sales.orders.orders
team:
  name: sales-team
"#;

pub(crate) const ORDERS_CONTRACT: &str = r#"apiVersion: v3.1.0
kind: DataContract
id: sales.orders.orders
version: 1.0.0
status: active
description:
  purpose: Orders as they come
servers:
  - server: laptop
    type: kafka
    host: 127.0.0.1:9092
    format: json
schema:
  - name: Order
    physicalName: sales.orders.orders.v1
    physicalType: topic
    logicalType: object
    customProperties:
      - { property: kind, value: append }
      - { property: eventTime, value: ordered_at }
    properties:
      - name: order_id
        logicalType: string
        required: true
        primaryKey: true
        primaryKeyPosition: 1
      - name: amount
        logicalType: number
        physicalType: decimal(12,2)
        customProperties: [{ property: unit, value: EUR }]
        description: Amount
      - name: ordered_at
        logicalType: timestamp
        required: true
"#;

pub(crate) const ORDERS_SOURCE: &str = "csv:\n  file: data/orders.csv\n  null_text: NA\n";

pub(crate) const BIG_PRODUCT: &str = r#"apiVersion: v1.1.0
kind: DataProduct
id: sales.big
name: big
version: 1.0.0
status: active
domain: sales
inputPorts:
  - name: orders
    version: 1.0.0
    contractId: sales.orders.orders
    customProperties:
      - { property: reads, value: "weft://sales/orders/orders/v1" }
outputPorts:
  - name: orders
    version: 1.0.0
    contractId: sales.big.orders
customProperties:
  - property: parameters
    value:
      least: 100
team:
  name: sales-team
"#;

pub(crate) const BIG_SQL: &str =
    "INSERT INTO orders SELECT order_id, amount, ordered_at FROM orders WHERE amount > $least EMIT CHANGES;\n";

/// Two products: a source of orders, and the big ones among them.
pub(crate) fn shop() -> Files {
    let big_contract = ORDERS_CONTRACT.replace("sales.orders.orders", "sales.big.orders");
    Files(BTreeMap::from(
        [
            ("weft.yaml", WEFT),
            ("domains/sales/domain.yaml", DOMAIN),
            ("domains/sales/orders/product.odps.yaml", ORDERS_PRODUCT),
            ("domains/sales/orders/orders.odcs.yaml", ORDERS_CONTRACT),
            ("domains/sales/orders/source.yaml", ORDERS_SOURCE),
            ("domains/sales/big/product.odps.yaml", BIG_PRODUCT),
            ("domains/sales/big/orders.odcs.yaml", &big_contract),
            ("domains/sales/big/transform.sql", BIG_SQL),
        ]
        .map(|(path, text)| (path.to_owned(), text.to_owned())),
    ))
}

/// The shop with one text replaced in one file; the text must be there.
#[track_caller]
pub(crate) fn shop_with(file: &str, from: &str, to: &str) -> Files {
    let mut files = shop();
    let text = files.0.get_mut(file).unwrap_or_else(|| panic!("no file {file}"));
    assert!(text.contains(from), "{file} does not hold {from:?}");
    *text = text.replace(from, to);
    files
}
