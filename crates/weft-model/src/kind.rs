//! Coarse kinds of error at the edge, and the sentence every error reaches a person as.

use std::fmt;

/// What a caller does differently about an error. Added to only when a caller would act differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request is wrong and stays wrong.
    Invalid,
    /// What was named is not there.
    NotFound,
    /// It is there already, or somebody else has it.
    Exists,
    /// This principal may not.
    Denied,
    /// Over a limit that has a name.
    TooLarge,
    /// A bound is met now; try again later.
    Busy,
    /// Something needed is away; try again later.
    Unavailable,
    /// A newer holder of the same identity took over.
    Fenced,
    /// Stored bytes fail their checksum or shape.
    Corrupt,
    /// A broken promise in our own code.
    Bug,
}

/// One finding, worded for a person: what happened, because, try, code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The coarse kind.
    pub kind: Kind,
    /// Stable code such as `MODEL-003`; `weft explain` has a page for each.
    pub code: &'static str,
    /// What happened: lower case, no full stop.
    pub what: String,
    /// Why, with names, numbers and units.
    pub because: String,
    /// What to do next; empty when there is nothing to say.
    pub try_: String,
    /// Where it stands, if it stands in a file.
    pub place: Option<Place>,
}

/// A place in a descriptor: file relative to the mesh folder, line from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Path relative to the folder of `weft.yaml`.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.what)?;
        if let Some(place) = &self.place {
            writeln!(f, "  at       {}:{}", place.file, place.line)?;
        }
        if !self.because.is_empty() {
            writeln!(f, "  because  {}", self.because)?;
        }
        if !self.try_.is_empty() {
            writeln!(f, "  try      {}", self.try_)?;
        }
        write!(f, "  code     {} · weft explain {}", self.code, self.code)
    }
}

impl std::error::Error for Diagnostic {}

/// All findings of one pass, in file and line order; never empty when returned as an error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, diagnostic) in self.0.iter().enumerate() {
            if i > 0 {
                writeln!(f, "\n")?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}
