//! Pull and SQL.

use std::collections::BTreeMap;

use serde_json::json;
use weft_model::query::Bound;

use crate::client::{Connection, get, send, sql};
use crate::fakes::{EXACT_ROW, node};

const CURRENT: &str = "/v1/products/insights/delays/ports/current/v1";
const FINAL: &str = "/v1/products/insights/delays/ports/final/v1";

#[tokio::test]
async fn a_key_is_asked_and_rows_come_exactly_as_the_views_wrote_them() {
    let node = node().await;
    let path = format!("{CURRENT}?origin=EWR&carrier=UA&window_start=2013-01-01T11:00:00.000Z&limit=2");
    let answer = get(node.addr, &path).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let expected = format!(
        "{{\"rows\":[{EXACT_ROW},{{}}],\"position\":[{{\"port\":\"insights.delays.current@1\",\"generation\":1,\
         \"topic_id\":\"AAAA\",\"offsets\":{{\"0\":9007199254740993,\"1\":0}},\"watermark\":\"2013-01-01T11:00:00.000Z\"}}],\
         \"next\":\"page 2=\"}}"
    );
    assert_eq!(answer.body, expected);
    let (port, query, limits) = node.views.pulls.lock().unwrap().pop().unwrap();
    assert_eq!(port.to_string(), "insights.delays.current@1");
    assert_eq!((query.rows_max, limits.rows_max), (2, 10_000));
    assert_eq!(query.bounds["origin"], Bound::Equal(json!("EWR")));
    assert_eq!(query.bounds["window_start"], Bound::Equal(json!("2013-01-01T11:00:00.000Z")));
    // The page token comes back as it went out.
    get(node.addr, &format!("{CURRENT}?page=page+2%3D")).await;
    let (_, query, _) = node.views.pulls.lock().unwrap().pop().unwrap();
    assert_eq!((query.page.as_deref(), query.rows_max), (Some("page 2="), 1000));
}

#[tokio::test]
async fn events_are_asked_by_offset_and_no_rows_are_an_answer() {
    let node = node().await;
    let answer = get(node.addr, &format!("{FINAL}?from_offset.0=5&to_offset.0=9&from_offset.1=0")).await;
    assert_eq!((answer.status, &answer.json()["rows"]), (200, &json!([])));
    assert_eq!(answer.json()["position"][0]["port"], "insights.delays.final@1");
    let (_, query, _) = node.views.pulls.lock().unwrap().pop().unwrap();
    assert_eq!(query.from_offsets, BTreeMap::from([(0, 5), (1, 0)]));
    assert_eq!(query.to_offsets, BTreeMap::from([(0, 9)]));
}

#[tokio::test]
async fn a_bad_url_never_reaches_the_views() {
    let node = node().await;
    for (path, code) in [
        (format!("{CURRENT}?orgin=EWR"), "HTTP-010"),
        (format!("{CURRENT}?n=5"), "HTTP-011"),
        (format!("{CURRENT}?window_start=noon"), "HTTP-012"),
        (format!("{CURRENT}?limit=1000000"), "HTTP-013"),
        (format!("{CURRENT}?origin=%zz"), "HTTP-013"),
        (format!("{FINAL}?from_offset.2=0"), "HTTP-013"),
    ] {
        let problem = get(node.addr, &path).await.problem(400, code);
        assert_eq!(problem["instance"], path.split('?').next().unwrap());
    }
    assert!(node.views.pulls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_the_views_refuse_is_told_in_their_words() {
    let node = node().await;
    let problem = get(node.addr, &format!("{CURRENT}?page=bad")).await.problem(400, "SQL-001");
    assert_eq!(problem["because"], "the page token is not ours");
    assert_eq!(problem["try"], "something else");
    get(node.addr, &format!("{CURRENT}?page=old")).await.problem(409, "SQL-001");
}

#[tokio::test]
async fn every_kind_has_its_status() {
    let node = node().await;
    for (kind, status) in [
        ("Invalid", 400),
        ("NotFound", 404),
        ("Exists", 409),
        ("Denied", 403),
        ("TooLarge", 422),
        ("Busy", 429),
        ("Unavailable", 503),
        ("Fenced", 409),
        ("Corrupt", 500),
        ("Bug", 500),
    ] {
        sql(node.addr, &format!("{{\"sql\":\"{kind}\"}}")).await.problem(status, "SQL-001");
    }
}

#[tokio::test]
async fn sql_answers_in_the_shape_of_a_pull() {
    let node = node().await;
    let answer = sql(node.addr, r#"{"sql": "SELECT 1"}"#).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.starts_with(&format!("{{\"rows\":[{EXACT_ROW}],\"position\":[{{")), "{}", answer.body);
    assert_eq!(answer.json()["next"], json!(null));
    // Parameters of the media type, other case, chunked.
    let request = format!(
        "POST /v1/sql HTTP/1.1\r\nHost: {}\r\nContent-Type: Application/JSON; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n\
         7\r\n{{\"sql\":\r\n7\r\n\"SEL 1\"\r\n1\r\n}}\r\n0\r\n\r\n",
        node.addr
    );
    assert_eq!(send(node.addr, &request).await.status, 200);
}

#[tokio::test]
async fn bodies_that_are_no_question() {
    let node = node().await;
    for (body, because) in [
        ("", "it is not a JSON object"),
        ("SELECT 1", "it is not a JSON object"),
        ("[]", "it is not a JSON object"),
        ("{\"sql\": \"SELECT 1\"", "it is not a JSON object"),
        ("{\"sql\": \"a\"} {}", "it is not a JSON object"),
        ("{}", "it has no field \"sql\""),
        ("{\"SQL\": \"SELECT 1\"}", "did you mean \"sql\"?"),
        ("{\"sql\": \"SELECT 1\", \"limit\": 5}", "it has a field \"limit\", which nobody reads"),
        ("{\"sql\": 5}", "its field \"sql\" is not a string"),
        ("{\"sql\": null}", "its field \"sql\" is not a string"),
        ("{\"sql\": \" \\n\"}", "its field \"sql\" is empty"),
    ] {
        let problem = sql(node.addr, body).await.problem(400, "HTTP-007");
        assert!(problem["because"].as_str().unwrap().contains(because), "{body}: {problem}");
    }
    let deep = format!("{{\"sql\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    sql(node.addr, &deep).await.problem(400, "HTTP-007");
}

#[tokio::test]
async fn only_json_is_read() {
    let node = node().await;
    for content_type in [
        "",
        "Content-Type: text/plain\r\n",
        "Content-Type: application/x-www-form-urlencoded\r\n",
        "Content-Type: application/jsonp\r\n",
        "Content-Type: application/json, text/plain\r\n",
        "Content-Type: application/json\r\nContent-Type: text/plain\r\n",
    ] {
        let body = r#"{"sql": "SELECT 1"}"#;
        let length = body.len();
        let host = node.addr;
        let request =
            format!("POST /v1/sql HTTP/1.1\r\nHost: {host}\r\n{content_type}Content-Length: {length}\r\n\r\n{body}");
        send(node.addr, &request).await.problem(415, "HTTP-005");
    }
}

#[tokio::test]
async fn a_panic_costs_one_request() {
    let node = node().await;
    let mut connection = Connection::open(node.addr).await;
    let body = r#"{"sql":"panic"}"#;
    let head = format!("POST /v1/sql HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n", node.addr);
    connection.write(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).await;
    let problem = connection.answer(false).await.problem(500, "HTTP-019");
    assert!(!problem.to_string().contains("sorrow"), "what panicked is for the log: {problem}");
    connection.write(format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", node.addr).as_bytes()).await;
    assert_eq!(connection.answer(false).await.status, 200);
    for path in ["/v1/products/insights/delays/ports/panics/v1", "/v1/products/insights/delays/ports/panics/v1/stream"]
    {
        get(node.addr, path).await.problem(500, "HTTP-019");
    }
}
