//! The node: runs what is desired. The one place where the rooms meet.
//!
//! ```text
//!   __weft.<mesh>.desired ──► run_revision ─┬─► views    every output port answers
//!                                           ├─► engine   transforms
//!                                           └─► sources  CSV replays
//! ```
//!
//! A node never runs from its folder (DESIGN §1): it loads the mesh from the files that lie on the topic.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;
use weft_catalog::nodes::NodeSource;
use weft_catalog::{Desired, NodeRecord, Roll, Standing};
use weft_connect::{CsvSource, ReplayClock, SourceOptions, SourceState};
use weft_gateway::{KafkaDoor, RunState};
use weft_model::kind::{Diagnostic, Diagnostics, Kind};
use weft_model::load::{self, DescriptorTexts};
use weft_model::mesh::{Mesh, Replay};
use weft_model::name::{MeshId, NodeName, PortId, ProductId};
use weft_model::product::{Behaviour, Product};
use weft_model::settings::Settings;
use weft_stream::config::{EngineOptions, KafkaOptions, Others, ViewsOptions};
use weft_stream::ir::Program;
use weft_stream::runtime::Engine;
use weft_stream::views::{MayRead, Views};

use crate::doors::Running;
use crate::kafka::Kafka;
use crate::settings;
use crate::status::product_state;

/// What a node is started with.
#[derive(Clone)]
pub(crate) struct NodeOptions {
    /// The Kafka that carries the mesh.
    pub(crate) kafka: Kafka,
    /// How clients come in there.
    pub(crate) door: KafkaDoor,
    /// The mesh.
    pub(crate) mesh: MeshId,
    /// This node's name among the nodes of the mesh.
    pub(crate) name: NodeName,
    /// Names of the others that were seen lately.
    pub(crate) others: Others,
    /// Where relative file names of sources start.
    pub(crate) root: PathBuf,
    /// Caches: state, indexes, unpacked files.
    pub(crate) data_dir: PathBuf,
    /// Replay speed in place of the descriptor's.
    pub(crate) replay: Option<Replay>,
    /// What `weft.yaml` says about this node.
    pub(crate) settings: Settings,
}

/// A node that runs.
pub(crate) struct Node {
    options: NodeOptions,
    engine: Arc<Engine>,
    views: Views,
    running: Arc<RwLock<Running>>,
    deployed: Mutex<Deployed>,
    /// This node runs the sources.
    leads: AtomicBool,
    /// It shuts down, and starts nothing more.
    closing: AtomicBool,
    /// One change of what runs at a time: a revision, or who leads.
    changing: tokio::sync::Mutex<()>,
}

/// What was started for which product, to tell a change from none.
#[derive(Default)]
struct Deployed {
    clock: Option<Arc<ReplayClock>>,
    programs: BTreeMap<ProductId, String>,
    sources: BTreeMap<ProductId, Product>,
}

impl Node {
    /// Opens caches and clients. Nothing runs before the first revision.
    pub(crate) fn start(options: NodeOptions, readable: Arc<dyn MayRead>) -> Result<Self, Diagnostics> {
        let Kafka { bootstrap, client, topics } = options.kafka.clone();
        let kafka = KafkaOptions { overrides: client, topics, ..KafkaOptions::new(bootstrap) };
        let views = ViewsOptions::new(kafka.clone(), options.mesh.clone(), options.data_dir.join("views"));
        let views = Views::start_with(settings::views(&options.settings, views), readable)
            .map_err(|error| cannot_start("views", &error))?;
        let engine = EngineOptions {
            slot: options.name.to_string(),
            others: options.others.clone(),
            ..EngineOptions::new(kafka, options.mesh.clone(), options.data_dir.join("state"))
        };
        let engine = Engine::start(settings::engine(&options.settings, engine))
            .map_err(|error| cannot_start("engine", &error))?;
        Ok(Self {
            options,
            engine: Arc::new(engine),
            views,
            running: Arc::default(),
            deployed: Mutex::default(),
            leads: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            changing: tokio::sync::Mutex::default(),
        })
    }

    /// Its name among the nodes of the mesh.
    pub(crate) fn name(&self) -> &NodeName {
        &self.options.name
    }

    /// How clients come in at the Kafka.
    pub(crate) fn door(&self) -> &KafkaDoor {
        &self.options.door
    }

    /// The views, for the doors.
    pub(crate) fn views(&self) -> Views {
        self.views.clone()
    }

    /// What runs, for the doors and the terminal.
    pub(crate) fn running(&self) -> Arc<RwLock<Running>> {
        Arc::clone(&self.running)
    }

    /// Makes what runs equal to this revision. Again with the same revision: nothing happens.
    pub(crate) async fn run_revision(&self, desired: &Desired) -> Result<(), Diagnostics> {
        let _changing = self.changing.lock().await;
        let files = desired.files();
        let mut mesh = load::load(&files, &desired.load_options())?;
        let descriptors = Arc::new(DescriptorTexts::of(&files, &mesh));
        if let Some(replay) = self.options.replay {
            mesh.replay = replay;
        }
        let mesh = Arc::new(mesh);
        let generations = generations(&mesh, desired);
        self.retire(&mesh).await;
        self.transforms(&mesh, desired).await?;
        self.sources(&mesh).await?;
        let set = self.views.set_ports(Arc::clone(&mesh), generations.clone()).await;
        set.map_err(|error| Diagnostics(vec![error.diagnostic()]))?;
        // Last, so that the doors let nobody ask for a port that the views do not know yet.
        let mut running = self.running.write();
        running.mesh = Some(mesh);
        running.descriptors = descriptors;
        running.kafka = Some(self.options.door.clone());
        running.generations = generations;
        Ok(())
    }

    /// Starting and stopping products waits for their last commits, which must not hold up this thread.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Engine) -> T + Send + 'static) -> T {
        let engine = Arc::clone(&self.engine);
        tokio::task::spawn_blocking(move || work(&engine)).await.expect("the engine does not panic")
    }

    async fn transforms(&self, mesh: &Arc<Mesh>, desired: &Desired) -> Result<(), Diagnostics> {
        for (id, record) in &desired.products {
            let Some(json) = &record.program else { continue };
            let text = json.to_string();
            if self.deployed.lock().programs.get(id) == Some(&text) {
                continue;
            }
            let program = Program::from_json(&text).map_err(|error| unreadable_program(id, &error.to_string()))?;
            let generation = record.ports.values().map(|port| port.generation).max().unwrap_or(1);
            let (mesh, product) = (Arc::clone(mesh), id.clone());
            self.blocking(move |engine| engine.deploy(mesh, product, program, generation))
                .await
                .map_err(|error| cannot_start(&format!("product \"{id}\""), &error))?;
            self.deployed.lock().programs.insert(id.clone(), text);
        }
        Ok(())
    }

    /// Runs the sources while it leads, and stops them when another does. All of a mesh run on one node: they share a
    /// replay clock. A node that is apart, as all are while the Kafka is away, goes on: should another have taken over, the
    /// producers of its sources are fenced, and that ends them.
    pub(crate) async fn stand(&self, standing: watch::Receiver<Standing>) -> Result<(), Diagnostics> {
        let _changing = self.changing.lock().await;
        // As it is now: it may have changed while somebody else changed what runs.
        let now = *standing.borrow();
        match now {
            Standing::Leads if !self.closing.load(Ordering::Relaxed) => {
                self.leads.store(true, Ordering::Relaxed);
                let mesh = self.running.read().mesh.clone();
                match mesh {
                    Some(mesh) => self.sources(&mesh).await,
                    None => Ok(()), // the first revision starts them
                }
            }
            Standing::Follows => {
                self.leads.store(false, Ordering::Relaxed);
                self.stop_sources().await;
                Ok(())
            }
            Standing::Leads | Standing::Apart | Standing::Replaced => Ok(()),
        }
    }

    async fn stop_sources(&self) {
        let sources = std::mem::take(&mut self.running.write().sources);
        for source in sources.values() {
            source.stop().await;
        }
        let mut deployed = self.deployed.lock();
        deployed.sources.clear();
        deployed.clock = None;
    }

    /// Another node ran this source for a while.
    fn was_fenced(&self, product: &ProductId) -> bool {
        let state = self.running.read().sources.get(product).map(|source| source.status().state);
        matches!(state, Some(SourceState::Stopped(why)) if why.kind == Kind::Fenced)
    }

    async fn sources(&self, mesh: &Arc<Mesh>) -> Result<(), Diagnostics> {
        if !self.leads.load(Ordering::Relaxed) {
            return Ok(());
        }
        let clock = {
            let mut deployed = self.deployed.lock();
            Arc::clone(deployed.clock.get_or_insert_with(|| ReplayClock::for_mesh(mesh)))
        };
        for product in mesh.products.values() {
            if !matches!(product.behaviour, Behaviour::Source(_)) {
                continue;
            }
            if self.deployed.lock().sources.get(&product.id) == Some(product) && !self.was_fenced(&product.id) {
                continue;
            }
            let before = self.running.write().sources.remove(&product.id);
            if let Some(before) = before {
                before.stop().await;
            }
            let handle = CsvSource::start(SourceOptions {
                bootstrap: self.options.kafka.bootstrap.clone(),
                client: self.options.kafka.client.clone(),
                mesh: Arc::clone(mesh),
                product: product.id.clone(),
                root: self.options.root.clone(),
                data_dir: self.options.data_dir.join("sources"),
                clock: Arc::clone(&clock),
                limits: settings::sources(&self.options.settings),
            })
            .map_err(|error| Diagnostics(vec![error.diagnostic(&product.id)]))?;
            self.running.write().sources.insert(product.id.clone(), handle);
            self.deployed.lock().sources.insert(product.id.clone(), product.clone());
        }
        Ok(())
    }

    /// Stops what the mesh no longer has. Topics and state stay.
    async fn retire(&self, mesh: &Mesh) {
        let gone = |id: &ProductId| !mesh.products.contains_key(id);
        let (programs, sources) = {
            let mut deployed = self.deployed.lock();
            let programs: BTreeSet<ProductId> = deployed.programs.keys().filter(|id| gone(id)).cloned().collect();
            let sources: BTreeSet<ProductId> = deployed.sources.keys().filter(|id| gone(id)).cloned().collect();
            deployed.programs.retain(|id, _| !programs.contains(id));
            deployed.sources.retain(|id, _| !sources.contains(id));
            (programs, sources)
        };
        for id in programs {
            self.blocking(move |engine| engine.retire(&id)).await;
        }
        for id in &sources {
            let handle = self.running.write().sources.remove(id);
            if let Some(handle) = handle {
                handle.stop().await;
            }
        }
    }

    /// Takes over what the engine says of its products.
    pub(crate) fn refresh(&self, roll: &Roll) {
        let states = self
            .engine
            .status()
            .into_iter()
            .map(|status| {
                let state = product_state(&status);
                (status.product, state)
            })
            .collect();
        let mut running = self.running.write();
        running.engine = states;
        running.elsewhere = elsewhere(&self.options.name, roll);
    }

    /// The engine's numbers, for `/metrics`.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Stops in the order of the flow: sources, transforms, views. Everything under way is committed or aborted. To hand
    /// over is to leave the groups, for others that are there to go on.
    pub(crate) async fn shutdown(&self, hand_over: bool) {
        self.closing.store(true, Ordering::Relaxed);
        self.stop_sources().await;
        if hand_over {
            self.engine.hand_over();
        }
        self.blocking(Engine::shutdown).await;
        self.views.shutdown().await;
    }
}

/// Sources that other nodes run.
fn elsewhere(own: &NodeName, roll: &Roll) -> BTreeMap<ProductId, RunState> {
    let others = roll.nodes().map(|seen| &seen.record).filter(|record| record.node != *own && record.leads);
    let said = others.flat_map(|record| record.sources.iter().map(move |source| (record, source)));
    let state = |(record, source): (&NodeRecord, &NodeSource)| {
        let on = format!("on node {}", record.node);
        let detail = source.detail.as_ref().map_or_else(|| on.clone(), |detail| format!("{detail}, {on}"));
        (source.product.clone(), RunState { state: source.state.clone(), detail: Some(detail) })
    };
    said.map(state).collect()
}

fn generations(mesh: &Mesh, desired: &Desired) -> BTreeMap<PortId, u32> {
    let mut generations = BTreeMap::new();
    for product in mesh.products.values() {
        let record = desired.products.get(&product.id);
        for port in &product.outputs {
            let key = weft_catalog::desired::port_key(port);
            let generation = record.and_then(|record| record.ports.get(&key)).map_or(1, |port| port.generation);
            generations.insert(port.id.clone(), generation);
        }
    }
    generations
}

fn cannot_start(what: &str, error: &dyn std::error::Error) -> Diagnostics {
    Diagnostics(vec![Diagnostic {
        kind: Kind::Unavailable,
        code: "NODE-001",
        what: format!("could not start {what}"),
        because: error.to_string(),
        try_: "`weft doctor` checks what a node needs".to_owned(),
        place: None,
    }])
}

fn unreadable_program(product: &ProductId, because: &str) -> Diagnostics {
    Diagnostics(vec![Diagnostic {
        kind: Kind::Corrupt,
        code: "NODE-002",
        what: format!("cannot run product \"{product}\""),
        because: because.to_owned(),
        try_: "run the version of weft that applied it, or apply the folder again with this one".to_owned(),
        place: None,
    }])
}
