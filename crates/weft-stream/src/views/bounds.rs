//! Bounds on columns, and the key range they make.
//!
//! ```text
//!   key (origin, carrier, window_start)
//!     origin = EWR, carrier = UA, window_start in [11:00, 13:00)   → [EWR|UA|11:00, EWR|UA|13:00)
//!     origin = EWR, window_start = 11:00                           → prefix EWR, the rest is tested per key
//!     window_start = 11:00                                         → whole index, tested per key
//! ```

use std::collections::BTreeMap;

use weft_model::query::Bound;
use weft_model::schema::{Column, ColumnType};

use super::cell::{self, Cell};
use super::error::QueryError;
use super::index::after_prefix;
use super::port::PortView;

/// A bound as ordered bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum KeyBound {
    Equal(Vec<u8>),
    /// Inclusive from, exclusive to.
    Range(Option<Vec<u8>>, Option<Vec<u8>>),
}

impl KeyBound {
    pub(crate) fn holds(&self, ordered: &[u8]) -> bool {
        match self {
            Self::Equal(value) => ordered == value,
            Self::Range(from, to) => {
                from.as_ref().is_none_or(|from| ordered >= from.as_slice())
                    && to.as_ref().is_none_or(|to| ordered < to.as_slice())
                    // A range never matches null, as in SQL.
                    && ordered != [0]
            }
        }
    }
}

/// Which keys are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct KeyRange {
    /// First ordered key, inclusive.
    pub from: Vec<u8>,
    /// Exclusive; `None` = open.
    pub to: Option<Vec<u8>>,
    /// What the range does not say: one per key column, in key order.
    tests: Vec<(ColumnType, Option<KeyBound>)>,
}

impl KeyRange {
    /// From one bound per key column (absent = any).
    pub(crate) fn new(columns: &[&Column], bounds: &BTreeMap<String, KeyBound>) -> Self {
        let mut prefix = Vec::new();
        let mut tests = Vec::with_capacity(columns.len());
        let mut range = None;
        let mut open = true;
        for column in columns {
            let bound = bounds.get(&column.name);
            tests.push((column.column_type, bound.cloned()));
            if !open {
                continue;
            }
            match bound {
                Some(KeyBound::Equal(value)) => prefix.extend(value),
                Some(KeyBound::Range(from, to)) => {
                    let join = |end: &Vec<u8>| [prefix.as_slice(), end].concat();
                    let from = from.as_ref().map_or_else(|| prefix.clone(), join);
                    let to = to.as_ref().map_or_else(|| after_prefix(&prefix), |to| Some(join(to)));
                    range = Some((from, to));
                    open = false;
                }
                None => open = false,
            }
        }
        let (from, to) = range.unwrap_or_else(|| {
            let to = after_prefix(&prefix);
            (prefix, to)
        });
        Self { from, to, tests }
    }

    /// Does an ordered key within the range pass every bound?
    pub(crate) fn holds(&self, mut ordered: &[u8]) -> bool {
        for (column_type, bound) in &self.tests {
            let Some(cell) = cell::next_ordered(&mut ordered, *column_type) else {
                return false;
            };
            if bound.as_ref().is_some_and(|bound| !bound.holds(cell)) {
                return false;
            }
        }
        true
    }
}

/// The bounds of a pull query on key columns.
pub(crate) fn key_bounds(
    view: &PortView,
    bounds: &BTreeMap<String, Bound>,
) -> Result<BTreeMap<String, KeyBound>, QueryError> {
    let mut found = BTreeMap::new();
    for (name, bound) in bounds {
        let bad =
            |because: String| QueryError::BadBound { port: view.port.id.to_string(), column: name.clone(), because };
        let Some(column) = view.key_columns().find(|column| column.name == *name) else {
            let keys: Vec<&str> = view.key_columns().map(|column| column.name.as_str()).collect();
            return Err(bad(match view.port.schema.column(name) {
                Some(_) => format!("it is no key column; those are {}", keys.join(", ")),
                None => format!("there is no such column; key columns are {}", keys.join(", ")),
            }));
        };
        found.insert(name.clone(), ordered_bound(bound, column.column_type).map_err(bad)?);
    }
    Ok(found)
}

pub(crate) fn ordered_bound(bound: &Bound, column_type: ColumnType) -> Result<KeyBound, String> {
    let value = |value: &serde_json::Value| -> Result<Vec<u8>, String> {
        let cell: Cell = cell::from_bound(value, column_type)?;
        Ok(cell::ordered(&cell))
    };
    Ok(match bound {
        Bound::Equal(equal) => KeyBound::Equal(value(equal)?),
        Bound::Range { from, to } => {
            KeyBound::Range(from.as_ref().map(value).transpose()?, to.as_ref().map(value).transpose()?)
        }
    })
}
