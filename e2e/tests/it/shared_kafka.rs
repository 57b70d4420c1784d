//! A Kafka that others use too: meshes beside each other, and a topic that is older than both.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::client::{Client, lines};
use e2e::http;
use e2e::mesh::{Mesh, Options};
use e2e::peers::{Peer, repository};
use e2e::process::Process;
use e2e::server::{create_topic, java};
use serde_json::json;

const JANUARY: u64 = 300;
const SOON: Duration = Duration::from_secs(60);

/// A tool of Kafka's own, run to its end.
fn tool(mesh: &mut Mesh, class: &str, arguments: &[&str]) -> Result<String> {
    let server = mesh.server()?;
    let mut command = java(server.folder())?;
    command.args([&format!("org.apache.kafka.tools.{class}"), "--bootstrap-server", &server.bootstrap()]);
    command.args(arguments);
    Process::start("tool", command, server.folder())?.finish(SOON)
}

/// Two meshes with ids and prefixes of their own do not touch; one of them adopts a topic whose consumer notices nothing; a
/// third with a prefix that is taken is told whose it is.
#[test]
fn two_meshes_and_a_topic_that_is_older() -> Result<()> {
    let options = Options { on_kafka: true, ..Options::default() };
    let mut first = Mesh::prepare(options.clone())?;
    let bootstrap = first.bootstrap();
    create_topic(&bootstrap, "legacy_orders", 3, &["retention.ms=-1", "segment.ms=7200000"])?;
    let mut write = Command::new(Peer::Python.require()?);
    write.arg("-u").arg(repository().join("e2e/scripts/shop.py")).args(["write", &bootstrap]);
    Process::start("shop-write", write, first.folder())?.finish(SOON)?;
    let arguments = json!({"topic": "legacy_orders", "group": "billing"});
    let mut billing = Client::Confluent.start("billing", "member", &bootstrap, &arguments, first.folder())?;
    let assigned = |said: &str| lines(said).is_ok_and(|said| said.iter().any(|line| line["assigned"].is_array()));
    billing.wait_until("an assignment", SOON, |said| assigned(said).then_some(()))?;
    let before = tool(&mut first, "TopicCommand", &["--describe", "--topic", "legacy_orders"])?;
    first.start()?;

    let second = Options { named: Some(("trial", "trial.")), ..Options::default() };
    let mut second = Mesh::prepare_beside(second, &first)?;
    let shop = Command::new("cp")
        .arg("-r")
        .arg(repository().join("e2e/meshes/shop"))
        .arg(second.path("domains/shop"))
        .status()?;
    ensure!(shop.success(), "cannot copy the shop");
    second.start()?;
    println!("{}", first.equals_duckdb(JANUARY)?);
    println!("{}", second.equals_duckdb(JANUARY)?);
    let orders = "/v1/products/shop/orders/ports/orders/v1?limit=3";
    let answer = http::get(&second.http(), orders)?;
    ensure!(answer.status == 200 && answer.body.contains("order_id"), "{}", answer.body);
    ensure!(http::get(&first.http(), orders)?.status == 404, "the first mesh knows nothing of it");

    let after = tool(&mut first, "TopicCommand", &["--describe", "--topic", "legacy_orders"])?;
    ensure!(after == before, "the adopted topic was changed: {before} {after}");
    let said = lines(&billing.stdout())?;
    let assignments = said.iter().filter(|line| line["assigned"].is_array()).count();
    ensure!(assignments == 1, "its consumer was disturbed: {said:?}");
    billing.close_stdin();
    billing.finish(SOON)?;

    let third = Options { named: Some(("third", "")), ..Options::default() };
    let third = Mesh::prepare_beside(third, &first)?;
    let plan = third.weft(&["plan", &third.path("").display().to_string()])?;
    let mut plan = Process::start("plan", plan, third.folder())?;
    let status = plan.wait(SOON)?;
    let said = format!("{}{}", plan.stdout(), plan.stderr());
    ensure!(!status.success() && said.contains("APPLY-014"), "{said}");
    ensure!(said.contains("cannot apply mesh \"third\" beside mesh \"flights\""), "{said}");
    Ok(())
}
