//! A reader of server-sent events over HTTP/1.1, as a browser is one: it keeps the id of the last event and comes back with it.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// Longest wait for a byte: heartbeats come more often.
const PATIENCE: Duration = Duration::from_secs(30);

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `row`, `delete`, `live`, `reset`, `error`.
    pub name: String,
    /// Its id; empty where it has none.
    pub id: String,
    /// One line of JSON.
    pub data: String,
}

/// An open stream. Dropped, it is gone at once, as a closed laptop is.
#[derive(Debug)]
pub struct Events {
    body: BufReader<Chunks>,
}

impl Events {
    /// Connects; with the id of the last event seen, to go on after it.
    pub fn open(address: &str, path: &str, last_event_id: Option<&str>) -> Result<Self> {
        let resume = last_event_id.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        Self::open_with(address, path, &resume)
    }

    /// Connects; `headers` are whole lines that end in CR LF.
    pub fn open_with(address: &str, path: &str, headers: &str) -> Result<Self> {
        let mut stream = TcpStream::connect(address).with_context(|| format!("nobody listens on {address}"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n{headers}\r\n");
        std::io::Write::write_all(&mut stream, request.as_bytes())?;
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            ensure!(stream.read_line(&mut head)? > 0, "the connection ended in its head: {head}");
        }
        ensure!(head.starts_with("HTTP/1.1 200 "), "{head}");
        ensure!(head.to_ascii_lowercase().contains("transfer-encoding: chunked"), "{head}");
        Ok(Self { body: BufReader::new(Chunks { stream, left: 0 }) })
    }

    /// The next event; `None` at a heartbeat, which says that there is none now. `retry` is passed over.
    pub fn next_event(&mut self) -> Result<Option<Event>> {
        let mut event = Event { name: String::new(), id: String::new(), data: String::new() };
        loop {
            let mut line = String::new();
            if self.body.read_line(&mut line)? == 0 {
                bail!("the stream ended");
            }
            let line = line.trim_end_matches(['\r', '\n']);
            if line.starts_with(':') {
                return Ok(None);
            }
            match line.split_once(": ") {
                Some(("event", name)) => name.clone_into(&mut event.name),
                Some(("id", id)) => id.clone_into(&mut event.id),
                Some(("data", data)) => data.clone_into(&mut event.data),
                _ if line.is_empty() && !event.name.is_empty() => return Ok(Some(event)),
                _ => {}
            }
        }
    }
}

/// The body of an answer in chunks (RFC 9112 §7.1).
#[derive(Debug)]
struct Chunks {
    stream: BufReader<TcpStream>,
    /// Bytes of the chunk that is being read.
    left: usize,
}

impl Read for Chunks {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 {
            let mut line = String::new();
            // An empty line ends the chunk before.
            while line.trim().is_empty() {
                line.clear();
                if self.stream.read_line(&mut line)? == 0 {
                    return Ok(0);
                }
            }
            self.left = usize::from_str_radix(line.trim(), 16).map_err(std::io::Error::other)?;
            if self.left == 0 {
                return Ok(0);
            }
        }
        let most = into.len().min(self.left);
        let read = self.stream.read(&mut into[..most])?;
        self.left -= read;
        Ok(read)
    }
}
