//! The story behind an answer: why a client may read a port, or may not, from the records that decided it.

use std::fmt::Write as _;

use weft_model::name::{ClientName, PortId};

use crate::state::{Happened, Request, Standing, State};

/// Everything on the audit topic about one request.
pub fn of_request(state: &State, number: u64) -> Option<String> {
    state.request(number).map(story)
}

/// Why this client may read this port or may not: the newest request first, then those before it.
pub fn of_client(state: &State, client: &ClientName, port: Option<&PortId>) -> Option<String> {
    let known = state.client(client)?;
    let mut out = match (&known.key, known.happened.first()) {
        (Some(key), _) => format!("client \"{client}\" has key weft_{}_…\n", key.id),
        (None, _) => format!("client \"{client}\" was removed and may read nothing\n"),
    };
    lines(&known.happened, &mut out);
    let asked = state.requests().iter().rev().filter(|one| one.client == *client);
    let asked: Vec<&Request> = asked.filter(|one| port.is_none_or(|port| one.port == *port)).collect();
    if let Some(port) = port {
        let verdict = if state.may_read(client, port) { "may read" } else { "may not read" };
        writeln!(out, "\nclient \"{client}\" {verdict} port \"{port}\"").expect("a String takes it");
    }
    if asked.is_empty() {
        out.push_str("\nit has asked for nothing here, and nothing is granted that nobody asked for\n");
    }
    for request in asked {
        out.push('\n');
        out.push_str(&story(request));
    }
    Some(out)
}

fn story(request: &Request) -> String {
    let Request { number, client, port, standing, .. } = request;
    let means = match standing {
        Standing::Pending => "waits for a decision; until then the client may not read",
        Standing::Approved => "approved: the client may read",
        Standing::Denied => "denied: the client may not read, and may ask again",
        Standing::Revoked => "revoked: the client may not read any more, and may ask again",
    };
    let mut out = format!("request {number}: client \"{client}\" for port \"{port}\"\n  {means}\n");
    lines(&request.happened, &mut out);
    out
}

fn lines(happened: &[Happened], out: &mut String) {
    for one in happened {
        let Happened { offset, at, by, via, what, text, void } = one;
        let text = if text.is_empty() { String::new() } else { format!(": {text}") };
        let void = void.as_ref().map(|why| format!(" (without effect: {why})")).unwrap_or_default();
        writeln!(out, "  {at}  {what} by {by} ({via}){text}{void}  · audit offset {offset}")
            .expect("a String takes it");
    }
}
