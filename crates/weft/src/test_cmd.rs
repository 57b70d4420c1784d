//! `weft test`: given rows in, expect rows out, offline.

use std::path::Path;

use weft_catalog::Desired;
use weft_model::kind::Diagnostics;
use weft_model::load::{self, LoadOptions};
use weft_model::name::ProductId;
use weft_model::tests;
use weft_stream::ir::Program;

use crate::folder::Folder;

/// How many tests there were, and how many of them failed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    /// As expected.
    pub(crate) passed: usize,
    /// Not.
    pub(crate) failed: usize,
}

/// Runs the tests of a folder's products, or of one of them, and prints a line for each; a readable diff where rows
/// differ.
pub(crate) fn run(path: &Path, options: &LoadOptions, only: Option<&ProductId>) -> Result<Tally, Diagnostics> {
    let folder = Folder::read(path, options, &Desired::default())?;
    let mut tally = Tally::default();
    for product in folder.mesh.products.values() {
        if only.is_some_and(|only| *only != product.id) {
            continue;
        }
        let Some(compiled) = folder.programs.get(&product.id) else { continue };
        let program = Program::from_json(&compiled.program.to_string()).expect("compiled a moment ago");
        for test in load::product_tests(&folder.files, product, &folder.mesh)? {
            let rows = weft_stream::offline::run(&folder.mesh, &program, &test.given)?;
            match tests::diff(&test, product, &rows) {
                None => {
                    tally.passed += 1;
                    println!("ok      {}  {}", product.id, test.name);
                }
                Some(difference) => {
                    tally.failed += 1;
                    println!("FAILED  {}  {}  ({}:{})", product.id, test.name, test.file, test.line);
                    for line in difference.lines() {
                        println!("    {line}");
                    }
                }
            }
        }
    }
    println!("\n{} passed, {} failed", tally.passed, tally.failed);
    Ok(tally)
}
