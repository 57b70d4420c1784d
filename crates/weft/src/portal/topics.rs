//! Topics of the Kafka, a page at a time: names from a list that is asked for now and then, offsets for one page only.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use weft_catalog::{CatalogError, Cluster, Connection, Offsets, topics_of};
use weft_model::kind::{Diagnostic, Kind};
use weft_portal::{Answered, PartitionNumbers, Topics};

/// How old the list of names may be: with thousands of topics it is a large answer.
const FRESH: Duration = Duration::from_secs(30);

/// The list, and a client for offsets.
pub(crate) struct TopicList {
    connection: Connection,
    offsets: Mutex<Option<Offsets>>,
    listed: Mutex<Option<(Instant, Arc<Cluster>)>>,
}

impl TopicList {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection, offsets: Mutex::default(), listed: Mutex::default() }
    }

    /// Topics whose names hold `words`, from the `from`th on, at most `most`.
    pub(crate) async fn some(&self, words: &str, from: usize, most: usize) -> Answered<Topics> {
        let cluster = self.cluster().await.map_err(|error| unavailable(&error))?;
        let fitting: Vec<(&String, u32)> = cluster
            .topics
            .iter()
            .filter(|(name, _)| name.contains(words))
            .map(|(name, count)| (name, *count))
            .collect();
        let wanted: Vec<(String, u32)> =
            fitting.iter().skip(from).take(most).map(|(name, count)| ((*name).clone(), *count)).collect();
        let offsets = self.client().map_err(|error| unavailable(&error))?;
        let kept = offsets.kept(wanted.clone()).await.map_err(|error| unavailable(&error))?;
        let of = |(name, count): (String, u32)| {
            let known = kept.get(&name);
            let numbers = |partition: u32| {
                let kept = known.and_then(|known| known.get(&partition))?;
                Some(PartitionNumbers { start: kept.start, end: kept.end, watermark: None })
            };
            let partitions: BTreeMap<u32, Option<PartitionNumbers>> = (0..count).map(|at| (at, numbers(at))).collect();
            (name, partitions)
        };
        Ok(Topics {
            fitting: fitting.len(),
            count: cluster.topics.len(),
            partitions: cluster.topics.values().map(|count| *count as usize).sum(),
            brokers: cluster.brokers.clone(),
            topics: wanted.into_iter().map(of).collect(),
        })
    }

    async fn cluster(&self) -> Result<Arc<Cluster>, CatalogError> {
        if let Some((at, cluster)) = self.listed.lock().as_ref()
            && at.elapsed() < FRESH
        {
            return Ok(Arc::clone(cluster));
        }
        let cluster = Arc::new(topics_of(&self.connection).await?);
        *self.listed.lock() = Some((Instant::now(), Arc::clone(&cluster)));
        Ok(cluster)
    }

    fn client(&self) -> Result<Offsets, CatalogError> {
        let mut client = self.offsets.lock();
        if let Some(client) = client.as_ref() {
            return Ok(client.clone());
        }
        Ok(client.insert(Offsets::open(&self.connection)?).clone())
    }
}

fn unavailable(error: &CatalogError) -> Box<Diagnostic> {
    Box::new(Diagnostic {
        kind: Kind::Unavailable,
        code: "NODE-001",
        what: "could not look at the topics".to_owned(),
        because: error.to_string(),
        try_: "reload in a moment; `weft doctor` checks what a node needs".to_owned(),
        place: None,
    })
}
