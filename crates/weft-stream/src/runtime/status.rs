//! How products run: what `weft status` and metrics show.

use std::time::Instant;

use weft_model::name::ProductId;
use weft_model::progress::WatermarkMs;

/// What a product does now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProductState {
    /// Joins its group.
    Starting,
    /// Brings state to the committed offsets.
    Restoring,
    /// Computes.
    Running,
    /// Something went wrong that trying again may mend; it tries again.
    StartingOver {
        /// What.
        reason: String,
    },
    /// Another node runs with the same slot.
    Fenced,
    /// Something went wrong that only a person can mend.
    Failed {
        /// What.
        reason: String,
    },
    /// Stopped on request.
    Stopped,
}

/// One task of a product on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskStatus {
    /// Position in the program.
    pub subtopology: usize,
    /// Its partition.
    pub partition: u32,
    /// Lowest watermark of its inputs. Milliseconds.
    pub watermark: WatermarkMs,
    /// Number of its last commit.
    pub commit: u64,
    /// Records that wait in it.
    pub waiting_records: usize,
    /// Bytes that wait in it.
    pub waiting_bytes: usize,
    /// Next offset to consume, by input name and partition.
    pub positions: Vec<(String, u32, i64)>,
}

/// One product on this node.
#[derive(Debug, Clone, PartialEq)]
pub struct ProductStatus {
    /// Which.
    pub product: ProductId,
    /// Its generation.
    pub generation: u32,
    /// What it does now.
    pub state: ProductState,
    /// Its tasks here.
    pub tasks: Vec<TaskStatus>,
    /// Records handed to tasks since the engine started.
    pub records_in: u64,
    /// Records produced since the engine started; aborted ones too.
    pub records_out: u64,
    /// Records per second handed to tasks, over the last second or so.
    pub records_in_per_second: f64,
    /// Transactions committed.
    pub commits: u64,
    /// Records read from changelogs to bring state forward; 0 after a clean restart.
    pub restored_records: u64,
    /// While a task restores: offsets of its changelogs that are done, and all that it reads.
    pub restoring: Option<(u64, u64)>,
    /// Tasks that went on from a committed position.
    pub resumed_tasks: u64,
    /// Sessions that ended by something going wrong.
    pub start_overs: u64,
}

/// What the product's thread counts.
#[derive(Debug)]
pub(crate) struct Counters {
    pub state: ProductState,
    pub tasks: Vec<TaskStatus>,
    pub records_in: u64,
    pub records_out: u64,
    pub commits: u64,
    pub restored_records: u64,
    pub restoring: Option<(u64, u64)>,
    pub resumed_tasks: u64,
    pub start_overs: u64,
    /// A commit went through since the last start-over.
    pub healthy: bool,
    /// For the rate: when, how many, and the rate then.
    rate: (Instant, u64, f64),
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            state: ProductState::Starting,
            tasks: Vec::new(),
            records_in: 0,
            records_out: 0,
            commits: 0,
            restored_records: 0,
            restoring: None,
            resumed_tasks: 0,
            start_overs: 0,
            healthy: false,
            rate: (Instant::now(), 0, 0.0),
        }
    }

    pub(crate) fn status(&mut self, product: ProductId, generation: u32) -> ProductStatus {
        let (since, before, _) = self.rate;
        let seconds = since.elapsed().as_secs_f64();
        if seconds >= 1.0 {
            let per_second = (self.records_in - before) as f64 / seconds;
            self.rate = (Instant::now(), self.records_in, per_second);
        }
        ProductStatus {
            product,
            generation,
            state: self.state.clone(),
            tasks: self.tasks.clone(),
            records_in: self.records_in,
            records_out: self.records_out,
            records_in_per_second: self.rate.2,
            commits: self.commits,
            restored_records: self.restored_records,
            restoring: self.restoring,
            resumed_tasks: self.resumed_tasks,
            start_overs: self.start_overs,
        }
    }
}
