//! A mesh in a few words: two streams and a table, and one product under test.

use std::collections::BTreeMap;

use weft_model::builtin_ports::builtin_ports;
use weft_model::kind::Diagnostics;
use weft_model::mesh::{Listeners, Mesh, Replay};
use weft_model::name::{PortId, ProductId};
use weft_model::product::{Behaviour, Encoding, InputPort, OutputPort, PortKind, PortRole, Product, Status};
use weft_model::schema::{Column, ColumnType, Schema};
use weft_model::tests::GivenRow;

use crate::ir::Program;
use crate::offline::{OfflineOptions, Output, run_with};

/// `name type` per column: `s` string, `i` integer, `f` number, `t` timestamp, `b` boolean; `!` after it = required.
fn schema(text: &str) -> Schema {
    let column = |text: &str| {
        let (name, kind) = text.trim().split_once(' ').unwrap();
        let column_type = match kind.trim_end_matches('!') {
            "s" => ColumnType::String,
            "i" => ColumnType::Int64,
            "f" => ColumnType::Float64,
            "t" => ColumnType::Timestamp,
            "b" => ColumnType::Boolean,
            other => panic!("no type {other}"),
        };
        Column { name: name.to_owned(), column_type, nullable: !kind.ends_with('!') }
    };
    Schema { columns: text.split(',').map(column).collect() }
}

fn product_id(name: &str) -> ProductId {
    ProductId { domain: "lab".parse().unwrap(), product: name.parse().unwrap() }
}

/// `port kind(key; event_time [-1]) columns`.
fn port(
    product: &str,
    name: &str,
    kind: PortKind,
    key: &[&str],
    time: Option<(&str, i64)>,
    columns: &str,
    partitions: u32,
) -> OutputPort {
    let id = PortId { product: product_id(product), port: name.parse().unwrap(), major: 1 };
    OutputPort {
        topic: weft_model::topic::port_topic("", &id),
        id,
        role: PortRole::Declared,
        kind,
        adopted: false,
        partitions,
        contract_id: format!("{product}.{name}"),
        description: String::new(),
        schema: schema(columns),
        key: key.iter().map(|key| (*key).to_owned()).collect(),
        event_time: time.map(|time| time.0.to_owned()),
        event_time_offset_ms: time.map_or(0, |time| time.1),
        column_docs: BTreeMap::new(),
        encoding: Encoding::Json,
        retention_ms: -1,
    }
}

fn product(name: &str, inputs: Vec<InputPort>, outputs: Vec<OutputPort>, behaviour: Behaviour) -> Product {
    Product {
        id: product_id(name),
        owner: "lab".to_owned(),
        version: "1".to_owned(),
        status: Status::Active,
        purpose: String::new(),
        tags: Vec::new(),
        inputs,
        outputs,
        behaviour,
        parameters: BTreeMap::from([("limit".to_owned(), serde_json::json!(10))]),
    }
}

/// The mesh under test, with the SQL of its one product.
pub(super) fn mesh(sql: &str, outputs: &[&str], partitions: u32) -> Mesh {
    let orders = port(
        "orders",
        "orders",
        PortKind::Append,
        &["id"],
        Some(("ts", 0)),
        "id s!, shop s, amount i, price f, ts t!",
        partitions,
    );
    let views = port("views", "views", PortKind::Append, &["id"], Some(("ts", 0)), "id s!, shop s, ts t!", partitions);
    let shops = port(
        "shops",
        "shops",
        PortKind::Upsert,
        &["shop"],
        Some(("since", 0)),
        "shop s!, city s, since t!",
        partitions,
    );
    let cities = port("cities", "cities", PortKind::Upsert, &["city"], None, "city s!, country s", partitions);
    let known = [
        (
            "changes",
            port(
                "out",
                "changes",
                PortKind::Upsert,
                &["shop", "window_start"],
                Some(("window_end", -1)),
                "window_start t!, window_end t!, shop s, n i!, total i",
                partitions,
            ),
        ),
        (
            "finals",
            port(
                "out",
                "finals",
                PortKind::Append,
                &["shop", "window_start"],
                Some(("window_end", -1)),
                "window_start t!, window_end t!, shop s, n i!, total i",
                partitions,
            ),
        ),
        (
            "joined",
            port(
                "out",
                "joined",
                PortKind::Append,
                &["id"],
                Some(("ts", 0)),
                "id s!, shop s, city s, ts t!",
                partitions,
            ),
        ),
        ("pairs", port("out", "pairs", PortKind::Append, &["a"], Some(("ts", 0)), "a s!, b s!, ts t!", partitions)),
        ("plain", port("out", "plain", PortKind::Append, &["id"], Some(("ts", 0)), "id s!, x i, ts t!", partitions)),
    ];
    let mut ports: Vec<OutputPort> = outputs
        .iter()
        .map(|name| known.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no port {name}")).1.clone())
        .collect();
    ports.extend(builtin_ports("", &product_id("out")));
    let input = |name: &str, broadcast: bool| InputPort {
        name: name.to_owned(),
        reads: PortId { product: product_id(name), port: name.parse().unwrap(), major: 1 },
        broadcast,
        bound_ms: 0,
    };
    let inputs = vec![input("orders", false), input("views", false), input("shops", false), input("cities", true)];
    let transform = Behaviour::Transform { sql: sql.to_owned(), file: "domains/lab/out/transform.sql".to_owned() };
    let source = |port: OutputPort| {
        let name = port.id.port.to_string();
        // Anything but External: its progress is declared.
        let behaviour = Behaviour::Transform { sql: String::new(), file: String::new() };
        product(&name, Vec::new(), vec![port], behaviour)
    };
    let products =
        [source(orders), source(views), source(shops), source(cities), product("out", inputs, ports, transform)];
    Mesh {
        id: "lab".parse().unwrap(),
        topic_prefix: String::new(),
        listeners: Listeners { kafka: String::new(), http: String::new() },
        replay: Replay::Max,
        domains: BTreeMap::new(),
        products: products.into_iter().map(|product| (product.id.clone(), product)).collect(),
    }
}

pub(super) fn compiled(sql: &str, outputs: &[&str], partitions: u32) -> Result<Program, Diagnostics> {
    crate::compile(&mesh(sql, outputs, partitions), &product_id("out"), None)
}

pub(super) fn recompiled(sql: &str, outputs: &[&str], previous: &Program) -> Program {
    crate::compile(&mesh(sql, outputs, 1), &product_id("out"), Some(previous)).unwrap_or_else(|e| panic!("{e}"))
}

/// Seconds as a JSON timestamp.
pub(super) fn at(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "small numbers of tests")]
    let ms = (seconds * 1000.0) as i64;
    weft_model::json::format_timestamp_ms(ms)
}

/// An order: id, shop (empty = null), amount, seconds.
pub(super) fn order(id: &str, shop: &str, amount: i64, seconds: f64) -> GivenRow {
    let shop = if shop.is_empty() { "null".to_owned() } else { format!("\"{shop}\"") };
    GivenRow::Row(format!(
        "{{\"id\":\"{id}\",\"shop\":{shop},\"amount\":{amount},\"price\":1.5,\"ts\":\"{}\"}}",
        at(seconds)
    ))
}

pub(super) fn view(id: &str, shop: &str, seconds: f64) -> GivenRow {
    GivenRow::Row(format!("{{\"id\":\"{id}\",\"shop\":\"{shop}\",\"ts\":\"{}\"}}", at(seconds)))
}

pub(super) fn shop(shop: &str, city: &str, seconds: f64) -> GivenRow {
    GivenRow::Row(format!("{{\"shop\":\"{shop}\",\"city\":\"{city}\",\"since\":\"{}\"}}", at(seconds)))
}

pub(super) fn progress(seconds: f64) -> GivenRow {
    #[expect(clippy::cast_possible_truncation, reason = "small numbers of tests")]
    let ms = (seconds * 1000.0) as i64;
    GivenRow::Progress(ms)
}

pub(super) type Given = BTreeMap<String, Vec<GivenRow>>;

pub(super) fn given(inputs: &[(&str, &[GivenRow])]) -> Given {
    inputs.iter().map(|(name, rows)| ((*name).to_owned(), rows.to_vec())).collect()
}

/// Runs with 1 and 4 partitions, mixed by seeds, in batches of one, with crashes; all give the same rows. Gives the run
/// with one partition.
#[track_caller]
pub(super) fn checked(sql: &str, outputs: &[&str], given: &Given) -> Output {
    let sorted = |output: &Output| -> BTreeMap<String, Vec<String>> {
        let sort = |mut rows: Vec<String>| {
            rows.sort();
            rows
        };
        output
            .all_rows()
            .into_iter()
            .filter(|(port, _)| port != "late" && port != "errors")
            .map(|(port, rows)| (port, sort(rows)))
            .collect()
    };
    let run_one = |partitions: u32, options: OfflineOptions| {
        let program = compiled(sql, outputs, partitions).unwrap_or_else(|e| panic!("{e}"));
        run_with(&program, given, options).unwrap()
    };
    let plain = run_one(1, OfflineOptions::default());
    let rejected = |output: &Output| (output.rows("late").len(), output.rows("errors").len());
    for seed in 0..24_u64 {
        let partitions = if seed % 2 == 0 { 1 } else { 4 };
        let batch_rows = [1, 2, 4096][usize::try_from(seed % 3).unwrap()];
        let options = OfflineOptions { batch_rows, seed: (seed > 2).then_some(seed), crashes: seed % 4 > 1 };
        let other = run_one(partitions, options);
        assert_eq!(sorted(&plain), sorted(&other), "{partitions} partitions, {options:?}");
        assert_eq!(rejected(&plain), rejected(&other), "{partitions} partitions, {options:?}");
    }
    plain
}

/// Values of some fields of every row, sorted: `a b c` per row.
pub(super) fn fields(output: &Output, port: &str, names: &[&str]) -> Vec<String> {
    let mut rows: Vec<String> = output
        .rows(port)
        .iter()
        .map(|row| {
            let row: serde_json::Value = serde_json::from_str(row).unwrap();
            let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            names.iter().map(|name| text(&row[*name])).collect::<Vec<_>>().join(" ")
        })
        .collect();
    rows.sort();
    rows
}
