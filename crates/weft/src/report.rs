//! How errors reach a person on a terminal, and a script by the exit status.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use weft_model::kind::{Diagnostic, Diagnostics, Kind};

/// Kind → exit status. The only such table. Numbers are those of `sysexits.h`, so that scripts can tell a wrong folder
/// (65) from a Kafka that is away (69); 1 is left to failed tests, 2 to the command line.
pub(crate) fn exit_status(kind: Kind) -> u8 {
    match kind {
        Kind::Invalid | Kind::TooLarge => 65, // EX_DATAERR
        Kind::NotFound => 66,                 // EX_NOINPUT
        Kind::Unavailable => 69,              // EX_UNAVAILABLE
        Kind::Bug => 70,                      // EX_SOFTWARE
        Kind::Exists => 73,                   // EX_CANTCREAT
        Kind::Corrupt => 74,                  // EX_IOERR
        Kind::Busy => 75,                     // EX_TEMPFAIL
        Kind::Fenced => 76,                   // EX_PROTOCOL
        Kind::Denied => 77,                   // EX_NOPERM
    }
}

/// Status of a command that ended with these findings: the first one's.
pub(crate) fn exit_code(findings: &Diagnostics) -> ExitCode {
    let kind = findings.0.first().map_or(Kind::Bug, |first| first.kind);
    ExitCode::from(exit_status(kind))
}

/// Prints findings on standard error, in colour if it is a terminal and `NO_COLOR` is not set (no-color.org).
pub(crate) fn print(findings: &Diagnostics) {
    let mut stderr = std::io::stderr().lock();
    let text = render(findings, colour(&stderr));
    if let Err(error) = stderr.write_all(text.as_bytes()) {
        tracing::debug!(%error, "nobody reads standard error");
    }
}

/// May this output be coloured?
pub(crate) fn colour(output: &impl IsTerminal) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    output.is_terminal() && !refused && !dumb
}

/// All findings, an empty line between them, and how many there are where one screen may not show them all.
pub(crate) fn render(findings: &Diagnostics, colour: bool) -> String {
    const WORTH_COUNTING: usize = 3;
    let mut out = String::new();
    for (i, finding) in findings.0.iter().enumerate() {
        if i > 0 {
            out.push('\n');
        }
        push(&mut out, finding, colour);
    }
    if findings.0.len() >= WORTH_COUNTING {
        writeln!(out, "\n{} errors", findings.0.len()).expect("writing to a String does not fail");
    }
    out
}

const RED: &str = "\x1b[1;31m";
const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

fn push(out: &mut String, finding: &Diagnostic, colour: bool) {
    let paint = |style: &str, text: &str| if colour { format!("{style}{text}{PLAIN}") } else { text.to_owned() };
    let mut line = |text: String| writeln!(out, "{text}").expect("writing to a String does not fail");
    line(format!("{} {}", paint(RED, "error:"), paint(BOLD, &safe(&finding.what))));
    let place = finding.place.as_ref().map(|place| format!("{}:{}", place.file, place.line));
    let code = format!("{} · weft explain {}", finding.code, finding.code);
    let fields = [
        ("at      ", place.as_deref().unwrap_or("")),
        ("because ", &finding.because),
        ("try     ", &finding.try_),
        ("code    ", &code),
    ];
    for (label, text) in fields.into_iter().filter(|(_, text)| !text.is_empty()) {
        // What stands under a label stays under it.
        let text = safe(text).replace('\n', "\n           ");
        line(format!("  {} {text}", paint(DIM, label)));
    }
}

/// Texts quote what others wrote; an escape sequence in it must not reach the terminal.
fn safe(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() && letter != '\n' && letter != '\t' { '\u{fffd}' } else { letter })
        .collect()
}

#[cfg(test)]
mod tests {
    use weft_model::kind::Place;

    use super::*;

    fn finding() -> Diagnostic {
        Diagnostic {
            kind: Kind::Invalid,
            code: "MODEL-003",
            what: "cannot read \"weft.yaml\"".to_owned(),
            because: "key \"mehs\" is unknown\nit is the only one".to_owned(),
            try_: "did you mean \"mesh\"?".to_owned(),
            place: Some(Place { file: "weft.yaml".to_owned(), line: 7 }),
        }
    }

    #[test]
    fn plain_text_is_what_the_finding_says_of_itself() {
        let expected = "error: cannot read \"weft.yaml\"\n  at       weft.yaml:7\n  because  key \"mehs\" is unknown\n           \
                        it is the only one\n  try      did you mean \"mesh\"?\n  code     MODEL-003 · weft explain MODEL-003\n";
        assert_eq!(render(&Diagnostics(vec![finding()]), false), expected);
        let one_line = Diagnostic { because: "one line".to_owned(), ..finding() };
        assert_eq!(render(&Diagnostics(vec![one_line.clone()]), false), format!("{one_line}\n"));
        let short = Diagnostic { because: String::new(), try_: String::new(), place: None, ..finding() };
        assert_eq!(render(&Diagnostics(vec![short.clone()]), false), format!("{short}\n"));
    }

    #[test]
    fn colour_adds_escapes_and_changes_no_letter() {
        let coloured = render(&Diagnostics(vec![finding()]), true);
        let mut plain = coloured.clone();
        for style in [RED, BOLD, DIM, PLAIN] {
            assert!(coloured.contains(style));
            plain = plain.replace(style, "");
        }
        assert_eq!(plain, render(&Diagnostics(vec![finding()]), false));
    }

    #[test]
    fn escapes_in_quoted_text_are_taken_out() {
        let evil = Diagnostic { what: "name \"\x1b[2J\x07\"".to_owned(), ..finding() };
        let text = render(&Diagnostics(vec![evil]), false);
        assert!(!text.contains('\x1b') && !text.contains('\x07'), "{text:?}");
    }

    #[test]
    fn several_are_counted() {
        let text = render(&Diagnostics(vec![finding(), finding(), finding()]), false);
        assert!(text.ends_with("\n3 errors\n"), "{text}");
        assert_eq!(text.matches("error: ").count(), 3);
        assert!(!render(&Diagnostics(vec![finding()]), false).contains("errors"));
    }

    #[test]
    fn statuses_tell_kinds_apart_and_keep_clear_of_1_and_2() {
        use Kind::{Bug, Busy, Corrupt, Denied, Exists, Fenced, Invalid, NotFound, TooLarge, Unavailable};
        let statuses =
            [Invalid, NotFound, Exists, Denied, TooLarge, Busy, Unavailable, Fenced, Corrupt, Bug].map(exit_status);
        assert_eq!(statuses, [65, 66, 73, 77, 65, 75, 69, 76, 74, 70]);
        assert_eq!(exit_code(&Diagnostics(vec![finding()])), ExitCode::from(65));
    }
}
