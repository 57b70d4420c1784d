use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use weft_model::load::{Files, LoadOptions};
use weft_model::mesh::{Listeners, Mesh, Replay};
use weft_model::name::PortId;
use weft_model::product::{Behaviour, Encoding, PortKind, Status};
use weft_model::schema::{Column, ColumnType, Schema};

use super::*;
use crate::declared::CompiledProduct;
use crate::observed::ObservedConfig;
use crate::observed::{ObservedTopic, OtherMesh};

/// A folder with two products; tests change it before they plan.
struct Folder {
    mesh: Mesh,
    files: Files,
    options: LoadOptions,
    programs: BTreeMap<ProductId, CompiledProduct>,
}

fn id(text: &str) -> ProductId {
    crate::desired::product_id(text).unwrap()
}

fn port(product: &str, name: &str, kind: PortKind, key: &[&str]) -> OutputPort {
    let column = |name: &str, column_type| Column { name: name.to_owned(), column_type, nullable: false };
    OutputPort {
        id: PortId { product: id(product), port: name.parse().unwrap(), major: 1 },
        role: PortRole::Declared,
        kind,
        topic: format!("{product}.{name}.v1"),
        adopted: false,
        partitions: 4,
        contract_id: String::new(),
        description: String::new(),
        schema: Schema { columns: vec![column("id", ColumnType::String), column("at", ColumnType::Timestamp)] },
        column_docs: BTreeMap::new(),
        key: key.iter().map(|name| (*name).to_owned()).collect(),
        event_time: Some("at".to_owned()),
        event_time_offset_ms: 0,
        encoding: Encoding::Json,
        retention_ms: -1,
    }
}

impl Folder {
    fn new() -> Self {
        let mut folder = Self {
            mesh: Mesh {
                id: "demo".parse().unwrap(),
                topic_prefix: String::new(),
                listeners: Listeners { kafka: String::new(), http: String::new() },
                replay: Replay::Max,
                domains: BTreeMap::new(),
                products: BTreeMap::new(),
            },
            files: Files(BTreeMap::from([("weft.yaml".to_owned(), "id: demo".to_owned())])),
            options: LoadOptions::default(),
            programs: BTreeMap::new(),
        };
        folder.add("sales.orders", vec![port("sales.orders", "placed", PortKind::Append, &[])]);
        folder.add("sales.totals", vec![port("sales.totals", "current", PortKind::Upsert, &["id"])]);
        folder.verdict("sales.totals", StateVerdict::New);
        folder
    }

    fn add(&mut self, product: &str, outputs: Vec<OutputPort>) {
        let id = id(product);
        let path = format!("domains/{}/{}/product.odps.yaml", id.domain, id.product);
        self.files.0.insert(path, "name: it".to_owned());
        let product = Product {
            id: id.clone(),
            owner: "us".to_owned(),
            version: "1.0.0".to_owned(),
            status: Status::Active,
            purpose: String::new(),
            tags: Vec::new(),
            inputs: Vec::new(),
            outputs,
            behaviour: Behaviour::External,
            parameters: BTreeMap::new(),
        };
        self.mesh.products.insert(id, product);
    }

    fn remove(&mut self, product: &str) {
        let id = id(product);
        self.files.0.retain(|path, _| !path.contains(&format!("/{}/", id.product)));
        self.mesh.products.remove(&id);
        self.programs.remove(&id);
    }

    fn verdict(&mut self, product: &str, verdict: StateVerdict) {
        let program = serde_json::json!({"v": 1, "ops": format!("{verdict:?}").len()});
        self.programs.insert(id(product), CompiledProduct { program, verdict });
    }

    fn port(&mut self, product: &str) -> &mut OutputPort {
        &mut self.mesh.products.get_mut(&id(product)).unwrap().outputs[0]
    }

    fn plan_with(&self, desired: &Desired, observed: &Observed, delete_data: &[&str]) -> Plan {
        let declared =
            Declared { mesh: &self.mesh, files: &self.files, options: &self.options, programs: &self.programs };
        let delete_data = delete_data.iter().map(|name| (*name).to_owned()).collect();
        plan(desired, &declared, observed, &PlanOptions { delete_data, ..PlanOptions::default() })
    }

    fn plan(&self, desired: &Desired, observed: &Observed) -> Plan {
        self.plan_with(desired, observed, &[])
    }
}

/// What an apply of the plan would leave behind. `until` cuts it short.
fn applied(plan: &Plan, desired: &Desired, observed: &Observed, until: Until) -> (Desired, Observed) {
    let (mut desired, mut observed) = (desired.clone(), observed.clone());
    desired.intent = Some(Intent {
        v: 1,
        revision: plan.base_revision + 1,
        controller: "test".to_owned(),
        creates: plan.next.creates.clone(),
        deletes: Vec::new(),
    });
    let mut created = 0;
    for change in &plan.topics {
        match change {
            TopicChange::Create(spec) => {
                if let Until::Topics(most) = until
                    && created == most
                {
                    return (desired, observed);
                }
                created += 1;
                let own = |value: &String| ObservedConfig { value: value.clone(), set_on_topic: true };
                let configs = spec.configs.iter().map(|(key, value)| (key.clone(), own(value))).collect();
                observed.topics.insert(spec.name.clone(), ObservedTopic { partitions: spec.partitions, configs });
            }
            TopicChange::Delete { topic } => {
                observed.topics.remove(topic);
            }
            TopicChange::Configure { topic, configs, .. } => {
                let own = |value: &String| ObservedConfig { value: value.clone(), set_on_topic: true };
                let found = observed.topics.get_mut(topic).unwrap();
                found.configs.extend(configs.iter().map(|(key, value)| (key.clone(), own(value))));
            }
            TopicChange::AddPartitions { topic, to, .. } => observed.topics.get_mut(topic).unwrap().partitions = *to,
            TopicChange::Keep { .. } => {}
        }
    }
    if until == Until::End {
        desired.intent = None;
        for (product, record) in &plan.next.products {
            match record {
                Some(record) => desired.products.insert(product.clone(), record.clone()),
                None => desired.products.remove(product),
            };
        }
        if let Some(mesh) = &plan.next.mesh {
            desired.revision = mesh.revision;
            desired.mesh = Some(mesh.clone());
        }
    }
    (desired, observed)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    End,
    Topics(usize),
    Revision,
}

/// The folder of `Folder::new`, applied.
fn running() -> (Folder, Desired, Observed) {
    let folder = Folder::new();
    let (desired, observed) = (Desired::default(), Observed::default());
    let first = folder.plan(&desired, &observed);
    assert!(!first.is_refused());
    let (desired, observed) = applied(&first, &desired, &observed, Until::End);
    let mut folder = folder;
    folder.programs.get_mut(&id("sales.totals")).unwrap().verdict = StateVerdict::Same;
    (folder, desired, observed)
}

/// The plan after a change to a running mesh.
#[track_caller]
fn check(change: impl FnOnce(&mut Folder), delete_data: &[&str], expected: Expect) {
    let (mut folder, desired, observed) = running();
    change(&mut folder);
    expected.assert_eq(&folder.plan_with(&desired, &observed, delete_data).to_string());
}

#[test]
fn the_first_plan_makes_everything() {
    let folder = Folder::new();
    expect![[r#"
        mesh "demo", revision 0 → 1
          topics
            + __weft.demo.desired   1 partition, compact, retention.ms -1
            + __weft.demo.nodes   1 partition, delete, retention.ms 600000
            + __weft.demo.progress   1 partition, compact, retention.ms -1
            + __weft.demo.sources   1 partition, compact, retention.ms -1
            + sales.orders.placed.v1   4 partitions, delete, retention.ms -1
            + sales.totals.current.v1   4 partitions, compact, retention.ms -1
          products
            + sales.orders
            + sales.totals
    "#]]
    .assert_eq(&folder.plan(&Desired::default(), &Observed::default()).to_string());
}

#[test]
fn applied_again_there_is_nothing_to_do() {
    let (folder, desired, observed) = running();
    let again = folder.plan(&desired, &observed);
    assert!(again.is_empty());
    expect![[r#"
        mesh "demo" is at revision 1: nothing to do
    "#]]
    .assert_eq(&again.to_string());
    assert_eq!(desired.files(), folder.files);
}

#[test]
fn an_apply_cut_short_anywhere_is_finished_by_the_next() {
    let folder = Folder::new();
    let nothing = (Desired::default(), Observed::default());
    let first = folder.plan(&nothing.0, &nothing.1);
    let whole = applied(&first, &nothing.0, &nothing.1, Until::End);
    let cuts = (0..5).map(Until::Topics).chain([Until::Revision]);
    for cut in cuts {
        let (desired, observed) = applied(&first, &nothing.0, &nothing.1, cut);
        let repair = folder.plan(&desired, &observed);
        assert!(!repair.is_refused() && !repair.is_empty(), "{cut:?}: {repair}");
        let repaired = applied(&repair, &desired, &observed, Until::End);
        assert_eq!(repaired, whole, "{cut:?}");
        assert!(folder.plan(&repaired.0, &repaired.1).is_empty());
    }
}

#[test]
fn safe_changes() {
    check(
        |folder| {
            folder.files.0.insert("domains/sales/totals/transform.sql".to_owned(), "SELECT 2".to_owned());
            folder.verdict("sales.totals", StateVerdict::InPlace);
            folder.port("sales.orders").retention_ms = 604_800_000;
            folder.port("sales.orders").partitions = 4;
            folder.add("sales.new", vec![port("sales.new", "rows", PortKind::Append, &["id"])]);
        },
        &[],
        expect![[r#"
            mesh "demo", revision 1 → 2
              topics
                + sales.new.rows.v1   4 partitions, delete, retention.ms -1
                ~ sales.orders.placed.v1   retention.ms -1 → 604800000
                = 5 as they should be
              products
                + sales.new
                ~ sales.orders   port "placed@1" retention.ms -1 → 604800000
                ~ sales.totals   transform.sql added, program   state: goes on
        "#]],
    );
}

#[test]
fn a_port_without_a_key_may_get_more_partitions() {
    check(
        |folder| folder.port("sales.orders").partitions = 8,
        &[],
        expect![[r#"
            mesh "demo", revision 1 → 2
              topics
                ~ sales.orders.placed.v1   partitions 4 → 8
                = 5 as they should be
              products
                ~ sales.orders   port "placed@1" partitions 4 → 8
                = 1 unchanged
        "#]],
    );
}

/// Codes and reasons of what is refused.
#[track_caller]
fn check_refused(change: impl FnOnce(&mut Folder, &mut Observed), expected: Expect) {
    let (mut folder, desired, mut observed) = running();
    change(&mut folder, &mut observed);
    let plan = folder.plan(&desired, &observed);
    let shown: String = plan
        .refused
        .iter()
        .map(|refusal| {
            format!("{} {}: {}\n", refusal.diagnostic.code, refusal.diagnostic.what, refusal.diagnostic.because)
        })
        .collect();
    expected.assert_eq(&shown);
    assert!(plan.to_string().contains("stays at revision 1: the plan is refused"));
}

#[test]
fn promises_of_a_major_version() {
    check_refused(
        |folder, _| {
            folder.port("sales.totals").partitions = 8;
            folder.port("sales.orders").partitions = 2;
        },
        expect![[r#"
            APPLY-002 cannot change the partitions of port "sales.orders.placed@1": it has 4 partitions and would have 2; Kafka never takes one away
            APPLY-002 cannot change the partitions of port "sales.totals.current@1": it has 4 partitions and would have 8: keys would move, and their order with them
        "#]],
    );
    check_refused(
        |folder, _| folder.port("sales.totals").key = vec!["id".to_owned(), "at".to_owned()],
        expect![[r#"
            APPLY-003 cannot change the key of port "sales.totals.current@1" within version 1: it was (id) and would be (id, at)
        "#]],
    );
    check_refused(
        |folder, _| {
            folder.port("sales.orders").schema.columns[0].column_type = ColumnType::Int64;
            folder.port("sales.totals").schema.columns.pop();
        },
        expect![[r#"
            APPLY-004 cannot change the columns of port "sales.orders.placed@1" within version 1: column "id" was String and would be Int64
            APPLY-004 cannot change the columns of port "sales.totals.current@1" within version 1: column "at" would be gone
        "#]],
    );
    check_refused(
        |folder, _| {
            let reason = "op-2 groups by other columns".to_owned();
            folder.verdict("sales.totals", StateVerdict::NewState { reason });
            folder.mesh.topic_prefix = "eu-".to_owned();
            folder.port("sales.orders").event_time = None;
        },
        expect![[r#"
            APPLY-006 cannot change `topic_prefix` of mesh "demo": it was applied with "" and is now "eu-": every port would move to another topic
            APPLY-004 cannot change the columns of port "sales.orders.placed@1" within version 1: its event time was at and would be none
            APPLY-005 cannot change product "sales.totals" in place: its state would not fit: op-2 groups by other columns
        "#]],
    );
}

#[test]
fn topics_that_are_not_ours() {
    check_refused(
        |folder, observed| {
            folder.add("sales.new", vec![port("sales.new", "rows", PortKind::Append, &[])]);
            observed
                .topics
                .insert("sales.new.rows.v1".to_owned(), ObservedTopic { partitions: 4, ..Default::default() });
        },
        expect![[r#"
            APPLY-001 cannot use topic "sales.new.rows.v1" for port "sales.new.rows@1": it exists, and no mesh on this Kafka made it
        "#]],
    );
    check_refused(
        |folder, observed| {
            folder.add("sales.new", vec![port("sales.new", "rows", PortKind::Append, &[])]);
            let topic = "sales.new.rows.v1".to_owned();
            observed.topics.insert(topic.clone(), ObservedTopic { partitions: 4, ..Default::default() });
            observed.meshes.insert("other".parse().unwrap(), other("", &[&topic]));
        },
        expect![[r#"
            APPLY-001 cannot use topic "sales.new.rows.v1" for port "sales.new.rows@1": mesh "other" on this Kafka made it
        "#]],
    );
    check_refused(
        |folder, observed| {
            let adopting = OutputPort {
                adopted: true,
                topic: "orders".to_owned(),
                ..port("sales.new", "rows", PortKind::Append, &[])
            };
            folder.add("sales.new", vec![adopting]);
            observed.topics.insert("orders".to_owned(), ObservedTopic { partitions: 7, ..Default::default() });
        },
        expect![[r#"
            APPLY-007 cannot adopt topic "orders" for port "sales.new.rows@1": it has 7 partitions, and the descriptor says 4: rows of some would not be read
        "#]],
    );
    check_refused(
        |folder, _| {
            let adopting = OutputPort {
                adopted: true,
                topic: "orders".to_owned(),
                ..port("sales.new", "rows", PortKind::Append, &[])
            };
            folder.add("sales.new", vec![adopting]);
        },
        expect![[r#"
            APPLY-007 cannot adopt topic "orders" for port "sales.new.rows@1": it is not on the Kafka
        "#]],
    );
}

fn other(topic_prefix: &str, topics: &[&str]) -> OtherMesh {
    OtherMesh {
        controller: "host/1".to_owned(),
        topic_prefix: topic_prefix.to_owned(),
        topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
    }
}

#[test]
fn a_prefix_belongs_to_the_mesh_that_was_applied_with_it_first() {
    let mut folder = Folder::new();
    let mut observed = Observed::default();
    observed.meshes.insert("first".parse().unwrap(), other("", &["a.b.c.v1"]));
    let plan = folder.plan(&Desired::default(), &observed);
    expect![[r#"
        error: cannot apply mesh "demo" beside mesh "first"
          because  both have the `topic_prefix` "" on this Kafka; "first" was applied first, by host/1
          try      set another `topic_prefix` in weft.yaml, such as the mesh's id and a point
          code     APPLY-014 · weft explain APPLY-014"#]]
    .assert_eq(&plan.diagnostics().to_string());
    folder.mesh.topic_prefix = "demo.".to_owned();
    assert!(!folder.plan(&Desired::default(), &observed).is_refused());
    // One that runs keeps its prefix, whoever else came since.
    let (folder, desired, mut observed) = running();
    observed.meshes.insert("second".parse().unwrap(), other("", &[]));
    assert!(folder.plan(&desired, &observed).is_empty());
}

#[test]
fn copies_as_the_cluster_says() {
    let folder = Folder::new();
    let topics = TopicDefaults { replication_factor: Some(3), min_insync_replicas: Some(2) };
    let declared =
        Declared { mesh: &folder.mesh, files: &folder.files, options: &folder.options, programs: &folder.programs };
    let plan =
        plan(&Desired::default(), &declared, &Observed::default(), &PlanOptions { topics, ..PlanOptions::default() });
    assert_eq!(plan.topics.len(), 6);
    for change in &plan.topics {
        let spec = change.created().expect("nothing is there yet");
        assert_eq!((spec.replication_factor, spec.configs["min.insync.replicas"].as_str()), (Some(3), "2"));
    }
}

#[test]
fn an_adopted_topic_is_left_alone() {
    let (mut folder, desired, mut observed) = running();
    let adopting = OutputPort {
        adopted: true,
        topic: "orders".to_owned(),
        ..port("sales.new", "rows", PortKind::Append, &["id"])
    };
    folder.add("sales.new", vec![adopting]);
    observed.topics.insert("orders".to_owned(), ObservedTopic { partitions: 4, ..Default::default() });
    let plan = folder.plan(&desired, &observed);
    expect![[r#"
        mesh "demo", revision 1 → 2
          topics
            = 6 as they should be
            = 1 adopted, left alone
          products
            + sales.new
            = 2 unchanged
    "#]]
    .assert_eq(&plan.to_string());
    let (desired, observed) = applied(&plan, &desired, &observed, Until::End);
    folder.remove("sales.new");
    let refused = folder.plan_with(&desired, &observed, &["orders"]);
    assert_eq!(refused.refused[0].diagnostic.code, "APPLY-008");
}

#[test]
fn what_leaves_the_folder_is_retired_and_comes_back_as_it_was() {
    let (mut folder, desired, observed) = running();
    folder.remove("sales.totals");
    let plan = folder.plan(&desired, &observed);
    expect![[r#"
        mesh "demo", revision 1 → 2
          topics
            = 5 as they should be
          products
            - sales.totals   retired; topics and state stay
            = 1 unchanged
          notes
            topic "sales.totals.current.v1" of product "sales.totals" is retired; its data stays until --delete-data names it
    "#]]
    .assert_eq(&plan.to_string());
    let (desired, observed) = applied(&plan, &desired, &observed, Until::End);
    assert!(observed.topics.contains_key("sales.totals.current.v1"));
    assert!(folder.plan(&desired, &observed).is_empty());
    // Back with another key: the topic still holds records with the old one.
    folder.add("sales.totals", vec![port("sales.totals", "current", PortKind::Upsert, &["at"])]);
    assert_eq!(folder.plan(&desired, &observed).refused[0].diagnostic.code, "APPLY-003");
    folder.add("sales.totals", vec![port("sales.totals", "current", PortKind::Upsert, &["id"])]);
    assert!(!folder.plan(&desired, &observed).is_refused());
}

#[test]
fn data_is_deleted_only_by_name() {
    let (mut folder, desired, mut observed) = running();
    folder.remove("sales.totals");
    for topic in ["__weft.demo.sales.totals.g1.op-1.changelog", "__weft.demo.sales.totals2.g1.op-1.changelog"] {
        observed.topics.insert(topic.to_owned(), ObservedTopic { partitions: 4, ..Default::default() });
    }
    let plan = folder.plan_with(&desired, &observed, &["sales.totals"]);
    expect![[r#"
        mesh "demo", revision 1 → 2
          topics
            - __weft.demo.sales.totals.g1.op-1.changelog   DELETED with its data
            - sales.totals.current.v1   DELETED with its data
            = 5 as they should be
          products
            - sales.totals   retired; topics and state stay
            = 1 unchanged
    "#]]
    .assert_eq(&plan.to_string());
    let (desired, observed) = applied(&plan, &desired, &observed, Until::End);
    assert!(!desired.mesh.as_ref().unwrap().topics.contains_key("sales.totals.current.v1"));
    assert!(observed.topics.contains_key("__weft.demo.sales.totals2.g1.op-1.changelog"));
    for wrong in ["sales.orders", "sales.orders.placed.v1", "nothing.here"] {
        let refused = folder.plan_with(&desired, &observed, &[wrong]);
        assert_eq!(refused.refused.first().map(|refusal| refusal.diagnostic.code), Some("APPLY-008"), "{wrong}");
    }
}

#[test]
fn records_of_a_newer_version_are_refused() {
    let mut desired = Desired::default();
    let error = desired.take(b"mesh", Some(br#"{"v": 2, "anything": true}"#)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "record \"mesh\" of the desired state: it has version 2, this weft knows versions up to 1"
    );
    assert!(desired.take(b"something-newer", Some(b"{}")).is_ok());
}
