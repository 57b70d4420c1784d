//! A very small HTTP/1.1 client: one request, one connection, every wait bounded. For answers that Python checks, see `scripts/`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

/// A status and a body.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status code.
    pub status: u16,
    /// The header lines as sent.
    pub head: String,
    /// The body, put together again if it came in chunks.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("not JSON: {}", self.body))
    }
}

/// `GET`.
pub fn get(address: &str, path: &str) -> Result<Answer> {
    send(address, "GET", path, "", "")
}

/// `POST` of a JSON document.
pub fn post(address: &str, path: &str, body: &Value) -> Result<Answer> {
    send(address, "POST", path, "Content-Type: application/json\r\n", &body.to_string())
}

/// Any request; `headers` are whole lines that end in CR LF.
pub fn send(address: &str, method: &str, path: &str, headers: &str, body: &str) -> Result<Answer> {
    let mut stream = TcpStream::connect(address).with_context(|| format!("nobody listens on {address}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    let host = if headers.contains("Host:") { String::new() } else { format!("Host: {address}\r\n") };
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\n{host}Connection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").with_context(|| format!("no HTTP answer: {text}"))?;
    let status = head.split(' ').nth(1).context("a status line")?.parse()?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    Ok(Answer { status, head: head.to_owned(), body: if chunked { join_chunks(body)? } else { body.to_owned() } })
}

fn join_chunks(mut rest: &str) -> Result<String> {
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).context("a chunk size")?;
        if size == 0 {
            break;
        }
        body.push_str(after.get(..size).context("a whole chunk")?);
        rest = after.get(size + 2..).context("a chunk's end")?;
    }
    Ok(body)
}

/// `text` as part of a query string.
#[must_use]
pub fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
