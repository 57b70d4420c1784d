//! The server's side of one connection, and the loop that accepts them.
//!
//! ```text
//!   frames ──► begin(request), one at a time, in order ──► pending (bounded) ──► responses, in the same order
//!                    │ appends happen here                     │ waits happen here: a parked fetch, an fsync
//! ```
//! A handler takes effect in [`Handler::begin`] and waits in [`Reply::Later`]. So a produce behind a parked fetch is
//! appended at once, and answered after the fetch. Garbage closes the connection, with one log line.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures::future::BoxFuture;
use futures::stream::{FuturesOrdered, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use crate::frame::{ByteBudget, FrameLimits, FrameReader};
use crate::parts::Parts;
use crate::request::Request;

/// Bounds of a listener.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Connections at once; more wait to be accepted. Default 1,000.
    pub connections_max: usize,
    /// Requests of one connection that may wait for their answer; more are not read. Default 16.
    pub pipelined_requests_max: usize,
    /// Largest request. Kafka's `socket.request.max.bytes`. Default 100 MiB.
    pub frame_bytes_max: usize,
    /// Bytes of large requests in memory, all connections together. Kafka's `queued.max.request.bytes`. Default 64 MiB.
    pub request_bytes_max: usize,
    /// A request must arrive whole, and a response be taken, within this. Default 30 s.
    pub transfer_timeout: Duration,
    /// A connection without requests is closed after this. Kafka's `connections.max.idle.ms`. Default 10 min.
    pub idle_timeout: Duration,
    /// On shutdown, waiting answers get this long. Default 2 s.
    pub drain_timeout: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            connections_max: 1000,
            pipelined_requests_max: 16,
            frame_bytes_max: 100 << 20,
            request_bytes_max: 64 << 20,
            transfer_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(600),
            drain_timeout: Duration::from_secs(2),
        }
    }
}

/// Who is at the other end.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Unique in this listener.
    pub id: u64,
    /// Address of the peer.
    pub peer: SocketAddr,
    /// Address it reached us at.
    pub local: SocketAddr,
    /// Cancelled when the connection is closed, for whatever reason.
    pub closed: CancellationToken,
}

/// What to do with a request in the end.
#[derive(Debug)]
pub enum Outcome {
    /// Send this (header and body, no length; see [`Request::respond`] and [`Request::respond_fetch`]).
    Send(Parts),
    /// The request has no answer (acks = 0).
    Nothing,
    /// Close the connection; the reason goes to the log.
    Close(String),
}

/// How a request goes on after it began.
pub enum Reply {
    /// It is done.
    Ready(Outcome),
    /// It waits for something. Dropped when the connection closes.
    Later(BoxFuture<'static, Outcome>),
}

/// Serves requests.
pub trait Handler: Send + Sync + 'static {
    /// Takes effect in order: the next request of the connection begins after this is done. Waits belong into
    /// [`Reply::Later`].
    fn begin<'a>(&'a self, connection: &'a Arc<Connection>, request: Request) -> BoxFuture<'a, Reply>;

    /// The connection is gone.
    fn closed(&self, connection: &Connection) {
        let _ = connection;
    }
}

/// Accepts until `shutdown`, then lets waiting answers go out and closes.
pub async fn serve(
    listener: TcpListener,
    options: ServerOptions,
    handler: Arc<dyn Handler>,
    shutdown: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(options.connections_max.max(1)));
    let budget = ByteBudget::new(options.request_bytes_max);
    let options = Arc::new(options);
    let tracker = TaskTracker::new();
    let mut next_id = 0u64;
    loop {
        let slot = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            slot = Arc::clone(&slots).acquire_owned() => slot,
        };
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, or a peer that left before it was accepted: the listener itself lives.
                warn!(%error, "could not accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, %peer, "could not switch off Nagle's algorithm");
        }
        let local = stream.local_addr().unwrap_or(peer);
        let connection = Arc::new(Connection { id: next_id, peer, local, closed: CancellationToken::new() });
        next_id += 1;
        let task =
            run(stream, connection, Arc::clone(&options), budget.clone(), Arc::clone(&handler), shutdown.clone());
        tracker.spawn(async move {
            task.await;
            drop(slot);
        });
    }
    drop(listener);
    tracker.close();
    tracker.wait().await;
}

/// Serves one connection until it ends. Public so that other transports (TLS, memory) can be served too.
pub async fn run<S>(
    stream: S,
    connection: Arc<Connection>,
    options: Arc<ServerOptions>,
    budget: ByteBudget,
    handler: Arc<dyn Handler>,
    shutdown: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    // Also on a panic in a handler, which ends this connection only.
    let _guard = Closing { connection: Arc::clone(&connection), handler: Arc::clone(&handler) };
    let end = exchange(stream, &connection, &options, budget, &handler, &shutdown).await;
    let (peer, id) = (connection.peer, connection.id);
    match end {
        End::Peer => debug!(%peer, id, "connection closed by the client"),
        End::Shutdown => debug!(%peer, id, "connection closed for shutdown"),
        End::Idle => debug!(%peer, id, "idle connection closed"),
        End::Lost(reason) => debug!(%peer, id, reason, "connection lost"),
        End::Refused(reason) => info!(%peer, id, reason, "connection closed"),
    }
}

struct Closing {
    connection: Arc<Connection>,
    handler: Arc<dyn Handler>,
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.connection.closed.cancel();
        self.handler.closed(&self.connection);
    }
}

enum End {
    Peer,
    Shutdown,
    Idle,
    Lost(String),
    Refused(String),
}

type Pending = FuturesOrdered<BoxFuture<'static, Outcome>>;

async fn exchange<S: AsyncRead + AsyncWrite + Send + Unpin>(
    stream: S,
    connection: &Arc<Connection>,
    options: &ServerOptions,
    budget: ByteBudget,
    handler: &Arc<dyn Handler>,
    shutdown: &CancellationToken,
) -> End {
    let (reader, mut writer) = tokio::io::split(stream);
    let limits = FrameLimits { frame_bytes_max: options.frame_bytes_max, frame_timeout: options.transfer_timeout };
    let mut frames = FrameReader::new(reader, limits, budget);
    let mut pending: Pending = FuturesOrdered::new();
    let mut draining = false;
    let idle = tokio::time::sleep(options.idle_timeout);
    tokio::pin!(idle);
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled(), if !draining => {
                draining = true;
                idle.as_mut().reset(tokio::time::Instant::now() + options.drain_timeout);
            }
            Some(outcome) = pending.next(), if !pending.is_empty() => {
                match outcome {
                    Outcome::Nothing => {}
                    Outcome::Close(reason) => return End::Refused(reason),
                    Outcome::Send(answer) => {
                        match tokio::time::timeout(options.transfer_timeout, send(&mut writer, answer)).await {
                            Err(_) => return End::Lost("client does not take its answer".into()),
                            Ok(Err(error)) => return End::Lost(error.to_string()),
                            Ok(Ok(())) => {}
                        }
                    }
                }
                if !draining {
                    idle.as_mut().reset(tokio::time::Instant::now() + options.idle_timeout);
                }
            }
            frame = frames.next(), if !draining && pending.len() < options.pipelined_requests_max.max(1) => {
                let frame = match frame {
                    Ok(Some(frame)) => frame,
                    Ok(None) => return End::Peer,
                    Err(crate::frame::FrameError::Io(error)) => return End::Lost(error.to_string()),
                    Err(error) => return End::Refused(error.to_string()),
                };
                let request = match Request::parse(&frame) {
                    Ok(request) => request,
                    Err(error) => return End::Refused(error.to_string()),
                };
                // The handler alone holds the bytes from here on, and lets go of them when it has used them.
                drop(frame);
                pending.push_back(match handler.begin(connection, request).await {
                    Reply::Ready(outcome) => Box::pin(std::future::ready(outcome)),
                    Reply::Later(later) => later,
                });
                idle.as_mut().reset(tokio::time::Instant::now() + options.idle_timeout);
            }
            () = &mut idle, if draining || pending.is_empty() => {
                return if draining { End::Shutdown } else { End::Idle };
            }
        }
        if draining && pending.is_empty() {
            return End::Shutdown;
        }
    }
}

/// Small answers are joined, so that a transport without vectored writes sends one packet too.
const JOINED_BYTES_MAX: usize = 4096;

async fn send<W: AsyncWrite + Unpin>(writer: &mut W, answer: Parts) -> std::io::Result<()> {
    let length = i32::try_from(answer.len())
        .map_err(|_| std::io::Error::new(std::io::ErrorKind::InvalidData, "response is over 2 GiB"))?;
    let length = Bytes::copy_from_slice(&length.to_be_bytes());
    if answer.len() <= JOINED_BYTES_MAX {
        let size = length.len() + answer.len();
        let whole = length.chain(answer).copy_to_bytes(size);
        writer.write_all(&whole).await?;
    } else {
        writer.write_all_buf(&mut length.chain(answer)).await?;
    }
    writer.flush().await
}
