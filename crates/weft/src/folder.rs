//! A mesh folder, loaded, compiled and compared with what is desired now.

use std::collections::BTreeMap;
use std::path::Path;

use weft_catalog::{CompiledProduct, Declared, Desired, StateVerdict};
use weft_model::kind::{Diagnostic, Diagnostics};
use weft_model::load::{self, Files, LoadOptions};
use weft_model::mesh::Mesh;
use weft_model::name::ProductId;
use weft_model::product::Behaviour;
use weft_stream::Verdict;
use weft_stream::ir::Program;

/// What a folder declares.
#[derive(Debug)]
pub(crate) struct Folder {
    /// Its descriptors.
    pub(crate) files: Files,
    /// What the command line overrides.
    pub(crate) options: LoadOptions,
    /// The mesh they declare.
    pub(crate) mesh: Mesh,
    /// Its transforms, compiled.
    pub(crate) programs: BTreeMap<ProductId, CompiledProduct>,
}

impl Folder {
    /// Reads and loads the descriptors, and compiles every transform, on from the operator ids that `desired` has. All
    /// findings of a step come at once.
    pub(crate) fn read(path: &Path, options: &LoadOptions, desired: &Desired) -> Result<Self, Diagnostics> {
        let files = Files::read_folder(path)?;
        Self::of(files, options, desired)
    }

    /// The same from descriptors in memory.
    pub(crate) fn of(files: Files, options: &LoadOptions, desired: &Desired) -> Result<Self, Diagnostics> {
        let mesh = load::load(&files, options)?;
        let mut programs = BTreeMap::new();
        let mut findings: Vec<Diagnostic> = Vec::new();
        for product in mesh.products.values() {
            if !matches!(product.behaviour, Behaviour::Transform { .. }) {
                continue;
            }
            let previous = running_program(desired, &product.id);
            match weft_stream::compile(&mesh, &product.id, previous.as_ref()) {
                Ok(program) => {
                    let verdict = verdict(previous.as_ref(), &program);
                    let program = serde_json::from_str(&program.to_json()).expect("a program writes JSON");
                    programs.insert(product.id.clone(), CompiledProduct { program, verdict });
                }
                Err(Diagnostics(more)) => findings.extend(more),
            }
        }
        if findings.is_empty() {
            return Ok(Self { files, options: options.clone(), mesh, programs });
        }
        Err(Diagnostics(findings))
    }

    /// As the catalogue compares it.
    pub(crate) fn declared(&self) -> Declared<'_> {
        Declared { mesh: &self.mesh, files: &self.files, options: &self.options, programs: &self.programs }
    }
}

/// The program that runs now. One that this build cannot read counts as none: the plan then says `New`, and what its
/// ports promised is still compared.
fn running_program(desired: &Desired, product: &ProductId) -> Option<Program> {
    let program = desired.products.get(product)?.program.as_ref()?;
    Program::from_json(&program.to_string()).ok()
}

fn verdict(previous: Option<&Program>, program: &Program) -> StateVerdict {
    let Some(previous) = previous else { return StateVerdict::New };
    match weft_stream::verdict(previous, program) {
        Verdict::Same => StateVerdict::Same,
        Verdict::InPlace => StateVerdict::InPlace,
        Verdict::NewState { reason } => StateVerdict::NewState { reason },
        Verdict::Breaking { reason } => StateVerdict::Breaking { reason },
    }
}
