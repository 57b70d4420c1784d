//! Facts about the mesh in the JSON shape that callers see. Changing a field here changes the API.

use serde::Serialize;
use utoipa::ToSchema;
use weft_model::mesh::Mesh;
use weft_model::name::PortId;
use weft_model::product::{Behaviour, Encoding, OutputPort, PortKind, PortRole, Product, Status};
use weft_model::schema::ColumnType;

use crate::describe::dcat;
use crate::views::CatalogView;

/// The mesh: its domains and data products.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MeshFacts {
    /// The mesh's id.
    #[schema(example = "flights")]
    mesh: String,
    /// Domains with their owners.
    domains: Vec<DomainFacts>,
    /// Every data product.
    products: Vec<ProductFacts>,
    /// Where the catalogue is described in the words of other standards.
    links: Vec<Link>,
}

/// A domain.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DomainFacts {
    /// Its name.
    #[schema(example = "insights")]
    name: String,
    /// The team that answers for it.
    #[schema(example = "insights-team")]
    owner: String,
    /// What it is about.
    description: String,
}

/// A data product.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProductFacts {
    /// `domain.product`.
    #[schema(example = "insights.delays")]
    id: String,
    /// The team that answers for it.
    owner: String,
    /// Version of its descriptor.
    #[schema(example = "1.0.0")]
    version: String,
    /// `proposed`, `draft`, `active`, `deprecated` or `retired`.
    #[schema(example = "active")]
    status: &'static str,
    /// What it is for.
    purpose: String,
    /// Free tags.
    tags: Vec<String>,
    /// How its data comes to be: `source`, `transform` or `external`.
    #[schema(example = "transform")]
    behaviour: &'static str,
    /// Output ports it reads.
    inputs: Vec<InputFacts>,
    /// Output ports it has.
    ports: Vec<PortFacts>,
    /// How it is doing; null where Weft does not run it.
    run: Option<RunFacts>,
    /// Path of this product.
    #[schema(example = "/v1/products/insights/delays")]
    href: String,
    /// Where it is described in the words of other standards.
    links: Vec<Link>,
}

/// A document about the same thing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Link {
    /// What it is: `asyncapi`, `odps`, `odcs`, `json-schema`, `dcat`.
    #[schema(example = "asyncapi")]
    rel: &'static str,
    /// Its path.
    #[schema(example = "/v1/products/insights/delays/asyncapi.json")]
    href: String,
    /// Its media type.
    #[serde(rename = "type")]
    #[schema(example = "application/json")]
    media_type: &'static str,
}

/// An input port.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InputFacts {
    /// Its name in the product's SQL.
    #[schema(example = "flights")]
    name: String,
    /// The output port it reads.
    #[schema(example = "flight-ops.flights.flights@1")]
    reads: String,
}

/// An output port with its contract.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PortFacts {
    /// `domain.product.port@major`.
    #[schema(example = "insights.delays.current@1")]
    id: String,
    /// Its name in the product.
    #[schema(example = "current")]
    name: String,
    /// Major version of the contract.
    #[schema(example = 1)]
    major: u32,
    /// `declared`, or one of those that every product has: `errors`, `late`.
    #[schema(example = "declared")]
    role: &'static str,
    /// `append`: events. `upsert`: a table, the last row per key counts.
    #[schema(example = "upsert")]
    kind: &'static str,
    /// The topic behind it, for Kafka clients.
    #[schema(example = "insights.delays.current.v1")]
    topic: String,
    /// Partitions of the topic.
    #[schema(example = 1)]
    partitions: u32,
    /// How values are encoded.
    #[schema(example = "json")]
    encoding: &'static str,
    /// How long records are kept, in milliseconds; -1 is for ever.
    #[schema(example = -1)]
    retention_ms: i64,
    /// Generation that answers now, if one is recorded.
    #[schema(example = 1)]
    generation: Option<u32>,
    /// Key columns in order; empty where rows have no key.
    #[schema(example = json!(["origin", "carrier", "window_start"]))]
    key: Vec<String>,
    /// The column that holds event time.
    #[schema(example = "window_start")]
    event_time: Option<String>,
    /// The contract.
    contract: ContractFacts,
    /// Path that answers pull queries.
    #[schema(example = "/v1/products/insights/delays/ports/current/v1")]
    href: String,
    /// Path of the live stream.
    #[schema(example = "/v1/products/insights/delays/ports/current/v1/stream")]
    stream: String,
    /// Where it is described in the words of other standards.
    links: Vec<Link>,
}

/// What a port promises.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ContractFacts {
    /// Its id.
    id: String,
    /// What it says it is for.
    description: String,
    /// Its columns, in order.
    columns: Vec<ColumnFacts>,
}

/// A column.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ColumnFacts {
    /// Field of a row, and identifier in SQL.
    #[schema(example = "window_start")]
    name: String,
    /// `string`, `boolean`, `int64`, `float64`, `decimal(p,s)`, `timestamp`, `date` or `bytes`.
    #[serde(rename = "type")]
    #[schema(example = "timestamp")]
    column_type: String,
    /// May a row leave it null?
    nullable: bool,
    /// What it means, with its unit, where the contract says so.
    description: Option<String>,
}

/// How a product is doing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunFacts {
    /// One word.
    #[schema(example = "running")]
    state: String,
    /// A sentence where there is more to say.
    detail: Option<String>,
}

/// The whole mesh.
pub(crate) fn mesh(mesh: &Mesh, catalog: &dyn CatalogView) -> MeshFacts {
    let domains = mesh.domains.values().map(|domain| DomainFacts {
        name: domain.name.to_string(),
        owner: domain.owner.clone(),
        description: domain.description.clone(),
    });
    MeshFacts {
        mesh: mesh.id.to_string(),
        domains: domains.collect(),
        products: mesh.products.values().map(|one| product(one, catalog)).collect(),
        links: vec![Link { rel: "dcat", href: dcat::PATH.to_owned(), media_type: "application/ld+json" }],
    }
}

/// One product.
pub(crate) fn product(product: &Product, catalog: &dyn CatalogView) -> ProductFacts {
    let inputs = product.inputs.iter();
    let run = catalog.run_state(&product.id);
    ProductFacts {
        id: product.id.to_string(),
        owner: product.owner.clone(),
        version: product.version.clone(),
        status: status_word(product.status),
        purpose: product.purpose.clone(),
        tags: product.tags.clone(),
        behaviour: match product.behaviour {
            Behaviour::Source(_) => "source",
            Behaviour::Transform { .. } => "transform",
            Behaviour::External => "external",
        },
        inputs: inputs.map(|input| InputFacts { name: input.name.clone(), reads: input.reads.to_string() }).collect(),
        ports: product.outputs.iter().map(|one| port(one, catalog)).collect(),
        run: run.map(|run| RunFacts { state: run.state, detail: run.detail }),
        href: product_path(&product.id),
        links: vec![
            Link {
                rel: "asyncapi",
                href: format!("{}/asyncapi.json", product_path(&product.id)),
                media_type: "application/json",
            },
            Link {
                rel: "odps",
                href: format!("{}/odps.yaml", product_path(&product.id)),
                media_type: "application/yaml",
            },
        ],
    }
}

fn port(port: &OutputPort, catalog: &dyn CatalogView) -> PortFacts {
    let columns = port.schema.columns.iter().map(|column| ColumnFacts {
        name: column.name.clone(),
        column_type: type_text(column.column_type),
        nullable: column.nullable,
        description: port.column_docs.get(&column.name).cloned(),
    });
    PortFacts {
        id: port.id.to_string(),
        name: port.id.port.to_string(),
        major: port.id.major,
        role: match port.role {
            PortRole::Declared => "declared",
            PortRole::Errors => "errors",
            PortRole::Late => "late",
        },
        kind: kind_word(port.kind),
        topic: port.topic.clone(),
        partitions: port.partitions,
        encoding: match port.encoding {
            Encoding::Json => "json",
        },
        retention_ms: port.retention_ms,
        generation: catalog.generation(&port.id),
        key: port.key.clone(),
        event_time: port.event_time.clone(),
        contract: ContractFacts {
            id: port.contract_id.clone(),
            description: port.description.clone(),
            columns: columns.collect(),
        },
        href: port_path(&port.id),
        stream: format!("{}/stream", port_path(&port.id)),
        links: port_links(port),
    }
}

fn port_links(port: &OutputPort) -> Vec<Link> {
    let path = port_path(&port.id);
    let schema = format!("{path}/schema.json");
    let mut links = vec![Link { rel: "json-schema", href: schema, media_type: "application/schema+json" }];
    if has_contract(port) {
        links.push(Link { rel: "odcs", href: format!("{path}/odcs.yaml"), media_type: "application/yaml" });
    }
    links
}

/// One word for where a product is in its life.
pub(crate) fn status_word(status: Status) -> &'static str {
    match status {
        Status::Proposed => "proposed",
        Status::Draft => "draft",
        Status::Active => "active",
        Status::Deprecated => "deprecated",
        Status::Retired => "retired",
    }
}

/// Events or a table, in one word.
pub(crate) fn kind_word(kind: PortKind) -> &'static str {
    match kind {
        PortKind::Append => "append",
        PortKind::Upsert => "upsert",
    }
}

/// Did a team write a contract for it? `errors` and `late` come without.
pub(crate) fn has_contract(port: &OutputPort) -> bool {
    port.role == PortRole::Declared
}

pub(crate) fn type_text(column_type: ColumnType) -> String {
    match column_type {
        ColumnType::String => "string".to_owned(),
        ColumnType::Boolean => "boolean".to_owned(),
        ColumnType::Int64 => "int64".to_owned(),
        ColumnType::Float64 => "float64".to_owned(),
        ColumnType::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
        ColumnType::Timestamp => "timestamp".to_owned(),
        ColumnType::Date => "date".to_owned(),
        ColumnType::Bytes => "bytes".to_owned(),
    }
}

/// Path of a product.
pub(crate) fn product_path(id: &weft_model::name::ProductId) -> String {
    format!("/v1/products/{}/{}", id.domain, id.product)
}

/// Path of a port.
pub(crate) fn port_path(id: &PortId) -> String {
    format!("{}/ports/{}/v{}", product_path(&id.product), id.port, id.major)
}
