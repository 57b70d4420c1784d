//! `GET /v1/products`: what is here, and how to find the port that a path names.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{OriginalUri, Path, State};
use weft_model::mesh::Mesh;
use weft_model::name::{DomainName, ProductId, ProductName};
use weft_model::product::{OutputPort, Product};

use crate::error::{self, Problem};
use crate::facts::{self, MeshFacts, ProductFacts};
use crate::params::shorten;
use crate::routes::App;
use weft_model::load::near::near_miss;

/// A path's captures, or why it could not be read.
pub(crate) type Captures<T> = Result<Path<T>, PathRejection>;

/// The mesh: domains, data products, their output ports and contracts.
#[utoipa::path(
    get,
    path = "/v1/products",
    tag = "catalogue",
    responses((status = 200, description = "Every data product that the caller may see.", body = MeshFacts)),
)]
pub(crate) async fn list(State(app): State<Arc<App>>) -> Result<Json<MeshFacts>, Problem> {
    let mesh = mesh(&app)?;
    Ok(Json(facts::mesh(&mesh, &*app.catalog)))
}

/// One data product: owner, inputs, output ports with the columns of their contracts, and how it is doing.
#[utoipa::path(
    get,
    path = "/v1/products/{domain}/{product}",
    tag = "catalogue",
    params(
        ("domain" = String, Path, description = "Name of the domain.", example = "insights"),
        ("product" = String, Path, description = "Name of the product in its domain.", example = "delays"),
    ),
    responses((status = 200, description = "The data product.", body = ProductFacts)),
)]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    OriginalUri(uri): OriginalUri,
    captures: Captures<(String, String)>,
) -> Result<Json<ProductFacts>, Problem> {
    let Path((domain, product)) = captures.map_err(|_| error::unreadable_path(&shorten(uri.path())))?;
    let mesh = mesh(&app)?;
    let product = find_product(&mesh, &domain, &product)?;
    Ok(Json(facts::product(product, &*app.catalog)))
}

/// The mesh as it runs.
pub(crate) fn mesh(app: &App) -> Result<Arc<Mesh>, Problem> {
    app.catalog.mesh().ok_or_else(error::no_mesh)
}

/// The product that a path names.
pub(crate) fn find_product<'m>(mesh: &'m Mesh, domain: &str, product: &str) -> Result<&'m Product, Problem> {
    let id = domain.parse::<DomainName>().ok().zip(product.parse::<ProductName>().ok());
    let found = id.and_then(|(domain, product)| mesh.products.get(&ProductId { domain, product }));
    found.ok_or_else(|| {
        let asked = format!("{domain}.{product}");
        let known: Vec<String> = mesh.products.keys().map(ProductId::to_string).collect();
        error::no_product(&shorten(&asked), near_miss(&asked, known.iter().map(String::as_str)))
    })
}

/// The output port that a path names: `version` is `v1`.
pub(crate) fn find_port<'m>(
    mesh: &'m Mesh,
    (domain, product, port, version): (&str, &str, &str, &str),
) -> Result<&'m OutputPort, Problem> {
    let product = find_product(mesh, domain, product)?;
    let path = facts::product_path(&product.id);
    let asked = shorten(&format!("{}.{port}/{version}", product.id));
    let of_name: Vec<&OutputPort> = product.outputs.iter().filter(|one| one.id.port.as_str() == port).collect();
    if of_name.is_empty() {
        let names = product.outputs.iter().map(|one| one.id.port.as_str());
        let near = near_miss(port, names).map(|near| format!("\"{near}\""));
        let because = format!("product \"{}\" has no port of that name", product.id);
        return Err(error::no_port(&asked, because, near, &path));
    }
    let major =
        version.strip_prefix('v').and_then(|number| number.parse().ok().filter(|n: &u32| n.to_string() == number));
    let found = of_name.iter().find(|one| Some(one.id.major) == major);
    found.copied().ok_or_else(|| {
        let versions: Vec<String> = of_name.iter().map(|one| format!("v{}", one.id.major)).collect();
        let because = format!("port \"{port}\" has the versions {}", versions.join(", "));
        let near = of_name.iter().max_by_key(|one| one.id.major).map(|one| facts::port_path(&one.id));
        error::no_port(&asked, because, near, &path)
    })
}

/// Captures of a port's path.
pub(crate) type PortCaptures = Captures<(String, String, String, String)>;

/// The port of a request, cloned out of the mesh.
pub(crate) fn port_of(app: &App, captures: PortCaptures, path: &str) -> Result<OutputPort, Problem> {
    let Path((domain, product, port, version)) = captures.map_err(|_| error::unreadable_path(&shorten(path)))?;
    let mesh = mesh(app)?;
    find_port(&mesh, (&domain, &product, &port, &version)).cloned()
}
