//! `/mcp`: agents find, read and ask, and whatever they send, the answer says what is wrong with it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use weft_gateway::Options;

use crate::client::{Answer, Connection, send};
use crate::fakes::{EXACT_ROW, Node, ODCS, node, node_with};

async fn post(node: &Node, headers: &str, body: &str) -> Answer {
    let (host, length) = (node.addr, body.len());
    send(node.addr, &format!("POST /mcp HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"))
        .await
}

const HEADERS: &str = "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n";

async fn rpc(node: &Node, method: &str, params: Value) -> Value {
    let message = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
    let answer = post(node, HEADERS, &message.to_string()).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{}", answer.body);
    let answer = answer.json();
    assert_eq!(answer["id"], 7, "{answer}");
    answer
}

/// Calls a tool; `Ok` is its text, `Err` the text of its refusal.
async fn call(node: &Node, tool: &str, arguments: Value) -> Result<String, String> {
    let answer = rpc(node, "tools/call", json!({"name": tool, "arguments": arguments})).await;
    let text = answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
    if answer["result"]["isError"] == true { Err(text) } else { Ok(text) }
}

#[tokio::test]
async fn an_agent_is_told_what_there_is() {
    let node = node().await;
    let hello =
        json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let hello = rpc(&node, "initialize", hello).await;
    assert_eq!(hello["result"]["serverInfo"]["name"], "weft");
    assert!(hello["result"]["capabilities"]["tools"].is_object(), "{hello}");
    let listed = rpc(&node, "tools/list", json!({})).await;
    let tools = listed["result"]["tools"].as_array().unwrap();
    let names: Vec<&str> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["search_catalogue", "describe_product", "read_contract", "query"]);
    for tool in tools {
        assert_eq!(tool["annotations"]["readOnlyHint"], true, "{tool}");
        assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{tool}");
        jsonschema::meta::validate(&tool["inputSchema"]).expect("a schema");
    }
    let note = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    assert_eq!(post(&node, HEADERS, note).await.status, 202);
}

#[tokio::test]
async fn an_agent_searches_reads_and_asks() {
    let node = node().await;
    let found = |text: String| -> Value { serde_json::from_str(&text).unwrap() };
    let all = found(call(&node, "search_catalogue", json!({})).await.unwrap());
    assert_eq!((&all["found"], all["products"].as_array().unwrap().len()), (&json!(2), 2));
    for (asked, ids) in [
        (json!({"query": "DELAYS carrier"}), vec!["insights.delays"]),
        (json!({"query": "flights"}), vec!["flight-ops.flights"]),
        // Both have it in a contract; equals come in the order of their names.
        (json!({"query": "how many"}), vec!["flight-ops.flights", "insights.delays"]),
        (json!({"query": "how many", "limit": 1}), vec!["flight-ops.flights"]),
        (json!({"query": "how many", "domain": "insights"}), vec!["insights.delays"]),
        (json!({"tag": "demo"}), vec!["flight-ops.flights", "insights.delays"]),
        (json!({"tag": "dem"}), vec![]),
        (json!({"query": "nothing-of-the-kind"}), vec![]),
    ] {
        let answer = found(call(&node, "search_catalogue", asked.clone()).await.unwrap());
        let products = answer["products"].as_array().unwrap();
        assert_eq!(products.iter().map(|one| one["id"].as_str().unwrap()).collect::<Vec<_>>(), ids, "{asked}");
    }
    let product = found(call(&node, "describe_product", json!({"product": "insights.delays"})).await.unwrap());
    assert_eq!(product["ports"][0]["contract"]["columns"][4]["type"], "decimal(10,2)");
    let contract = call(&node, "read_contract", json!({"port": "insights.delays.current"})).await.unwrap();
    assert!(contract.starts_with(ODCS), "{contract}");
    let pinned = call(&node, "read_contract", json!({"port": "insights.delays.current@1"})).await.unwrap();
    assert!(pinned.starts_with(ODCS), "{pinned}");
    let late = found(call(&node, "read_contract", json!({"port": "insights.delays.late"})).await.unwrap());
    assert_eq!(late["properties"]["raw"]["contentEncoding"], "base64");
    let rows = call(&node, "query", json!({"sql": "SELECT 1"})).await.unwrap();
    assert!(rows.starts_with(&format!("{{\"rows\":[{EXACT_ROW}],\"position\":[")), "{rows}");
}

#[tokio::test]
async fn what_is_wrong_is_said_so_that_an_agent_can_mend_it() {
    let node = node().await;
    for (tool, arguments, says) in [
        ("query", json!({}), "\"sql\" is missing"),
        ("query", json!({"sql": "  "}), "\"sql\" is empty"),
        ("query", json!({"sql": 1}), "\"sql\" is not a string"),
        ("query", json!({"sqll": "SELECT 1"}), "did you mean \"sql\"?"),
        ("query", json!({"sql": "SELECT 1", "limits": 5}), "no argument \"limits\""),
        ("query", json!({"sql": "TooLarge"}), "the script says so"),
        ("query", json!({"sql": "Denied"}), "the script says so"),
        ("query", json!({"sql": "x".repeat(100_000).as_str(), "y".repeat(100_000).as_str(): 1}), "no argument"),
        ("search_catalogue", json!({"limit": 0}), "from 1 to 100"),
        ("search_catalogue", json!({"limit": 1e300}), "from 1 to 100"),
        ("search_catalogue", json!({"limit": "5"}), "from 1 to 100"),
        ("search_catalogue", json!({"domian": "insights"}), "did you mean \"domain\"?"),
        ("describe_product", json!({"product": "insights.delay"}), "did you mean \"insights.delays\"?"),
        ("describe_product", json!({"product": "no dot \u{0}"}), "no data product"),
        ("read_contract", json!({"port": "insights.delays.curent"}), "did you mean \"current\"?"),
        ("read_contract", json!({"port": "insights.delays.current@99999999999"}), "has the versions"),
        ("read_contract", json!({"port": "@@.."}), "no data product"),
    ] {
        let refusal = call(&node, tool, arguments.clone()).await.expect_err(tool);
        assert!(refusal.starts_with("error: ") && refusal.contains(says), "{arguments}: {refusal}");
        assert!(refusal.contains("  code     ") && refusal.len() < 2000, "{refusal}");
    }
    let unknown = rpc(&node, "tools/call", json!({"name": "drop_everything"})).await;
    assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
    assert!(unknown["error"]["message"].as_str().unwrap().contains("tools/list"), "{unknown}");
    assert_eq!(rpc(&node, "resources/explode", json!({})).await["error"]["code"], -32601);
}

#[tokio::test]
async fn what_is_no_message_is_a_problem() {
    let node = node().await;
    let deep = "[".repeat(100_000);
    for body in
        ["", "{", "[]", "[1,2]", "null", "\"text\"", "{\"jsonrpc\":\"2.0\"}", "{\"jsonrpc\":\"1.0\",\"id\":1}", &deep]
    {
        post(&node, HEADERS, body).await.problem(400, "HTTP-031");
    }
    let message = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    post(&node, "Content-Type: application/json\r\n", message).await.problem(406, "HTTP-031");
    post(&node, "Accept: application/json, text/event-stream\r\n", message).await.problem(415, "HTTP-005");
    let foreign = format!("{HEADERS}Origin: https://evil.example\r\n");
    post(&node, &foreign, message).await.problem(403, "HTTP-002");
    let large = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{}\"}}", "x".repeat(300_000));
    post(&node, HEADERS, &large).await.problem(413, "HTTP-006");
    // And the door is still open.
    assert!(call(&node, "query", json!({"sql": "SELECT 1"})).await.is_ok());
}

/// Agents wait for the same turns as everybody, and a query that is too slow is stopped.
#[tokio::test]
async fn agents_share_the_limits_of_sql() {
    let mut options = Options { sqls_max: 1, queue_wait: Duration::from_millis(50), ..Options::default() };
    options.sql.time_ms_max = 300;
    let node = node_with(options).await;
    let first = call(&node, "query", json!({"sql": "forever"}));
    let second = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        crate::client::sql(node.addr, r#"{"sql":"SELECT 1"}"#).await
    };
    let (slow, refused) = tokio::join!(first, second);
    assert!(slow.unwrap_err().contains("http.sql.time_ms_max"));
    refused.problem(429, "HTTP-016");
    assert!(call(&node, "query", json!({"sql": "SELECT 1"})).await.is_ok(), "the turn is free again");
}

#[tokio::test]
async fn a_panic_costs_an_agent_one_call() {
    let node = node().await;
    let said = call(&node, "query", json!({"sql": "panic"})).await.unwrap_err();
    assert!(said.contains("HTTP-019"), "{said}");
    assert!(call(&node, "query", json!({"sql": "SELECT 1"})).await.is_ok());
}

/// Nobody works for an agent that is gone.
#[tokio::test]
async fn an_agent_that_goes_away_stops_its_query() {
    let node = node().await;
    let body = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "query", "arguments": {"sql": "forever"}},
    });
    let (host, body) = (node.addr, body.to_string());
    let mut connection = Connection::open(node.addr).await;
    let request =
        format!("POST /mcp HTTP/1.1\r\nHost: {host}\r\n{HEADERS}Content-Length: {}\r\n\r\n{body}", body.len());
    connection.write(request.as_bytes()).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(node.views.dropped.load(Ordering::SeqCst), 0);
    drop(connection);
    for _ in 0..100 {
        if node.views.dropped.load(Ordering::SeqCst) == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the query goes on without its caller");
}
