//! One page per error code: what it means, an example, what to do. `weft explain CODE` prints it.

/// The page of a code such as `MODEL-003`, in Markdown; case does not matter.
pub fn page(code: &str) -> Option<&'static str> {
    let code = code.to_ascii_uppercase();
    PAGES.iter().find(|(name, _)| *name == code).map(|(_, page)| *page)
}

/// Every code that has a page, in order.
pub fn codes() -> impl Iterator<Item = &'static str> {
    PAGES.iter().map(|(name, _)| *name)
}

macro_rules! pages {
    ($($code:literal),* $(,)?) => {
        &[$(($code, include_str!(concat!("explain/", $code, ".md")))),*]
    };
}

/// One code a line, sorted; each is a file in `explain/`.
const PAGES: &[(&str, &str)] = pages![
    "HTTP-001",
    "HTTP-002",
    "HTTP-003",
    "HTTP-004",
    "HTTP-005",
    "HTTP-006",
    "HTTP-007",
    "HTTP-008",
    "HTTP-009",
    "HTTP-010",
    "HTTP-011",
    "HTTP-012",
    "HTTP-013",
    "HTTP-014",
    "HTTP-015",
    "HTTP-016",
    "HTTP-017",
    "HTTP-018",
    "HTTP-019",
    "HTTP-020",
    "HTTP-021",
    "HTTP-022",
    "HTTP-023",
    "HTTP-024",
];
