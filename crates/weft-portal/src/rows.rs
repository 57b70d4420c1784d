//! Rows as a table. A row is JSON text and stays text: a number is shown with the digits it came with.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use maud::{Markup, html};
use serde_json::value::RawValue;
use weft_model::query::RowJson;

use crate::words::{cut, grouped};

/// Longest text of a cell shown before it is folded. Bytes.
const CELL_BYTES: usize = 160;
/// Most bytes of a cell that are in the page at all.
const CELL_FOLDED_BYTES: usize = 8 * 1024;
/// Most bytes of original bytes that are shown.
const RAW_BYTES: usize = 4 * 1024;
/// Most columns of a table; rows of a query may have any number.
const COLUMNS_MAX: usize = 200;

/// One value of a row, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    Null,
    /// Numbers with their digits, `true`, `false`.
    Plain(String),
    Text(String),
    /// An object or a list, as JSON.
    Nested(String),
}

/// Rows with the columns they have.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Columns in the order of `columns`, then any other that a row has.
    pub(crate) fn of(columns: Vec<String>, rows: &[RowJson]) -> Self {
        let mut table = Self { columns, rows: Vec::with_capacity(rows.len()) };
        for row in rows {
            let Ok(fields) = serde_json::from_str::<Fields<'_>>(row) else { continue };
            let mut cells = vec![Cell::Null; table.columns.len()];
            for (name, value) in fields.0 {
                let at = table.columns.iter().position(|column| *column == name).or_else(|| {
                    (table.columns.len() < COLUMNS_MAX).then(|| {
                        table.columns.push(name);
                        table.columns.len() - 1
                    })
                });
                let Some(at) = at else { continue };
                if cells.len() <= at {
                    cells.resize(at + 1, Cell::Null);
                }
                cells[at] = Cell::of(value);
            }
            table.rows.push(cells);
        }
        for cells in &mut table.rows {
            cells.resize(table.columns.len(), Cell::Null);
        }
        table
    }

    /// Does a column hold numbers, as far as its first value tells?
    fn is_plain(&self, at: usize) -> bool {
        let first = self.rows.iter().filter_map(|row| row.get(at)).find(|cell| **cell != Cell::Null);
        matches!(first, Some(Cell::Plain(_)))
    }

    /// The value of a column, as text without quotes; `None` where it is null or there is no such column.
    pub(crate) fn text(&self, row: &[Cell], column: &str) -> Option<String> {
        let at = self.columns.iter().position(|name| name == column)?;
        match row.get(at)? {
            Cell::Null => None,
            Cell::Plain(text) | Cell::Text(text) | Cell::Nested(text) => Some(text.clone()),
        }
    }
}

/// The fields of a row in their order, values unread.
struct Fields<'r>(Vec<(String, &'r RawValue)>);

impl<'de> serde::Deserialize<'de> for Fields<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a row")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = map.next_entry::<String, &RawValue>()? {
                    fields.push(entry);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

impl Cell {
    fn of(value: &RawValue) -> Self {
        let text = value.get();
        match text.as_bytes().first() {
            Some(b'n') | None => Self::Null,
            // A string of others may be anything but not JSON; what cannot be read is shown as it stands.
            Some(b'"') => Self::Text(serde_json::from_str(text).unwrap_or_else(|_| text.to_owned())),
            Some(b'{' | b'[') => Self::Nested(text.to_owned()),
            Some(_) => Self::Plain(text.to_owned()),
        }
    }

    fn markup(&self) -> Markup {
        match self {
            Self::Null => html! { td.null { "null" } },
            Self::Plain(text) => html! { td.number { (text) } },
            Self::Text(text) => html! { td { (folded(text)) } },
            Self::Nested(text) => html! { td { code { (folded(text)) } } },
        }
    }
}

/// A text as a cell holds it: folded where it is long.
pub(crate) fn folded(text: &str) -> Markup {
    let (start, is_long) = cut(text, CELL_BYTES);
    if !is_long {
        return html! { (text) };
    }
    let (shown, is_cut) = cut(text, CELL_FOLDED_BYTES);
    html! {
        details.fold {
            summary { (start) "… (" (grouped(text.len() as u64)) " bytes)" }
            span.long { (shown) @if is_cut { "… the rest is left out here" } }
        }
    }
}

/// The table, scrollable by itself so that the page never is.
pub(crate) fn table(caption: &str, table: &Table) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table.rows {
                caption.hidden { (caption) }
                thead { tr {
                    @for (at, column) in table.columns.iter().enumerate() {
                        th.number[table.is_plain(at)] scope="col" { (column) }
                    }
                } }
                tbody { @for row in &table.rows { tr { @for cell in row { (cell.markup()) } } } }
            }
        }
    }
}

/// What bytes say: text where they are text, else their hexadecimal form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Original {
    pub(crate) bytes: usize,
    pub(crate) is_text: bool,
    pub(crate) shown: String,
    pub(crate) is_cut: bool,
}

/// The bytes behind a base64 text; `None` if it is none.
pub(crate) fn original(base64: &str) -> Option<Original> {
    let bytes = BASE64.decode(base64).ok()?;
    let is_shown = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    if let Ok(text) = std::str::from_utf8(&bytes)
        && text.chars().all(is_shown)
    {
        let (shown, is_cut) = cut(text, RAW_BYTES);
        return Some(Original { bytes: bytes.len(), is_text: true, shown: shown.to_owned(), is_cut });
    }
    let is_cut = bytes.len() > RAW_BYTES / 4;
    Some(Original {
        bytes: bytes.len(),
        is_text: false,
        shown: hexadecimal(&bytes[..bytes.len().min(RAW_BYTES / 4)]),
        is_cut,
    })
}

/// Sixteen bytes a line, with what of them is ASCII beside.
fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for (line, bytes) in bytes.chunks(16).enumerate() {
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let ascii: String =
            bytes.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' }).collect();
        writeln!(out, "{:06x}  {:<47}  {ascii}", line * 16, hex.join(" ")).expect("writing to a String does not fail");
    }
    out
}
