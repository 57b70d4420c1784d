//! The catalogue as linked data: DCAT 3 in JSON-LD, with its context inside, so that nobody has to fetch one.
//!
//! ```text
//!   dcat:Catalog      the mesh
//!     dcat:theme        a domain
//!     dcat:Dataset      an output port; derived from the ports that its product reads
//!       dcat:Distribution   one per binding: topic, pull, live stream
//!     dcat:DataService  the Kafka and the HTTP doors that serve them
//! ```

use serde_json::{Value, json};
use weft_model::mesh::Mesh;
use weft_model::name::DomainName;
use weft_model::product::{OutputPort, Product};

use super::{Addresses, clip};
use crate::facts;

/// Path of the document.
pub(crate) const PATH: &str = "/v1/catalogue.jsonld";
const MEDIA_TYPES: &str = "https://www.iana.org/assignments/media-types/";

/// The document of the whole mesh.
pub(crate) fn document(mesh: &Mesh, addresses: &Addresses) -> Value {
    let mut datasets = Vec::new();
    for product in mesh.products.values() {
        for port in &product.outputs {
            datasets.push(dataset(product, port, addresses));
        }
    }
    let themes = mesh.domains.values().map(|domain| {
        json!({
            "@id": theme(addresses, &domain.name), "@type": "skos:Concept",
            "skos:prefLabel": domain.name.to_string(), "skos:definition": clip(&domain.description),
        })
    });
    json!({
        "@context": {
            "dcat": "http://www.w3.org/ns/dcat#",
            "dct": "http://purl.org/dc/terms/",
            "foaf": "http://xmlns.com/foaf/0.1/",
            "prov": "http://www.w3.org/ns/prov#",
            "skos": "http://www.w3.org/2004/02/skos/core#",
            "adms": "http://www.w3.org/ns/adms#",
        },
        "@id": addresses.url(PATH),
        "@type": "dcat:Catalog",
        "dct:title": format!("Data products of mesh {}", mesh.id),
        "dct:publisher": agent(&format!("mesh {}", mesh.id)),
        "dcat:themeTaxonomy": {
            "@id": addresses.url(&format!("{PATH}#domains")), "@type": "skos:ConceptScheme",
            "skos:hasTopConcept": themes.collect::<Vec<_>>(),
        },
        "dcat:service": services(addresses),
        "dcat:dataset": datasets,
    })
}

fn services(addresses: &Addresses) -> Value {
    let mut services = vec![json!({
        "@id": http_service(addresses), "@type": "dcat:DataService", "dct:title": "HTTP: pull, SQL and live streams",
        "dcat:endpointURL": iri(&addresses.url("/")),
        "dcat:endpointDescription": iri(&addresses.url("/openapi.json")),
    })];
    if let Some(broker) = addresses.brokers().next() {
        services.push(json!({
            "@id": kafka_service(addresses), "@type": "dcat:DataService", "dct:title": "Kafka protocol",
            "dcat:endpointURL": iri(&format!("kafka://{broker}")),
        }));
    }
    Value::Array(services)
}

fn dataset(product: &Product, port: &OutputPort, addresses: &Addresses) -> Value {
    let path = facts::port_path(&port.id);
    let url = addresses.url(&path);
    let http = http_service(addresses);
    let events = "Snapshot, then every change, as server-sent events";
    let mut distributions = vec![
        distribution(&url, "pull", "Rows by key or range over HTTP", &url, &http, "application/json"),
        distribution(&url, "stream", events, &format!("{url}/stream"), &http, "text/event-stream"),
    ];
    if let Some(broker) = addresses.brokers().next() {
        let access = format!("kafka://{broker}/{}", port.topic);
        let service = kafka_service(addresses);
        distributions.push(distribution(
            &url,
            "kafka",
            "Topic for Kafka clients",
            &access,
            &service,
            "application/json",
        ));
    }
    let described_by = if facts::has_contract(port) { "odcs.yaml" } else { "schema.json" };
    let derived: Vec<Value> =
        product.inputs.iter().map(|input| iri(&addresses.url(&facts::port_path(&input.reads)))).collect();
    json!({
        "@id": url,
        "@type": "dcat:Dataset",
        "dct:identifier": port.id.to_string(),
        "dct:title": port.id.to_string(),
        "dct:description": clip(if port.description.is_empty() { &product.purpose } else { &port.description }),
        "dct:publisher": agent(&product.owner),
        "dcat:keyword": product.tags.iter().map(|tag| clip(tag)).collect::<Vec<_>>(),
        "dcat:theme": iri(&theme(addresses, &product.id.domain)),
        "dcat:version": product.version,
        "adms:status": facts::status_word(product.status),
        "dct:conformsTo": [
            iri(&format!("{url}/schema.json")),
            iri(&format!("{url}/{described_by}")),
        ],
        "prov:wasDerivedFrom": derived,
        "dcat:distribution": distributions,
    })
}

fn distribution(dataset: &str, name: &str, title: &str, access: &str, service: &str, media_type: &str) -> Value {
    json!({
        "@id": format!("{dataset}#{name}"),
        "@type": "dcat:Distribution",
        "dct:title": title,
        "dcat:accessURL": iri(access),
        "dcat:accessService": iri(service),
        "dcat:mediaType": iri(&format!("{MEDIA_TYPES}{media_type}")),
    })
}

fn http_service(addresses: &Addresses) -> String {
    addresses.url(&format!("{PATH}#http"))
}

fn kafka_service(addresses: &Addresses) -> String {
    addresses.url(&format!("{PATH}#kafka"))
}

fn theme(addresses: &Addresses, domain: &DomainName) -> String {
    addresses.url(&format!("{PATH}#domain-{domain}"))
}

fn agent(name: &str) -> Value {
    json!({ "@type": "foaf:Agent", "foaf:name": clip(name) })
}

fn iri(text: &str) -> Value {
    json!({ "@id": text })
}
