//! Making a plan true: topics first, the revision last, all under the controller's transactional id.
//!
//! ```text
//!   topic "desired" is there ─► fence the older controller ─► is the plan's revision still the newest?
//!     ─► intent (a transaction of its own) ─► create, change, delete topics ─► the revision, in one transaction
//! ```
//!
//! A crash before the last arrow leaves topics and an intent: the next plan knows them as ours, creates what is missing,
//! and writes the revision.

use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use weft_model::name::MeshId;
use weft_model::topic::{DESIRED, internal};

use crate::Connection;
use crate::desired::{Desired, INTENT_KEY, Intent, MESH_KEY, MeshRecord, product_key};
use crate::error::CatalogError;
use crate::kafka::{Admin, admin_options, blocking, broker_error, client_config, open_admin, read_desired_now};
use crate::plan::{Plan, TopicChange};
use crate::topic_requests;
use crate::topics::{DESIRED_MESSAGE_BYTES_MAX, TopicSpec};

/// What an apply did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The revision that holds now.
    pub revision: u64,
    /// Did it write one?
    pub changed: bool,
    /// Topics it created.
    pub created: Vec<String>,
    /// Topics whose settings or partitions it changed.
    pub altered: Vec<String>,
    /// Topics it deleted.
    pub deleted: Vec<String>,
}

/// Applies a plan as a controller of that name, for this once.
pub async fn apply(connection: &Connection, plan: &Plan, name: &str) -> Result<Applied, CatalogError> {
    if plan.is_empty() && !plan.is_refused() {
        return Ok(unchanged(plan));
    }
    Controller::new(connection.clone(), plan.mesh.clone(), name).apply(plan).await
}

fn unchanged(plan: &Plan) -> Applied {
    let none = Vec::new;
    Applied { revision: plan.base_revision, changed: false, created: none(), altered: none(), deleted: none() }
}

/// The one writer of the desired state. Opened by the first apply; a newer one fences it.
pub struct Controller {
    connection: Connection,
    mesh: MeshId,
    name: String,
    producer: Option<BaseProducer<DefaultProducerContext>>,
    /// Revision that this controller wrote or found last.
    revision: u64,
}

impl Controller {
    /// A controller that has not taken over yet. `name` is what a fenced one will read, such as `host/pid`.
    pub fn new(connection: Connection, mesh: MeshId, name: &str) -> Self {
        Self { connection, mesh, name: name.to_owned(), producer: None, revision: 0 }
    }

    /// Makes the plan true. Doing it twice changes nothing.
    pub async fn apply(&mut self, plan: &Plan) -> Result<Applied, CatalogError> {
        assert!(plan.mesh == self.mesh, "a plan is applied by the controller of its mesh");
        if plan.is_refused() {
            return Err(CatalogError::Refused(plan.diagnostics()));
        }
        if plan.is_empty() {
            return Ok(unchanged(plan));
        }
        let admin = open_admin(&self.connection)?;
        let desired_topic = internal(&self.mesh, DESIRED);
        let mut creates: Vec<&TopicSpec> = plan.topics.iter().filter_map(TopicChange::created).collect();
        let mut created = Vec::new();
        if let Some(at) = creates.iter().position(|spec| spec.name == desired_topic) {
            let spec = creates.remove(at);
            self.create(&admin, &[spec]).await?;
            created.push(spec.name.clone());
        }
        self.take_over(plan).await?;
        if plan.topics.iter().any(|change| !matches!(change, TopicChange::Keep { .. })) {
            self.write_intent(plan).await?;
        }
        if !creates.is_empty() {
            self.create(&admin, &creates).await?;
            created.extend(creates.iter().map(|spec| spec.name.clone()));
        }
        let altered = self.alter(&admin, plan).await?;
        let deleted = self.delete(&admin, plan).await?;
        let revision = self.write_revision(plan).await?;
        Ok(Applied { revision, changed: true, created, altered, deleted })
    }

    /// Becomes the one writer, and sees that nobody has written since the plan was made.
    async fn take_over(&mut self, plan: &Plan) -> Result<(), CatalogError> {
        let producer = self.producer.take();
        let held = producer.is_some();
        if held && self.revision != plan.base_revision {
            self.producer = producer;
            let (planned, found, by) = (plan.base_revision, self.revision, self.name.clone());
            return Err(CatalogError::Stale { planned, found, by });
        }
        let (connection, mesh, planned) = (self.connection.clone(), self.mesh.clone(), plan.base_revision);
        let producer = blocking("taking over as controller", move || {
            let producer = match producer {
                Some(producer) => producer,
                None => open_producer(&connection, &mesh)?,
            };
            // Whoever holds the id needs no look: nobody else can have written without fencing it.
            if !held {
                let now = read_desired_now(&connection, &mesh)?;
                if now.revision != planned {
                    let by = now.mesh.map_or_else(|| "unknown".to_owned(), |mesh| mesh.controller);
                    return Err(CatalogError::Stale { planned, found: now.revision, by });
                }
            }
            Ok(producer)
        })
        .await?;
        self.producer = Some(producer);
        self.revision = plan.base_revision;
        Ok(())
    }

    async fn write_intent(&mut self, plan: &Plan) -> Result<(), CatalogError> {
        let deletes = plan.topics.iter().filter_map(|change| match change {
            TopicChange::Delete { topic } => Some(topic.clone()),
            _ => None,
        });
        let mut creates = plan.next.creates.clone();
        // What an unfinished apply created stays ours until a revision says so.
        if let Some(unfinished) = &plan.next.unfinished {
            creates.extend(unfinished.creates.clone());
        }
        let intent = Intent {
            v: Desired::VERSION,
            revision: plan.base_revision + 1,
            controller: self.name.clone(),
            creates,
            deletes: deletes.collect(),
        };
        let intent = serde_json::to_vec(&intent).expect("plain data");
        self.write(vec![(INTENT_KEY.to_owned(), Some(intent))]).await
    }

    async fn write_revision(&mut self, plan: &Plan) -> Result<u64, CatalogError> {
        let mut records = Vec::new();
        for (product, record) in &plan.next.products {
            let value = record.as_ref().map(|record| serde_json::to_vec(record).expect("plain data"));
            records.push((product_key(product), value));
        }
        records.push((INTENT_KEY.to_owned(), None));
        let revision = match &plan.next.mesh {
            Some(mesh) => {
                let mesh = MeshRecord { controller: self.name.clone(), ..mesh.clone() };
                records.push((MESH_KEY.to_owned(), Some(serde_json::to_vec(&mesh).expect("plain data"))));
                mesh.revision
            }
            None => plan.base_revision, // only settings were put right
        };
        self.write(records).await?;
        self.revision = revision;
        Ok(revision)
    }

    /// One transaction on the desired topic.
    async fn write(&mut self, records: Vec<(String, Option<Vec<u8>>)>) -> Result<(), CatalogError> {
        let producer = self.producer.take().expect("taken over before writing");
        let (connection, mesh, name) = (self.connection.clone(), self.mesh.clone(), self.name.clone());
        let producer = blocking("writing the desired state", move || {
            let topic = internal(&mesh, DESIRED);
            match transaction(&producer, &topic, &records, connection.timeout) {
                Ok(()) => Ok(producer),
                Err(error) if is_fenced(&error) => Err(fenced_by(&connection, &mesh, &name)),
                // The outcome is unknown: the producer is dropped, and the next plan starts from what was committed.
                Err(error) => Err(broker_error("writing the desired state", &error)),
            }
        })
        .await?;
        self.producer = Some(producer);
        Ok(())
    }

    async fn create(&self, admin: &Admin, specs: &[&TopicSpec]) -> Result<(), CatalogError> {
        done(topic_requests::create(admin, specs, &admin_options(&self.connection)).await?)
    }

    async fn alter(&self, admin: &Admin, plan: &Plan) -> Result<Vec<String>, CatalogError> {
        let options = admin_options(&self.connection);
        done(topic_requests::configure(admin, &plan.topics, &options).await?)?;
        done(topic_requests::widen(admin, &plan.topics, &options).await?)?;
        let altered = plan.topics.iter().filter_map(|change| match change {
            TopicChange::Configure { topic, .. } | TopicChange::AddPartitions { topic, .. } => Some(topic.clone()),
            TopicChange::Create(_) | TopicChange::Keep { .. } | TopicChange::Delete { .. } => None,
        });
        Ok(altered.collect())
    }

    async fn delete(&self, admin: &Admin, plan: &Plan) -> Result<Vec<String>, CatalogError> {
        let deletes: Vec<&str> = plan
            .topics
            .iter()
            .filter_map(|change| match change {
                TopicChange::Delete { topic } => Some(topic.as_str()),
                _ => None,
            })
            .collect();
        done(topic_requests::delete(admin, &deletes, &admin_options(&self.connection)).await?)?;
        Ok(deletes.into_iter().map(str::to_owned).collect())
    }
}

/// The first topic that the Kafka was unwilling about is the error.
fn done(unwilling: Vec<topic_requests::Unwilling>) -> Result<(), CatalogError> {
    match unwilling.into_iter().next() {
        None => Ok(()),
        Some(one) => Err(CatalogError::Topic { topic: one.topic, reason: one.code.to_string() }),
    }
}

fn open_producer(connection: &Connection, mesh: &MeshId) -> Result<BaseProducer<DefaultProducerContext>, CatalogError> {
    const DOING: &str = "taking over as controller";
    let id = internal(mesh, "controller");
    let ours = [
        ("transactional.id", id.as_str()),
        ("transaction.timeout.ms", "15000"),
        ("acks", "all"),
        ("linger.ms", "0"),
        ("message.max.bytes", DESIRED_MESSAGE_BYTES_MAX),
    ];
    let producer: BaseProducer<DefaultProducerContext> =
        client_config(connection, &ours).create().map_err(|error| broker_error(DOING, &error))?;
    // librdkafka looks for the coordinator at once only if a broker is up; otherwise half a second later.
    producer.client().fetch_metadata(None, connection.timeout).map_err(|error| broker_error(DOING, &error))?;
    producer.init_transactions(connection.timeout).map_err(|error| broker_error(DOING, &error))?;
    Ok(producer)
}

fn transaction(
    producer: &BaseProducer<DefaultProducerContext>,
    topic: &str,
    records: &[(String, Option<Vec<u8>>)],
    timeout: Duration,
) -> Result<(), KafkaError> {
    producer.begin_transaction()?;
    for (key, value) in records {
        let mut record = BaseRecord::<[u8], [u8]>::to(topic).partition(0).key(key.as_bytes());
        record.payload = value.as_deref();
        producer.send(record).map_err(|(error, _)| error)?;
    }
    // Not `Producer::flush`, which a commit calls: it polls for 100 ms at a time, whatever has been delivered meanwhile.
    let deadline = Instant::now() + timeout;
    while producer.in_flight_count() > 0 && Instant::now() < deadline {
        producer.poll(Duration::from_millis(1));
    }
    producer.commit_transaction(timeout)
}

fn is_fenced(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(error.rdkafka_error_code(), Some(Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch))
}

/// Who fenced us: they write their name with their first record, which may take them a moment.
fn fenced_by(connection: &Connection, mesh: &MeshId, own_name: &str) -> CatalogError {
    let deadline = Instant::now() + Duration::from_secs(2);
    loop {
        let (by, revision) = match read_desired_now(connection, mesh) {
            Ok(desired) => {
                let intent = desired.intent.map(|intent| intent.controller);
                let by = intent.or_else(|| desired.mesh.map(|mesh| mesh.controller));
                (by.filter(|by| by != own_name), desired.revision)
            }
            Err(_) => (None, 0),
        };
        match by {
            Some(by) => return CatalogError::Fenced { by, revision },
            None if Instant::now() >= deadline => {
                return CatalogError::Fenced { by: "one that has not written yet".to_owned(), revision };
            }
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}
