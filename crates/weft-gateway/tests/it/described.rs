//! What products are described as: each document is well-formed, true to the mesh, and survives what people write.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use weft_gateway::{KafkaDoor, Options};
use weft_model::product::PortKind;

use crate::client::{get, send};
use crate::fakes::{EXACT_ROW, Node, ODCS, ODPS, mesh, node, node_with, product_id};

const PRODUCT: &str = "/v1/products/insights/delays";
const CURRENT: &str = "/v1/products/insights/delays/ports/current/v1";

/// Every document of the fake mesh.
const DOCUMENTS: [(&str, &str); 6] = [
    ("/v1/products/insights/delays/asyncapi.json", "application/json"),
    ("/v1/products/insights/delays/odps.yaml", "application/yaml"),
    ("/v1/products/insights/delays/ports/current/v1/odcs.yaml", "application/yaml"),
    ("/v1/products/insights/delays/ports/current/v1/schema.json", "application/schema+json"),
    ("/v1/catalogue.jsonld", "application/ld+json"),
    ("/openapi.json", "application/json"),
];

async fn document(node: &Node, path: &str) -> Value {
    let answer = get(node.addr, path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.json()
}

/// Asserts that every `$ref` of the document leads somewhere in it.
#[track_caller]
fn references_resolve(document: &Value) {
    let mut left = vec![document];
    while let Some(value) = left.pop() {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let pointer = reference.strip_prefix('#').expect("a reference within the document");
            assert!(document.pointer(pointer).is_some(), "{reference} points nowhere");
        }
        match value {
            Value::Object(fields) => left.extend(fields.values()),
            Value::Array(items) => left.extend(items),
            _ => {}
        }
    }
}

#[tokio::test]
async fn every_document_has_a_type_and_an_etag_and_answers_304() {
    let node = node().await;
    for (path, content_type) in DOCUMENTS {
        let first = get(node.addr, path).await;
        assert_eq!((first.status, first.header("content-type")), (200, Some(content_type)), "{path}");
        assert_eq!(first.header("cache-control"), Some("no-cache"), "{path}");
        let etag = first.header("etag").expect("an ETag").to_owned();
        for tags in [etag.clone(), format!("W/{etag}"), format!("\"other\", {etag}"), "*".to_owned()] {
            let host = node.addr;
            let again =
                send(node.addr, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nIf-None-Match: {tags}\r\n\r\n")).await;
            assert_eq!((again.status, again.header("etag")), (304, Some(etag.as_str())), "{path} {tags}");
        }
        let host = node.addr;
        let other =
            send(node.addr, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nIf-None-Match: \"other\"\r\n\r\n")).await;
        assert_eq!((other.status, other.body == first.body), (200, true), "{path}");
    }
    assert_eq!(get(node.addr, "/v1/products").await.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn descriptors_come_as_they_were_written() {
    let node = node().await;
    assert_eq!(get(node.addr, &format!("{PRODUCT}/odps.yaml")).await.body, format!("{ODPS}id: insights.delays\n"));
    assert_eq!(get(node.addr, &format!("{CURRENT}/odcs.yaml")).await.body, format!("{ODCS}id: current-contract\n"));
    let problem = get(node.addr, &format!("{PRODUCT}/ports/errors/v1/odcs.yaml")).await.problem(404, "HTTP-030");
    assert!(problem["try"].as_str().unwrap().contains("/ports/errors/v1/schema.json"), "{problem}");
    get(node.addr, "/v1/products/insights/nothing/odps.yaml").await.problem(404, "HTTP-008");
    get(node.addr, &format!("{PRODUCT}/ports/current/v9/odcs.yaml")).await.problem(404, "HTTP-009");
}

#[tokio::test]
async fn the_schema_takes_a_row_and_refuses_what_is_none() {
    let node = node().await;
    let schema = document(&node, &format!("{CURRENT}/schema.json")).await;
    assert_eq!(schema["$id"], format!("http://{}{CURRENT}/schema.json", node.addr));
    jsonschema::meta::validate(&schema).expect("a schema by its own standard");
    let validator = jsonschema::validator_for(&schema).unwrap();
    let row = json!({
        "origin": "EWR", "carrier": "UA", "window_start": "2013-01-01T11:00:00.000Z", "n": 9_007_199_254_740_993_i64,
        "price": "12.50",
    });
    assert!(validator.is_valid(&row), "{:?}", validator.validate(&row));
    for (change, taken) in [
        (json!({"n": null}), true),
        (json!({"n": i64::MIN}), true),
        (json!({"price": "-7"}), true),
        // A minor version may add a column.
        (json!({"new_column": [1]}), true),
        (json!({"n": "1"}), false),
        (json!({"n": 1.5}), false),
        (json!({"price": 12.5}), false),
        (json!({"price": "1e5"}), false),
        (json!({"origin": null}), false),
        (json!({"window_start": 5}), false),
    ] {
        let mut changed = row.clone();
        changed.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        assert_eq!(validator.is_valid(&changed), taken, "{change}");
    }
    let key = jsonschema::validator_for(&schema["$defs"]["key"]).unwrap();
    assert!(key.is_valid(&json!(["EWR", "UA", "2013-01-01T11:00:00.000Z"])));
    assert!(!key.is_valid(&json!(["EWR", "UA"])) && !key.is_valid(&json!(["EWR", "UA", "2013", 4])));
    // 2⁶³ − 1 is there as itself, not as the double next to it.
    let text = get(node.addr, &format!("{CURRENT}/schema.json")).await.body;
    assert!(text.contains("9223372036854775807") && EXACT_ROW.contains("9007199254740993"), "{text}");
    let errors = document(&node, &format!("{PRODUCT}/ports/errors/v1/schema.json")).await;
    assert_eq!(errors["required"], json!(["at", "reason"]));
    assert_eq!(errors["$defs"], Value::Null);
}

#[tokio::test]
async fn asyncapi_has_a_topic_and_a_stream_for_each_port() {
    let node = node().await;
    let document = document(&node, &format!("{PRODUCT}/asyncapi.json")).await;
    references_resolve(&document);
    assert_eq!(document["asyncapi"], "3.1.0");
    let hosts: Vec<&str> =
        document["servers"].as_object().unwrap().values().map(|one| one["host"].as_str().unwrap()).collect();
    let here = node.addr.to_string();
    assert_eq!(hosts, ["127.0.0.1:9092", "127.0.0.2:9092", here.as_str()]);
    let mesh = mesh();
    let product = &mesh.products[&product_id("insights.delays")];
    let mut expected = BTreeSet::new();
    for port in &product.outputs {
        let name = format!("{}-v{}", port.id.port, port.id.major);
        let topic = &document["channels"][&name];
        assert_eq!(topic["address"], port.topic, "{name}");
        assert_eq!(topic["bindings"]["kafka"]["partitions"], port.partitions, "{name}");
        let policy = &topic["bindings"]["kafka"]["topicConfiguration"]["cleanup.policy"][0];
        assert_eq!(policy, if port.kind == PortKind::Upsert { "compact" } else { "delete" }, "{name}");
        assert_eq!(topic["messages"]["delete"].is_object(), port.kind == PortKind::Upsert, "{name}");
        let stream = &document["channels"][format!("{name}-stream")];
        assert_eq!(stream["servers"], json!([{"$ref": "#/servers/http"}]));
        expected.extend([format!("send-{name}"), format!("send-{name}-stream")]);
    }
    let operations = document["operations"].as_object().unwrap();
    assert_eq!(operations.keys().cloned().collect::<BTreeSet<_>>(), expected);
    assert!(operations.values().all(|one| one["action"] == "send"));
    // The live stream is where the document says.
    let address = document["channels"]["current-v1-stream"]["address"].as_str().unwrap();
    assert_eq!(address, format!("{CURRENT}/stream"));
    let external = self::document(&node, "/v1/products/flight-ops/flights/asyncapi.json").await;
    assert_eq!(external["components"]["messages"]["flights-v1-record"]["headers"], Value::Null);
    assert!(document["components"]["messages"]["current-v1-record"]["headers"].is_object());
}

#[tokio::test]
async fn a_kafka_behind_tls_and_login_is_described_as_such() {
    let node = node().await;
    let path = format!("{PRODUCT}/asyncapi.json");
    let plain = document(&node, &path).await;
    assert_eq!(
        (&plain["servers"]["kafka"]["protocol"], &plain["servers"]["kafka"]["security"]),
        (&json!("kafka"), &Value::Null)
    );
    for (mechanism, kind) in
        [("SCRAM-SHA-512", json!("scramSha512")), ("PLAIN", json!("plain")), ("OAUTHBEARER", Value::Null)]
    {
        let door =
            KafkaDoor { bootstrap: "a:1,b:2".to_owned(), by_tls: true, sasl_mechanism: Some(mechanism.to_owned()) };
        *node.catalog.kafka.lock().unwrap() = door;
        let document = document(&node, &path).await;
        references_resolve(&document);
        assert_eq!(document["servers"]["kafka-2"]["protocol"], "kafka-secure");
        assert_eq!(document["components"]["securitySchemes"]["kafka"]["type"], kind, "{mechanism}");
        assert_eq!(document["servers"]["kafka"]["security"].is_null(), kind.is_null(), "{mechanism}");
    }
}

#[tokio::test]
async fn the_catalogue_has_a_dataset_for_each_port() {
    let node = node().await;
    let catalogue = document(&node, "/v1/catalogue.jsonld").await;
    assert_eq!(catalogue["@type"], "dcat:Catalog");
    let datasets = catalogue["dcat:dataset"].as_array().unwrap();
    let ports: usize = mesh().products.values().map(|product| product.outputs.len()).sum();
    assert_eq!(datasets.len(), ports);
    let mut ids = BTreeSet::new();
    for dataset in datasets {
        assert!(ids.insert(dataset["@id"].as_str().unwrap()), "{dataset}");
        assert_eq!(dataset["dcat:distribution"].as_array().unwrap().len(), 3);
        let path = dataset["@id"].as_str().unwrap().strip_prefix(&format!("http://{}", node.addr)).unwrap();
        assert_ne!(get(node.addr, &format!("{path}/schema.json")).await.status, 404, "{path}");
    }
    let current = datasets.iter().find(|one| one["dct:identifier"] == "insights.delays.current@1").unwrap();
    let read = format!("http://{}/v1/products/flight-ops/flights/ports/flights/v1", node.addr);
    assert_eq!(current["prov:wasDerivedFrom"][0]["@id"], read);
    assert!(ids.contains(read.as_str()));
}

#[tokio::test]
async fn the_catalogues_links_lead_there() {
    let node = node().await;
    let mesh = document(&node, "/v1/products").await;
    let mut left = vec![&mesh];
    let mut rels = BTreeSet::new();
    while let Some(value) = left.pop() {
        if let (Some(rel), Some(href)) = (value["rel"].as_str(), value["href"].as_str()) {
            rels.insert(rel);
            let answer = get(node.addr, href).await;
            assert_eq!((answer.status, answer.header("content-type")), (200, value["type"].as_str()), "{href}");
        }
        match value {
            Value::Object(fields) => left.extend(fields.values()),
            Value::Array(items) => left.extend(items),
            _ => {}
        }
    }
    assert_eq!(rels, BTreeSet::from(["asyncapi", "dcat", "json-schema", "odcs", "odps"]));
}

/// HTML, line breaks, and a megabyte where a sentence was meant.
#[tokio::test]
async fn texts_of_people_break_no_document() {
    let node = node().await;
    let nasty = "</script><img src=x onerror=alert(1)>\"'\\\u{2028}\u{0}\n---\n${x}";
    let mut mesh = mesh();
    for domain in mesh.domains.values_mut() {
        domain.description = nasty.to_owned();
    }
    for product in mesh.products.values_mut() {
        product.owner = nasty.to_owned();
        product.purpose = nasty.repeat(1 << 14);
        product.tags = vec![nasty.to_owned(), nasty.to_owned(), "é".repeat(1 << 20)];
        for port in &mut product.outputs {
            port.description = "é".repeat(1 << 20);
            port.contract_id = nasty.to_owned();
            port.column_docs.insert("origin".to_owned(), nasty.to_owned());
        }
    }
    *node.catalog.mesh.lock().unwrap() = Some(Arc::new(mesh));
    for path in [&format!("{PRODUCT}/asyncapi.json"), &format!("{CURRENT}/schema.json"), "/v1/catalogue.jsonld"] {
        let answer = get(node.addr, path).await;
        assert!(answer.body.len() < 400_000, "{path} has {} bytes", answer.body.len());
        let document = answer.json();
        references_resolve(&document);
        let found = answer.body.contains("onerror=alert(1)");
        assert!(found, "{path}: the text is there, as text");
    }
    let schema = document(&node, &format!("{CURRENT}/schema.json")).await;
    assert_eq!(schema["properties"]["origin"]["description"], nasty);
    let shown = schema["description"].as_str().unwrap();
    assert!(shown.ends_with('…') && shown.chars().count() < 5000);
}

/// Behind a proxy that ends TLS, documents name what the caller sees; nobody else can have them name anything.
#[tokio::test]
async fn addresses_are_those_that_the_caller_sees() {
    let node = node_with(Options { hosts: vec!["mesh.example".to_owned()], ..Options::default() }).await;
    let asyncapi = format!("{PRODUCT}/asyncapi.json");
    for (headers, protocol, host) in [
        ("Host: mesh.example\r\nX-Forwarded-Proto: https", "https", "mesh.example"),
        ("Host: Mesh.Example:8443\r\nX-Forwarded-Proto: https", "https", "mesh.example:8443"),
        ("Host: mesh.example", "http", "mesh.example"),
        ("Host: mesh.example\r\nX-Forwarded-Proto: javascript", "http", "mesh.example"),
        ("Host: localhost:1\r\nX-Forwarded-Proto: https", "http", "localhost:1"),
    ] {
        let answer = send(node.addr, &format!("GET {asyncapi} HTTP/1.1\r\n{headers}\r\n\r\n")).await.json();
        assert_eq!(answer["servers"]["http"]["protocol"], protocol, "{headers}");
        assert_eq!(answer["servers"]["http"]["host"], host, "{headers}");
        let url = answer["info"]["externalDocs"]["url"].as_str().unwrap();
        assert!(url.starts_with(&format!("{protocol}://{host}/v1/products/")), "{url}");
    }
    let foreign = format!("GET {asyncapi} HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    send(node.addr, &foreign).await.problem(421, "HTTP-001");
}

#[tokio::test]
async fn before_the_mesh_is_read_descriptions_say_wait() {
    let node = node().await;
    *node.catalog.mesh.lock().unwrap() = None;
    for (path, _) in DOCUMENTS {
        let answer = get(node.addr, path).await;
        match path {
            "/openapi.json" => assert_eq!(answer.status, 200),
            _ => drop(answer.problem(503, "HTTP-017")),
        }
    }
}
