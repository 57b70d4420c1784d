//! State of a task: what is committed (a [`StateStore`]), and what this transaction has changed ([`State`]).
//!
//! ```text
//!   operators ──► State ── dirty ────┐ flush: drained for the changelog, kept readable
//!                   │      flushed ◄─┘ committed(): dropped, the store has it now
//!                   └────► StateStore   committed; written by the runtime only after the Kafka transaction
//! ```
//!
//! Keys are order-preserving bytes (`codec::ordered`), values a version byte and row bytes (`codec::row`). Invariant: a
//! store is never ahead of the committed changelog, because a task cannot write it.

pub mod fjall;
pub mod memory;

use std::collections::BTreeMap;
use std::ops::Bound;

pub use memory::MemoryStore;

/// Position of a store in `ir::SubTopology::stores`.
pub type StoreIndex = usize;

/// State could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not read state: {reason}")]
pub struct StateError {
    /// What the storage said.
    pub reason: String,
}

/// One change of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Position in `ir::SubTopology::stores`.
    pub store: StoreIndex,
    /// Key bytes.
    pub key: Vec<u8>,
    /// New value; none = deleted.
    pub value: Option<Vec<u8>>,
}

/// Called with key and value in key order; false ends the scan.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> bool + 'a;

/// Committed state of one task. Reading only: who owns the storage applies changes after the commit.
pub trait StateStore: Send {
    /// Value of a key.
    fn get(&self, store: StoreIndex, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;

    /// Values of several keys, in their order.
    fn get_many(&self, store: StoreIndex, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StateError> {
        keys.iter().map(|key| self.get(store, key)).collect()
    }

    /// Visits `from <= key < to` in key order.
    fn scan(
        &self,
        store: StoreIndex,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), StateError>;
}

type Layer = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Committed state with the changes of the transaction in progress on top.
pub struct State {
    store: Box<dyn StateStore>,
    dirty: Vec<Layer>,
    flushed: Vec<Layer>,
    dirty_bytes: usize,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("dirty_bytes", &self.dirty_bytes).finish_non_exhaustive()
    }
}

impl State {
    /// Nothing changed yet.
    pub fn new(store: Box<dyn StateStore>, stores: usize) -> Self {
        Self { store, dirty: vec![Layer::new(); stores], flushed: vec![Layer::new(); stores], dirty_bytes: 0 }
    }

    /// Value of a key, as this transaction sees it.
    pub fn get(&self, store: StoreIndex, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        for layer in [&self.dirty[store], &self.flushed[store]] {
            if let Some(value) = layer.get(key) {
                return Ok(value.clone());
            }
        }
        self.store.get(store, key)
    }

    /// Values of several keys, in their order; one call to the store for those it must answer.
    pub fn get_many(&self, store: StoreIndex, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StateError> {
        let mut values: Vec<Option<Vec<u8>>> = vec![None; keys.len()];
        let mut missing = Vec::new();
        for (at, key) in keys.iter().enumerate() {
            let layered = self.dirty[store].get(*key).or_else(|| self.flushed[store].get(*key));
            match layered {
                Some(value) => values[at].clone_from(value),
                None => missing.push(at),
            }
        }
        if !missing.is_empty() {
            let wanted: Vec<&[u8]> = missing.iter().map(|&at| keys[at]).collect();
            for (at, value) in missing.into_iter().zip(self.store.get_many(store, &wanted)?) {
                values[at] = value;
            }
        }
        Ok(values)
    }

    /// Sets a key.
    pub fn put(&mut self, store: StoreIndex, key: Vec<u8>, value: Vec<u8>) {
        self.change(store, key, Some(value));
    }

    /// Deletes a key.
    pub fn delete(&mut self, store: StoreIndex, key: Vec<u8>) {
        self.change(store, key, None);
    }

    fn change(&mut self, store: StoreIndex, key: Vec<u8>, value: Option<Vec<u8>>) {
        let (key_len, new_len) = (key.len(), value.as_ref().map_or(0, Vec::len));
        match self.dirty[store].insert(key, value) {
            Some(old) => self.dirty_bytes = self.dirty_bytes + new_len - old.map_or(0, |value| value.len()),
            None => self.dirty_bytes += key_len + new_len,
        }
    }

    /// Visits keys of a range in order, as this transaction sees them.
    pub fn scan(
        &self,
        store: StoreIndex,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), StateError> {
        if empty(from, to) {
            return Ok(());
        }
        // Two layers in one, newest first; then merged with the store's order.
        let mut layers: BTreeMap<&[u8], Option<&[u8]>> = BTreeMap::new();
        for layer in [&self.flushed[store], &self.dirty[store]] {
            for (key, value) in layer.range::<[u8], _>((from, to)) {
                layers.insert(key, value.as_deref());
            }
        }
        let mut layered = layers.into_iter().peekable();
        let mut going = true;
        self.store.scan(store, from, to, &mut |key, value| {
            while let Some(&(ours, change)) = layered.peek() {
                if ours > key {
                    break;
                }
                layered.next();
                if let Some(value) = change {
                    going = visit(ours, value);
                    if !going {
                        return false;
                    }
                }
                if ours == key {
                    return true; // ours stands in for it
                }
            }
            going = visit(key, value);
            going
        })?;
        if going {
            for (key, change) in layered {
                if let Some(value) = change
                    && !visit(key, value)
                {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Visits all keys that start with `prefix`.
    pub fn scan_prefix(&self, store: StoreIndex, prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), StateError> {
        let end = prefix_end(prefix);
        let to = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        self.scan(store, Bound::Included(prefix), to, visit)
    }

    /// Bytes of keys and values changed since the last flush.
    pub fn dirty_bytes(&self) -> usize {
        self.dirty_bytes
    }

    /// The changes since the last flush, for the changelog and, after the commit, for the store. Until
    /// [`State::committed`] they stay readable here.
    pub fn drain(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        for (store, layer) in self.dirty.iter_mut().enumerate() {
            for (key, value) in std::mem::take(layer) {
                changes.push(Change { store, key: key.clone(), value: value.clone() });
                self.flushed[store].insert(key, value);
            }
        }
        self.dirty_bytes = 0;
        changes
    }

    /// The store now holds everything drained so far.
    pub fn committed(&mut self) {
        for layer in &mut self.flushed {
            layer.clear();
        }
    }
}

fn empty(from: Bound<&[u8]>, to: Bound<&[u8]>) -> bool {
    match (from, to) {
        (Bound::Included(from), Bound::Excluded(to)) | (Bound::Excluded(from), Bound::Excluded(to)) => from >= to,
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Excluded(from), Bound::Included(to)) => from >= to,
        _ => false,
    }
}

/// First key after all keys that start with `prefix`; none = there is no such key.
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}
