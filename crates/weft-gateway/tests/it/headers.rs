//! Host, Origin, methods, ids: what happens to every request.

use weft_gateway::Options;

use crate::client::{Connection, get, send};
use crate::fakes::{node, node_with};

const PATHS: [&str; 9] = [
    "/v1/products",
    "/v1/products/insights/delays",
    "/v1/products/insights/delays/ports/current/v1",
    "/v1/products/insights/delays/ports/current/v1/stream",
    "/v1/sql",
    "/mcp",
    "/metrics",
    "/openapi.json",
    "/nowhere",
];

#[tokio::test]
async fn a_rebound_name_reads_nothing_anywhere() {
    let node = node().await;
    for path in PATHS {
        let request = format!("GET {path} HTTP/1.1\r\nHost: evil.example:8080\r\n\r\n");
        let problem = send(node.addr, &request).await.problem(421, "HTTP-001");
        assert_eq!(problem["detail"], "cannot answer for host \"evil.example:8080\"");
    }
    send(node.addr, "GET /v1/products HTTP/1.1\r\n\r\n").await.problem(400, "HTTP-001");
    send(node.addr, "GET /v1/products HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
        .await
        .problem(400, "HTTP-001");
    send(node.addr, "GET http://evil.example/v1/products HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .problem(421, "HTTP-001");
    send(node.addr, "GET http://localhost:1/v1/products HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .problem(400, "HTTP-001");
    let absolute = "GET http://localhost/v1/products HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(send(node.addr, absolute).await.status, 200);
    let configured = node_with(Options { hosts: vec!["mesh.example".to_owned()], ..Options::default() }).await;
    assert_eq!(send(configured.addr, "GET /healthz HTTP/1.1\r\nHost: mesh.example\r\n\r\n").await.status, 200);
}

#[tokio::test]
async fn another_sites_page_reads_nothing_anywhere() {
    let node = node().await;
    for path in PATHS {
        for method in ["GET", "POST", "OPTIONS", "HEAD"] {
            for header in ["Origin: https://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site"] {
                let host = node.addr;
                let request =
                    format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{header}\r\nContent-Length: 0\r\n\r\n");
                let answer = send(node.addr, &request).await;
                assert_eq!(answer.status, 403, "{request}{answer:?}");
                assert_eq!(answer.header("access-control-allow-origin"), None);
                assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-origin"));
                if method != "HEAD" {
                    answer.problem(403, "HTTP-002");
                }
            }
        }
    }
    let same = format!(
        "GET /healthz HTTP/1.1\r\nHost: {0}\r\nOrigin: http://{0}\r\nSec-Fetch-Site: same-origin\r\n\r\n",
        node.addr
    );
    assert_eq!(send(node.addr, &same).await.status, 200);
}

#[tokio::test]
async fn a_configured_origin_gets_cors_and_its_preflight() {
    let node = node_with(Options { origins: vec!["https://portal.example".to_owned()], ..Options::default() }).await;
    let host = node.addr;
    let from = "Origin: https://portal.example\r\nSec-Fetch-Site: cross-site\r\n";
    let answer = send(node.addr, &format!("GET /v1/products HTTP/1.1\r\nHost: {host}\r\n{from}\r\n")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://portal.example"));
    assert_eq!(answer.header("cross-origin-resource-policy"), Some("cross-origin"));
    assert!(answer.header("vary").unwrap().contains("Origin"));
    let preflight = format!(
        "OPTIONS /v1/sql HTTP/1.1\r\nHost: {host}\r\n{from}Access-Control-Request-Method: POST\r\n\
         Access-Control-Request-Headers: content-type\r\n\r\n"
    );
    let answer = send(node.addr, &preflight).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, Some("https://portal.example")));
    assert!(answer.header("access-control-allow-headers").unwrap().contains("content-type"));
    // Agents in a browser name the version of their protocol.
    assert!(answer.header("access-control-allow-headers").unwrap().contains("mcp-protocol-version"));
    assert!(answer.header("access-control-allow-methods").unwrap().contains("POST"));
    let other = format!("GET /v1/products HTTP/1.1\r\nHost: {host}\r\nOrigin: https://other.example\r\n\r\n");
    send(node.addr, &other).await.problem(403, "HTTP-002");
}

#[tokio::test]
async fn methods() {
    let node = node().await;
    let host = node.addr;
    for (method, path, allow) in [
        ("POST", "/v1/products", "GET, HEAD, OPTIONS"),
        ("DELETE", "/v1/products/insights/delays/ports/current/v1", "GET, HEAD, OPTIONS"),
        ("BREW", "/healthz", "GET, HEAD, OPTIONS"),
        ("GET", "/v1/sql", "POST, OPTIONS"),
        ("PUT", "/v1/sql", "POST, OPTIONS"),
    ] {
        let answer =
            send(node.addr, &format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n")).await;
        answer.problem(405, "HTTP-004");
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
    }
    for (path, allow) in [("/v1/products", "GET, HEAD, OPTIONS"), ("/v1/sql", "POST, OPTIONS")] {
        let answer = send(node.addr, &format!("OPTIONS {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!((answer.status, answer.header("allow")), (204, Some(allow)));
    }
    for path in ["/v1/products", "/v1/products/insights/delays/ports/current/v1", "/openapi.json", "/metrics"] {
        let full = get(node.addr, path).await;
        let mut connection = Connection::open(node.addr).await;
        let request = format!("HEAD {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        connection.write(request.as_bytes()).await;
        let head = connection.head().await;
        assert_eq!((head.status, head.header("content-type")), (200, full.header("content-type")));
        assert_eq!(connection.rest().await, "", "HEAD has no body");
    }
}

#[tokio::test]
async fn every_answer_carries_an_id_and_the_security_headers() {
    let node = node().await;
    for path in PATHS.into_iter().filter(|path| !path.ends_with("stream")) {
        let answer = get(node.addr, path).await;
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        let kept = if path == "/openapi.json" { "no-cache" } else { "no-store" };
        assert_eq!(answer.header("cache-control"), Some(kept), "{path}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
        assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-origin"));
        assert_eq!(answer.header("access-control-allow-origin"), None);
        assert_eq!(answer.header("x-request-id").map(str::len), Some(36), "{path}");
    }
    let with_id = |id: &str| format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: {id}\r\n\r\n");
    assert_eq!(send(node.addr, &with_id("trace-1.a_B")).await.header("x-request-id"), Some("trace-1.a_B"));
    for id in ["", "two words", &"x".repeat(65), "<script>"] {
        let answer = send(node.addr, &with_id(id)).await;
        assert_eq!(answer.header("x-request-id").map(str::len), Some(36), "{id}");
    }
}

#[tokio::test]
async fn garbage_ends_its_own_connection_and_nothing_else() {
    let node = node().await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\x00\x00\x00\x2e\x00\x12\x00\x04\x00\x00\x00\x01",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: local\x00host\r\n\r\n",
        b"POST /v1/sql HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/sql HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut connection = Connection::open(node.addr).await;
        connection.write(garbage).await;
        tokio::io::AsyncWriteExt::shutdown(&mut connection.socket).await.unwrap();
        let text = connection.rest().await;
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{text}");
        assert_eq!(get(node.addr, "/healthz").await.status, 200);
    }
    // Methods without a path of ours.
    for request in
        ["OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", "CONNECT localhost:1 HTTP/1.1\r\nHost: localhost:1\r\n\r\n"]
    {
        let status = send(node.addr, request).await.status;
        assert!((400..500).contains(&status), "{request}: {status}");
    }
}

#[tokio::test]
async fn a_broken_body_is_the_callers_error() {
    let node = node().await;
    let head = "POST /v1/sql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    send(node.addr, &format!("{head}zz\r\nnonsense\r\n")).await.problem(400, "HTTP-007");
}
