//! Numbers over time: where every port ends and how far its readers are, every two seconds, for the last ten minutes.
//!
//! ```text
//!   Kafka: starts and ends of all port topics ─┐
//!   engine: positions of tasks ────────────────┼─► one sample ─► ring ─► Numbers, shared by all pages
//!   views: watermarks, records that are no rows┘
//! ```
//! One question for all topics per sample, whatever their number; a Kafka that does not answer leaves a gap, not a zero.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::RwLock;
use weft_catalog::{Connection, Kept, Offsets};
use weft_model::name::{PortId, ProductId};
use weft_model::product::Behaviour;
use weft_portal::{Numbers, PartitionNumbers, PortNumbers};

use crate::node::Node;

const INTERVAL: Duration = Duration::from_secs(2);
/// Until the node knows its mesh.
const SOON: Duration = Duration::from_millis(200);
/// Samples kept: ten minutes.
const SAMPLES: usize = 300;

/// The newest numbers. The task behind it ends with the node.
pub(crate) struct Sampler {
    numbers: Arc<RwLock<Arc<Numbers>>>,
}

impl Sampler {
    /// Starts sampling beside the caller.
    pub(crate) fn start(node: &Arc<Node>, connection: &Connection) -> Self {
        let numbers: Arc<RwLock<Arc<Numbers>>> = Arc::default();
        tokio::spawn(run(Arc::downgrade(node), connection.clone(), Arc::clone(&numbers)));
        Self { numbers }
    }

    pub(crate) fn numbers(&self) -> Arc<Numbers> {
        Arc::clone(&self.numbers.read())
    }
}

async fn run(node: Weak<Node>, connection: Connection, numbers: Arc<RwLock<Arc<Numbers>>>) {
    let offsets = match Offsets::open(&connection) {
        Ok(offsets) => offsets,
        Err(error) => return tracing::error!(%error, "the portal has no numbers"),
    };
    loop {
        let Some(here) = node.upgrade() else { return };
        let topics = port_topics(&here);
        if topics.is_empty() {
            drop(here);
            tokio::time::sleep(SOON).await;
            continue;
        }
        let asked = topics.iter().map(|(_, topic, partitions)| (topic.clone(), *partitions)).collect();
        let kept = match offsets.kept(asked).await {
            Ok(kept) => kept,
            Err(error) => {
                tracing::info!(%error, "no sample of the ports");
                BTreeMap::new()
            }
        };
        let at_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
        let before = Arc::clone(&numbers.read());
        let after = Arc::new(taken(&before, at_ms, &here, topics, &kept));
        *numbers.write() = after;
        drop(here);
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Every port with its topic and partitions.
fn port_topics(node: &Node) -> Vec<(PortId, String, u32)> {
    let mesh = node.running().read().mesh.clone();
    let ports = mesh.iter().flat_map(|mesh| mesh.products.values()).flat_map(|product| &product.outputs);
    ports.map(|port| (port.id.clone(), port.topic.clone(), port.partitions)).collect()
}

/// The samples before and this one.
fn taken(
    before: &Numbers,
    at_ms: i64,
    node: &Node,
    topics: Vec<(PortId, String, u32)>,
    kept: &BTreeMap<String, BTreeMap<u32, Kept>>,
) -> Numbers {
    let views = node.views();
    let bad: BTreeMap<PortId, u64> = views.status().into_iter().map(|view| (view.port, view.bad_records)).collect();
    let mut ports = BTreeMap::new();
    for (port, topic, count) in topics {
        let partitions: BTreeMap<u32, PartitionNumbers> = kept.get(&topic).map_or_else(BTreeMap::new, |kept| {
            let numbers = |(id, kept): (&u32, &Kept)| {
                let watermark = views.watermark_at(&port, &BTreeMap::from([(*id, kept.end)]));
                (*id, PartitionNumbers { start: kept.start, end: kept.end, watermark })
            };
            kept.iter().map(numbers).collect()
        });
        let is_whole = partitions.len() == count as usize;
        let end = is_whole.then(|| partitions.values().map(|partition| partition.end).sum());
        let ends = appended(before.ports.get(&port).map(|known| &known.ends[..]), before.at_ms.len(), end);
        let positions = partitions.iter().map(|(id, partition)| (*id, partition.end)).collect();
        let watermark = views.watermark_at(&port, &positions);
        let bad_records = bad.get(&port).copied().unwrap_or_default();
        ports.insert(port, PortNumbers { ends, partitions, watermark, bad_records });
    }
    let mut backlogs = BTreeMap::new();
    for (flow, backlog) in waiting(node, &ports) {
        let series = appended(before.backlogs.get(&flow).map(|known| &known[..]), before.at_ms.len(), backlog);
        backlogs.insert(flow, series);
    }
    let at_ms =
        appended(Some(&before.at_ms.iter().map(|at| Some(*at)).collect::<Vec<_>>()), before.at_ms.len(), Some(at_ms));
    Numbers { at_ms: at_ms.into_iter().flatten().collect(), ports, backlogs }
}

/// A series with one value more; what was not known before is a gap as long as the others.
fn appended<T: Copy>(before: Option<&[Option<T>]>, length: usize, value: Option<T>) -> Vec<Option<T>> {
    let mut series = before.map_or_else(|| vec![None; length], <[Option<T>]>::to_vec);
    series.push(value);
    let over = series.len().saturating_sub(SAMPLES);
    series.drain(..over);
    series
}

/// Records between each port and each product that reads it. A product whose tasks are not all there yet is unknown.
fn waiting(node: &Node, ports: &BTreeMap<PortId, PortNumbers>) -> Vec<((ProductId, PortId), Option<u64>)> {
    let Some(mesh) = node.running().read().mesh.clone() else { return Vec::new() };
    // The slowest task that reads a partition counts; a broadcast input is read by each.
    let mut read: BTreeMap<ProductId, BTreeMap<(String, u32), i64>> = BTreeMap::new();
    for status in node.engine().status() {
        let positions = read.entry(status.product).or_default();
        for (input, partition, offset) in status.tasks.into_iter().flat_map(|task| task.positions) {
            let slowest = positions.entry((input, partition)).or_insert(offset);
            *slowest = (*slowest).min(offset);
        }
    }
    let mut waiting: BTreeMap<(ProductId, PortId), Option<u64>> = BTreeMap::new();
    for product in mesh.products.values() {
        for input in &product.inputs {
            let backlog = || -> Option<u64> {
                let (positions, port) = (read.get(&product.id)?, ports.get(&input.reads)?);
                let writer = &mesh.products.get(&input.reads.product)?.behaviour;
                let is_ours = !matches!(writer, Behaviour::External);
                let mut backlog = 0;
                for (partition, numbers) in &port.partitions {
                    let position = *positions.get(&(input.name.clone(), *partition))?;
                    let behind = u64::try_from(numbers.end - position.max(numbers.start)).unwrap_or(0);
                    // A transaction of ours ends in a marker that no reader is handed: who has read all stands before it.
                    backlog += behind.saturating_sub(u64::from(is_ours));
                }
                (!port.partitions.is_empty()).then_some(backlog)
            };
            let found = backlog();
            let flow = waiting.entry((product.id.clone(), input.reads.clone())).or_insert(found);
            // Read under two names: the slower one.
            *flow = (*flow).max(found);
        }
    }
    waiting.into_iter().collect()
}
