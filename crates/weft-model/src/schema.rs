//! Columns as contracts, SQL and sources speak of them. Arrow and ODCS types are mapped to these at the edges.

use serde::{Deserialize, Serialize};

/// The columns of a port, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Schema {
    /// In the order of the contract.
    pub columns: Vec<Column>,
}

impl Schema {
    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name: the JSON field and the SQL identifier, case-sensitive.
    pub name: String,
    /// Its type.
    pub column_type: ColumnType,
    /// May a row leave it null?
    pub nullable: bool,
}

/// Types a column can have. JSON forms: see `flights-mesh.md`, *Values*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// UTF-8 text.
    String,
    /// true, false.
    Boolean,
    /// 64-bit signed integer; a JSON number, exact beyond 2⁵³.
    Int64,
    /// IEEE 754 double; NaN and infinities are errors.
    Float64,
    /// Exact decimal; a JSON string.
    Decimal {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits after the point.
        scale: i8,
    },
    /// Milliseconds since 1970-01-01T00:00:00Z; RFC 3339 with `Z` and three decimals in JSON.
    Timestamp,
    /// Days since 1970-01-01; `YYYY-MM-DD` in JSON.
    Date,
    /// Opaque bytes; base64 in JSON.
    Bytes,
}
