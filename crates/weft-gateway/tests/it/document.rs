//! `/openapi.json`: well-formed, complete, and true.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::client::{get, send};
use crate::fakes::node;

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(METHODS.contains(&method.as_str()), "{path}: {method}");
            found.push((path.as_str(), method.as_str(), operation));
        }
    }
    found
}

/// Every `$ref`, with where it stands.
fn references<'d>(value: &'d Value, found: &mut Vec<&'d str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|field| references(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_document_is_well_formed() {
    let node = node().await;
    let document = get(node.addr, "/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    for field in ["title", "version", "description"] {
        assert!(document["info"][field].as_str().is_some_and(|text| !text.is_empty()), "{field}");
    }
    let mut refs = Vec::new();
    references(&document, &mut refs);
    assert!(!refs.is_empty());
    for reference in refs {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} points nowhere");
    }
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let at = format!("{method} {path}");
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{at}: operationId is there twice");
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{at}");
        let in_path: BTreeSet<&str> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut named = BTreeSet::new();
        for parameter in parameters {
            assert!(parameter["schema"].is_object() && parameter["description"].is_string(), "{at}: {parameter}");
            if parameter["in"] == "path" {
                assert_eq!(parameter["required"], true, "{at}: {parameter}");
                named.insert(parameter["name"].as_str().unwrap());
            }
        }
        assert_eq!(named, in_path, "{at}");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.contains_key("200"), "{at}");
        for (status, response) in responses {
            assert!(response["description"].as_str().is_some_and(|text| !text.is_empty()), "{at} {status}");
            assert!(response["headers"]["X-Request-Id"].is_object(), "{at} {status}");
            let problem = &response["content"]["application/problem+json"]["schema"]["$ref"];
            let documented =
                status.starts_with(['4', '5']) && status != "431" && !(path == "/readyz" && status == "503");
            assert_eq!(problem.is_string(), documented, "{at} {status}");
        }
        for status in ["400", "403", "404", "405", "414", "421", "431", "500", "503"] {
            assert!(responses.contains_key(status), "{at} {status}");
        }
    }
    let sql = &document["paths"]["/v1/sql"]["post"];
    assert!(sql["requestBody"]["content"]["application/json"]["schema"].is_object());
    for status in ["408", "413", "415", "422", "429"] {
        assert!(sql["responses"][status].is_object(), "{status}");
    }
    // What is refused whatever it says must not look valid.
    assert_eq!(document["components"]["schemas"]["SqlRequest"]["additionalProperties"], false);
    assert_eq!(document["components"]["schemas"]["SqlRequest"]["properties"]["sql"]["pattern"], "\\S");
    let properties = &document["components"]["schemas"]["ProblemDetails"]["properties"];
    for field in ["type", "title", "status", "detail", "instance", "code", "because", "try", "request_id"] {
        assert!(properties[field].is_object(), "{field}");
    }
}

/// The paths of the document are the routes, with the methods it names and no other.
#[tokio::test]
async fn the_document_is_true() {
    let node = node().await;
    let document = get(node.addr, "/openapi.json").await.json();
    let mut documented = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        documented.insert(path);
        let mut filled = path.to_owned();
        for parameter in operation["parameters"].as_array().into_iter().flatten().filter(|one| one["in"] == "path") {
            let example = parameter["example"].as_str().expect("path parameters have examples");
            filled = filled.replace(&format!("{{{}}}", parameter["name"].as_str().unwrap()), example);
        }
        let other = if method == "get" { "POST" } else { "GET" };
        let host = node.addr;
        let wrong =
            send(node.addr, &format!("{other} {filled} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n")).await;
        wrong.problem(405, "HTTP-004");
        let right = format!("HEAD {filled} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        if method == "get" {
            let status = send(node.addr, &right).await.status;
            assert_eq!(status, 200, "the example of {path}");
        }
    }
    let routes = [
        "/v1/products",
        "/v1/products/{domain}/{product}",
        "/v1/products/{domain}/{product}/ports/{port}/{version}",
        "/v1/products/{domain}/{product}/ports/{port}/{version}/stream",
        "/v1/products/{domain}/{product}/asyncapi.json",
        "/v1/products/{domain}/{product}/odps.yaml",
        "/v1/products/{domain}/{product}/ports/{port}/{version}/odcs.yaml",
        "/v1/products/{domain}/{product}/ports/{port}/{version}/schema.json",
        "/v1/catalogue.jsonld",
        "/v1/sql",
        "/mcp",
        "/v1/errors/{code}",
        "/openapi.json",
        "/metrics",
        "/healthz",
        "/readyz",
    ];
    assert_eq!(documented, BTreeSet::from(routes));
}

/// The bytes that `answer.rs` writes have the fields that the document promises.
#[tokio::test]
async fn answers_look_as_the_document_says() {
    let node = node().await;
    let document = get(node.addr, "/openapi.json").await.json();
    let fields = |name: &str| -> BTreeSet<String> {
        document["components"]["schemas"][name]["properties"].as_object().unwrap().keys().cloned().collect()
    };
    let keys = |value: &Value| -> BTreeSet<String> { value.as_object().unwrap().keys().cloned().collect() };
    let answer = get(node.addr, "/v1/products/insights/delays/ports/current/v1").await.json();
    assert_eq!(keys(&answer), fields("AnswerShape"));
    assert_eq!(keys(&answer["position"][0]), fields("PositionShape"));
    let problem = get(node.addr, "/nowhere").await.json();
    assert_eq!(keys(&problem), fields("ProblemDetails"));
    let mesh = get(node.addr, "/v1/products").await.json();
    assert_eq!(keys(&mesh), fields("MeshFacts"));
    assert_eq!(keys(&mesh["products"][0]), fields("ProductFacts"));
    assert_eq!(keys(&mesh["products"][0]["ports"][0]), fields("PortFacts"));
}
