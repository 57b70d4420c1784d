//! `/access`: clients, their requests, the decisions. The operator sees all of it, a client its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use weft_model::kind::{Diagnostic, Kind};
use weft_model::name::ClientName;
use weft_model::principal::Principal;
use weft_model::product::OutputPort;

use crate::ask::Answered;
use crate::desk::{ClientSeen, Decision, Desk, KeysHere, RequestSeen};
use crate::glance;
use crate::page::{self, Page, Place};
use crate::pages::{Portal, given};
use crate::words::cut;

/// What may be written as purpose or reason. Bytes.
const TEXT_BYTES: usize = 1000;
/// Requests shown whose decision is made.
const DECIDED_SHOWN: usize = 50;

type Fields = Form<BTreeMap<String, String>>;

/// `GET /access`
pub(crate) async fn access(State(portal): State<Arc<Portal>>, Extension(principal): Extension<Principal>) -> Response {
    let main = match portal.ask.desk() {
        None => off(),
        Some(desk) => on(&portal, desk, &principal),
    };
    respond(&portal, StatusCode::OK, main)
}

/// `POST /access/clients`
pub(crate) async fn create(
    State(portal): State<Arc<Portal>>,
    Extension(principal): Extension<Principal>,
    Form(fields): Fields,
) -> Response {
    let name = given(&fields, "name");
    let desk = match operators(&portal, &principal) {
        Ok(desk) => desk,
        Err(refused) => return page::refusal(&mesh_name(&portal), &refused),
    };
    let made = desk.create_client(&signed(&fields), &name).await;
    shown_once(&portal, &name, made)
}

/// `POST /access/clients/{name}/rotate`
pub(crate) async fn rotate(
    State(portal): State<Arc<Portal>>,
    Extension(principal): Extension<Principal>,
    Path(name): Path<String>,
    Form(fields): Fields,
) -> Response {
    let desk = operators(&portal, &principal);
    let (desk, client) = match desk.and_then(|desk| Ok((desk, client_name(&name)?))) {
        Ok(found) => found,
        Err(refused) => return page::refusal(&mesh_name(&portal), &refused),
    };
    let made = desk.rotate_key(&signed(&fields), &client).await;
    shown_once(&portal, &name, made)
}

/// `POST /access/requests`: the operator for any client, a client for itself.
pub(crate) async fn request(
    State(portal): State<Arc<Portal>>,
    Extension(principal): Extension<Principal>,
    Form(fields): Fields,
) -> Response {
    let client = match &principal {
        Principal::Client(client) => Ok(client.clone()),
        Principal::Operator => client_name(&given(&fields, "client")),
        Principal::Anonymous => Err(operators_only()),
    };
    let asked = match client.and_then(|client| Ok((desk(&portal)?, client))) {
        Ok((desk, client)) => {
            let by = if principal == Principal::Operator { signed(&fields) } else { client.to_string() };
            desk.request(&by, &client, &given(&fields, "port"), &given(&fields, "purpose")).await
        }
        Err(refused) => Err(refused),
    };
    back(&portal, asked.map(drop))
}

/// `POST /access/requests/{number}/{decision}`
pub(crate) async fn decide(
    State(portal): State<Arc<Portal>>,
    Extension(principal): Extension<Principal>,
    Path((number, word)): Path<(u64, String)>,
    Form(fields): Fields,
) -> Response {
    let decision = match word.as_str() {
        "approve" => Decision::Approve,
        "deny" => Decision::Deny,
        "revoke" => Decision::Revoke,
        _ => return Redirect::to("/access").into_response(),
    };
    let decided = match operators(&portal, &principal) {
        Ok(desk) => desk.decide(&signed(&fields), number, decision, &given(&fields, "reason")).await,
        Err(refused) => Err(refused),
    };
    back(&portal, decided)
}

fn mesh_name(portal: &Portal) -> String {
    portal.ask.mesh().map_or_else(|| "starting".to_owned(), |mesh| mesh.id.to_string())
}

fn respond(portal: &Portal, status: StatusCode, main: Markup) -> Response {
    let (title, mesh) = ("Access".to_owned(), mesh_name(portal));
    Page { place: Place::Access, title, mesh, search: String::new(), scripts: &[], main }.respond(status)
}

fn back(portal: &Portal, done: Answered<()>) -> Response {
    match done {
        Ok(()) => Redirect::to("/access").into_response(),
        Err(refused) => page::refusal(&mesh_name(portal), &refused),
    }
}

fn desk(portal: &Portal) -> Answered<&dyn Desk> {
    portal.ask.desk().ok_or_else(operators_only)
}

/// The desk, for the operator.
fn operators<'p>(portal: &'p Portal, principal: &Principal) -> Answered<&'p dyn Desk> {
    if *principal == Principal::Operator { desk(portal) } else { Err(operators_only()) }
}

/// What others hear.
pub(crate) fn operators_only() -> Box<Diagnostic> {
    Box::new(Diagnostic {
        kind: Kind::Denied,
        code: "ACCESS-008",
        what: "cannot do this for you".to_owned(),
        because: "it takes the key of whoever runs the node".to_owned(),
        try_: "sign in with the key in access/operator.key of the node's data directory".to_owned(),
        place: None,
    })
}

fn client_name(text: &str) -> Answered<ClientName> {
    text.parse().map_err(|bad: weft_model::name::BadName| {
        Box::new(Diagnostic {
            kind: Kind::Invalid,
            code: "ACCESS-001",
            what: "cannot take this for the name of a client".to_owned(),
            because: cut(&bad.to_string(), 300).0.to_owned(),
            try_: "choose one of the clients that are there".to_owned(),
            place: None,
        })
    })
}

/// The name that the operator signs with.
fn signed(fields: &BTreeMap<String, String>) -> String {
    let by = given(fields, "by");
    if by.is_empty() { "operator".to_owned() } else { cut(&by, 100).0.to_owned() }
}

fn shown_once(portal: &Portal, name: &str, made: Answered<String>) -> Response {
    let key = match made {
        Ok(key) => key,
        Err(refused) => return page::refusal(&mesh_name(portal), &refused),
    };
    let keys = portal.ask.addresses().keys;
    let main = html! {
        h1 { "The key of " code { (name) } }
        p.prose { strong { "Copy it now." } " Nobody can show it again; what is kept can check it and nothing else." }
        pre tabindex="0" data-copy { code #key { (key) } }
        @if let Some(keys) = keys { (how(&keys, Some(name))) }
        p { a href="/access" { "Clients and requests" } }
    };
    respond(portal, StatusCode::OK, main)
}

/// How a key is used.
pub(crate) fn how(keys: &KeysHere, client: Option<&str>) -> Markup {
    html! {
        ul.plain {
            li { "HTTP, live streams, SQL and " code { "/mcp" } ": the header " code { "Authorization: Bearer KEY" } "." }
            @match keys.own_log_tls {
                Some(tls) => {
                    li {
                        "Kafka: " code { @if tls { "SASL_SSL" } @else { "SASL_PLAINTEXT" } } ", " code { "SCRAM-SHA-512" }
                        @if tls { " or " code { "PLAIN" } } ", the client's name as user and the key as password; consumer groups are named "
                        code { (client.unwrap_or("CLIENT")) } " or " code { (client.unwrap_or("CLIENT")) ".…" } "."
                    }
                }
                None => {
                    li {
                        "Kafka: this mesh lives on a Kafka of others, which does not know these keys. Native access stays that broker's matter: "
                        "ask its operator for a user and a read ACL."
                    }
                }
            }
        }
    }
}

fn off() -> Markup {
    html! {
        h1 { "Access" }
        p.prose {
            "Access is off: whoever can use this machine reads every output port, and nobody is asked who they are. "
            "That is right for a laptop. To let in by key, write into weft.yaml and restart:"
        }
        pre tabindex="0" data-copy { code { "access:\n  enabled: true\n  tls: { certificate: tls/server.pem, key: tls/server.key }  # needed beyond loopback\n" } }
        p.prose {
            "Then " code { "weft client create NAME" } " makes a client and its key, " code { "weft access request" }
            " asks for a port, and the owner decides here or with " code { "weft access approve" } "."
        }
    }
}

fn on(portal: &Portal, desk: &dyn Desk, principal: &Principal) -> Markup {
    let is_operator = *principal == Principal::Operator;
    let mut requests = desk.requests();
    if let Principal::Client(client) = principal {
        requests.retain(|request| request.client == *client);
    }
    let (pending, decided): (Vec<RequestSeen>, Vec<RequestSeen>) =
        requests.into_iter().partition(|request| request.standing == "pending");
    html! {
        h1 { "Access" }
        form method="post" action="/sign-out" {
            p { "Signed in as " strong { (principal) } ". " button type="submit" { "Sign out" } }
        }
        section aria-labelledby="pending" {
            h2 #pending { "Waiting for a decision" }
            @if pending.is_empty() { p { "Nothing." } }
            @for request in &pending { (one(request, is_operator.then_some(&["approve", "deny"][..]))) }
        }
        section aria-labelledby="decided" {
            h2 #decided { "Decided" }
            @if decided.is_empty() { p { "Nothing yet." } }
            @for request in decided.iter().rev().take(DECIDED_SHOWN) {
                (one(request, (is_operator && request.standing == "approved").then_some(&["revoke"][..])))
            }
            @if decided.len() > DECIDED_SHOWN { p.note { "Older ones: " code { "weft access ls" } } }
        }
        @if is_operator { (clients(&desk.clients())) }
        @if let Some(keys) = portal.ask.addresses().keys {
            section aria-labelledby="how" { h2 #how { "How a key is used" } (how(&keys, None)) }
        }
    }
}

/// One request, with what may be decided about it.
fn one(request: &RequestSeen, decisions: Option<&[&str]>) -> Markup {
    let RequestSeen { number, client, port, purpose, standing, story } = request;
    html! {
        article.request aria-label={ "Request " (number) } data-request=(number) data-standing=(standing) {
            h3 { "Request " (number) ": " code { (client) } " reads " a href=(glance::port_address(port)) { (port) } " · " (standing) }
            p { (cut(purpose, TEXT_BYTES).0) }
            details.fold { summary { "Why" } pre tabindex="0" { code { (story) } } }
            @if let Some(decisions) = decisions {
                form method="post" action={ "/access/requests/" (number) "/" (decisions[0]) } {
                    div.actions {
                        div.field.wide {
                            label for={ "reason-" (number) } { "Reason" }
                            input id={ "reason-" (number) } name="reason" required maxlength=(TEXT_BYTES) autocomplete="off";
                        }
                        (by_field(&number.to_string()))
                        @for word in decisions {
                            button type="submit" formaction={ "/access/requests/" (number) "/" (word) } { (word) }
                        }
                    }
                }
            }
        }
    }
}

fn by_field(id: &str) -> Markup {
    html! {
        div.field {
            label for={ "by-" (id) } { "Your name" }
            input id={ "by-" (id) } name="by" placeholder="operator" maxlength="100" autocomplete="name";
        }
    }
}

fn clients(clients: &[ClientSeen]) -> Markup {
    html! {
        section aria-labelledby="clients" {
            h2 #clients { "Clients" }
            @if !clients.is_empty() {
                div.scroll tabindex="0" role="region" aria-label="Clients" {
                    table {
                        caption.hidden { "Clients of the mesh" }
                        thead { tr { th scope="col" { "Client" } th scope="col" { "Key" } th scope="col" { "Since" } th scope="col" { "New key" } } }
                        tbody {
                            @for client in clients {
                                tr {
                                    th scope="row" { code { (client.name) } }
                                    td { @match &client.key_id { Some(id) => { code { "weft_" (id) "_…" } } None => "removed" } }
                                    td { (client.since) }
                                    td {
                                        @if client.key_id.is_some() {
                                            form method="post" action={ "/access/clients/" (client.name) "/rotate" } {
                                                button type="submit" aria-label={ "Rotate the key of " (client.name) } { "Rotate" }
                                            }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
            form method="post" action="/access/clients" {
                div.actions {
                    div.field {
                        label for="name" { "Name of a new client" }
                        input id="name" name="name" required maxlength="63" autocomplete="off" spellcheck="false" autocapitalize="off";
                    }
                    (by_field("client"))
                    button.primary type="submit" { "Make it, and show its key" }
                }
            }
        }
    }
}

/// The part of a product's page: how to get in, who has it, and the way to ask.
pub(crate) fn of_port(portal: &Portal, principal: &Principal, port: &OutputPort) -> Markup {
    let Some(desk) = portal.ask.desk() else {
        return html! {
            p { "Open: access is off, so whoever can use this machine reads it. " a href="/access" { "How to let in by key" } }
        };
    };
    let of_port = |request: &RequestSeen| request.port == port.id;
    let requests: Vec<RequestSeen> = desk.requests().into_iter().filter(of_port).collect();
    let readers: Vec<&RequestSeen> = requests.iter().filter(|request| request.standing == "approved").collect();
    let mine = match principal {
        Principal::Client(client) => requests.iter().rev().find(|request| request.client == *client),
        Principal::Anonymous | Principal::Operator => None,
    };
    let may_ask = mine.is_none_or(|request| matches!(request.standing, "denied" | "revoked"));
    html! {
        @match principal {
            Principal::Operator => {
                @if readers.is_empty() { p { "No client reads it." } } @else {
                    p { "Read by " @for (at, one) in readers.iter().enumerate() { @if at > 0 { ", " } code { (one.client) } } "." }
                }
            }
            Principal::Anonymous | Principal::Client(_) => {
                @match mine {
                    Some(mine) => p { "Your request " (mine.number) " is " strong { (mine.standing) } ". " a href="/access" { "Why" } },
                    None => p { "You have not asked for it." },
                }
            }
        }
        @if may_ask {
            form method="post" action="/access/requests" {
                input type="hidden" name="port" value=(port.id);
                div.actions {
                    @if *principal == Principal::Operator {
                        div.field {
                            label for="client" { "Client" }
                            select id="client" name="client" {
                                @for client in desk.clients().iter().filter(|client| client.key_id.is_some()) {
                                    option value=(client.name) { (client.name) }
                                }
                            }
                        }
                    }
                    div.field.wide {
                        label for="purpose" { "What for" }
                        input id="purpose" name="purpose" required maxlength=(TEXT_BYTES) autocomplete="off";
                    }
                    button type="submit" { "Ask for access" }
                }
            }
        }
    }
}
