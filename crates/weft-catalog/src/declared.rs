//! What the folder says now.

use std::collections::BTreeMap;

use weft_model::load::{Files, LoadOptions};
use weft_model::mesh::Mesh;
use weft_model::name::ProductId;

/// A folder, loaded and compiled.
#[derive(Debug, Clone, Copy)]
pub struct Declared<'a> {
    /// What was loaded.
    pub mesh: &'a Mesh,
    /// From these files.
    pub files: &'a Files,
    /// With these overrides.
    pub options: &'a LoadOptions,
    /// Programs of the products that Weft computes.
    pub programs: &'a BTreeMap<ProductId, CompiledProduct>,
}

/// A compiled product, and what running it would mean for the state there is.
#[derive(Debug, Clone, PartialEq)]
pub struct CompiledProduct {
    /// The program as JSON, as it goes into the desired state.
    pub program: serde_json::Value,
    /// Compared with the program that is desired now.
    pub verdict: StateVerdict,
}

/// What a new program does to the state of the old one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateVerdict {
    /// There was none before.
    New,
    /// The same program.
    Same,
    /// Another program that goes on with the same state.
    InPlace,
    /// It cannot go on with the state there is.
    NewState {
        /// Why.
        reason: String,
    },
    /// It breaks what consumers were promised.
    Breaking {
        /// What.
        reason: String,
    },
}
