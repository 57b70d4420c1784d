//! One line for a person about each thing that runs.

use weft_connect::{SourceState, SourceStatus};
use weft_gateway::RunState;
use weft_stream::runtime::{ProductState, ProductStatus};

/// One word and a sentence about a source.
pub(crate) fn source_state(status: &SourceStatus) -> RunState {
    let rows = match status.rows_total {
        Some(total) => format!("{} of {} rows", group(status.rows_done), group(total)),
        None => format!("{} rows", group(status.rows_done)),
    };
    let (state, detail) = match &status.state {
        SourceState::Reading => ("reading", None),
        SourceState::Replaying => ("replaying", Some(rows)),
        SourceState::Retrying(why) => ("retrying", Some(why.because.clone())),
        SourceState::Complete => ("complete", Some(rows)),
        SourceState::Stopped(why) => ("stopped", Some(format!("{}: {}", why.what, why.because))),
        SourceState::Drained => ("drained", Some(rows)),
    };
    RunState { state: state.to_owned(), detail }
}

/// One word and a sentence about a product that the engine runs.
pub(crate) fn product_state(status: &ProductStatus) -> RunState {
    let (state, detail) = match &status.state {
        ProductState::Starting => ("starting", None),
        ProductState::Restoring => ("restoring", None),
        ProductState::Running => ("running", None),
        ProductState::StartingOver { reason } => ("starting over", Some(reason.clone())),
        ProductState::Fenced => ("fenced", Some("another node runs with the same slot".to_owned())),
        ProductState::Failed { reason } => ("failed", Some(reason.clone())),
        ProductState::Stopped => ("stopped", None),
    };
    RunState { state: state.to_owned(), detail }
}

/// `1234567` as `1,234,567`.
pub(crate) fn group(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 topic`, `2 topics`.
pub(crate) fn plural(count: usize, noun: &str) -> String {
    format!("{} {noun}{}", group(count as u64), if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::{group, plural};

    #[test]
    fn groups_of_three() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (336_776, "336,776"), (1_234_567, "1,234,567")]
        {
            assert_eq!(group(number), text);
        }
    }

    #[test]
    fn one_has_no_s() {
        assert_eq!([0, 1, 2].map(|count| plural(count, "topic")), ["0 topics", "1 topic", "2 topics"]);
    }
}
