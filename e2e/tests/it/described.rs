//! What a mesh is described as, judged by programs of others: documents are valid, and clients that know nothing else work.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::http;
use e2e::mesh::{Mesh, Options};
use e2e::peers::{self, Peer};
use e2e::process::Process;
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(180);
const DELAYS: &str = "/v1/products/insights/delays";
const CONTRACT: &str = "domains/insights/delays/current.odcs.yaml";

/// A mesh whose replay is over, so that everybody counts the same rows.
fn complete(options: Options) -> Result<Mesh> {
    let mut mesh = Mesh::up(options)?;
    mesh.wait_until_ready()?;
    let http = mesh.http();
    let path = format!("{DELAYS}/ports/current/v1?limit=1");
    mesh.process()?.wait_until("the replay to end", LIMIT, |_| {
        let answer = http::get(&http, &path).ok()?.json().ok()?;
        (answer["position"][0]["watermark"] == "complete").then_some(())
    })?;
    Ok(mesh)
}

fn script(mesh: &Mesh, peer: Peer, name: &str, question: &serde_json::Value) -> Result<String> {
    let mut command = Command::new(peer.require()?);
    command.arg("-u").arg(peers::repository().join("e2e/scripts").join(name)).arg(question.to_string());
    Process::start(name, command, mesh.folder())?.finish(LIMIT)
}

fn a_client_reads_every_channel(options: Options) -> Result<()> {
    let mesh = complete(options)?;
    let document = format!("http://{}{DELAYS}/asyncapi.json", mesh.http());
    let rows = json!({"current-v1": 4030, "current-v1-stream": 4030, "final-v1": 4030, "final-v1-stream": 4030});
    print!("{}", script(&mesh, Peer::Python, "described.py", &json!({"document": document, "rows": rows}))?);
    // A source: its rows come from a file, and its key is one text.
    let document = format!("http://{}/v1/products/flight-ops/planes/asyncapi.json", mesh.http());
    let rows = json!({"planes-v1": 3322, "planes-v1-stream": 3322});
    print!("{}", script(&mesh, Peer::Python, "described.py", &json!({"document": document, "rows": rows}))?);
    Ok(())
}

#[test]
fn a_client_that_knows_only_the_document_reads_every_channel() -> Result<()> {
    a_client_reads_every_channel(Options::default())
}

#[test]
fn a_client_that_knows_only_the_document_reads_every_channel_on_kafka() -> Result<()> {
    a_client_reads_every_channel(Options { partitions: Some(3), on_kafka: true, ..Options::default() })
}

/// The official command for one product, the official parser for all: the command takes seconds for each.
#[test]
fn asyncapi_documents_are_valid() -> Result<()> {
    let mesh = complete(Options::default())?;
    let cli = Peer::AsyncApi.require()?;
    let node = peers::home().join("node24/bin/node");
    let folder = peers::home().join("asyncapi");
    let file = mesh.folder().join("delays.asyncapi.json");
    std::fs::write(&file, http::get(&mesh.http(), &format!("{DELAYS}/asyncapi.json"))?.body)?;
    let mut command = Command::new(&node);
    // In CI it sends nothing home.
    command.arg(&cli).args(["validate", "--fail-severity=info"]).arg(&file).current_dir(&folder).env("CI", "true");
    let said = Process::start("asyncapi-cli", command, mesh.folder())?.finish(LIMIT)?;
    ensure!(said.contains("is valid"), "{said}");
    let mut command = Command::new(&node);
    command.arg(peers::repository().join("e2e/scripts/asyncapi.mjs")).arg(format!("http://{}", mesh.http()));
    command.current_dir(&folder);
    print!("{}", Process::start("asyncapi-parser", command, mesh.folder())?.finish(LIMIT)?);
    Ok(())
}

/// A fixed seed, so that a failure comes again. Streams never end, so they are left to `streams.rs`.
#[test]
fn schemathesis_finds_no_crash_and_nothing_undocumented() -> Result<()> {
    let mesh = complete(Options::default())?;
    let checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
        response_schema_conformance,unsupported_method";
    let mut command = Command::new(Peer::Described.require()?.with_file_name("schemathesis"));
    command.arg("run").arg(format!("http://{}/openapi.json", mesh.http())).args(["--checks", checks]);
    command.args(["--max-examples", "50", "--seed", "7", "--generation-database", "none", "--no-color"]);
    command.args(["--exclude-path-regex", "/stream$"]).current_dir(mesh.folder());
    let start = Instant::now();
    let said = Process::start("schemathesis", command, mesh.folder())?.finish(LIMIT)?;
    ensure!(said.contains("Selected: 14/15"), "operations are missing: {said}");
    println!("schemathesis took {:.1} s", start.elapsed().as_secs_f64());
    ensure!(http::get(&mesh.http(), "/readyz")?.status == 200, "the node is not ready any more");
    Ok(())
}

#[test]
fn an_agent_of_the_official_sdk_finds_reads_and_asks() -> Result<()> {
    let mesh = complete(Options::default())?;
    let question = json!({"http": mesh.http(), "contract": mesh.path(CONTRACT)});
    print!("{}", script(&mesh, Peer::Described, "agent.py", &question)?);
    Ok(())
}

#[test]
fn linked_data_tools_read_the_catalogue() -> Result<()> {
    let mesh = complete(Options::default())?;
    print!("{}", script(&mesh, Peer::Described, "linked.py", &json!({"http": mesh.http()}))?);
    Ok(())
}

/// Byte for byte, comments and all; an edit is there as soon as it is applied, under another `ETag`.
#[test]
fn descriptors_are_served_as_they_were_written() -> Result<()> {
    let mut mesh = complete(Options::default())?;
    let product = "domains/insights/delays/product.odps.yaml";
    let (odps, odcs) = (format!("{DELAYS}/odps.yaml"), format!("{DELAYS}/ports/current/v1/odcs.yaml"));
    for (path, file) in [(&odps, product), (&odcs, CONTRACT)] {
        let answer = http::get(&mesh.http(), path)?;
        ensure!(answer.body == std::fs::read_to_string(mesh.path(file))?, "{path} is not {file}: {}", answer.body);
    }
    let before = http::get(&mesh.http(), &odps)?;
    let etag = before.head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap_or_default().trim().to_owned();
    let ask = |http: &str| http::send(http, "GET", &odps, &format!("If-None-Match: {etag}\r\n"), "");
    ensure!(ask(&mesh.http())?.status == 304, "{etag} is not known again");
    mesh.edit(product, |text| text.replace("tags: [delays]", "tags: [delays, punctuality] # found by this word"))?;
    let http = mesh.http();
    let body = mesh.process()?.wait_until("the edit to be served", LIMIT, |_| {
        ask(&http).ok().filter(|answer| answer.status == 200).map(|answer| answer.body)
    })?;
    ensure!(body.contains("# found by this word"), "{body}");
    let document = http::get(&mesh.http(), &format!("{DELAYS}/asyncapi.json"))?.json()?;
    ensure!(document["info"]["tags"][1]["name"] == "punctuality", "{}", document["info"]);
    Ok(())
}
