//! The Kafka under a mesh: the log in this process, or one that somebody else runs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use weft_catalog::{Connection, reach};
use weft_gateway::KafkaDoor;
use weft_log::{Log, LogHandle};
use weft_model::kind::Diagnostics;
use weft_model::name::MeshId;
use weft_model::settings::{Fsync, Settings};
use weft_wire::env::Env;

use crate::access::Doorkeeper;
use crate::console::Console;
use crate::kafka::Kafka;
use crate::settings;
use crate::shutdown::Shutdown;

/// Longest wait for one answer while nobody knows whether the Kafka is there.
const ANSWER: Duration = Duration::from_secs(5);
/// A Kafka that takes longer than this to answer is waited for in plain sight.
const QUIET: Duration = Duration::from_secs(1);
/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// Who carries the topics.
pub(crate) enum Broker {
    /// The log in this process; who stands at its door, and where it tells clients to come.
    Embedded(LogHandle, Option<Arc<Doorkeeper>>, String),
    /// A Kafka outside, and its own id.
    Other(Kafka, String),
}

impl Broker {
    /// Starts the log in this process.
    pub(crate) async fn embedded(
        data: &Path,
        listen: SocketAddr,
        fsync: Option<Fsync>,
        settings: &Settings,
        doorkeeper: Option<Arc<Doorkeeper>>,
    ) -> Result<Self, Diagnostics> {
        let mut options = settings::log(settings, weft_log::Options::new(data.join("log")));
        options.listen = listen;
        if let Some(fsync) = fsync {
            options.fsync = settings::fsync_mode(fsync);
        }
        let advertised = options.advertised.clone();
        let log = match &doorkeeper {
            None => Log::start(options, Env::real()).await,
            Some(doorkeeper) => Log::start_guarded(options, Env::real(), doorkeeper.guard()).await,
        };
        let log = log.map_err(|error| Diagnostics::from(error.diagnostic()))?;
        let address = match advertised {
            Some((host, 0)) => format!("{host}:{}", log.listen_addr().port()),
            Some((host, port)) => format!("{host}:{port}"),
            None => log.listen_addr().to_string(),
        };
        Ok(Self::Embedded(log, doorkeeper, address))
    }

    /// Waits for a Kafka outside, however long it takes to come. `None`: somebody asked to stop.
    pub(crate) async fn other(
        kafka: Kafka,
        mesh: &MeshId,
        console: &Console,
        shutdown: &Shutdown,
    ) -> Result<Option<Self>, Diagnostics> {
        let connection = Connection { timeout: ANSWER, ..kafka.connection() };
        let mut said = None;
        loop {
            let asking = reach(&connection);
            tokio::pin!(asking);
            let asked = loop {
                tokio::select! {
                    () = shutdown.requested() => return Ok(None),
                    asked = &mut asking => break asked,
                    () = tokio::time::sleep(QUIET), if said.is_none() => {
                        console.say(&format!("waiting for the Kafka at {}", kafka.bootstrap));
                        said = Some(String::new());
                    }
                }
            };
            match asked {
                Ok(reached) => return Ok(Some(Self::Other(kafka, reached.cluster_id))),
                Err(error) if !error.is_retriable() => return Err(error.diagnostics(mesh)),
                Err(error) => {
                    let reason = error.to_string();
                    if said.as_ref() != Some(&reason) {
                        console.say(&format!("waiting for the Kafka at {}: {reason}", kafka.bootstrap));
                        said = Some(reason);
                    }
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// How this process comes in.
    pub(crate) fn kafka(&self) -> Kafka {
        match self {
            Self::Embedded(log, Some(doorkeeper), _) => {
                let own = log.own_addr().expect("a guarded log has a listener for its process");
                doorkeeper.own_kafka(own.to_string())
            }
            Self::Embedded(log, None, _) => Kafka::plain(log.listen_addr().to_string()),
            Self::Other(kafka, _) => kafka.clone(),
        }
    }

    /// How clients come in.
    pub(crate) fn door(&self) -> KafkaDoor {
        match self {
            Self::Embedded(_, Some(doorkeeper), address) => doorkeeper.door(address.clone()),
            Self::Embedded(log, None, _) => Kafka::plain(log.listen_addr().to_string()).door(),
            Self::Other(kafka, _) => kafka.door(),
        }
    }

    /// Is it the log in this process?
    pub(crate) fn is_embedded(&self) -> bool {
        matches!(self, Self::Embedded(..))
    }

    /// Where state, indexes and unpacked files lie. What was computed from the topics of one Kafka says nothing about
    /// those of another, so each has a folder of its own.
    pub(crate) fn caches(&self, data: &Path) -> PathBuf {
        match self {
            Self::Embedded(..) => data.to_path_buf(),
            Self::Other(_, cluster_id) => {
                let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
                data.join(format!("kafka-{}", cluster_id.chars().map(plain).collect::<String>()))
            }
        }
    }

    /// Ends what was started.
    pub(crate) async fn end(self) {
        let Self::Embedded(log, ..) = self else { return };
        if let Err(error) = log.shutdown().await {
            tracing::error!(%error, "the log did not end as it should");
        }
    }
}
