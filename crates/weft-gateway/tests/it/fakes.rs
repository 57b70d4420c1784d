//! Views that answer by script, a small mesh, and a node around the doors.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use weft_gateway::{
    CatalogView, EventStream, Gate, Gateway, KafkaDoor, Options, Readiness, RunState, ViewError, Views,
};
use weft_model::kind::{Diagnostic, Kind};
use weft_model::load::DescriptorTexts;
use weft_model::mesh::{Domain, Listeners, Mesh, Replay};
use weft_model::name::{PortId, ProductId};
use weft_model::principal::Principal;
use weft_model::product::{Behaviour, Encoding, InputPort, OutputPort, PortKind, PortRole, Product, Status};
use weft_model::query::{Answer, Position, PullQuery, QueryLimits, StreamEvent};
use weft_model::schema::{Column, ColumnType, Schema};

/// 2⁵³ + 1, which a double cannot hold, and a float that a re-formatter would change.
pub(crate) const EXACT_ROW: &str = r#"{"origin":"EWR","n":9007199254740993,"x":1.0,"d":"1.50"}"#;
/// How the descriptors of this mesh begin; the comment is part of what must come back.
pub(crate) const ODPS: &str = "# ours\napiVersion: v1.1.0\nkind: DataProduct\n";
pub(crate) const ODCS: &str = "# ours\napiVersion: v3.1.0\nkind: DataContract\n";
/// Bytes of one row of the endless port.
pub(crate) const FLOOD_ROW_BYTES: usize = 1000;

pub(crate) fn product_id(text: &str) -> ProductId {
    let (domain, product) = text.split_once('.').unwrap();
    ProductId { domain: domain.parse().unwrap(), product: product.parse().unwrap() }
}

pub(crate) fn error(kind: Kind, because: &str) -> ViewError {
    Box::new(Diagnostic {
        kind,
        code: "SQL-001",
        what: "cannot answer".to_owned(),
        because: because.to_owned(),
        try_: "something else".to_owned(),
        place: None,
    })
}

/// What was asked, in order; and how streams fared.
#[derive(Default)]
pub(crate) struct FakeViews {
    pub(crate) pulls: Mutex<Vec<(PortId, PullQuery, QueryLimits)>>,
    pub(crate) resumes: Mutex<Vec<Option<String>>>,
    pub(crate) dropped: Arc<AtomicUsize>,
    pub(crate) flooded: Arc<AtomicUsize>,
    /// Behind a gate nobody is anonymous, and without one everybody is.
    pub(crate) is_guarded: AtomicBool,
    pub(crate) asked_by: Mutex<Vec<Principal>>,
}

impl FakeViews {
    fn asked(&self, principal: &Principal) {
        assert_ne!(*principal == Principal::Anonymous, self.is_guarded.load(Ordering::SeqCst));
        self.asked_by.lock().unwrap().push(principal.clone());
    }
}

struct CountDrop(Arc<AtomicUsize>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn answer(port: &PortId, rows: &[&str]) -> Answer {
    let position = Position {
        port: port.clone(),
        generation: 1,
        topic_id: Some("AAAA".to_owned()),
        offsets: BTreeMap::from([(0, 9_007_199_254_740_993), (1, 0)]),
        watermark: Some(1_357_038_000_000),
    };
    Answer { rows: rows.iter().map(|row| (*row).to_owned()).collect(), position: vec![position], next: None }
}

impl Views for FakeViews {
    fn pull<'a>(
        &'a self,
        principal: &'a Principal,
        port: &'a PortId,
        query: PullQuery,
        limits: QueryLimits,
    ) -> BoxFuture<'a, Result<Answer, ViewError>> {
        self.asked(principal);
        self.pulls.lock().unwrap().push((port.clone(), query.clone(), limits));
        let guard = CountDrop(Arc::clone(&self.dropped));
        async move {
            let _guard = guard;
            match (port.port.as_str(), query.page.as_deref()) {
                ("silent", _) => std::future::pending().await,
                ("panics", _) => panic!("a row of sorrow"),
                (_, Some("bad")) => Err(error(Kind::Invalid, "the page token is not ours")),
                (_, Some("old")) => Err(error(Kind::Fenced, "the page token is of an older generation")),
                ("current", _) => Ok(Answer { next: Some("page 2=".to_owned()), ..answer(port, &[EXACT_ROW, "{}"]) }),
                _ => Ok(answer(port, &[])),
            }
        }
        .boxed()
    }

    fn sql<'a>(
        &'a self,
        principal: &'a Principal,
        sql: &'a str,
        _limits: QueryLimits,
    ) -> BoxFuture<'a, Result<Answer, ViewError>> {
        self.asked(principal);
        let guard = CountDrop(Arc::clone(&self.dropped));
        async move {
            let _guard = guard;
            let kind = match sql {
                "forever" => std::future::pending().await,
                "panic" => panic!("a query of sorrow"),
                "Invalid" => Kind::Invalid,
                "NotFound" => Kind::NotFound,
                "Exists" => Kind::Exists,
                "Denied" => Kind::Denied,
                "TooLarge" => Kind::TooLarge,
                "Busy" => Kind::Busy,
                "Unavailable" => Kind::Unavailable,
                "Fenced" => Kind::Fenced,
                "Corrupt" => Kind::Corrupt,
                "Bug" => Kind::Bug,
                _ => {
                    let port =
                        PortId { product: product_id("insights.delays"), port: "current".parse().unwrap(), major: 1 };
                    return Ok(answer(&port, &[EXACT_ROW]));
                }
            };
            Err(error(kind, "the script says so"))
        }
        .boxed()
    }

    fn stream<'a>(
        &'a self,
        principal: &'a Principal,
        port: &'a PortId,
        resume: Option<String>,
    ) -> BoxFuture<'a, Result<EventStream, ViewError>> {
        self.asked(principal);
        self.resumes.lock().unwrap().push(resume.clone());
        let guard = CountDrop(Arc::clone(&self.dropped));
        let row = |n: usize| StreamEvent::Row { row: format!("{{\"n\":{n}}}"), token: format!("t{n}") };
        async move {
            let events: EventStream = match (port.port.as_str(), resume.as_deref()) {
                (_, Some("bad")) => return Err(error(Kind::Invalid, "the resume token is not ours")),
                ("silent", _) => stream::pending().boxed(),
                ("panics", _) => panic!("a stream of sorrow"),
                ("final", _) => {
                    stream::iter([Ok(row(1)), Err(error(Kind::TooLarge, "the reader is too far behind"))]).boxed()
                }
                ("flood", _) => {
                    let flooded = Arc::clone(&self.flooded);
                    let text = format!("\"{}\"", "x".repeat(FLOOD_ROW_BYTES - 2));
                    stream::repeat_with(move || {
                        flooded.fetch_add(1, Ordering::SeqCst);
                        Ok(StreamEvent::Row { row: text.clone(), token: "t".to_owned() })
                    })
                    .boxed()
                }
                (_, Some("old")) => {
                    let reset = StreamEvent::Reset { reason: "offset 5 is behind the log start, 17".to_owned() };
                    stream::iter([Ok(reset), Ok(row(17))]).chain(stream::pending()).boxed()
                }
                (_, Some("t2")) => stream::iter([Ok(row(3))]).chain(stream::pending()).boxed(),
                _ => {
                    let exact = StreamEvent::Row { row: EXACT_ROW.to_owned(), token: "t1".to_owned() };
                    let delete = StreamEvent::Delete { key: r#"{"origin":"LGA"}"#.to_owned(), token: "t3".to_owned() };
                    let live = StreamEvent::Live { token: "t2".to_owned() };
                    stream::iter([Ok(exact), Ok(live), Ok(delete)]).chain(stream::pending()).boxed()
                }
            };
            let guarded = events.map(move |event| {
                let _ = &guard;
                event
            });
            Ok(guarded.boxed())
        }
        .boxed()
    }
}

/// A mesh of two products, which may not be there yet.
pub(crate) struct FakeCatalog {
    pub(crate) mesh: Mutex<Option<Arc<Mesh>>>,
    pub(crate) ready: AtomicBool,
    pub(crate) kafka: Mutex<KafkaDoor>,
}

impl CatalogView for FakeCatalog {
    fn mesh(&self) -> Option<Arc<Mesh>> {
        self.mesh.lock().unwrap().clone()
    }

    fn generation(&self, port: &PortId) -> Option<u32> {
        (port.port.as_str() == "current").then_some(3)
    }

    fn descriptors(&self) -> Arc<DescriptorTexts> {
        let mut texts = DescriptorTexts::default();
        for product in self.mesh().iter().flat_map(|mesh| mesh.products.values().cloned().collect::<Vec<_>>()) {
            texts.products.insert(product.id.clone(), format!("{ODPS}id: {}\n", product.id).into());
            for port in product.outputs.iter().filter(|port| port.role == PortRole::Declared) {
                texts.contracts.insert(port.id.clone(), format!("{ODCS}id: {}\n", port.contract_id).into());
            }
        }
        Arc::new(texts)
    }

    fn kafka(&self) -> Option<KafkaDoor> {
        Some(self.kafka.lock().unwrap().clone())
    }

    fn run_state(&self, product: &ProductId) -> Option<RunState> {
        let weft_runs_it = *product == product_id("insights.delays");
        weft_runs_it.then(|| RunState { state: "running".to_owned(), detail: Some("12 rows behind".to_owned()) })
    }

    fn readiness(&self) -> Vec<Readiness> {
        let ready = self.ready.load(Ordering::SeqCst);
        let reason = if ready { "2 products run" } else { "restoring state of insights.delays" };
        vec![
            Readiness { part: "log".to_owned(), ready: true, reason: "listens".to_owned() },
            Readiness { part: "engine".to_owned(), ready, reason: reason.to_owned() },
        ]
    }
}

fn port(product: &str, name: &str, major: u32, kind: PortKind) -> OutputPort {
    let columns = [
        ("origin", ColumnType::String),
        ("carrier", ColumnType::String),
        ("window_start", ColumnType::Timestamp),
        ("n", ColumnType::Int64),
        ("price", ColumnType::Decimal { precision: 10, scale: 2 }),
    ];
    let columns =
        columns.map(|(name, column_type)| Column { name: name.to_owned(), column_type, nullable: name == "n" });
    let id = PortId { product: product_id(product), port: name.parse().unwrap(), major };
    OutputPort {
        topic: weft_model::topic::port_topic("", &id),
        id,
        role: PortRole::Declared,
        kind,
        adopted: false,
        partitions: 2,
        contract_id: format!("{name}-contract"),
        description: "what it is for".to_owned(),
        schema: Schema { columns: columns.to_vec() },
        key: ["origin", "carrier", "window_start"].map(str::to_owned).to_vec(),
        event_time: Some("window_start".to_owned()),
        event_time_offset_ms: 0,
        column_docs: BTreeMap::from([("n".to_owned(), "how many".to_owned())]),
        encoding: Encoding::Json,
        retention_ms: -1,
    }
}

fn product(id: &str, outputs: Vec<OutputPort>, behaviour: Behaviour) -> Product {
    let reads = PortId { product: product_id("flight-ops.flights"), port: "flights".parse().unwrap(), major: 1 };
    Product {
        id: product_id(id),
        owner: "insights-team".to_owned(),
        version: "1.0.0".to_owned(),
        status: Status::Active,
        purpose: "to test".to_owned(),
        tags: vec!["demo".to_owned()],
        inputs: vec![InputPort { name: "flights".to_owned(), reads, broadcast: false, bound_ms: 0 }],
        outputs,
        behaviour,
        parameters: BTreeMap::new(),
    }
}

pub(crate) fn mesh() -> Mesh {
    let delays = ["current", "silent", "panics"].map(|name| port("insights.delays", name, 1, PortKind::Upsert));
    let mut delays = delays.to_vec();
    delays.push(port("insights.delays", "current", 2, PortKind::Upsert));
    for name in ["final", "flood"] {
        delays.push(port("insights.delays", name, 1, PortKind::Append));
    }
    delays.extend(weft_model::builtin_ports::builtin_ports("", &product_id("insights.delays")));
    let transform = Behaviour::Transform { sql: String::new(), file: "transform.sql".to_owned() };
    let delays = product("insights.delays", delays, transform);
    let flights = port("flight-ops.flights", "flights", 1, PortKind::Append);
    let flights = product("flight-ops.flights", vec![flights], Behaviour::External);
    let domain = |name: &str| Domain {
        name: name.parse().unwrap(),
        owner: format!("{name}-team"),
        description: "a domain".to_owned(),
    };
    let domains = ["insights", "flight-ops"].map(|name| (name.parse().unwrap(), domain(name)));
    Mesh {
        id: "flights".parse().unwrap(),
        topic_prefix: String::new(),
        listeners: Listeners { kafka: "127.0.0.1:0".to_owned(), http: "127.0.0.1:0".to_owned() },
        replay: Replay::Max,
        domains: domains.into_iter().collect(),
        products: [delays, flights].into_iter().map(|product| (product.id.clone(), product)).collect(),
    }
}

/// Doors on a free port of loopback.
pub(crate) struct Node {
    pub(crate) addr: SocketAddr,
    pub(crate) views: Arc<FakeViews>,
    pub(crate) catalog: Arc<FakeCatalog>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) serving: JoinHandle<()>,
}

pub(crate) async fn node() -> Node {
    node_with(Options::default()).await
}

pub(crate) async fn node_with(options: Options) -> Node {
    node_guarded(options, None).await
}

pub(crate) async fn node_guarded(options: Options, gate: Option<Arc<dyn Gate>>) -> Node {
    let views = Arc::new(FakeViews::default());
    let kafka =
        KafkaDoor { bootstrap: "127.0.0.1:9092,127.0.0.2:9092".to_owned(), by_tls: false, sasl_mechanism: None };
    let catalog = Arc::new(FakeCatalog {
        mesh: Mutex::new(Some(Arc::new(mesh()))),
        ready: AtomicBool::new(true),
        kafka: Mutex::new(kafka),
    });
    let listener = Gateway::bind("127.0.0.1:0", false).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let gateway =
        Gateway::new(options, Arc::clone(&views) as Arc<dyn Views>, Arc::clone(&catalog) as Arc<dyn CatalogView>)
            .unwrap()
            .append_metrics(Arc::new(|text: &mut String| text.push_str("# TYPE other_room gauge\nother_room 7")));
    views.is_guarded.store(gate.is_some(), Ordering::SeqCst);
    let gateway = match gate {
        Some(gate) => gateway.guard(gate, None),
        None => gateway,
    };
    let stop = shutdown.clone();
    let serving = tokio::spawn(async move { gateway.serve(listener, stop).await.unwrap() });
    Node { addr, views, catalog, shutdown, serving }
}
