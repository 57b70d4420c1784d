//! Every bound, met.

use std::sync::atomic::Ordering;
use std::time::Duration;

use weft_gateway::{Gateway, Options};
use weft_model::kind::Kind;
use weft_model::query::QueryLimits;

use crate::client::{Connection, get, send, sql};
use crate::fakes::{Node, node, node_with};

const SILENT: &str = "/v1/products/insights/delays/ports/silent/v1";
const SHORT: Duration = Duration::from_millis(100);

/// Asks again until the answer is as hoped, for events that happen a moment later on the server.
async fn eventually(what: &str, mut hoped: impl AsyncFnMut() -> bool) {
    for _ in 0..500 {
        if hoped().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never happened: {what}");
}

async fn metric(node: &Node, line: &str) -> bool {
    get(node.addr, "/metrics").await.body.contains(line)
}

#[tokio::test]
async fn size_of_the_target_and_of_the_head() {
    let node =
        node_with(Options { uri_bytes_max: 100, header_bytes_max: 8192, headers_max: 16, ..Options::default() }).await;
    let path = |bytes: usize| format!("/v1/products?{}", "x".repeat(bytes - "/v1/products?".len()));
    assert_eq!(get(node.addr, &path(100)).await.status, 200);
    let problem = get(node.addr, &path(101)).await.problem(414, "HTTP-014");
    assert!(problem["because"].as_str().unwrap().contains("101 bytes; `http.uri_bytes_max` is 100"), "{problem}");
    let long = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\n\r\n", "x".repeat(20_000));
    let mut connection = Connection::open(node.addr).await;
    connection.write(long.as_bytes()).await;
    assert_eq!(connection.head().await.status, 431);
    let many = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X-Many: 1\r\n".repeat(20));
    let mut connection = Connection::open(node.addr).await;
    connection.write(many.as_bytes()).await;
    assert_eq!(connection.head().await.status, 431);
}

#[tokio::test]
async fn size_of_the_body() {
    let node = node_with(Options { body_bytes_max: 64, ..Options::default() }).await;
    let question = |bytes: usize| format!("{{\"sql\":\"{}\"}}", "x".repeat(bytes - 10));
    assert_eq!(sql(node.addr, &question(64)).await.status, 200);
    sql(node.addr, &question(65)).await.problem(413, "HTTP-006");
    // A length that lies ahead of bytes that never come is refused at once.
    let head = "POST /v1/sql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    send(node.addr, &format!("{head}Content-Length: 99999999999\r\n\r\n")).await.problem(413, "HTTP-006");
    let chunk = format!("41\r\n{}\r\n", question(65));
    send(node.addr, &format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n"))
        .await
        .problem(413, "HTTP-006");
}

#[tokio::test]
async fn time_of_the_head_and_of_the_body() {
    let node = node_with(Options { header_read: SHORT, body_read: SHORT, ..Options::default() }).await;
    let head =
        "POST /v1/sql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{";
    send(node.addr, head).await.problem(408, "HTTP-018");
    for silent in ["", "GET /healthz HTTP/1.1\r\nHost: loc", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
        let mut connection = Connection::open(node.addr).await;
        connection.write(silent.as_bytes()).await;
        let answers = connection.rest().await;
        assert_eq!(
            answers.contains("\"ok\""),
            silent.ends_with("\r\n\r\n"),
            "closed, after what was whole is answered"
        );
    }
}

#[tokio::test]
async fn time_of_a_query_and_its_work_is_dropped() {
    let limits = QueryLimits { rows_max: 1000, bytes_max: 1000, time_ms_max: 50 };
    let node = node_with(Options { pull: limits, sql: limits, ..Options::default() }).await;
    let problem = get(node.addr, SILENT).await.problem(422, "HTTP-015");
    assert!(problem["because"].as_str().unwrap().contains("50 ms, the limit `http.pull.time_ms_max`"), "{problem}");
    assert_eq!(node.views.dropped.load(Ordering::SeqCst), 1);
    let problem = sql(node.addr, r#"{"sql":"forever"}"#).await.problem(422, "HTTP-015");
    assert!(problem["because"].as_str().unwrap().contains("`http.sql.time_ms_max`"), "{problem}");
    assert_eq!(node.views.dropped.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_caller_that_goes_away_stops_its_query() {
    let node = node().await;
    let mut connection = Connection::open(node.addr).await;
    connection.write(format!("GET {SILENT} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await;
    eventually("the query starts", async || !node.views.pulls.lock().unwrap().is_empty()).await;
    drop(connection);
    eventually("the query is dropped", async || node.views.dropped.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn queries_at_once() {
    let options = Options { pulls_max: 2, sqls_max: 1, streams_max: 1, queue_wait: SHORT, ..Options::default() };
    let node = node_with(options).await;
    let mut held = Vec::new();
    for path in [SILENT.to_owned(), SILENT.to_owned(), format!("{SILENT}/stream")] {
        let mut connection = Connection::open(node.addr).await;
        connection.write(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await;
        held.push(connection);
    }
    eventually("two pulls are at work", async || node.views.pulls.lock().unwrap().len() == 2).await;
    assert_eq!(held[2].head().await.status, 200);
    held[2].until("retry").await;
    let problem = get(node.addr, SILENT).await.problem(429, "HTTP-016");
    assert_eq!(problem["because"], "2 are at work, the limit `http.pulls_max`");
    let problem = get(node.addr, &format!("{SILENT}/stream")).await.problem(429, "HTTP-016");
    assert_eq!(problem["because"], "1 are at work, the limit `http.streams_max`");
    // Another kind has its own turns.
    assert_eq!(sql(node.addr, r#"{"sql":"SELECT 1"}"#).await.status, 200);
    let addr = node.addr;
    let forever = tokio::spawn(async move { sql(addr, r#"{"sql":"forever"}"#).await });
    let busy = async || sql(node.addr, r#"{"sql":"SELECT 1"}"#).await.status == 429;
    eventually("SQL is busy", busy).await;
    forever.abort();
    drop(held);
    let free = async || get(node.addr, "/v1/products/insights/delays/ports/current/v1").await.status == 200;
    eventually("turns come back", free).await;
    let free = async || sql(node.addr, r#"{"sql":"SELECT 1"}"#).await.status == 200;
    eventually("SQL is free", free).await;
}

#[tokio::test]
async fn connections_at_once() {
    let node = node_with(Options { connections_max: 2, ..Options::default() }).await;
    let mut first = Connection::open(node.addr).await;
    let mut second = Connection::open(node.addr).await;
    for connection in [&mut first, &mut second] {
        connection.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        assert_eq!(connection.answer(false).await.status, 200);
    }
    let mut third = Connection::open(node.addr).await;
    third.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let refused = third.answer(false).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(refused.json()["code"], "HTTP-024");
    drop(first);
    eventually("a place is free again", async || {
        let mut connection = Connection::open(node.addr).await;
        connection.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        connection.answer(false).await.status == 200
    })
    .await;
}

#[tokio::test]
async fn doors_stay_on_loopback() {
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8080"] {
        let refused = Gateway::bind(listen, false).await.unwrap_err();
        assert_eq!((refused.code, refused.kind), ("HTTP-020", Kind::Denied), "{listen}");
    }
    let node = node().await;
    let taken = Gateway::bind(&node.addr.to_string(), false).await.unwrap_err();
    assert_eq!((taken.code, taken.kind), ("HTTP-021", Kind::Exists));
    for listen in ["", "nonsense", "127.0.0.1", "127.0.0.1:99999", "127.0.0.1:port"] {
        let refused = Gateway::bind(listen, false).await.unwrap_err();
        assert_eq!((refused.code, refused.kind), ("HTTP-021", Kind::Invalid), "{listen}");
    }
    assert!(Gateway::bind("localhost:0", false).await.is_ok());
}

#[tokio::test]
async fn options_that_cannot_work_are_all_named() {
    let wrong = Options {
        connections_max: 0,
        header_bytes_max: 10,
        heartbeat: Duration::ZERO,
        origins: vec!["*".to_owned(), "https://fine.example".to_owned()],
        rows_default: 20_000,
        ..Options::default()
    };
    let found = wrong.validate().unwrap_err();
    let named: Vec<&str> = found.0.iter().map(|one| one.what.split('"').nth(1).unwrap()).collect();
    assert_eq!(named, ["header_bytes_max", "connections_max", "pull.rows_max", "heartbeat", "origins"]);
    assert!(found.0.iter().all(|one| one.code == "HTTP-022"));
    Options::default().validate().unwrap();
}

#[tokio::test]
async fn a_slow_reader_is_cut_by_itself_and_hurts_nobody() {
    let node = node_with(Options { write_stall: Duration::from_millis(500), ..Options::default() }).await;
    let request = b"GET /v1/products/insights/delays/ports/flood/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut slow = Connection::open(node.addr).await;
    slow.write(request).await;
    // Its buffers fill, and then no more events are asked for.
    let flooded = &node.views.flooded;
    let mut before = usize::MAX;
    eventually("the slow stream stands still", async || {
        let now = flooded.load(Ordering::SeqCst);
        let still = now > 0 && now == before;
        before = now;
        still
    })
    .await;
    let held_bytes = flooded.load(Ordering::SeqCst) * crate::fakes::FLOOD_ROW_BYTES;
    assert!(held_bytes < 32 * 1024 * 1024, "{held_bytes} bytes wait for a reader that does not read");
    // A reader beside it gets on.
    let mut quick = Connection::open(node.addr).await;
    quick.write(request).await;
    for _ in 0..200 {
        assert!(quick.more().await);
    }
    eventually("the slow one is cut", async || metric(&node, "weft_http_write_stall_total 1").await).await;
    assert!(node.views.dropped.load(Ordering::SeqCst) >= 1, "its stream is dropped");
    for _ in 0..200 {
        assert!(quick.more().await, "the quick one goes on");
    }
    drop(quick);
    eventually("no stream is left", async || metric(&node, "weft_http_streams_max 0").await).await;
    drop(slow);
}

#[tokio::test]
async fn shutdown_ends_streams_waits_for_queries_and_then_cuts() {
    let node = node_with(Options { drain: Duration::from_millis(400), ..Options::default() }).await;
    let mut stream = Connection::open(node.addr).await;
    stream.write(format!("GET {SILENT}/stream HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await;
    assert_eq!(stream.head().await.status, 200);
    let mut stuck = Connection::open(node.addr).await;
    stuck.write(format!("GET {SILENT} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await;
    let mut idle = Connection::open(node.addr).await;
    idle.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(idle.answer(false).await.status, 200);
    eventually("the query starts", async || !node.views.pulls.lock().unwrap().is_empty()).await;
    let started = std::time::Instant::now();
    node.shutdown.cancel();
    assert!(stream.ended().await.contains("the node shuts down"));
    assert_eq!(idle.rest().await, "");
    assert_eq!(stuck.rest().await, "", "cut when drain is over");
    node.serving.await.unwrap();
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(400) && took < Duration::from_secs(5), "{took:?}");
    assert!(tokio::net::TcpStream::connect(node.addr).await.is_err(), "nobody listens any more");
}
