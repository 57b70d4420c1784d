//! The audit topic on a log: two nodes agree, whoever wrote.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::time::{Duration, Instant};

use tempfile::TempDir;
use weft_access::{Access, AccessError, Change, Hand, Options, Refusal, Standing};
use weft_log::{Log, LogHandle};
use weft_model::name::{ClientName, PortId, ProductId};
use weft_wire::env::Env;

struct Bench {
    log: LogHandle,
    _folder: TempDir,
}

impl Bench {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = weft_log::Options::new(folder.path().join("log"));
        options.listen.set_port(0);
        let log = Log::start(options, Env::real()).await.unwrap();
        Self { log, _folder: folder }
    }

    async fn access(&self) -> Access {
        let options = Options::new(self.log.listen_addr().to_string(), "m".parse().unwrap());
        let access = Access::follow(options);
        access.ready().await.unwrap();
        access
    }
}

fn hand(by: &str) -> Hand {
    Hand { by: by.to_owned(), via: "cli".to_owned() }
}

fn app() -> ClientName {
    "app".parse().unwrap()
}

fn port() -> PortId {
    let product = ProductId { domain: "d".parse().unwrap(), product: "p".parse().unwrap() };
    PortId { product, port: "o".parse().unwrap(), major: 1 }
}

async fn asked(access: &Access) -> u64 {
    let change =
        Change::Requested { client: app(), port: port(), topic: "d.p.o.v1".to_owned(), purpose: "to see".to_owned() };
    access.record(&hand("app"), change).await.unwrap().request.unwrap()
}

fn approve(request: u64) -> Change {
    Change::Approved { request, reason: "fine".to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_decisions_at_once_one_counts_and_both_nodes_know_which() {
    let bench = Bench::start().await;
    let (here, there) = (bench.access().await, bench.access().await);
    let key = here.create_client(&hand("ann"), app()).await.unwrap();
    let request = asked(&there).await;
    let deny = Change::Denied { request, reason: "no".to_owned() };
    let (ann, bob) = (hand("ann"), hand("bob"));
    let (yes, no) = tokio::join!(here.record(&ann, approve(request)), there.record(&bob, deny));
    assert_ne!(yes.is_ok(), no.is_ok(), "{yes:?} {no:?}");
    let lost = yes.as_ref().err().or_else(|| no.as_ref().err()).unwrap();
    assert!(matches!(lost, AccessError::Refused(Refusal::Decided { .. })), "{lost}");
    let wanted = if yes.is_ok() { Standing::Approved } else { Standing::Denied };
    // A third one that comes later and reads it all.
    for access in [bench.access().await, here] {
        assert_eq!(access.state().request(request).unwrap().standing, wanted);
        assert_eq!(access.state().holder(key.reveal()).unwrap().name, app());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_node_revokes_is_felt_here_at_once() {
    let bench = Bench::start().await;
    let (here, there) = (bench.access().await, bench.access().await);
    here.create_client(&hand("ann"), app()).await.unwrap();
    let request = asked(&here).await;
    here.record(&hand("ann"), approve(request)).await.unwrap();
    let shrinks = here.shrinks(&app());
    let reads = here.shrinks(&app());
    let revoked = tokio::spawn(async move {
        reads.may_not_read(&port()).await;
        Instant::now()
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!revoked.is_finished(), "it may read");
    there.record(&hand("bob"), Change::Revoked { request, reason: "over".to_owned() }).await.unwrap();
    let known = Instant::now();
    let felt = tokio::time::timeout(Duration::from_secs(10), revoked).await.unwrap().unwrap();
    assert!(felt.saturating_duration_since(known) < Duration::from_secs(1));
    tokio::time::timeout(Duration::from_secs(10), shrinks.happened()).await.unwrap();
    here.shrinks(&app()).may_not_read(&port()).await;
    here.shrinks(&"nobody".parse().unwrap()).happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reason_is_a_sentence_and_not_a_book() {
    let bench = Bench::start().await;
    let access = bench.access().await;
    access.create_client(&hand("ann"), app()).await.unwrap();
    let request = asked(&access).await;
    for reason in ["", "  ", &"x".repeat(1001)] {
        let denied = access.record(&hand("ann"), Change::Denied { request, reason: reason.to_owned() }).await;
        assert!(matches!(denied, Err(AccessError::Text { what: "reason", .. })), "{denied:?}");
    }
    assert_eq!(access.state().request(request).unwrap().standing, Standing::Pending);
}
