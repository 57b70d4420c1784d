//! What `weft test` runs: rows that go in, rows that must come out. Running them is the stream engine's part; here is
//! what a test is, and the comparison.
//!
//! An input's list ends with `Complete` unless it says its progress itself. Rows of an `append` port are compared in any
//! order; of an `upsert` port the last row per key counts. Columns that an expected row does not name are not compared.
//! Floating-point numbers are equal within one part in 10⁹.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::json;
use crate::name::ProductId;
use crate::product::{OutputPort, PortKind, Product};
use crate::progress::WatermarkMs;
use crate::query::RowJson;
use crate::schema::ColumnType;

/// One test of a product: rows and progress per input, rows expected per output port.
#[derive(Debug, Clone, PartialEq)]
pub struct ProductTest {
    /// What it shows, from `name:`.
    pub name: String,
    /// Its file, relative to the mesh folder.
    pub file: String,
    /// Line of the test in the file, from 1.
    pub line: u32,
    /// The product under test.
    pub product: ProductId,
    /// By input name as SQL sees it; every input of the product is there, perhaps with nothing but `Complete`.
    pub given: BTreeMap<String, Vec<GivenRow>>,
    /// By output port name; ports not named are not compared.
    pub expect: BTreeMap<String, Vec<ExpectedRow>>,
}

/// One thing that happens on an input, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GivenRow {
    /// A record: a JSON object with every column of the input's contract.
    Row(RowJson),
    /// A record without value on an `upsert` input: a JSON object of the key columns.
    Delete(RowJson),
    /// The input's source declares: no row with an earlier event time will come. Milliseconds.
    Progress(WatermarkMs),
    /// The input has ended: every window closes.
    Complete,
}

/// A row that must come out: the columns it names are compared, others are not.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpectedRow {
    /// Line in the test file, from 1.
    pub line: u32,
    /// Columns and values, canonical.
    pub columns: BTreeMap<String, Json>,
}

/// What differs between the rows that came out and those the test expects, for a person to read; `None` if nothing
/// does. `actual` holds the rows of each output port in the order they were written; a row deleted from an `upsert`
/// port is left out by whoever ran the test.
pub fn diff(test: &ProductTest, product: &Product, actual: &BTreeMap<String, Vec<RowJson>>) -> Option<String> {
    let mut out = String::new();
    for (name, expected) in &test.expect {
        let ports = product.outputs.iter().filter(|port| port.id.port.as_str() == name);
        let Some(port) = ports.max_by_key(|port| port.id.major) else {
            out.push_str(&format!("port \"{name}\": the product has no such port\n"));
            continue;
        };
        let rows = actual.get(name).map(Vec::as_slice).unwrap_or_default();
        match rows.iter().map(|row| serde_json::from_str::<serde_json::Map<String, Json>>(row)).collect() {
            Ok(rows) => diff_port(port, expected, last_per_key(port, rows), &mut out),
            Err(error) => out.push_str(&format!("port \"{name}\": a row is no JSON object: {error}\n")),
        }
    }
    (!out.is_empty()).then_some(out)
}

type Row = serde_json::Map<String, Json>;

fn last_per_key(port: &OutputPort, rows: Vec<Row>) -> Vec<Row> {
    if port.kind == PortKind::Append {
        return rows;
    }
    let mut last: Vec<(Vec<Option<Json>>, Row)> = Vec::new();
    for row in rows {
        let key: Vec<Option<Json>> = port.key.iter().map(|column| row.get(column).cloned()).collect();
        match last.iter_mut().find(|(known, _)| *known == key) {
            Some((_, before)) => *before = row,
            None => last.push((key, row)),
        }
    }
    last.into_iter().map(|(_, row)| row).collect()
}

fn diff_port(port: &OutputPort, expected: &[ExpectedRow], actual: Vec<Row>, out: &mut String) {
    let partner = pair(port, expected, &actual);
    let paired = partner.iter().flatten().count();
    if paired == expected.len() && paired == actual.len() {
        return;
    }
    out.push_str(&format!(
        "port \"{}\": {} rows expected, {} came, {paired} agree\n",
        port.id.port,
        expected.len(),
        actual.len()
    ));
    let mut spare: Vec<bool> = actual.iter().enumerate().map(|(at, _)| !partner.contains(&Some(at))).collect();
    for (row, partner) in expected.iter().zip(&partner) {
        if partner.is_some() {
            continue;
        }
        // The unpaired row that agrees in most columns is probably the one that was meant.
        let candidates = actual.iter().enumerate().filter(|(at, _)| spare[*at]);
        let nearest = candidates.max_by_key(|(at, came)| (agreeing(port, row, came), std::cmp::Reverse(*at)));
        match nearest {
            Some((at, came)) if agreeing(port, row, came) > 0 => {
                spare[at] = false;
                out.push_str(&format!("  row at line {}\n", row.line));
                for (column, wanted) in &row.columns {
                    let got = came.get(column).unwrap_or(&Json::Null);
                    if equal(port, column, wanted, got) {
                        out.push_str(&format!("      {column}: {got}\n"));
                    } else {
                        out.push_str(&format!("    - {column}: {wanted}\n    + {column}: {got}\n"));
                    }
                }
            }
            _ => out.push_str(&format!("  - row at line {}: {}\n", row.line, Json::from_iter(row.columns.clone()))),
        }
    }
    for (came, spare) in actual.into_iter().zip(spare) {
        if spare {
            out.push_str(&format!("  + not expected: {}\n", Json::Object(came)));
        }
    }
}

/// For each expected row the actual row it is matched with: a largest matching, so that a vague expectation never takes
/// the row that a precise one needs.
fn pair(port: &OutputPort, expected: &[ExpectedRow], actual: &[Row]) -> Vec<Option<usize>> {
    let mut of_actual: Vec<Option<usize>> = vec![None; actual.len()];
    for at in 0..expected.len() {
        let mut tried = vec![false; actual.len()];
        augment(port, expected, actual, at, &mut of_actual, &mut tried);
    }
    let mut of_expected = vec![None; expected.len()];
    for (actual, expected) in of_actual.into_iter().enumerate() {
        if let Some(expected) = expected {
            of_expected[expected] = Some(actual);
        }
    }
    of_expected
}

fn augment(
    port: &OutputPort,
    expected: &[ExpectedRow],
    actual: &[Row],
    at: usize,
    of_actual: &mut [Option<usize>],
    tried: &mut [bool],
) -> bool {
    let row = &expected[at];
    for (candidate, came) in actual.iter().enumerate() {
        if tried[candidate] || agreeing(port, row, came) < row.columns.len() {
            continue;
        }
        tried[candidate] = true;
        let free = match of_actual[candidate] {
            None => true,
            Some(holder) => augment(port, expected, actual, holder, of_actual, tried),
        };
        if free {
            of_actual[candidate] = Some(at);
            return true;
        }
    }
    false
}

fn agreeing(port: &OutputPort, row: &ExpectedRow, came: &Row) -> usize {
    let agrees = |(column, wanted): &(&String, &Json)| {
        equal(port, column, wanted, came.get(column.as_str()).unwrap_or(&Json::Null))
    };
    row.columns.iter().filter(agrees).count()
}

fn equal(port: &OutputPort, column: &str, wanted: &Json, got: &Json) -> bool {
    let Some(column) = port.schema.column(column) else { return wanted == got };
    match (json::parse_value(wanted, column.column_type), json::parse_value(got, column.column_type)) {
        (Ok(json::Scalar::Float64(wanted)), Ok(json::Scalar::Float64(got)))
            if column.column_type == ColumnType::Float64 =>
        {
            (wanted - got).abs() <= 1e-9 * wanted.abs().max(got.abs())
        }
        (Ok(wanted), Ok(got)) => wanted == got,
        _ => false,
    }
}
