//! The map is true: every crate, folder and file that the documents name exists, and every crate is on the map.

use std::collections::BTreeSet;
use std::fs;

use e2e::peers::repository;

/// Documents whose names in backticks are checked.
const MAPS: [&str; 4] = ["ARCHITECTURE.md", "README.md", "CONTRIBUTING.md", "bench/RESULTS.md"];

/// Folders of the repository; what a name in backticks starts with to count as a path.
const ROOTS: [&str; 9] = ["crates/", "docs/", "e2e/", "xtask/", "sim/", "bench/", "examples/", ".ci/", ".cargo/"];

/// Names in backticks that look like paths of this repository.
fn named_paths(text: &str) -> BTreeSet<&str> {
    let spans = text.split('`').skip(1).step_by(2);
    let paths = spans.filter(|span| ROOTS.iter().any(|root| span.starts_with(root)) && !span.contains(['*', '<', ' ']));
    paths.collect()
}

/// Crates by the names that documents use: `weft-log`.
fn named_crates(text: &str) -> BTreeSet<&str> {
    let spans = text.split('`').skip(1).step_by(2);
    spans.filter(|span| span.starts_with("weft-") && span.chars().all(|c| c.is_ascii_lowercase() || c == '-')).collect()
}

fn read(name: &str) -> String {
    fs::read_to_string(repository().join(name)).expect("the document is in the repository")
}

#[test]
fn every_path_on_a_map_exists() {
    for map in MAPS {
        let text = read(map);
        for path in named_paths(&text) {
            assert!(repository().join(path).exists(), "{map} names `{path}`, which does not exist");
        }
        for name in named_crates(&text) {
            assert!(
                repository().join("crates").join(name).exists(),
                "{map} names crate `{name}`, which does not exist"
            );
        }
    }
}

#[test]
fn every_crate_is_on_the_map() {
    let text = read("ARCHITECTURE.md");
    for entry in fs::read_dir(repository().join("crates")).expect("there are crates") {
        let name = entry.expect("a folder entry").file_name();
        let path = format!("`crates/{}`", name.to_string_lossy());
        assert!(text.contains(&path), "ARCHITECTURE.md does not name {path}");
    }
}

#[test]
fn every_local_link_in_a_document_leads_somewhere() {
    for map in MAPS {
        let text = read(map);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            assert!(repository().join(target).exists(), "{map} links to {target}, which does not exist");
        }
    }
}

#[test]
fn every_decision_is_numbered_once() {
    let mut seen = BTreeSet::new();
    for entry in fs::read_dir(repository().join("docs/adr")).expect("there are decisions") {
        let name = entry.expect("a folder entry").file_name().to_string_lossy().into_owned();
        let number = name.split('-').next().unwrap_or_default().to_owned();
        assert!(number.len() == 4 && number.chars().all(|c| c.is_ascii_digit()), "docs/adr/{name} has no number");
        assert!(seen.insert(number.clone()), "two decisions have the number {number}");
    }
    assert!(!seen.is_empty(), "no decision is written down");
}

#[test]
fn a_path_in_backticks_is_found_and_a_command_is_not() {
    let text = "see `crates/weft-log/src` and `cargo test -p xtask`, `docs/adr/<n>.md`";
    assert_eq!(named_paths(text).into_iter().collect::<Vec<_>>(), ["crates/weft-log/src"]);
}
