//! `weft source restart`: a new replay of a source from the first row of its file.

use std::path::PathBuf;
use std::sync::Arc;

use weft_catalog::Connection;
use weft_connect::{ReplayClock, SourceLimits, SourceOptions, restart_generation};
use weft_model::kind::Diagnostics;
use weft_model::mesh::Mesh;
use weft_model::name::ProductId;

/// Writes the new generation; a source that runs somewhere goes over to it by itself.
pub(crate) async fn restart(connection: &Connection, mesh: &Mesh, product: &ProductId) -> Result<(), Diagnostics> {
    let clock = ReplayClock::for_mesh(mesh);
    let generation = restart_generation(SourceOptions {
        bootstrap: connection.bootstrap.clone(),
        client: connection.client.clone(),
        mesh: Arc::new(mesh.clone()),
        product: product.clone(),
        // Only the node that runs the source opens its file.
        root: PathBuf::new(),
        data_dir: PathBuf::new(),
        clock,
        limits: SourceLimits::default(),
    })
    .await
    .map_err(|error| Diagnostics::from(error.diagnostic(product)))?;
    println!("source \"{product}\" begins generation {generation}");
    Ok(())
}
