//! The sockets beneath the routes: bind, accept, serve, drain.
//!
//! axum's own server has no limits on connections, heads and slow peers, so the accept loop is ours, on hyper's HTTP/1.1.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use weft_model::kind::{Diagnostic, Diagnostics, Kind};

use crate::asker::Asker;
use crate::config::Options;
use crate::error;
use crate::gate::Gate;
use crate::metrics::{Metrics, MetricsHook};
use crate::routes::{self, App};
use crate::stall::StallGuard;
use crate::views::{CatalogView, Views};

/// Refusals written at the same time when connections are over the limit; beyond it a peer is just closed.
const REFUSALS_MAX: usize = 64;
/// How long a refused peer may take to read why.
const REFUSAL_TIME: Duration = Duration::from_secs(1);
/// How long to wait after the system had no socket to give (file descriptors, memory).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The HTTP doors, validated and ready to be served.
pub struct Gateway {
    options: Options,
    views: Arc<dyn Views>,
    catalog: Arc<dyn CatalogView>,
    hooks: Vec<MetricsHook>,
    asker: Asker,
    pages: Option<Router>,
    gate: Option<Arc<dyn Gate>>,
    tls: Option<Arc<rustls::ServerConfig>>,
}

impl Gateway {
    /// Checks the options; binds nothing yet.
    pub fn new(options: Options, views: Arc<dyn Views>, catalog: Arc<dyn CatalogView>) -> Result<Self, Diagnostics> {
        options.validate()?;
        let asker = Asker::new(options.clone(), Arc::clone(&views));
        Ok(Self { options, views, catalog, hooks: Vec::new(), asker, pages: None, gate: None, tls: None })
    }

    /// Appends another room's metrics to `/metrics`.
    pub fn append_metrics(mut self, hook: MetricsHook) -> Self {
        self.hooks.push(hook);
        self
    }

    /// Asks as the doors do, for pages that are mounted here.
    pub fn asker(&self) -> Asker {
        self.asker.clone()
    }

    /// Serves pages beside the doors, behind the same edge. Their handlers find the `Principal` among the request's extensions,
    /// and set their own content security policy. They may not name a path of a door, and have no fallback.
    pub fn mount(mut self, pages: Router) -> Self {
        self.pages = Some(pages);
        self
    }

    /// Lets in only whom the gate knows, and encrypts where there is a certificate.
    pub fn guard(mut self, gate: Arc<dyn Gate>, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        self.gate = Some(gate);
        self.tls = tls;
        self
    }

    /// Binds `host:port` (port 0: any free one). Refuses every address beyond loopback, unless it `is_safe`: it will be
    /// served with TLS and a gate.
    pub async fn bind(listen: &str, is_safe: bool) -> Result<TcpListener, Box<Diagnostic>> {
        let addresses: Vec<SocketAddr> = match tokio::net::lookup_host(listen).await {
            Ok(addresses) => addresses.collect(),
            Err(cause) => return Err(cannot_listen(listen, &cause)),
        };
        for address in addresses.iter().filter(|_| !is_safe) {
            check_loopback(*address)?;
        }
        TcpListener::bind(&addresses[..]).await.map_err(|cause| cannot_listen(listen, &cause))
    }

    /// Serves until `shutdown`, then drains for at most the option `drain`. Ends with an error only before the first accept.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) -> Result<(), Box<Diagnostic>> {
        let local = listener.local_addr().map_err(|cause| cannot_listen("the bound socket", &cause))?;
        if self.gate.is_none() || self.tls.is_none() {
            check_loopback(local)?;
        }
        let metrics = Metrics::new(self.hooks);
        let tls = self.tls.map(TlsAcceptor::from);
        let way_in = (self.gate, tls.is_some());
        let app = App::new(self.options, self.views, self.catalog, self.asker, metrics, way_in, shutdown.clone());
        let router = routes::router(Arc::clone(&app), self.pages);
        let connections = Arc::new(Semaphore::new(app.options.connections_max));
        let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
        let tracker = TaskTracker::new();
        let cut = CancellationToken::new();
        tracing::info!(address = %local, "HTTP listens");
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            let socket = match accepted {
                Ok((socket, _)) => socket,
                Err(cause) => {
                    tracing::warn!(%cause, "could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            match Arc::clone(&connections).try_acquire_owned() {
                Ok(permit) => {
                    let serving = serve_connection(socket, tls.clone(), Arc::clone(&app), router.clone());
                    let cut = cut.clone();
                    tracker.spawn(async move {
                        tokio::select! {
                            () = cut.cancelled() => {}
                            () = serving => {}
                        }
                        drop(permit);
                    });
                }
                // Words in the clear would only confuse whoever waits for TLS.
                Err(_) if tls.is_some() => drop(socket),
                Err(_) => {
                    if let Ok(permit) = Arc::clone(&refusals).try_acquire_owned() {
                        let app = Arc::clone(&app);
                        tracker.spawn(async move {
                            refuse(socket, &app).await;
                            drop(permit);
                        });
                    }
                }
            }
        }
        drop(listener);
        tracker.close();
        if tokio::time::timeout(app.options.drain, tracker.wait()).await.is_err() {
            tracing::warn!(connections = tracker.len(), "drain is over, cutting what is still open");
            cut.cancel();
            tracker.wait().await;
        }
        Ok(())
    }
}

async fn serve_connection(socket: TcpStream, tls: Option<TlsAcceptor>, app: Arc<App>, router: Router) {
    let _open = app.metrics.connection_opened();
    if let Err(cause) = socket.set_nodelay(true) {
        tracing::debug!(%cause, "could not set TCP_NODELAY");
    }
    let Some(tls) = tls else { return serve_bytes(socket, app, router).await };
    match tokio::time::timeout(app.options.header_read, tls.accept(socket)).await {
        Ok(Ok(stream)) => serve_bytes(stream, app, router).await,
        Ok(Err(cause)) => tracing::debug!(%cause, "a connection without TLS"),
        Err(_) => tracing::debug!("TLS did not begin in time"),
    }
}

/// Requests and answers, encrypted or not.
async fn serve_bytes<S>(socket: S, app: Arc<App>, router: Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let counted = Arc::clone(&app);
    let on_stall = Arc::new(move || {
        counted.metrics.connection_stalled();
        tracing::info!("cut a connection whose peer took nothing for `write_stall`");
    });
    let io = TokioIo::new(StallGuard::new(socket, app.options.write_stall, on_stall));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(app.options.header_read)
        .max_headers(app.options.headers_max)
        .max_buf_size(app.options.header_bytes_max)
        .serve_connection(io, TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = app.shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(cause) = ended {
        tracing::debug!(%cause, "connection ended");
    }
}

/// Says why, waits until the peer has read it (closing over unread bytes would reset the connection), closes.
async fn refuse(mut socket: TcpStream, app: &App) {
    let problem = error::too_many_connections(app.options.connections_max);
    app.metrics.problem(problem.diagnostic().code);
    let body = serde_json::to_string(&problem.details("", "")).expect("text and numbers have a JSON form");
    let seconds = error::whole_seconds(app.options.retry_after);
    let response = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nContent-Length: {}\r\n\
         Retry-After: {seconds}\r\nConnection: close\r\n\r\n{body}",
        body.len(),
    );
    let talk = async {
        socket.write_all(response.as_bytes()).await?;
        socket.shutdown().await?;
        let mut unread = [0; 1024];
        while socket.read(&mut unread).await? > 0 {}
        Ok::<_, std::io::Error>(())
    };
    if let Ok(Err(cause)) = tokio::time::timeout(REFUSAL_TIME, talk).await {
        tracing::debug!(%cause, "a refused peer went away");
    }
}

fn check_loopback(address: SocketAddr) -> Result<(), Box<Diagnostic>> {
    if address.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    Err(Box::new(Diagnostic {
        kind: Kind::Denied,
        code: "HTTP-020",
        what: format!("cannot listen for HTTP on {address}"),
        because: "the address can be reached from other machines, and without TLS and keys everybody there could read the mesh"
            .to_owned(),
        try_: "switch both on in section `access` of weft.yaml (docs/run/access.md), or listen on 127.0.0.1 or [::1]"
            .to_owned(),
        place: None,
    }))
}

fn cannot_listen(listen: &str, cause: &std::io::Error) -> Box<Diagnostic> {
    let (kind, try_) = match cause.kind() {
        std::io::ErrorKind::AddrInUse => {
            (Kind::Exists, "stop the other process, or choose another with --http-listen (port 0: any free one)")
        }
        std::io::ErrorKind::PermissionDenied => (Kind::Denied, "choose a port from 1024 with --http-listen"),
        _ => (Kind::Invalid, "write host:port, such as 127.0.0.1:8080"),
    };
    Box::new(Diagnostic {
        kind,
        code: "HTTP-021",
        what: format!("cannot listen for HTTP on {listen}"),
        because: cause.to_string(),
        try_: try_.to_owned(),
        place: None,
    })
}
