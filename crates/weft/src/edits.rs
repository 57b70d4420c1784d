//! Edits of a folder under a running node: what was read last, what was said about it, and what waits for a restart.

use std::path::PathBuf;

use weft_model::kind::Diagnostics;
use weft_model::load::{self, Files};

use crate::settings::AtStart;

/// The folder of a running node.
pub(crate) struct Edits {
    folder: PathBuf,
    at_start: AtStart,
    overridden: Vec<&'static str>,
    /// Descriptors that were refused last, and why.
    refused: Option<(Files, Diagnostics)>,
    /// What was said last to wait for a restart.
    waiting: Vec<String>,
}

/// What to say about a refusal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// All of it.
    Findings,
    /// Other descriptors, the same findings: they are on the screen already.
    Still,
    /// The same descriptors and findings: nothing new happened.
    Nothing,
}

impl Edits {
    /// `overridden` keys of `weft.yaml` are those that the command line decides.
    pub(crate) fn new(folder: PathBuf, at_start: AtStart, overridden: Vec<&'static str>) -> Self {
        Self { folder, at_start, overridden, refused: None, waiting: Vec::new() }
    }

    /// The descriptors as they are now.
    pub(crate) fn read(&self) -> Result<Files, Diagnostics> {
        Files::read_folder(&self.folder)
    }

    /// Keys of `weft.yaml` that a running node does not take up, when there is news about them.
    pub(crate) fn waiting_for_restart(&mut self, files: &Files) -> Option<String> {
        // A weft.yaml that cannot be read is refused as a whole.
        let now = load::node(files).ok()?;
        let waiting = self.at_start.differences(&AtStart::of(&now, &self.overridden));
        if waiting == self.waiting {
            return None;
        }
        self.waiting = waiting;
        Some(match &self.waiting[..] {
            [] => "weft.yaml is as this process started with; no restart is needed".to_owned(),
            keys => format!("weft.yaml: {}: needs a restart of `weft up`", keys.join(", ")),
        })
    }

    /// These descriptors were refused.
    pub(crate) fn refused(&mut self, files: Files, findings: &Diagnostics) -> Word {
        let word = match &self.refused {
            Some((before, same)) if same == findings && *before == files => Word::Nothing,
            Some((_, same)) if same == findings => Word::Still,
            _ => Word::Findings,
        };
        self.refused = Some((files, findings.clone()));
        word
    }

    /// The folder and what runs are the same again.
    pub(crate) fn accepted(&mut self) {
        self.refused = None;
    }
}

#[cfg(test)]
mod tests {
    use weft_model::kind::{Diagnostic, Kind};

    use super::*;

    fn files(weft: &str) -> Files {
        Files([("weft.yaml".to_owned(), weft.to_owned())].into())
    }

    fn edits(weft: &str, overridden: &[&'static str]) -> Edits {
        let at_start = AtStart::of(&load::node(&files(weft)).unwrap(), overridden);
        Edits::new("mesh".into(), at_start, overridden.to_vec())
    }

    fn findings(what: &str) -> Diagnostics {
        Diagnostics::from(Diagnostic {
            kind: Kind::Invalid,
            code: "MODEL-999",
            what: what.to_owned(),
            because: String::new(),
            try_: String::new(),
            place: None,
        })
    }

    #[test]
    fn a_refusal_is_said_once() {
        let mut edits = edits("mesh: m\n", &[]);
        assert_eq!(edits.refused(files("a"), &findings("one")), Word::Findings);
        assert_eq!(edits.refused(files("a"), &findings("one")), Word::Nothing);
        assert_eq!(edits.refused(files("b"), &findings("one")), Word::Still);
        assert_eq!(edits.refused(files("b"), &findings("two")), Word::Findings);
        assert_eq!(edits.refused(files("a"), &findings("one")), Word::Findings);
        edits.accepted();
        assert_eq!(edits.refused(files("a"), &findings("one")), Word::Findings);
    }

    #[test]
    fn what_waits_for_a_restart_is_said_when_it_changes() {
        let mut edits = edits("mesh: m\n", &["log.fsync"]);
        assert_eq!(edits.waiting_for_restart(&files("mesh: m\ntopic_prefix: x.\nlog: { fsync: os }\n")), None);
        let changed = files("mesh: m\nhttp: { sqls_max: 8 }\n");
        let said = edits.waiting_for_restart(&changed).unwrap();
        assert_eq!(said, "weft.yaml: http.sqls_max 4 → 8: needs a restart of `weft up`");
        assert_eq!(edits.waiting_for_restart(&changed), None);
        assert_eq!(edits.waiting_for_restart(&files("mesh: [")), None);
        assert!(edits.waiting_for_restart(&files("mesh: m\n")).unwrap().contains("no restart is needed"));
    }
}
