//! The engine on Kafka: products as groups, tasks, transactions.
//!
//! ```text
//!   Engine ── deploy ──► one thread per product
//!                          consumer (group member) ─► tasks ─► producer (transactional)
//!                          state in fjall, brought forward from changelogs
//!          ── one thread: the mesh's progress topic ─► board ─► every product
//! ```
//! Invariants
//! 1. Nothing is visible outside before its transaction commits; state is written only after.
//! 2. State on disk is never ahead of the committed changelog, and never wiped because of a crash.
//! 3. Whatever happened to a transaction, the committed offsets and their commit number say what is true.
//! 4. A partition's records are handed over once, in order, to each task that reads it.
//!
//! Start reading in `session.rs`, then `commit.rs` and `restore.rs`.

mod commit;
mod ends;
mod error;
mod group;
mod kafka;
mod offsets;
mod progress;
mod restore;
mod session;
mod status;
mod tasks;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use weft_model::mesh::Mesh;
use weft_model::name::ProductId;
use weft_model::topic;

pub use error::EngineError;
pub use status::{ProductState, ProductStatus, TaskStatus};

use crate::config::EngineOptions;
use crate::ir::Program;
use crate::state::fjall::StateDatabase;
use error::SessionError;
use progress::Board;
use session::{Context, Session};
use status::Counters;
use tasks::Plan;

/// First wait before a product starts over; doubles up to a second.
const BACKOFF: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Runs the products of one mesh on one node.
pub struct Engine {
    options: EngineOptions,
    database: StateDatabase,
    admin: Arc<AdminClient<DefaultClientContext>>,
    board: Arc<Board>,
    stop: Arc<AtomicBool>,
    hand_over: Arc<AtomicBool>,
    progress: Mutex<Option<JoinHandle<()>>>,
    products: Mutex<BTreeMap<ProductId, Running>>,
}

struct Running {
    generation: u32,
    digest: String,
    stop: Arc<AtomicBool>,
    counters: Arc<Mutex<Counters>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a product's thread had panicked");
        }
    }
}

impl Engine {
    /// Opens the state and starts to read progress. Products come with [`Engine::deploy`].
    pub fn start(options: EngineOptions) -> Result<Self, EngineError> {
        let database = StateDatabase::open(&options.data_dir, options.state_cache_bytes)
            .map_err(|e| EngineError::State { path: options.data_dir.clone(), reason: e.reason })?;
        let client = |e: rdkafka::error::KafkaError| EngineError::Client { reason: e.to_string() };
        let admin = options.kafka.finish(options.kafka.base("weft-engine")).create().map_err(client)?;
        let progress_topic = topic::internal(&options.mesh, topic::PROGRESS);
        let group = topic::internal(&options.mesh, "engine");
        let consumer = kafka::plain_consumer(&options, &group).map_err(client)?;
        let board = Arc::new(Board::default());
        let stop = Arc::new(AtomicBool::new(false));
        let (board2, stop2) = (Arc::clone(&board), Arc::clone(&stop));
        let progress = std::thread::Builder::new()
            .name("weft-progress".to_owned())
            .spawn(move || progress::run(&consumer, &progress_topic, &board2, &stop2))
            .map_err(|e| EngineError::Thread { reason: e.to_string() })?;
        Ok(Self {
            options,
            database,
            admin: Arc::new(admin),
            board,
            stop,
            hand_over: Arc::default(),
            progress: Mutex::new(Some(progress)),
            products: Mutex::default(),
        })
    }

    /// Runs this program of a product from now on. The same program at the same generation is left alone; another one
    /// replaces it, after its last commit. Blocks for that long.
    pub fn deploy(
        &self,
        _mesh: Arc<Mesh>,
        product: ProductId,
        program: Program,
        generation: u32,
    ) -> Result<(), EngineError> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(EngineError::Stopping);
        }
        let digest = program.digest();
        let mut products = self.products.lock();
        if let Some(running) = products.get_mut(&product) {
            let ended = matches!(
                running.counters.lock().state,
                ProductState::Failed { .. } | ProductState::Fenced | ProductState::Stopped
            );
            if running.digest == digest && running.generation == generation && !ended {
                return Ok(());
            }
            running.stop();
        }
        let name = format!("{product}.g{generation}");
        let stop = Arc::new(AtomicBool::new(false));
        let counters = Arc::new(Mutex::new(Counters::new()));
        let group = topic::internal(&self.options.mesh, &name);
        let context = Context {
            plan: Plan::new(Arc::new(program), generation),
            transactional_id: group::transactional_id(&group, &self.options.slot),
            group,
            progress_topic: topic::internal(&self.options.mesh, topic::PROGRESS),
            options: self.options.clone(),
            database: self.database.clone(),
            board: Arc::clone(&self.board),
            admin: Arc::clone(&self.admin),
            counters: Arc::clone(&counters),
            stop: Arc::clone(&stop),
            hand_over: Arc::clone(&self.hand_over),
            fenced: Mutex::default(),
        };
        let thread = std::thread::Builder::new()
            .name(format!("weft-{}", product.product))
            .stack_size(8 << 20)
            .spawn(move || run(&context))
            .map_err(|e| EngineError::Thread { reason: e.to_string() })?;
        products.insert(product, Running { generation, digest, stop, counters, thread: Some(thread) });
        Ok(())
    }

    /// Stops a product after its last commit; topics, offsets and state stay.
    pub fn retire(&self, product: &ProductId) {
        let running = self.products.lock().remove(product);
        if let Some(mut running) = running {
            running.stop();
        }
    }

    /// How every product runs.
    pub fn status(&self) -> Vec<ProductStatus> {
        let products = self.products.lock();
        products
            .iter()
            .map(|(product, running)| running.counters.lock().status(product.clone(), running.generation))
            .collect()
    }

    /// From now on whatever stops leaves its group, so that other nodes take its partitions at once. Without it a
    /// restarted node finds its place kept for as long as `session_timeout_ms`.
    pub fn hand_over(&self) {
        self.hand_over.store(true, Ordering::Relaxed);
    }

    /// Commits and stops everything. Blocks for as long as the last commits take; a second time it does nothing.
    pub fn shutdown(&self) {
        self.stop.store(true, Ordering::Relaxed);
        let mut products = std::mem::take(&mut *self.products.lock());
        for running in products.values() {
            running.stop.store(true, Ordering::Relaxed);
        }
        for running in products.values_mut() {
            running.stop();
        }
        if let Some(thread) = self.progress.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the progress thread had panicked");
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// The product's thread: session after session.
fn run(context: &Context) {
    let mut backoff = BACKOFF;
    loop {
        let end = session(context);
        let mut counters = context.counters.lock();
        counters.tasks.clear();
        match end {
            SessionError::Stopped => {
                counters.state = ProductState::Stopped;
                return;
            }
            SessionError::Killed => {
                counters.state = ProductState::Failed { reason: end.to_string() };
                return;
            }
            SessionError::Fenced => {
                tracing::error!(group = %context.group, "fenced: another node runs with the same slot");
                counters.state = ProductState::Fenced;
                return;
            }
            SessionError::Failed(reason) => {
                tracing::error!(group = %context.group, reason, "product stopped");
                counters.state = ProductState::Failed { reason };
                return;
            }
            SessionError::StartOver(reason) => {
                tracing::warn!(group = %context.group, reason, "product starts over from what is committed");
                counters.state = ProductState::StartingOver { reason };
                counters.start_overs += 1;
                if std::mem::take(&mut counters.healthy) {
                    backoff = BACKOFF;
                }
            }
        }
        drop(counters);
        if context.stop.load(Ordering::Relaxed) {
            context.counters.lock().state = ProductState::Stopped;
            return;
        }
        std::thread::sleep(backoff);
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

fn session(context: &Context) -> SessionError {
    let error = one_session(context);
    if matches!(error, SessionError::Fenced) && !group::another_is_there(context) {
        let why = "a broker took a request of ours that was sent twice for another node".to_owned();
        return SessionError::StartOver(why);
    }
    error
}

fn one_session(context: &Context) -> SessionError {
    let mut session = match Session::start(context) {
        Ok(session) => session,
        Err(error) => return error,
    };
    let Err(mut error) = session.run();
    if matches!(error, SessionError::Fenced) && !session.replaced() {
        error = SessionError::StartOver("the transaction was open for longer than `transaction_timeout_ms`".to_owned());
    }
    if !matches!(error, SessionError::Killed) {
        session.producer.abort();
    }
    error
}
