//! State on disk: a cache of the changelogs, in fjall.
//!
//! ```text
//!   one keyspace per (operator, task)     key → value
//!   keyspace "tasks"                      <group>/<sub-topology>/<partition> → stamp: commit number, changelog offsets
//! ```
//! Changes and stamp go in one batch, so what is on disk is always exactly one commit of one task; after a power cut it
//! may be an older one, and the changelog brings it forward. Nothing is ever wiped because of a crash.

use std::ops::Bound;
use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use serde::{Deserialize, Serialize};

use super::{Change, StateError, StateStore, StoreIndex, Visit};

const STAMP_VERSION: u32 = 1;

fn unreadable(error: impl std::fmt::Display) -> StateError {
    StateError { reason: error.to_string() }
}

/// All state of one node.
#[derive(Clone)]
pub struct StateDatabase {
    database: Database,
    tasks: Keyspace,
}

/// What the state of one task stands at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskStamp {
    /// Version of this shape.
    pub v: u32,
    /// Number of the last commit it holds; 0 = none.
    pub commit: u64,
    /// By store: next offset of its changelog partition.
    pub changelog: Vec<i64>,
}

impl TaskStamp {
    /// Nothing committed yet.
    pub fn new(stores: usize) -> Self {
        Self { v: STAMP_VERSION, commit: 0, changelog: vec![0; stores] }
    }
}

impl StateDatabase {
    /// Opens or creates the database in a folder.
    pub fn open(path: &Path, cache_bytes: u64) -> Result<Self, StateError> {
        std::fs::create_dir_all(path).map_err(unreadable)?;
        let database = Database::builder(path).cache_size(cache_bytes).worker_threads(1).open().map_err(unreadable)?;
        let tasks = database.keyspace("tasks", KeyspaceCreateOptions::default).map_err(unreadable)?;
        Ok(Self { database, tasks })
    }

    /// A batch over the states of several tasks.
    pub fn batch(&self) -> StateBatch {
        StateBatch { batch: self.database.batch(), tasks: self.tasks.clone() }
    }

    /// The state of one task. `stores` are the keyspace names, by store.
    pub fn task(&self, name: &str, stores: &[String]) -> Result<TaskState, StateError> {
        let mut keyspaces = Vec::with_capacity(stores.len());
        for store in stores {
            keyspaces.push(self.database.keyspace(store, KeyspaceCreateOptions::default).map_err(unreadable)?);
        }
        let found = self.tasks.get(name).map_err(unreadable)?;
        let stamp: Option<TaskStamp> = found.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let mut state = TaskState {
            database: self.clone(),
            name: name.to_owned(),
            stamp: TaskStamp::new(stores.len()),
            store: FjallStore { keyspaces },
        };
        match stamp.filter(|stamp| stamp.v == STAMP_VERSION && stamp.changelog.len() == stores.len()) {
            Some(stamp) => state.stamp = stamp,
            // Rows without a stamp belong to no commit.
            None => state.clear()?,
        }
        Ok(state)
    }
}

/// Changes of several tasks that become visible together: all of one Kafka transaction.
pub struct StateBatch {
    batch: fjall::OwnedWriteBatch,
    tasks: Keyspace,
}

impl StateBatch {
    /// The changes of one task and the stamp it stands at with them.
    pub fn add(&mut self, state: &mut TaskState, changes: Vec<Change>, stamp: TaskStamp) {
        for change in changes {
            let keyspace = &state.store.keyspaces[change.store];
            match change.value {
                Some(value) => self.batch.insert(keyspace, change.key, value),
                None => self.batch.remove(keyspace, change.key),
            }
        }
        let bytes = serde_json::to_vec(&stamp).expect("a stamp is JSON");
        self.batch.insert(&self.tasks, state.name.as_bytes(), bytes);
        state.stamp = stamp;
    }

    /// Writes it. On an error the states it was for must be opened anew.
    pub fn commit(self) -> Result<(), StateError> {
        self.batch.commit().map_err(unreadable)
    }
}

/// State of one task, and how to write it.
pub struct TaskState {
    database: StateDatabase,
    name: String,
    stamp: TaskStamp,
    store: FjallStore,
}

impl TaskState {
    /// What it stands at.
    pub fn stamp(&self) -> &TaskStamp {
        &self.stamp
    }

    /// For the task to read; it sees every [`TaskState::apply`].
    pub fn reader(&self) -> FjallStore {
        self.store.clone()
    }

    /// The changes and their stamp, at once.
    pub fn apply(&mut self, changes: Vec<Change>, stamp: TaskStamp) -> Result<(), StateError> {
        let mut batch = self.database.batch();
        batch.add(self, changes, stamp);
        batch.commit()
    }

    /// Throws everything away: the changelog no longer holds what would bring this state forward.
    pub fn clear(&mut self) -> Result<(), StateError> {
        for keyspace in &self.store.keyspaces {
            keyspace.clear().map_err(unreadable)?;
        }
        self.apply(Vec::new(), TaskStamp::new(self.store.keyspaces.len()))
    }
}

/// Committed state of one task, on disk.
#[derive(Clone)]
pub struct FjallStore {
    keyspaces: Vec<Keyspace>,
}

impl StateStore for FjallStore {
    fn get(&self, store: StoreIndex, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let found = self.keyspaces[store].get(key).map_err(unreadable)?;
        Ok(found.map(|value| value.to_vec()))
    }

    fn scan(
        &self,
        store: StoreIndex,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), StateError> {
        if let (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) = (from, to)
            && from > to
        {
            return Ok(());
        }
        for guard in self.keyspaces[store].range::<&[u8], _>((from, to)) {
            let (key, value) = guard.into_inner().map_err(unreadable)?;
            if !visit(&key, &value) {
                break;
            }
        }
        Ok(())
    }
}
