//! placeholder while the front end lands
use weft_model::kind::Diagnostics;
use weft_model::mesh::Mesh;
use weft_model::name::ProductId;

use crate::ir::Program;

/// Compiles a product's SQL.
pub fn compile(mesh: &Mesh, product: &ProductId, previous: Option<&Program>) -> Result<Program, Diagnostics> {
    let _ = (mesh, product, previous);
    Err(Diagnostics(Vec::new()))
}
