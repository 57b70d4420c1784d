//! A listener that wants to know who asks: SASL by librdkafka and by hand, and what each may do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::future::BoxFuture;
use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::{
    ApiVersionsRequest, MetadataRequest, SaslAuthenticateRequest, SaslHandshakeRequest, SaslHandshakeResponse,
};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use weft_log::authorizer::{Action, Authorizer, Resource};
use weft_log::keys::{Guard, Keys, ScramCredential, ScramHash};
use weft_log::{Log, LogHandle};
use weft_model::principal::Principal;
use weft_wire::env::Env;

use crate::raw::{Client, PATIENCE, code, options, text};

/// One name with the password of RFC 7677's example.
struct OneName {
    name: &'static str,
    principal: Principal,
    ready: watch::Sender<bool>,
    shrunk: watch::Sender<bool>,
}

impl OneName {
    fn new(name: &'static str, principal: Principal, ready: bool) -> Arc<Self> {
        Arc::new(Self { name, principal, ready: watch::Sender::new(ready), shrunk: watch::Sender::new(false) })
    }
}

fn when(flag: &watch::Sender<bool>) -> BoxFuture<'static, ()> {
    let mut flag = flag.subscribe();
    Box::pin(async move {
        let _ = flag.wait_for(|flag| *flag).await;
    })
}

impl Keys for OneName {
    fn ready(&self) -> BoxFuture<'static, ()> {
        when(&self.ready)
    }

    fn scram(&self, name: &str, hash: ScramHash) -> Option<ScramCredential> {
        let bytes = |text| STANDARD.decode(text).unwrap();
        (name == self.name && hash == ScramHash::Sha256).then(|| ScramCredential {
            salt: bytes("W22ZaJ0SNY7soEsUEjb6gQ=="),
            iterations: 4096,
            stored_key: bytes("WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="),
            server_key: bytes("wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="),
        })
    }

    fn matches(&self, name: &str, key: &str) -> bool {
        name == self.name && key == "pencil"
    }

    fn principal(&self, name: &str) -> Option<Principal> {
        (name == self.name).then(|| self.principal.clone())
    }

    fn shrinks(&self, _name: &str) -> BoxFuture<'static, ()> {
        when(&self.shrunk)
    }
}

/// The operator does everything, others see topic `mine`.
struct Mine;

impl Authorizer for Mine {
    fn allows(&self, principal: &Principal, resource: Resource<'_>, action: Action) -> bool {
        *principal == Principal::Operator
            || matches!(action, Action::Read | Action::Describe) && resource == Resource::Topic("mine")
    }
}

struct Bench {
    handle: LogHandle,
    clients: Arc<OneName>,
    _folder: TempDir,
}

async fn bench(ready: bool) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let clients = OneName::new("user", Principal::Client("user".parse().unwrap()), ready);
    let own = OneName::new("__operator", Principal::Operator, true);
    let guard = Guard { clients: clients.clone(), own, authorizer: Arc::new(Mine), tls: None };
    let handle = Log::start_guarded(options(&folder), Env::real(), guard).await.unwrap();
    Bench { handle, clients, _folder: folder }
}

impl Bench {
    fn config(&self, own: bool, password: &str) -> ClientConfig {
        let (address, name) =
            if own { (self.handle.own_addr().unwrap(), "__operator") } else { (self.handle.listen_addr(), "user") };
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", address.to_string()).set("log_level", "0").set("group.id", "g");
        config.set("security.protocol", "SASL_PLAINTEXT").set("sasl.mechanism", "SCRAM-SHA-256");
        config.set("sasl.username", name).set("sasl.password", password);
        config
    }

    async fn make(&self, topics: &[&str]) {
        let admin: AdminClient<DefaultClientContext> = self.config(true, "pencil").create().unwrap();
        let topics: Vec<NewTopic<'_>> =
            topics.iter().map(|name| NewTopic::new(name, 1, TopicReplication::Fixed(1))).collect();
        let made = admin.create_topics(&topics, &AdminOptions::new()).await.unwrap();
        assert!(made.iter().all(Result::is_ok), "{made:?}");
    }

    async fn raw(&self) -> Client {
        Client::connect(&self.handle.listen_addr().to_string()).await
    }
}

fn topics(config: &ClientConfig, wait: Duration) -> Result<Vec<String>, String> {
    let consumer: BaseConsumer = config.create().unwrap();
    let metadata = consumer.fetch_metadata(None, wait).map_err(|error| error.to_string())?;
    Ok(metadata.topics().iter().map(|topic| topic.name().to_owned()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_sees_what_is_theirs() {
    let bench = bench(true).await;
    bench.make(&["mine", "others"]).await;
    assert_eq!(topics(&bench.config(false, "pencil"), PATIENCE), Ok(vec!["mine".to_owned()]));
    assert_eq!(topics(&bench.config(true, "pencil"), PATIENCE).unwrap().len(), 2);
    assert!(topics(&bench.config(false, "pen"), Duration::from_secs(1)).is_err(), "another key");
    let mut elsewhere = bench.config(true, "pencil");
    elsewhere.set("bootstrap.servers", bench.handle.listen_addr().to_string());
    assert!(topics(&elsewhere, Duration::from_secs(1)).is_err(), "the operator's name opens only its own door");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_accepted_before_the_keys_are_known() {
    let bench = bench(false).await;
    assert!(topics(&bench.config(false, "pencil"), Duration::from_millis(500)).is_err());
    assert!(topics(&bench.config(true, "pencil"), PATIENCE).is_ok(), "the process itself comes in");
    bench.clients.ready.send_replace(true);
    assert!(topics(&bench.config(false, "pencil"), PATIENCE).is_ok());
}

async fn handshake(client: &mut Client, version: i16, mechanism: &str) -> SaslHandshakeResponse {
    client.call(version, &SaslHandshakeRequest::default().with_mechanism(text(mechanism))).await
}

async fn log_in(client: &mut Client) {
    assert_eq!(handshake(client, 1, "SCRAM-SHA-256").await.error_code, 0);
    // librdkafka proves the exchange; here a wrong proof is enough.
    let first = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from_static(b"n,,n=user,r=abc"));
    assert_eq!(client.call(2, &first).await.error_code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn before_a_log_in_there_are_only_versions_and_mechanisms() {
    let bench = bench(true).await;
    let mut client = bench.raw().await;
    let versions = ApiVersionsRequest::default();
    assert_eq!(client.call(0, &versions).await.error_code, 0);
    let offered = handshake(&mut client, 1, "PLAIN").await;
    assert_eq!(offered.error_code, code(Code::UnsupportedSaslMechanism), "a key in the clear");
    assert_eq!(offered.mechanisms, [text("SCRAM-SHA-512"), text("SCRAM-SHA-256")]);
    assert_eq!(handshake(&mut client, 0, "SCRAM-SHA-256").await.error_code, code(Code::UnsupportedVersion));
    client.send(4, &MetadataRequest::default().with_topics(None)).await;
    assert!(client.receive_frame().await.is_none(), "the connection ends");

    let mut client = bench.raw().await;
    // Its length is enough: nothing of it is waited for.
    client.stream.write_all(&(600 * 1024_i32).to_be_bytes()).await.unwrap();
    assert!(client.receive_frame().await.is_none(), "a stranger's request is small");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_proof_is_told_once_and_ends_the_connection() {
    let bench = bench(true).await;
    let mut client = bench.raw().await;
    log_in(&mut client).await;
    let last = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from_static(b"c=biws,r=abc,p=AAAA"));
    let refused = client.call(2, &last).await;
    assert_eq!(refused.error_code, code(Code::SaslAuthenticationFailed));
    let again = client.call(2, &last).await;
    assert_eq!(again.error_code, code(Code::SaslAuthenticationFailed), "there is no second try");
    let began = Instant::now();
    assert!(client.receive_frame().await.is_none());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_away_ends_open_connections_at_once() {
    let bench = bench(true).await;
    bench.make(&["mine"]).await;
    let mut client = bench.raw().await;
    log_in(&mut client).await;
    let began = Instant::now();
    bench.clients.shrunk.send_replace(true);
    assert!(client.receive_frame().await.is_none());
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_loopback_there_must_be_tls_besides() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(&folder);
    options.listen = "0.0.0.0:0".parse().unwrap();
    let keys = OneName::new("user", Principal::Operator, true);
    let guard = Guard { clients: keys.clone(), own: keys, authorizer: Arc::new(Mine), tls: None };
    match Log::start_guarded(options, Env::real(), guard).await {
        Ok(_) => panic!("it started"),
        Err(error) => assert_eq!(error.diagnostic().code, "LOG-007"),
    }
}
