//! Meshes that are right, and what they become.

use expect_test::expect;
use proptest::prelude::*;
use weft_model::load::{DescriptorTexts, Files};
use weft_model::mesh::{Mesh, Replay};
use weft_model::name::ProductId;
use weft_model::product::{Behaviour, OutputPort, PortRole};

use crate::support::{BIG_PRODUCT, ORDERS_PRODUCT, load_files, shop, shop_with};

fn loaded(files: &Files) -> Mesh {
    load_files(files).unwrap_or_else(|findings| panic!("{findings}"))
}

fn orders() -> ProductId {
    ProductId { domain: "sales".parse().unwrap(), product: "orders".parse().unwrap() }
}

fn big() -> ProductId {
    ProductId { domain: "sales".parse().unwrap(), product: "big".parse().unwrap() }
}

const ADOPTS: &str = "    contractId: sales.orders.orders\n    customProperties:\n      - { property: topic, value: Orders_2019 }\n      - { property: partitions, value: 12 }\n";

/// Orders come from a service that nobody here wrote, in a topic that was there before.
fn external() -> Files {
    let product = ORDERS_PRODUCT.replace("    contractId: sales.orders.orders\n", ADOPTS);
    let mut files = shop_with("domains/sales/orders/orders.odcs.yaml", "sales.orders.orders.v1", "Orders_2019");
    files.0.remove("domains/sales/orders/source.yaml");
    files.0.insert("domains/sales/orders/external.yaml".to_owned(), "technology: python service\n".to_owned());
    files.0.insert("domains/sales/orders/product.odps.yaml".to_owned(), product);
    let reads = "value: \"weft://sales/orders/orders/v1\" }\n";
    let bound = format!("{reads}      - {{ property: watermarkBoundMs, value: 5000 }}\n");
    files.0.insert("domains/sales/big/product.odps.yaml".to_owned(), BIG_PRODUCT.replace(reads, &bound));
    files
}

#[test]
fn an_external_product_with_an_adopted_topic() {
    let mesh = loaded(&external());
    let product = &mesh.products[&orders()];
    assert_eq!(product.behaviour, Behaviour::External);
    let [port] = &product.outputs[..] else { panic!("Weft does not run it: no error and late ports") };
    assert_eq!((port.topic.as_str(), port.adopted, port.partitions), ("Orders_2019", true, 12));
    assert_eq!(mesh.products[&big()].inputs[0].bound_ms, 5000);
}

#[test]
fn a_command_line_does_not_change_the_partitions_of_an_adopted_topic() {
    let options = weft_model::load::LoadOptions { partitions: Some(4), ..Default::default() };
    let mesh = weft_model::load::load(&external(), &options).unwrap();
    assert_eq!(mesh.products[&orders()].outputs[0].partitions, 12);
    assert_eq!(mesh.products[&big()].outputs[0].partitions, 4);
}

#[test]
fn an_input_is_found_by_its_contract_alone() {
    let reads = "    customProperties:\n      - { property: reads, value: \"weft://sales/orders/orders/v1\" }\n";
    let mesh = loaded(&shop_with("domains/sales/big/product.odps.yaml", reads, ""));
    assert_eq!(mesh.products[&big()].inputs[0].reads.to_string(), "sales.orders.orders@1");
}

/// Orders in two majors, each with a contract of its own.
fn two_majors() -> Files {
    let second = "  - name: orders\n    version: 2.1.0\n    contractId: sales.orders.orders\nteam:\n";
    let mut files = shop_with("domains/sales/orders/product.odps.yaml", "team:\n", second);
    files.0.remove("domains/sales/orders/source.yaml"); // a source feeds one port only
    files.0.insert("domains/sales/orders/external.yaml".to_owned(), "technology: flink\n".to_owned());
    let contract = files.0["domains/sales/orders/orders.odcs.yaml"].replace("version: 1.0.0", "version: 2.1.0");
    let contract = contract.replace("orders.orders.v1", "orders.orders.v2");
    files.0.insert("domains/sales/orders/orders.v2.odcs.yaml".to_owned(), contract);
    files
}

#[test]
fn two_majors_of_a_port_are_two_ports() {
    let mesh = loaded(&two_majors());
    let ports: Vec<String> = mesh.products[&orders()]
        .outputs
        .iter()
        .filter(|port| port.role == PortRole::Declared)
        .map(|port| format!("{} {}", port.id, port.topic))
        .collect();
    assert_eq!(ports, ["sales.orders.orders@1 sales.orders.orders.v1", "sales.orders.orders@2 sales.orders.orders.v2"]);
}

#[test]
fn descriptors_stay_what_their_team_wrote() {
    let files = two_majors();
    let mesh = loaded(&files);
    let texts = DescriptorTexts::of(&files, &mesh);
    let written = |file: &str| files.0[file].as_str();
    assert_eq!(&*texts.products[&orders()], written("domains/sales/orders/product.odps.yaml"));
    assert_eq!(&*texts.products[&big()], written("domains/sales/big/product.odps.yaml"));
    let contracts: Vec<(String, &str)> =
        texts.contracts.iter().map(|(port, text)| (port.to_string(), &**text)).collect();
    // `errors` and `late` of the big orders have none.
    assert_eq!(
        contracts,
        [
            ("sales.big.orders@1".to_owned(), written("domains/sales/big/orders.odcs.yaml")),
            ("sales.orders.orders@1".to_owned(), written("domains/sales/orders/orders.odcs.yaml")),
            ("sales.orders.orders@2".to_owned(), written("domains/sales/orders/orders.v2.odcs.yaml")),
        ]
    );
}

#[test]
fn what_weft_yaml_says_holds() {
    let weft = "mesh: shop\ntopic_prefix: acme.\nlisteners: { kafka: \"127.0.0.1:0\" }\nreplay: { speed: 60 }\ndefaults: { partitions: 3 }\n";
    let mesh = loaded(&shop_with("weft.yaml", "mesh: shop\n", weft));
    assert_eq!(mesh.id.as_str(), "shop");
    assert_eq!(mesh.replay, Replay::Times(60.0));
    assert_eq!((mesh.listeners.kafka.as_str(), mesh.listeners.http.as_str()), ("127.0.0.1:0", "127.0.0.1:8080"));
    let ports: Vec<&OutputPort> = mesh.products[&orders()].outputs.iter().collect();
    let topics: Vec<(&str, u32)> = ports.iter().map(|port| (port.topic.as_str(), port.partitions)).collect();
    assert_eq!(
        topics,
        [("acme.sales.orders.orders.v1", 3), ("acme.sales.orders.errors.v1", 1), ("acme.sales.orders.late.v1", 1)]
    );
}

#[test]
fn a_contract_becomes_a_port() {
    let mesh = loaded(&shop());
    expect![[r#"
        OutputPort {
            id: PortId {
                product: ProductId {
                    domain: DomainName(
                        "sales",
                    ),
                    product: ProductName(
                        "orders",
                    ),
                },
                port: PortName(
                    "orders",
                ),
                major: 1,
            },
            role: Declared,
            kind: Append,
            topic: "sales.orders.orders.v1",
            adopted: false,
            partitions: 1,
            contract_id: "sales.orders.orders",
            description: "Orders as they come",
            schema: Schema {
                columns: [
                    Column {
                        name: "order_id",
                        column_type: String,
                        nullable: false,
                    },
                    Column {
                        name: "amount",
                        column_type: Decimal {
                            precision: 12,
                            scale: 2,
                        },
                        nullable: true,
                    },
                    Column {
                        name: "ordered_at",
                        column_type: Timestamp,
                        nullable: false,
                    },
                ],
            },
            key: [
                "order_id",
            ],
            event_time: Some(
                "ordered_at",
            ),
            event_time_offset_ms: 0,
            column_docs: {
                "amount": "Amount [EUR]",
            },
            encoding: Json,
            retention_ms: -1,
        }"#]]
    .assert_eq(&format!("{:#?}", mesh.products[&orders()].outputs[0]));
}

#[test]
fn a_mesh_survives_its_own_serialisation() {
    let mesh = loaded(&external());
    // Products are keyed by a struct, so they travel as a list.
    for product in mesh.products.values() {
        let json = serde_json::to_string(product).unwrap();
        assert_eq!(&serde_json::from_str::<weft_model::product::Product>(&json).unwrap(), product);
    }
}

#[test]
fn retention_is_in_milliseconds() {
    let sla = "slaProperties:\n  - { property: retention, value: 30, unit: d }\nschema:\n";
    let mesh = loaded(&shop_with("domains/sales/orders/orders.odcs.yaml", "schema:\n", sla));
    assert_eq!(mesh.products[&orders()].outputs[0].retention_ms, 30 * 86_400_000);
    assert_eq!(loaded(&shop()).products[&orders()].outputs[0].retention_ms, -1);
}

#[test]
fn yaml_that_looks_like_something_else_is_text() {
    for owner in ["NO", "yes", "2013-01-01T11:00:00Z", "12:30", "1_000", "1.2.3", "0x", "on"] {
        let mesh = loaded(&shop_with("domains/sales/domain.yaml", "owner: sales-team", &format!("owner: {owner}")));
        assert_eq!(mesh.domains.values().next().unwrap().owner, owner);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever stands in a file, reading it ends, and never panics.
    #[test]
    fn any_text_is_read_without_panic(
        file in prop::sample::select(vec![
            "weft.yaml",
            "domains/sales/domain.yaml",
            "domains/sales/orders/product.odps.yaml",
            "domains/sales/orders/orders.odcs.yaml",
            "domains/sales/orders/source.yaml",
            "domains/sales/big/transform.sql",
            "domains/sales/big/tests/big.yaml",
        ]),
        text in "[a-e:\\-\\[\\]{}&*!|>'\"#%@, \n$0-9?~\t]{0,60}",
        at in any::<prop::sample::Index>(),
    ) {
        let mut files = shop();
        let old = files.0.entry(file.to_owned()).or_default();
        let mut at = at.index(old.len() + 1);
        while !old.is_char_boundary(at) {
            at -= 1;
        }
        old.insert_str(at, &text);
        let _ = load_files(&files);
        files.0.insert(file.to_owned(), text);
        let _ = load_files(&files);
    }
}
