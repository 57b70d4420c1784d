//! `weft.yaml` tunes the node: what it says holds after a restart, and an edit under a running node says so.

use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::http::{self, Answer};
use e2e::mesh::{Mesh, Options};
use e2e::peers;
use e2e::process::Process;
use e2e::server::{Kind, Server};
use serde_json::json;

const SOON: Duration = Duration::from_secs(60);
const PORTAL: &str = "https://portal.example";

/// A page of `origin` asks.
fn asked_by(mesh: &Mesh, origin: &str) -> Result<Answer> {
    http::send(&mesh.http(), "GET", "/v1/products", &format!("Origin: {origin}\r\n"), "")
}

fn allows(answer: &Answer, origin: &str) -> bool {
    answer.head.to_ascii_lowercase().contains(&format!("access-control-allow-origin: {origin}\r\n"))
}

fn airlines(mesh: &Mesh, limit: u32) -> Result<Answer> {
    let text = format!("SELECT carrier FROM \"flight-ops\".\"airlines\".\"airlines\" LIMIT {limit}");
    http::post(&mesh.http(), "/v1/sql", &json!({"sql": text}))
}

#[test]
fn settings_hold_after_a_restart_and_an_edit_says_that_it_needs_one() -> Result<()> {
    let mut mesh = Mesh::up(Options::default())?;
    mesh.process()?.wait_until("sources", SOON, |stdout| stdout.contains("every source is complete").then_some(()))?;
    let before = asked_by(&mesh, PORTAL)?;
    ensure!(before.status == 403 && !before.head.to_ascii_lowercase().contains("access-control"), "{}", before.head);
    ensure!(airlines(&mesh, 6)?.status == 200);

    mesh.edit("weft.yaml", |text| {
        format!("{text}\nhttp:\n  origins: [\"{PORTAL}\"]\n  sql: {{ rows_max: 5 }}\nlog:\n  fsync: interval:50\n")
    })?;
    let said = "http.origins [] → [https://portal.example], http.sql.rows_max 10000 → 5, log.fsync always → interval:50: \
                needs a restart";
    mesh.process()?.wait_until("a word about the restart", SOON, |stdout| stdout.contains(said).then_some(()))?;
    ensure!(asked_by(&mesh, PORTAL)?.status == 403 && airlines(&mesh, 6)?.status == 200, "it changed half-way");

    mesh.process()?.interrupt()?;
    mesh.process()?.finish(SOON)?;
    mesh.start()?;
    mesh.wait_until_ready()?;
    let portal = asked_by(&mesh, PORTAL)?;
    ensure!(portal.status == 200 && allows(&portal, PORTAL), "{}", portal.head);
    let preflight = http::send(
        &mesh.http(),
        "OPTIONS",
        "/v1/sql",
        &format!(
            "Origin: {PORTAL}\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n"
        ),
        "",
    )?;
    ensure!(preflight.status < 300 && allows(&preflight, PORTAL), "{}", preflight.head);
    let other = asked_by(&mesh, "https://evil.example")?;
    ensure!(other.status == 403 && !other.head.to_ascii_lowercase().contains("access-control"), "{}", other.head);

    let (five, six) = (airlines(&mesh, 5)?, airlines(&mesh, 6)?);
    ensure!(five.status == 200, "{}", five.body);
    ensure!(six.status == 422 && six.head.contains("application/problem+json"), "{} {}", six.head, six.body);
    let problem = six.json()?;
    let text = |field: &str| problem[field].as_str().unwrap_or_default().to_owned();
    ensure!(problem["code"] == "SQL-105" && problem["status"] == 422, "{problem}");
    ensure!(
        text("because").contains("more than 5 rows") && text("because").contains("`http.sql.rows_max`"),
        "{problem}"
    );
    ensure!(
        text("try").contains("LIMIT") && text("try").contains("raise `http.sql.rows_max` in weft.yaml"),
        "{problem}"
    );
    ensure!(text("type") == "/v1/errors/SQL-105", "{problem}");
    Ok(())
}

/// `weft plan` of the folder, with a section `log`, on that Kafka: how it ended, and what it said.
fn plan_with_log(kind: Kind) -> Result<(bool, String)> {
    let server = Server::start(kind)?;
    let mesh = Mesh::prepare(Options::default())?;
    mesh.edit("weft.yaml", |text| format!("{text}\nlog:\n  fsync: os\n"))?;
    let mut command = Command::new(peers::weft()?);
    command.arg("plan").arg(mesh.path("")).args(["--kafka", &server.bootstrap()]);
    let mut process = Process::start("plan", command, mesh.folder())?;
    let status = process.wait(SOON)?;
    Ok((status.success(), format!("{}{}", process.stdout(), process.stderr())))
}

#[test]
fn a_section_about_the_log_is_taken_on_our_log() -> Result<()> {
    let (well, said) = plan_with_log(Kind::Weft)?;
    ensure!(well, "{said}");
    Ok(())
}

#[test]
fn a_section_about_the_log_is_refused_on_kafka() -> Result<()> {
    let (well, said) = plan_with_log(Kind::Kafka)?;
    ensure!(!well && said.contains("NODE-009") && said.contains("would have no effect"), "{said}");
    Ok(())
}

/// Runs `weft doctor` on the mesh; hands back whether it found all well, and what it said.
fn doctor(mesh: &Mesh) -> Result<(bool, String)> {
    let mut command = Command::new(peers::weft()?);
    command.arg("doctor").arg(mesh.path("")).arg("--data").arg(mesh.folder().join("data"));
    let mut process = Process::start("doctor", command, mesh.folder())?;
    let status = process.wait(SOON)?;
    Ok((status.success(), format!("{}{}", process.stdout(), process.stderr())))
}

#[test]
fn doctor_looks_where_the_folder_says() -> Result<()> {
    let mut mesh = Mesh::prepare(Options::default())?;
    let (kafka, http) = (mesh.bootstrap(), mesh.http());
    mesh.edit("weft.yaml", |text| text.replace("127.0.0.1:9092", &kafka).replace("127.0.0.1:8080", &http))?;
    let (well, said) = doctor(&mesh)?;
    ensure!(well && said.contains(&format!("{kafka} is free")) && said.contains(&format!("{http} is free")), "{said}");

    let taken = TcpListener::bind(&http)?;
    let (well, said) = doctor(&mesh)?;
    ensure!(!well && said.contains(&format!("{http} is taken")) && said.contains("listeners.http"), "{said}");
    drop(taken);

    mesh.start()?;
    let (well, said) = doctor(&mesh)?;
    ensure!(
        !well && said.contains(&format!("{kafka} is taken")) && said.contains("already in use by another process"),
        "{said}"
    );
    ensure!(http::get(&http, "/healthz")?.status == 200, "a look at its directory disturbed the mesh");

    mesh.process()?.interrupt()?;
    mesh.process()?.finish(SOON)?;
    let (well, said) = doctor(&mesh)?;
    ensure!(well, "{said}");
    let format = mesh.folder().join("data/log/format");
    let text = fs::read_to_string(&format)?;
    fs::write(&format, "weft-log 9\n")?;
    let (well, said) = doctor(&mesh)?;
    ensure!(!well && said.contains("format 9"), "{said}");
    ensure!(fs::read_to_string(&format)? == "weft-log 9\n", "the doctor wrote into the directory");
    fs::write(&format, text)?;
    mesh.start()
}
