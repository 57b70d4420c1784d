//! The example mesh is what `flights-mesh` promises, and stays so.

use expect_test::expect;
use weft_model::load::{Files, LoadOptions, load, product_tests};
use weft_model::mesh::Mesh;
use weft_model::name::ProductId;
use weft_model::product::Behaviour;

use crate::support::repository;

fn example() -> (Files, Mesh) {
    let files = Files::read_folder(&repository().join("examples/flights")).unwrap_or_else(|error| panic!("{error}"));
    let mesh = load(&files, &LoadOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    (files, mesh)
}

#[test]
fn its_ports_have_the_kinds_keys_and_event_times_of_the_definition() {
    let (_, mesh) = example();
    let mut table = String::new();
    for product in mesh.products.values() {
        for port in product.outputs.iter().filter(|port| !port.key.is_empty()) {
            let event_time = port.event_time.as_deref().unwrap_or("-");
            table.push_str(&format!(
                "{} {:?} key {} time {event_time}{:+} columns {} topic {}\n",
                port.id,
                port.kind,
                port.key.join(","),
                port.event_time_offset_ms,
                port.schema.columns.len(),
                port.topic,
            ));
        }
    }
    expect![[r#"
        airports.airports.airports@1 Upsert key faa time -+0 columns 8 topic airports.airports.airports.v1
        flight-ops.airlines.airlines@1 Upsert key carrier time -+0 columns 2 topic flight-ops.airlines.airlines.v1
        flight-ops.flights.flights@1 Append key origin,carrier,flight time scheduled_at+0 columns 20 topic flight-ops.flights.flights.v1
        flight-ops.planes.planes@1 Upsert key tailnum time -+0 columns 9 topic flight-ops.planes.planes.v1
        insights.delays.current@1 Upsert key origin,carrier,window_start time window_end-1 columns 9 topic insights.delays.current.v1
        insights.delays.final@1 Append key origin,carrier,window_start time window_end-1 columns 9 topic insights.delays.final.v1
        insights.departures.departures@1 Append key origin,carrier,flight time scheduled_at+0 columns 21 topic insights.departures.departures.v1
        insights.flights-enriched.flights@1 Append key origin,carrier,flight time scheduled_at+0 columns 53 topic insights.flights-enriched.flights.v1
        insights.late-arrivals.alerts@1 Append key origin,carrier,flight time scheduled_at+0 columns 7 topic insights.late-arrivals.alerts.v1
        insights.turnarounds.turnarounds@1 Append key tailnum time second_scheduled_at+0 columns 11 topic insights.turnarounds.turnarounds.v1
        weather.observations.hourly@1 Upsert key origin,time_hour time time_hour+0 columns 15 topic weather.observations.hourly.v1
    "#]].assert_eq(&table);
}

#[test]
fn every_product_has_an_owner_and_every_column_a_description() {
    let (_, mesh) = example();
    assert_eq!(mesh.domains.len(), 4);
    for product in mesh.products.values() {
        assert!(!product.owner.is_empty() && !product.purpose.is_empty(), "{}", product.id);
        for port in &product.outputs {
            for column in &port.schema.columns {
                assert!(port.column_docs.contains_key(&column.name), "{} {}", port.id, column.name);
            }
        }
    }
}

#[test]
fn every_product_that_runs_has_error_and_late_ports() {
    let (_, mesh) = example();
    for product in mesh.products.values() {
        let names: Vec<&str> = product.outputs.iter().map(|port| port.id.port.as_str()).collect();
        assert!(names.ends_with(&["errors", "late"]), "{}: {names:?}", product.id);
    }
}

#[test]
fn every_transform_has_tests() {
    let (files, mesh) = example();
    for product in mesh.products.values() {
        if matches!(product.behaviour, Behaviour::Transform { .. }) {
            let tests = product_tests(&files, product, &mesh).unwrap_or_else(|error| panic!("{error}"));
            assert!(!tests.is_empty(), "{} has no tests", product.id);
        }
    }
}

#[test]
fn data_files_hold_the_columns_that_contracts_and_sources_name() {
    use std::io::Read as _;
    let (_, mesh) = example();
    let root = repository().join("examples/flights");
    for product in mesh.products.values() {
        let Behaviour::Source(source) = &product.behaviour else { continue };
        let bytes = std::fs::read(root.join(&source.file)).unwrap();
        let mut text = String::new();
        if source.file.ends_with(".gz") {
            flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
        } else {
            text = String::from_utf8(bytes).unwrap();
        }
        let header: Vec<&str> = text.lines().next().unwrap().split(',').collect();
        let derived: Vec<&str> = source.derive.iter().map(|column| column.name.as_str()).collect();
        let columns = product.outputs[0].schema.columns.iter().map(|column| column.name.as_str());
        let read: Vec<&str> = columns.filter(|column| !derived.contains(column)).collect();
        assert_eq!(header, read, "{}", product.id);
    }
}

#[test]
fn a_command_line_may_name_other_files_and_partitions() {
    let files = Files::read_folder(&repository().join("examples/flights")).unwrap();
    let id = ProductId { domain: "flight-ops".parse().unwrap(), product: "flights".parse().unwrap() };
    let options =
        LoadOptions { source_files: [(id.clone(), "/tmp/flights.csv.zip".to_owned())].into(), partitions: Some(4) };
    let mesh = load(&files, &options).unwrap();
    let product = &mesh.products[&id];
    assert!(matches!(&product.behaviour, Behaviour::Source(source) if source.file == "/tmp/flights.csv.zip"));
    assert_eq!(product.outputs.iter().map(|port| port.partitions).collect::<Vec<_>>(), [4, 1, 1]);
}
