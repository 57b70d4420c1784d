//! A Kafka that lets nobody in without TLS and a log-in, and gives no more rights than were asked for.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::mesh::{Mesh, Options};
use e2e::peers::{Peer, repository};
use e2e::process::{Process, free_port};
use e2e::secured::{PASSWORD, Secured, USER};
use e2e::server::{Kind, Server, java};

const JANUARY: u64 = 300;
const SOON: Duration = Duration::from_secs(60);

/// Runs a command of weft to its end: did it end well, and what did it say?
fn ask(mesh: &Mesh, name: &str, words: &[&str]) -> Result<(bool, String)> {
    let mut process = Process::start(name, mesh.weft(words)?, mesh.folder())?;
    let status = process.wait(SOON)?;
    let said = format!("{}{}", process.stdout(), process.stderr());
    ensure!(!said.contains("panicked"), "{said}");
    Ok((status.success(), said))
}

fn tls<'a>(ca: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let protocol = if more.is_empty() || more[0].0.starts_with("ssl.") { "ssl" } else { "sasl_ssl" };
    [&[("security.protocol", protocol), ("ssl.ca.location", ca)], more].concat()
}

const SCRAM: [(&str, &str); 3] =
    [("sasl.mechanism", "SCRAM-SHA-512"), ("sasl.username", USER), ("sasl.password", PASSWORD)];

/// What `weft explain APPLY-019` tells an administrator to do, done with Kafka's own tool.
fn grant_what_is_documented(secured: &Secured, server: &Server, prefixes: &[&str]) -> Result<()> {
    let page = std::fs::read_to_string(repository().join("crates/weft-model/src/explain/APPLY-019.md"))?;
    let lines: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("$acls ")).collect();
    ensure!(lines.len() == 5, "the page lists five grants: {lines:?}");
    let admin = secured.admin_config()?;
    for line in lines.iter().filter(|line| !line.contains("ADOPTED-TOPIC")) {
        let of_ports = line.contains("--topic acme.");
        for prefix in if of_ports { prefixes } else { &[""] } {
            let line = line.replace("--topic acme.", &format!("--topic {prefix}"));
            let mut command = java(server.folder())?;
            command.args(["org.apache.kafka.tools.AclCommand", "--bootstrap-server", &server.bootstrap()]);
            command.arg("--command-config").arg(&admin).args(["--add", "--allow-principal", &format!("User:{USER}")]);
            command.args(line.split_whitespace());
            Process::start("acls", command, server.folder())?.finish(SOON)?;
        }
    }
    Ok(())
}

/// Before an administrator did anything the plan says what is missing; with what is documented, and no more, all runs.
#[test]
fn january_over_tls_and_scram_with_the_rights_that_are_documented() -> Result<()> {
    let secured = Secured::sasl_with_acls()?;
    let mut mesh = Mesh::prepare_on(Options::default(), Server::start_secured(&secured)?)?;
    let ca = secured.path("ca.pem").display().to_string();
    mesh.declare_cluster(&tls(&ca, &SCRAM), &[])?;
    let folder = mesh.path("").display().to_string();
    let (well, said) = ask(&mesh, "plan-poor", &["plan", &folder])?;
    ensure!(!well && said.contains("APPLY-019"), "{said}");
    for word in
        ["cannot create topic \"insights.delays.final.v1\"", "--allow-principal User:weft", "--operation Create"]
    {
        ensure!(said.contains(word), "\"{word}\" is missing in: {said}");
    }
    let (_, said) = ask(&mesh, "product-poor", &["product", "ls", "--folder", &folder])?;
    ensure!(said.contains("NODE-007"), "nothing was applied: {said}");
    grant_what_is_documented(&secured, mesh.server()?, &["flight-ops.", "airports.", "weather.", "insights."])?;
    mesh.start()?;
    println!("{}", mesh.equals_duckdb(JANUARY)?);
    let (well, said) = ask(&mesh, "product-ls", &["product", "ls", "--folder", &folder])?;
    ensure!(well && said.contains("insights.delays"), "{said}");
    ensure!(!mesh.process()?.stdout().contains(PASSWORD) && !mesh.process()?.stderr().contains(PASSWORD), "a secret");
    Ok(())
}

/// Applies the example and asks for its products.
fn is_let_in(mesh: &mut Mesh, name: &str, client: &[(&str, &str)]) -> Result<()> {
    mesh.declare_cluster(client, &[])?;
    let folder = mesh.path("").display().to_string();
    let (well, said) = ask(mesh, &format!("apply-{name}"), &["apply", &folder])?;
    ensure!(well && (said.contains("applied: revision") || said.contains("nothing to do")), "{name}: {said}");
    let (well, said) = ask(mesh, &format!("ls-{name}"), &["product", "ls", "--folder", &folder])?;
    ensure!(well && said.contains("insights.delays"), "{name}: {said}");
    Ok(())
}

/// Is refused, at once and with these words.
fn is_not_let_in(mesh: &mut Mesh, name: &str, client: &[(&str, &str)], words: &[&str]) -> Result<()> {
    mesh.declare_cluster(client, &[])?;
    let mut up = Process::start(&format!("up-{name}"), mesh.command()?, mesh.folder())?;
    let status = up.wait(SOON)?;
    let said = format!("{}{}", up.stdout(), up.stderr());
    ensure!(!status.success() && !said.contains("panicked"), "{name}: {said}");
    for word in words.iter().chain(&["because", "try", "code"]) {
        ensure!(said.contains(word), "{name}: \"{word}\" is missing in: {said}");
    }
    Ok(())
}

#[test]
fn every_mechanism_lets_the_right_ones_in_and_nobody_else() -> Result<()> {
    let secured = Secured::sasl()?;
    let mut mesh = Mesh::prepare_on(Options::default(), Server::start_secured(&secured)?)?;
    let path = |name: &str| secured.path(name).display().to_string();
    let (ca, other_ca) = (path("ca.pem"), path("other-ca.pem"));
    let plain = [("sasl.mechanism", "PLAIN"), ("sasl.username", USER), ("sasl.password", PASSWORD)];
    is_let_in(&mut mesh, "plain", &tls(&ca, &plain))?;
    is_let_in(&mut mesh, "scram", &tls(&ca, &SCRAM))?;
    let folder = mesh.path("").display().to_string();
    let (_, said) = ask(&mesh, "doctor", &["doctor", &folder])?;
    ensure!(said.contains("ours: 1 broker of cluster"), "{said}");
    let unsecured = [
        ("sasl.mechanism", "OAUTHBEARER"),
        ("enable.sasl.oauthbearer.unsecure.jwt", "true"),
        ("sasl.oauthbearer.config", "principal=weft"),
    ];
    is_let_in(&mut mesh, "oauthbearer", &tls(&ca, &unsecured))?;

    let mut endpoint = Command::new(Peer::Python.require()?);
    endpoint.arg("-u").arg(repository().join("e2e/scripts/token_endpoint.py")).args(["mesh", "client-secret", USER]);
    let mut endpoint = Process::start("token-endpoint", endpoint, mesh.folder())?;
    let port: u16 = endpoint.wait_until("its port", SOON, |said| said.trim().parse().ok())?;
    let url = format!("http://127.0.0.1:{port}/token");
    let secret_file = mesh.folder().join("client-secret");
    std::fs::write(&secret_file, "client-secret\n")?;
    let secret = format!("file:{}", secret_file.display());
    let oidc = [
        ("sasl.mechanism", "OAUTHBEARER"),
        ("sasl.oauthbearer.method", "oidc"),
        ("sasl.oauthbearer.client.id", "mesh"),
        ("sasl.oauthbearer.client.secret", secret.as_str()),
        ("sasl.oauthbearer.token.endpoint.url", url.as_str()),
    ];
    is_let_in(&mut mesh, "oidc", &tls(&ca, &oidc))?;

    let wrong = |name: &'static str, value: &'static str| {
        let mut scram = SCRAM;
        scram.iter_mut().filter(|(key, _)| *key == name).for_each(|pair| pair.1 = value);
        scram
    };
    let denied = ["APPLY-015", "SASL authentication error"];
    is_not_let_in(&mut mesh, "password", &tls(&ca, &wrong("sasl.password", "guessed")), &denied)?;
    is_not_let_in(&mut mesh, "user", &tls(&ca, &wrong("sasl.username", "nobody")), &denied)?;
    is_not_let_in(&mut mesh, "mechanism", &tls(&ca, &wrong("sasl.mechanism", "SCRAM-SHA-256")), &["APPLY-015"])?;
    is_not_let_in(&mut mesh, "ca", &tls(&other_ca, &SCRAM), &["APPLY-015", "certificate verify failed"])?;
    let missing = path("no-such.pem");
    is_not_let_in(&mut mesh, "no-ca", &tls(&missing, &SCRAM), &["NODE-012", "no-such.pem"])
}

#[test]
fn certificates_on_both_sides() -> Result<()> {
    let secured = Secured::mutual()?;
    let mut mesh = Mesh::prepare_on(Options::default(), Server::start_secured(&secured)?)?;
    let path = |name: &str| secured.path(name).display().to_string();
    let (ca, pem, key) = (path("ca.pem"), path("client.pem"), path("client.key"));
    let shown = [("ssl.certificate.location", pem.as_str()), ("ssl.key.location", key.as_str())];
    is_let_in(&mut mesh, "mutual", &tls(&ca, &shown))
}

#[test]
fn a_certificate_that_has_expired() -> Result<()> {
    let secured = Secured::expired()?;
    let mut mesh = Mesh::prepare(Options::default())?;
    // Kafka does not start with such a certificate; one that runs goes on with it until clients stay away.
    let mut server = Command::new("openssl");
    server.args(["s_server", "-quiet", "-accept", &mesh.bootstrap(), "-cert"]).arg(secured.path("broker.pem"));
    server.arg("-key").arg(secured.path("broker.key"));
    let _server = Process::start("s_server", server, mesh.folder())?;
    let ca = secured.path("ca.pem").display().to_string();
    is_not_let_in(&mut mesh, "expired", &tls(&ca, &SCRAM), &["APPLY-015", "certificate verify failed"])
}

/// A plan on a Kafka that cannot be spoken to ends soon, with the reason.
fn plan_says(mesh: &Mesh, words: &[&str]) -> Result<()> {
    let folder = mesh.path("").display().to_string();
    let (well, said) = ask(mesh, "plan", &["plan", &folder]).context("it ends")?;
    ensure!(!well, "{said}");
    for word in words {
        ensure!(said.contains(word), "\"{word}\" is missing in: {said}");
    }
    Ok(())
}

#[test]
fn a_broker_that_is_not_where_it_says() -> Result<()> {
    let nowhere = free_port()?;
    let setting = format!("advertised.listeners=PLAINTEXT://127.0.0.1:{nowhere}");
    let mesh = Mesh::prepare_on(Options::default(), Server::start_with(Kind::Kafka, &[&setting])?)?;
    plan_says(&mesh, &["APPLY-017", &format!("127.0.0.1:{nowhere}"), "advertised.listeners"])?;
    let mut up = Process::start("up", mesh.command()?, mesh.folder())?;
    let reason = format!("broker 1 says that it is at 127.0.0.1:{nowhere}");
    up.wait_until("the reason", SOON, |said| said.contains(&reason).then_some(()))?;
    up.interrupt()?;
    up.finish(SOON)?;
    Ok(())
}

#[test]
fn properties_of_a_file_beside_kafka() -> Result<()> {
    let secured = Secured::sasl()?;
    let mesh = Mesh::prepare_on(Options::default(), Server::start_secured(&secured)?)?;
    let file = mesh.folder().join("client.properties");
    let ca = secured.path("ca.pem");
    let write = |password: &str| {
        let text = format!(
            "security.protocol=sasl_ssl\nssl.ca.location={}\nsasl.mechanism=PLAIN\nsasl.username={USER}\nsasl.password={password}\n",
            ca.display()
        );
        std::fs::write(&file, text)
    };
    let apply = |folder: &Path| {
        let words = ["apply", &folder.display().to_string(), "--kafka-config", &file.display().to_string()];
        ask(&mesh, "apply", &words.map(ToOwned::to_owned).each_ref().map(String::as_str))
    };
    write(PASSWORD)?;
    let (well, said) = apply(&mesh.path(""))?;
    ensure!(well && said.contains("applied: revision 1"), "{said}");
    write("guessed")?;
    let (well, said) = apply(&mesh.path(""))?;
    ensure!(!well && said.contains("APPLY-015"), "{said}");
    // TLS where none is spoken: no word about it can be final, but the reason is said.
    plan_says(&mesh, &["APPLY-011", "security.protocol"])
}
