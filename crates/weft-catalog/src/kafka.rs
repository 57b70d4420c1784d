//! The broker, through librdkafka: reading the desired topic, observing topics, and how errors sort.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, ConfigSource, ResourceSpecifier};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Message, Offset, TopicPartitionList};
use weft_model::name::MeshId;
use weft_model::topic::{DESIRED, internal};

use crate::Connection;
use crate::desired::Desired;
use crate::error::CatalogError;
use crate::observed::{Observed, ObservedConfig, ObservedTopic};

pub(crate) fn client_config(connection: &Connection, ours: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &connection.bootstrap);
    config.set("reconnect.backoff.ms", "20").set("reconnect.backoff.max.ms", "1000");
    for (key, value) in ours {
        config.set(*key, *value);
    }
    for (key, value) in &connection.client {
        config.set(key, value);
    }
    config
}

/// librdkafka logs through us, quietly: what matters comes back as errors.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct QuietContext;

impl rdkafka::ClientContext for QuietContext {
    fn log(&self, level: rdkafka::config::RDKafkaLogLevel, fac: &str, message: &str) {
        tracing::debug!(?level, fac, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
    }
}

impl rdkafka::consumer::ConsumerContext for QuietContext {}

/// Sorts an error of librdkafka.
pub(crate) fn broker_error(doing: &'static str, error: &KafkaError) -> CatalogError {
    use RDKafkaErrorCode as Code;
    let denied = matches!(
        error.rdkafka_error_code(),
        Some(
            Code::TopicAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::TransactionalIdAuthorizationFailed
                | Code::SaslAuthenticationFailed
                | Code::Authentication
                | Code::MessageSizeTooLarge
                | Code::UnsupportedFeature
                | Code::UnsupportedVersion
        )
    );
    CatalogError::Kafka { doing, reason: error.to_string(), retriable: !denied }
}

/// Runs what blocks beside the async world.
pub(crate) async fn blocking<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> Result<T, CatalogError> + Send + 'static,
) -> Result<T, CatalogError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(CatalogError::Kafka { doing, reason: format!("cut off: {error}"), retriable: true }),
    }
}

/// A client that is dropped beside the caller: closing one takes librdkafka and its wrapper up to 100 ms.
pub(crate) struct DropBeside<T: Send + 'static>(pub(crate) Option<T>);

impl<T: Send + 'static> std::ops::Deref for DropBeside<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("taken only when dropped")
    }
}

impl<T: Send + 'static> Drop for DropBeside<T> {
    fn drop(&mut self) {
        let client = self.0.take();
        // If no thread can be had, it is dropped here.
        let _ = std::thread::Builder::new().name("kafka client drop".to_owned()).spawn(move || drop(client));
    }
}

/// An admin client.
pub(crate) type Admin = DropBeside<AdminClient<QuietContext>>;

pub(crate) fn open_admin(connection: &Connection) -> Result<Admin, CatalogError> {
    let client = client_config(connection, &[]).create_with_context(QuietContext);
    client.map(|client| DropBeside(Some(client))).map_err(|error| broker_error("creating a client", &error))
}

pub(crate) fn admin_options(connection: &Connection) -> AdminOptions {
    AdminOptions::new().request_timeout(Some(connection.timeout)).operation_timeout(Some(connection.timeout))
}

/// Partitions of every topic. All topics: asking by name would create one on a broker that auto-creates.
fn partitions(connection: &Connection, admin: &Admin) -> Result<BTreeMap<String, u32>, CatalogError> {
    let metadata = admin.inner().fetch_metadata(None, connection.timeout);
    let metadata = metadata.map_err(|error| broker_error("asking for topics", &error))?;
    let count = |topic: &rdkafka::metadata::MetadataTopic| {
        u32::try_from(topic.partitions().len()).expect("a count of partitions")
    };
    Ok(metadata.topics().iter().map(|topic| (topic.name().to_owned(), count(topic))).collect())
}

/// What a Kafka consists of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cluster {
    /// Partitions of every topic.
    pub topics: BTreeMap<String, u32>,
    /// `id host:port` of every broker.
    pub brokers: Vec<String>,
}

/// Every topic and broker of the Kafka.
pub async fn topics_of(connection: &Connection) -> Result<Cluster, CatalogError> {
    let on = connection.clone();
    blocking("asking for topics", move || {
        let admin = open_admin(&on)?;
        let metadata = admin.inner().fetch_metadata(None, on.timeout);
        let metadata = metadata.map_err(|error| broker_error("asking for topics", &error))?;
        let brokers =
            metadata.brokers().iter().map(|broker| format!("{} {}:{}", broker.id(), broker.host(), broker.port()));
        let count = |topic: &rdkafka::metadata::MetadataTopic| topic.partitions().len().try_into().unwrap_or(u32::MAX);
        let topics = metadata.topics().iter().map(|topic| (topic.name().to_owned(), count(topic))).collect();
        Ok(Cluster { topics, brokers: brokers.collect() })
    })
    .await
}

/// All topics, and the settings of those named.
pub(crate) async fn observe(connection: &Connection, names: &[String]) -> Result<Observed, CatalogError> {
    let on = connection.clone();
    let (admin, partitions) = blocking("asking for topics", move || {
        let admin = open_admin(&on)?;
        let partitions = partitions(&on, &admin)?;
        Ok((admin, partitions))
    })
    .await?;
    let mut topics: BTreeMap<String, ObservedTopic> = partitions
        .into_iter()
        .map(|(name, partitions)| (name, ObservedTopic { partitions, configs: BTreeMap::new() }))
        .collect();
    let asked: Vec<ResourceSpecifier<'_>> =
        names.iter().filter(|name| topics.contains_key(*name)).map(|name| ResourceSpecifier::Topic(name)).collect();
    if asked.is_empty() {
        return Ok(Observed { topics, ..Observed::default() });
    }
    const DOING: &str = "asking for the settings of topics";
    let described = admin.describe_configs(&asked, &admin_options(connection)).await;
    for resource in described.map_err(|error| broker_error(DOING, &error))? {
        let resource = match resource {
            Ok(resource) => resource,
            // Settings that may not be read are left as they are.
            Err(RDKafkaErrorCode::TopicAuthorizationFailed) => continue,
            Err(code) => return Err(broker_error(DOING, &KafkaError::Global(code))),
        };
        let rdkafka::admin::OwnedResourceSpecifier::Topic(name) = &resource.specifier else { continue };
        let Some(topic) = topics.get_mut(name) else { continue };
        for entry in &resource.entries {
            let Some(value) = entry.value.clone() else { continue };
            let set_on_topic = matches!(entry.source, ConfigSource::DynamicTopic);
            topic.configs.insert(entry.name.clone(), ObservedConfig { value, set_on_topic });
        }
    }
    Ok(Observed { topics, ..Observed::default() })
}

/// Is the Kafka behind `connection` Weft's own log? It says so in the settings of its broker.
pub async fn is_weft_log(connection: &Connection) -> Result<bool, CatalogError> {
    const DOING: &str = "asking for the settings of a broker";
    let on = connection.clone();
    let (admin, broker) = blocking(DOING, move || {
        let admin = open_admin(&on)?;
        let metadata = admin.inner().fetch_metadata(None, on.timeout).map_err(|error| broker_error(DOING, &error))?;
        // Not the broker that answered: asked by its bootstrap address, it has no id yet.
        let none = || CatalogError::Kafka { doing: DOING, reason: "it names no broker".to_owned(), retriable: true };
        let broker = metadata.brokers().first().ok_or_else(none)?.id();
        Ok((admin, broker))
    })
    .await?;
    let described = admin.describe_configs(&[ResourceSpecifier::Broker(broker)], &admin_options(connection)).await;
    // One that does not let us look is none of ours: it refuses the resource, not the call.
    let mut entries =
        described.map_err(|error| broker_error(DOING, &error))?.into_iter().flatten().flat_map(|one| one.entries);
    Ok(entries.any(|entry| entry.name == "weft.version"))
}

/// A consumer of the desired topic, from its beginning; `None` if there is no such topic.
pub(crate) fn desired_consumer(
    connection: &Connection,
    mesh: &MeshId,
) -> Result<Option<DropBeside<BaseConsumer<QuietContext>>>, CatalogError> {
    const DOING: &str = "reading the desired state";
    let topic = internal(mesh, DESIRED);
    let group = internal(mesh, "catalog");
    let ours = [
        ("group.id", group.as_str()),
        ("enable.auto.commit", "false"),
        ("isolation.level", "read_committed"),
        ("auto.offset.reset", "earliest"),
        ("enable.partition.eof", "true"),
        ("fetch.wait.max.ms", "10"),
        ("fetch.message.max.bytes", crate::topics::DESIRED_MESSAGE_BYTES_MAX),
    ];
    let consumer: BaseConsumer<QuietContext> = client_config(connection, &ours)
        .create_with_context(QuietContext)
        .map_err(|error| broker_error(DOING, &error))?;
    let consumer = DropBeside(Some(consumer));
    let metadata = consumer.fetch_metadata(None, connection.timeout).map_err(|error| broker_error(DOING, &error))?;
    if !metadata.topics().iter().any(|found| found.name() == topic && !found.partitions().is_empty()) {
        return Ok(None);
    }
    let mut from = TopicPartitionList::new();
    from.add_partition_offset(&topic, 0, Offset::Beginning).map_err(|error| broker_error(DOING, &error))?;
    consumer.assign(&from).map_err(|error| broker_error(DOING, &error))?;
    Ok(Some(consumer))
}

/// The newest committed revision.
pub(crate) async fn read_desired(connection: &Connection, mesh: &MeshId) -> Result<Desired, CatalogError> {
    let (connection, mesh) = (connection.clone(), mesh.clone());
    blocking("reading the desired state", move || read_desired_now(&connection, &mesh)).await
}

pub(crate) fn read_desired_now(connection: &Connection, mesh: &MeshId) -> Result<Desired, CatalogError> {
    let mut desired = Desired::default();
    let Some(consumer) = desired_consumer(connection, mesh)? else { return Ok(desired) };
    let deadline = Instant::now() + connection.timeout;
    loop {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(record)) => {
                desired.take(record.key().unwrap_or_default(), record.payload())?;
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(desired),
            // librdkafka reports what it retries by itself, too; the deadline bounds that.
            Some(Err(error)) if Instant::now() >= deadline => {
                return Err(broker_error("reading the desired state", &error));
            }
            None if Instant::now() >= deadline => {
                return Err(CatalogError::Kafka {
                    doing: "reading the desired state",
                    reason: format!("no end after {} s", connection.timeout.as_secs()),
                    retriable: true,
                });
            }
            Some(Err(_)) | None => {}
        }
    }
}
