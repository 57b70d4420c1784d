//! Programs to copy: each reads this very port, at this very address, and ends by itself. The e2e tier runs each of them.

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use std::sync::Arc;
use weft_model::name::PortId;
use weft_model::product::OutputPort;

use crate::ask::Addresses;
use crate::pages::Portal;
use crate::words::encoded;

/// A language or tool, and the binding it reads.
pub(crate) struct Snippet {
    /// In addresses.
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// What must be there to run it.
    pub(crate) needs: &'static str,
    text: fn(&OutputPort, &Addresses) -> String,
}

/// Every snippet of a port.
pub(crate) const SNIPPETS: [Snippet; 7] = [
    Snippet { id: "kcat", title: "kcat", needs: "apt-get install kcat", text: kcat },
    Snippet { id: "python", title: "Python", needs: "pip install confluent-kafka", text: python },
    Snippet {
        id: "java",
        title: "Java",
        needs: "org.apache.kafka:kafka-clients on the class path; run with `java Read.java`",
        text: java,
    },
    Snippet { id: "node", title: "Node", needs: "npm install kafkajs", text: node },
    Snippet { id: "curl", title: "curl", needs: "curl", text: curl },
    Snippet { id: "stream", title: "curl, live", needs: "curl; ends after ten seconds", text: stream },
    Snippet { id: "sql", title: "SQL", needs: "the SQL page, or POST /v1/sql", text: sql },
];

/// `/v1/products/insights/delays/ports/current/v1`.
pub(crate) fn pull_path(id: &PortId) -> String {
    format!("/v1/products/{}/{}/ports/{}/v{}", id.product.domain, id.product.product, id.port, id.major)
}

/// `"insights"."delays"."current@1"`: pinned, so that a query keeps its meaning when a newer version comes.
pub(crate) fn sql_name(id: &PortId) -> String {
    format!("\"{}\".\"{}\".\"{}@{}\"", id.product.domain, id.product.product, id.port, id.major)
}

/// Some rows of a port.
pub(crate) fn sample_query(id: &PortId) -> String {
    format!("SELECT *\nFROM {}\nLIMIT 10", sql_name(id))
}

/// A host and a port inside a string literal of a program or between single quotes of a shell.
fn address(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || "._-:,[]".contains(*c)).collect()
}

/// A topic there: what Kafka takes for a name and nothing else, as an adopted topic may be called anything.
fn topic(port: &OutputPort) -> String {
    port.topic.chars().filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).collect()
}

/// What is spoken at a log that knows the keys; `None`: nobody logs in, or others say how.
fn protocol(at: &Addresses) -> Option<&'static str> {
    let tls = at.keys?.own_log_tls?;
    Some(if tls { "SASL_SSL" } else { "SASL_PLAINTEXT" })
}

/// Name and key come from the environment: a key has no place in a program.
fn kcat(port: &OutputPort, at: &Addresses) -> String {
    let log_in = match protocol(at) {
        Some(protocol) => format!(
            " -X security.protocol={protocol} -X sasl.mechanism=SCRAM-SHA-512 -X sasl.username=\"$WEFT_CLIENT\" \\\n  -X sasl.password=\"$WEFT_KEY\""
        ),
        None => String::new(),
    };
    format!("kcat -b {}{log_in} -C -t {} -o beginning -c 5 -q -f '%k %s\\n'\n", address(&at.kafka), topic(port))
}

fn python(port: &OutputPort, at: &Addresses) -> String {
    let (import, group, log_in) = match protocol(at) {
        Some(protocol) => (
            "import os\n",
            r#"os.environ["WEFT_CLIENT"]"#,
            format!(
                r#"
    "security.protocol": "{protocol}",
    "sasl.mechanism": "SCRAM-SHA-512",
    "sasl.username": os.environ["WEFT_CLIENT"],
    "sasl.password": os.environ["WEFT_KEY"],"#
            ),
        ),
        None => ("", r#""my-team""#, String::new()),
    };
    format!(
        r#"{import}from confluent_kafka import Consumer

consumer = Consumer({{
    "bootstrap.servers": "{kafka}",{log_in}
    "group.id": {group},
    "auto.offset.reset": "earliest",
    "enable.auto.commit": False,  # commit what you have done with consumer.commit()
}})
consumer.subscribe(["{topic}"])
rows = 0
while rows < 5:
    record = consumer.poll(1.0)
    if record is None:
        continue
    if record.error():
        raise SystemExit(record.error())
    print(record.key(), record.value().decode() if record.value() else "deleted")
    rows += 1
consumer.close()
"#,
        kafka = address(&at.kafka),
        topic = topic(port)
    )
}

fn java(port: &OutputPort, at: &Addresses) -> String {
    let (group, log_in) = match protocol(at) {
        Some(protocol) => (
            r#"System.getenv("WEFT_CLIENT")"#,
            format!(
                r#"
            "security.protocol", "{protocol}",
            "sasl.mechanism", "SCRAM-SHA-512",
            "sasl.jaas.config", "org.apache.kafka.common.security.scram.ScramLoginModule required username=\""
                + System.getenv("WEFT_CLIENT") + "\" password=\"" + System.getenv("WEFT_KEY") + "\";","#
            ),
        ),
        None => (r#""my-team""#, String::new()),
    };
    format!(
        r#"import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.StringDeserializer;

public class Read {{
    public static void main(String[] args) {{
        Map<String, Object> config = Map.of(
            "bootstrap.servers", "{kafka}",{log_in}
            "group.id", {group},
            "auto.offset.reset", "earliest",
            "isolation.level", "read_committed",
            "enable.auto.commit", false);
        var text = new StringDeserializer();
        try (var consumer = new KafkaConsumer<>(config, text, text)) {{
            consumer.subscribe(List.of("{topic}"));
            int rows = 0;
            while (rows < 5) {{
                for (var record : consumer.poll(Duration.ofSeconds(1))) {{
                    System.out.println(record.key() + " " + record.value());
                    rows++;
                }}
            }}
        }}
    }}
}}
"#,
        kafka = address(&at.kafka),
        topic = topic(port)
    )
}

fn node(port: &OutputPort, at: &Addresses) -> String {
    let (group, log_in) = match protocol(at) {
        Some(protocol) => (
            "process.env.WEFT_CLIENT",
            format!(
                r#"ssl: {},
  sasl: {{ mechanism: "scram-sha-512", username: process.env.WEFT_CLIENT, password: process.env.WEFT_KEY }},
  "#,
                protocol == "SASL_SSL"
            ),
        ),
        None => (r#""my-team""#, String::new()),
    };
    format!(
        r#"const {{ Kafka, logLevel }} = require("kafkajs");

const kafka = new Kafka({{ {log_in}brokers: "{kafka}".split(","), logLevel: logLevel.ERROR }});
const consumer = kafka.consumer({{ groupId: {group} }});
let rows = 0;

async function main() {{
  await consumer.connect();
  await consumer.subscribe({{ topics: ["{topic}"], fromBeginning: true }});
  const done = new Promise((resolve) => {{
    consumer.run({{
      autoCommit: false,
      eachMessage: async ({{ message }}) => {{
        if (rows < 5) console.log(String(message.key), String(message.value));
        if (++rows === 5) resolve();
      }},
    }});
  }});
  await done;
  await consumer.disconnect();
}}

main().catch((error) => {{
  console.error(error);
  process.exit(1);
}});
"#,
        kafka = address(&at.kafka),
        topic = topic(port)
    )
}

fn bearer(at: &Addresses) -> &'static str {
    if at.keys.is_some() { r#" -H "Authorization: Bearer $WEFT_KEY""# } else { "" }
}

fn curl(port: &OutputPort, at: &Addresses) -> String {
    let (bearer, scheme) = (bearer(at), at.scheme());
    format!("curl -sf{bearer} '{scheme}://{}{}?limit=5'\n", address(&at.http), pull_path(&port.id))
}

fn stream(port: &OutputPort, at: &Addresses) -> String {
    let (bearer, scheme) = (bearer(at), at.scheme());
    format!("curl -sN --max-time 10{bearer} '{scheme}://{}{}/stream'\n", address(&at.http), pull_path(&port.id))
}

fn sql(port: &OutputPort, _: &Addresses) -> String {
    format!("{}\n", sample_query(&port.id))
}

/// All of them for one port.
pub(crate) fn snippets(port: &OutputPort, addresses: &Addresses) -> Markup {
    html! {
        div.snippets {
            @for (at, snippet) in SNIPPETS.iter().enumerate() {
                details.snippet name="snippet" open[at == 0] {
                    summary { (snippet.title) }
                    p.note { "Needs: " (snippet.needs) }
                    pre tabindex="0" data-copy { code { ((snippet.text)(port, addresses)) } }
                    p.note {
                        a href={ "/portal/snippets" (pull_path(&port.id)["/v1/products".len()..]) "/" (snippet.id) } { "As a file" }
                        @if snippet.id == "sql" {
                            " · " a href={ "/sql?q=" (encoded(&sample_query(&port.id))) } { "Open on the SQL page" }
                        }
                    }
                }
            }
        }
    }
}

/// `GET /portal/snippets/{domain}/{product}/ports/{port}/{version}/{language}`: one of them, as plain text.
pub(crate) async fn snippet(
    State(portal): State<Arc<Portal>>,
    Path((domain, product, port, version, language)): Path<(String, String, String, String, String)>,
) -> Response {
    let mesh = portal.ask.mesh();
    let ports = mesh.iter().flat_map(|mesh| mesh.products.values()).flat_map(|product| &product.outputs);
    let wanted = format!("/v1/products/{domain}/{product}/ports/{port}/{version}");
    let port = ports.into_iter().find(|port| pull_path(&port.id) == wanted);
    let snippet = SNIPPETS.iter().find(|snippet| snippet.id == language);
    let (Some(port), Some(snippet)) = (port, snippet) else {
        return (StatusCode::NOT_FOUND, "no such snippet\n").into_response();
    };
    let mut response = (snippet.text)(port, &portal.ask.addresses()).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
