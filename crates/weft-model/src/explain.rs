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

const PAGES: &[(&str, &str)] = &[];
