//! One page per error code: what it means, an example, what to do. `weft explain CODE` prints it.
//!
//! A new code gets a file `explain/<CODE>.md` and a line at the end of this file.

/// The page of a code such as `MODEL-003`, in Markdown; case does not matter.
pub fn page(code: &str) -> Option<&'static str> {
    let code = code.trim().to_ascii_uppercase();
    PAGES.iter().find(|(name, _)| *name == code).map(|(_, page)| *page)
}

/// Every code that has a page, in order.
pub fn codes() -> impl Iterator<Item = &'static str> {
    PAGES.iter().map(|(name, _)| *name)
}

macro_rules! pages {
    ($($code:literal),* $(,)?) => {
        const PAGES: &[(&str, &str)] = &[$(($code, include_str!(concat!("explain/", $code, ".md")))),*];
    };
}

// pages, one line each, in order; a test compares the list with the folder
pages! {
    "APPLY-001",
    "APPLY-002",
    "APPLY-003",
    "APPLY-004",
    "APPLY-005",
    "APPLY-006",
    "APPLY-007",
    "APPLY-008",
    "APPLY-009",
    "APPLY-010",
    "APPLY-011",
    "APPLY-012",
    "APPLY-013",
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
    "LOG-001", "LOG-002", "LOG-003", "LOG-004", "LOG-005", "LOG-006", "LOG-007", "LOG-008", "LOG-009",
    "MODEL-001",
    "MODEL-002",
    "MODEL-003",
    "MODEL-004",
    "MODEL-005",
    "MODEL-006",
    "MODEL-007",
    "MODEL-008",
    "MODEL-010",
    "MODEL-011",
    "MODEL-012",
    "MODEL-013",
    "MODEL-014",
    "MODEL-015",
    "MODEL-020",
    "MODEL-021",
    "MODEL-023",
    "MODEL-024",
    "MODEL-025",
    "MODEL-026",
    "MODEL-027",
    "MODEL-028",
    "MODEL-029",
    "MODEL-030",
    "MODEL-031",
    "MODEL-032",
    "MODEL-033",
    "MODEL-034",
    "MODEL-035",
    "MODEL-036",
    "MODEL-037",
    "MODEL-038",
    "MODEL-039",
    "MODEL-040",
    "MODEL-041",
    "MODEL-042",
    "MODEL-044",
    "MODEL-050",
    "NODE-020",
    "SRC-001",
    "SRC-002",
    "SRC-003",
    "SRC-004",
    "SRC-005",
    "SRC-006",
    "SRC-007",
    "SRC-008",
    "SRC-009",
    "SRC-010",
    "SRC-011",
    "SRC-012",
}
