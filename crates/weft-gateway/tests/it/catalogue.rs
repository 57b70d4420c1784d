//! What is here, and is it well.

use std::sync::atomic::Ordering;

use crate::client::{get, sql};
use crate::fakes::node;

#[tokio::test]
async fn the_mesh_lists_products_ports_and_contracts() {
    let node = node().await;
    let answer = get(node.addr, "/v1/products").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let mesh = answer.json();
    assert_eq!(mesh["mesh"], "flights");
    assert_eq!(mesh["domains"][1]["owner"], "insights-team");
    assert_eq!(mesh["products"][1]["id"], "insights.delays");
    assert_eq!(mesh["products"][0]["behaviour"], "external");
    assert_eq!(mesh["products"][0]["run"], serde_json::Value::Null);
    let one = get(node.addr, mesh["products"][1]["href"].as_str().unwrap()).await.json();
    assert_eq!(one, mesh["products"][1]);
    assert_eq!(one["run"]["state"], "running");
    assert_eq!(one["inputs"][0]["reads"], "flight-ops.flights.flights@1");
    let port = &one["ports"][0];
    assert_eq!(port["id"], "insights.delays.current@1");
    assert_eq!(port["generation"], 3);
    assert_eq!(port["kind"], "upsert");
    assert_eq!(port["key"], serde_json::json!(["origin", "carrier", "window_start"]));
    assert_eq!(
        port["contract"]["columns"][4],
        serde_json::json!({"name": "price", "type": "decimal(10,2)", "nullable": false, "description": null})
    );
    assert_eq!(get(node.addr, port["href"].as_str().unwrap()).await.status, 200);
}

#[tokio::test]
async fn what_is_not_there_is_answered_with_the_near_miss() {
    let node = node().await;
    for (path, code, try_) in [
        ("/v1/products/insights/delay", "HTTP-008", "did you mean \"insights.delays\"?"),
        ("/v1/products/insight/delays/ports/current/v1", "HTTP-008", "did you mean \"insights.delays\"?"),
        ("/v1/products/Nobody/x_y", "HTTP-008", "GET /v1/products lists all"),
        ("/v1/products/insights/delays/ports/curent/v1", "HTTP-009", "did you mean \"current\"?"),
        ("/v1/products/insights/delays/ports/current/v3", "HTTP-009", "/v1/products/insights/delays/ports/current/v2"),
        ("/v1/products/insights/delays/ports/current/1", "HTTP-009", "ports/current/v2"),
        ("/v1/products/insights/delays/ports/current/v01", "HTTP-009", "ports/current/v2"),
        ("/v1/products/insights/delays/ports/current/v99999999999", "HTTP-009", "ports/current/v2"),
        ("/v1/products/insights/delays/ports/curent/v1/stream", "HTTP-009", "did you mean \"current\"?"),
        ("/v1/products/", "HTTP-003", "leave out the \"/\" at the end: /v1/products"),
        ("/", "HTTP-003", "GET /v1/products lists"),
        ("/v1/products/a%2Fb/c%00d", "HTTP-008", "lists all"),
        ("/v1/products/../../etc/passwd", "HTTP-003", "GET /v1/products lists"),
        ("/v1/errors/HTTP-999", "HTTP-023", "codes look like"),
    ] {
        let problem = get(node.addr, path).await.problem(404, code);
        assert!(problem["try"].as_str().unwrap().contains(try_), "{path}: {problem}");
    }
    get(node.addr, "/v1/products/%ff/x").await.problem(400, "HTTP-003");
}

#[tokio::test]
async fn before_the_mesh_is_read_everything_says_wait() {
    let node = node().await;
    *node.catalog.mesh.lock().unwrap() = None;
    for path in
        ["/v1/products", "/v1/products/a/b", "/v1/products/a/b/ports/c/v1", "/v1/products/a/b/ports/c/v1/stream"]
    {
        get(node.addr, path).await.problem(503, "HTTP-017");
    }
    sql(node.addr, r#"{"sql":"SELECT 1"}"#).await.problem(503, "HTTP-017");
    assert_eq!(get(node.addr, "/healthz").await.status, 200);
}

#[tokio::test]
async fn health_and_readiness() {
    let node = node().await;
    assert_eq!(get(node.addr, "/healthz").await.json(), serde_json::json!({"status": "ok"}));
    let ready = get(node.addr, "/readyz").await;
    assert_eq!((ready.status, &ready.json()["ready"]), (200, &serde_json::json!(true)));
    node.catalog.ready.store(false, Ordering::SeqCst);
    let ready = get(node.addr, "/readyz").await;
    assert_eq!((ready.status, ready.header("retry-after")), (503, Some("1")));
    assert_eq!(ready.json()["parts"][1]["reason"], "restoring state of insights.delays");
}

#[tokio::test]
async fn metrics_count_and_carry_other_rooms() {
    let node = node().await;
    get(node.addr, "/v1/products").await;
    get(node.addr, "/v1/products").await;
    get(node.addr, "/nowhere/4711").await;
    let answer = get(node.addr, "/metrics").await;
    assert_eq!(answer.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    let text = answer.body;
    assert!(
        text.contains("weft_http_requests_total{route=\"/v1/products\",method=\"GET\",status=\"200\"} 2"),
        "{text}"
    );
    assert!(text.contains("weft_http_problems_total{code=\"HTTP-003\"} 1"), "{text}");
    assert!(!text.contains("4711"), "paths that callers make up are no labels: {text}");
    assert!(text.contains("weft_http_request_seconds_count{route=\"/v1/products\"} 2"), "{text}");
    assert!(text.contains("weft_http_connections_max "), "{text}");
    assert!(text.ends_with("other_room 7\n# EOF\n"), "{text}");
    assert_eq!(text.matches("# EOF").count(), 1);
}

#[tokio::test]
async fn every_code_of_these_doors_has_its_page() {
    let node = node().await;
    for number in 1..=24 {
        let path = format!("/v1/errors/HTTP-{number:03}");
        let page = get(node.addr, &path).await;
        assert_eq!((page.status, page.header("content-type")), (200, Some("text/markdown; charset=utf-8")), "{path}");
        assert!(page.body.starts_with(&format!("# HTTP-{number:03}")), "{}", page.body);
    }
}
