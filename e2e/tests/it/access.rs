//! Let in and put out: keys, requests and decisions, by clients that nobody here wrote.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use e2e::http;
use e2e::mesh::{Mesh, Options};
use e2e::peers::{self, Peer};
use e2e::process::{Process, free_port};
use e2e::secured::Secured;
use e2e::sse::Events;
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);
const DELAYS: &str = "/v1/products/insights/delays/ports/current/v1";
const TOPIC: &str = "insights.delays.current.v1";
const OTHER: &str = "insights.delays.final.v1";

/// The example with access on, when all its rows are there.
fn guarded() -> Result<Mesh> {
    let mut mesh = Mesh::prepare(Options::default())?;
    mesh.edit("weft.yaml", |text| format!("{text}\naccess:\n  enabled: true\n"))?;
    mesh.start()?;
    mesh.wait_until_ready()?;
    mesh.process()?.wait_until("the replay's end", Duration::from_secs(120), |said| {
        said.contains("every source is complete").then_some(())
    })?;
    Ok(mesh)
}

/// A command about the guarded mesh, by whoever may read its data directory: did it end well, and what did it say?
fn ask(mesh: &Mesh, name: &str, words: &[&str]) -> Result<(bool, String)> {
    let mut command = Command::new(peers::weft()?);
    command.args(words).arg("--folder").arg(mesh.path("")).arg("--data").arg(mesh.folder().join("data"));
    let mut process = Process::start(name, command, mesh.folder())?;
    let status = process.wait(SOON)?;
    let said = format!("{}{}", process.stdout(), process.stderr());
    ensure!(!said.contains("panicked"), "{said}");
    Ok((status.success(), said))
}

fn well(mesh: &Mesh, name: &str, words: &[&str]) -> Result<String> {
    let (well, said) = ask(mesh, name, words)?;
    ensure!(well, "{words:?}: {said}");
    Ok(said)
}

fn badly(mesh: &Mesh, name: &str, words: &[&str], code: &str) -> Result<()> {
    let (well, said) = ask(mesh, name, words)?;
    ensure!(!well && said.contains(code) && said.contains("because"), "{words:?}, {code}: {said}");
    Ok(())
}

/// The one key in a text.
fn key_in(said: &str) -> Result<String> {
    let key = said.split_whitespace().find(|word| word.starts_with("weft_") && word.len() == 78);
    Ok(key.with_context(|| format!("no key in: {said}"))?.to_owned())
}

fn with_key(mesh: &Mesh, key: &str, path: &str) -> Result<http::Answer> {
    http::send(&mesh.http(), "GET", path, &format!("Authorization: Bearer {key}\r\n"), "")
}

/// librdkafka properties of a client.
fn client(bootstrap: &str, protocol: &str, mechanism: &str, name: &str, key: &str) -> Value {
    json!({"bootstrap.servers": bootstrap, "security.protocol": protocol, "sasl.mechanism": mechanism,
        "sasl.username": name, "sasl.password": key})
}

fn let_in(mesh: &Mesh, name: &str, what: &str, client: &Value) -> Result<Process> {
    let question = json!({"do": what, "client": client, "topic": TOPIC, "other": OTHER});
    let mut command = Command::new(Peer::Python.require()?);
    command.arg("-u").arg(peers::repository().join("e2e/scripts/let_in.py")).arg(question.to_string());
    Process::start(name, command, mesh.folder())
}

fn look(mesh: &Mesh, name: &str, client: &Value) -> Result<Value> {
    let said = let_in(mesh, name, "look", client)?.finish(Duration::from_secs(120))?;
    serde_json::from_str(said.lines().last().context("an answer")?).with_context(|| said.clone())
}

/// Sees one topic, reads it, and can do nothing else.
fn sees_only_what_was_granted(seen: &Value) -> Result<()> {
    ensure!(seen["topics"] == json!([TOPIC]), "{seen}");
    ensure!(seen["rows"] == 3 && seen["high"].as_i64().is_some_and(|high| high > 0), "{seen}");
    ensure!(seen["other"] == "TOPIC_AUTHORIZATION_FAILED", "{seen}");
    ensure!(seen["other group"] == "GROUP_AUTHORIZATION_FAILED", "{seen}");
    ensure!(seen["write"] == "TOPIC_AUTHORIZATION_FAILED", "{seen}");
    ensure!(seen["make"] == "TOPIC_AUTHORIZATION_FAILED", "{seen}");
    Ok(())
}

fn operator_key(mesh: &Mesh) -> Result<String> {
    let path = mesh.folder().join("data/access/operator.key");
    Ok(fs::read_to_string(&path).with_context(|| path.display().to_string())?.trim().to_owned())
}

/// A form of the portal, sent by the operator. Returns when the decision is recorded.
fn decide(mesh: &Mesh, path: &str, form: &str) -> Result<http::Answer> {
    let headers =
        format!("Authorization: Bearer {}\r\nContent-Type: application/x-www-form-urlencoded\r\n", operator_key(mesh)?);
    http::send(&mesh.http(), "POST", path, &headers, form)
}

#[test]
fn one_port_is_granted_and_nothing_else_is_seen_over_http_and_kafka() -> Result<()> {
    let mesh = guarded()?;
    let app = key_in(&well(&mesh, "create", &["client", "create", "app"])?)?;
    ensure!(http::get(&mesh.http(), DELAYS)?.status == 401, "without a key");
    let denied = with_key(&mesh, &app, DELAYS)?;
    ensure!(denied.status == 403 && denied.body.contains("weft access request"), "{denied:?}");
    let request = ["access", "request", "app", "insights.delays.current", "--purpose", "screens at the gates"];
    ensure!(well(&mesh, "request", &request)?.contains("request 1:"), "the first");
    badly(&mesh, "request-again", &request, "ACCESS-007")?;
    well(&mesh, "deny", &["access", "deny", "1", "--reason", "which gates?", "--as", "olga"])?;
    ensure!(with_key(&mesh, &app, DELAYS)?.status == 403, "denied");
    ensure!(well(&mesh, "request-after", &request)?.contains("request 2:"), "a denied one may ask again");
    well(&mesh, "approve", &["access", "approve", "2", "--reason", "gates B", "--as", "olga"])?;
    badly(&mesh, "approve-again", &["access", "approve", "2", "--reason", "twice"], "ACCESS-007")?;
    let rows = with_key(&mesh, &app, &format!("{DELAYS}?limit=3"))?.json()?;
    ensure!(rows["rows"].as_array().is_some_and(|rows| rows.len() == 3), "{rows}");

    let sql = |query: &str| {
        let headers = format!("Authorization: Bearer {app}\r\nContent-Type: application/json\r\n");
        http::send(&mesh.http(), "POST", "/v1/sql", &headers, &json!({ "sql": query }).to_string())
    };
    let granted = r#""insights"."delays"."current""#;
    ensure!(sql(&format!("SELECT count(*) AS n FROM {granted}"))?.status == 200, "its own port");
    let joined = sql(&format!(r#"SELECT (SELECT count(*) FROM "insights"."delays"."final") AS n FROM {granted}"#))?;
    ensure!(joined.status == 403 && !joined.body.contains("rows"), "{joined:?}");

    let bootstrap = mesh.bootstrap();
    let scram = |mechanism: &str, key: &str| client(&bootstrap, "SASL_PLAINTEXT", mechanism, "app", key);
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
        sees_only_what_was_granted(&look(&mesh, mechanism, &scram(mechanism, &app))?)?;
    }
    // kcat of Debian 12 has librdkafka 2.0.2, which speaks SCRAM in its own way.
    let mut kcat = Command::new(Peer::Kcat.require()?);
    kcat.args(["-b", &bootstrap, "-L", "-X", "security.protocol=SASL_PLAINTEXT", "-X", "sasl.mechanism=SCRAM-SHA-512"]);
    kcat.args(["-X", "sasl.username=app", "-X", &format!("sasl.password={app}")]);
    let listed = Process::start("kcat", kcat, mesh.folder())?.finish(SOON)?;
    ensure!(listed.contains(" 1 topics:") && listed.contains(TOPIC), "{listed}");

    let why = well(&mesh, "why", &["access", "why", "app", "insights.delays.current"])?;
    for words in ["may read port", "denied by olga (cli): which gates?", "approved by olga (cli): gates B", "twice"] {
        ensure!(why.contains(words), "\"{words}\" is missing in: {why}");
    }
    // The topic itself tells the same, and no key.
    let mut kcat = Command::new(Peer::Kcat.require()?);
    kcat.arg("-F").arg(mesh.folder().join("data/access/operator.properties"));
    kcat.args(["-C", "-t", "__weft.flights.audit", "-o", "beginning", "-e", "-q"]);
    let audit = Process::start("audit", kcat, mesh.folder())?.finish(SOON)?;
    ensure!(audit.contains("which gates?") && audit.contains("client_created"), "{audit}");
    let secret = app.rsplit('_').next().context("a secret")?;
    ensure!(!audit.contains(secret), "a key is on the topic");
    Ok(())
}

#[test]
fn what_is_wrong_is_refused_and_no_key_is_written_down() -> Result<()> {
    let mut mesh = guarded()?;
    badly(&mesh, "markup", &["client", "create", "<img src=x onerror=alert(1)>"], "ACCESS-001")?;
    let app = key_in(&well(&mesh, "create", &["client", "create", "app"])?)?;
    badly(&mesh, "twice", &["client", "create", "app"], "ACCESS-007")?;
    badly(&mesh, "no-port", &["access", "request", "app", "insights.delays.curent", "--purpose", "x"], "ACCESS-002")?;
    badly(&mesh, "no-client", &["access", "request", "ap", "insights.delays.current", "--purpose", "x"], "ACCESS-002")?;
    badly(&mesh, "no-request", &["access", "approve", "7", "--reason", "x"], "ACCESS-002")?;
    badly(
        &mesh,
        "no-purpose",
        &["access", "request", "app", "insights.delays.current", "--purpose", " "],
        "ACCESS-012",
    )?;
    let guessed = format!("{}{}", &app[..app.len() - 4], if app.ends_with("0000") { "1111" } else { "0000" });
    let rotated = key_in(&well(&mesh, "rotate", &["client", "rotate", "app"])?)?;
    for wrong in [guessed.as_str(), app.as_str(), "hunter2", ""] {
        let answer = with_key(&mesh, wrong, "/v1/products")?;
        ensure!(answer.status == 401 && answer.body.contains("ACCESS-004"), "{wrong}: {answer:?}");
        ensure!(answer.head.to_ascii_lowercase().contains("www-authenticate: bearer"), "{}", answer.head);
    }
    ensure!(with_key(&mesh, &rotated, "/v1/products")?.status == 200, "the new one");
    for path in [format!("/v1/products?key={rotated}"), format!("/{rotated}"), format!("/sql?q=%77{}", &rotated[1..])] {
        for headers in [String::new(), format!("Authorization: Bearer {rotated}\r\n")] {
            let answer = http::send(&mesh.http(), "GET", &path, &headers, "")?;
            ensure!(answer.status == 400 && answer.body.contains("ACCESS-006"), "{answer:?}");
            ensure!(!answer.body.contains(&rotated[14..]), "the refusal repeats it: {}", answer.body);
        }
    }
    let seen = |mechanism: &str, name: &str, key: &str| {
        look(&mesh, mechanism, &client(&mesh.bootstrap(), "SASL_PLAINTEXT", mechanism, name, key))
    };
    ensure!(seen("SCRAM-SHA-512", "app", &app)?["refused"].is_string(), "rotated");
    ensure!(seen("SCRAM-SHA-256", "nobody", &rotated)?["refused"].is_string(), "nobody's name");
    ensure!(seen("PLAIN", "app", &rotated)?["refused"].is_string(), "a key in the clear");
    ensure!(seen("SCRAM-SHA-256", "__operator", &operator_key(&mesh)?)?["refused"].is_string(), "not at this door");
    ensure!(seen("SCRAM-SHA-512", "app", &rotated)?["topics"] == json!([]), "a key opens nothing by itself");
    let said = format!("{}{}", mesh.process()?.stdout(), mesh.process()?.stderr());
    for key in [&app, &rotated, &operator_key(&mesh)?] {
        ensure!(!said.contains(&key[14..]), "a key was printed");
    }
    Ok(())
}

/// Seconds since 1970, as Python's `time.time()` has them.
fn now() -> Result<f64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64())
}

#[test]
fn revoking_ends_an_open_stream_and_an_open_consumer_within_a_second() -> Result<()> {
    let mesh = guarded()?;
    let app = key_in(&well(&mesh, "create", &["client", "create", "app"])?)?;
    let request = ["access", "request", "app", "insights.delays.current", "--purpose", "screens"];
    for round in 1..=2 {
        well(&mesh, &format!("request-{round}"), &request)?;
        let approve = ["access", "approve", &round.to_string(), "--reason", "fine"];
        well(&mesh, &format!("approve-{round}"), &approve)?;
        let mut events =
            Events::open_with(&mesh.http(), &format!("{DELAYS}/stream"), &format!("Authorization: Bearer {app}\r\n"))?;
        while events.next_event()?.is_none_or(|event| event.name != "live") {}
        let scram = client(&mesh.bootstrap(), "SASL_PLAINTEXT", "SCRAM-SHA-512", "app", &app);
        let mut consumer = let_in(&mesh, &format!("wait-{round}"), "wait", &scram)?;
        consumer.wait_until("it has read all", SOON, |said| said.contains("waiting").then_some(()))?;
        let began = Instant::now();
        let began_at = now()?;
        let revoked = decide(&mesh, &format!("/access/requests/{round}/revoke"), "reason=over&by=olga")?;
        ensure!(revoked.status == 303, "{revoked:?}");
        let recorded = began.elapsed();
        let last = loop {
            if let Some(event) = events.next_event()? {
                break event;
            }
        };
        let stream = began.elapsed();
        ensure!(last.name == "error" && last.data.contains("ACCESS-003"), "{last:?}");
        ensure!(events.next_event().is_err(), "the error is its last word");
        let said = consumer.finish(SOON)?;
        let said: Value = serde_json::from_str(said.lines().last().context("an answer")?)?;
        let consumer = said["at"].as_f64().with_context(|| said.to_string())? - began_at;
        println!(
            "round {round}: recorded after {recorded:?}, stream ended after {stream:?}, consumer told after {consumer:.3} s ({})",
            said["why"]
        );
        ensure!(stream < Duration::from_secs(1) && consumer < 1.0, "later than a second: {stream:?}, {consumer} s");
        ensure!(with_key(&mesh, &app, DELAYS)?.status == 403, "revoked");
    }
    Ok(())
}

/// `weft up` with these listeners and this section.
fn up(mesh: &Mesh, name: &str, section: &str, kafka: &str, http: &str) -> Result<Process> {
    let text = fs::read_to_string(mesh.path("weft.yaml"))?;
    let kept = text.split("\naccess:").next().unwrap_or(&text).to_owned();
    fs::write(mesh.path("weft.yaml"), format!("{kept}{section}"))?;
    let mut command = Command::new(peers::weft()?);
    command.arg("up").arg(mesh.path("")).args(["--kafka-listen", kafka, "--http-listen", http]);
    command.arg("--data").arg(mesh.folder().join("data"));
    Process::start(name, command, mesh.folder())
}

#[test]
fn beyond_loopback_nothing_starts_without_tls_and_keys() -> Result<()> {
    let mesh = Mesh::prepare(Options::default())?;
    let secured = Secured::sasl()?;
    let (kafka, http) = (free_port()?, free_port()?);
    let (everywhere_kafka, everywhere_http) = (format!("0.0.0.0:{kafka}"), format!("0.0.0.0:{http}"));
    let (here_kafka, here_http) = (format!("127.0.0.1:{kafka}"), format!("127.0.0.1:{http}"));
    let tls = |certificate: &str, key: &str| {
        format!(
            "\naccess:\n  enabled: true\n  tls: {{ certificate: \"{}\", key: \"{}\" }}\nlog: {{ advertised: \"127.0.0.1:{kafka}\" }}\n",
            secured.path(certificate).display(),
            secured.path(key).display()
        )
    };
    let on = "\naccess:\n  enabled: true\n";
    for (name, section, kafka, http, code) in [
        ("open-http", "\n", here_kafka.as_str(), everywhere_http.as_str(), "HTTP-020"),
        ("open-kafka", "\n", &everywhere_kafka, &here_http, "LOG-007"),
        ("no-tls-http", on, &here_kafka, &everywhere_http, "HTTP-020"),
        ("no-tls-kafka", on, &everywhere_kafka, &here_http, "LOG-007"),
        ("no-file", &tls("nobody.pem", "broker.key"), &here_kafka, &here_http, "ACCESS-009"),
        ("other-key", &tls("broker.pem", "client.key"), &here_kafka, &here_http, "ACCESS-009"),
        (
            "void",
            "\naccess: { enabled: false, tls: { certificate: a, key: b } }\n",
            &here_kafka,
            &here_http,
            "MODEL-053",
        ),
    ] {
        let mut process = up(&mesh, name, section, kafka, http)?;
        let status = process.wait(SOON)?;
        let said = process.stderr();
        ensure!(!status.success() && said.contains(code) && said.contains("because"), "{name}, {code}: {said}");
    }

    let good = tls("broker.pem", "broker.key");
    let mut process = up(&mesh, "tls", &good, &everywhere_kafka, &everywhere_http)?;
    process.wait_until("it runs", SOON, |said| said.contains("every source is complete").then_some(()))?;
    ensure!(process.stdout().contains("https://"), "{}", process.stdout());
    let app = key_in(&well(&mesh, "create", &["client", "create", "app"])?)?;
    well(&mesh, "request", &["access", "request", "app", "insights.delays.current", "--purpose", "screens"])?;
    well(&mesh, "approve", &["access", "approve", "1", "--reason", "fine"])?;
    let ca = secured.path("ca.pem").display().to_string();
    let curl = |arguments: &[&str]| -> Result<String> {
        let url = format!("https://{here_http}{DELAYS}?limit=1");
        let output = Command::new("curl").args(["-s", "-w", "\n%{http_code}"]).args(arguments).arg(url).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let answer = curl(&["--cacert", &ca, "-H", &format!("Authorization: Bearer {app}")])?;
    ensure!(answer.ends_with("\n200") && answer.contains("\"rows\":["), "{answer}");
    let answer = curl(&["--cacert", &ca, "-u", &format!("app:{app}")])?;
    ensure!(answer.ends_with("\n200"), "Basic, with the name and the key: {answer}");
    ensure!(curl(&["--cacert", &ca, "-u", &format!("other:{app}")])?.ends_with("\n401"), "another name");
    ensure!(curl(&["--cacert", &ca])?.ends_with("\n401"), "without a key");
    ensure!(curl(&[])?.ends_with("\n000"), "whoever does not know the CA sees that it is not known");
    for mechanism in ["PLAIN", "SCRAM-SHA-512"] {
        let mut over_tls = client(&here_kafka, "SASL_SSL", mechanism, "app", &app);
        over_tls["ssl.ca.location"] = json!(ca);
        sees_only_what_was_granted(&look(&mesh, &format!("tls-{mechanism}"), &over_tls)?)?;
    }
    let in_the_clear = client(&here_kafka, "SASL_PLAINTEXT", "SCRAM-SHA-512", "app", &app);
    ensure!(look(&mesh, "clear", &in_the_clear)?["refused"].is_string(), "without TLS");
    Ok(())
}

#[test]
fn the_portal_lets_in_by_a_key_typed_once() -> Result<()> {
    let mesh = guarded()?;
    Peer::Browser.require()?;
    let chromium = peers::find_in_path("chromium").context("no chromium on the PATH; run `cargo xtask peers`")?;
    let mut command = Command::new("node");
    command.arg(peers::repository().join("e2e/portal/access.mjs")).arg(format!("http://{}", mesh.http()));
    command.arg(operator_key(&mesh)?);
    command.env("WEFT_PORTAL_PEERS", peers::home().join("portal")).env("WEFT_CHROMIUM", chromium);
    let said = Process::start("access", command, mesh.folder())?.finish(Duration::from_secs(120))?;
    ensure!(said.contains("all well"), "{said}");
    let why = well(&mesh, "why", &["access", "why", "web-app"])?;
    ensure!(why.contains("(portal): for the lobby") && why.contains("approved by olga (portal): agreed"), "{why}");
    Ok(())
}

/// Keys open HTTP there, and native access is said to be the broker's own matter.
#[test]
fn on_kafka_keys_open_http_and_the_broker_keeps_its_own_door() -> Result<()> {
    let mut mesh = Mesh::prepare(Options { on_kafka: true, ..Options::default() })?;
    mesh.declare_cluster(&[], &[])?;
    mesh.edit("weft.yaml", |text| format!("{text}\naccess:\n  enabled: true\n"))?;
    mesh.start()?;
    mesh.process()?.wait_until("every row", Duration::from_secs(180), |said| {
        said.contains("every source is complete").then_some(())
    })?;
    ensure!(mesh.process()?.stdout().contains("that broker's matter"), "{}", mesh.process()?.stdout());
    let said = well(&mesh, "create", &["client", "create", "app"])?;
    ensure!(said.contains("that broker's matter"), "{said}");
    let app = key_in(&said)?;
    ensure!(with_key(&mesh, &app, DELAYS)?.status == 403, "nothing is granted");
    well(&mesh, "request", &["access", "request", "app", "insights.delays.current", "--purpose", "screens"])?;
    well(&mesh, "approve", &["access", "approve", "1", "--reason", "fine"])?;
    ensure!(with_key(&mesh, &app, &format!("{DELAYS}?limit=1"))?.status == 200, "granted");
    let page =
        http::send(&mesh.http(), "GET", "/products/insights/delays", &format!("Authorization: Bearer {app}\r\n"), "")?;
    ensure!(page.status == 200 && page.body.contains("does not know these keys"), "{}", page.body);
    Ok(())
}
