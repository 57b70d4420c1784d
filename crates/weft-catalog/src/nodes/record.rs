//! What a node says of itself.

use serde::{Deserialize, Serialize};
use weft_model::name::{NodeName, ProductId};

/// One announcement; the newest of a node holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Version of this shape.
    pub v: u32,
    /// Its name.
    pub node: NodeName,
    /// `host/pid`.
    pub process: String,
    /// `host:port` of its HTTP doors.
    pub http: String,
    /// Version of Weft.
    pub version: String,
    /// Revision of the desired state that it runs.
    pub revision: u64,
    /// It writes the desired state from its folder.
    pub writes: bool,
    /// It runs the sources.
    pub leads: bool,
    /// It has begun to shut down.
    pub leaving: bool,
    /// Sources that it runs.
    pub sources: Vec<NodeSource>,
    /// Products that it computes, with the tasks it has of each.
    pub products: Vec<NodeProduct>,
}

impl NodeRecord {
    /// The version of the shape written now.
    pub const VERSION: u32 = 1;
}

/// A source on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSource {
    /// The product.
    pub product: ProductId,
    /// One word.
    pub state: String,
    /// A sentence.
    pub detail: Option<String>,
}

/// A computed product on a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeProduct {
    /// The product.
    pub product: ProductId,
    /// Its generation.
    pub generation: u32,
    /// One word.
    pub state: String,
    /// A sentence.
    pub detail: Option<String>,
    /// Records per second handed to its tasks here.
    pub records_in_per_second: f64,
    /// While it restores: changelog records read, and to read.
    pub restoring: Option<(u64, u64)>,
    /// Its tasks here.
    pub tasks: Vec<NodeTask>,
}

/// A task on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeTask {
    /// Position in the program.
    pub subtopology: usize,
    /// Its partition.
    pub partition: u32,
    /// Lowest watermark of its inputs. Milliseconds.
    pub watermark: i64,
    /// Number of its last commit.
    pub commit: u64,
}
