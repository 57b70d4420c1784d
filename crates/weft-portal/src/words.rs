//! Numbers, times and long text as people read them.

use maud::{Markup, html};
use weft_model::progress::{WATERMARK_COMPLETE, WATERMARK_NONE};

/// Longest text shown whole. Bytes.
const TEXT_BYTES: usize = 600;
/// Longest text that can be unfolded in a page. Bytes.
const FOLDED_BYTES: usize = 16 * 1024;

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
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

/// `1 port`, `2 ports`.
pub(crate) fn plural(count: usize, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count as u64), if count == 1 { "" } else { "s" })
}

/// Records per second, in as many digits as mean something.
pub(crate) fn rate(per_second: f64) -> String {
    if per_second >= 100.0 {
        format!("{}/s", grouped(per_second.round() as u64))
    } else if per_second >= 0.05 {
        format!("{per_second:.1}/s")
    } else {
        "0/s".to_owned()
    }
}

/// A length of time: `12 s`, `3 min`, `2 h`, `5 d`.
pub(crate) fn duration(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", grouped((seconds / 86_400).unsigned_abs())),
    }
}

/// `retention.ms` in words.
pub(crate) fn retention(ms: i64) -> String {
    if ms < 0 { "for ever".to_owned() } else { duration(ms) }
}

/// Milliseconds since 1970 as `2013-01-01 11:00:00Z`.
pub(crate) fn time(ms: i64) -> String {
    let text = weft_model::json::format_timestamp_ms(ms);
    match text.split_once('T') {
        Some((day, clock)) => format!("{day} {}", clock.replace(".000Z", "Z")),
        None => text,
    }
}

/// An event-time watermark.
pub(crate) fn watermark(ms: Option<i64>) -> String {
    match ms {
        None | Some(WATERMARK_NONE) => "unknown".to_owned(),
        Some(WATERMARK_COMPLETE) => "complete".to_owned(),
        Some(ms) => time(ms),
    }
}

/// The first `bytes` of a text, at a boundary of characters, and whether that is less than all.
pub(crate) fn cut(text: &str, bytes: usize) -> (&str, bool) {
    if text.len() <= bytes {
        return (text, false);
    }
    let end = (0..=bytes).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    (&text[..end], true)
}

/// A sentence or two, for a list.
pub(crate) fn brief(text: &str) -> String {
    let (start, is_cut) = cut(text, 240);
    if is_cut { format!("{start}…") } else { start.to_owned() }
}

/// A text of unknown length: whole where it is short, folded where it is long, and cut where it is a book.
pub(crate) fn prose(text: &str) -> Markup {
    let (start, is_long) = cut(text, TEXT_BYTES);
    if !is_long {
        return html! { p.prose { (text) } };
    }
    let (shown, is_cut) = cut(text, FOLDED_BYTES);
    html! {
        p.prose { (start) "…" }
        details.fold {
            summary { "All " (grouped(text.len() as u64)) " bytes of it" }
            p.prose { (shown) @if is_cut { "…" } }
            @if is_cut { p.note { "The rest is left out here; the descriptor has it." } }
        }
    }
}

/// `text` as part of a query string.
pub(crate) fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => write!(out, "%{byte:02X}").expect("writing to a String does not fail"),
        }
    }
    out
}
