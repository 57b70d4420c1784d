//! The standard descriptors as their teams wrote them, for those who read them with tools of their own.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::files::Files;
use super::findings::Findings;
use super::{layout, version_major};
use crate::mesh::Mesh;
use crate::name::{PortId, ProductId};
use crate::product::{OutputPort, PortRole, Product};
use crate::yaml::Node;

/// Descriptors byte for byte, by what they describe. The ports `errors` and `late` have no contract of their own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DescriptorTexts {
    /// ODPS, by product.
    pub products: BTreeMap<ProductId, Arc<str>>,
    /// ODCS, by declared output port.
    pub contracts: BTreeMap<PortId, Arc<str>>,
}

impl DescriptorTexts {
    /// The texts behind a mesh that was loaded from these files.
    pub fn of(files: &Files, mesh: &Mesh) -> Self {
        let mut texts = Self::default();
        for product in mesh.products.values() {
            texts.take(files, product);
        }
        texts
    }

    fn take(&mut self, files: &Files, product: &Product) {
        let folder = format!("domains/{}/{}/", product.id.domain, product.id.product);
        if let Some(text) = files.0.get(&format!("{folder}product.odps.yaml")) {
            self.products.insert(product.id.clone(), text.as_str().into());
        }
        // The mesh is loaded, so every file parses and there is nothing to report.
        let mut silent = Findings::default();
        let in_folder = files.0.range(folder.clone()..).take_while(|(path, _)| path.starts_with(&folder));
        for (path, text) in in_folder {
            let is_contract = path.ends_with(".odcs.yaml") && !path[folder.len()..].contains('/');
            let Some(root) = is_contract.then(|| layout::parse(path, text, &mut silent)).flatten() else { continue };
            let text: Arc<str> = text.as_str().into();
            for port in product.outputs.iter().filter(|port| is_contract_of(&root, port)) {
                self.contracts.insert(port.id.clone(), Arc::clone(&text));
            }
        }
    }
}

/// Id and major decide, as they do where ports and contracts are put together.
fn is_contract_of(root: &Node, port: &OutputPort) -> bool {
    let text = |key: &str| root.get(key).and_then(Node::text);
    port.role == PortRole::Declared
        && text("id") == Some(port.contract_id.as_str())
        && text("version").and_then(version_major) == Some(port.id.major)
}
