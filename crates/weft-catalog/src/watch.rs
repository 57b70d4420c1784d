//! Following the desired state: every revision, as it is committed.

use std::time::Duration;

use rdkafka::Message;
use rdkafka::error::KafkaError;
use tokio::sync::mpsc;
use weft_model::name::MeshId;

use crate::Connection;
use crate::desired::Desired;
use crate::error::CatalogError;
use crate::kafka::desired_consumer;

/// Revisions that wait for whoever watches; a slow watcher holds up its own reading and nobody else.
const REVISIONS_WAITING_MAX: usize = 4;

/// A running watch. Dropping it ends it.
#[derive(Debug)]
pub struct Watch {
    revisions: mpsc::Receiver<Result<Desired, CatalogError>>,
}

impl Watch {
    /// The next revision; the first is the newest that is there. Revisions that were overtaken are left out. `None`
    /// after an error, which ends the watch.
    pub async fn next(&mut self) -> Option<Result<Desired, CatalogError>> {
        self.revisions.recv().await
    }
}

/// Watches the desired state of a mesh. Waits for the topic if it is not there yet.
pub fn watch(connection: &Connection, mesh: &MeshId) -> Watch {
    let (send, revisions) = mpsc::channel(REVISIONS_WAITING_MAX);
    let (connection, mesh) = (connection.clone(), mesh.clone());
    let run = {
        let send = send.clone();
        move || {
            if let Err(error) = follow(&connection, &mesh, &send) {
                // Nobody may be there to hear it any more.
                let _ = send.blocking_send(Err(error));
            }
        }
    };
    if let Err(error) = std::thread::Builder::new().name("desired watch".to_owned()).spawn(run) {
        let doing = "watching the desired state";
        let _ = send.try_send(Err(CatalogError::Kafka { doing, reason: error.to_string(), retriable: true }));
    }
    Watch { revisions }
}

fn follow(
    connection: &Connection,
    mesh: &MeshId,
    send: &mpsc::Sender<Result<Desired, CatalogError>>,
) -> Result<(), CatalogError> {
    let consumer = loop {
        if let Some(consumer) = desired_consumer(connection, mesh)? {
            break consumer;
        }
        std::thread::sleep(Duration::from_millis(100));
        if send.is_closed() {
            return Ok(());
        }
    };
    let mut desired = Desired::default();
    let mut unsent = false;
    while !send.is_closed() {
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Ok(record)) => unsent |= desired.take(record.key().unwrap_or_default(), record.payload())?,
            Some(Err(KafkaError::PartitionEOF(_))) => {
                if unsent && send.blocking_send(Ok(desired.clone())).is_err() {
                    return Ok(());
                }
                unsent = false;
            }
            Some(Err(error)) => tracing::debug!(%error, "watching the desired state; librdkafka tries again"),
        }
    }
    Ok(())
}
