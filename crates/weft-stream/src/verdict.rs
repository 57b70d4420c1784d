//! What replacing a running program by another would mean.

use std::collections::{BTreeMap, BTreeSet};

use crate::ir::{DestinationTo, InputFrom, OperatorKind, Program};

/// From harmless to breaking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The same program.
    Same,
    /// State, keys and ports are kept; rows from the change on are computed the new way.
    InPlace,
    /// State would have to be built anew from the inputs.
    NewState {
        /// What differs.
        reason: String,
    },
    /// Consumers of a port would notice: key, kind or columns change.
    Breaking {
        /// What differs.
        reason: String,
    },
}

/// Compares the running program with one that would replace it.
pub fn verdict(old: &Program, new: &Program) -> Verdict {
    if old == new {
        return Verdict::Same;
    }
    if let Some(reason) = ports(old, new) {
        return Verdict::Breaking { reason };
    }
    if let Some(reason) = state(old, new) {
        return Verdict::NewState { reason };
    }
    Verdict::InPlace
}

/// What a consumer of a port would notice.
fn ports(old: &Program, new: &Program) -> Option<String> {
    for before in &old.destinations {
        let DestinationTo::Port { port, .. } = &before.to else { continue };
        let after = new
            .destinations
            .iter()
            .find(|after| matches!(&after.to, DestinationTo::Port { port: id, .. } if id == port));
        let Some(after) = after else { return Some(format!("port \"{port}\" is gone")) };
        if after.kind != before.kind {
            return Some(format!("port \"{port}\" changes its kind"));
        }
        if after.key != before.key {
            let (was, is) = (before.key.join(", "), after.key.join(", "));
            return Some(format!("port \"{port}\" changes its key from ({was}) to ({is})"));
        }
        if after.partitions != before.partitions {
            let (was, is) = (before.partitions, after.partitions);
            return Some(format!("port \"{port}\" changes from {was} to {is} partitions, so keys would move"));
        }
        for column in &before.columns.columns {
            match after.columns.column(&column.name) {
                None => return Some(format!("port \"{port}\" loses column \"{}\"", column.name)),
                Some(other) if other.column_type != column.column_type => {
                    return Some(format!("column \"{}\" of port \"{port}\" changes its type", column.name));
                }
                Some(other) if other.nullable && !column.nullable => {
                    return Some(format!("column \"{}\" of port \"{port}\" may now be null", column.name));
                }
                Some(_) => {}
            }
        }
    }
    None
}

/// What is kept between commits: inputs and their partitions, operators with state, rows under way between tasks.
fn state(old: &Program, new: &Program) -> Option<String> {
    let inputs = |program: &Program| -> BTreeMap<String, u32> {
        let all = program.subtopologies.iter().flat_map(|sub| &sub.inputs);
        all.filter_map(|input| match &input.from {
            InputFrom::Port { topic, .. } => Some((topic.clone(), input.partitions)),
            InputFrom::Repartition { .. } => None,
        })
        .collect()
    };
    let (before, after) = (inputs(old), inputs(new));
    if let Some((topic, _)) = after.iter().find(|(topic, _)| !before.contains_key(*topic)) {
        return Some(format!("it reads topic \"{topic}\" for the first time"));
    }
    if let Some((topic, partitions)) = before.iter().find(|(topic, n)| after.get(*topic).is_some_and(|m| m != *n)) {
        return Some(format!("input topic \"{topic}\" no longer has {partitions} partitions"));
    }
    let keepers = |program: &Program| -> BTreeSet<(String, String)> {
        let all = program.subtopologies.iter().flat_map(|sub| &sub.operators);
        all.filter_map(|operator| {
            let what = match &operator.kind {
                OperatorKind::WindowAggregate { .. } => "window aggregate",
                OperatorKind::Table { store: Some(_) } => "table",
                OperatorKind::WindowJoin { .. } => "join of streams",
                OperatorKind::Rekey { .. } => "repartition",
                _ => return None,
            };
            Some((operator.id.clone(), what.to_owned()))
        })
        .collect()
    };
    let (before, after) = (keepers(old), keepers(new));
    if let Some((id, what)) = after.difference(&before).next() {
        return Some(format!("{what} \"{id}\" computes something new, so it would start empty"));
    }
    if let Some((id, what)) = before.difference(&after).next() {
        return Some(format!("{what} \"{id}\" is gone, and rows on their way to it with it"));
    }
    None
}
