//! What the pages ask of the rooms behind them. `weft` plugs the answers in.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use weft_model::kind::Diagnostic;
use weft_model::mesh::Mesh;
use weft_model::name::{PortId, ProductId};
use weft_model::principal::Principal;
use weft_model::progress::WatermarkMs;
use weft_model::query::{Answer, PullQuery};

use crate::desk::{Desk, KeysHere};

/// An answer, or why there is none.
pub type Answered<T> = Result<T, Box<Diagnostic>>;

/// Facts and rows of a mesh, as one node sees them. What is not a future answers from memory and takes no time.
pub trait Ask: Send + Sync + 'static {
    /// The mesh as it runs; `None` until the node has read the desired state.
    fn mesh(&self) -> Option<Arc<Mesh>>;
    /// Generation of a port, if one is recorded.
    fn generation(&self, port: &PortId) -> Option<u32>;
    /// How a product is doing; `None` where Weft does not run it.
    fn run_state(&self, product: &ProductId) -> Option<RunState>;
    /// Who may read what; `None`: access is off.
    fn desk(&self) -> Option<&dyn Desk>;
    /// Where clients come in.
    fn addresses(&self) -> Addresses;
    /// What was counted over the last minutes.
    fn numbers(&self) -> Arc<Numbers>;
    /// Every node that spoke of itself in the last minutes.
    fn nodes(&self) -> Vec<NodeSeen>;

    /// Consumer groups of the Kafka, as they were looked at last; `None` before the first look.
    fn groups(&self) -> Option<Arc<GroupsSeen>>;
    /// What the engine does on this node, product by product.
    fn tasks(&self) -> Vec<ProductTasks>;
    /// Topics of the Kafka whose names hold `words`, from the `from`th on, at most `most`.
    fn topics<'a>(&'a self, words: &'a str, from: usize, most: usize) -> BoxFuture<'a, Answered<Topics>>;
    /// A token that resumes the live stream of a port a few records before its end; `None` where its end is not known.
    fn tail_token(&self, port: &PortId) -> Option<String>;
    /// One page of one port, in turn and within the limits of the doors.
    fn pull<'a>(
        &'a self,
        principal: &'a Principal,
        port: &'a PortId,
        query: PullQuery,
    ) -> BoxFuture<'a, Answered<Answer>>;
    /// One SQL query, in turn and within the limits of the doors.
    fn sql<'a>(&'a self, principal: &'a Principal, sql: &'a str) -> BoxFuture<'a, Answered<Answer>>;
}

/// How a product is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunState {
    /// One word, such as `running`, `replaying`, `complete`, `failed`.
    pub state: String,
    /// A sentence where there is more to say.
    pub detail: Option<String>,
}

/// Where clients come in, as they must write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// Kafka bootstrap servers: `host:port`, several with commas.
    pub kafka: String,
    /// `host:port` of these pages.
    pub http: String,
    /// How a key is used; `None`: nobody needs one.
    pub keys: Option<KeysHere>,
}

impl Addresses {
    /// `http` or `https`.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.keys.is_some_and(|keys| keys.http_tls) { "https" } else { "http" }
    }
}

/// Samples of the last minutes, every `interval_ms`, oldest first; all series have the length of `at_ms`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Numbers {
    /// When each sample was taken. Milliseconds since 1970.
    pub at_ms: Vec<i64>,
    /// Ports whose topic could be asked.
    pub ports: BTreeMap<PortId, PortNumbers>,
    /// Records that each product has not read yet of each port it reads; `None` where nobody knows.
    pub backlogs: BTreeMap<(ProductId, PortId), Vec<Option<u64>>>,
}

/// One port over time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PortNumbers {
    /// Sum over the partitions of the offset after the last committed record; `None` where the topic could not be asked.
    pub ends: Vec<Option<i64>>,
    /// Each partition now.
    pub partitions: BTreeMap<u32, PartitionNumbers>,
    /// Event-time watermark now, if one is known. Milliseconds.
    pub watermark: Option<WatermarkMs>,
    /// Records that were no rows of the port, since the node started.
    pub bad_records: u64,
}

/// One partition now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PartitionNumbers {
    /// First offset that is kept.
    pub start: i64,
    /// Offset after the last committed record.
    pub end: i64,
    /// Event-time watermark there, if one is known. Milliseconds.
    pub watermark: Option<WatermarkMs>,
}

impl PortNumbers {
    /// Offsets between first and last record kept. More than the records of a compacted or transactional topic.
    pub fn offsets_kept(&self) -> u64 {
        let kept = |numbers: &PartitionNumbers| u64::try_from(numbers.end - numbers.start).unwrap_or(0);
        self.partitions.values().map(kept).sum()
    }
}

impl Numbers {
    /// Records per second that came to a port over the last `window_ms`; `None` without two samples of it.
    pub fn rate(&self, port: &PortId, window_ms: i64) -> Option<f64> {
        let ends = &self.ports.get(port)?.ends;
        let known: Vec<(i64, i64)> =
            self.at_ms.iter().zip(ends).filter_map(|(at, end)| end.map(|end| (*at, end))).collect();
        let (last_at, last) = *known.last()?;
        let (first_at, first) = *known.iter().find(|(at, _)| *at >= last_at - window_ms)?;
        (last_at > first_at).then(|| (last - first).max(0) as f64 * 1000.0 / (last_at - first_at) as f64)
    }

    /// When the last record came to a port. `Err(since)`: not since the oldest sample, which was taken then.
    pub fn changed_at_ms(&self, port: &PortId) -> Option<Result<i64, i64>> {
        let ends = &self.ports.get(port)?.ends;
        let mut later: Option<(i64, i64)> = None;
        for (at, end) in self.at_ms.iter().zip(ends).rev() {
            let Some(end) = *end else { continue };
            if let Some((later_at, later_end)) = later
                && end != later_end
            {
                return Some(Ok(later_at));
            }
            later = Some((*at, end));
        }
        later.map(|(at, _)| Err(at))
    }

    /// Records that wait now between a port and a product that reads it.
    pub fn backlog(&self, product: &ProductId, port: &PortId) -> Option<u64> {
        // The key is a pair of owned names; there are few of them and a page asks once each.
        *self.backlogs.get(&(product.clone(), port.clone()))?.last()?
    }
}

/// Consumer groups at one time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GroupsSeen {
    /// When they were looked at. Milliseconds since 1970.
    pub at_ms: i64,
    /// How many there are on the Kafka; more than are listed where the bound is met.
    pub count: usize,
    /// By name.
    pub groups: Vec<GroupSeen>,
    /// Why the last look failed, if it did; what is listed is older then.
    pub error: Option<String>,
}

/// One group.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GroupSeen {
    /// Its id.
    pub id: String,
    /// Kafka's word for its protocol: `Classic`, or `Consumer` for KIP-848.
    pub kind: String,
    /// Kafka's word for what it does.
    pub state: String,
    /// Who is in it.
    pub members: Vec<MemberSeen>,
    /// Every partition it has committed or is assigned, and every other partition of those topics.
    pub partitions: Vec<GroupPartition>,
    /// Records behind over the last minutes, oldest first: the sum over partitions with a commit.
    pub trend: Vec<u64>,
    /// Why it could not be looked at, if it could not.
    pub error: Option<String>,
}

/// A member of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberSeen {
    /// What it calls itself.
    pub client_id: String,
    /// Where it is.
    pub host: String,
    /// Records behind on the partitions that are assigned to it, those without a commit left out.
    pub lag: u64,
}

/// A node of the mesh.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NodeSeen {
    /// Its name.
    pub name: String,
    /// It is the one that answers.
    pub is_this: bool,
    /// Is it a member of the group of nodes? `None` before the first look.
    pub lives: Option<bool>,
    /// It said that it shuts down.
    pub leaving: bool,
    /// `host:port` of its HTTP doors.
    pub http: String,
    /// `host/pid`.
    pub process: String,
    /// Version of Weft.
    pub version: String,
    /// Revision of the desired state that it runs.
    pub revision: u64,
    /// It runs the sources.
    pub leads: bool,
    /// It writes the desired state.
    pub writes: bool,
    /// What it runs.
    pub runs: Vec<NodeOn>,
}

/// A product on a node.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeOn {
    /// Which.
    pub product: ProductId,
    /// One word.
    pub state: String,
    /// Why, where there is a reason.
    pub detail: Option<String>,
    /// Generation of what the engine runs; `None`: a source.
    pub generation: Option<u32>,
    /// Tasks of it here; `None`: a source.
    pub tasks: Option<usize>,
    /// Records per second handed to them.
    pub records_in_per_second: f64,
    /// While it restores: records of changelogs read, and to read.
    pub restoring: Option<(u64, u64)>,
}

/// How far a group is on one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupPartition {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// Next offset that is committed; `None`: no commit, so nobody knows how far it is.
    pub committed: Option<i64>,
    /// Offset after the last committed record; `None` where the partition could not be asked.
    pub end: Option<i64>,
    /// How long the oldest record that waits has been there; `None` where nothing waits or nobody knows.
    pub waits: Option<Waits>,
}

/// How long a record has waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Waits {
    /// So many milliseconds, to the precision of two looks.
    For(u64),
    /// More than so many milliseconds: it was there before the first look.
    Over(u64),
}

impl GroupPartition {
    /// Records behind; `None` without a commit, or where the end is not known.
    pub fn lag(&self) -> Option<u64> {
        Some(u64::try_from(self.end? - self.committed?).unwrap_or(0))
    }
}

/// A product that the engine runs on this node.
#[derive(Debug, Clone, PartialEq)]
pub struct ProductTasks {
    /// Which.
    pub product: ProductId,
    /// Its generation.
    pub generation: u32,
    /// One word.
    pub state: String,
    /// Why, where there is a reason.
    pub detail: Option<String>,
    /// Records per second handed to tasks.
    pub records_in_per_second: f64,
    /// Transactions committed since the node started.
    pub commits: u64,
    /// Records read from changelogs to bring state forward, so far.
    pub restored_records: u64,
    /// While a task restores: records of its changelogs that are read, and to read.
    pub restoring: Option<(u64, u64)>,
    /// Sessions that ended by something going wrong.
    pub start_overs: u64,
    /// Its tasks.
    pub tasks: Vec<Task>,
}

/// One task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Position in the program.
    pub subtopology: usize,
    /// Its partition.
    pub partition: u32,
    /// Lowest event-time watermark of its inputs.
    pub watermark: WatermarkMs,
    /// Number of its last commit.
    pub commit: u64,
    /// Records and bytes that wait in it.
    pub waiting: (usize, usize),
    /// Next offset to consume, by input name and partition.
    pub positions: Vec<(String, u32, i64)>,
}

/// Some topics of a Kafka.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topics {
    /// How many fit, of how many there are.
    pub fitting: usize,
    /// All topics of the Kafka.
    pub count: usize,
    /// All partitions of the Kafka.
    pub partitions: usize,
    /// Brokers, `id host:port`.
    pub brokers: Vec<String>,
    /// Those asked for: name and what is kept, by partition.
    pub topics: Vec<(String, BTreeMap<u32, Option<PartitionNumbers>>)>,
}
