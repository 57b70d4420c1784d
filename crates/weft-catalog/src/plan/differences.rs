//! What differs between two states of a product, in words.

use std::collections::BTreeMap;

use weft_model::product::OutputPort;

use crate::desired::PortRecord;

pub(super) fn file_differences(was: &BTreeMap<String, String>, is: &BTreeMap<String, String>) -> Vec<String> {
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let mut what = Vec::new();
    for (path, text) in is {
        match was.get(path) {
            None => what.push(format!("{} added", name(path))),
            Some(old) if old != text => what.push(name(path)),
            Some(_) => {}
        }
    }
    let gone = was.keys().filter(|path| !is.contains_key(*path));
    what.extend(gone.map(|path| format!("{} removed", name(path))));
    what
}

pub(super) fn difference(was: &PortRecord, is: &PortRecord) -> String {
    let mut what = Vec::new();
    if was.retention_ms != is.retention_ms {
        what.push(format!("retention.ms {} → {}", was.retention_ms, is.retention_ms));
    }
    if was.partitions != is.partitions {
        what.push(format!("partitions {} → {}", was.partitions, is.partitions));
    }
    if was.key != is.key {
        what.push("key".to_owned());
    }
    if was.topic != is.topic || was.adopted != is.adopted {
        what.push("topic".to_owned());
    }
    if what.is_empty() {
        what.push("columns".to_owned());
    }
    what.join(", ")
}

pub(super) fn schema_difference(was: &PortRecord, port: &OutputPort) -> Option<String> {
    if was.kind != port.kind {
        return Some(format!("its kind was {:?} and would be {:?}", was.kind, port.kind).to_lowercase());
    }
    if was.encoding != port.encoding {
        return Some(format!("its encoding was {:?} and would be {:?}", was.encoding, port.encoding).to_lowercase());
    }
    if was.event_time != port.event_time || was.event_time_offset_ms != port.event_time_offset_ms {
        let name = |column: &Option<String>| column.clone().unwrap_or_else(|| "none".to_owned());
        return Some(format!("its event time was {} and would be {}", name(&was.event_time), name(&port.event_time)));
    }
    for column in &was.schema.columns {
        match port.schema.column(&column.name) {
            None => return Some(format!("column \"{}\" would be gone", column.name)),
            Some(now) if now.column_type != column.column_type => {
                return Some(format!(
                    "column \"{}\" was {:?} and would be {:?}",
                    column.name, column.column_type, now.column_type
                ));
            }
            Some(now) if now.nullable != column.nullable => {
                let may = if now.nullable { "would become optional" } else { "would become required" };
                return Some(format!("column \"{}\" {may}", column.name));
            }
            Some(_) => {}
        }
    }
    let added = port.schema.columns.iter().find(|column| was.schema.column(&column.name).is_none());
    if let Some(added) = added {
        return Some(format!("column \"{}\" would be added, and older records do not have it", added.name));
    }
    (was.schema != port.schema).then(|| "its columns would stand in another order".to_owned())
}
