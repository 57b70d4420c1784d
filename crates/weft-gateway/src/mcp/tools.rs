//! The tools that agents may call. They read; none of them changes anything.

use std::sync::Arc;

use axum::http::StatusCode;
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::{Value, json};
use weft_model::load::near::near_miss;
use weft_model::mesh::Mesh;
use weft_model::principal::Principal;
use weft_model::product::OutputPort;

use super::search;
use crate::describe::{Addresses, json_schema};
use crate::error::{self, Problem};
use crate::params::shorten;
use crate::products::{find_port, find_product};
use crate::routes::App;
use crate::{answer, facts, products, sql};

/// Products of one search, at most.
const FOUND_MAX: u64 = 100;
/// Products of a search that names no `limit`.
const FOUND_DEFAULT: u64 = 20;

/// Every tool with the JSON Schema of its arguments.
pub(super) fn list() -> Vec<Tool> {
    vec![
        tool(
            "search_catalogue",
            "Data products whose name, purpose, owner, tags, ports or columns hold every word of the query. Without words: all.",
            json!({
                "query": { "type": "string", "description": "Words, in any order and case." },
                "domain": { "type": "string", "description": "Only products of this domain." },
                "tag": { "type": "string", "description": "Only products with this tag." },
                "limit": { "type": "integer", "minimum": 1, "maximum": FOUND_MAX, "default": FOUND_DEFAULT },
            }),
            &[],
        ),
        tool(
            "describe_product",
            "A data product: purpose, owner, status, inputs, and its output ports with columns, types, units and keys.",
            json!({ "product": { "type": "string", "description": "domain.product, such as insights.delays" } }),
            &["product"],
        ),
        tool(
            "read_contract",
            "The contract of an output port (ODCS, YAML) as its team wrote it; for the ports errors and late, their JSON Schema.",
            json!({ "port": { "type": "string", "description": "domain.product.port, with @major to pin a version" } }),
            &["port"],
        ),
        tool(
            "query",
            "Rows by one SQL SELECT over output ports, named \"domain\".\"product\".\"port\". The answer has `rows` and `position`, the \
             offsets they speak for. It is whole or an error that names the limit: aggregate, filter or LIMIT.",
            json!({ "sql": { "type": "string", "minLength": 1, "description": "One SELECT." } }),
            &["sql"],
        ),
    ]
}

fn tool(name: &'static str, description: &'static str, properties: Value, required: &[&str]) -> Tool {
    let schema = json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
    });
    let Value::Object(schema) = schema else { unreachable!("json! of braces is an object") };
    let annotations = ToolAnnotations::new().read_only(true).open_world(false);
    Tool::new(name, description, Arc::new(schema)).with_annotations(annotations)
}

/// Calls a tool of the list.
pub(super) async fn call(
    app: &App,
    principal: &Principal,
    tool: &str,
    arguments: JsonObject,
) -> Result<String, Problem> {
    let mut arguments = Arguments { tool, given: arguments };
    match tool {
        "search_catalogue" => {
            let words = arguments.text("query")?.unwrap_or_default();
            let (domain, tag) = (arguments.text("domain")?, arguments.text("tag")?);
            let limit = arguments.number("limit", FOUND_MAX)?.unwrap_or(FOUND_DEFAULT);
            arguments.finish(&["query", "domain", "tag", "limit"])?;
            let asked = search::Search { words: &words, domain: domain.as_deref(), tag: tag.as_deref() };
            let limit = usize::try_from(limit).expect("at most a hundred");
            Ok(asked.run(&*products::mesh(app)?, limit).to_string())
        }
        "describe_product" => {
            let id = arguments.needed("product")?;
            arguments.finish(&["product"])?;
            let mesh = products::mesh(app)?;
            let (domain, product) = id.split_once('.').unwrap_or((&id, ""));
            let facts = facts::product(find_product(&mesh, domain, product)?, &*app.catalog);
            Ok(serde_json::to_string(&facts).expect("facts have a JSON form"))
        }
        "read_contract" => {
            let id = arguments.needed("port")?;
            arguments.finish(&["port"])?;
            contract(app, &id)
        }
        "query" => {
            let text = arguments.needed("sql")?;
            arguments.finish(&["sql"])?;
            let answer = sql::ask(app, principal, "mcp", &text).await?;
            Ok(String::from_utf8(answer::body(&answer)).expect("rows and tokens are text"))
        }
        other => unreachable!("tool \"{other}\" is on the list and has no body"),
    }
}

fn contract(app: &App, id: &str) -> Result<String, Problem> {
    let mesh = products::mesh(app)?;
    let port = named(&mesh, id)?;
    match app.catalog.descriptors().contracts.get(&port.id) {
        Some(text) => Ok(text.to_string()),
        None => {
            let addresses = Addresses { kafka: None, http: "localhost".to_owned(), by_tls: false };
            Ok(json_schema::document(port, &addresses).to_string())
        }
    }
}

/// `domain.product.port` or `domain.product.port@major`; without a major the newest.
fn named<'m>(mesh: &'m Mesh, id: &str) -> Result<&'m OutputPort, Problem> {
    let (name, major) = match id.split_once('@') {
        Some((name, major)) => (name, Some(major)),
        None => (id, None),
    };
    let mut parts = name.splitn(3, '.');
    let [domain, product, port] = [(); 3].map(|()| parts.next().unwrap_or_default());
    let newest = || {
        let ports = find_product(mesh, domain, product).ok().map(|product| product.outputs.iter());
        let majors = ports.into_iter().flatten().filter(|one| one.id.port.as_str() == port).map(|one| one.id.major);
        majors.max().map_or_else(|| "1".to_owned(), |major| major.to_string())
    };
    let version = format!("v{}", major.map_or_else(newest, str::to_owned));
    find_port(mesh, (domain, product, port, &version))
}

/// What was given, each name taken once, nothing left over.
struct Arguments<'t> {
    tool: &'t str,
    given: JsonObject,
}

impl Arguments<'_> {
    fn text(&mut self, name: &str) -> Result<Option<String>, Problem> {
        match self.given.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(format!("its argument \"{name}\" is not a string"), "send text".to_owned())),
        }
    }

    fn needed(&mut self, name: &str) -> Result<String, Problem> {
        match self.text(name)? {
            Some(text) if !text.trim().is_empty() => Ok(text),
            Some(_) => Err(self.wrong(format!("its argument \"{name}\" is empty"), format!("give \"{name}\""))),
            None => {
                let near = self.given.keys().find_map(|given| near_miss(given, [name]).map(|_| given.clone()));
                let because = match near {
                    Some(given) => format!("it has no argument \"{}\"; did you mean \"{name}\"?", shorten(&given)),
                    None => format!("its argument \"{name}\" is missing"),
                };
                Err(self.wrong(because, format!("give \"{name}\"")))
            }
        }
    }

    fn number(&mut self, name: &str, most: u64) -> Result<Option<u64>, Problem> {
        match self.given.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_u64().filter(|number| (1..=most).contains(number)) {
                Some(number) => Ok(Some(number)),
                None => Err(self.wrong(
                    format!("its argument \"{name}\" is not a whole number from 1 to {most}"),
                    "leave it out for the default".to_owned(),
                )),
            },
        }
    }

    fn finish(&self, known: &[&str]) -> Result<(), Problem> {
        let Some(unknown) = self.given.keys().next() else { return Ok(()) };
        let try_ = match near_miss(unknown, known.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("it takes {}", known.join(", ")),
        };
        Err(self.wrong(format!("it has no argument \"{}\"", shorten(unknown)), try_))
    }

    fn wrong(&self, because: String, try_: String) -> Problem {
        error::bad_call(StatusCode::BAD_REQUEST, format!("tool \"{}\": {because}", self.tool), try_)
    }
}
