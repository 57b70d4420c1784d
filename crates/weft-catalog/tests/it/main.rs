//! Applying against a broker: the embedded log, or any Kafka that `WEFT_TEST_KAFKA=host:port` names.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is the finding")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use weft_catalog::desired::Intent;
use weft_catalog::{
    CatalogError, Connection, Controller, Declared, Desired, Observed, Plan, PlanOptions, apply, plan, watch,
};
use weft_model::load::{Files, LoadOptions};
use weft_model::mesh::{Listeners, Mesh, Replay};
use weft_model::name::{PortId, ProductId};
use weft_model::product::{Behaviour, Encoding, OutputPort, PortKind, PortRole, Product, Status};
use weft_model::schema::{Column, ColumnType, Schema};

struct World {
    connection: Connection,
    mesh: Mesh,
    files: Files,
    _folder: tempfile::TempDir,
    _log: Option<weft_log::LogHandle>,
}

impl World {
    async fn start(products: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (bootstrap, log) = match std::env::var("WEFT_TEST_KAFKA") {
            Ok(kafka) => (kafka, None),
            Err(_) => {
                let mut options = weft_log::Options::new(folder.path().join("log"));
                options.listen = "127.0.0.1:0".parse().unwrap();
                options.fsync = weft_log::FsyncMode::Os;
                let log = weft_log::Log::start(options, weft_wire::env::Env::real()).await.unwrap();
                (log.listen_addr().to_string(), Some(log))
            }
        };
        let unique = folder.path().file_name().unwrap().to_string_lossy().to_lowercase().replace(['.', '_'], "");
        let mesh = Mesh {
            id: unique.parse().unwrap(),
            topic_prefix: format!("{unique}."),
            listeners: Listeners { kafka: String::new(), http: String::new() },
            replay: Replay::Max,
            domains: BTreeMap::new(),
            products: BTreeMap::new(),
        };
        let files = Files(BTreeMap::from([("weft.yaml".to_owned(), format!("id: {unique}"))]));
        let mut world = Self { connection: Connection::new(bootstrap), mesh, files, _folder: folder, _log: log };
        for at in 0..products {
            world.add(&format!("p{at}"));
        }
        world
    }

    fn add(&mut self, product: &str) {
        let id = ProductId { domain: "d".parse().unwrap(), product: product.parse().unwrap() };
        self.files.0.insert(format!("domains/d/{product}/product.odps.yaml"), "name: it".to_owned());
        let column = Column { name: "id".to_owned(), column_type: ColumnType::String, nullable: false };
        let port = OutputPort {
            id: PortId { product: id.clone(), port: "rows".parse().unwrap(), major: 1 },
            role: PortRole::Declared,
            kind: PortKind::Upsert,
            topic: format!("{}d.{product}.rows.v1", self.mesh.topic_prefix),
            adopted: false,
            partitions: 4,
            contract_id: String::new(),
            description: String::new(),
            schema: Schema { columns: vec![column] },
            column_docs: BTreeMap::new(),
            key: vec!["id".to_owned()],
            event_time: None,
            event_time_offset_ms: 0,
            encoding: Encoding::Json,
            retention_ms: -1,
        };
        let product = Product {
            id: id.clone(),
            owner: "us".to_owned(),
            version: "1.0.0".to_owned(),
            status: Status::Active,
            purpose: String::new(),
            tags: Vec::new(),
            inputs: Vec::new(),
            outputs: vec![port],
            behaviour: Behaviour::External,
            parameters: BTreeMap::new(),
        };
        self.mesh.products.insert(id, product);
    }

    async fn plan(&self) -> Plan {
        self.plan_deleting(&[]).await
    }

    async fn plan_deleting(&self, names: &[&str]) -> Plan {
        let desired = Desired::read(&self.connection, &self.mesh.id).await.unwrap();
        let observed = Observed::read(&self.connection, &self.mesh, &desired).await.unwrap();
        let (options, programs) = (LoadOptions::default(), BTreeMap::new());
        let declared = Declared { mesh: &self.mesh, files: &self.files, options: &options, programs: &programs };
        let delete_data = names.iter().map(|name| (*name).to_owned()).collect();
        plan(&desired, &declared, &observed, &PlanOptions { delete_data, ..PlanOptions::default() })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn applying_twice_changes_nothing() {
    let world = World::start(3).await;
    let first = world.plan().await;
    let applied = apply(&world.connection, &first, "first").await.unwrap();
    assert_eq!((applied.revision, applied.changed, applied.created.len()), (1, true, 7));
    let again = world.plan().await;
    assert!(again.is_empty(), "{again}");
    let applied = apply(&world.connection, &again, "second").await.unwrap();
    assert_eq!((applied.revision, applied.changed), (1, false));
    let desired = Desired::read(&world.connection, &world.mesh.id).await.unwrap();
    assert_eq!(desired.files(), world.files);
    assert_eq!(desired.mesh.as_ref().unwrap().controller, "first");
    assert_eq!(desired.intent, None);
    let observed = Observed::read(&world.connection, &world.mesh, &desired).await.unwrap();
    let topic = &observed.topics[&format!("{}d.p0.rows.v1", world.mesh.topic_prefix)];
    assert_eq!(topic.partitions, 4);
    assert_eq!(topic.configs["retention.ms"].value, "-1");
    assert_eq!(topic.configs["cleanup.policy"].value, "compact");
}

fn write_desired(world: &World, records: &[(String, Option<Vec<u8>>)]) {
    let topic = weft_model::topic::internal(&world.mesh.id, weft_model::topic::DESIRED);
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", &world.connection.bootstrap).create().unwrap();
    for (key, value) in records {
        let mut record = BaseRecord::<[u8], [u8]>::to(&topic).partition(0).key(key.as_bytes());
        record.payload = value.as_deref();
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(Duration::from_secs(10)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apply_that_died_after_its_topics_is_repaired() {
    let world = World::start(3).await;
    apply(&world.connection, &world.plan().await, "died").await.unwrap();
    // Topics and intent are there and the revision is not: what a process leaves that ends before its last transaction.
    let whole = Desired::read(&world.connection, &world.mesh.id).await.unwrap();
    let intent = Intent {
        v: 1,
        revision: 1,
        controller: "died".to_owned(),
        creates: whole.mesh.as_ref().unwrap().topics.clone(),
        deletes: Vec::new(),
    };
    let mut records: Vec<(String, Option<Vec<u8>>)> =
        whole.products.keys().map(|product| (format!("product/{product}"), None)).collect();
    records.push(("intent".to_owned(), Some(serde_json::to_vec(&intent).unwrap())));
    records.push(("mesh".to_owned(), None));
    write_desired(&world, &records);
    let desired = Desired::read(&world.connection, &world.mesh.id).await.unwrap();
    assert_eq!((desired.revision, desired.intent.is_some()), (0, true));
    let repair = world.plan().await;
    assert!(!repair.is_refused() && !repair.is_empty(), "{repair}");
    let applied = apply(&world.connection, &repair, "repairs").await.unwrap();
    assert_eq!((applied.revision, applied.created.len()), (1, 0));
    assert!(world.plan().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_writer_fences_the_first_which_learns_its_name() {
    let mut world = World::start(1).await;
    let mut older = Controller::new(world.connection.clone(), world.mesh.id.clone(), "older");
    older.apply(&world.plan().await).await.unwrap();
    world.add("q1");
    let stale = world.plan().await;
    apply(&world.connection, &stale, "newer").await.unwrap();
    match older.apply(&stale).await {
        Err(CatalogError::Fenced { by, revision }) => assert_eq!((by.as_str(), revision), ("newer", 2)),
        other => panic!("{other:?}"),
    }
    // A newcomer with a plan on the old revision is told so.
    match apply(&world.connection, &stale, "late").await {
        Err(CatalogError::Stale { planned: 1, found: 2, by }) => assert_eq!(by, "newer"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_sees_every_revision_and_retirement_keeps_data() {
    let mut world = World::start(2).await;
    let mut revisions = watch(&world.connection, &world.mesh.id);
    apply(&world.connection, &world.plan().await, "one").await.unwrap();
    let first = revisions.next().await.unwrap().unwrap();
    assert_eq!((first.revision, first.products.len()), (1, 2));
    let gone = world.mesh.products.pop_last().unwrap().0;
    world.files.0.retain(|path, _| !path.contains(&format!("/{}/", gone.product)));
    apply(&world.connection, &world.plan().await, "two").await.unwrap();
    let second = revisions.next().await.unwrap().unwrap();
    assert_eq!((second.revision, second.products.len()), (2, 1));
    let topic = format!("{}d.{}.rows.v1", world.mesh.topic_prefix, gone.product);
    assert!(
        Observed::read(&world.connection, &world.mesh, &Desired::default()).await.unwrap().topics.contains_key(&topic)
    );
    let deleting = world.plan_deleting(&[&gone.to_string()]).await;
    let applied = apply(&world.connection, &deleting, "three").await.unwrap();
    assert_eq!(applied.deleted, std::slice::from_ref(&topic));
    assert!(
        !Observed::read(&world.connection, &world.mesh, &Desired::default()).await.unwrap().topics.contains_key(&topic)
    );
    assert!(world.plan().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_drift_are_put_right() {
    let mut world = World::start(1).await;
    apply(&world.connection, &world.plan().await, "one").await.unwrap();
    let product = world.mesh.products.values_mut().next().unwrap();
    product.outputs[0].retention_ms = 86_400_000;
    let changing = world.plan().await;
    let applied = apply(&world.connection, &changing, "two").await.unwrap();
    assert_eq!(applied.altered.len(), 1);
    assert!(world.plan().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_apply_of_many_topics_is_quick() {
    let world = World::start(32).await;
    let started = Instant::now();
    let applied = apply(&world.connection, &world.plan().await, "one").await.unwrap();
    let took = started.elapsed();
    assert_eq!(applied.created.len(), 36);
    eprintln!("plan and apply of 35 topics: {took:?}");
    // The machines of CI are noisy: this is a bound on round trips, not a measurement.
    assert!(took < Duration::from_secs(5), "{took:?}");
}
