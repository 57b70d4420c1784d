//! All findings of one pass: collected, sorted by file and line, bounded.

use crate::kind::{Diagnostic, Diagnostics, Kind, Place};

/// Most findings shown at once.
const FINDINGS_MAX: usize = 100;

/// Collects findings; every reader and check gets `&mut` to the one of its pass.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Diagnostic>);

impl Findings {
    /// A finding in a file.
    pub(crate) fn add(
        &mut self,
        code: &'static str,
        place: Place,
        what: impl Into<String>,
        because: impl Into<String>,
        try_: impl Into<String>,
    ) {
        self.push(Diagnostic {
            kind: Kind::Invalid,
            code,
            what: what.into(),
            because: because.into(),
            try_: try_.into(),
            place: Some(place),
        });
    }

    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Has anything been found in this file?
    pub(crate) fn has(&self, file: &str) -> bool {
        self.0.iter().any(|finding| finding.place.as_ref().is_some_and(|place| place.file == file))
    }

    /// `Ok` if nothing was found, else everything, sorted; beyond the bound only the count.
    pub(crate) fn finish(self) -> Result<(), Diagnostics> {
        let mut findings = self.0;
        findings.sort_by(|a, b| (&a.place, a.code, &a.what).cmp(&(&b.place, b.code, &b.what)));
        findings.dedup();
        if findings.is_empty() {
            return Ok(());
        }
        if findings.len() > FINDINGS_MAX {
            let more = findings.len() - FINDINGS_MAX;
            findings.truncate(FINDINGS_MAX);
            findings.push(Diagnostic {
                kind: Kind::Invalid,
                code: "MODEL-002",
                what: format!("{more} more findings are not shown"),
                because: format!("at most {FINDINGS_MAX} are shown at once"),
                try_: "mend the first ones and look again".to_owned(),
                place: None,
            });
        }
        Err(Diagnostics(findings))
    }
}

/// `file:line`.
pub(crate) fn place(file: &str, line: u32) -> Place {
    Place { file: file.to_owned(), line }
}
