//! The Kafka under a mesh: the log in this process, or one that somebody else runs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use weft_catalog::{Connection, reach};
use weft_log::{Log, LogHandle};
use weft_model::kind::Diagnostics;
use weft_model::name::MeshId;
use weft_model::settings::{Fsync, Settings};
use weft_wire::env::Env;

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
    /// The log in this process.
    Embedded(LogHandle),
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
    ) -> Result<Self, Diagnostics> {
        let mut options = settings::log(settings, weft_log::Options::new(data.join("log")));
        options.listen = listen;
        if let Some(fsync) = fsync {
            options.fsync = settings::fsync_mode(fsync);
        }
        let log = Log::start(options, Env::real()).await;
        log.map(Self::Embedded).map_err(|error| Diagnostics::from(error.diagnostic()))
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

    /// How clients come in.
    pub(crate) fn kafka(&self) -> Kafka {
        match self {
            Self::Embedded(log) => Kafka::plain(log.listen_addr().to_string()),
            Self::Other(kafka, _) => kafka.clone(),
        }
    }

    /// Where state, indexes and unpacked files lie. What was computed from the topics of one Kafka says nothing about
    /// those of another, so each has a folder of its own.
    pub(crate) fn caches(&self, data: &Path) -> PathBuf {
        match self {
            Self::Embedded(_) => data.to_path_buf(),
            Self::Other(_, cluster_id) => {
                let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
                data.join(format!("kafka-{}", cluster_id.chars().map(plain).collect::<String>()))
            }
        }
    }

    /// Ends what was started.
    pub(crate) async fn end(self) {
        let Self::Embedded(log) = self else { return };
        if let Err(error) = log.shutdown().await {
            tracing::error!(%error, "the log did not end as it should");
        }
    }
}
