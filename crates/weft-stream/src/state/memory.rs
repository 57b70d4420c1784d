//! State in memory: offline runs and tests. Clones share the same rows.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Change, StateError, StateStore, StoreIndex, Visit};

/// One store: keys in order.
type Sorted = BTreeMap<Vec<u8>, Vec<u8>>;

/// Sorted maps behind a lock.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    stores: Arc<Mutex<Vec<Sorted>>>,
}

impl MemoryStore {
    /// Empty, with so many stores.
    pub fn new(stores: usize) -> Self {
        Self { stores: Arc::new(Mutex::new(vec![BTreeMap::new(); stores])) }
    }

    /// What the runtime does after a commit.
    pub fn apply(&self, changes: Vec<Change>) {
        let mut stores = self.stores.lock();
        for change in changes {
            let store = &mut stores[change.store];
            match change.value {
                Some(value) => store.insert(change.key, value),
                None => store.remove(&change.key),
            };
        }
    }

    /// Keys in all stores.
    pub fn len(&self) -> usize {
        self.stores.lock().iter().map(BTreeMap::len).sum()
    }

    /// No key in any store.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl StateStore for MemoryStore {
    fn get(&self, store: StoreIndex, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.stores.lock()[store].get(key).cloned())
    }

    fn scan(
        &self,
        store: StoreIndex,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), StateError> {
        for (key, value) in self.stores.lock()[store].range::<[u8], _>((from, to)) {
            if !visit(key, value) {
                break;
            }
        }
        Ok(())
    }
}
