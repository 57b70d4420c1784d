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
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use weft_catalog::nodes::NodeSeen;
use weft_catalog::{Desired, Membership, Standing, watch};
use weft_gateway::Gateway;
use weft_model::kind::{Diagnostic, Diagnostics};
use weft_model::load::{self, Files, LoadOptions};
use weft_model::mesh::Replay;
use weft_model::name::NodeName;
use weft_model::settings::{Fsync, NodeSettings, Settings};
use weft_stream::config::Others;
use weft_stream::views::{MayRead, Open};

use crate::access::Doorkeeper;
use crate::broker::Broker;
use crate::console::Console;
use crate::control;
use crate::doors::{Facts, Rows};
use crate::edits::Edits;
use crate::front;
use crate::kafka::{Kafka, KafkaArgs};
use crate::membership::{self, Announced};
use crate::node::{Node, NodeOptions};
use crate::report;
use crate::settings::{self, AtStart};
use crate::shutdown::Shutdown;
use crate::watcher::Watcher;
use crate::writer::Writer;

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
    /// This node's name among the nodes of the mesh.
    pub(crate) node: NodeName,
    /// Durability of the log, in place of `weft.yaml`.
    pub(crate) fsync: Option<Fsync>,
    /// Replay speed, in place of `weft.yaml`.
    pub(crate) replay: Option<Replay>,
    /// Overrides of the descriptors.
    pub(crate) load: LoadOptions,
}

/// A node that was not heard of for longer is not counted on. They say something every five seconds.
const HEARD: Duration = Duration::from_secs(12);

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
    let NodeSettings { settings, clusters, access, .. } = load::node(&declared.files)?;
    let doorkeeper = Doorkeeper::open(&access, &folder, &data)?;
    let is_safe = doorkeeper.as_ref().is_some_and(|doorkeeper| doorkeeper.has_tls());
    let outside = if options.embedded { None } else { Kafka::choose(&options.kafka, &clusters, &folder)? };
    let mut edits = edits(&folder, &declared.files, &options, outside.is_some())?;
    let http_listen = options.http_listen.clone().unwrap_or_else(|| declared.mesh.listeners.http.clone());
    let listener = Gateway::bind(&http_listen, is_safe).await.map_err(|error| Diagnostics::from(*error))?;
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
            Some(Broker::embedded(&data, listen, options.fsync, &settings, doorkeeper.clone()).await?)
        }
    };
    let Some(broker) = found else { return Ok(()) };
    let (kafka, door) = (broker.kafka(), broker.door());
    console.listening(&declared.mesh, &door.bootstrap, http_addr, is_safe, &data);
    if let Some(doorkeeper) = &doorkeeper {
        doorkeeper.follow(&kafka, &mesh, broker.is_embedded()).await?;
        console.guarded(&doorkeeper.own_key_file(), broker.is_embedded());
    }
    let readable: Arc<dyn MayRead> = match &doorkeeper {
        Some(doorkeeper) => Arc::clone(doorkeeper) as Arc<dyn MayRead>,
        None => Arc::new(Open),
    };

    let connection = kafka.connection();
    let announced = Announced::new(options.node.clone(), http_addr.to_string());
    let membership = Membership::join(&connection, &mesh, &options.node, settings::session_timeout_ms(&settings))
        .map_err(|error| error.diagnostics(&mesh))?;
    let membership = Arc::new(membership);
    let options_of_node = NodeOptions {
        kafka,
        door,
        mesh: mesh.clone(),
        name: options.node.clone(),
        others: others(&membership, &options.node),
        root: folder.clone(),
        data_dir: broker.caches(&data),
        replay: options.replay,
        settings: settings.clone(),
    };
    let node = Arc::new(Node::start(options_of_node, readable)?);
    let doors = serve(&node, listener, &settings, |gateway| {
        let gateway = match &doorkeeper {
            Some(doorkeeper) => doorkeeper.guard_http(gateway),
            None => gateway,
        };
        let guard = (doorkeeper.as_ref(), broker.is_embedded());
        front::mount(gateway, &node, &membership, &connection, http_addr, guard, &console)
    })?;
    let mut writer = Writer::new(connection.clone(), mesh.clone(), &options.node, options.load.clone());
    let mut desired = writer.first_apply(&folder, &console).await?;
    node.run_revision(&desired).await?;
    announced.change(|record| {
        record.revision = desired.revision;
        record.writes = writer.writes();
    });

    let mut standing = membership.standing();
    let mut revisions = watch(&connection, &mesh);
    let mut tick = tokio::time::interval(Console::INTERVAL);
    let mut leading = tokio::task::JoinSet::new();
    let mut replaced = false;
    loop {
        tokio::select! {
            biased;
            () = shutdown.requested() => break,
            revision = revisions.next() => match revision {
                Some(Ok(revision)) => {
                    if revision.revision > desired.revision {
                        desired = revision;
                        announced.change(|record| record.revision = desired.revision);
                        if let Err(findings) = node.run_revision(&desired).await {
                            console.findings(&findings);
                        }
                    }
                }
                Some(Err(error)) => console.findings(&error.diagnostics(&mesh)),
                None => revisions = watch(&connection, &mesh),
            },
            () = watcher.changed() => {
                writer.edited(&desired, &mut edits, &console).await;
                announced.change(|record| record.writes = writer.writes());
            }
            changed = standing.changed() => {
                let now = *standing.borrow_and_update();
                if changed.is_err() || now == Standing::Replaced {
                    replaced = true;
                    break;
                }
                announced.change(|record| record.leads = now == Standing::Leads);
                let (node, standing) = (Arc::clone(&node), standing.clone());
                // Beside the loop: sources that are told to stop end their transaction first, however long that takes.
                leading.spawn(async move { node.stand(standing).await });
            }
            Some(stood) = leading.join_next() => {
                if let Err(findings) = stood.expect("standing does not panic") {
                    console.findings(&findings);
                }
            }
            _ = tick.tick() => {
                node.refresh(&membership.roll());
                announced.say(&node, &membership);
                console.progress(&node.running().read());
            }
        }
    }
    console.say("draining; Ctrl-C again ends at once");
    doors.cancel.cancel();
    node.shutdown(!replaced && has_others(&membership, &options.node)).await;
    doors.ended().await;
    let roll = membership.roll();
    tokio::task::spawn_blocking(move || {
        announced.change(|record| record.leaving = true);
        membership.leave(&announced.record(), !replaced);
    })
    .await
    .expect("leaving does not panic");
    broker.end().await;
    if replaced {
        return Err(membership::replaced(&options.node, roll.node(&options.node)));
    }
    console.say("stopped");
    Ok(())
}

/// Slots of the other nodes that were heard of lately, for the engine to end what a dead one left open.
fn others(membership: &Arc<Membership>, own: &NodeName) -> Others {
    let (membership, own) = (Arc::downgrade(membership), own.clone());
    Others(Arc::new(move || {
        let Some(membership) = membership.upgrade() else { return Vec::new() };
        membership
            .roll()
            .nodes()
            .map(|seen| &seen.record.node)
            .filter(|node| **node != own)
            .map(ToString::to_string)
            .collect()
    }))
}

/// Is there another node that may take over?
fn has_others(membership: &Membership, own: &NodeName) -> bool {
    let heard = |seen: &NodeSeen| seen.record.node != *own && !seen.record.leaving && seen.at.elapsed() < HEARD;
    membership.roll().nodes().any(heard)
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
