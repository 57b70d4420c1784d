//! The handler of a listener that wants to know who asks: nothing but ApiVersions is answered before the log-in.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use parking_lot::Mutex;
use tracing::info;
use weft_model::principal::Principal;
use weft_wire::request::Request;
use weft_wire::server::{Connection, Handler, Outcome, Reply};

use super::{answer, begun, dispatch, text, versions};
use crate::broker::{Broker, Ctx};
use crate::keys::Keys;
use crate::sasl::{self, Login, Step};

const SASL_HANDSHAKE: i16 = 17;
const SASL_AUTHENTICATE: i16 = 36;

/// Largest request of somebody who has not logged in. Bytes; Kafka's `sasl.server.max.receive.size`.
pub(crate) const STRANGER_BYTES_MAX: usize = 512 * 1024;
/// A connection that nobody has logged in on by then ends.
const LOGIN_WAIT: Duration = Duration::from_secs(30);
/// A refusal is answered only after this. Kafka's `connection.failed.authentication.delay.ms`.
const REFUSAL_DELAY: Duration = Duration::from_millis(100);
/// How long after a refusal the connection may stay, to be read.
const REFUSAL_READ: Duration = Duration::from_secs(1);

/// One listener with a log-in.
pub(crate) struct Guarded {
    pub(crate) broker: Arc<Broker>,
    pub(crate) keys: Arc<dyn Keys>,
    /// Where clients are told to connect.
    pub(crate) advertised: (String, u16),
    /// How far each connection has come.
    sessions: Mutex<HashMap<u64, Arc<Mutex<Login>>>>,
    /// Behind what names that nobody has are told: of this process, and of no other.
    pepper: Arc<[u8]>,
}

impl Guarded {
    pub(crate) fn new(broker: Arc<Broker>, keys: Arc<dyn Keys>, advertised: (String, u16)) -> Self {
        let pepper = [random(&broker), random(&broker)].concat().into_bytes().into();
        Self { broker, keys, advertised, sessions: Mutex::default(), pepper }
    }

    fn session(&self, connection: &Arc<Connection>) -> Arc<Mutex<Login>> {
        let mut sessions = self.sessions.lock();
        if let Some(login) = sessions.get(&connection.id) {
            return Arc::clone(login);
        }
        let login = Arc::new(Mutex::new(Login::Nobody));
        sessions.insert(connection.id, Arc::clone(&login));
        let (connection, clock, waits) = (Arc::clone(connection), self.broker.env.clock.clone(), Arc::clone(&login));
        tokio::spawn(async move {
            tokio::select! {
                () = connection.closed.cancelled() => {}
                () = clock.sleep(LOGIN_WAIT) => {
                    if waits.lock().principal().is_none() {
                        connection.end.cancel();
                    }
                }
            }
        });
        login
    }

    fn ctx(&self, connection: &Arc<Connection>, principal: Principal, request: &Request) -> Ctx {
        Ctx {
            broker: self.broker.clone(),
            connection: connection.clone(),
            principal,
            advertised: self.advertised.clone(),
            client_id: request.client_id.clone().unwrap_or_default(),
            version: request.api_version,
        }
    }
}

impl Handler for Guarded {
    fn begin<'a>(&'a self, connection: &'a Arc<Connection>, request: Request) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            let login = self.session(connection);
            let known = login.lock().principal().cloned();
            let is_served = versions::served(request.api_key).is_some_and(|one| one.decodes(request.api_version));
            match (request.api_key, known) {
                (SASL_HANDSHAKE, _) if is_served => {
                    let ctx = self.ctx(connection, Principal::Anonymous, &request);
                    begun(answer(ctx, request, move |ctx, asked| handshake(ctx, login, asked))).await
                }
                (SASL_AUTHENTICATE, _) if is_served => {
                    let ctx = self.ctx(connection, Principal::Anonymous, &request);
                    let (keys, pepper) = (Arc::clone(&self.keys), Arc::clone(&self.pepper));
                    let step = move |ctx, asked| authenticate(ctx, login, keys, pepper, asked);
                    begun(answer(ctx, request, step)).await
                }
                (versions::API_VERSIONS, known) => {
                    let principal = known.unwrap_or(Principal::Anonymous);
                    begun(dispatch(self.ctx(connection, principal, &request), request)).await
                }
                (_, Some(principal)) => begun(dispatch(self.ctx(connection, principal, &request), request)).await,
                (key, None) => Reply::Ready(Outcome::Close(format!("API {key} was asked for before a log-in"))),
            }
        })
    }

    fn closed(&self, connection: &Connection) {
        self.sessions.lock().remove(&connection.id);
    }
}

async fn handshake(ctx: Ctx, login: Arc<Mutex<Login>>, request: SaslHandshakeRequest) -> SaslHandshakeResponse {
    let is_encrypted = ctx.connection.is_encrypted;
    let offered = sasl::offered(is_encrypted).map(text).collect();
    let response = SaslHandshakeResponse::default().with_mechanisms(offered);
    if ctx.version == 0 {
        // What follows it are tokens without a Kafka header (KIP-43); every client of the last years has version 1.
        return response.with_error_code(Code::UnsupportedVersion.code());
    }
    if login.lock().choose(&request.mechanism, is_encrypted) {
        return response;
    }
    response.with_error_code(Code::UnsupportedSaslMechanism.code())
}

async fn authenticate(
    ctx: Ctx,
    login: Arc<Mutex<Login>>,
    keys: Arc<dyn Keys>,
    pepper: Arc<[u8]>,
    request: SaslAuthenticateRequest,
) -> SaslAuthenticateResponse {
    // Counted from before the key is checked, so that what is taken away meanwhile ends this connection too.
    let shrinks = sasl::claimed(&request.auth_bytes).map(|name| keys.shrinks(&name));
    let step = login.lock().token(&request.auth_bytes, &*keys, &random(&ctx.broker), &pepper);
    match step {
        Step::Challenge(bytes) => {
            end_when(&ctx, shrinks);
            SaslAuthenticateResponse::default().with_auth_bytes(Bytes::from(bytes))
        }
        Step::Done(bytes) => {
            end_when(&ctx, shrinks);
            ctx.connection.trust();
            SaslAuthenticateResponse::default().with_auth_bytes(Bytes::from(bytes))
        }
        Step::Refused(because) => {
            let connection = Arc::clone(&ctx.connection);
            info!(peer = %connection.peer, because, "log-in refused");
            let clock = ctx.broker.env.clock.clone();
            clock.sleep(REFUSAL_DELAY).await;
            tokio::spawn(async move {
                clock.sleep(REFUSAL_READ).await;
                connection.end.cancel();
            });
            SaslAuthenticateResponse::default()
                .with_error_code(Code::SaslAuthenticationFailed.code())
                .with_error_message(Some(text("the name or the key is wrong, or was taken back")))
        }
    }
}

/// Ends the connection when something is taken away from whoever logs in on it.
fn end_when(ctx: &Ctx, shrinks: Option<BoxFuture<'static, ()>>) {
    let Some(shrinks) = shrinks else { return };
    let connection = Arc::clone(&ctx.connection);
    tokio::spawn(async move {
        tokio::select! {
            () = connection.closed.cancelled() => {}
            () = shrinks => {
                info!(peer = %connection.peer, "connection ended: access was taken away");
                connection.end.cancel();
            }
        }
    });
}

/// 128 random bits in letters that SCRAM takes for a nonce.
fn random(broker: &Broker) -> String {
    broker.env.random_uuid().simple().to_string()
}
