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
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures::future::BoxFuture;
use futures::stream::{FuturesOrdered, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
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
    /// Connections are encrypted, with this certificate. Default: none, they are not.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// The largest request of a connection that [`Connection::trust`] has not been called for. Default: none smaller
    /// than `frame_bytes_max`.
    pub stranger_bytes_max: Option<usize>,
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
            tls: None,
            stranger_bytes_max: None,
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
    /// Are its bytes encrypted on the way?
    pub is_encrypted: bool,
    /// Cancelled when the connection is closed, for whatever reason.
    pub closed: CancellationToken,
    /// Cancel it to end the connection at once: answers that wait are not sent any more.
    pub end: CancellationToken,
    trusted: Arc<AtomicBool>,
}

impl Connection {
    /// A connection that nothing has been read of.
    pub fn new(id: u64, peer: SocketAddr, local: SocketAddr, is_encrypted: bool) -> Self {
        let (closed, end) = (CancellationToken::new(), CancellationToken::new());
        Self { id, peer, local, is_encrypted, closed, end, trusted: Arc::default() }
    }

    /// The peer has said who it is: from now on its requests may be as large as anyone's.
    pub fn trust(&self) {
        self.trusted.store(true, Ordering::Release);
    }
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
        let connection = Arc::new(Connection::new(next_id, peer, local, options.tls.is_some()));
        next_id += 1;
        let (options, budget, handler) = (Arc::clone(&options), budget.clone(), Arc::clone(&handler));
        let shutdown = shutdown.clone();
        tracker.spawn(async move {
            match options.tls.clone() {
                None => run(stream, connection, options, budget, handler, shutdown).await,
                Some(tls) => {
                    if let Some(stream) = shake_hands(stream, tls, &options, &connection, &shutdown).await {
                        run(stream, connection, options, budget, handler, shutdown).await;
                    }
                }
            }
            drop(slot);
        });
    }
    drop(listener);
    tracker.close();
    tracker.wait().await;
}

/// TLS, within the time that a request may take; `None` if it did not come to be.
async fn shake_hands(
    stream: TcpStream,
    tls: Arc<rustls::ServerConfig>,
    options: &ServerOptions,
    connection: &Connection,
    shutdown: &CancellationToken,
) -> Option<TlsStream<TcpStream>> {
    let (peer, id) = (connection.peer, connection.id);
    let shaken = tokio::select! {
        biased;
        () = shutdown.cancelled() => return None,
        shaken = tokio::time::timeout(options.transfer_timeout, TlsAcceptor::from(tls).accept(stream)) => shaken,
    };
    match shaken {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            info!(%peer, id, %error, "connection closed: no TLS");
            None
        }
        Err(_) => {
            info!(%peer, id, "connection closed: TLS did not begin in time");
            None
        }
    }
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
    let mut stranger_bytes_max = options.stranger_bytes_max;
    let mut pending: Pending = FuturesOrdered::new();
    let mut draining = false;
    let idle = tokio::time::sleep(options.idle_timeout);
    tokio::pin!(idle);
    loop {
        if connection.trusted.load(Ordering::Acquire) {
            stranger_bytes_max = None;
        }
        frames.bound(stranger_bytes_max.unwrap_or(options.frame_bytes_max).min(options.frame_bytes_max));
        tokio::select! {
            biased;
            () = connection.end.cancelled() => return End::Refused("it was ended from here".into()),
            () = shutdown.cancelled(), if !draining => {
                draining = true;
                idle.as_mut().reset(tokio::time::Instant::now() + options.drain_timeout);
            }
            Some(outcome) = pending.next(), if !pending.is_empty() => {
                match outcome {
                    Outcome::Nothing => {}
                    Outcome::Close(reason) => return End::Refused(reason),
                    Outcome::Send(answer) => {
                        let sending = tokio::time::timeout(options.transfer_timeout, send(&mut writer, answer));
                        let sent = tokio::select! {
                            biased;
                            () = connection.end.cancelled() => return End::Refused("it was ended from here".into()),
                            sent = sending => sent,
                        };
                        match sent {
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
