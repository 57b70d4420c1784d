//! What the mesh should be, as it lies on `__weft.<mesh>.desired`: compacted, one partition.
//!
//! ```text
//!   key "mesh"                        weft.yaml and the domains, overrides, the topics we made    every revision
//!   key "product/<domain>.<product>"  its files, ports with topic and generation, its program     null = retired
//!   key "intent"                      what an apply is about to create or delete                  null = it is done
//! ```
//!
//! All records of a revision are one transaction, `mesh` the last of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use weft_model::load::{Files, LoadOptions};
use weft_model::name::{MeshId, ProductId};
use weft_model::product::{Encoding, OutputPort, PortKind, PortRole};
use weft_model::schema::Schema;

use crate::error::CatalogError;

const VERSION: u32 = 1;
pub(crate) const MESH_KEY: &str = "mesh";
pub(crate) const INTENT_KEY: &str = "intent";
const PRODUCT_PREFIX: &str = "product/";

/// The newest revision, put together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Desired {
    /// Counts applies that changed something; 0 = nothing was ever applied.
    pub revision: u64,
    /// What belongs to no product.
    pub mesh: Option<MeshRecord>,
    /// Products that are not retired.
    pub products: BTreeMap<ProductId, ProductRecord>,
    /// An apply that has begun and is not known to have ended.
    pub intent: Option<Intent>,
}

/// The record `mesh`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeshRecord {
    /// Version of this shape.
    pub v: u32,
    /// Revision that wrote it.
    pub revision: u64,
    /// Who applied it.
    pub controller: String,
    /// Starts every port's topic.
    pub topic_prefix: String,
    /// Files that belong to no product, by path.
    pub files: BTreeMap<String, String>,
    /// Files of sources given on the command line.
    pub source_files: BTreeMap<String, String>,
    /// Partitions of every declared port, if given on the command line.
    pub partitions: Option<u32>,
    /// Every topic that we made and did not delete, those of retired ports too.
    pub topics: BTreeMap<String, OwnedTopic>,
}

/// A topic that we made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OwnedTopic {
    /// Product it was made for.
    pub product: ProductId,
    /// `<port>@<major>`.
    pub port: String,
    /// The port as it was last applied.
    pub record: PortRecord,
}

/// The record of a product.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProductRecord {
    /// Version of this shape.
    pub v: u32,
    /// Revision that wrote it.
    pub revision: u64,
    /// Its files, by path.
    pub files: BTreeMap<String, String>,
    /// Its output ports, by `<port>@<major>`.
    pub ports: BTreeMap<String, PortRecord>,
    /// The compiled program; null for what Weft does not compute.
    pub program: Option<serde_json::Value>,
}

/// What a port was promised to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PortRecord {
    /// Counts rebuilds of the port; starts at 1.
    pub generation: u32,
    /// Declared, or one that every product has.
    pub role: PortRole,
    /// Topic behind it.
    pub topic: String,
    /// The topic is somebody else's.
    pub adopted: bool,
    /// Partitions of the topic.
    pub partitions: u32,
    /// Events or a table.
    pub kind: PortKind,
    /// Key columns.
    pub key: Vec<String>,
    /// Column with the event time.
    pub event_time: Option<String>,
    /// Added to it. Milliseconds.
    pub event_time_offset_ms: i64,
    /// Encoding of values.
    pub encoding: Encoding,
    /// Columns.
    pub schema: Schema,
    /// `retention.ms`.
    pub retention_ms: i64,
}

impl PortRecord {
    /// The promise of a port as it is declared, in this generation.
    pub fn of(port: &OutputPort, generation: u32) -> Self {
        Self {
            generation,
            role: port.role,
            topic: port.topic.clone(),
            adopted: port.adopted,
            partitions: port.partitions,
            kind: port.kind,
            key: port.key.clone(),
            event_time: port.event_time.clone(),
            event_time_offset_ms: port.event_time_offset_ms,
            encoding: port.encoding,
            schema: port.schema.clone(),
            retention_ms: port.retention_ms,
        }
    }
}

/// `<port>@<major>`, the name of a port within its product.
pub fn port_key(port: &OutputPort) -> String {
    format!("{}@{}", port.id.port, port.id.major)
}

/// The record `intent`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// Version of this shape.
    pub v: u32,
    /// Revision that is about to be written.
    pub revision: u64,
    /// Who is about to.
    pub controller: String,
    /// Topics that are about to be created: ours, if they are found.
    pub creates: BTreeMap<String, OwnedTopic>,
    /// Topics that are about to be deleted.
    pub deletes: Vec<String>,
}

impl Desired {
    /// The version of the shapes written now.
    pub(crate) const VERSION: u32 = VERSION;

    /// Reads the newest revision; an empty one if nothing was ever applied.
    pub async fn read(connection: &crate::Connection, mesh: &MeshId) -> Result<Self, CatalogError> {
        crate::kafka::read_desired(connection, mesh).await
    }

    /// Takes in one record, in the order of the topic. `true` if it completes a revision.
    pub(crate) fn take(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<bool, CatalogError> {
        let key = String::from_utf8_lossy(key);
        if key == MESH_KEY {
            self.mesh = value.map(|value| parse(&key, value)).transpose()?;
            self.revision = self.mesh.as_ref().map_or(0, |mesh: &MeshRecord| mesh.revision);
            return Ok(true);
        }
        if key == INTENT_KEY {
            self.intent = value.map(|value| parse(&key, value)).transpose()?;
            return Ok(false);
        }
        let Some(product) = key.strip_prefix(PRODUCT_PREFIX).and_then(product_id) else {
            return Ok(false); // of a newer version; `mesh` would say if it mattered
        };
        match value {
            None => self.products.remove(&product),
            Some(value) => self.products.insert(product, parse(&key, value)?),
        };
        Ok(false)
    }

    /// All files, for the loader: a node builds the mesh from these and from nothing else.
    pub fn files(&self) -> Files {
        let mut files = self.mesh.as_ref().map_or_else(BTreeMap::new, |mesh| mesh.files.clone());
        for product in self.products.values() {
            files.extend(product.files.clone());
        }
        Files(files)
    }

    /// The overrides it was applied with.
    pub fn load_options(&self) -> LoadOptions {
        let Some(mesh) = &self.mesh else { return LoadOptions::default() };
        let source_files =
            mesh.source_files.iter().filter_map(|(product, file)| Some((product_id(product)?, file.clone()))).collect();
        LoadOptions { source_files, partitions: mesh.partitions }
    }

    /// The topic as we made it, if we did or were about to.
    pub(crate) fn owned(&self, topic: &str) -> Option<&OwnedTopic> {
        let applied = self.mesh.as_ref().and_then(|mesh| mesh.topics.get(topic));
        applied.or_else(|| self.intent.as_ref().and_then(|intent| intent.creates.get(topic)))
    }
}

pub(crate) fn product_key(product: &ProductId) -> String {
    format!("{PRODUCT_PREFIX}{product}")
}

/// `domain.product` as an id.
pub(crate) fn product_id(text: &str) -> Option<ProductId> {
    let (domain, product) = text.split_once('.')?;
    Some(ProductId { domain: domain.parse().ok()?, product: product.parse().ok()? })
}

fn parse<T: for<'de> Deserialize<'de>>(key: &str, value: &[u8]) -> Result<T, CatalogError> {
    #[derive(Deserialize)]
    struct Versioned {
        v: u32,
    }
    let unreadable = |reason: String| CatalogError::Unreadable { key: key.to_owned(), reason };
    let Versioned { v } = serde_json::from_slice(value).map_err(|error| unreadable(error.to_string()))?;
    if v > VERSION {
        return Err(unreadable(format!("it has version {v}, this weft knows versions up to {VERSION}")));
    }
    serde_json::from_slice(value).map_err(|error| unreadable(error.to_string()))
}
