//! A raw HTTP/1.1 client: what is sent is exactly what the test wrote.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(10);

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|wrong| panic!("{wrong}: {}", self.body))
    }

    /// Asserts a problem with everything a caller relies on; gives its JSON.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(problem["type"], format!("/v1/errors/{code}"), "{problem}");
        for field in ["title", "detail", "because"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {problem}");
        }
        assert!(problem["try"].is_string() && problem["instance"].is_string(), "{problem}");
        assert_eq!(problem["request_id"].as_str(), self.header("x-request-id"), "{problem}");
        let again = matches!(status, 429 | 503);
        assert_eq!(self.header("retry-after").is_some(), again, "{self:?}");
        problem
    }
}

/// `GET path` as a tool on this machine sends it.
pub(crate) async fn get(addr: SocketAddr, path: &str) -> Answer {
    send(addr, &format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\n\r\n")).await
}

/// `POST /v1/sql` with a JSON body.
pub(crate) async fn sql(addr: SocketAddr, body: &str) -> Answer {
    let length = body.len();
    let head = format!("POST /v1/sql HTTP/1.1\r\nHost: {addr}\r\nContent-Type: application/json\r\n");
    send(addr, &format!("{head}Content-Length: {length}\r\n\r\n{body}")).await
}

/// Sends the text on a new connection and reads one answer.
pub(crate) async fn send(addr: SocketAddr, request: &str) -> Answer {
    let mut connection = Connection::open(addr).await;
    connection.write(request.as_bytes()).await;
    connection.answer(request.starts_with("HEAD")).await
}

/// One connection.
pub(crate) struct Connection {
    pub(crate) socket: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(addr: SocketAddr) -> Self {
        Self { socket: TcpStream::connect(addr).await.unwrap(), read: Vec::new() }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    /// More bytes; false at the end of the connection.
    pub(crate) async fn more(&mut self) -> bool {
        let mut chunk = vec![0; 16 * 1024];
        let length = tokio::time::timeout(PATIENCE, self.socket.read(&mut chunk)).await.expect("bytes in time");
        match length {
            Ok(length) => {
                self.read.extend_from_slice(&chunk[..length]);
                length > 0
            }
            // A peer that cut us off says so in one of two ways.
            Err(cause) => {
                assert_eq!(cause.kind(), std::io::ErrorKind::ConnectionReset, "{cause}");
                false
            }
        }
    }

    /// Everything that comes until the connection ends.
    pub(crate) async fn rest(&mut self) -> String {
        while self.more().await {}
        String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned()
    }

    /// Status and headers of the next answer.
    pub(crate) async fn head(&mut self) -> Answer {
        let end = loop {
            if let Some(end) = find(&self.read, b"\r\n\r\n") {
                break end;
            }
            assert!(self.more().await, "connection ended: {}", String::from_utf8_lossy(&self.read));
        };
        let head = String::from_utf8(self.read.drain(..end + 4).collect()).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(':').unwrap());
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
        Answer { status, headers, body: String::new() }
    }

    /// The next answer.
    pub(crate) async fn answer(&mut self, headless_body: bool) -> Answer {
        let mut answer = self.head().await;
        if headless_body || matches!(answer.status, 204 | 304) {
            return answer;
        }
        let length = answer.header("content-length").expect("a length").parse::<usize>().unwrap();
        while self.read.len() < length {
            assert!(self.more().await, "the body ended early");
        }
        answer.body = String::from_utf8(self.read.drain(..length).collect()).unwrap();
        answer
    }

    /// Body text of a chunked answer so far, once it holds `text`; the chunks' frames are taken out.
    pub(crate) async fn until(&mut self, text: &str) -> String {
        loop {
            let body = unchunk(&self.read);
            if body.contains(text) {
                return body;
            }
            assert!(self.more().await, "connection ended before {text:?}: {body}");
        }
    }

    /// Body text of a chunked answer, when it has ended properly.
    pub(crate) async fn ended(&mut self) -> String {
        while find(&self.read, b"0\r\n\r\n").is_none() {
            assert!(self.more().await, "the stream was cut, not ended");
        }
        unchunk(&self.read)
    }
}

fn unchunk(mut bytes: &[u8]) -> String {
    let mut body = Vec::new();
    while let Some(end) = find(bytes, b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        let Some(chunk) = bytes.get(end + 2..end + 2 + length) else { break };
        body.extend_from_slice(chunk);
        bytes = bytes.get(end + 2 + length + 2..).unwrap_or_default();
    }
    String::from_utf8(body).unwrap()
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
