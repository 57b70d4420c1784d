//! Every code that the tree uses has a page, and every page a use.

use std::collections::BTreeSet;
use std::path::Path;

use weft_model::explain;

use crate::support::repository;

const ROOMS: [&str; 8] = ["MODEL", "SQL", "LOG", "SRC", "APPLY", "HTTP", "NODE", "ACCESS"];

/// `MODEL-003` and its like as string literals of Rust sources.
fn codes_in(text: &str, codes: &mut BTreeSet<String>) {
    for room in ROOMS {
        let start = format!("\"{room}-");
        for (at, _) in text.match_indices(&start) {
            let rest = &text[at + start.len()..];
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            // 999 is nobody's code: tests and examples use it.
            if digits == 3 && rest[digits..].starts_with('"') && !rest.starts_with("999") {
                codes.insert(format!("{room}-{}", &rest[..digits]));
            }
        }
    }
}

fn visit(folder: &Path, codes: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            visit(&path, codes);
        } else if path.extension().is_some_and(|end| end == "rs") {
            codes_in(&std::fs::read_to_string(&path).unwrap(), codes);
        }
    }
}

#[test]
fn codes_and_pages_are_the_same_set() {
    let mut used = BTreeSet::new();
    for entry in std::fs::read_dir(repository().join("crates")).unwrap() {
        let source = entry.unwrap().path().join("src");
        if source.is_dir() {
            visit(&source, &mut used);
        }
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/explain");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let pages: BTreeSet<String> = files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    let listed: BTreeSet<String> = explain::codes().map(str::to_owned).collect();
    assert_eq!(pages, listed, "files of src/explain, and those that explain.rs lists");
    let missing: Vec<&String> = used.difference(&listed).collect();
    assert!(missing.is_empty(), "codes without a page: {missing:?}");
    let unused: Vec<&String> = listed.difference(&used).collect();
    assert!(unused.is_empty(), "pages of no code: {unused:?}");
}

#[test]
fn pages_are_short_and_say_what_to_do() {
    for code in explain::codes() {
        let page = explain::page(code).unwrap();
        assert!(page.starts_with(&format!("# {code}: ")), "{code}: the title names the code");
        assert!(page.contains("\n## What to do\n"), "{code}: says what to do");
        assert!(page.lines().count() <= 60, "{code}: one short page");
    }
    assert_eq!(explain::page("model-005"), explain::page("MODEL-005"));
    assert_eq!(explain::page("MODEL-999"), None);
}
