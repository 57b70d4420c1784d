//! Starting a source, and the thread it runs on.
//!
//! ```text
//!   start ─► thread ─┬─ opens and indexes the file ────────────┐
//!                    └─ opens a session: producer, position ───┴─► transactions … ─► complete, stopped, drained
//! ```
//!
//! The thread blocks, as librdkafka's transactions do; the world sees it through the handle.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use weft_model::name::ProductId;
use weft_model::product::{Behaviour, OutputPort, PortRole, ReplayMode, SourceSpec};
use weft_model::topic;

use crate::clock::ClockSeat;
use crate::config::SourceOptions;
use crate::csv::{CsvFile, Index, Layout, RowEncoder, resolve};
use crate::error::SourceError;
use crate::follow::Follow;
use crate::handle::{Shared, SourceHandle, SourceState};
use crate::kafka::{BrokerError, Slot, TopicNames, ms};
use crate::position::replay_digest;
use crate::replay::{Feed, Replay};
use crate::session::{End, Session};

/// The CSV source.
#[derive(Debug)]
pub struct CsvSource;

impl CsvSource {
    /// Starts the source of a product. What can be seen at once is an error here; what comes later is in the status.
    pub fn start(options: SourceOptions) -> Result<SourceHandle, SourceError> {
        let seat = ClockSeat::new(Arc::clone(&options.clock), options.product.clone());
        let job = Job::new(options)?;
        let shared = Shared::new(job.product().clone());
        let (ended, has_ended) = watch::channel(false);
        let handle = SourceHandle { shared: Arc::clone(&shared), ended: has_ended };
        thread::Builder::new()
            .name(format!("source {}", job.product()))
            .spawn(move || {
                let state = match job.run(&shared, &seat) {
                    Ok(End::Complete) => SourceState::Complete,
                    Ok(End::Drained) => SourceState::Drained,
                    Err(error) => {
                        let diagnostic = error.diagnostic(job.product());
                        tracing::error!(product = %job.product(), code = diagnostic.code, "source stopped: {error}");
                        SourceState::Stopped(diagnostic)
                    }
                };
                shared.update(|status| status.state = state);
                ended.send_replace(true);
            })
            .map_err(|error| SourceError::Spec { reason: format!("its thread cannot be started: {error}") })?;
        Ok(handle)
    }
}

/// `weft source restart`: begins a new generation of a source, which replays the file from its start. A running source
/// goes over to it by itself. Gives the new generation; 1 if the source never ran.
pub async fn restart_generation(options: SourceOptions) -> Result<u32, SourceError> {
    let restarted = tokio::task::spawn_blocking(move || {
        let job = Job::new(options)?;
        match Session::restart(&job) {
            Ok(generation) => Ok(generation),
            Err(BrokerError::Retry(error) | BrokerError::Fatal(error)) => Err(error),
            Err(BrokerError::Fenced) => Err(SourceError::Fenced { transactional_id: job.transactional_id.clone() }),
        }
    });
    restarted.await.map_err(|error| SourceError::Spec { reason: format!("the restart was cut off: {error}") })?
}

/// The rows of a file, and how its header meets the contract.
type OpenFeed = (Layout, Box<dyn Feed>);

/// What a source is to do, looked up once.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) options: SourceOptions,
    pub(crate) spec: SourceSpec,
    pub(crate) port: OutputPort,
    pub(crate) topics: TopicNames,
    pub(crate) transactional_id: String,
    /// Names this run among all that hold the transactional id one after another.
    pub(crate) instance: String,
}

impl Job {
    fn new(options: SourceOptions) -> Result<Self, SourceError> {
        let spec_error = |reason: String| SourceError::Spec { reason };
        let product = options
            .mesh
            .products
            .get(&options.product)
            .ok_or_else(|| spec_error("the mesh has no such product".to_owned()))?;
        let Behaviour::Source(spec) = &product.behaviour else {
            return Err(spec_error("the product has no source.yaml".to_owned()));
        };
        let port = product
            .outputs
            .iter()
            .filter(|port| port.role == PortRole::Declared)
            .find(|port| port.id.port == spec.port)
            .ok_or_else(|| spec_error(format!("the product has no output port \"{}\"", spec.port)))?;
        let builtin = |role: PortRole| {
            let found = product.outputs.iter().find(|port| port.role == role);
            found
                .map(|port| port.topic.clone())
                .ok_or_else(|| spec_error("the product lacks its built-in ports".to_owned()))
        };
        let id = &options.mesh.id;
        Ok(Self {
            topics: TopicNames {
                ports: [port.topic.clone(), builtin(PortRole::Errors)?, builtin(PortRole::Late)?],
                progress: topic::internal(id, topic::PROGRESS),
                sources: topic::internal(id, topic::SOURCES),
            },
            transactional_id: topic::internal(id, &format!("source.{}", options.product)),
            instance: format!("{:016x}", rand::random::<u64>()),
            spec: spec.clone(),
            port: port.clone(),
            options,
        })
    }

    pub(crate) fn product(&self) -> &ProductId {
        &self.options.product
    }

    /// Runs to its end; `Err` is a state it does not leave by itself.
    fn run(&self, shared: &Shared, seat: &ClockSeat) -> Result<End, SourceError> {
        let limits = &self.options.limits;
        // The broker is asked while the file is read: both take their time.
        let (opened, mut first) = thread::scope(|scope| {
            let session = scope.spawn(|| Session::open(self));
            let opened = self.open_feed(shared);
            (opened, Some(session.join()))
        });
        let Some((layout, mut feed)) = opened? else { return Ok(End::Drained) };
        shared.update(|status| status.rows_total = feed.total());
        let mut pause_ms = 100;
        let mut progress = RunProgress::default();
        let mut held = false;
        loop {
            if shared.stopping() {
                return Ok(End::Drained);
            }
            let ended = self.may_take_back(held, &mut progress).and_then(|()| {
                let mut session = match first.take() {
                    Some(Ok(opened)) => opened?,
                    Some(Err(_)) | None => Session::open(self)?, // a panic of the first attempt has been reported
                };
                held = true;
                let encoder = RowEncoder::new(layout.clone(), &self.port, session.partitions(Slot::Rows));
                feed.seek(session.position()).map_err(BrokerError::Fatal)?;
                let ended = session.run(feed.as_mut(), encoder, shared, seat, &mut progress);
                if ended.is_err() {
                    session.abort();
                }
                ended
            });
            let error = match ended {
                Ok(end) => return Ok(end),
                Err(BrokerError::Fatal(error)) => return Err(error),
                Err(BrokerError::Retry(error)) => error,
                Err(BrokerError::Fenced) => SourceError::Fenced { transactional_id: self.transactional_id.clone() },
            };
            if progress.committed_since_retry() {
                pause_ms = 100;
            }
            tracing::warn!(product = %self.product(), "source tries again in {pause_ms} ms: {error}");
            shared.update(|status| status.state = SourceState::Retrying(error.diagnostic(self.product())));
            shared.sleep(ms(pause_ms));
            pause_ms = (pause_ms * 2).min(limits.retry_ms_max);
        }
    }

    /// The rows, once the file is read; `None` if told to stop before that.
    fn open_feed(&self, shared: &Shared) -> Result<Option<OpenFeed>, SourceError> {
        let SourceOptions { root, data_dir, limits, product, .. } = &self.options;
        let path = resolve(root, &self.spec.file);
        let digest = replay_digest(&self.spec, &self.port);
        if self.spec.mode == ReplayMode::Follow {
            let (layout, follow) = Follow::open(&path, &self.spec, &self.port, digest, limits.record_bytes_max)?;
            return Ok(Some((layout, Box::new(follow))));
        }
        let file = CsvFile::open(&path, data_dir, product)?;
        let built = Index::build(&file, &self.spec, &self.port, limits.record_bytes_max, &|| shared.stopping())?;
        let Some((layout, index)) = built else { return Ok(None) };
        let replay = Replay::new(file, self.spec.file.clone(), index, self.spec.mode, layout.has_event_time(), digest)?;
        Ok(Some((layout, Box::new(replay))))
    }

    /// Before taking the source over once more: has another node taken it meanwhile? A fenced producer and one whose
    /// transaction the broker gave up on look alike, and librdkafka may show either as almost any error; the owner
    /// record tells. One that took it only to begin a new generation is given the time to do so.
    fn may_take_back(&self, held: bool, progress: &mut RunProgress) -> Result<(), BrokerError> {
        const RESTART_MAX: Duration = Duration::from_secs(10);
        if !held {
            return Ok(());
        }
        let owner = Session::last_owner(self)?.filter(|owner| owner.instance != self.instance);
        let Some(owner) = owner else { return Ok(()) };
        if !owner.restart {
            return Err(BrokerError::Fatal(SourceError::Fenced { transactional_id: self.transactional_id.clone() }));
        }
        let since = *progress.restart_seen.get_or_insert_with(Instant::now);
        if Session::last_generation(self)? > progress.generation || since.elapsed() > RESTART_MAX {
            progress.restart_seen = None;
            return Ok(());
        }
        Err(BrokerError::Retry(SourceError::Kafka {
            doing: "taking the source over",
            reason: "a restart of it is under way".to_owned(),
            retriable: true,
        }))
    }
}

/// What must outlive a session: counts of this run.
#[derive(Debug, Default)]
pub(crate) struct RunProgress {
    /// Rows and errors of the position this run began with.
    pub(crate) began: Option<(u64, u64)>,
    /// Rows and errors handed to the producer, counted from the generation's beginning, committed or not.
    pub(crate) handed: u64,
    pub(crate) generation: u32,
    pub(crate) commits: u64,
    /// When a restart by somebody else was first seen under way.
    restart_seen: Option<Instant>,
    seen_commits: u64,
}

impl RunProgress {
    fn committed_since_retry(&mut self) -> bool {
        let since = self.commits > self.seen_commits;
        self.seen_commits = self.commits;
        since
    }
}
