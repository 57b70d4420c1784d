//! What `weft test` runs: rows that go in, rows that must come out. Running them is the stream engine's part; here they
//! are read, typed, and compared.

use std::collections::BTreeMap;

use crate::name::ProductId;
use crate::progress::WatermarkMs;
use crate::query::RowJson;

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
    pub columns: BTreeMap<String, serde_json::Value>,
}
