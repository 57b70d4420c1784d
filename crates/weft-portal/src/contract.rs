//! A port's contract as a table that people read.

use maud::{Markup, html};
use weft_model::contract::type_name;
use weft_model::product::{Encoding, OutputPort};

use crate::glance::kind_word;
use crate::words::{grouped, prose, retention};

/// Columns with their types and meaning, and what holds for the port as a whole.
pub(crate) fn contract(port: &OutputPort) -> Markup {
    html! {
        @if !port.description.is_empty() { (prose(&port.description)) }
        dl.facts {
            div { dt { "Contract" } dd { code { (port.contract_id) } " v" (port.id.major) } }
            div {
                dt { "Kind" }
                dd { (kind_word(port.kind)) @if !port.key.is_empty() { ", one row per " (port.key.join(" + ")) } }
            }
            div { dt { "Event time" } dd { (port.event_time.as_deref().unwrap_or("none: valid from the beginning of time")) } }
            div { dt { "Kept" } dd { (retention(port.retention_ms)) } }
            div { dt { "Encoding" } dd { @match port.encoding { Encoding::Json => "JSON" } } }
        }
        div.scroll tabindex="0" role="region" aria-label={ "Columns of " (port.id) } {
            table {
                caption.hidden { "Columns of " (port.id) }
                thead { tr { th scope="col" { "Column" } th scope="col" { "Type" } th scope="col" { "Null" } th scope="col" { "Meaning" } } }
                tbody {
                    @for column in &port.schema.columns {
                        tr {
                            th scope="row" {
                                code { (column.name) }
                                @if let Some(at) = port.key.iter().position(|key| *key == column.name) {
                                    " " span.badge { "key" @if port.key.len() > 1 { " " (at + 1) } }
                                }
                                @if port.event_time.as_ref() == Some(&column.name) { " " span.badge { "event time" } }
                            }
                            td { (type_name(column.column_type)) }
                            td { @if column.nullable { "may be" } @else { "never" } }
                            td { @match port.column_docs.get(&column.name) { Some(doc) => (prose(doc)), None => span.note { "not described" } } }
                        }
                    }
                }
            }
        }
    }
}

/// Where the port can be read, door by door.
pub(crate) fn bindings(port: &OutputPort, addresses: &crate::ask::Addresses) -> Markup {
    let path = crate::snippets::pull_path(&port.id);
    let (http, scheme) = (&addresses.http, addresses.scheme());
    html! {
        div.scroll tabindex="0" role="region" aria-label={ "Bindings of " (port.id) } {
            table {
                caption.hidden { "Where port " (port.id) " can be read" }
                thead { tr { th scope="col" { "Binding" } th scope="col" { "Address" } th scope="col" { "What for" } } }
                tbody {
                    tr {
                        th scope="row" { "Kafka" }
                        td { code { (port.topic) } br; span.note { "on " (addresses.kafka) ", " (grouped(u64::from(port.partitions))) " partition" @if port.partitions != 1 { "s" } } }
                        td { "every record, in order per key, at your own pace" }
                    }
                    tr {
                        th scope="row" { "HTTP pull" }
                        td { code { (scheme) "://" (http) (path) } }
                        td { "rows by key or range, page by page" }
                    }
                    tr {
                        th scope="row" { "Live stream" }
                        td { code { (scheme) "://" (http) (path) "/stream" } }
                        td { "changes as server-sent events, with resume" }
                    }
                    tr {
                        th scope="row" { "SQL" }
                        td { code { (crate::snippets::sql_name(&port.id)) } }
                        td { "joins with any other port" }
                    }
                }
            }
        }
    }
}
