//! Server-sent events.

use std::sync::atomic::Ordering;
use std::time::Duration;

use weft_gateway::Options;

use crate::client::{Connection, get, send};
use crate::fakes::{EXACT_ROW, Node, node, node_with};

const CURRENT: &str = "/v1/products/insights/delays/ports/current/v1/stream";

async fn open(node: &Node, path: &str, headers: &str) -> Connection {
    let mut connection = Connection::open(node.addr).await;
    connection.write(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").as_bytes()).await;
    let head = connection.head().await;
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    assert_eq!(head.header("cache-control"), Some("no-store"));
    connection
}

#[tokio::test]
async fn a_snapshot_then_what_comes() {
    let node = node().await;
    let text = open(&node, CURRENT, "").await.until("LGA").await;
    let expected = format!(
        "retry: 1000\n\nid: t1\nevent: row\ndata: {EXACT_ROW}\n\nid: t2\nevent: live\ndata: {{}}\n\n\
         id: t3\nevent: delete\ndata: {{\"origin\":\"LGA\"}}\n\n"
    );
    assert_eq!(text, expected);
    assert_eq!(*node.views.resumes.lock().unwrap(), [None]);
}

#[tokio::test]
async fn a_reader_that_comes_back_goes_on_after_its_last_event() {
    let node = node().await;
    let text = open(&node, CURRENT, "Last-Event-ID: t2\r\n").await.until("\"n\":3").await;
    assert_eq!(text, "retry: 1000\n\nid: t3\nevent: row\ndata: {\"n\":3}\n\n");
    open(&node, &format!("{CURRENT}?resume=t2"), "").await.until("\"n\":3").await;
    // A browser repeats the URL it was given; the header is newer.
    open(&node, &format!("{CURRENT}?resume=old"), "Last-Event-ID: t2\r\n").await.until("\"n\":3").await;
    // Before the first event a browser has no id.
    open(&node, &format!("{CURRENT}?resume="), "Last-Event-ID:\r\n").await.until("EWR").await;
    let resumes: Vec<Option<String>> = node.views.resumes.lock().unwrap().clone();
    let t2 = Some("t2".to_owned());
    assert_eq!(resumes, [t2.clone(), t2.clone(), t2, None]);
}

#[tokio::test]
async fn a_token_behind_the_log_is_told_by_a_reset() {
    let node = node().await;
    let text = open(&node, &format!("{CURRENT}?resume=old"), "").await.until("\"n\":17").await;
    let expected = "event: reset\ndata: {\"reason\":\"offset 5 is behind the log start, 17\"}\n\nid: t17\nevent: row\n";
    assert!(text.contains(expected), "{text}");
}

#[tokio::test]
async fn what_cannot_start_is_a_problem_and_what_fails_later_an_event() {
    let node = node().await;
    get(node.addr, &format!("{CURRENT}?resume=bad")).await.problem(400, "SQL-001");
    get(node.addr, &format!("{CURRENT}?origin=EWR")).await.problem(400, "HTTP-010");
    get(node.addr, &format!("{CURRENT}?resume=a&resume=b")).await.problem(400, "HTTP-013");
    let bytes = format!("GET {CURRENT} HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: é\r\n\r\n");
    send(node.addr, &bytes).await.problem(400, "HTTP-013");
    let path = "/v1/products/insights/delays/ports/final/v1/stream";
    let text = open(&node, path, "").await.ended().await;
    let (_, last) = text.trim_end().rsplit_once("event: error\ndata: ").unwrap();
    let problem: serde_json::Value = serde_json::from_str(last).unwrap();
    assert_eq!((&problem["code"], &problem["status"]), (&"SQL-001".into(), &422.into()));
    assert_eq!(problem["because"], "the reader is too far behind");
}

#[tokio::test]
async fn a_silent_stream_has_a_heartbeat() {
    let node = node_with(Options { heartbeat: Duration::from_millis(30), ..Options::default() }).await;
    let path = "/v1/products/insights/delays/ports/silent/v1/stream";
    let text = open(&node, path, "").await.until(":\n\n:\n\n:\n\n").await;
    assert!(text.starts_with("retry: 1000\n\n:\n\n"), "{text}");
}

#[tokio::test]
async fn a_reader_that_leaves_frees_its_stream() {
    let node = node().await;
    let mut connection = open(&node, CURRENT, "").await;
    connection.until("LGA").await;
    assert!(get(node.addr, "/metrics").await.body.contains("weft_http_streams_max 1\n"));
    drop(connection);
    for _ in 0..500 {
        if node.views.dropped.load(Ordering::SeqCst) == 1 {
            assert!(get(node.addr, "/metrics").await.body.contains("weft_http_streams_max 0\n"));
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the stream was never dropped");
}
