//! The front door: the portal where this binary has one, else a page that says why not.

use std::net::SocketAddr;
use std::sync::Arc;

use weft_catalog::{Connection, Membership};
use weft_gateway::Gateway;

use crate::access::Doorkeeper;
use crate::console::Console;
use crate::node::Node;

/// Mounts the portal beside the doors.
#[cfg(feature = "portal")]
pub(crate) fn mount(
    gateway: Gateway,
    node: &Arc<Node>,
    membership: &Arc<Membership>,
    connection: &Connection,
    http: SocketAddr,
    (doorkeeper, is_own_log): (Option<&Arc<Doorkeeper>>, bool),
    _: &Console,
) -> Gateway {
    let desk = doorkeeper.map(|doorkeeper| crate::portal::AccessDesk {
        doorkeeper: Arc::clone(doorkeeper),
        running: node.running(),
        is_own_log,
    });
    let pages = crate::portal::pages(gateway.asker(), node, membership, connection, http, desk);
    gateway.mount(pages)
}

/// Says on the terminal and at `/` that there is no portal.
#[cfg(not(feature = "portal"))]
pub(crate) fn mount(
    gateway: Gateway,
    _: &Arc<Node>,
    _: &Arc<Membership>,
    _: &Connection,
    _: SocketAddr,
    _: (Option<&Arc<Doorkeeper>>, bool),
    console: &Console,
) -> Gateway {
    console.say("no portal: this binary was built without the feature `portal`");
    let text = "Weft serves a data mesh here, without pages for people: this binary was built without the feature `portal`.\n\
        Build it with default features to have them.\n\n\
        For programs: /openapi.json describes all doors, /v1/products is the catalogue, POST /v1/sql answers SQL,\n\
        /readyz says whether the node is ready.\n";
    gateway.mount(axum::Router::new().route("/", axum::routing::get(move || async move { text })))
}
