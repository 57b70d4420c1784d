//! Views without Kafka: ports are put in place by hand, rows go in as records would.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use weft_model::json::Scalar;
use weft_model::name::{PortId, ProductId};
use weft_model::principal::Principal;
use weft_model::product::{Encoding, OutputPort, PortKind, PortRole};
use weft_model::progress::{ProgressKey, ProgressValue};
use weft_model::query::{Bound, PullQuery, QueryLimits};
use weft_model::schema::{Column, ColumnType, Schema};

use super::index::{Index, Stamp};
use super::port::{Live, PortView};
use super::progress::Progress;
use super::token::{PageToken, ResumeToken};
use super::{QueryError, Slot, Views, cell};
use crate::config::{KafkaOptions, ViewsOptions};

const LIMITS: QueryLimits = QueryLimits { rows_max: 1000, bytes_max: 1 << 20, time_ms_max: 10_000 };

fn column(name: &str, column_type: ColumnType, nullable: bool) -> Column {
    Column { name: name.to_owned(), column_type, nullable }
}

fn port_id(port: &str, major: u32) -> PortId {
    PortId {
        product: ProductId { domain: "insights".parse().unwrap(), product: "delays".parse().unwrap() },
        port: port.parse().unwrap(),
        major,
    }
}

/// A table of delays by (origin, window_start).
fn delays(major: u32) -> OutputPort {
    OutputPort {
        id: port_id("current", major),
        role: PortRole::Declared,
        kind: PortKind::Upsert,
        topic: format!("insights.delays.current.v{major}"),
        adopted: false,
        partitions: 1,
        contract_id: "delays".to_owned(),
        description: String::new(),
        schema: Schema {
            columns: vec![
                column("origin", ColumnType::String, false),
                column("window_start", ColumnType::Timestamp, false),
                column("flights", ColumnType::Int64, false),
                column("mean", ColumnType::Float64, true),
                column("price", ColumnType::Decimal { precision: 10, scale: 2 }, true),
            ],
        },
        key: vec!["origin".to_owned(), "window_start".to_owned()],
        event_time: None,
        event_time_offset_ms: 0,
        column_docs: BTreeMap::new(),
        encoding: Encoding::Json,
        retention_ms: -1,
    }
}

struct Fixture {
    views: Views,
    view: Arc<PortView>,
    next: i64,
    _dir: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut ViewsOptions)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Nothing listens there: the feed never gets anything.
        let mut options = ViewsOptions::new(KafkaOptions::new("127.0.0.1:1"), "test".parse().unwrap(), dir.path());
        options.wait_ms = 100;
        change(&mut options);
        let views = Views::start(options).unwrap();
        let view = place(&views, delays(1));
        Self { views, view, next: 0, _dir: dir }
    }

    /// As the feed would.
    fn record(&mut self, key: &str, value: Option<&str>) -> Result<(), String> {
        let decoded = self.view.decode(Some(key.as_bytes()), value.map(str::as_bytes))?;
        self.next += 1;
        let mut stamp = Stamp::new(&self.view.port, None, 1);
        stamp.offsets.insert(0, self.next);
        let changes: Vec<_> = decoded.index.into_iter().collect();
        self.view.index.as_ref().unwrap().apply(&changes, &stamp).unwrap();
        Ok(())
    }

    fn hour(&mut self, origin: &str, hour: u32, flights: i64) {
        let time = format!("2013-01-01T{hour:02}:00:00.000Z");
        let value = format!(
            r#"{{"origin":"{origin}","window_start":"{time}","flights":{flights},"mean":0.1,"price":"12.50"}}"#
        );
        self.record(&format!(r#"["{origin}","{time}"]"#), Some(&value)).unwrap();
    }

    async fn sql(&self, sql: &str, limits: QueryLimits) -> Result<Vec<String>, QueryError> {
        self.views.sql(&Principal::Anonymous, sql, limits).await.map(|answer| answer.rows)
    }

    async fn pull(&self, query: PullQuery) -> Result<weft_model::query::Answer, QueryError> {
        self.views.pull(&Principal::Anonymous, &self.view.port.id, query, LIMITS).await
    }
}

fn place(views: &Views, port: OutputPort) -> Arc<PortView> {
    let mut stamp = Stamp::new(&port, None, 1);
    stamp.offsets.insert(0, 0);
    let (index, stamp) = Index::open(&views.shared.database, &port.id.to_string(), stamp).unwrap();
    let view = Arc::new(PortView::new(port.clone(), 1, None, 1, Some(index), 16));
    *view.live.lock() = Live { attached: true, offsets: stamp.offsets };
    views.shared.active.write().insert(port.id.clone());
    let slot = Slot { port: port.clone(), view: Some(Arc::clone(&view)), why: String::new() };
    views.shared.ports.write().insert(port.id.clone(), slot);
    view
}

fn bounds(of: &[(&str, Bound)]) -> PullQuery {
    let bounds = of.iter().map(|(name, bound)| ((*name).to_owned(), bound.clone())).collect();
    PullQuery { bounds, ..PullQuery::default() }
}

fn flights(rows: &[String]) -> Vec<i64> {
    let flights = |row: &String| serde_json::from_str::<serde_json::Value>(row).unwrap()["flights"].as_i64().unwrap();
    rows.iter().map(flights).collect()
}

fn between(from: &str, to: &str) -> Bound {
    Bound::Range { from: Some(from.into()), to: Some(to.into()) }
}

#[tokio::test]
async fn pull_by_key_prefix_and_range() {
    let mut fixture = Fixture::new();
    for (at, origin) in ["EWR", "JFK", "LGA"].iter().enumerate() {
        for hour in 10..14 {
            fixture.hour(origin, hour, i64::from(hour) + 100 * at as i64);
        }
    }
    let equal = |text: &str| Bound::Equal(text.into());
    let one = fixture
        .pull(bounds(&[("origin", equal("JFK")), ("window_start", equal("2013-01-01T11:00:00Z"))]))
        .await
        .unwrap();
    assert_eq!(
        one.rows,
        [r#"{"origin":"JFK","window_start":"2013-01-01T11:00:00.000Z","flights":111,"mean":0.1,"price":"12.50"}"#]
    );
    assert_eq!(one.position[0].offsets, BTreeMap::from([(0, 12)]));
    let prefix = fixture.pull(bounds(&[("origin", equal("JFK"))])).await.unwrap();
    assert_eq!(flights(&prefix.rows), [110, 111, 112, 113]);
    let range = between("2013-01-01T11:00:00Z", "2013-01-01T13:00:00Z");
    let ranged = fixture.pull(bounds(&[("origin", equal("LGA")), ("window_start", range.clone())])).await.unwrap();
    assert_eq!(flights(&ranged.rows), [211, 212]);
    let without_prefix = fixture.pull(bounds(&[("window_start", range)])).await.unwrap();
    assert_eq!(flights(&without_prefix.rows), [11, 12, 111, 112, 211, 212]);
    let nothing = fixture.pull(bounds(&[("origin", equal("SFO"))])).await.unwrap();
    assert!(nothing.rows.is_empty() && nothing.next.is_none());
}

#[tokio::test]
async fn a_tombstone_deletes_and_an_update_replaces() {
    let mut fixture = Fixture::new();
    fixture.hour("EWR", 10, 1);
    fixture.hour("EWR", 10, 2);
    fixture.hour("EWR", 11, 3);
    fixture.record(r#"["EWR","2013-01-01T11:00:00.000Z"]"#, None).unwrap();
    let all = fixture.pull(PullQuery::default()).await.unwrap();
    assert_eq!(flights(&all.rows), [2]);
}

#[tokio::test]
async fn rows_that_break_the_contract_are_refused_by_reason() {
    let mut fixture = Fixture::new();
    let key = r#"["EWR","2013-01-01T11:00:00.000Z"]"#;
    for (value, because) in [
        ("{", "EOF"),
        (r#"{"origin":"EWR","window_start":"2013-01-01T11:00:00.000Z"}"#, "\"flights\" is null"),
        (r#"{"origin":"EWR","window_start":"2013-01-01T11:00:00.000Z","flights":"x"}"#, "64-bit integer"),
        (r#"{"origin":"JFK","window_start":"2013-01-01T11:00:00.000Z","flights":1}"#, "differs between key and value"),
    ] {
        let error = fixture.record(key, Some(value)).unwrap_err();
        assert!(error.contains(because), "{value}: {error}");
    }
    assert!(fixture.record("EWR", Some("{}")).is_err());
}

#[tokio::test]
async fn pages_follow_each_other_and_tokens_belong_to_their_query() {
    let mut fixture = Fixture::new();
    for hour in 0..10 {
        fixture.hour("EWR", hour, i64::from(hour));
    }
    let mut seen = Vec::new();
    let mut page = None;
    loop {
        let answer = fixture.pull(PullQuery { rows_max: 3, page, ..PullQuery::default() }).await.unwrap();
        assert!(answer.rows.len() <= 3);
        seen.extend(flights(&answer.rows));
        page = answer.next;
        if page.is_none() {
            break;
        }
    }
    assert_eq!(seen, (0..10).collect::<Vec<_>>());

    let first = fixture.pull(PullQuery { rows_max: 3, ..PullQuery::default() }).await.unwrap();
    let other_bounds = PullQuery { page: first.next.clone(), ..bounds(&[("origin", Bound::Equal("EWR".into()))]) };
    for query in [
        PullQuery { page: Some("hello".to_owned()), ..PullQuery::default() },
        PullQuery { page: Some("!".repeat(100_000)), ..PullQuery::default() },
        other_bounds,
    ] {
        let error = fixture.pull(query).await.unwrap_err();
        assert!(matches!(error, QueryError::BadPageToken { .. }), "{error}");
        assert_eq!(error.code(), "SQL-103");
    }
}

#[tokio::test]
async fn bounds_that_cannot_be_are_named() {
    let fixture = Fixture::new();
    for (column, bound, because) in [
        ("flights", Bound::Equal(1.into()), "no key column"),
        ("nothing", Bound::Equal(1.into()), "no such column"),
        ("window_start", Bound::Equal("yesterday".into()), "timestamp"),
    ] {
        let error = fixture.pull(bounds(&[(column, bound)])).await.unwrap_err();
        assert!(error.to_string().contains(because), "{error}");
    }
    let offsets = PullQuery { from_offsets: BTreeMap::from([(0, 1)]), ..PullQuery::default() };
    assert!(matches!(fixture.pull(offsets).await, Err(QueryError::BadBound { .. })));
    let unknown = fixture.views.pull(&Principal::Anonymous, &port_id("other", 1), PullQuery::default(), LIMITS).await;
    assert!(matches!(unknown, Err(QueryError::UnknownPort { .. })));
}

#[tokio::test]
async fn sql_sees_ports_by_name_and_pinned_and_writes_exact_json() {
    let mut fixture = Fixture::new();
    fixture.hour("EWR", 10, 9_007_199_254_740_993);
    fixture.hour("JFK", 11, 2);
    let rows =
        fixture.sql(r#"SELECT * FROM "insights"."delays"."current" WHERE origin = 'EWR'"#, LIMITS).await.unwrap();
    let row = r#"{"origin":"EWR","window_start":"2013-01-01T10:00:00.000Z","flights":9007199254740993,"mean":0.1,"price":"12.50"}"#;
    assert_eq!(rows, [row]);
    let rows = fixture
        .sql(
            r#"SELECT origin, sum(flights) AS n, sum(price) AS p, count(*) = 1 AS one FROM "insights"."delays"."current@1"
               WHERE window_start >= '2013-01-01T10:30:00Z' GROUP BY origin"#,
            LIMITS,
        )
        .await
        .unwrap();
    assert_eq!(rows, [r#"{"origin":"JFK","n":2,"p":"12.50","one":true}"#]);
    let answer = fixture
        .views
        .sql(&Principal::Anonymous, r#"SELECT count(*) AS n FROM "insights"."delays"."current""#, LIMITS)
        .await
        .unwrap();
    assert_eq!(answer.rows, [r#"{"n":2}"#]);
    assert_eq!(answer.position[0].offsets, BTreeMap::from([(0, 2)]));
}

#[tokio::test]
async fn an_unversioned_name_is_the_newest_active_major() {
    let mut fixture = Fixture::new();
    fixture.hour("EWR", 10, 1);
    place(&fixture.views, delays(2));
    let count = r#"SELECT count(*) AS n FROM "insights"."delays"."current""#;
    assert_eq!(fixture.sql(count, LIMITS).await.unwrap(), [r#"{"n":0}"#]);
    fixture.views.shared.active.write().remove(&port_id("current", 2));
    assert_eq!(fixture.sql(count, LIMITS).await.unwrap(), [r#"{"n":1}"#]);
}

#[tokio::test]
async fn only_queries_are_answered() {
    let fixture = Fixture::new();
    for sql in [
        "CREATE TABLE t (a INT)",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "DROP TABLE \"insights\".\"delays\".\"current\"",
        "INSERT INTO \"insights\".\"delays\".\"current\" VALUES ('a')",
        "DELETE FROM \"insights\".\"delays\".\"current\"",
        "COPY (SELECT 1) TO '/tmp/x.csv'",
        "SET datafusion.execution.batch_size = 1",
        "SHOW TABLES",
        "SELECT * FROM '/etc/passwd'",
        "SELECT 1; SELECT 2",
        "SELEC 1",
        "",
        "SELECT x FROM \"insights\".\"delays\".\"current\"",
        "SELECT * FROM \"insights\".\"delays\".\"nothing\"",
        "SELECT 1 AS a, 2 AS a",
        "SELECT 1/0",
    ] {
        let error = fixture.sql(sql, LIMITS).await.unwrap_err();
        assert!(matches!(error, QueryError::NotAQuery { .. } | QueryError::BadSql { .. }), "{sql}: {error}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_query_is_said_without_the_engines_names() {
    let fixture = Fixture::new();
    for (sql, because) in [
        ("SELECT 1 +", "Expected: an expression, found: EOF"),
        (r#"SELECT orign FROM "insights"."delays"."current""#, "no column \"orign\"; did you mean \"origin\"?"),
        (r#"SELECT 1 FROM "insights"."delay"."current""#, "table 'insights.delay.current' not found"),
        (
            r#"SELECT origin FROM "insights"."delays"."current" a, "insights"."delays"."current" b"#,
            "column \"origin\" is in more than one table; write its table before it",
        ),
        ("SELECT 1/0", "Divide by zero error"),
    ] {
        let error = fixture.sql(sql, LIMITS).await.unwrap_err();
        assert_eq!(error, QueryError::BadSql { because: because.to_owned() }, "{sql}");
    }
}

#[tokio::test]
async fn limits_are_errors_with_names() {
    let mut fixture = Fixture::with(|options| options.sql_memory_bytes = 1 << 20);
    for hour in 0..20 {
        fixture.hour("EWR", hour, i64::from(hour));
    }
    let all = r#"SELECT * FROM "insights"."delays"."current""#;
    let rows = fixture.sql(all, QueryLimits { rows_max: 10, ..LIMITS }).await.unwrap_err();
    assert_eq!(rows, QueryError::TooManyRows { rows_max: 10 });
    let bytes = fixture.sql(all, QueryLimits { bytes_max: 100, ..LIMITS }).await.unwrap_err();
    assert_eq!(bytes, QueryError::TooManyBytes { bytes_max: 100 });
    let exactly = fixture.sql(all, QueryLimits { rows_max: 20, ..LIMITS }).await.unwrap();
    assert_eq!(exactly.len(), 20);
    let wide = "SELECT count(*) AS n FROM generate_series(1, 1000000) a JOIN generate_series(1, 1000000) b ON a.value = b.value";
    let memory = fixture.sql(wide, LIMITS).await.unwrap_err();
    assert!(matches!(memory, QueryError::OutOfMemory { .. }), "{memory}");
    let text = format!("SELECT '{}'", "x".repeat(100_000));
    assert!(matches!(fixture.sql(&text, LIMITS).await, Err(QueryError::TooManyBytes { .. })));
}

#[tokio::test]
async fn a_query_that_never_ends_is_stopped_and_gives_its_place_back() {
    let fixture = Fixture::with(|options| {
        options.sql_queries = 1;
        options.sql_threads = 1;
        options.wait_ms = 5_000;
    });
    let endless = "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i % 7 + 1 AS i FROM n) SELECT max(i) FROM n";
    let huge = "SELECT count(*) FROM generate_series(1, 2000000) a JOIN generate_series(1, 2000000) b ON a.value + b.value > 5";
    let barren = "SELECT count(*) FROM generate_series(1, 2000000) a JOIN generate_series(1, 2000000) b ON a.value + b.value < 0";
    let crossed =
        "SELECT count(a.value + b.value) FROM generate_series(1, 2000000) a CROSS JOIN generate_series(1, 2000000) b";
    for sql in [endless, huge, barren, crossed] {
        let started = Instant::now();
        let error = fixture.sql(sql, QueryLimits { time_ms_max: 300, ..LIMITS }).await.unwrap_err();
        assert_eq!(error, QueryError::TooSlow { time_ms_max: 300 }, "{sql}");
        assert!(started.elapsed() < Duration::from_secs(3));
        // The one place there is comes back.
        assert_eq!(fixture.sql("SELECT 1 AS one", LIMITS).await.unwrap(), [r#"{"one":1}"#]);
    }
}

#[tokio::test]
async fn a_full_house_is_busy() {
    let fixture = Arc::new(Fixture::with(|options| options.sql_queries = 1));
    let slow = "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i % 7 + 1 AS i FROM n) SELECT max(i) FROM n";
    let other = Arc::clone(&fixture);
    let running = tokio::spawn(async move { other.sql(slow, QueryLimits { time_ms_max: 1500, ..LIMITS }).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let error = fixture.sql("SELECT 1", LIMITS).await.unwrap_err();
    assert_eq!(error, QueryError::Busy { what: "sql_queries", bound: 1 });
    assert!(running.await.unwrap().is_err());
}

#[test]
fn an_index_of_another_generation_topic_or_contract_is_rebuilt() {
    let dir = tempfile::tempdir().unwrap();
    let database = fjall::Database::builder(dir.path()).open().unwrap();
    let change = super::index::Change { key: vec![1, 2], row: Some("{}".to_owned()) };
    let mut stamp = Stamp::new(&delays(1), Some("a".to_owned()), 1);
    stamp.offsets.insert(0, 7);
    let count = |index: &Index| index.scan(&database.snapshot(), &[], None).count();
    let mut other_contract = delays(1);
    other_contract.schema.columns.pop();
    for (expected, kept) in [
        (Stamp::new(&delays(1), Some("a".to_owned()), 1), true),
        (Stamp::new(&delays(1), Some("b".to_owned()), 1), false),
        (Stamp::new(&delays(1), Some("a".to_owned()), 2), false),
        (Stamp::new(&other_contract, Some("a".to_owned()), 1), false),
    ] {
        let (index, _) = Index::open(&database, "x", stamp.clone()).unwrap();
        index.apply(std::slice::from_ref(&change), &stamp).unwrap();
        let (index, found) = Index::open(&database, "x", expected.clone()).unwrap();
        assert_eq!(count(&index), usize::from(kept), "{expected:?}");
        assert_eq!(found.offsets.is_empty(), !kept);
        index.clear(&stamp).unwrap();
    }
}

#[test]
fn resume_tokens_are_read_back_and_strangers_are_named() {
    let token = ResumeToken::new("a.b.c@1".to_owned(), Some("t".to_owned()), 3, BTreeMap::from([(0, 5), (3, 9)]));
    assert_eq!(ResumeToken::read(&token.write()).unwrap(), token);
    assert!(token.write().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
    let newer = ResumeToken { v: 2, ..token };
    assert!(ResumeToken::read(&newer.write()).unwrap_err().contains("version 2"));
    assert!(ResumeToken::read("%").is_err());
    let page = PageToken::new("a.b.c@1".to_owned(), None, 1, 7);
    assert!(ResumeToken::read(&page.write()).is_err());
}

#[test]
fn a_ports_watermark_waits_for_every_writer_and_for_the_offset() {
    let mut progress = Progress::default();
    let mut declare = |partition, writer, offset, watermark| {
        let key = ProgressKey { topic: "t".to_owned(), partition, writer };
        progress.take(&key, Some(&ProgressValue { v: 1, offset, watermark, complete: false, writers: 2 }));
        progress.watermark("t", &BTreeMap::from([(0, 10), (1, 10)]))
    };
    assert_eq!(declare(0, 0, 5, 100), None);
    assert_eq!(declare(0, 1, 5, 90), None);
    assert_eq!(declare(1, 0, 5, 80), None);
    assert_eq!(declare(1, 1, 5, 110), Some(80));
    assert_eq!(declare(1, 0, 11, 500), Some(80), "the offset is not reached");
    assert_eq!(declare(1, 0, 10, 400), Some(90), "a lower offset replaces what was declared beyond it");
}

fn any_cell() -> impl Strategy<Value = (ColumnType, cell::Cell)> {
    prop_oneof![
        any::<i64>().prop_map(|v| (ColumnType::Int64, Scalar::Int64(v))),
        any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(|v| (ColumnType::Float64, Scalar::Float64(v))),
        any::<i32>().prop_map(|v| (ColumnType::Date, Scalar::Date(v))),
        any::<bool>().prop_map(|v| (ColumnType::Boolean, Scalar::Boolean(v))),
        "[\u{0}ab\u{ff}]{0,4}".prop_map(|v| (ColumnType::String, Scalar::String(v.into()))),
        Just((ColumnType::String, Scalar::Null)),
    ]
}

proptest! {
    #[test]
    fn ordered_bytes_sort_as_values(a in any::<i64>(), b in any::<i64>(), x in any::<f64>(), y in any::<f64>(),
                                    s in "[\u{0}ab\u{ff}]{0,4}", t in "[\u{0}ab\u{ff}]{0,4}") {
        let ints = (cell::ordered(&Scalar::Int64(a)), cell::ordered(&Scalar::Int64(b)));
        prop_assert_eq!(ints.0.cmp(&ints.1), a.cmp(&b));
        if let Some(order) = x.partial_cmp(&y) {
            let floats = (cell::ordered(&Scalar::Float64(x)), cell::ordered(&Scalar::Float64(y)));
            prop_assert_eq!(floats.0.cmp(&floats.1), order);
        }
        let order = s.as_bytes().cmp(t.as_bytes());
        let texts = (cell::ordered(&Scalar::String(s.into())), cell::ordered(&Scalar::String(t.into())));
        prop_assert_eq!(texts.0.cmp(&texts.1), order);
    }

    #[test]
    fn joined_cells_come_apart_again(cells in proptest::collection::vec(any_cell(), 1..5)) {
        let mut joined = Vec::new();
        for (_, value) in &cells {
            cell::write_ordered(value, &mut joined);
        }
        let mut rest = joined.as_slice();
        for (column_type, value) in &cells {
            prop_assert_eq!(cell::next_ordered(&mut rest, *column_type).unwrap(), cell::ordered(value));
        }
        prop_assert!(rest.is_empty());
    }
}
