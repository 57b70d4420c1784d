//! Every question leaves one line, with the same fields at every door.

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;

use crate::client::{Connection, get, send, sql};
use crate::fakes::node;

/// What was logged under the target `audit`.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// The lines since the last time.
    fn take(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        String::from_utf8(bytes).unwrap().lines().map(|line| line.trim().to_owned()).collect()
    }
}

#[tokio::test]
async fn every_question_leaves_a_line() {
    let lines = Lines::default();
    let writer = lines.clone();
    let format = tracing_subscriber::fmt::layer().without_time().with_ansi(false).with_writer(move || writer.clone());
    let only_audit = Targets::new().with_target("audit", Level::INFO);
    // Tests run on one thread each, and so does all that a node does here.
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(only_audit).with(format));
    let node = node().await;
    let line = |door: &str, action: &str, resource: &str, outcome: &str, code: &str| {
        format!(
            "INFO audit: principal=\"anonymous\" door=\"{door}\" action=\"{action}\" resource=\"{resource}\" \
             outcome=\"{outcome}\" code=\"{code}\""
        )
    };
    let current = "/v1/products/insights/delays/ports/current/v1";
    let port = "insights.delays.current@1";

    get(node.addr, current).await;
    assert_eq!(lines.take(), [line("http", "pull", port, "allowed", "")]);
    get(node.addr, &format!("{current}?page=bad")).await;
    assert_eq!(lines.take(), [line("http", "pull", port, "refused", "SQL-001")]);
    sql(node.addr, r#"{"sql":"SELECT 1"}"#).await;
    assert_eq!(lines.take(), [line("http", "sql", port, "allowed", "")]);
    sql(node.addr, r#"{"sql":"Denied"}"#).await;
    assert_eq!(lines.take(), [line("http", "sql", "Denied", "refused", "SQL-001")]);

    let mut stream = Connection::open(node.addr).await;
    stream.write(format!("GET {current}/stream HTTP/1.1\r\nHost: {}\r\n\r\n", node.addr).as_bytes()).await;
    stream.head().await;
    stream.until("event: live").await;
    assert_eq!(lines.take(), [line("http", "stream", port, "allowed", "")]);

    for (text, resource, outcome, code) in
        [("SELECT 1", port, "allowed", ""), ("Denied", "Denied", "refused", "SQL-001")]
    {
        let call = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "query", "arguments": {"sql": text}},
        });
        let (host, call) = (node.addr, call.to_string());
        let headers = "Content-Type: application/json\r\nAccept: application/json, text/event-stream";
        let length = call.len();
        send(
            node.addr,
            &format!("POST /mcp HTTP/1.1\r\nHost: {host}\r\n{headers}\r\nContent-Length: {length}\r\n\r\n{call}"),
        )
        .await;
        assert_eq!(lines.take(), [line("mcp", "sql", resource, outcome, code)]);
    }

    // Facts about the mesh are no rows.
    get(node.addr, "/v1/products").await;
    get(node.addr, "/v1/catalogue.jsonld").await;
    assert_eq!(lines.take(), [""; 0]);
    // A line break in a query cannot forge a line.
    sql(node.addr, r#"{"sql":"Denied\nINFO audit: principal=\"root\""}"#).await;
    assert_eq!(lines.take().len(), 1);
}
