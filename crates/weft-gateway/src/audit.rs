//! Who read what: a line for each time rows were asked for, with the same fields at every door, allowed or not.
//!
//! The lines go to the log under the target `audit`, at level `info`: `WEFT_LOG=error,audit=info` writes them and little else.

use weft_model::principal::Principal;
use weft_model::query::Answer;

use crate::error::Problem;
use crate::params::shorten;

/// What came of a question; `action` is `pull`, `sql` or `stream`.
pub(crate) fn read<T>(
    principal: &Principal,
    door: &'static str,
    action: &'static str,
    resource: &str,
    result: &Result<T, Problem>,
) {
    let who = principal.to_string();
    let who = who.as_str();
    let resource = shorten(resource);
    match result {
        Ok(_) => {
            tracing::info!(target: "audit", principal = who, door, action, resource, outcome = "allowed", code = "")
        }
        Err(problem) => {
            let code = problem.diagnostic().code;
            tracing::info!(target: "audit", principal = who, door, action, resource, outcome = "refused", code);
        }
    }
}

/// Somebody came who is not let in.
pub(crate) fn turned_away(path: &str, problem: &Problem) {
    let (code, resource) = (problem.diagnostic().code, shorten(path));
    tracing::info!(target: "audit", principal = "", door = "http", action = "enter", resource, outcome = "refused", code);
}

/// The ports that an answer speaks for; of a refused query there is only its text.
pub(crate) fn ports_of(result: &Result<Answer, Problem>, sql: &str) -> String {
    match result {
        Ok(answer) => {
            let ports: Vec<String> = answer.position.iter().map(|position| position.port.to_string()).collect();
            ports.join(" ")
        }
        Err(_) => sql.to_owned(),
    }
}
