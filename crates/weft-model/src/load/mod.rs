//! From a folder of files to a [`Mesh`], or to everything that is wrong with it.
//!
//! ```text
//!   Files ── layout ──► which file is what
//!            yaml ────► nodes with lines
//!            standard ► ODPS, ODCS by their own JSON schemas
//!            mesh_yaml, cluster_yaml, access_yaml, settings_yaml, product, contract, source, test_yaml ► as read
//!            resolve ─► ports with contracts, inputs with ports of others
//!            check ───► cycles, topics, parameters        ──► Mesh
//! ```
//!
//! Every step reports into one `Findings` and goes on as far as it can, so that a person sees all that is
//! wrong at once. What is wrong is reported where it is written, and once: what depends on it stays silent.

mod access_yaml;
mod check;
mod cluster_yaml;
mod contract;
mod custom;
mod files;
mod findings;
mod inputs;
mod layout;
mod mesh_yaml;
pub mod near;
mod overrides;
mod product;
mod promises;
mod resolve;
mod settings_yaml;
mod source;
mod standard;
mod strict;
mod test_yaml;
mod texts;

use std::collections::BTreeMap;

use findings::{Findings, place};

pub use files::Files;
pub use overrides::log_overrides;
pub use texts::DescriptorTexts;

use crate::kind::Diagnostics;
use crate::mesh::Mesh;
use crate::name::ProductId;
use crate::product::Product;
use crate::settings::NodeSettings;
use crate::tests::ProductTest;

/// What a command line may override.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoadOptions {
    /// Another file for a source product, as the user named it.
    pub source_files: BTreeMap<ProductId, String>,
    /// Partitions of every declared port that does not adopt a topic, in place of what descriptors say.
    pub partitions: Option<u32>,
}

/// The mesh that the files declare, or all findings in file and line order. The tests of its products are read too, so
/// that a slip in one is found without running it.
pub fn load(files: &Files, options: &LoadOptions) -> Result<Mesh, Diagnostics> {
    let mut findings = Findings::default();
    let mesh = load_into(files, options, &mut findings);
    if let Some(mesh) = &mesh {
        for product in mesh.products.values() {
            test_yaml::read_all(files, mesh, product, &mut findings);
        }
    }
    findings.finish()?;
    Ok(mesh.expect("a mesh without findings is complete"))
}

/// The tests of one product of the mesh, from its `tests/*.yaml`.
pub fn product_tests(files: &Files, product: &Product, mesh: &Mesh) -> Result<Vec<ProductTest>, Diagnostics> {
    let mut findings = Findings::default();
    let tests = test_yaml::read_all(files, mesh, product, &mut findings);
    findings.finish()?;
    Ok(tests)
}

/// What `weft.yaml` says about the node that reads it. The rest of the folder is not looked at.
pub fn node(files: &Files) -> Result<NodeSettings, Diagnostics> {
    let mut findings = Findings::default();
    let root = files.0.get("weft.yaml").and_then(|text| layout::parse("weft.yaml", text, &mut findings));
    let read = root.and_then(|root| mesh_yaml::read_mesh("weft.yaml", &root, &mut findings));
    findings.finish()?;
    match read {
        Some(read) => Ok(NodeSettings {
            listeners: read.listeners,
            replay: read.replay,
            clusters: read.clusters,
            access: read.access,
            settings: read.settings,
        }),
        None => Err(layout::no_weft_yaml().into()),
    }
}

fn load_into(files: &Files, options: &LoadOptions, findings: &mut Findings) -> Option<Mesh> {
    let layout = layout::read(files, findings);
    let mesh_file = layout.mesh.as_ref().and_then(|(file, node)| mesh_yaml::read_mesh(file, node, findings));
    let mut domains = BTreeMap::new();
    for (name, (file, node)) in &layout.domains {
        if let Some(domain) = mesh_yaml::read_domain(file, node, name, findings) {
            domains.insert(name.clone(), domain);
        }
    }
    let mesh_file = mesh_file?;
    let products = resolve::products(&layout, &mesh_file, options, findings);
    check::cycles(&products, findings);
    check::topics(&products, findings);
    check::parameters(&products, findings);
    Some(Mesh {
        id: mesh_file.id,
        topic_prefix: mesh_file.topic_prefix,
        listeners: mesh_file.listeners,
        replay: mesh_file.replay,
        domains,
        products: products.into_iter().map(|(id, resolved)| (id, resolved.product)).collect(),
    })
}

/// `1`, `v1`, `1.2`, `1.2.3-beta`: the digits before the first point.
fn version_major(text: &str) -> Option<u32> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let digits: &str = text.split(['.', '-', '+']).next().unwrap_or_default();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

fn bad_version(file: &str, line: u32, text: &str, findings: &mut Findings) {
    findings.add(
        "MODEL-015",
        place(file, line),
        format!("version \"{text}\" has no major number"),
        "topics and URLs carry the major, the number before the first point",
        "write `version: 1.0.0`",
    );
}
