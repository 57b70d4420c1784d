//! Push: a snapshot, then the tail.
//!
//! ```text
//!   upsert   index snapshot at P ─► catch-up from the topic, P to the live tail ─► Live ─► tail
//!   append                          catch-up from the log's start …             ─► Live ─► tail
//!   resumed                         catch-up from the token's offsets …         ─► Live ─► tail
//! ```
//! The catch-up reads in chunks with a borrowed reader and never holds it while the client is slow. The tail is shared
//! and never waits: a client that falls behind it by more than `stream_events` goes back to catching up at its own pace.
//! One that takes nothing for `stream_stall_ms` is cut off by name. Nobody else notices either.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc, oneshot};
use tokio_stream::Stream;
use weft_model::query::StreamEvent;

use super::error::QueryError;
use super::feed::Command;
use super::port::{PortView, TailChange, TailEvent};
use super::reader::{Flow, Lease};
use super::token::{ResumeToken, bytes_text, text_bytes};
use super::{Shared, pull};

/// Rows sent between two looks at the snapshot or the topic.
const CHUNK_ROWS: usize = 1000;
/// Bytes of one catch-up chunk.
const CHUNK_BYTES: usize = 1 << 20;
/// Events on their way to one client.
pub(crate) const CLIENT_EVENTS: usize = 64;
/// Longest wait for one chunk of catch-up.
const CHUNK_TIME: Duration = Duration::from_secs(30);

/// Events of one port. The last item of a stream that was cut off is the reason, behind whatever still waits.
pub(crate) struct Events {
    pub events: mpsc::Receiver<StreamEvent>,
    pub cut: Arc<Mutex<Option<QueryError>>>,
}

impl Stream for Events {
    type Item = Result<StreamEvent, QueryError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.events.poll_recv(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(event)) => Poll::Ready(Some(Ok(event))),
            Poll::Ready(None) => Poll::Ready(self.cut.lock().take().map(Err)),
        }
    }
}

/// One client of one port.
pub(crate) struct Client {
    pub shared: Arc<Shared>,
    pub view: Arc<PortView>,
    pub out: mpsc::Sender<StreamEvent>,
    /// Why it ended, if it was not the client who left.
    pub cut: Arc<Mutex<Option<QueryError>>>,
    /// Where the client stands: everything below was sent.
    pub token: ResumeToken,
    pub _place: OwnedSemaphorePermit,
}

/// The client went away, or the stream failed: both end it.
enum End {
    Gone,
    Failed(QueryError),
}

impl From<QueryError> for End {
    fn from(error: QueryError) -> Self {
        Self::Failed(error)
    }
}

/// How a stream starts.
pub(crate) enum Start {
    Snapshot,
    Resume(ResumeToken),
    Reset(String),
}

impl Client {
    /// Runs until the client leaves or is cut off.
    pub(crate) async fn run(mut self, start: Start) {
        if let Err(End::Failed(error)) = self.serve(start).await {
            *self.cut.lock() = Some(error);
        }
    }

    async fn serve(&mut self, start: Start) -> Result<(), End> {
        match start {
            Start::Snapshot => self.snapshot(None).await?,
            Start::Resume(token) => {
                let middle = token.k.as_deref().and_then(text_bytes);
                self.token.o = token.o;
                if let Some(reason) = self.behind().await? {
                    self.reset(reason).await?;
                } else if let Some(after) = middle {
                    self.snapshot(Some(after)).await?;
                }
            }
            Start::Reset(reason) => self.reset(reason).await?,
        }
        let tail = self.catch_up().await?;
        self.send(StreamEvent::Live { token: self.token.write() }).await?;
        self.follow(tail).await
    }

    async fn send(&self, event: StreamEvent) -> Result<(), End> {
        let wait_ms = self.shared.options.stream_stall_ms;
        match tokio::time::timeout(Duration::from_millis(wait_ms), self.out.send(event)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::Failed(QueryError::SlowReader { wait_ms })),
        }
    }

    async fn reset(&mut self, reason: String) -> Result<(), End> {
        self.send(StreamEvent::Reset { reason }).await?;
        self.snapshot(None).await
    }

    /// Is the log's start beyond where the client stands, or its end before?
    async fn behind(&self) -> Result<Option<String>, End> {
        let bounds = self.bounds().await?;
        for (partition, (low, end)) in bounds {
            let offset = self.token.o.get(&partition).copied().unwrap_or(0);
            if offset < low {
                return Ok(Some(format!("partition {partition} starts at offset {low}, the token stands at {offset}")));
            }
            if offset > end {
                return Ok(Some(format!("partition {partition} ends at offset {end}, the token stands at {offset}")));
            }
        }
        Ok(None)
    }

    /// A reader, however long it takes: a stream is not in a hurry, and readers are given back after every chunk.
    async fn lease(&self) -> Result<Lease, End> {
        loop {
            match self.shared.readers.lease().await {
                Err(QueryError::Busy { .. }) if !self.out.is_closed() => {}
                other => return Ok(other?),
            }
        }
    }

    async fn bounds(&self) -> Result<BTreeMap<u32, (i64, i64)>, End> {
        let lease = self.lease().await?;
        let view = Arc::clone(&self.view);
        let found = tokio::task::spawn_blocking(move || lease.bounds(&view.port.topic, view.partitions)).await;
        Ok(joined(found)?)
    }

    /// Upsert: the rows of the index after `after`, and the position they hold at. Append: the log's start.
    async fn snapshot(&mut self, after: Option<Vec<u8>>) -> Result<(), End> {
        let Some(stored) = self.view.index.clone() else {
            self.token.o = self.bounds().await?.into_iter().map(|(partition, (low, _))| (partition, low)).collect();
            return Ok(());
        };
        let snapshot = self.shared.database.snapshot();
        if after.is_none() {
            // A resumed snapshot keeps its old position: rows before `after` may have changed since.
            self.token.o = stored.stamp(&snapshot)?.offsets;
        }
        let mut from = after.map_or_else(Vec::new, |mut key| {
            key.push(0);
            key
        });
        loop {
            let mut rows = Vec::with_capacity(CHUNK_ROWS);
            for entry in stored.scan(&snapshot, &from, None).take(CHUNK_ROWS) {
                let (key, row) = entry?;
                rows.push((key, pull::row_text(&row)?));
            }
            let Some((last, _)) = rows.last() else {
                break;
            };
            from.clone_from(last);
            from.push(0);
            for (key, row) in rows {
                self.token.k = Some(bytes_text(&key));
                self.send(StreamEvent::Row { row, token: self.token.write() }).await?;
            }
        }
        self.token.k = None;
        Ok(())
    }

    /// Reads the topic from where the client stands until the live tail is within reach, and listens to it.
    async fn catch_up(&mut self) -> Result<broadcast::Receiver<Arc<TailEvent>>, End> {
        // Listening first keeps the feed from leaving an append port again.
        let _listening = self.view.tail.subscribe();
        let (done, attached) = oneshot::channel();
        let attach = Command::Attach(self.view.port.id.clone(), done);
        let commands = self.shared.feed.clone();
        let asked = tokio::task::spawn_blocking(move || commands.send(attach).is_ok()).await;
        if !matches!(asked, Ok(true)) {
            return Err(End::Gone);
        }
        attached.await.map_err(|_| End::Gone)??;
        let near = i64::try_from(self.shared.options.stream_events / 4).unwrap_or(i64::MAX);
        loop {
            let (tail, live) = {
                let live = self.view.live.lock();
                (self.view.tail.subscribe(), live.offsets.clone())
            };
            let distance = self.distance(&live);
            for (partition, to) in live {
                self.catch_up_partition(partition, to).await?;
            }
            if distance <= near {
                return Ok(tail);
            }
        }
    }

    fn distance(&self, live: &BTreeMap<u32, i64>) -> i64 {
        live.iter().map(|(partition, to)| (to - self.token.o.get(partition).copied().unwrap_or(0)).max(0)).sum()
    }

    async fn catch_up_partition(&mut self, partition: u32, to: i64) -> Result<(), End> {
        loop {
            let from = self.token.o.get(&partition).copied().unwrap_or(0);
            if from >= to {
                return Ok(());
            }
            let lease = self.lease().await?;
            let view = Arc::clone(&self.view);
            let chunk = tokio::task::spawn_blocking(move || {
                let mut events = Vec::new();
                let mut bytes = 0;
                let mut each = |record: super::reader::Record<'_>| {
                    match view.decode(record.key, record.value) {
                        Ok(decoded) => {
                            bytes += record.value.map_or(0, <[u8]>::len);
                            events.push(TailEvent { partition, offset: record.offset, change: decoded.change });
                        }
                        Err(because) => view.count_bad(partition, record.offset, &because),
                    }
                    let full = events.len() >= CHUNK_ROWS || bytes >= CHUNK_BYTES;
                    Ok(if full { Flow::Enough } else { Flow::More })
                };
                let deadline = Instant::now() + CHUNK_TIME;
                let time_ms_max = u64::try_from(CHUNK_TIME.as_millis()).unwrap_or(u64::MAX);
                let next = lease.read(&view.port.topic, partition, (from, to), deadline, time_ms_max, &mut each)?;
                Ok((events, next))
            })
            .await;
            let (events, next) = joined(chunk)?;
            for event in events {
                self.deliver(&event).await?;
            }
            self.token.o.insert(partition, next);
        }
    }

    async fn deliver(&mut self, event: &TailEvent) -> Result<(), End> {
        self.token.o.insert(event.partition, event.offset + 1);
        let token = self.token.write();
        let event = match &event.change {
            TailChange::Row(row) => StreamEvent::Row { row: row.clone(), token },
            TailChange::Delete(key) => StreamEvent::Delete { key: key.clone(), token },
        };
        self.send(event).await
    }

    async fn follow(&mut self, mut tail: broadcast::Receiver<Arc<TailEvent>>) -> Result<(), End> {
        loop {
            let event = tokio::select! {
                event = tail.recv() => event,
                () = self.out.closed() => return Err(End::Gone),
                () = self.view.retired.cancelled() => Err(broadcast::error::RecvError::Closed),
            };
            match event {
                Ok(event) => {
                    let sent = self.token.o.get(&event.partition).copied().unwrap_or(0);
                    if event.offset >= sent {
                        self.deliver(&event).await?;
                    }
                }
                Err(broadcast::error::RecvError::Lagged(_)) => tail = self.catch_up().await?,
                // The port was rebuilt or left the mesh.
                Err(broadcast::error::RecvError::Closed) => {
                    return Err(End::Failed(QueryError::Unavailable {
                        port: self.view.port.id.to_string(),
                        because: "the port was rebuilt or retired".to_owned(),
                    }));
                }
            }
        }
    }
}

fn joined<T>(result: Result<Result<T, QueryError>, tokio::task::JoinError>) -> Result<T, QueryError> {
    result.unwrap_or_else(|_| Err(QueryError::Index { because: "a reader's thread ended".to_owned() }))
}

/// What a resume token means for this port.
pub(crate) fn start(view: &PortView, resume: Option<&str>) -> Result<Start, QueryError> {
    let Some(text) = resume else {
        return Ok(Start::Snapshot);
    };
    let token = ResumeToken::read(text).map_err(|because| QueryError::BadResumeToken { because })?;
    if token.p != view.port.id.to_string() {
        return Err(QueryError::BadResumeToken { because: format!("it belongs to port \"{}\"", token.p) });
    }
    if token.g != view.generation {
        return Ok(Start::Reset(format!("the port was rebuilt: generation {} then, {} now", token.g, view.generation)));
    }
    if token.t != view.topic_id {
        return Ok(Start::Reset("the topic was created anew".to_owned()));
    }
    Ok(Start::Resume(token))
}

/// Where a new client stands before anything was sent.
pub(crate) fn origin(view: &PortView) -> ResumeToken {
    ResumeToken::new(view.port.id.to_string(), view.topic_id.clone(), view.generation, BTreeMap::new())
}
