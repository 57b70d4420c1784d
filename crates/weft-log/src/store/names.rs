//! Names that are not durable yet: folders of topics and partitions.
//!
//! Making a partition costs no sync. Its names become durable with the first sync of its records, before anyone is told
//! of them or sees them; so a power cut takes only partitions in which nothing was promised, and whoever knows of them
//! (the meta log) has them made again. One sync of a folder serves all the partitions whose names lie in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use weft_wire::env::Disk;

use super::DiskError;

/// Folders with names that may not survive a power cut.
pub(super) struct Names {
    disk: Arc<dyn Disk>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Folder, and the number of its last change.
    changed: BTreeMap<PathBuf, u64>,
    changes: u64,
}

impl Names {
    pub(super) fn new(disk: &Arc<dyn Disk>) -> Self {
        Self { disk: Arc::clone(disk), state: Mutex::new(State::default()) }
    }

    /// A name in `dir` was made. To be called after that.
    pub(super) fn changed(&self, dir: &Path) {
        let mut state = self.state.lock();
        state.changes += 1;
        let change = state.changes;
        state.changed.insert(dir.to_path_buf(), change);
    }

    /// `dir` is gone.
    pub(super) fn forget(&self, dir: &Path) {
        self.state.lock().changed.remove(dir);
    }

    /// Makes the names in `dir` durable, if any changed. Two threads may both do it; neither goes on before it is done.
    pub(super) fn sync(&self, dir: &Path) -> Result<(), DiskError> {
        let Some(change) = self.state.lock().changed.get(dir).copied() else { return Ok(()) };
        self.disk.sync_dir(dir).map_err(|error| DiskError::new("syncing", dir, &error))?;
        let mut state = self.state.lock();
        if state.changed.get(dir) == Some(&change) {
            state.changed.remove(dir);
        }
        Ok(())
    }
}
