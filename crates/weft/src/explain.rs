//! `weft explain CODE`: the page about an error.

use std::fmt::Write as _;

use weft_model::explain::{codes, page};
use weft_model::kind::{Diagnostic, Diagnostics, Kind};
use weft_model::load::near::near_miss;

/// The page of a code, or without one the list of all.
pub(crate) fn run(code: Option<&str>) -> Result<String, Diagnostics> {
    let Some(asked) = code else { return Ok(list()) };
    let code = normal(asked);
    page(&code).map(|page| format!("{}\n", page.trim_end())).ok_or_else(|| unknown(asked, &code).into())
}

/// `http7`, `HTTP_007` and `http-7` are meant as `HTTP-007`.
fn normal(asked: &str) -> String {
    let text: String = asked.trim().to_ascii_uppercase();
    let letters: String = text.chars().take_while(char::is_ascii_alphabetic).collect();
    let digits = text[letters.len()..].trim_start_matches(['-', '_', ' ']);
    match digits.parse::<u32>() {
        Ok(number) if !letters.is_empty() => format!("{letters}-{number:03}"),
        _ => text,
    }
}

/// A line per code, with the title of its page.
fn list() -> String {
    let mut out = String::new();
    for code in codes() {
        let heading = page(code).and_then(|page| page.lines().next()).unwrap_or("");
        let title = heading
            .trim_start_matches(['#', ' '])
            .trim_start_matches(code)
            .trim_start_matches([':', ' ', '-', '—', '·']);
        writeln!(out, "{code:<10} {title}").expect("writing to a String does not fail");
    }
    out
}

fn unknown(asked: &str, code: &str) -> Diagnostic {
    let family = code.split('-').next().unwrap_or(code);
    let same_family: Vec<&str> = codes().filter(|known| known.split('-').next() == Some(family)).collect();
    let try_ = match (same_family.first().zip(same_family.last()), near_miss(code, codes())) {
        (Some((first, last)), _) => format!("codes of that kind run from {first} to {last}; `weft explain` lists all"),
        (None, Some(near)) => format!("did you mean {near}? `weft explain` lists all"),
        (None, None) => "`weft explain` lists all".to_owned(),
    };
    Diagnostic {
        kind: Kind::NotFound,
        code: "NODE-020",
        what: format!("no page about \"{asked}\""),
        because: "no error of this version of Weft has that code".to_owned(),
        try_,
        place: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_however_it_is_typed() {
        for asked in ["HTTP-007", "http-7", "http7", "HTTP_007", " http 007 "] {
            assert!(run(Some(asked)).unwrap().starts_with("# HTTP-007"), "{asked}");
        }
    }

    #[test]
    fn without_a_code_all_are_listed_with_their_titles() {
        let list = run(None).unwrap();
        assert_eq!(list.lines().count(), codes().count());
        assert!(list.contains("HTTP-007   the body is not a question\n"), "{list}");
        for line in list.lines() {
            assert!(line.split_once(' ').is_some_and(|(_, title)| !title.trim().is_empty()), "no title: {line}");
        }
    }

    #[test]
    fn an_unknown_code_is_answered_with_what_is_near() {
        for (asked, expected) in [
            ("HTTP-999", "run from HTTP-001 to"),
            ("HTPP-007", "did you mean HTTP-007?"),
            ("nonsense", "`weft explain` lists all"),
            ("", "`weft explain` lists all"),
            ("é-1", "`weft explain` lists all"),
        ] {
            let unknown = run(Some(asked)).unwrap_err();
            assert_eq!((unknown.0[0].code, unknown.0[0].kind), ("NODE-020", Kind::NotFound));
            assert!(unknown.0[0].try_.contains(expected), "{asked}: {unknown}");
        }
    }
}
