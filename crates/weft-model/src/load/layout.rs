//! Which file is what, by its path. A file that is nearly one of ours is a finding, not a silence.

use std::collections::BTreeMap;

use super::files::Files;
use super::findings::{Findings, place};
use super::near;
use crate::kind::{Diagnostic, Kind};
use crate::name::{DomainName, ProductId, ProductName};
use crate::yaml::{self, Node};

/// A parsed file: its path and root node.
pub(crate) type Parsed = (String, Node);

/// The files of a mesh by role.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    pub(crate) mesh: Option<Parsed>,
    pub(crate) domains: BTreeMap<DomainName, Parsed>,
    pub(crate) products: BTreeMap<ProductId, ProductFiles>,
}

/// The files of one product's folder.
#[derive(Debug, Default)]
pub(crate) struct ProductFiles {
    pub(crate) folder: String,
    pub(crate) descriptor: Option<Parsed>,
    /// The descriptor is there but cannot be parsed, which has been reported.
    pub(crate) broken: bool,
    pub(crate) contracts: Vec<Parsed>,
    pub(crate) source: Option<Parsed>,
    pub(crate) transform: Option<(String, String)>,
    pub(crate) external: Option<Parsed>,
    /// Some of source, transform, external are there, even if unreadable.
    pub(crate) behaviours: Vec<String>,
}

/// Files a product's folder may hold, for near misses.
const PRODUCT_FILES: [&str; 4] = ["product.odps.yaml", "source.yaml", "transform.sql", "external.yaml"];

/// Sorts and parses the files.
pub(crate) fn read(files: &Files, findings: &mut Findings) -> Layout {
    let mut layout = Layout::default();
    let mut broken_domains: Vec<DomainName> = Vec::new();
    for (path, text) in &files.0 {
        let steps: Vec<&str> = path.split('/').collect();
        match steps[..] {
            ["weft.yaml"] => layout.mesh = parse(path, text, findings).map(|node| (path.clone(), node)),
            ["domains", domain, "domain.yaml"] => {
                let Some(name) = name::<DomainName>(path, domain, "domain", findings) else { continue };
                match parse(path, text, findings) {
                    Some(node) => {
                        layout.domains.insert(name, (path.clone(), node));
                    }
                    None => broken_domains.push(name),
                }
            }
            ["domains", domain, product, file] => {
                let Some(domain) = name::<DomainName>(path, domain, "domain", findings) else { continue };
                let Some(product) = name::<ProductName>(path, product, "product", findings) else { continue };
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
                let entry = layout.products.entry(ProductId { domain, product }).or_default();
                entry.folder = folder;
                product_file(entry, path, file, text, findings);
            }
            // Tests are read once the mesh is known; deeper and other files are the user's own.
            ["domains", _, _, "tests", _] => {}
            ["domains", _, file] if is_descriptor(file) => {
                unexpected(
                    path,
                    "a domain's folder holds domain.yaml and a folder per product",
                    file,
                    &["domain.yaml"],
                    findings,
                );
            }
            _ => {}
        }
    }
    if layout.mesh.is_none() && !files.0.contains_key("weft.yaml") {
        findings.push(no_weft_yaml());
    }
    for (id, product) in &layout.products {
        if !layout.domains.contains_key(&id.domain) && !broken_domains.contains(&id.domain) {
            findings.add(
                "MODEL-008",
                place(&format!("domains/{}", id.domain), 1),
                format!("domain \"{}\" has no domain.yaml", id.domain),
                "it names the team that answers for the domain",
                "add a domain.yaml with `owner:` and `description:`",
            );
        }
        if product.descriptor.is_none() && !product.broken {
            findings.add(
                "MODEL-008",
                place(&product.folder, 1),
                format!("product \"{id}\" has no product.odps.yaml"),
                "every folder below a domain's folder is a product",
                "add the descriptor, or move the folder away",
            );
        }
        behaviour(id, product, findings);
    }
    layout
}

fn product_file(entry: &mut ProductFiles, path: &str, file: &str, text: &str, findings: &mut Findings) {
    let owned = path.to_owned();
    match file {
        "product.odps.yaml" => {
            entry.descriptor = parse(path, text, findings).map(|node| (owned, node));
            entry.broken = entry.descriptor.is_none();
        }
        "source.yaml" => {
            entry.behaviours.push(file.to_owned());
            entry.source = parse(path, text, findings).map(|node| (owned, node));
        }
        "external.yaml" => {
            entry.behaviours.push(file.to_owned());
            entry.external = parse(path, text, findings).map(|node| (owned, node));
        }
        "transform.sql" => {
            entry.behaviours.push(file.to_owned());
            entry.transform = Some((owned, text.to_owned()));
        }
        _ if file.ends_with(".odcs.yaml") => {
            entry.contracts.extend(parse(path, text, findings).map(|node| (owned, node)));
        }
        _ if is_descriptor(file) => {
            let because = "a product's folder holds product.odps.yaml, *.odcs.yaml, one of source.yaml, transform.sql, external.yaml, and tests/";
            unexpected(path, because, file, &PRODUCT_FILES, findings);
        }
        _ => {}
    }
}

fn is_descriptor(file: &str) -> bool {
    [".yaml", ".yml", ".sql"].iter().any(|end| file.ends_with(end))
}

fn unexpected(path: &str, because: &str, file: &str, known: &[&str], findings: &mut Findings) {
    let renamed = file.replace(".yml", ".yaml");
    let try_ = match near::near_miss(file, known.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None if renamed.ends_with(".odcs.yaml") => format!("did you mean \"{renamed}\"?"),
        None => "rename it, or move it out of the folder".to_owned(),
    };
    findings.add("MODEL-008", place(path, 1), format!("file \"{file}\" has no meaning here"), because, try_);
}

/// Exactly one of source.yaml, transform.sql, external.yaml.
fn behaviour(id: &ProductId, product: &ProductFiles, findings: &mut Findings) {
    if product.behaviours.len() == 1 || (product.descriptor.is_none() && !product.broken) {
        return;
    }
    let (what, because) = if product.behaviours.is_empty() {
        (
            format!("product \"{id}\" does not say how its data comes to be"),
            "its folder has none of source.yaml, transform.sql, external.yaml".to_owned(),
        )
    } else {
        (
            format!("product \"{id}\" says more than once how its data comes to be"),
            format!("its folder has {}", product.behaviours.join(" and ")),
        )
    };
    let file = format!("{}/product.odps.yaml", product.folder);
    findings.add(
        "MODEL-035",
        place(&file, 1),
        what,
        because,
        "keep exactly one of source.yaml, transform.sql, external.yaml",
    );
}

fn name<T: std::str::FromStr<Err = crate::name::BadName>>(
    path: &str,
    text: &str,
    what: &str,
    findings: &mut Findings,
) -> Option<T> {
    match text.parse() {
        Ok(name) => Some(name),
        Err(error) => {
            let end = path.find(&format!("{text}/")).map_or(path.len(), |at| at + text.len());
            findings.add(
                "MODEL-013",
                place(&path[..end], 1),
                format!("a {what}'s folder has a name that topics and URLs cannot carry"),
                error.to_string(),
                "rename the folder",
            );
            None
        }
    }
}

/// Parses a YAML file; `None` after reporting why it cannot be.
pub(crate) fn no_weft_yaml() -> Diagnostic {
    Diagnostic {
        kind: Kind::NotFound,
        code: "MODEL-001",
        what: "the mesh has no weft.yaml".to_owned(),
        because: "it gives the mesh its id".to_owned(),
        try_: "add a weft.yaml with `mesh: my-mesh`".to_owned(),
        place: None,
    }
}

pub(crate) fn parse(path: &str, text: &str, findings: &mut Findings) -> Option<Node> {
    match yaml::parse(text) {
        Ok(node) => Some(node),
        Err(bad) => {
            findings.add(
                "MODEL-004",
                place(path, bad.line),
                "the file is not YAML that Weft reads",
                bad.because,
                bad.try_,
            );
            None
        }
    }
}
