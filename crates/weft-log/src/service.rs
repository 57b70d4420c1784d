//! Starting, running and stopping the log.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};
use weft_wire::env::Env;
use weft_wire::server::{ServerOptions, serve};

use crate::api::Plaintext;
use crate::api::guarded::{Guarded, STRANGER_BYTES_MAX};
use crate::authorizer::{AllowAll, Authorizer};
use crate::broker::Broker;
use crate::config::Options;
use crate::error::StartError;
use crate::group::{Groups, KeptGroups};
use crate::keys::{Guard, Keys};
use crate::producer_ids::ProducerIds;
use crate::records::{Record, TopicRecord};
use crate::store::{Store, StoreError, StoreOptions};
use crate::topics::Topics;
use crate::txn::Transactions;
use crate::txn::core::Txn;

/// The embedded log.
#[derive(Debug)]
pub struct Log;

/// A running log. Dropping it stops everything at once, as a crash would; [`LogHandle::shutdown`] stops it cleanly.
pub struct LogHandle {
    listen_addr: SocketAddr,
    own_addr: Option<SocketAddr>,
    pub(crate) broker: Arc<Broker>,
    shutdown: CancellationToken,
    servers: Vec<JoinHandle<()>>,
    helpers: Vec<JoinHandle<()>>,
}

impl Log {
    /// Opens the data folder, recovers what a crash left, and listens. When this returns, clients are served.
    pub async fn start(options: Options, env: Env) -> Result<LogHandle, StartError> {
        Self::start_with(options, env, Arc::new(AllowAll)).await
    }

    /// Could a log start in this folder: does nobody hold it, is its format one that this program reads? Changes nothing.
    /// Blocks.
    pub fn inspect(env: &Env, data_dir: &Path) -> Result<(), StartError> {
        Store::inspect(env, data_dir).map_err(|source| StartError::Store { path: data_dir.to_path_buf(), source })
    }

    /// The same as [`Log::start`], with someone to ask who may do what.
    pub async fn start_with(
        options: Options,
        env: Env,
        authorizer: Arc<dyn Authorizer>,
    ) -> Result<LogHandle, StartError> {
        options.validate(false)?;
        let (listener, listen_addr) = bind(options.listen).await?;
        let broker = open(options, env, authorizer, "PLAINTEXT").await?;
        broker.transactions.recover().await;
        let shutdown = CancellationToken::new();
        let advertised = advertised(&broker.options, listen_addr);
        let server = tokio::spawn(serve(
            listener,
            server_options(&broker.options),
            Arc::new(Plaintext { broker: broker.clone(), advertised }),
            shutdown.clone(),
        ));
        let helpers = helpers(&broker);
        info!(%listen_addr, data_dir = %broker.options.data_dir.display(), fsync = ?broker.options.fsync, "log listens");
        Ok(LogHandle { listen_addr, own_addr: None, broker, shutdown, servers: vec![server], helpers })
    }

    /// The same as [`Log::start`], where nobody comes in without a key. Beside the listener of the options, for clients,
    /// there is one on loopback for the process itself; it is served from the start, the other once its keys are known.
    pub async fn start_guarded(options: Options, env: Env, guard: Guard) -> Result<LogHandle, StartError> {
        options.validate(guard.tls.is_some())?;
        let (listener, listen_addr) = bind(options.listen).await?;
        let (own, own_addr) = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let protocol = if guard.tls.is_some() { "SASL_SSL" } else { "SASL_PLAINTEXT" };
        let broker = open(options, env, guard.authorizer, protocol).await?;
        broker.transactions.recover().await;
        let shutdown = CancellationToken::new();
        let own_options =
            ServerOptions { stranger_bytes_max: Some(STRANGER_BYTES_MAX), ..server_options(&broker.options) };
        let options = ServerOptions { tls: guard.tls, ..own_options.clone() };
        let own_advertised = (own_addr.ip().to_string(), own_addr.port());
        let servers = [
            (own, own_options, guard.own, own_advertised),
            (listener, options, guard.clients, advertised(&broker.options, listen_addr)),
        ];
        let servers = servers.map(|(listener, options, keys, advertised)| {
            let handler = Arc::new(Guarded::new(broker.clone(), Arc::clone(&keys), advertised));
            tokio::spawn(serve_known(listener, options, handler, keys, shutdown.clone()))
        });
        let helpers = helpers(&broker);
        info!(%listen_addr, %own_addr, protocol, data_dir = %broker.options.data_dir.display(),
            fsync = ?broker.options.fsync, "log listens");
        Ok(LogHandle { listen_addr, own_addr: Some(own_addr), broker, shutdown, servers: servers.into(), helpers })
    }
}

/// Clients that come early wait in the backlog.
async fn serve_known(
    listener: TcpListener,
    options: ServerOptions,
    handler: Arc<Guarded>,
    keys: Arc<dyn Keys>,
    shutdown: CancellationToken,
) {
    tokio::select! {
        biased;
        () = shutdown.cancelled() => {}
        () = keys.ready() => serve(listener, options, handler, shutdown.clone()).await,
    }
}

/// Bound before the store is opened: a taken port costs nothing, and clients that come early wait in the backlog.
async fn bind(listen: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Bind { listen, source };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let listen_addr = listener.local_addr().map_err(failed)?;
    Ok((listener, listen_addr))
}

/// Where clients of the listener at `listen_addr` are told to connect.
fn advertised(options: &Options, listen_addr: SocketAddr) -> (String, u16) {
    match options.advertised.clone() {
        Some((host, 0)) => (host, listen_addr.port()),
        Some(advertised) => advertised,
        None => (listen_addr.ip().to_string(), listen_addr.port()),
    }
}

impl LogHandle {
    /// Where it listens: the real port when 0 was asked for.
    pub fn listen_addr(&self) -> SocketAddr {
        self.listen_addr
    }

    /// Where the process itself and those who run it come in, if the log is guarded.
    pub fn own_addr(&self) -> Option<SocketAddr> {
        self.own_addr
    }

    /// Lets answers under way go out, syncs everything and marks the folder as cleanly closed.
    pub async fn shutdown(mut self) -> Result<(), StoreError> {
        self.broker.stopping.cancel();
        self.shutdown.cancel();
        for server in std::mem::take(&mut self.servers) {
            if let Err(error) = server.await {
                error!(%error, "a listener ended badly");
            }
        }
        for helper in &self.helpers {
            helper.abort();
        }
        let store = self.broker.store.clone();
        let closed = tokio::task::spawn_blocking(move || store.close()).await;
        let closed = closed.unwrap_or(Ok(()));
        info!(clean = closed.is_ok(), "log stopped");
        closed
    }
}

impl Drop for LogHandle {
    fn drop(&mut self) {
        self.broker.stopping.cancel();
        self.shutdown.cancel();
        for helper in &self.helpers {
            helper.abort();
        }
    }
}

fn server_options(options: &Options) -> ServerOptions {
    ServerOptions {
        connections_max: options.connections_max,
        pipelined_requests_max: options.requests_in_flight_max,
        frame_bytes_max: options.request_bytes_max as usize,
        request_bytes_max: options.queued_request_bytes_max,
        idle_timeout: options.connection_idle_max,
        drain_timeout: options.drain_max,
        ..ServerOptions::default()
    }
}

/// Everything but the listener.
pub(crate) async fn open(
    options: Options,
    env: Env,
    authorizer: Arc<dyn Authorizer>,
    protocol: &'static str,
) -> Result<Arc<Broker>, StartError> {
    let path = options.data_dir.clone();
    let store_error = |source| StartError::Store { path: path.clone(), source };
    let store_options = StoreOptions { fsync: options.fsync, ..StoreOptions::default() };
    let opening = {
        let (env, path) = (env.clone(), path.clone());
        tokio::task::spawn_blocking(move || Store::open(env, &path, store_options))
    };
    let (store, records) = match opening.await {
        Ok(opened) => opened.map_err(store_error)?,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    };
    let mut kept = Kept::default();
    for (key, value) in records {
        let record = Record::decode(&key, &value).map_err(|source| StartError::Meta { path: path.clone(), source })?;
        kept.sort(record);
    }
    let meta = store.meta().clone();
    let cluster_id = match kept.cluster_id {
        Some(id) => id,
        None => {
            let id = cluster_id(&env);
            let put = meta.put(vec![Record::Cluster(id.clone()).put()]);
            let position = put.map_err(store_error)?;
            meta.wait_durable(position).await.map_err(store_error)?;
            id
        }
    };
    let topics = Topics::open(store.clone(), &options, kept.topics).map_err(store_error)?;
    let topics = Arc::new(topics);
    let groups = Arc::new(Groups::open(env.clone(), meta.clone(), &options, kept.groups));
    let producer_ids = Arc::new(ProducerIds::open(&env, meta.clone(), kept.next_producer_id));
    let transactions = Arc::new(Transactions::open(
        env.clone(),
        meta,
        topics.clone(),
        groups.clone(),
        producer_ids.clone(),
        &options,
        kept.transactions,
    ));
    Ok(Arc::new(Broker {
        options,
        env,
        cluster_id,
        store,
        topics,
        groups,
        transactions,
        producer_ids,
        authorizer,
        protocol,
        stopping: CancellationToken::new(),
    }))
}

/// The meta log's records, by kind.
#[derive(Default)]
struct Kept {
    cluster_id: Option<String>,
    next_producer_id: Option<i64>,
    topics: Vec<(uuid::Uuid, TopicRecord)>,
    groups: KeptGroups,
    transactions: Vec<(String, Txn)>,
}

impl Kept {
    fn sort(&mut self, record: Record) {
        match record {
            Record::Cluster(id) => self.cluster_id = Some(id),
            Record::ProducerIds(next) => self.next_producer_id = Some(next),
            Record::Topic(id, topic) => self.topics.push((id, topic)),
            Record::Group(group, kept) => self.groups.groups.push((group, kept)),
            Record::Offset(group, topic, partition, offset) => {
                self.groups.offsets.push((group, (topic, partition), offset));
            }
            Record::PendingOffset(producer_id, group, topic, partition, offset) => {
                self.groups.pending.push((producer_id, group, (topic, partition), offset));
            }
            Record::Transaction(id, txn) => self.transactions.push((id, txn)),
        }
    }
}

/// 16 random bytes in URL-safe base64 without padding, as Kafka writes cluster ids.
fn cluster_id(env: &Env) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits = env.random_uuid().as_u128();
    let digit = |shift: u32| {
        // 22 digits of 6 bits hold 132 bits: the last digit carries 2 bits of the id and 4 zeros.
        let value = if shift >= 4 { bits >> (shift - 4) } else { bits << (4 - shift) };
        char::from(DIGITS[usize::try_from(value & 63).expect("6 bits")])
    };
    (0..22).rev().map(|i| digit(i * 6)).collect()
}

fn helpers(broker: &Arc<Broker>) -> Vec<JoinHandle<()>> {
    let groups = broker.groups.clone();
    let transactions = broker.transactions.clone();
    let keeper = broker.clone();
    vec![
        tokio::spawn(async move { groups.run().await }),
        tokio::spawn(async move { transactions.run().await }),
        tokio::spawn(async move {
            loop {
                keeper.env.clock.sleep(keeper.options.retention_check_interval).await;
                let broker = keeper.clone();
                let kept_house = tokio::task::spawn_blocking(move || {
                    broker.store.housekeeping();
                    broker.groups.expire_offsets();
                    broker.transactions.expire_ids();
                });
                if let Err(error) = kept_house.await {
                    error!(%error, "housekeeping failed");
                }
            }
        }),
    ]
}
