//! From a folder of files to a [`Mesh`], or to everything that is wrong with it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::kind::{Diagnostic, Diagnostics, Kind};
use crate::mesh::Mesh;
use crate::name::ProductId;
use crate::product::Product;
use crate::tests::ProductTest;

/// The text files of a mesh by path relative to the folder of `weft.yaml`, `/` between parts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Files(pub BTreeMap<String, String>);

/// What a command line may override.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoadOptions {
    /// Another file for a source product.
    pub source_files: BTreeMap<ProductId, String>,
    /// Partitions of every declared port that the descriptor does not adopt.
    pub partitions: Option<u32>,
}

impl Files {
    /// Reads the descriptors of a mesh folder; data files are left alone.
    pub fn read_folder(path: &Path) -> Result<Self, Diagnostics> {
        Err(unreadable(path))
    }
}

fn unreadable(path: &Path) -> Diagnostics {
    Diagnostics(vec![Diagnostic {
        kind: Kind::NotFound,
        code: "MODEL-001",
        what: format!("no mesh in folder \"{}\"", path.display()),
        because: "it has no weft.yaml".to_owned(),
        try_: "name the folder that holds weft.yaml".to_owned(),
        place: None,
    }])
}

/// The mesh that the files declare, or all findings.
pub fn load(files: &Files, options: &LoadOptions) -> Result<Mesh, Diagnostics> {
    let _ = (files, options);
    Err(unreadable(Path::new(".")))
}

/// The tests of one product, from its `tests/*.yaml`.
pub fn product_tests(
    files: &Files,
    product: &Product,
    mesh: &Mesh,
) -> Result<Vec<ProductTest>, Diagnostics> {
    let _ = (files, product, mesh);
    Ok(Vec::new())
}
