//! Doors behind a gate: who comes in, how, and what ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::BoxFuture;
use tokio::sync::watch;
use weft_gateway::{Gate, Options};
use weft_model::name::PortId;
use weft_model::principal::Principal;

use crate::client::{Answer, Connection, get, send};
use crate::fakes::{Node, node_guarded};

const CURRENT: &str = "/v1/products/insights/delays/ports/current/v1";

/// Knows one key, one session, and what is a key.
struct OneKey {
    ready: AtomicBool,
    revoked: watch::Sender<bool>,
}

impl Gate for OneKey {
    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    fn holder(&self, key: &str) -> Option<Principal> {
        (key == "KEY-1").then(|| Principal::Client("app".parse().unwrap()))
    }

    fn session(&self, token: &str) -> Option<Principal> {
        (token == "t").then_some(Principal::Operator)
    }

    fn is_key_in(&self, text: &str) -> bool {
        text.contains("KEY-")
    }

    fn until_revoked(&self, _: &Principal, _: &PortId) -> BoxFuture<'static, ()> {
        let mut revoked = self.revoked.subscribe();
        Box::pin(async move {
            let _ = revoked.wait_for(|revoked| *revoked).await;
        })
    }
}

async fn node(ready: bool) -> (Node, Arc<OneKey>) {
    let gate = Arc::new(OneKey { ready: AtomicBool::new(ready), revoked: watch::Sender::new(false) });
    let node = node_guarded(Options::default(), Some(Arc::clone(&gate) as Arc<dyn Gate>)).await;
    (node, gate)
}

async fn with(node: &Node, path: &str, headers: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\r\n", node.addr);
    send(node.addr, &request).await
}

#[tokio::test]
async fn every_door_but_the_public_ones_wants_a_key() {
    let (node, _) = node(true).await;
    for path in [CURRENT, "/v1/products", "/v1/catalogue.jsonld", "/metrics", "/v1/nothing", "/"] {
        let answer = get(node.addr, path).await;
        answer.problem(401, "ACCESS-005");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"weft\""), "{path}");
    }
    for path in ["/healthz", "/readyz", "/openapi.json", "/v1/errors/ACCESS-005"] {
        assert_eq!(get(node.addr, path).await.status, 200, "{path}");
    }
    for headers in [
        "Authorization: Bearer KEY-1\r\n",
        "authorization: bearer  KEY-1 \r\n",
        "Authorization: Basic YXBwOktFWS0x\r\n",
        "Cookie: a=b; weft-session=t\r\n",
    ] {
        assert_eq!(with(&node, CURRENT, headers).await.status, 200, "{headers}");
    }
    let app = Principal::Client("app".parse().unwrap());
    assert_eq!(*node.views.asked_by.lock().unwrap(), [app.clone(), app.clone(), app, Principal::Operator]);
}

#[tokio::test]
async fn a_wrong_key_is_refused_everywhere_and_repeated_nowhere() {
    let (node, _) = node(true).await;
    for headers in [
        "Authorization: Bearer guessed\r\n",
        "Authorization: Bearer\r\n",
        "Authorization: Digest x\r\n",
        // another's name with the key; no base64
        "Authorization: Basic b3RoZXI6S0VZLTE=\r\n",
        "Authorization: Basic !\r\n",
        "Authorization: Bearer KEY-1\r\nAuthorization: Bearer KEY-1\r\n",
    ] {
        for path in [CURRENT, "/healthz"] {
            let answer = with(&node, path, headers).await;
            answer.problem(401, "ACCESS-004");
            assert!(answer.header("www-authenticate").is_some_and(|told| told.contains("invalid_token")), "{headers}");
            assert!(!answer.body.contains("guessed") && !answer.body.contains("KEY-1"), "{}", answer.body);
        }
    }
    with(&node, CURRENT, "Cookie: weft-session=other\r\n").await.problem(401, "ACCESS-005");
}

#[tokio::test]
async fn a_key_in_an_address_is_refused_however_it_is_written() {
    let (node, _) = node(true).await;
    for path in [
        format!("{CURRENT}?key=KEY-1"),
        format!("{CURRENT}?x=%4BEY%2d2"),
        "/KEY-3/x".to_owned(),
        "/v1/errors/KEY-4".to_owned(),
    ] {
        for headers in ["", "Authorization: Bearer KEY-1\r\n"] {
            let answer = with(&node, &path, headers).await;
            answer.problem(400, "ACCESS-006");
            assert!(!answer.body.contains("KEY-"), "{}", answer.body);
        }
    }
}

#[tokio::test]
async fn while_nobody_knows_who_may_come_in_nobody_does() {
    let (node, gate) = node(false).await;
    with(&node, CURRENT, "Authorization: Bearer KEY-1\r\n").await.problem(503, "ACCESS-010");
    assert_eq!(get(node.addr, "/healthz").await.status, 200);
    gate.ready.store(true, Ordering::Relaxed);
    assert_eq!(with(&node, CURRENT, "Authorization: Bearer KEY-1\r\n").await.status, 200);
}

#[tokio::test]
async fn a_stream_ends_with_a_word_when_it_is_revoked() {
    let (node, gate) = node(true).await;
    let mut stream = Connection::open(node.addr).await;
    let head = format!("GET {CURRENT}/stream HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer KEY-1\r\n\r\n", node.addr);
    stream.write(head.as_bytes()).await;
    stream.head().await;
    stream.until("event: live").await;
    let began = std::time::Instant::now();
    gate.revoked.send_replace(true);
    let rest = stream.ended().await;
    assert!(rest.contains("event: error") && rest.contains("ACCESS-003"), "{rest}");
    assert!(began.elapsed() < std::time::Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn the_document_says_what_a_gate_wants() {
    let (node, _) = node(true).await;
    let document = get(node.addr, "/openapi.json").await.json();
    assert_eq!(document["components"]["securitySchemes"]["key"]["scheme"], "bearer");
    assert_eq!(document["security"], serde_json::json!([{ "key": [] }]));
    let paths = document["paths"].as_object().unwrap();
    for (path, item) in paths {
        for operation in item.as_object().unwrap().values() {
            assert!(operation["responses"]["401"].is_object(), "{path}");
            let is_public = ["/healthz", "/readyz", "/openapi.json", "/v1/errors/{code}"].contains(&path.as_str());
            assert_eq!(operation["security"] == serde_json::json!([]), is_public, "{path}");
        }
    }
}
