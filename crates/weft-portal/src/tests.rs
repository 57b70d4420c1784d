//! Pages of a mesh made by hand, asked as a browser without scripts asks them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use futures::future::BoxFuture;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use weft_model::builtin_ports::builtin_ports;
use weft_model::kind::{Diagnostic, Kind};
use weft_model::mesh::{Domain, Listeners, Mesh, Replay};
use weft_model::name::{DomainName, PortId, ProductId};
use weft_model::principal::Principal;
use weft_model::product::{
    Behaviour, Encoding, InputPort, OutputPort, PortKind, PortRole, Product, SourceSpec, Status,
};
use weft_model::query::{Answer, PullQuery};
use weft_model::schema::{Column, ColumnType, Schema};

use crate::ask::{
    Addresses, Answered, Ask, GroupPartition, GroupSeen, GroupsSeen, MemberSeen, NodeOn, NodeSeen, Numbers,
    PartitionNumbers, PortNumbers, ProductTasks, RunState, Task, Topics, Waits,
};
use crate::layout::{BOX_WIDTH, Item, layout};
use crate::rows::{self, Table};
use crate::search::Index;
use crate::{pages, words};

/// What a hostile descriptor says.
const MARKUP: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";

struct Fake {
    mesh: Option<Arc<Mesh>>,
    rows: Vec<String>,
}

impl Ask for Fake {
    fn mesh(&self) -> Option<Arc<Mesh>> {
        self.mesh.clone()
    }

    fn desk(&self) -> Option<&dyn crate::desk::Desk> {
        None
    }

    fn generation(&self, _: &PortId) -> Option<u32> {
        Some(3)
    }

    fn run_state(&self, product: &ProductId) -> Option<RunState> {
        let state = if product.product.as_str() == "broken" { "failed" } else { "running" };
        Some(RunState { state: state.to_owned(), detail: Some(MARKUP.to_owned()) })
    }

    fn addresses(&self) -> Addresses {
        Addresses { kafka: "127.0.0.1:9092".to_owned(), http: "127.0.0.1:8080".to_owned(), keys: None }
    }

    fn numbers(&self) -> Arc<Numbers> {
        let mut numbers = Numbers { at_ms: vec![0, 2_000, 4_000], ..Numbers::default() };
        for port in self.mesh.iter().flat_map(|mesh| mesh.products.values()).flat_map(|product| &product.outputs) {
            let partitions = BTreeMap::from([(0, PartitionNumbers { start: 0, end: 1_234_567, watermark: Some(0) })]);
            let ends = vec![Some(1_234_000), None, Some(1_234_567)];
            numbers.ports.insert(port.id.clone(), PortNumbers { ends, partitions, watermark: None, bad_records: 0 });
        }
        Arc::new(numbers)
    }

    fn nodes(&self) -> Vec<NodeSeen> {
        let products = self.mesh.iter().flat_map(|mesh| mesh.products.keys());
        let on = |product: &ProductId| NodeOn {
            product: product.clone(),
            state: "restoring".to_owned(),
            detail: Some(MARKUP.to_owned()),
            generation: Some(1),
            tasks: Some(4),
            records_in_per_second: 1.0,
            restoring: Some((1_000, 2_000)),
        };
        vec![NodeSeen {
            name: "a".to_owned(),
            is_this: true,
            lives: Some(true),
            http: "127.0.0.1:8080".to_owned(),
            process: MARKUP.to_owned(),
            runs: products.map(on).collect(),
            ..NodeSeen::default()
        }]
    }

    fn groups(&self) -> Option<Arc<GroupsSeen>> {
        let partition =
            |committed, end, waits| GroupPartition { topic: "t".to_owned(), partition: 0, committed, end, waits };
        let group = |id: &str, kind: &str, partitions| GroupSeen {
            id: id.to_owned(),
            kind: kind.to_owned(),
            state: "Stable".to_owned(),
            members: vec![MemberSeen { client_id: MARKUP.to_owned(), host: "/127.0.0.1".to_owned(), lag: 7 }],
            partitions,
            trend: vec![10, 20, 30, 9_007_199_254_740_993],
            error: None,
        };
        Some(Arc::new(GroupsSeen {
            at_ms: 0,
            count: 3,
            groups: vec![
                group(
                    "behind",
                    "Consumer",
                    vec![partition(Some(10), Some(9_007_199_254_741_003), Some(Waits::For(42_000)))],
                ),
                group("never", "Classic", vec![partition(None, Some(7), None)]),
                group(MARKUP, "Classic", vec![partition(Some(7), Some(7), None), partition(None, None, None)]),
            ],
            error: None,
        }))
    }

    fn tasks(&self) -> Vec<ProductTasks> {
        let positions = vec![("in".to_owned(), 3, 77)];
        let task = Task { subtopology: 0, partition: 3, watermark: i64::MIN, commit: 9, waiting: (0, 0), positions };
        vec![ProductTasks {
            product: id("shop", "cut"),
            generation: 1,
            state: "restoring".to_owned(),
            detail: Some(MARKUP.to_owned()),
            records_in_per_second: 0.0,
            commits: 9,
            restored_records: 1_234,
            restoring: None,
            start_overs: 0,
            tasks: vec![task],
        }]
    }

    fn topics<'a>(&'a self, _: &'a str, from: usize, most: usize) -> BoxFuture<'a, Answered<Topics>> {
        let topic = |at: usize| (format!("topic-{at}"), BTreeMap::from([(0, None)]));
        let topics = (from..5_000).take(most).map(topic).collect();
        let brokers = vec!["1 localhost:9092".to_owned()];
        Box::pin(async { Ok(Topics { fitting: 5_000, count: 5_000, partitions: 20_000, brokers, topics }) })
    }

    fn tail_token(&self, _: &PortId) -> Option<String> {
        Some("token".to_owned())
    }

    fn pull<'a>(&'a self, _: &'a Principal, port: &'a PortId, _: PullQuery) -> BoxFuture<'a, Answered<Answer>> {
        let rows = match port.port.as_str() {
            "errors" => vec![
                r#"{"at":"x op-1","topic":null,"partition":null,"offset":null,"file":"f.csv","line":9007199254740993,"column":"n","reason":"<b>bad</b>","raw":"//4A/w=="}"#
                    .to_owned(),
            ],
            "late" => Vec::new(),
            _ => self.rows.clone(),
        };
        Box::pin(async { Ok(Answer { rows, position: Vec::new(), next: None }) })
    }

    fn sql<'a>(&'a self, _: &'a Principal, sql: &'a str) -> BoxFuture<'a, Answered<Answer>> {
        let answer = if sql.contains("everything") {
            Err(Box::new(Diagnostic {
                kind: Kind::TooLarge,
                code: "VIEW-004",
                what: "the answer is too large".to_owned(),
                because: "it has more than 10000 rows, the limit `http.sql.rows_max`".to_owned(),
                try_: "add a LIMIT".to_owned(),
                place: None,
            }))
        } else {
            Ok(Answer { rows: self.rows.clone(), position: Vec::new(), next: None })
        };
        Box::pin(async { answer })
    }
}

fn id(domain: &str, product: &str) -> ProductId {
    ProductId { domain: domain.parse().unwrap(), product: product.parse().unwrap() }
}

/// A product with one declared port `out`, read from `reads`.
pub(crate) fn product(domain: &str, name: &str, purpose: &str, reads: &[&ProductId]) -> Product {
    let id = id(domain, name);
    let port = |product: &ProductId| PortId { product: product.clone(), port: "out".parse().unwrap(), major: 1 };
    let column = |name: &str, column_type, nullable| Column { name: name.to_owned(), column_type, nullable };
    let declared = OutputPort {
        id: port(&id),
        role: PortRole::Declared,
        kind: PortKind::Upsert,
        topic: format!("{domain}.{name}.out.v1"),
        adopted: false,
        partitions: 1,
        contract_id: format!("{domain}.{name}.out"),
        description: "What comes out".to_owned(),
        schema: Schema {
            columns: vec![column("serial_number", ColumnType::Int64, false), column("note", ColumnType::String, true)],
        },
        key: vec!["serial_number".to_owned()],
        event_time: None,
        event_time_offset_ms: 0,
        column_docs: BTreeMap::from([("serial_number".to_owned(), "Engraved on the case".to_owned())]),
        encoding: Encoding::Json,
        retention_ms: -1,
    };
    let behaviour = if reads.is_empty() {
        Behaviour::Source(SourceSpec {
            port: "out".parse().unwrap(),
            file: "f.csv".to_owned(),
            null: "NA".to_owned(),
            mode: weft_model::product::ReplayMode::Once,
            derive: Vec::new(),
            disorder: None,
            disk_reserve_bytes: 0,
        })
    } else {
        Behaviour::Transform { sql: "INSERT INTO out SELECT 1".to_owned(), file: "transform.sql".to_owned() }
    };
    let inputs = reads.iter().enumerate().map(|(at, read)| InputPort {
        name: format!("in{at}"),
        reads: port(read),
        broadcast: false,
        bound_ms: 0,
    });
    let [errors, late] = builtin_ports("", &id);
    Product {
        inputs: inputs.collect(),
        outputs: vec![declared, errors, late],
        id,
        owner: format!("team-{domain}"),
        version: "1.0.0".to_owned(),
        status: Status::Active,
        purpose: purpose.to_owned(),
        tags: vec!["tools".to_owned()],
        behaviour,
        parameters: BTreeMap::new(),
    }
}

pub(crate) fn mesh(products: Vec<Product>) -> Arc<Mesh> {
    let mut domains: BTreeMap<DomainName, Domain> = BTreeMap::new();
    for product in &products {
        let name = product.id.domain.clone();
        let domain = Domain { name: name.clone(), owner: "owners".to_owned(), description: MARKUP.to_owned() };
        domains.insert(name, domain);
    }
    Arc::new(Mesh {
        id: "hand-made".parse().unwrap(),
        topic_prefix: String::new(),
        listeners: Listeners::default(),
        replay: Replay::Max,
        domains,
        products: products.into_iter().map(|product| (product.id.clone(), product)).collect(),
    })
}

fn small_mesh() -> Arc<Mesh> {
    let (saw, cut) = (id("shop", "saw"), id("shop", "cut"));
    let mut old = product("yard", "broken", "Old boards", &[&cut]);
    old.status = Status::Deprecated;
    old.tags = vec!["wood".to_owned()];
    mesh(vec![product("shop", "saw", MARKUP, &[]), product("shop", "cut", "Boards, cut to length", &[&saw]), old])
}

fn exact_rows() -> Vec<String> {
    vec![format!("{{\"serial_number\":9007199254740993,\"note\":{}}}", serde_json::to_string(MARKUP).unwrap())]
}

async fn get(fake: Fake, path: &str) -> (StatusCode, String) {
    let mut request = Request::get(path).body(Body::empty()).unwrap();
    request.extensions_mut().insert(Principal::Anonymous);
    let response = pages::router(Arc::new(fake)).oneshot(request).await.unwrap();
    let status = response.status();
    let policy = response.headers().get("content-security-policy");
    if status == StatusCode::OK && !path.starts_with("/portal/") {
        let policy = policy.unwrap().to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
    }
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// The page of a path on the small mesh, which must be there.
async fn page(path: &str) -> String {
    let (status, page) = get(Fake { mesh: Some(small_mesh()), rows: exact_rows() }, path).await;
    assert_eq!(status, StatusCode::OK, "{path}");
    page
}

#[tokio::test]
async fn text_of_others_is_never_markup() {
    for path in [
        "/operations",
        "/operations/groups",
        "/operations/topics",
        "/graph",
        "/graph?view=domains",
        "/",
        "/catalogue",
        "/catalogue?q=%3Cscript%3Ealert(1)",
        "/products/shop/saw",
        "/sql?q=%3C/textarea%3E%3Cscript%3Ealert(1)%3C/script%3E",
    ] {
        let page = page(path).await;
        assert!(!page.contains("<script>alert"), "{path}");
        assert!(!page.contains("<img src=x"), "{path}");
        assert!(!page.contains("<b>bad"), "{path}");
    }
    let product = page("/products/shop/saw").await;
    assert!(product.contains("&lt;script&gt;alert(1)"), "the purpose is shown as text");
}

#[tokio::test]
async fn integers_beyond_two_to_the_53_are_exact() {
    for path in ["/products/shop/saw", "/sql?q=SELECT+1"] {
        assert!(page(path).await.contains(">9007199254740993<"), "{path}");
    }
    assert!(page("/products/shop/saw").await.contains("f.csv, line 9007199254740993"));
}

#[tokio::test]
async fn a_megabyte_is_folded_and_cut() {
    let megabyte = "long ".repeat(200_000);
    let mut saw = product("shop", "saw", &megabyte, &[]);
    saw.owner = megabyte.clone();
    saw.tags = vec![megabyte.clone()];
    saw.outputs[0].description = megabyte.clone();
    saw.outputs[0].column_docs.insert("note".to_owned(), megabyte.clone());
    let mesh = mesh(vec![saw]);
    let rows = vec![format!("{{\"serial_number\":1,\"note\":\"{megabyte}\"}}")];
    for path in ["/", "/catalogue", "/catalogue?q=long", "/products/shop/saw", "/graph", "/sql?q=SELECT+1"] {
        let (status, page) = get(Fake { mesh: Some(Arc::clone(&mesh)), rows: rows.clone() }, path).await;
        assert_eq!(status, StatusCode::OK);
        assert!(page.len() < 150_000, "{path} has {} bytes", page.len());
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_are_shown_as_bytes() {
    let page = page("/products/shop/saw").await;
    assert!(page.contains("which are no text") && page.contains("ff fe 00 ff"), "{page}");
    let text = rows::original("aGVsbG8=").unwrap();
    assert!(text.is_text && text.shown == "hello");
    assert_eq!(rows::original("not base64!"), None);
}

#[tokio::test]
async fn the_catalogue_is_searched_and_filtered() {
    let found = async |query: &str| -> Vec<&'static str> {
        let page = page(&format!("/catalogue?{query}")).await;
        ["shop/saw", "shop/cut", "yard/broken"]
            .into_iter()
            .filter(|path| page.contains(&format!("<h2><a href=\"/products/{path}\"")))
            .collect()
    };
    assert_eq!(found("").await, ["shop/saw", "shop/cut", "yard/broken"]);
    assert_eq!(found("q=BOARDS").await, ["shop/cut", "yard/broken"]);
    assert_eq!(found("q=boards+length").await, ["shop/cut"]);
    assert_eq!(found("q=engraved&domain=yard").await, ["yard/broken"]);
    assert_eq!(found("owner=team-shop").await, ["shop/saw", "shop/cut"]);
    assert_eq!(found("status=deprecated").await, ["yard/broken"]);
    assert_eq!(found("tag=wood").await, ["yard/broken"]);
    assert_eq!(found("q=nowhere").await, [""; 0]);
    assert_eq!(found("page=77").await.len(), 3, "a page beyond the last is the last");
    assert!(page("/catalogue?q=engraved").await.contains("Found in column serial_number of port out"));
}

#[test]
fn a_whole_word_counts_more_than_a_piece_of_one() {
    let mesh = mesh(vec![
        product("a", "one", "sawdust", &[]),
        product("b", "two", "a saw", &[]),
        product("c", "three", "seesaw", &[]),
    ]);
    let hits = Index::of(&mesh).search("saw").unwrap();
    let order: Vec<String> = hits.iter().map(|hit| hit.product.to_string()).collect();
    assert_eq!(order, ["b.two", "a.one", "c.three"]);
    assert!(Index::of(&mesh).search("  ").is_none());
}

#[tokio::test]
async fn a_refusal_is_a_page_with_what_because_try_and_code() {
    let fake = || Fake { mesh: Some(small_mesh()), rows: Vec::new() };
    let (status, page) = get(fake(), "/products/shop/sav").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(page.contains("shop.saw") && page.contains("weft explain HTTP-008"), "{page}");
    let (status, page) = get(fake(), "/products/shop/saw?port=put").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(page.contains("such as &quot;out&quot;") && page.contains("HTTP-009"), "{page}");
    let (_, page) = get(fake(), "/sql?q=everything").await;
    assert!(page.contains("the limit `http.sql.rows_max`") && page.contains("VIEW-004"), "{page}");
    let (status, _) = get(Fake { mesh: None, rows: Vec::new() }, "/").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_plan_is_asked_for_as_a_query() {
    let rows = vec![r#"{"plan_type":"logical_plan","plan":"Projection: <b>1</b>"}"#.to_owned()];
    let (_, page) = get(Fake { mesh: Some(small_mesh()), rows }, "/sql?q=SELECT+1&plan=1").await;
    assert!(page.contains("logical_plan") && page.contains("Projection: &lt;b&gt;1"), "{page}");
}

#[tokio::test]
async fn a_query_from_another_site_is_not_run() {
    let ask = async |site: &str| {
        let mut request = Request::get("/sql?q=SELECT+1").header("sec-fetch-site", site).body(Body::empty()).unwrap();
        request.extensions_mut().insert(Principal::Anonymous);
        let fake = Fake { mesh: Some(small_mesh()), rows: exact_rows() };
        let response = pages::router(Arc::new(fake)).oneshot(request).await.unwrap();
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    };
    assert!(!ask("cross-site").await.contains("9007199254740993"));
    assert!(ask("same-origin").await.contains("9007199254740993"));
}

#[tokio::test]
async fn snippets_name_this_port_at_this_address() {
    let path = |language: &str| format!("/portal/snippets/shop/saw/ports/out/v1/{language}");
    for snippet in &crate::snippets::SNIPPETS {
        let text = page(&path(snippet.id)).await;
        match snippet.id {
            "sql" => assert!(text.contains("\"shop\".\"saw\".\"out@1\""), "{text}"),
            "curl" | "stream" => {
                assert!(text.contains("http://127.0.0.1:8080/v1/products/shop/saw/ports/out/v1"), "{text}")
            }
            _ => assert!(text.contains("127.0.0.1:9092") && text.contains("shop.saw.out.v1"), "{text}"),
        }
    }
    let (status, _) = get(Fake { mesh: Some(small_mesh()), rows: Vec::new() }, &path("cobol")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[test]
fn the_name_of_an_adopted_topic_is_no_program() {
    let mut saw = product("shop", "saw", "", &[]);
    saw.outputs[0].topic = "x'; rm -rf / #\"]);".to_owned();
    let mesh = mesh(vec![saw]);
    let port = mesh.products.values().next().unwrap().outputs[0].clone();
    let addresses = Addresses { kafka: "h:1".to_owned(), http: "h:2".to_owned(), keys: None };
    let page = crate::snippets::snippets(&port, &addresses).into_string();
    assert!(!page.contains("rm -rf /") && page.contains("-t xrm-rf "), "{page}");
}

#[test]
fn rows_with_other_fields_than_the_contract_keep_them() {
    let rows = [r#"{"a":1,"z":[1, 2]}"#.to_owned(), r#"{"b":"x"}"#.to_owned(), "no row".to_owned()];
    let table = Table::of(vec!["a".to_owned()], &rows);
    assert_eq!(table.columns, ["a", "z", "b"]);
    assert_eq!(table.rows.len(), 2);
    assert_eq!(table.text(&table.rows[0], "z").as_deref(), Some("[1, 2]"));
    assert_eq!(table.text(&table.rows[1], "a"), None);
}

#[test]
fn numbers_over_time() {
    let port = id("shop", "saw");
    let port = PortId { product: port, port: "out".parse().unwrap(), major: 1 };
    let series = |ends: Vec<Option<i64>>| {
        let at_ms = (0..ends.len()).map(|at| at as i64 * 2_000).collect();
        let numbers = PortNumbers { ends, ..PortNumbers::default() };
        Numbers { at_ms, ports: BTreeMap::from([(port.clone(), numbers)]), backlogs: BTreeMap::new() }
    };
    assert_eq!(series(vec![Some(0), None, Some(100)]).rate(&port, 10_000), Some(25.0));
    assert_eq!(series(vec![Some(7)]).rate(&port, 10_000), None, "one sample is no rate");
    assert_eq!(series(vec![Some(1), Some(5), Some(5), None]).changed_at_ms(&port), Some(Ok(2_000)));
    assert_eq!(series(vec![Some(5), Some(5)]).changed_at_ms(&port), Some(Err(0)));
    assert_eq!(series(vec![None, None]).changed_at_ms(&port), None, "not known is not never");
}

#[test]
fn how_numbers_and_times_read() {
    assert_eq!(words::grouped(9_007_199_254_740_993), "9,007,199,254,740,993");
    assert_eq!([0.0, 0.5, 1234.4].map(words::rate), ["0/s", "0.5/s", "1,234/s"]);
    assert_eq!(
        [-5, 119_000, 120_000, 7_200_000, 172_800_000].map(words::duration),
        ["0 s", "119 s", "2 min", "2 h", "2 d"]
    );
    assert_eq!(words::time(1_357_038_000_000), "2013-01-01 11:00:00Z");
    assert_eq!(words::watermark(Some(i64::MAX)), "complete");
    assert_eq!(words::cut("äö", 3), ("ä", true), "cut between characters");
}

#[tokio::test]
async fn the_graph_links_every_product_and_port_and_says_what_flows() {
    let page = page("/graph").await;
    for link in
        ["/products/shop/saw", "/products/shop/saw?port=out&amp;v=1", "/products/yard/broken", "/graph?domain=yard"]
    {
        assert!(page.contains(&format!("<a href=\"{link}\"")), "{link}");
    }
    assert!(page.contains("yard.broken, failed"), "health is in words too");
    assert_eq!(page.matches("<path class=\"flow").count(), 2);
    assert!(page.contains("class=\"flow bad"), "what a failed product reads does not flow well");
    assert!(page.contains("<td class=\"number\">not known</td>"), "an unknown backlog is not 0");
}

#[tokio::test]
async fn the_graph_of_a_part_shows_the_part() {
    let boxes = async |query: &str| page(&format!("/graph?{query}")).await.matches("<rect class=\"box").count();
    assert_eq!(boxes("view=products").await, 3);
    assert_eq!(boxes("view=domains").await, 2);
    assert_eq!(boxes("domain=yard").await, 2, "the domain's product and what it reads");
    assert_eq!(boxes("around=shop.saw").await, 3);
    assert_eq!(boxes("around=no.such").await, 3);
}

#[test]
fn boxes_do_not_touch_and_lines_run_to_the_right() {
    let item = |lane: &str, reads: &[usize]| Item { lane: lane.to_owned(), lines: 2, reads: reads.to_vec() };
    let mut items = vec![item("a", &[]), item("b", &[0]), item("a", &[0, 1]), item("c", &[2]), item("c", &[])];
    let laid = layout(&items);
    assert_eq!(laid, layout(&items), "the same mesh is the same picture");
    for (at, one) in items.iter().enumerate() {
        for read in &one.reads {
            assert!(laid.spots[*read].x + BOX_WIDTH < laid.spots[at].x);
        }
        for other in 0..at {
            let (a, b) = (laid.spots[at], laid.spots[other]);
            assert!(a.x != b.x || a.y + a.height <= b.y || b.y + b.height <= a.y, "{at} and {other} overlap");
        }
    }
    for lanes in laid.lanes.windows(2) {
        assert!(lanes[0].y + lanes[0].height < lanes[1].y, "regions do not overlap");
    }
    // A ring is cut, and a chain of ten thousand needs no deep stack.
    items[0].reads = vec![3];
    assert_eq!(layout(&items).spots.len(), 5);
    let chain: Vec<Item> =
        (0..10_000_usize).map(|at| item("long", &at.checked_sub(1).map_or(vec![], |read| vec![read]))).collect();
    assert_eq!(layout(&chain[..300]).lanes.len(), 1);
    let backwards: Vec<Item> = (0..2_000_usize).map(|at| item("long", &[(at + 1) % 2_000])).collect();
    assert_eq!(layout(&backwards).spots.len(), 2_000);
}

#[tokio::test]
async fn a_partition_without_a_commit_is_not_up_to_date() {
    let list = page("/operations/groups").await;
    let line = |name: &str| list.split("<tr>").find(|line| line.contains(name)).unwrap().to_owned();
    assert!(line("group=behind").contains("9,007,199,254,740,993"), "lag is exact");
    assert!(line("group=behind").contains("42 s") && line("group=behind").contains("consumer (KIP-848)"));
    assert!(line("group=behind").contains("rising"));
    let never = line("group=never");
    assert!(never.contains("no commit") && !never.contains(">0<") && never.contains("not known"), "{never}");
    let one = page("/operations/groups?group=never").await;
    assert!(one.contains("no commit"), "{one}");
}

#[tokio::test]
async fn operations_name_tasks_and_page_through_topics() {
    let tasks = page("/operations").await;
    assert!(tasks.contains("part 0, partition 3") && tasks.contains("1,234") && tasks.contains("restoring"));
    let topics = page("/operations/topics?page=100").await;
    assert!(topics.contains("topic-4999") && topics.contains("page 100 of 100"));
    assert!(topics.matches("<tr>").count() <= 51, "one page asks for one page");
}

#[tokio::test]
async fn a_trace_says_step_by_step_why_a_row_is_not_there() {
    let there = page("/trace?port=shop.saw.out@1&where.serial_number=9007199254740993").await;
    assert!(there.contains("here it is") && there.contains("9007199254740993"));
    let path = "/trace?port=shop.cut.out@1&where.serial_number=5";
    let (_, gone) = get(Fake { mesh: Some(small_mesh()), rows: Vec::new() }, path).await;
    for words in [
        "there is no such row",
        "Not among the rows on port late",
        "At its input shop.saw.out@1",
        "The slowest partition is 0 of shop.saw.out@1",
    ] {
        assert!(gone.contains(words), "{words}: {gone}");
    }
    assert!(page("/trace?port=shop.saw.out@1&where.serial_number=many").await.contains("cannot read serial_number"));
}
