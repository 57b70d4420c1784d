//! The front door: the portal where this binary has one, else a page that says why not.

use std::net::SocketAddr;
use std::sync::Arc;

use weft_catalog::Connection;
use weft_gateway::Gateway;

use crate::console::Console;
use crate::node::Node;

/// Mounts the portal beside the doors.
pub(crate) fn mount(
    gateway: Gateway,
    node: &Arc<Node>,
    connection: &Connection,
    http: SocketAddr,
    console: &Console,
) -> Gateway {
    match portal(&gateway, node, connection, http) {
        Ok(pages) => gateway.mount(pages),
        Err(why) => {
            console.say(&format!("no portal: {why}"));
            gateway.mount(plain(&why))
        }
    }
}

#[cfg(feature = "portal")]
fn portal(
    gateway: &Gateway,
    node: &Arc<Node>,
    connection: &Connection,
    http: SocketAddr,
) -> Result<axum::Router, String> {
    crate::portal::pages(gateway.asker(), node, connection, http)
}

#[cfg(not(feature = "portal"))]
fn portal(_: &Gateway, _: &Arc<Node>, _: &Connection, _: SocketAddr) -> Result<axum::Router, String> {
    Err("this binary was built without the feature `portal`; build it with default features".to_owned())
}

/// `/` without a portal.
fn plain(why: &str) -> axum::Router {
    let text = format!(
        "Weft serves a data mesh here, without pages for people.\n\nWhy: {why}.\n\nFor programs: /openapi.json describes all \
         doors, /v1/products is the catalogue, POST /v1/sql answers SQL, /readyz says whether the node is ready.\n"
    );
    axum::Router::new().route("/", axum::routing::get(|| async { text }))
}
