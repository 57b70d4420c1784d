//! `weft client …`, `weft access …`: clients, their requests, the decisions. What is written here lies on the audit topic.

use std::path::PathBuf;

use weft_access::{Access, Change, Hand, Key, Request, Standing, State, Taken, why};
use weft_catalog::Connection;
use weft_model::kind::{Diagnostic, Diagnostics, Kind};
use weft_model::load::near::near_miss;
use weft_model::load::{self, Files};
use weft_model::mesh::Mesh;
use weft_model::name::{BadName, ClientName, PortId};
use weft_model::product::OutputPort;

use crate::access_cli::{AccessCommand, ClientCommand, Decision};
use crate::cli::MeshArgs;
use crate::kafka::Kafka;
use crate::product_cmd::table;

/// What access cannot do on a Kafka of others.
pub(crate) const NATIVE_IS_OUTSIDE: &str = "the mesh lives on a Kafka of others: keys open HTTP; native Kafka access stays that \
    broker's matter, so ask its operator for a user and a read ACL";

/// What a command needs of the mesh.
struct Desk {
    access: Access,
    mesh: Mesh,
    /// What should be known about what keys open here.
    note: Option<&'static str>,
}

impl Desk {
    async fn open(args: MeshArgs) -> Result<Self, Diagnostics> {
        let settings = match &args.mesh {
            Some(_) => None,
            None => Some(load::node(&Files::read_folder(&args.folder)?)?),
        };
        let is_outside = args.kafka.kafka.is_some() || settings.as_ref().is_some_and(|node| !node.clusters.is_empty());
        let is_off = settings.as_ref().is_some_and(|node| !node.access.enabled);
        let note = match (is_off, is_outside) {
            (true, _) => Some(
                "access is off in weft.yaml: everybody on this machine reads everything, and no key is asked for; \
                 `access: { enabled: true }` and a restart change that",
            ),
            (false, true) => Some(NATIVE_IS_OUTSIDE),
            (false, false) => None,
        };
        let (connection, mesh, _) = crate::desired_mesh(args).await?;
        let Connection { bootstrap, client, topics, .. } = connection;
        let access = Access::follow(crate::access::options(&Kafka { bootstrap, client, topics }, &mesh.id));
        let ready = tokio::time::timeout(crate::kafka::COMMAND_WAIT, access.ready()).await;
        match ready {
            Ok(ready) => ready.map_err(|error| Diagnostics::from(error.diagnostic()))?,
            Err(_) => {
                let reason = access.trouble().map_or_else(|| "no answer".to_owned(), |error| error.to_string());
                let error = weft_access::AccessError::Kafka { doing: "reading the audit topic", reason };
                return Err(error.diagnostic().into());
            }
        }
        Ok(Self { access, mesh, note })
    }

    async fn record(&self, by: Option<String>, change: Change) -> Result<Taken, Diagnostics> {
        self.access.record(&hand(by), change).await.map_err(|error| error.diagnostic().into())
    }

    fn say_note(&self) {
        if let Some(note) = self.note {
            println!("note: {note}");
        }
    }
}

/// Whoever types the command, by the name they give or that the system knows them by.
fn hand(by: Option<String>) -> Hand {
    let of_system = || std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    let by = by.or_else(|| of_system().ok()).filter(|by| !by.trim().is_empty());
    Hand { by: by.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw())), via: "cli".to_owned() }
}

/// `weft client …`.
pub(crate) async fn client(command: ClientCommand) -> Result<(), Diagnostics> {
    match command {
        ClientCommand::Create { name, by, mesh } => {
            let name = client_name(&name)?;
            let desk = Desk::open(mesh).await?;
            let made = desk.access.create_client(&hand(by), name.clone()).await;
            let key = made.map_err(|error| Diagnostics::from(error.diagnostic()))?;
            println!("client \"{name}\" is there; it may read nothing yet");
            show_key(&name, &key);
            desk.say_note();
        }
        ClientCommand::Rotate { name, by, mesh } => {
            let name = client_name(&name)?;
            let desk = Desk::open(mesh).await?;
            let made = desk.access.rotate_key(&hand(by), name.clone()).await;
            let key = made.map_err(|error| Diagnostics::from(error.diagnostic()))?;
            println!("client \"{name}\" has a new key; the old one opens nothing any more");
            show_key(&name, &key);
            desk.say_note();
        }
        ClientCommand::Rm { name, reason, by, mesh } => {
            let client = client_name(&name)?;
            let desk = Desk::open(mesh).await?;
            desk.record(by, Change::ClientRemoved { client, reason }).await?;
            println!("client \"{name}\" is removed, and may read nothing any more");
        }
        ClientCommand::Ls(mesh) => {
            let desk = Desk::open(mesh).await?;
            print!("{}", clients(&desk.access.state()));
            desk.say_note();
        }
    }
    Ok(())
}

/// `weft access …`.
pub(crate) async fn access(command: AccessCommand) -> Result<(), Diagnostics> {
    match command {
        AccessCommand::Request { client, port, purpose, by, mesh } => {
            let client = client_name(&client)?;
            let desk = Desk::open(mesh).await?;
            let port = find_port(&desk.mesh, &port)?;
            let (id, topic) = (port.id.clone(), port.topic.clone());
            let by = by.or_else(|| Some(client.to_string()));
            let change = Change::Requested { client: client.clone(), port: id.clone(), topic, purpose };
            let number = desk.record(by, change).await?.request.expect("a request that counts has a number");
            println!("request {number}: client \"{client}\" asks to read port \"{id}\"");
            println!("the owner decides: weft access approve {number} --reason …, or deny");
            desk.say_note();
        }
        AccessCommand::Approve(decision) => {
            let Decision { request, reason, by, mesh } = decision;
            let desk = Desk::open(mesh).await?;
            desk.record(by, Change::Approved { request, reason }).await?;
            say_standing(&desk.access.state(), request);
            desk.say_note();
        }
        AccessCommand::Deny(decision) => {
            let Decision { request, reason, by, mesh } = decision;
            let desk = Desk::open(mesh).await?;
            desk.record(by, Change::Denied { request, reason }).await?;
            say_standing(&desk.access.state(), request);
        }
        AccessCommand::Revoke(decision) => {
            let Decision { request, reason, by, mesh } = decision;
            let desk = Desk::open(mesh).await?;
            desk.record(by, Change::Revoked { request, reason }).await?;
            say_standing(&desk.access.state(), request);
        }
        AccessCommand::Ls(mesh) => {
            let desk = Desk::open(mesh).await?;
            print!("{}", requests(&desk.access.state()));
            desk.say_note();
        }
        AccessCommand::Why { about, port, mesh } => {
            let desk = Desk::open(mesh).await?;
            print!("{}", story(&desk, &about, port.as_deref())?);
            desk.say_note();
        }
    }
    Ok(())
}

fn show_key(name: &ClientName, key: &Key) {
    println!("\n  {}\n", key.reveal());
    println!("Nobody can show this key again. Over HTTP: `Authorization: Bearer KEY`. Over Kafka: SCRAM-SHA-512 with");
    println!("user \"{name}\" and the key as password, and groups named \"{name}\" or \"{name}.…\".");
}

fn say_standing(state: &State, number: u64) {
    if let Some(Request { client, port, standing, .. }) = state.request(number) {
        println!("request {number} is {}: client \"{client}\", port \"{port}\"", standing.word());
    }
}

fn story(desk: &Desk, about: &str, port: Option<&str>) -> Result<String, Diagnostics> {
    let state = desk.access.state();
    if let Ok(request) = about.parse::<u64>() {
        let known = why::of_request(&state, request);
        return known.ok_or_else(|| weft_access::Refusal::NoRequest { request }.diagnostic().into());
    }
    let client = client_name(about)?;
    // Not only ports of now: a story may be about one that was retired.
    let asked = port.map(|port| state.requests().iter().map(|one| &one.port).find(|one| one.to_string() == port));
    let port = match (port, asked.flatten()) {
        (_, Some(known)) => Some(known.clone()),
        (Some(port), None) => Some(find_port(&desk.mesh, port)?.id.clone()),
        (None, None) => None,
    };
    let known = why::of_client(&state, &client, port.as_ref());
    known.ok_or_else(|| weft_access::Refusal::NoClient { client }.diagnostic().into())
}

/// A line per client.
fn clients(state: &State) -> String {
    let mut rows = vec![["CLIENT", "KEY", "SINCE", "READS"].map(str::to_owned)];
    for client in state.clients() {
        let key = client.key.as_ref().map_or_else(|| "removed".to_owned(), |key| format!("weft_{}_…", key.id));
        let since = client.happened.first().map(|one| one.at.clone()).unwrap_or_default();
        let reads: Vec<String> = state.grants(&client.name).map(|grant| grant.port.to_string()).collect();
        rows.push([client.name.to_string(), key, since, reads.join(", ")]);
    }
    table(&rows)
}

/// A line per request, what waits first.
fn requests(state: &State) -> String {
    let mut rows = vec![["REQUEST", "STANDS", "CLIENT", "PORT", "PURPOSE"].map(str::to_owned)];
    let (waiting, decided): (Vec<_>, Vec<_>) =
        state.requests().iter().partition(|one| one.standing == Standing::Pending);
    for request in waiting.into_iter().chain(decided.into_iter().rev()) {
        let purpose = request.happened.first().map(|one| one.text.clone()).unwrap_or_default();
        rows.push([
            request.number.to_string(),
            request.standing.word().to_owned(),
            request.client.to_string(),
            request.port.to_string(),
            purpose,
        ]);
    }
    table(&rows)
}

/// A name as a client may have it.
pub(crate) fn client_name(text: &str) -> Result<ClientName, Diagnostics> {
    text.parse().map_err(|bad: BadName| {
        Diagnostics::from(Diagnostic {
            kind: Kind::Invalid,
            code: "ACCESS-001",
            what: "cannot take this for the name of a client".to_owned(),
            because: bad.to_string(),
            try_: "choose one like `dashboards`: it is a user's name over Kafka, and begins the names of its groups"
                .to_owned(),
            place: None,
        })
    })
}

/// `domain.product.port`, the newest major; or `…@1`.
pub(crate) fn find_port<'m>(mesh: &'m Mesh, text: &str) -> Result<&'m OutputPort, Diagnostics> {
    let (name, major) = match text.rsplit_once('@') {
        Some((name, major)) => (name, Some(major)),
        None => (text, None),
    };
    let id = |port: &PortId| format!("{}.{}", port.product, port.port);
    let ports = || mesh.products.values().flat_map(|product| &product.outputs);
    let of_name = ports().filter(|port| id(&port.id) == name);
    let fits = |port: &&OutputPort| major.is_none_or(|major| port.id.major.to_string() == major);
    of_name.filter(fits).max_by_key(|port| port.id.major).ok_or_else(|| {
        let known: Vec<String> = ports().map(|port| port.id.to_string()).collect();
        let near = near_miss(text, known.iter().map(String::as_str));
        let try_ = match near {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => "`weft product ls` and `weft product show` list the ports there are".to_owned(),
        };
        Diagnostics::from(Diagnostic {
            kind: Kind::NotFound,
            code: "ACCESS-002",
            what: format!("cannot find port \"{text}\""),
            because: "the mesh has no port of that name and version".to_owned(),
            try_,
            place: None,
        })
    })
}

/// The data directory in which a guarded node's own key lies; `None`: access is off, and no way in is needed.
pub(crate) fn guarded_data(is_on: bool, folder: &std::path::Path, data: Option<PathBuf>) -> Option<PathBuf> {
    match data {
        Some(data) => Some(data),
        None => is_on.then(|| folder.join(".weft")),
    }
}
