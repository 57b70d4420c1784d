//! Several nodes of one mesh: they find each other through Kafka, share the work, and nobody undoes another's.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::http;
use e2e::mesh::{Mesh, Node, Options};
use e2e::process::Process;
use e2e::server::{Kind, Server};

const JANUARY: u64 = 300;
const SOON: Duration = Duration::from_secs(60);

fn two_nodes(speed: Option<u32>) -> Result<(Mesh, Node)> {
    let options = Options { partitions: Some(4), on_kafka: true, node: Some("a"), speed, ..Options::default() };
    let mesh = Mesh::prepare_on(options, Server::start(Kind::Kafka)?)?;
    let node = mesh.another("b")?;
    Ok((mesh, node))
}

/// The first node, with its folder applied: the other starts on a mesh that is there.
fn start_first(mesh: &mut Mesh) -> Result<()> {
    mesh.start()?;
    mesh.process()?.wait_until("it applies", SOON, |said| said.contains("applied revision 1").then_some(()))
}

/// What `weft node ls` says.
fn node_ls(mesh: &Mesh) -> Result<String> {
    let command = mesh.weft(&["node", "ls", "--folder", &mesh.path("").display().to_string()])?;
    Process::start("node-ls", command, mesh.folder())?.finish(SOON)
}

fn wait_for_ls(mesh: &Mesh, what: &str, is_so: impl Fn(&str) -> bool) -> Result<String> {
    let deadline = Instant::now() + SOON;
    loop {
        let said = node_ls(mesh)?;
        if is_so(&said) {
            return Ok(said);
        }
        ensure!(Instant::now() < deadline, "{what}: {said}");
        thread::sleep(Duration::from_millis(500));
    }
}

/// The lines of one node in `weft node ls`.
fn of_node(said: &str, node: &str) -> String {
    let mut lines = said.lines().skip_while(|line| !line.starts_with(&format!("{node}  ")));
    let first = lines.next().unwrap_or_default().to_owned();
    lines.take_while(|line| line.starts_with("  ")).fold(first, |said, line| said + "\n" + line)
}

fn tasks(said: &str, node: &str) -> usize {
    of_node(said, node)
        .lines()
        .filter_map(|line| line.split(": ").nth(1)?.split(" task").next()?.parse::<usize>().ok())
        .sum()
}

/// Killed, started again, paused for longer than a session, told to end and started again, under load.
#[test]
fn january_on_two_nodes_that_come_and_go() -> Result<()> {
    let (mut mesh, mut b) = two_nodes(Some(40_000))?;
    start_first(&mut mesh)?;
    b.start()?;
    let said = wait_for_ls(&mesh, "both have tasks", |said| tasks(said, "a") > 0 && tasks(said, "b") > 0)?;
    println!("{said}");
    ensure!(of_node(&said, "a").contains("writes the desired state"), "{said}");
    ensure!(said.matches("runs the sources").count() == 1, "{said}");

    mesh.kill();
    let killed = Instant::now();
    let gone = |said: &str| of_node(said, "a").contains("a  gone") && of_node(said, "b").contains("runs the sources");
    wait_for_ls(&mesh, "b takes over", gone)?;
    println!("taken over {:.1} s after kill -9 as `weft node ls` tells it", killed.elapsed().as_secs_f64());
    mesh.start()?;
    wait_for_ls(&mesh, "a has tasks again", |said| tasks(said, "a") > 0 && tasks(said, "b") > 0)?;

    b.process()?.pause()?;
    wait_for_ls(&mesh, "a goes on while b stands still", |said| of_node(said, "b").contains("b  gone"))?;
    b.process()?.resume()?;
    wait_for_ls(&mesh, "b is back", |said| of_node(said, "b").contains("b  up") && tasks(said, "b") > 0)?;

    b.process()?.interrupt()?;
    let told = Instant::now();
    b.process()?.finish(SOON)?;
    let alone = |said: &str| of_node(said, "b").contains("b  left") && of_node(said, "a").contains("runs the sources");
    wait_for_ls(&mesh, "a has all", alone)?;
    println!("handed over {:.1} s after SIGINT", told.elapsed().as_secs_f64());
    b.start()?;

    println!("{}", mesh.equals_duckdb(JANUARY)?);
    println!("{}", mesh.doors_answer()?);
    let path = "/v1/products/insights/delays/ports/final/v1?limit=1";
    for http in [mesh.http(), b.http()] {
        let answer = http::get(&http, path)?;
        ensure!(answer.status == 200 && answer.body.contains("window_start"), "{http}: {}", answer.body);
    }
    Ok(())
}

/// The node that applied first writes; another folder, and another hand, are told its name.
#[test]
fn two_folders_do_not_undo_each_other() -> Result<()> {
    let (mut mesh, mut b) = two_nodes(None)?;
    let sql = "domains/insights/departures/transform.sql";
    let older = std::fs::read_to_string(b.path(sql))?;
    std::fs::write(b.path(sql), format!("-- an older checkout\n{older}"))?;
    start_first(&mut mesh)?;
    b.start()?;
    let refusal = |node: &mut Node| {
        node.process()?.wait_until("whose folder counts", SOON, |said| {
            said.contains("not applied; revision 1 runs on").then_some(())
        })?;
        let said = node.process()?.stderr();
        ensure!(said.contains("APPLY-020") && said.contains("node \"a\""), "{said}");
        Ok(())
    };
    refusal(&mut b)?;
    let mut by_hand = mesh.weft(&["apply", &b.path("").display().to_string(), "--partitions", "4"])?;
    by_hand.env("NO_COLOR", "1");
    let mut by_hand = Process::start("by-hand", by_hand, mesh.folder())?;
    ensure!(!by_hand.wait(SOON)?.success(), "{}", by_hand.stdout());
    ensure!(by_hand.stderr().contains("APPLY-020") && by_hand.stderr().contains("node \"a\""), "{}", by_hand.stderr());
    let said = node_ls(&mesh)?;
    ensure!(!said.contains("runs revision"), "nobody flaps: {said}");

    mesh.kill();
    wait_for_ls(&mesh, "a is gone", |said| of_node(said, "a").contains("a  gone"))?;
    std::fs::write(b.path(sql), format!("-- a newer checkout\n{older}"))?;
    b.process()?.wait_until("b writes", SOON, |said| said.contains("applied revision 2").then_some(()))?;
    mesh.start()?;
    mesh.process()?.wait_until("a follows", SOON, |said| said.contains("not applied; revision 2 runs on").then_some(()))
}

/// The newer has the name; the older ends and says who has it.
#[test]
fn two_nodes_of_one_name() -> Result<()> {
    let (mut mesh, _) = two_nodes(None)?;
    start_first(&mut mesh)?;
    wait_for_ls(&mesh, "a is up", |said| said.contains("runs the sources"))?;
    let mut newer = mesh.another("a")?;
    newer.start()?;
    let status = mesh.process()?.wait(SOON)?;
    let said = mesh.process()?.stderr();
    ensure!(!status.success() && said.contains("NODE-013"), "{status}: {said}");
    ensure!(said.contains(&newer.http()), "it names the other: {said}");
    newer.process()?.interrupt()?;
    newer.process()?.finish(SOON)?;
    Ok(())
}
