//! Is the Kafka there, may we in, is it new enough, and can the brokers be reached where they say they are?
//!
//! ```text
//!   bootstrap ─► connect, TLS, log in ─► ApiVersions ─► metadata: cluster id, brokers ─► a connection to each address
//!       │              │                     │                                                  │
//!   waited for     said at once         said at once                                      said, waited for
//! ```
//!
//! librdkafka tries for ever and answers "timed out"; the reason is in its error events, which are read here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use tokio::net::TcpStream;

use crate::Connection;
use crate::error::CatalogError;
use crate::kafka::{blocking, client_config};

const DOING: &str = "connecting";
/// One look at what came in.
const STEP: Duration = Duration::from_secs(1);
/// How long events are read after each look; they are there by then.
const HEAR: Duration = Duration::from_millis(20);
/// Longest wait for one broker to take a connection.
const CONNECT: Duration = Duration::from_secs(3);

/// What Weft cannot do without: API key, its name, least version, since which Kafka, and why.
const NEEDED: &[(i32, &str, i32, &str, &str)] = &[
    (9, "OffsetFetch", 7, "2.5", "offsets of a transaction that is under way must not be read (KIP-447)"),
    (19, "CreateTopics", 4, "2.4", "topics take the number of copies that the Kafka has as its default (KIP-464)"),
    (22, "InitProducerId", 3, "2.5", "a writer that lost its place must get it back without losing records (KIP-360)"),
    (28, "TxnOffsetCommit", 3, "2.5", "results and the offsets they come from are one transaction (KIP-447)"),
];

/// A Kafka that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// Its own id, which tells it from every other.
    pub cluster_id: String,
    /// Where its brokers say they are, by id.
    pub brokers: BTreeMap<i32, String>,
}

/// Connects, logs in and looks around. An error that waiting will not heal comes at once, any other after
/// `connection.timeout`, with the last reason that was heard.
pub async fn reach(connection: &Connection) -> Result<Reached, CatalogError> {
    let on = connection.clone();
    let reached = blocking(DOING, move || look(&on)).await?;
    let mut unreachable = Vec::new();
    for (id, address) in &reached.brokers {
        match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => unreachable.push((*id, address.clone(), error.to_string())),
            Err(_) => unreachable.push((*id, address.clone(), format!("no answer in {} s", CONNECT.as_secs()))),
        }
    }
    // Some of several may be on their way up or down; clients find the others.
    if unreachable.len() < reached.brokers.len() {
        return Ok(reached);
    }
    let bootstrap = connection.bootstrap.clone();
    match unreachable.into_iter().next() {
        Some((broker, address, reason)) => Err(CatalogError::Advertised { bootstrap, broker, address, reason }),
        None => Err(CatalogError::Away { bootstrap, reason: "it names no broker".to_owned() }),
    }
}

fn look(connection: &Connection) -> Result<Reached, CatalogError> {
    // "feature" makes librdkafka log what a broker can do, which no call tells.
    let mut config = client_config(connection, &[("debug", "feature")]);
    config.set_log_level(RDKafkaLogLevel::Debug);
    let heard = Heard::default();
    let client: BaseProducer<Heard> = config
        .create_with_context(heard.clone())
        .map_err(|error| CatalogError::Properties { reason: properties_reason(&error) })?;
    let deadline = Instant::now() + connection.timeout;
    loop {
        let metadata = client.client().fetch_metadata(None, STEP.min(connection.timeout));
        client.poll(HEAR);
        heard.refusal(&connection.bootstrap)?;
        match metadata {
            Ok(metadata) => {
                let brokers =
                    metadata.brokers().iter().map(|one| (one.id(), address(one.host(), one.port()))).collect();
                if let Some(cluster_id) = client.client().fetch_cluster_id(STEP) {
                    return Ok(Reached { cluster_id, brokers });
                }
                if Instant::now() >= deadline {
                    let reason = "it does not tell the id of its cluster".to_owned();
                    return Err(CatalogError::Away { bootstrap: connection.bootstrap.clone(), reason });
                }
            }
            Err(error) if Instant::now() >= deadline => {
                let mut reason = heard.last_error().unwrap_or_else(|| error.to_string());
                if let Some(advertised) = advertised(&connection.bootstrap, &reason) {
                    return Err(advertised);
                }
                if reason.contains("Disconnected") && !connection.client.contains_key("security.protocol") {
                    reason += "; a listener that wants TLS does so to one that sets no `security.protocol`";
                }
                return Err(CatalogError::Away { bootstrap: connection.bootstrap.clone(), reason });
            }
            Err(_) => {}
        }
    }
}

/// `kafka:9092/1: Connect to … failed` ─► broker 1 and where it says it is. Once librdkafka knows the brokers it asks only
/// them, and what one that it was told of first had answered is gone.
fn advertised(bootstrap: &str, reason: &str) -> Option<CatalogError> {
    let (place, why) = reason.split_once(": ")?;
    let (address, broker) = place.rsplit_once('/')?;
    let address = address.rsplit_once("://").map_or(address, |(_, address)| address);
    let broker = broker.parse().ok()?;
    if bootstrap.split(',').any(|one| one == address) {
        return None;
    }
    let (bootstrap, address, reason) = (bootstrap.to_owned(), address.to_owned(), why.to_owned());
    Some(CatalogError::Advertised { bootstrap, broker, address, reason })
}

fn address(host: &str, port: i32) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// What librdkafka says about properties that do not go together; never a value, which may be a secret.
fn properties_reason(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, what, key, _) => format!("{key}: {what}"),
        KafkaError::ClientCreation(reason) => reason.clone(),
        other => other.to_string(),
    }
}

/// What was heard from librdkafka.
#[derive(Debug, Clone, Default)]
struct Heard(Arc<Mutex<Notes>>);

#[derive(Debug, Default)]
struct Notes {
    error: Option<(RDKafkaErrorCode, String)>,
    /// Why a connection failed, where no event says it: a broker that hangs up is suspected, not known, to want TLS.
    hung_up: Option<String>,
    /// Highest version of every API key of a list that is still being told, a line at a time, by another thread.
    listing: BTreeMap<i32, i32>,
    /// Highest version of every API key of a list that a broker told to its end.
    apis: BTreeMap<i32, i32>,
}

impl Heard {
    fn last_error(&self) -> Option<String> {
        let notes = self.0.lock();
        notes.error.as_ref().map(|(_, reason)| reason.clone()).or_else(|| notes.hung_up.clone())
    }

    /// What no waiting heals.
    fn refusal(&self, bootstrap: &str) -> Result<(), CatalogError> {
        let notes = self.0.lock();
        if let Some((RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SSL, reason)) = &notes.error {
            return Err(CatalogError::NotLetIn { bootstrap: bootstrap.to_owned(), reason: reason.clone() });
        }
        if notes.apis.is_empty() {
            return Ok(());
        }
        for (key, name, least, since, why) in NEEDED {
            let found = notes.apis.get(key).copied();
            if found.is_none_or(|found| found < *least) {
                let found = found.map_or_else(|| "none at all".to_owned(), |found| format!("version {found}"));
                return Err(CatalogError::TooOld {
                    bootstrap: bootstrap.to_owned(),
                    reason: format!(
                        "it offers {found} of {name}, and {why} takes version {least}, which Kafka {since} has"
                    ),
                });
            }
        }
        Ok(())
    }
}

impl ClientContext for Heard {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        tracing::trace!(?level, fac, message, "librdkafka");
        let mut notes = self.0.lock();
        if let Some((key, version)) = api_line(message) {
            notes.listing.insert(key, version);
        } else if ends_the_list(message) {
            notes.apis = notes.listing.clone();
        } else if fac == "FAIL" {
            notes.hung_up = Some(plain(message));
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
        let Some(code) = error.rdkafka_error_code() else { return };
        // That all are down follows from what was said of each before.
        if code != RDKafkaErrorCode::AllBrokersDown {
            self.0.lock().error = Some((code, plain(reason)));
        }
    }
}

impl ProducerContext for Heard {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): Self::DeliveryOpaque) {}
}

/// `…: ApiKey TxnOffsetCommit (28) Versions 0..3` ─► 28, 3.
fn api_line(message: &str) -> Option<(i32, i32)> {
    let rest = message.split_once("ApiKey ")?.1;
    let (key, rest) = rest.split_once('(')?.1.split_once(')')?;
    let (_, highest) = rest.split_once("Versions ")?.1.split_once("..")?;
    let digits = highest.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((key.parse().ok()?, digits.parse().ok()?))
}

/// librdkafka draws its own conclusions, `…:  Feature MsgVer2: …`, when a broker's list is whole.
fn ends_the_list(message: &str) -> bool {
    message.contains(" Feature ")
}

/// Without the name of the thread and how many times the same was left out.
fn plain(reason: &str) -> String {
    let reason =
        reason.split_once("]: ").filter(|(start, _)| start.starts_with("[thrd:")).map_or(reason, |(_, rest)| rest);
    reason.split(" (after ").next().unwrap_or(reason).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;

    use super::*;

    #[test]
    fn what_librdkafka_logs_of_an_api() {
        assert_eq!(api_line("b:   ApiKey TxnOffsetCommit (28) Versions 0..3"), Some((28, 3)));
        assert_eq!(api_line("b: Feature MsgVer2: Produce (3..7) NOT supported by broker"), None);
        assert_eq!(
            plain("[thrd:x]: x: SSL handshake failed: no (after 3ms in state Y)"),
            "x: SSL handshake failed: no"
        );
    }

    /// The lines come from a thread of librdkafka while another looks at what came so far.
    #[test]
    fn a_list_of_apis_is_judged_when_it_is_whole() {
        let heard = Heard::default();
        let says = |message: &str| heard.log(RDKafkaLogLevel::Debug, "APIVERSION", message);
        says("b:   ApiKey Produce (0) Versions 0..12");
        heard.refusal("k:1").expect("the list has only begun");
        says("b:  Feature MsgVer2: Produce (3..7) supported by broker");
        assert!(matches!(heard.refusal("k:1"), Err(CatalogError::TooOld { .. })), "there is no more to come");
    }

    #[test]
    fn a_broker_elsewhere_is_told_from_one_that_is_down() {
        let found = |reason: &str| advertised("a:1,b:2", reason).map(|error| error.to_string());
        let elsewhere = Some("broker 1 says that it is at kafka:9092, and there: Connect failed".to_owned());
        assert_eq!(found("kafka:9092/1: Connect failed"), elsewhere);
        assert_eq!(found("sasl_ssl://kafka:9092/1: Connect failed"), elsewhere);
        assert_eq!(found("b:2/1: Connect failed"), None);
        assert_eq!(found("a:1/bootstrap: Connect failed"), None);
        assert_eq!(found("Local: Timed out"), None);
    }

    #[test]
    fn each_api_that_is_needed_is_missed() {
        let heard = Heard::default();
        heard.refusal("k:1").expect("nothing was heard yet");
        heard.0.lock().apis = NEEDED.iter().map(|(key, _, least, ..)| (*key, *least)).collect();
        heard.refusal("k:1").expect("all that is needed");
        for (key, name, least, since, _) in NEEDED {
            heard.0.lock().apis.insert(*key, least - 1);
            let refused = heard.refusal("k:1").expect_err(name).to_string();
            assert!(refused.contains(name) && refused.contains(since), "{refused}");
            heard.0.lock().apis.insert(*key, *least);
        }
    }

    /// librdkafka's own broker for tests cannot do what we need, and says so as any broker does.
    #[tokio::test]
    async fn a_kafka_that_is_too_old_is_told_so() {
        let kafka = MockCluster::new(1).unwrap();
        let error = reach(&Connection::new(kafka.bootstrap_servers())).await.expect_err("it is too old");
        assert!(matches!(&error, CatalogError::TooOld { .. }) && !error.is_retriable(), "{error}");
    }

    #[tokio::test]
    async fn nobody_there_is_worth_waiting_for_and_bad_properties_are_not() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let timeout = Duration::from_millis(600);
        let mut connection = Connection { timeout, ..Connection::new(format!("127.0.0.1:{port}")) };
        let error = reach(&connection).await.expect_err("nobody is there");
        assert!(error.is_retriable() && error.to_string().contains("Connection refused"), "{error}");
        connection.client.insert("security.protocol".to_owned(), "carrier_pigeon".to_owned());
        let error = reach(&connection).await.expect_err("no such protocol");
        assert!(matches!(&error, CatalogError::Properties { .. }), "{error}");
    }
}
