//! What a source needs to know, and its bounds.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use weft_model::mesh::Mesh;
use weft_model::name::ProductId;

use crate::clock::ReplayClock;

/// Everything a CSV source is started with.
#[derive(Debug, Clone)]
pub struct SourceOptions {
    /// Bootstrap address of the Kafka of the product's domain, `host:port`.
    pub bootstrap: String,
    /// librdkafka settings that go over ours, such as `security.protocol`. Empty on loopback.
    pub client: BTreeMap<String, String>,
    /// The mesh as it is desired.
    pub mesh: Arc<Mesh>,
    /// The source product.
    pub product: ProductId,
    /// Folder of `weft.yaml`: relative file names in `source.yaml` start here.
    pub root: PathBuf,
    /// Folder for decompressed copies of `.gz` and `.zip` files; its disk is the one `disk_reserve_bytes` looks at.
    pub data_dir: PathBuf,
    /// The one replay clock of the mesh.
    pub clock: Arc<ReplayClock>,
    /// Bounds.
    pub limits: SourceLimits,
}

/// Bounds of one source. The defaults suit a laptop and a server alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceLimits {
    /// Rows in the first transaction of a run; every later one may hold twice as many, so that first results come at
    /// once and throughput soon after. Default 500.
    pub transaction_rows_first: usize,
    /// Most rows in one transaction: what a crash at a bad moment reads again. Default 20 000.
    pub transaction_rows_max: usize,
    /// Most bytes of keys and values in one transaction; also the memory that librdkafka holds for it. Default 8 MiB.
    pub transaction_bytes_max: usize,
    /// Longest time one transaction collects rows; with a replay clock, also the shortest time between two. Default 50 ms.
    pub transaction_ms_max: u64,
    /// Longest record in the file; longer ones, such as those after a quote that never closes, are broken rows.
    /// Default 1 MiB.
    pub record_bytes_max: usize,
    /// Most original bytes that a record on the `errors` port carries; the rest is cut off and the reason says so.
    /// Default 256 KiB.
    pub raw_bytes_max: usize,
    /// With a replay clock, how often progress alone is written while no row is due. Default 1 000 ms.
    pub progress_interval_ms: u64,
    /// How often `follow` looks for new lines. Default 200 ms.
    pub follow_poll_ms: u64,
    /// Longest wait for a broker's answer before the outcome counts as unknown. Default 30 000 ms.
    pub broker_timeout_ms: u64,
    /// Longest pause between two attempts to reach the broker. Default 5 000 ms.
    pub retry_ms_max: u64,
}

impl Default for SourceLimits {
    fn default() -> Self {
        Self {
            transaction_rows_first: 500,
            transaction_rows_max: 20_000,
            transaction_bytes_max: 8 << 20,
            transaction_ms_max: 50,
            record_bytes_max: 1 << 20,
            raw_bytes_max: 256 << 10,
            progress_interval_ms: 1_000,
            follow_poll_ms: 200,
            broker_timeout_ms: 30_000,
            retry_ms_max: 5_000,
        }
    }
}
