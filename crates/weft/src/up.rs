//! `weft up`: log (or a Kafka outside), desired state, engine and HTTP in one process, and a folder that is applied whenever
//! it changes.
//!
//! ```text
//!   read folder ─► broker ─► apply ────► node, doors ─┬─ revision came ─► node
//!                                                     ├─ folder changed ─► plan: apply it, or say why not
//!                                                     ├─ a second went by ─► a line of progress
//!                                                     └─ Ctrl-C ─► drain; a second one ends at once
//! ```

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;
use weft_catalog::{Connection, Controller, Desired, PlanOptions, watch};
use weft_gateway::Gateway;
use weft_model::kind::{Diagnostic, Diagnostics};
use weft_model::load::{self, Files, LoadOptions};
use weft_model::mesh::Replay;
use weft_model::settings::{Fsync, NodeSettings, Settings};

use crate::broker::Broker;
use crate::console::Console;
use crate::control::{self, Planned, apply, plan_on};
use crate::doors::{Facts, Rows};
use crate::edits::{Edits, Word};
use crate::front;
use crate::kafka::{Kafka, KafkaArgs};
use crate::node::{Node, NodeOptions};
use crate::report;
use crate::settings::{self, AtStart};
use crate::shutdown::Shutdown;
use crate::watcher::Watcher;

/// What `weft up` was asked.
#[derive(Debug, Clone)]
pub(crate) struct UpOptions {
    /// The mesh folder.
    pub(crate) folder: PathBuf,
    /// A Kafka outside, in place of the log in this process.
    pub(crate) kafka: KafkaArgs,
    /// The log in this process, whatever `weft.yaml` says.
    pub(crate) embedded: bool,
    /// Where the log listens, in place of `weft.yaml`.
    pub(crate) kafka_listen: Option<SocketAddr>,
    /// Where HTTP listens, in place of `weft.yaml`.
    pub(crate) http_listen: Option<String>,
    /// Where data lies; default `.weft` beside `weft.yaml`.
    pub(crate) data: Option<PathBuf>,
    /// Durability of the log, in place of `weft.yaml`.
    pub(crate) fsync: Option<Fsync>,
    /// Replay speed, in place of `weft.yaml`.
    pub(crate) replay: Option<Replay>,
    /// Overrides of the descriptors.
    pub(crate) load: LoadOptions,
}

/// Runs until told to stop.
pub(crate) async fn run(options: UpOptions) -> Result<(), Diagnostics> {
    let started = Instant::now();
    let folder = absolute(&options.folder);
    let data = options.data.clone().unwrap_or_else(|| folder.join(".weft"));
    let data = absolute(&data);
    // Watched before it is read, so that no edit falls between the two.
    let mut watcher = Watcher::start(&folder)?;
    // Everything that the descriptors can have wrong is said before anything is opened.
    let declared = crate::folder::Folder::read(&folder, &options.load, &Desired::default())?;
    let NodeSettings { settings, clusters, .. } = load::node(&declared.files)?;
    let outside = if options.embedded { None } else { Kafka::choose(&options.kafka, &clusters, &folder)? };
    let mut edits = edits(&folder, &declared.files, &options, outside.is_some())?;
    let http_listen = options.http_listen.clone().unwrap_or_else(|| declared.mesh.listeners.http.clone());
    let listener = Gateway::bind(&http_listen).await.map_err(|error| Diagnostics::from(*error))?;
    let http_addr = listener.local_addr().map_err(|error| no_address(&error))?;
    let mesh = declared.mesh.id.clone();
    let shutdown = Shutdown::listen()?;
    let console = Console::new(started);
    let found = match outside {
        Some(kafka) => {
            if let Some(line) = settings.section_line("log") {
                return Err(control::no_effect(&kafka.bootstrap, line));
            }
            if options.kafka_listen.is_some() || options.fsync.is_some() {
                return Err(no_log_here(&kafka.bootstrap));
            }
            Broker::other(kafka, &mesh, &console, &shutdown).await?
        }
        None => {
            let listen = options.kafka_listen.map_or_else(|| listen_addr(&declared.mesh.listeners.kafka), Ok)?;
            Some(Broker::embedded(&data, listen, options.fsync, &settings).await?)
        }
    };
    let Some(broker) = found else { return Ok(()) };
    let kafka = broker.kafka();
    console.listening(&declared.mesh, &kafka.bootstrap, http_addr, &data);

    let connection = kafka.connection();
    let mut controller = Controller::new(connection.clone(), mesh.clone(), &control::controller_name());
    let node = Arc::new(Node::start(NodeOptions {
        kafka,
        mesh: mesh.clone(),
        root: folder.clone(),
        data_dir: broker.caches(&data),
        replay: options.replay,
        settings: settings.clone(),
    })?);
    let doors =
        serve(&node, listener, &settings, |gateway| front::mount(gateway, &node, &connection, http_addr, &console))?;
    let mut desired = first_apply(&connection, &folder, &options.load, &mut controller, &mesh, &console).await?;
    node.run_revision(&desired).await?;

    let mut revisions = watch(&connection, &mesh);
    let mut tick = tokio::time::interval(Console::INTERVAL);
    loop {
        tokio::select! {
            biased;
            () = shutdown.requested() => break,
            revision = revisions.next() => match revision {
                Some(Ok(revision)) => {
                    if revision.revision > desired.revision {
                        desired = revision;
                        if let Err(findings) = node.run_revision(&desired).await {
                            console.findings(&findings);
                        }
                    }
                }
                Some(Err(error)) => console.findings(&error.diagnostics(&mesh)),
                None => revisions = watch(&connection, &mesh),
            },
            () = watcher.changed() => {
                edited(&connection, &options.load, &mut controller, &desired, &mut edits, &console).await;
            }
            _ = tick.tick() => {
                node.refresh();
                console.progress(&node.running().read());
            }
        }
    }
    console.say("draining; Ctrl-C again ends at once");
    doors.cancel.cancel();
    node.shutdown().await;
    doors.ended().await;
    broker.end().await;
    console.say("stopped");
    Ok(())
}

/// The folder changed: applies it, or says why not.
async fn edited(
    connection: &Connection,
    load: &LoadOptions,
    controller: &mut Controller,
    desired: &Desired,
    edits: &mut Edits,
    console: &Console,
) {
    let files = match edits.read() {
        Ok(files) => files,
        Err(findings) => {
            return console.refused(&findings, desired.revision, &edits.refused(Files::default(), &findings));
        }
    };
    let planned = plan_on(connection, files.clone(), load, &wishes(connection), desired.clone()).await;
    match applied(controller, planned).await {
        Ok(planned) => {
            edits.accepted();
            if let Some((planned, revision)) = planned {
                console.applied(&planned.plan, revision);
            }
            if let Some(line) = edits.waiting_for_restart(&files) {
                console.say(&line);
            }
        }
        Err(findings) => console.refused(&findings, desired.revision, &edits.refused(files, &findings)),
    }
}

/// Nothing is deleted under `weft up`.
fn wishes(connection: &Connection) -> PlanOptions {
    PlanOptions { topics: connection.topics, ..PlanOptions::default() }
}

/// What the node took from the folder, and which keys the command line decides instead.
fn edits(folder: &Path, files: &Files, options: &UpOptions, is_outside: bool) -> Result<Edits, Diagnostics> {
    let flags = [
        ("clusters", options.embedded || options.kafka.kafka.is_some()),
        ("listeners.kafka", options.kafka_listen.is_some() || is_outside),
        ("listeners.http", options.http_listen.is_some()),
        ("replay.speed", options.replay.is_some()),
        ("log.fsync", options.fsync.is_some()),
    ];
    let overridden: Vec<&'static str> = flags.into_iter().filter(|(_, given)| *given).map(|(key, _)| key).collect();
    let at_start = AtStart::of(&load::node(files)?, &overridden);
    Ok(Edits::new(folder.to_path_buf(), at_start, overridden))
}

/// Applies what was planned, if there is something to apply.
async fn applied(
    controller: &mut Controller,
    planned: Result<Planned, Diagnostics>,
) -> Result<Option<(Planned, u64)>, Diagnostics> {
    let planned = planned?;
    if planned.plan.is_refused() {
        return Err(planned.plan.diagnostics());
    }
    if planned.plan.is_empty() {
        return Ok(None);
    }
    let applied = apply(controller, &planned).await?;
    Ok(Some((planned, applied.revision)))
}

/// The first apply of this process. Refused on a mesh that already runs: the old version runs on.
async fn first_apply(
    connection: &Connection,
    folder: &Path,
    load: &LoadOptions,
    controller: &mut Controller,
    mesh: &weft_model::name::MeshId,
    console: &Console,
) -> Result<Desired, Diagnostics> {
    let read = || async { Desired::read(connection, mesh).await.map_err(|error| error.diagnostics(mesh)) };
    let desired = read().await?;
    let revision = desired.revision;
    let files = Files::read_folder(folder)?;
    let planned = plan_on(connection, files, load, &wishes(connection), desired.clone()).await;
    match applied(controller, planned).await {
        Ok(Some((planned, revision))) => {
            console.applied(&planned.plan, revision);
            read().await
        }
        Ok(None) => Ok(desired),
        Err(findings) if revision > 0 => {
            console.refused(&findings, revision, &Word::Findings);
            Ok(desired)
        }
        Err(findings) => Err(findings),
    }
}

/// The doors and how to end them.
struct Doors {
    cancel: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Doors {
    async fn ended(self) {
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the HTTP doors did not end as they should");
        }
    }
}

fn serve(
    node: &Arc<Node>,
    listener: tokio::net::TcpListener,
    settings: &Settings,
    mount: impl FnOnce(Gateway) -> Gateway,
) -> Result<Doors, Diagnostics> {
    let cancel = CancellationToken::new();
    let views = Arc::new(Rows(node.views()));
    let facts = Arc::new(Facts(node.running()));
    let metrics = {
        let node = Arc::clone(node);
        Arc::new(move |out: &mut String| crate::metrics::write(&node, out))
    };
    let gateway = mount(Gateway::new(settings::http(settings), views, facts)?.append_metrics(metrics));
    let token = cancel.clone();
    let task = tokio::spawn(async move {
        if let Err(error) = gateway.serve(listener, token).await {
            report::print(&Diagnostics::from(*error));
        }
    });
    Ok(Doors { cancel, task })
}

/// Flags of the embedded log beside a Kafka that `weft.yaml` names.
fn no_log_here(bootstrap: &str) -> Diagnostics {
    Diagnostics::from(Diagnostic {
        kind: weft_model::kind::Kind::Invalid,
        code: "NODE-009",
        what: "--kafka-listen and --fsync would have no effect".to_owned(),
        because: format!("they are for the embedded log, and weft.yaml puts the mesh on the Kafka at {bootstrap}"),
        try_: "drop them, or add --embedded".to_owned(),
        place: None,
    })
}

fn listen_addr(text: &str) -> Result<SocketAddr, Diagnostics> {
    text.parse().map_err(|_| {
        Diagnostics::from(Diagnostic {
            kind: weft_model::kind::Kind::Invalid,
            code: "NODE-004",
            what: format!("cannot listen on \"{text}\""),
            because: "it is not an address and a port".to_owned(),
            try_: "write it as 127.0.0.1:9092; port 0 takes any free one".to_owned(),
            place: None,
        })
    })
}

fn no_address(error: &std::io::Error) -> Diagnostics {
    Diagnostics::from(Diagnostic {
        kind: weft_model::kind::Kind::Unavailable,
        code: "NODE-004",
        what: "could not listen for HTTP".to_owned(),
        because: error.to_string(),
        try_: "name another address with --http-listen".to_owned(),
        place: None,
    })
}

/// The path from the root, so that a later change of directory does not matter; as it is if that cannot be found out.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}
