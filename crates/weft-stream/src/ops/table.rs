//! A table kept for joins: the rows of an upsert input, by key and version.
//!
//! ```text
//!   state key    key (ordered) ‖ version time (ordered)
//!   state value  version ‖ 01 ‖ row      or      version ‖ 00 = deleted
//! ```
//! A reader at time t sees the newest version with time ≤ t. Versions are kept back to the time of the streams that read
//! the table: no row on time looks further back.

use std::collections::BTreeMap;

use weft_model::progress::WatermarkMs;

use super::BYTES_VERSION;
use crate::codec::ordered;
use crate::error::TaskError;
use crate::state::{State, StoreIndex, prefix_end};

/// Keys whose versions are kept in memory; more are read again from state.
const CACHE_KEYS_MAX: usize = 65_536;

type Versions = BTreeMap<i64, Option<Vec<u8>>>;

#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) id: String,
    /// None = broadcast: everything is in memory.
    pub(crate) store: Option<StoreIndex>,
    keys: ahash::HashMap<Vec<u8>, Versions>,
}

impl Table {
    pub(crate) fn new(id: String, store: Option<StoreIndex>) -> Self {
        Self { id, store, keys: ahash::HashMap::default() }
    }

    fn load(&mut self, key: &[u8], state: &State) -> Result<&mut Versions, TaskError> {
        if !self.keys.contains_key(key) {
            let mut versions = Versions::new();
            if let Some(store) = self.store {
                if self.keys.len() >= CACHE_KEYS_MAX {
                    self.keys.clear();
                }
                let mut corrupt = false;
                state.scan_prefix(store, key, &mut |stored, value| {
                    let time = ordered::read_i64(&stored[key.len()..]).filter(|_| stored.len() == key.len() + 8);
                    match (time, value) {
                        (Some(time), [BYTES_VERSION, 0]) => versions.insert(time, None),
                        (Some(time), [BYTES_VERSION, 1, row @ ..]) => versions.insert(time, Some(row.to_vec())),
                        _ => {
                            corrupt = true;
                            None
                        }
                    };
                    true
                })?;
                if corrupt {
                    return Err(TaskError::Corrupt { what: "state", operator: self.id.clone() });
                }
            }
            self.keys.insert(key.to_vec(), versions);
        }
        Ok(self.keys.get_mut(key).expect("inserted above"))
    }

    /// Sets the version of a key at a time; none deletes. Versions that nobody at or after `horizon` can see are dropped.
    pub(crate) fn put(
        &mut self,
        key: &[u8],
        time: i64,
        row: Option<Vec<u8>>,
        horizon: WatermarkMs,
        state: &mut State,
    ) -> Result<(), TaskError> {
        let store = self.store;
        let versions = self.load(key, state)?;
        versions.insert(time, row.clone());
        let base = versions.range(..=horizon).next_back().map(|(&time, _)| time);
        let unseen: Vec<i64> = match base {
            None => Vec::new(),
            // A deletion at the base says what its absence says.
            Some(base) if versions[&base].is_none() => versions.range(..=base).map(|(&time, _)| time).collect(),
            Some(base) => versions.range(..base).map(|(&time, _)| time).collect(),
        };
        for time in &unseen {
            versions.remove(time);
        }
        if let Some(store) = store {
            let at = |time: i64| {
                let mut stored = key.to_vec();
                ordered::push_i64(&mut stored, time);
                stored
            };
            let mut value = vec![BYTES_VERSION, u8::from(row.is_some())];
            value.extend_from_slice(row.as_deref().unwrap_or_default());
            state.put(store, at(time), value);
            for time in unseen {
                state.delete(store, at(time));
            }
        }
        Ok(())
    }

    /// The row of a key as of a time.
    pub(crate) fn get(&mut self, key: &[u8], time: i64, state: &State) -> Result<Option<&[u8]>, TaskError> {
        debug_assert!(prefix_end(key).is_some(), "an ordered key starts with 00 or 01");
        let broadcast = self.store.is_none();
        if broadcast && !self.keys.contains_key(key) {
            return Ok(None);
        }
        let versions = self.load(key, state)?;
        Ok(versions.range(..=time).next_back().and_then(|(_, row)| row.as_deref()))
    }
}
