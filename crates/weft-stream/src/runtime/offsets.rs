//! What a commit says in the metadata of each offset: the commit number and where each task stands.
//!
//! One group offset covers one topic partition, but several tasks may read it (one per sub-topology) and stand at
//! different offsets, since one waits for a table and another does not. So the offset is the lowest, and the metadata says
//! each task's own.
//!
//! ```text
//!   {"v":1,"c":17,"w":1357002000000,"tasks":{"0":[17,4711,1357002000000],"2":[17,4650,1356998400000]}}
//!                                    sub-topology: [its commit number, next offset, watermark]
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use weft_model::progress::{WATERMARK_NONE, WatermarkMs};

const VERSION: u32 = 1;

/// Metadata of one committed offset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CommitNote {
    /// Version of this shape.
    pub v: u32,
    /// Highest commit number of the tasks below.
    pub c: u64,
    /// Lowest watermark of the tasks below.
    pub w: WatermarkMs,
    /// By sub-topology: commit number, next offset, watermark.
    pub tasks: BTreeMap<usize, (u64, i64, WatermarkMs)>,
}

impl CommitNote {
    pub(crate) fn new() -> Self {
        Self { v: VERSION, c: 0, w: WATERMARK_NONE, tasks: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, subtopology: usize, commit: u64, offset: i64, watermark: WatermarkMs) {
        self.w = if self.tasks.is_empty() { watermark } else { self.w.min(watermark) };
        self.c = self.c.max(commit);
        self.tasks.insert(subtopology, (commit, offset, watermark));
    }

    /// Lowest offset of the tasks: what the group commits.
    pub(crate) fn offset(&self) -> Option<i64> {
        self.tasks.values().map(|(_, offset, _)| *offset).min()
    }

    pub(crate) fn write(&self) -> String {
        serde_json::to_string(self).expect("maps with integer keys are JSON")
    }

    /// `None`: somebody else's text, or a version we do not know.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let note: Self = serde_json::from_str(text).ok()?;
        (note.v == VERSION).then_some(note)
    }
}
