//! Views: every output port answers pull, SQL and stream, whoever wrote its topic.
//!
//! ```text
//!                         ┌── feed (one thread, one consumer) ──► index per upsert port (fjall, a cache)
//!   Kafka ── read_committed                                  └──► live tail per port (fan-out)
//!                         └── readers (a small pool) ◄── append ports, catch-up of streams
//!
//!   pull   ── index or reader ─► rows + position + page token
//!   sql    ── DataFusion over the same, one snapshot ─► rows + positions
//!   stream ── snapshot, catch-up, live tail ─► events with resume tokens
//! ```
//! Always: an answer's position is that of its rows (one snapshot, or a fixed end); only committed records are seen; an
//! index of another topic id, generation or contract is thrown away and rebuilt; nothing waits without a bound.
//!
//! Start reading in `port.rs`, then `feed.rs`.

pub(crate) mod bounds;
pub(crate) mod cell;
mod error;
pub(crate) mod feed;
pub(crate) mod index;
pub(crate) mod port;
pub(crate) mod progress;
pub(crate) mod pull;
pub(crate) mod reader;
pub(crate) mod sql;
pub(crate) mod stream;
#[cfg(test)]
mod tests;
pub(crate) mod token;
pub(crate) mod topic_id;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use fjall::Database;
use parking_lot::{Mutex, RwLock};
use rdkafka::consumer::BaseConsumer;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_stream::Stream;
use weft_model::mesh::Mesh;
use weft_model::name::PortId;
use weft_model::principal::Principal;
use weft_model::product::OutputPort;
use weft_model::progress::WatermarkMs;
use weft_model::query::{Answer, PullQuery, QueryLimits, StreamEvent};
use weft_model::topic;

pub use error::{QueryError, ViewsError};

use crate::config::ViewsOptions;
use feed::{Command, Feed};
use port::PortView;
use reader::Readers;
use sql::SqlEngine;

/// Commands waiting for the feed.
const COMMANDS: usize = 64;

/// A port as the views know it.
#[derive(Clone)]
pub(crate) struct Slot {
    pub port: OutputPort,
    /// `None` while its topic cannot be read.
    pub view: Option<Arc<PortView>>,
    /// Why there is no view.
    pub why: String,
}

/// What feed, readers and queries share.
pub(crate) struct Shared {
    pub options: ViewsOptions,
    pub database: Database,
    pub ports: RwLock<BTreeMap<PortId, Slot>>,
    /// Ports that an unversioned SQL name may mean.
    pub active: RwLock<BTreeSet<PortId>>,
    pub progress: Mutex<progress::Progress>,
    pub readers: Arc<Readers>,
    pub feed: SyncSender<Command>,
    pub streams: Arc<Semaphore>,
    pub readable: Arc<dyn MayRead>,
}

impl Shared {
    /// Nothing, or the refusal.
    pub(crate) fn check(&self, principal: &Principal, port: &PortId) -> Result<(), QueryError> {
        if self.readable.may_read(principal, port) {
            return Ok(());
        }
        Err(QueryError::MayNotRead { principal: principal.to_string(), port: port.clone() })
    }
}

/// The serving views of one mesh. Cheap to clone.
#[derive(Clone)]
pub struct Views {
    shared: Arc<Shared>,
    sql: Arc<SqlEngine>,
    feed: Arc<FeedThread>,
}

/// Ends the feed's thread when the last handle goes.
struct FeedThread {
    commands: SyncSender<Command>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl FeedThread {
    fn stop(&self) {
        if let Some(thread) = self.thread.lock().take() {
            // Already ended: nothing to stop.
            let _ = self.commands.send(Command::Stop);
            if thread.join().is_err() {
                tracing::error!("the feed's thread had panicked");
            }
        }
    }
}

impl Drop for FeedThread {
    fn drop(&mut self) {
        self.stop();
    }
}

/// How one port's view stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewStatus {
    /// The port.
    pub port: PortId,
    /// Its generation.
    pub generation: u32,
    /// Next offset per partition that the view has read; empty for an append port that nobody listens to.
    pub offsets: BTreeMap<u32, i64>,
    /// Records that were no rows of the port.
    pub bad_records: u64,
    /// Event-time watermark at those offsets.
    pub watermark: Option<WatermarkMs>,
    /// Bytes of its index.
    pub index_bytes: u64,
    /// Clients listening to its tail.
    pub listeners: usize,
    /// Why it cannot be read, if it cannot.
    pub unavailable: Option<String>,
}

/// Who may read which port: asked of others, for views know nothing of people.
pub trait MayRead: Send + Sync + 'static {
    /// May this caller read this port? Asked for every query, so it must be quick.
    fn may_read(&self, principal: &Principal, port: &PortId) -> bool;
}

/// Everyone may read everything: right on loopback, where nobody says who they are.
#[derive(Debug, Clone, Copy)]
pub struct Open;

impl MayRead for Open {
    fn may_read(&self, _principal: &Principal, _port: &PortId) -> bool {
        true
    }
}

impl Views {
    /// Opens the indexes and starts the feed. Ports come with [`Views::set_ports`].
    pub fn start(options: ViewsOptions) -> Result<Self, ViewsError> {
        Self::start_with(options, Arc::new(Open))
    }

    /// The same as [`Views::start`], with someone to ask who may read what.
    pub fn start_with(options: ViewsOptions, readable: Arc<dyn MayRead>) -> Result<Self, ViewsError> {
        let open = |because: String| ViewsError::Open { path: options.data_dir.clone(), because };
        std::fs::create_dir_all(&options.data_dir).map_err(|e| open(e.to_string()))?;
        let database = Database::builder(&options.data_dir)
            .cache_size(options.index_cache_bytes)
            .worker_threads(1)
            .open()
            .map_err(|e| open(e.to_string()))?;
        let group = topic::internal(&options.mesh, "views");
        let mut config = options.kafka.base("weft-views");
        config
            .set("group.id", &group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("isolation.level", "read_committed")
            .set("fetch.wait.max.ms", "250")
            .set("fetch.min.bytes", "1")
            .set("fetch.error.backoff.ms", "20")
            .set("fetch.queue.backoff.ms", "10");
        let mut feed_config = config.clone();
        feed_config
            .set("auto.offset.reset", "earliest")
            .set("queued.max.messages.kbytes", options.feed_queue_kbytes.to_string());
        let mut reader_config = config;
        reader_config
            .set("auto.offset.reset", "error")
            .set("enable.partition.eof", "true")
            .set("queued.max.messages.kbytes", "8192");
        let feed_config = options.kafka.finish(feed_config);
        let reader_config = options.kafka.finish(reader_config);
        let client = |e: rdkafka::error::KafkaError| ViewsError::Client { because: e.to_string() };
        let consumer: BaseConsumer = feed_config.create().map_err(client)?;

        let sql = SqlEngine::new(&options)?;
        let (commands, inbox) = sync_channel(COMMANDS);
        let readers = Readers::new(reader_config, options.readers, Duration::from_millis(options.wait_ms));
        let shared = Arc::new(Shared {
            database,
            ports: RwLock::default(),
            active: RwLock::default(),
            progress: Mutex::default(),
            readers: Arc::new(readers),
            feed: commands.clone(),
            streams: Arc::new(Semaphore::new(options.streams.max(1))),
            readable,
            options,
        });
        let feed = Feed::new(Arc::clone(&shared), consumer, inbox);
        let thread = std::thread::Builder::new()
            .name("weft-views-feed".to_owned())
            .spawn(move || feed.run())
            .map_err(|e| ViewsError::Threads { because: e.to_string() })?;
        let feed = FeedThread { commands, thread: Mutex::new(Some(thread)) };
        Ok(Self { shared, sql: Arc::new(sql), feed: Arc::new(feed) })
    }

    /// Serves the output ports of this mesh, and no others. A port without an entry in `generations` is of the first.
    /// Returns when every port whose topic exists is served; missing topics are looked for until they come.
    pub async fn set_ports(&self, mesh: Arc<Mesh>, generations: BTreeMap<PortId, u32>) -> Result<(), QueryError> {
        let mut wanted = BTreeMap::new();
        let mut active = BTreeSet::new();
        for product in mesh.products.values() {
            for port in &product.outputs {
                let generation = generations.get(&port.id).copied().unwrap_or(1);
                wanted.insert(port.id.clone(), (port.clone(), generation));
                if sql::is_active(product.status) {
                    active.insert(port.id.clone());
                }
            }
        }
        *self.shared.active.write() = active;
        let (done, resolved) = oneshot::channel();
        let commands = self.shared.feed.clone();
        let sent = tokio::task::spawn_blocking(move || commands.send(Command::Ports(wanted, done)).is_ok()).await;
        let stopped = || QueryError::Unavailable { port: "*".to_owned(), because: "the feed has stopped".to_owned() };
        if !matches!(sent, Ok(true)) {
            return Err(stopped());
        }
        resolved.await.map_err(|_| stopped())
    }

    fn view(&self, principal: &Principal, port: &PortId) -> Result<Arc<PortView>, QueryError> {
        let ports = self.shared.ports.read();
        if ports.contains_key(port) {
            self.shared.check(principal, port)?;
        }
        match ports.get(port) {
            Some(Slot { view: Some(view), .. }) => Ok(Arc::clone(view)),
            Some(slot) => Err(QueryError::Unavailable { port: port.to_string(), because: slot.why.clone() }),
            None => Err(QueryError::UnknownPort { port: port.to_string() }),
        }
    }

    /// Rows of one port: by key or key range on `upsert`, by offsets or event time on `append`; one page.
    pub async fn pull(
        &self,
        principal: &Principal,
        port: &PortId,
        query: PullQuery,
        limits: QueryLimits,
    ) -> Result<Answer, QueryError> {
        let view = self.view(principal, port)?;
        let shared = Arc::clone(&self.shared);
        let lease = if view.upsert() { None } else { Some(shared.readers.lease().await?) };
        let answer = tokio::task::spawn_blocking(move || match &lease {
            None => pull::upsert(&shared, &view, &query, limits),
            Some(lease) => pull::append(&shared, &view, lease, &query, limits),
        });
        answer.await.unwrap_or_else(|_| Err(QueryError::Index { because: "the query's thread ended".to_owned() }))
    }

    /// One SQL query over the output ports this caller may see.
    pub async fn sql(&self, principal: &Principal, sql: &str, limits: QueryLimits) -> Result<Answer, QueryError> {
        self.sql.run(Arc::clone(&self.shared), principal, sql, limits).await
    }

    /// The port as events: a snapshot (or what came since the token), then the live tail. The last item of a stream that
    /// was cut off is the reason. Dropping it ends it.
    pub async fn stream(
        &self,
        principal: &Principal,
        port: &PortId,
        resume: Option<String>,
    ) -> Result<impl Stream<Item = Result<StreamEvent, QueryError>> + Send + Unpin + use<>, QueryError> {
        let view = self.view(principal, port)?;
        let start = stream::start(&view, resume.as_deref())?;
        let busy = || QueryError::Busy { what: "streams", bound: self.shared.options.streams };
        let place = Arc::clone(&self.shared.streams).try_acquire_owned().map_err(|_| busy())?;
        let (out, events) = mpsc::channel(stream::CLIENT_EVENTS);
        let cut = Arc::new(Mutex::new(None));
        let client = stream::Client {
            shared: Arc::clone(&self.shared),
            token: stream::origin(&view),
            view,
            out,
            cut: Arc::clone(&cut),
            _place: place,
        };
        tokio::spawn(client.run(start));
        Ok(stream::Events { events, cut })
    }

    /// How every view stands.
    pub fn status(&self) -> Vec<ViewStatus> {
        let slots = self.shared.ports.read().clone();
        let status = |(id, slot): (PortId, Slot)| {
            let Some(view) = slot.view else {
                return ViewStatus {
                    port: id,
                    generation: 0,
                    offsets: BTreeMap::new(),
                    bad_records: 0,
                    watermark: None,
                    index_bytes: 0,
                    listeners: 0,
                    unavailable: Some(slot.why),
                };
            };
            let offsets = view.live.lock().offsets.clone();
            ViewStatus {
                watermark: self.shared.progress.lock().watermark(&slot.port.topic, &offsets),
                port: id,
                generation: view.generation,
                offsets,
                bad_records: view.bad_records.load(Ordering::Relaxed),
                index_bytes: view.index.as_ref().map_or(0, index::Index::disk_bytes),
                listeners: view.tail.receiver_count(),
                unavailable: None,
            }
        };
        slots.into_iter().map(status).collect()
    }

    /// Event-time watermark of a port at these offsets, if one is known.
    pub fn watermark_at(&self, port: &PortId, offsets: &BTreeMap<u32, i64>) -> Option<WatermarkMs> {
        let topic = self.shared.ports.read().get(port)?.port.topic.clone();
        self.shared.progress.lock().watermark(&topic, offsets)
    }

    /// A token that resumes a port's stream at these offsets, without the snapshot of what lies before; `None` while the
    /// port cannot be read.
    pub fn resume_at(&self, port: &PortId, offsets: BTreeMap<u32, i64>) -> Option<String> {
        let view = self.shared.ports.read().get(port)?.view.clone()?;
        Some(token::ResumeToken { o: offsets, ..stream::origin(&view) }.write())
    }

    /// Ends the feed. Queries on what is indexed still work; streams end with their last event.
    pub async fn shutdown(&self) {
        let feed = Arc::clone(&self.feed);
        for slot in self.shared.ports.read().values() {
            if let Some(view) = &slot.view {
                view.retired.cancel();
            }
        }
        if tokio::task::spawn_blocking(move || feed.stop()).await.is_err() {
            tracing::error!("the feed could not be stopped");
        }
    }
}
