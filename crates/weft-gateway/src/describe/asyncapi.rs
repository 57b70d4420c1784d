//! AsyncAPI 3.1 of a data product.
//!
//! The document describes the *product*: it `send`s, a consumer `receive`s. (AsyncAPI 3 says what the described
//! application does; version 2's `subscribe` said the opposite.) Each output port is a channel on the Kafka server, its
//! topic, and a channel on the HTTP server, its live stream. Pull queries are requests with answers; those are in
//! `/openapi.json`, to which the document points.
//!
//! Bindings are of released versions only: Kafka 0.5.0, HTTP 0.3.0.

use serde_json::{Map, Value, json};
use weft_model::mesh::Mesh;
use weft_model::product::{Behaviour, OutputPort, PortKind, Product};
use weft_model::progress;

use super::json_schema::{self, Dialect};
use super::{Addresses, clip, port_name};
use crate::facts;

const KAFKA_BINDING: &str = "0.5.0";
const HTTP_BINDING: &str = "0.3.0";

/// The document of a product.
pub(crate) fn document(mesh: &Mesh, product: &Product, addresses: &Addresses) -> Value {
    let mut parts = Parts::default();
    for port in &product.outputs {
        if addresses.kafka.is_some() {
            parts.topic(product, port, addresses);
        }
        parts.stream(port);
        parts.schemas.insert(port_name(port), json_schema::row(port));
    }
    let mut components = json!({ "schemas": parts.schemas, "messages": parts.messages });
    if let Some(login) = login(addresses) {
        components["securitySchemes"] = json!({ "kafka": login });
    }
    json!({
        "asyncapi": "3.1.0",
        "id": format!("urn:weft:{}:{}:{}", mesh.id, product.id.domain, product.id.product),
        "info": info(mesh, product, addresses),
        "defaultContentType": "application/json",
        "servers": servers(addresses),
        "channels": parts.channels,
        "operations": parts.operations,
        "components": components,
    })
}

fn info(mesh: &Mesh, product: &Product, addresses: &Addresses) -> Value {
    let mut tags: Vec<&str> = product.tags.iter().map(String::as_str).collect();
    tags.sort_unstable();
    tags.dedup();
    let tags: Vec<Value> = tags.into_iter().map(|name| json!({ "name": clip(name) })).collect();
    let path = facts::product_path(&product.id);
    let purpose = clip(&product.purpose);
    let openapi = addresses.url("/openapi.json");
    json!({
        "title": format!("{} of mesh {}", product.id, mesh.id),
        "version": product.version,
        "description": format!("{purpose}\n\nRows by key, range or SQL: {openapi}").trim_start(),
        "contact": { "name": clip(&product.owner), "url": addresses.url(&path) },
        "tags": tags,
        "externalDocs": {
            "description": "The product's descriptor (ODPS), as its team wrote it.",
            "url": addresses.url(&format!("{path}/odps.yaml")),
        },
        "x-status": facts::status_word(product.status),
    })
}

fn servers(addresses: &Addresses) -> Value {
    let mut servers = Map::new();
    let by_tls = addresses.kafka.as_ref().is_some_and(|kafka| kafka.by_tls);
    for (at, broker) in addresses.brokers().enumerate() {
        let name = if at == 0 { "kafka".to_owned() } else { format!("kafka-{}", at + 1) };
        let mut server = json!({
            "host": broker,
            "protocol": if by_tls { "kafka-secure" } else { "kafka" },
            "description": "Any Kafka client; read with `isolation.level=read_committed`.",
        });
        if login(addresses).is_some() {
            server["security"] = json!([{ "$ref": "#/components/securitySchemes/kafka" }]);
        }
        servers.insert(name, server);
    }
    servers.insert(
        "http".to_owned(),
        json!({ "host": addresses.http, "protocol": addresses.scheme(), "description": "Live streams as server-sent events." }),
    );
    Value::Object(servers)
}

/// How Kafka clients log in, where AsyncAPI has a word for it.
fn login(addresses: &Addresses) -> Option<Value> {
    let mechanism = addresses.kafka.as_ref()?.sasl_mechanism.as_deref()?;
    let kind = match mechanism {
        "PLAIN" => "plain",
        "SCRAM-SHA-256" => "scramSha256",
        "SCRAM-SHA-512" => "scramSha512",
        "GSSAPI" => "gssapi",
        // `oauth2` wants the addresses of its flows, which only the owner of the Kafka knows.
        _ => return None,
    };
    Some(json!({ "type": kind, "description": format!("SASL {mechanism}; the owner of the Kafka gives accounts.") }))
}

#[derive(Default)]
struct Parts {
    channels: Map<String, Value>,
    operations: Map<String, Value>,
    messages: Map<String, Value>,
    schemas: Map<String, Value>,
}

impl Parts {
    fn topic(&mut self, product: &Product, port: &OutputPort, addresses: &Addresses) {
        let name = port_name(port);
        let servers = (0..addresses.brokers().count()).map(|at| match at {
            0 => json!({ "$ref": "#/servers/kafka" }),
            at => json!({ "$ref": format!("#/servers/kafka-{}", at + 1) }),
        });
        let mut messages = Map::new();
        self.message(&mut messages, "row", &format!("{name}-record"), record(product, port));
        if port.kind == PortKind::Upsert {
            self.message(&mut messages, "delete", &format!("{name}-tombstone"), tombstone(port));
        }
        let mut binding = json!({
            "topic": port.topic, "partitions": port.partitions, "bindingVersion": KAFKA_BINDING,
        });
        // What settings an adopted topic has is its owner's business.
        if !port.adopted {
            let policy = if port.kind == PortKind::Upsert { "compact" } else { "delete" };
            binding["topicConfiguration"] = json!({ "cleanup.policy": [policy], "retention.ms": port.retention_ms });
        }
        let channel = json!({
            "address": port.topic,
            "title": port.id.to_string(),
            "description": clip(&port.description),
            "servers": servers.collect::<Vec<_>>(),
            "messages": messages,
            "bindings": { "kafka": binding },
            "externalDocs": contract(port, addresses),
            "x-kind": facts::kind_word(port.kind),
            "x-event-time": port.event_time,
        });
        self.channel(name, channel, "Every record of the topic.", None);
    }

    fn stream(&mut self, port: &OutputPort) {
        let name = port_name(port);
        let mut messages = Map::new();
        let row = json!({ "$ref": format!("#/components/schemas/{name}") });
        let mut events = vec![("row", "A row.", row)];
        if port.kind == PortKind::Upsert {
            events.push(("delete", "A key was deleted.", json_schema::key_columns(port)));
        }
        let reason =
            json!({ "type": "object", "properties": { "reason": { "type": "string" } }, "required": ["reason"] });
        let problem = json!({ "type": "object", "required": ["code", "because", "try"] });
        events.push(("live", "The snapshot ends here; what follows is live.", json!({ "type": "object" })));
        events.push(("reset", "Forget what you have: a new snapshot follows.", reason));
        events.push(("error", "A problem (RFC 9457), the last event.", problem));
        for (event, summary, payload) in events {
            let message = json!({
                "name": event, "title": format!("event: {event}"), "summary": summary,
                "contentType": "application/json", "payload": payload,
            });
            self.message(&mut messages, event, &format!("{name}-stream-{event}"), message);
        }
        let channel = json!({
            "address": format!("{}/stream", facts::port_path(&port.id)),
            "title": format!("{} as it changes", port.id),
            "description": "Server-sent events: the message's name is the `event`, its payload the `data`, and `id` a token \
                to go on after it with the header `Last-Event-ID`.",
            "servers": [{ "$ref": "#/servers/http" }],
            "messages": messages,
        });
        let resume = json!({
            "type": "object",
            "properties": { "resume": { "type": "string", "description": "Id of the last event seen." } },
        });
        let binding = json!({ "http": { "method": "GET", "query": resume, "bindingVersion": HTTP_BINDING } });
        self.channel(format!("{name}-stream"), channel, "Snapshot, then every change.", Some(binding));
    }

    /// A message lies once in the components; the channel names it.
    fn message(&mut self, of_channel: &mut Map<String, Value>, name: &str, component: &str, message: Value) {
        of_channel.insert(name.to_owned(), json!({ "$ref": format!("#/components/messages/{component}") }));
        self.messages.insert(component.to_owned(), message);
    }

    fn channel(&mut self, name: String, channel: Value, summary: &str, bindings: Option<Value>) {
        let mut operation = json!({
            "action": "send", "channel": { "$ref": format!("#/channels/{name}") }, "summary": summary,
        });
        if let Some(bindings) = bindings {
            operation["bindings"] = bindings;
        }
        self.operations.insert(format!("send-{name}"), operation);
        self.channels.insert(name, channel);
    }
}

fn record(product: &Product, port: &OutputPort) -> Value {
    let mut message = json!({
        "name": port.id.to_string(),
        "title": "A row",
        "contentType": "application/json",
        "payload": { "$ref": format!("#/components/schemas/{}", port_name(port)) },
    });
    if !matches!(product.behaviour, Behaviour::External) {
        message["headers"] = json!({
            "type": "object",
            "properties": { progress::HEADER: {
                "type": "string", "format": "binary",
                "description": "Event-time progress of the writer, for other nodes of the mesh; consumers may ignore it.",
            } },
        });
    }
    with_key(message, port)
}

fn tombstone(port: &OutputPort) -> Value {
    let message = json!({
        "name": format!("{} deleted", port.id),
        "title": "A deletion",
        "summary": "A record with this key and a null value: the row is no more.",
        "payload": { "type": "null" },
    });
    with_key(message, port)
}

fn with_key(mut message: Value, port: &OutputPort) -> Value {
    if let Some(key) = json_schema::key(port, Dialect::Draft07) {
        message["bindings"] = json!({ "kafka": { "key": key, "bindingVersion": KAFKA_BINDING } });
    }
    message
}

fn contract(port: &OutputPort, addresses: &Addresses) -> Value {
    let file = if facts::has_contract(port) { "odcs.yaml" } else { "schema.json" };
    json!({
        "description": format!("Contract \"{}\".", clip(&port.contract_id)),
        "url": addresses.url(&format!("{}/{file}", facts::port_path(&port.id))),
    })
}
