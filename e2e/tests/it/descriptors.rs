//! Mistakes in a mesh's folder: each is found by `weft validate`, with the file, the reason and what to do.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::mesh::{Mesh, Options};
use e2e::peers::{self, Peer};
use e2e::process::Process;

const END: Duration = Duration::from_secs(60);
const DELAYS_SQL: &str = "domains/insights/delays/transform.sql";

/// Validates the edited copy; it must be refused in words that hold all of `wanted`.
#[track_caller]
fn refused(edit: impl FnOnce(&Mesh) -> Result<()>, wanted: &[&str]) -> Result<()> {
    let mesh = Mesh::prepare(Options::default())?;
    edit(&mesh)?;
    let mut command = Command::new(peers::weft()?);
    command.arg("validate").arg(mesh.path(""));
    let mut process = Process::start("validate", command, mesh.folder())?;
    let status = process.wait(END)?;
    let said = format!("{}{}", process.stdout(), process.stderr());
    ensure!(!status.success(), "a wrong folder passes: {said}");
    for word in wanted.iter().chain(&["because", "try", "code"]) {
        ensure!(said.contains(word), "\"{word}\" is missing in: {said}");
    }
    Ok(())
}

#[test]
fn the_example_is_valid() -> Result<()> {
    let mut command = Command::new(peers::weft()?);
    command.arg("validate").arg(peers::repository().join("examples/flights"));
    let folder = tempfile::tempdir()?;
    Process::start("validate", command, folder.path())?.finish(END)?;
    Ok(())
}

#[test]
fn the_products_own_tests_pass() -> Result<()> {
    let mut command = Command::new(peers::weft()?);
    command.arg("test").arg(peers::repository().join("examples/flights"));
    let folder = tempfile::tempdir()?;
    Process::start("test", command, folder.path())?.finish(END)?;
    Ok(())
}

#[test]
fn a_typo_in_a_key_names_the_near_miss() -> Result<()> {
    let edit =
        |mesh: &Mesh| mesh.edit("domains/flight-ops/flights/source.yaml", |text| text.replacen("mode:", "mood:", 1));
    refused(edit, &["source.yaml", "mood", "mode"])
}

#[test]
fn a_missing_contract_is_named() -> Result<()> {
    let edit = |mesh: &Mesh| {
        let folder = mesh.path("domains/insights/departures");
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.to_string_lossy().ends_with(".odcs.yaml") {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    };
    refused(edit, &["departures"])
}

#[test]
fn sql_that_does_not_parse_says_where() -> Result<()> {
    refused(|mesh| mesh.edit(DELAYS_SQL, |text| text.replacen("SELECT", "SELEC", 1)), &["transform.sql"])
}

#[test]
fn an_unknown_column_is_named() -> Result<()> {
    refused(|mesh| mesh.edit(DELAYS_SQL, |text| text.replace("dep_delay", "dep_dely")), &["transform.sql", "dep_dely"])
}

#[test]
fn mixed_types_are_refused() -> Result<()> {
    let edit = |mesh: &Mesh| mesh.edit(DELAYS_SQL, |text| text.replacen("> 15", "> (carrier = origin)", 1));
    refused(edit, &["transform.sql"])
}

const DEPARTURES: &str = "domains/insights/departures/product.odps.yaml";
const DEPARTURES_SQL: &str = "domains/insights/departures/transform.sql";

#[test]
fn a_cycle_between_products_is_shown_as_a_round() -> Result<()> {
    let edit = |mesh: &Mesh| {
        mesh.edit(DEPARTURES, |text| {
            text.replace("weft://flight-ops/flights/flights/v1", "weft://insights/late-arrivals/alerts/v1")
        })?;
        mesh.edit("domains/insights/late-arrivals/product.odps.yaml", |text| {
            text.replace("weft://flight-ops/flights/flights/v1", "weft://insights/departures/departures/v1")
        })
    };
    let round = "insights.departures reads insights.late-arrivals reads insights.departures";
    refused(edit, &[DEPARTURES, round, "MODEL-032"])
}

#[test]
fn two_products_on_one_topic_are_both_named() -> Result<()> {
    let edit = |mesh: &Mesh| {
        mesh.edit(DEPARTURES, |text| {
            let port = "    contractId: insights.departures.departures\n";
            let adopted = "    customProperties:\n      - { property: topic, value: insights.late-arrivals.alerts.v1 }\n      \
                           - { property: partitions, value: 1 }\n";
            text.replacen(port, &format!("{port}{adopted}"), 1)
        })
    };
    refused(edit, &["insights.departures.departures", "insights.late-arrivals.alerts", "MODEL-033"])
}

#[test]
fn an_input_that_expects_another_contract_than_it_reads() -> Result<()> {
    let edit = |mesh: &Mesh| {
        mesh.edit(DEPARTURES, |text| {
            text.replacen("version: 1.0.0\n    contractId: flight-ops", "version: 1.2.0\n    contractId: flight-ops", 1)
                .replace("- { id: flight-ops.flights.flights,", "- { id: flight-ops.planes.planes,")
        })
    };
    refused(edit, &["MODEL-015", "1.2.0", "MODEL-045", "flight-ops.planes.planes"])
}

#[test]
fn an_aggregate_without_a_window_is_refused() -> Result<()> {
    let sql = "INSERT INTO departures SELECT carrier, COUNT(*) AS n FROM flights GROUP BY carrier EMIT CHANGES;\n";
    refused(|mesh| mesh.edit(DEPARTURES_SQL, |_| sql.to_owned()), &["transform.sql", "SQL-006", "TUMBLE"])
}

#[test]
fn settings_of_the_node_are_checked_like_the_rest() -> Result<()> {
    let edit =
        |mesh: &Mesh| mesh.edit("weft.yaml", |text| format!("{text}\nhttp:\n  origin: [\"*\"]\n  sqls_max: many\n"));
    refused(edit, &["weft.yaml", "did you mean \"origins\"?", "MODEL-005", "sqls_max", "MODEL-006"])
}

/// datacontract-cli, which nobody here wrote, accepts every contract of the example.
#[test]
fn datacontract_cli_accepts_every_contract() -> Result<()> {
    let datacontract = Peer::DataContract.require()?;
    let mesh = Mesh::prepare(Options::default())?;
    let mut contracts = Vec::new();
    let mut folders = vec![mesh.path("")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(".odcs.yaml") {
                contracts.push(path);
            }
        }
    }
    ensure!(contracts.len() >= 11, "the example has {} contracts", contracts.len());
    for contract in contracts {
        let mut command = Command::new(&datacontract);
        command.arg("lint").arg(&contract);
        Process::start("datacontract", command, mesh.folder())?
            .finish(END)
            .with_context(|| contract.display().to_string())?;
    }
    Ok(())
}
