//! Membership of the group of nodes, on a thread of its own: librdkafka tells of it only to whoever polls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientConfig, ClientContext, config::RDKafkaLogLevel};
use tokio::sync::watch;
use weft_model::name::{MeshId, NodeName};

use super::{Standing, client_id, group};
use crate::Connection;
use crate::error::CatalogError;
use crate::kafka::{broker_error, client_config};

const DOING: &str = "joining the nodes of the mesh";
/// One look.
const STEP: Duration = Duration::from_millis(100);
/// Between two looks for the topic.
const TOPIC_WAIT: Duration = Duration::from_millis(200);
/// Between two looks whether a member without a partition is alone.
const ALONE_WAIT: Duration = Duration::from_secs(2);
/// A session ends this much later than its timeout says, at most.
const GHOST: Duration = Duration::from_secs(2);
/// Longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(5);

/// The thread and the word to leave.
pub(super) struct Member {
    stop: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Member {
    pub(super) fn start(
        connection: &Connection,
        mesh: &MeshId,
        node: &NodeName,
        session_timeout_ms: u32,
        standing: watch::Sender<Standing>,
    ) -> Result<Self, CatalogError> {
        let (group, client) = (group(mesh), client_id(node));
        let (session, beat) = (session_timeout_ms.to_string(), (session_timeout_ms / 6).max(100).to_string());
        let ours = [
            ("group.id", group.as_str()),
            ("client.id", client.as_str()),
            ("group.instance.id", node.as_str()),
            ("session.timeout.ms", session.as_str()),
            ("heartbeat.interval.ms", beat.as_str()),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "latest"),
            ("partition.assignment.strategy", "range"),
            ("topic.metadata.refresh.interval.ms", "10000"),
        ];
        let config = client_config(connection, &ours);
        let made = |config: &ClientConfig, standing: &Arc<watch::Sender<Standing>>| {
            let context = Context { standing: Arc::clone(standing) };
            config.create_with_context::<_, BaseConsumer<Context>>(context)
        };
        let standing = Arc::new(standing);
        let mut consumer = made(&config, &standing).map_err(|error| broker_error(DOING, &error))?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let session = Duration::from_millis(u64::from(session_timeout_ms));
        let life = move || {
            while let End::Fenced = run(&consumer, &group, &told) {
                // The one that was fenced is of no more use, and beats no heart once it is dropped.
                consumer = match made(&config, &standing) {
                    Ok(fresh) => fresh,
                    Err(error) => return tracing::error!(%error, "the node cannot join the others again"),
                };
                if another_is_there(&consumer, &group, &client, session, &told) {
                    return consumer.context().set(Standing::Replaced);
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("weft-nodes".to_owned())
            .spawn(life)
            .map_err(|error| CatalogError::Kafka { doing: DOING, reason: error.to_string(), retriable: true })?;
        Ok(Self { stop, thread: Mutex::new(Some(thread)) })
    }

    /// Leaves the group, so that another leads at once. Blocks for a moment.
    pub(super) fn leave(&self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the node's membership had panicked");
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.leave();
    }
}

struct Context {
    standing: Arc<watch::Sender<Standing>>,
}

/// Why `run` came back.
enum End {
    Stopped,
    Fenced,
}

impl Context {
    fn set(&self, standing: Standing) {
        self.standing.send_if_modified(|now| {
            let changes = *now != standing && *now != Standing::Replaced;
            if changes {
                *now = standing;
            }
            changes
        });
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        tracing::debug!(?level, fac, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
    }
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if matches!(rebalance, Rebalance::Revoke(_)) {
            self.set(Standing::Apart);
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(partitions) = rebalance {
            self.set(if partitions.count() > 0 { Standing::Leads } else { Standing::Follows });
        }
    }
}

/// Whoever fenced us is in the group under our name. Another node beats its heart; the ghost of a request that a broker
/// answered after it had been given up on does not, and the group forgets it when its session ends.
fn another_is_there(
    consumer: &BaseConsumer<Context>,
    group: &str,
    client: &str,
    session: Duration,
    stop: &AtomicBool,
) -> bool {
    let until = Instant::now() + session + GHOST;
    while Instant::now() < until && !stop.load(Ordering::Relaxed) {
        if let Ok(found) = consumer.fetch_group_list(Some(group), ANSWER)
            && !found.groups().iter().flat_map(|one| one.members()).any(|member| member.client_id() == client)
        {
            return false;
        }
        std::thread::sleep(TOPIC_WAIT);
    }
    true
}

fn run(consumer: &BaseConsumer<Context>, topic: &str, stop: &AtomicBool) -> End {
    let stopping = || stop.load(Ordering::Relaxed);
    while !stopping() && !is_there(consumer, topic) {
        std::thread::sleep(TOPIC_WAIT);
    }
    let subscribe = || {
        if let Err(error) = consumer.subscribe(&[topic]) {
            tracing::error!(%error, "the node cannot join the others");
        }
    };
    subscribe();
    let mut looked = Instant::now();
    while !stopping() {
        if let Some(Err(error)) = consumer.poll(STEP) {
            if matches!(error, KafkaError::MessageConsumptionFatal(RDKafkaErrorCode::FencedInstanceId)) {
                consumer.context().set(Standing::Apart);
                return End::Fenced;
            }
            tracing::debug!(%error, "membership");
        }
        // Whoever shared out did not know of the topic yet, and a static member is handed the same again until it leaves.
        let follows = *consumer.context().standing.borrow() == Standing::Follows;
        if follows && looked.elapsed() >= ALONE_WAIT {
            looked = Instant::now();
            if is_alone(consumer, topic) {
                consumer.unsubscribe();
                wait_for(Duration::from_millis(500), consumer);
                subscribe();
            }
        }
    }
    consumer.unsubscribe();
    wait_for(Duration::from_millis(300), consumer);
    End::Stopped
}

/// Serves the client for so long.
fn wait_for(time: Duration, consumer: &BaseConsumer<Context>) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        consumer.poll(Duration::from_millis(20));
    }
}

fn is_there(consumer: &BaseConsumer<Context>, topic: &str) -> bool {
    let found = consumer.fetch_metadata(None, ANSWER);
    found.is_ok_and(|found| found.topics().iter().any(|one| one.name() == topic && !one.partitions().is_empty()))
}

fn is_alone(consumer: &BaseConsumer<Context>, group: &str) -> bool {
    let found = consumer.fetch_group_list(Some(group), ANSWER);
    found.is_ok_and(|found| found.groups().iter().map(|one| one.members().len()).sum::<usize>() <= 1)
}
