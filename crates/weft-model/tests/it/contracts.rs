//! What SQL computes against what the contract promises.

use expect_test::expect;
use weft_model::contract::check_sql_schema;
use weft_model::schema::{Column, ColumnType, Schema};

use crate::support::{load_files, shop};

#[test]
fn sql_that_computes_other_columns_than_the_contract() {
    let mesh = load_files(&shop()).unwrap();
    let port = &mesh.products.values().next().unwrap().outputs[0];
    let column = |name: &str, column_type| Column { name: name.to_owned(), column_type, nullable: true };
    let actual = Schema {
        columns: vec![
            column("order_id", ColumnType::Int64),
            column("total", ColumnType::Float64),
            column("ordered_at", ColumnType::Timestamp),
        ],
    };
    let findings = check_sql_schema(port, &actual);
    let text: Vec<String> = findings.iter().map(ToString::to_string).collect();
    expect![[r#"
        error: column "order_id" of port "sales.big.orders@1" has another type than its contract
          because  SQL computes integer, contract "sales.big.orders" promises string
          try      CAST it to string in SQL, or change the contract
          code     MODEL-040 · weft explain MODEL-040
        error: SQL for port "sales.big.orders@1" does not compute column "amount"
          because  contract "sales.big.orders" promises it as decimal(12,2)
          try      add it to the SELECT, or remove it from contract "sales.big.orders"
          code     MODEL-040 · weft explain MODEL-040
        error: SQL for port "sales.big.orders@1" computes column "total", which no contract describes
          because  contract "sales.big.orders" has no property of that name
          try      add it to the contract's `properties`, or drop it from the SELECT
          code     MODEL-040 · weft explain MODEL-040"#]]
    .assert_eq(&text.join("\n"));
    assert_eq!(check_sql_schema(port, &port.schema), []);
}
