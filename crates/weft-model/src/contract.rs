//! Contracts against what SQL really produces.

use crate::kind::{Diagnostic, Kind};
use crate::product::OutputPort;
use crate::schema::{ColumnType, Schema};

/// Findings where the columns that SQL computes are not those that the port's contract promises. Order does not count:
/// values are JSON objects in contract order. Neither does whether SQL *may* compute null: that is rarely known before a
/// row is there, so a null in a column that the contract requires is a row for the error port.
pub fn check_sql_schema(port: &OutputPort, actual: &Schema) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    let mut finding = |what: String, because: String, try_: String| {
        findings.push(Diagnostic { kind: Kind::Invalid, code: "MODEL-040", what, because, try_, place: None });
    };
    for promised in &port.schema.columns {
        let name = &promised.name;
        match actual.column(name) {
            None => finding(
                format!("SQL for port \"{}\" does not compute column \"{name}\"", port.id),
                format!("contract \"{}\" promises it as {}", port.contract_id, type_name(promised.column_type)),
                format!("add it to the SELECT, or remove it from contract \"{}\"", port.contract_id),
            ),
            Some(computed) if computed.column_type != promised.column_type => finding(
                format!("column \"{name}\" of port \"{}\" has another type than its contract", port.id),
                format!(
                    "SQL computes {}, contract \"{}\" promises {}",
                    type_name(computed.column_type),
                    port.contract_id,
                    type_name(promised.column_type)
                ),
                format!("CAST it to {} in SQL, or change the contract", type_name(promised.column_type)),
            ),
            Some(_) => {}
        }
    }
    for computed in &actual.columns {
        if port.schema.column(&computed.name).is_none() {
            finding(
                format!(
                    "SQL for port \"{}\" computes column \"{}\", which no contract describes",
                    port.id, computed.name
                ),
                format!("contract \"{}\" has no property of that name", port.contract_id),
                "add it to the contract's `properties`, or drop it from the SELECT".to_owned(),
            );
        }
    }
    findings
}

/// The name a person reads for a type.
pub fn type_name(column_type: ColumnType) -> String {
    match column_type {
        ColumnType::String => "string".to_owned(),
        ColumnType::Boolean => "boolean".to_owned(),
        ColumnType::Int64 => "integer".to_owned(),
        ColumnType::Float64 => "number".to_owned(),
        ColumnType::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
        ColumnType::Timestamp => "timestamp".to_owned(),
        ColumnType::Date => "date".to_owned(),
        ColumnType::Bytes => "bytes".to_owned(),
    }
}
