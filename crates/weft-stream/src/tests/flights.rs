//! The example mesh, offline, on the January that lies in its folder: golden facts that DuckDB computed over the same
//! files, with one and four partitions, in any order of reading, and after crashes.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::ir::Program;
use crate::offline::{OfflineOptions, Output, run_with};
use serde_json::Value;
use weft_model::json::{format_timestamp_ms, parse_timestamp_ms};
use weft_model::load::{Files, LoadOptions, load};
use weft_model::mesh::Mesh;
use weft_model::name::ProductId;
use weft_model::product::{Behaviour, OutputPort};
use weft_model::schema::ColumnType;
use weft_model::tests::GivenRow;

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/flights")
}

fn mesh(partitions: u32) -> Mesh {
    let files = Files::read_folder(&example()).unwrap();
    load(&files, &LoadOptions { partitions: Some(partitions), ..LoadOptions::default() })
        .unwrap_or_else(|e| panic!("{e}"))
}

fn product(mesh: &Mesh, name: &str) -> ProductId {
    mesh.products.keys().find(|id| id.to_string() == name).unwrap().clone()
}

fn program(mesh: &Mesh, name: &str) -> Program {
    crate::compile(mesh, &product(mesh, name), None).unwrap_or_else(|e| panic!("{e}"))
}

/// Rows of a CSV as the source would write them: typed, in order of event time, with progress between.
fn source(mesh: &Mesh, name: &str) -> Vec<GivenRow> {
    let product = &mesh.products[&product(mesh, name)];
    let Behaviour::Source(spec) = &product.behaviour else { panic!("{name} is a source") };
    let port = product.outputs.iter().find(|port| port.id.port == spec.port).unwrap();
    let bytes = std::fs::read(example().join(&spec.file)).unwrap();
    let mut text = String::new();
    if spec.file.ends_with(".gz") {
        flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    // The files quote nothing but airports' names with a comma; a field is what lies between commas outside of quotes.
    let mut lines = text.lines().map(fields_of);
    let headers = lines.next().unwrap();
    let mut rows = Vec::new();
    for record in lines {
        let mut fields: BTreeMap<&str, Value> = BTreeMap::new();
        for (name, text) in headers.iter().zip(&record) {
            let Some(column) = port.schema.column(name) else { continue };
            fields.insert(name, value(text, column.column_type));
        }
        for derived in &spec.derive {
            let base = fields[derived.timestamp.as_str()].as_str().and_then(parse_timestamp_ms).unwrap();
            let plus = derived.plus_minutes.as_ref().map_or(0, |name| fields[name.as_str()].as_i64().unwrap());
            fields.insert(&derived.name, Value::from(format_timestamp_ms(base + plus * 60_000)));
        }
        let instant = |name: &String| fields[name.as_str()].as_str().and_then(parse_timestamp_ms).unwrap();
        let time = port.event_time.as_ref().map_or(0, instant);
        rows.push((time, serde_json::to_string(&fields).unwrap()));
    }
    rows.sort_by_key(|(time, _)| *time); // stable: lines of one instant keep their order
    let timed = port.event_time.is_some();
    let mut given = Vec::new();
    for (at, (time, row)) in rows.into_iter().enumerate() {
        if timed && at % 500 == 0 {
            given.push(GivenRow::Progress(time));
        }
        given.push(GivenRow::Row(row));
    }
    given.push(GivenRow::Complete);
    given
}

fn fields_of(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            other => fields.last_mut().unwrap().push(other),
        }
    }
    fields
}

fn value(text: &str, column_type: ColumnType) -> Value {
    match column_type {
        _ if text == "NA" => Value::Null,
        ColumnType::Int64 => Value::from(text.parse::<i64>().unwrap()),
        ColumnType::Float64 => Value::from(text.parse::<f64>().unwrap()),
        ColumnType::Timestamp => Value::from(format_timestamp_ms(parse_timestamp_ms(text).unwrap())),
        _ => Value::from(text),
    }
}

/// A port's rows as what the next product is given.
fn onward(mesh: &Mesh, output: &Output, name: &str, port: &str) -> Vec<GivenRow> {
    let port: &OutputPort =
        mesh.products[&product(mesh, name)].outputs.iter().find(|one| one.id.port.as_str() == port).unwrap();
    let time_of = |row: &String| {
        let row: Value = serde_json::from_str(row).unwrap();
        row[port.event_time.as_ref().unwrap()].as_str().and_then(parse_timestamp_ms).unwrap()
    };
    let mut rows = output.rows(port.id.port.as_str());
    rows.sort_by_key(time_of);
    let mut given: Vec<GivenRow> = Vec::new();
    for (at, row) in rows.into_iter().enumerate() {
        if at % 500 == 0 {
            given.push(GivenRow::Progress(time_of(&row)));
        }
        given.push(GivenRow::Row(row));
    }
    given.push(GivenRow::Complete);
    given
}

fn ways() -> [(u32, OfflineOptions); 4] {
    [
        (1, OfflineOptions::default()),
        (4, OfflineOptions::default()),
        (4, OfflineOptions { seed: Some(8841), ..OfflineOptions::default() }),
        (4, OfflineOptions { seed: Some(7), crashes: true, batch_rows: 100 }),
    ]
}

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows
}

fn parsed(rows: &[String]) -> Vec<Value> {
    rows.iter().map(|row| serde_json::from_str(row).unwrap()).collect()
}

/// Runs a product in every way and gives its rows by port; they are the same in all.
fn check(name: &str, inputs: &[(&str, &str)]) -> BTreeMap<String, Vec<String>> {
    let mut first: Option<BTreeMap<String, Vec<String>>> = None;
    for (partitions, options) in ways() {
        let mesh = mesh(partitions);
        let given = inputs.iter().map(|(input, product)| ((*input).to_owned(), source(&mesh, product))).collect();
        let output = run_with(&program(&mesh, name), &given, options).unwrap();
        let rows: BTreeMap<String, Vec<String>> =
            output.all_rows().into_iter().map(|(port, rows)| (port, sorted(rows))).collect();
        match &first {
            None => first = Some(rows),
            Some(first) => {
                assert!(*first == rows, "{name} with {partitions} partitions, {options:?}, gives other rows")
            }
        }
    }
    first.unwrap()
}

const FLIGHTS: (&str, &str) = ("flights", "flight-ops.flights");

#[test]
fn delays_has_the_windows_that_duckdb_counts() {
    let rows = check("insights.delays", &[FLIGHTS]);
    assert_eq!(rows["errors"], Vec::<String>::new());
    assert_eq!(rows["late"], Vec::<String>::new());
    assert_eq!(rows["final"].len(), 9_554);
    assert_eq!(rows["current"], rows["final"]);
    let windows = parsed(&rows["final"]);
    assert_eq!(windows.iter().filter(|row| row["mean_dep_delay"].is_null()).count(), 94);
    assert!(windows.iter().all(|row| row["mean_dep_delay"].is_null() == row["share_late"].is_null()));
    assert_eq!(windows.iter().map(|row| row["flights"].as_i64().unwrap()).sum::<i64>(), 27_004);
}

#[test]
fn turnarounds_are_those_that_duckdb_finds() {
    let rows = check("insights.turnarounds", &[FLIGHTS]);
    assert_eq!(rows["turnarounds"].len(), 178);
    assert_eq!(rows["late"], Vec::<String>::new());
    assert_eq!(rows["errors"], Vec::<String>::new());
}

#[test]
fn departures_keep_their_time_and_alerts_their_threshold() {
    let rows = check("insights.departures", &[FLIGHTS]);
    let departures = parsed(&rows["departures"]);
    assert_eq!(departures.len(), 27_004 - 521);
    for row in &departures {
        let instant = |name: &str| row[name].as_str().and_then(parse_timestamp_ms).unwrap();
        assert_eq!(instant("departed_at") - instant("scheduled_at"), row["dep_delay"].as_i64().unwrap() * 60_000);
    }
    let alerts = check("insights.late-arrivals", &[FLIGHTS]);
    let late = parsed(&alerts["alerts"]);
    assert!(!late.is_empty() && late.iter().all(|row| row["arr_delay"].as_i64().unwrap() > 60));
}

#[test]
fn enriched_departures_meet_every_table() {
    let mut first: Option<Vec<String>> = None;
    for (partitions, options) in ways() {
        let mesh = mesh(partitions);
        let given = BTreeMap::from([("flights".to_owned(), source(&mesh, "flight-ops.flights"))]);
        let departures = run_with(&program(&mesh, "insights.departures"), &given, OfflineOptions::default()).unwrap();
        let mut given = BTreeMap::from([(
            "departures".to_owned(),
            onward(&mesh, &departures, "insights.departures", "departures"),
        )]);
        for (input, name) in [
            ("planes", "flight-ops.planes"),
            ("airlines", "flight-ops.airlines"),
            ("airports", "airports.airports"),
            ("weather", "weather.observations"),
        ] {
            given.insert(input.to_owned(), source(&mesh, name));
        }
        let output = run_with(&program(&mesh, "insights.flights-enriched"), &given, options).unwrap();
        assert_eq!(output.rows("errors"), Vec::<String>::new());
        assert_eq!(output.rows("late"), Vec::<String>::new());
        let rows = sorted(output.rows("flights"));
        match &first {
            None => first = Some(rows),
            Some(first) => assert!(*first == rows, "{partitions} partitions, {options:?}, give other rows"),
        }
    }
    let rows = parsed(&first.unwrap());
    assert_eq!(rows.len(), 27_004 - 521);
    let with = |name: &str| rows.iter().filter(|row| !row[name].is_null()).count();
    assert_eq!(with("airline_name"), rows.len());
    assert_eq!(with("origin_name"), rows.len());
    assert_eq!(with("weather_visib"), DEPARTURES_WITH_WEATHER);
}

/// January: 26,952 flights find weather on (origin, time_hour); 521 of January never departed.
const DEPARTURES_WITH_WEATHER: usize = 26_431;
