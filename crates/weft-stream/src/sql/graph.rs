//! The product's statements as one graph, before it is cut into sub-topologies. Equal nodes are one node: so equal
//! aggregates of two statements share state, and a stream joined with itself is repartitioned once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use weft_model::schema::{Column, Schema};

use super::expressions::{columns_of, map_columns};
use crate::ir::{Expr, OperatorKind};

/// Rows of a node; of an aggregate either as they change or once at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Edge {
    pub(crate) node: usize,
    pub(crate) is_final: bool,
}

/// An input, or an operator whose stores and destinations have no number yet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Scan { input: String },
    Op(OperatorKind),
}

/// Not numbered yet.
pub(crate) const LATER: usize = usize::MAX;

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) from: Vec<Edge>,
    pub(crate) columns: Schema,
    /// What tells two nodes of one kind apart beside their columns: port of a sink, partitions of a re-key.
    pub(crate) salt: String,
    pub(crate) facts: Facts,
}

/// A tumbling window that rows are in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct InWindow {
    pub(crate) start: BTreeSet<usize>,
    pub(crate) end: BTreeSet<usize>,
    pub(crate) size_ms: i64,
    pub(crate) grace_ms: i64,
}

/// What is known of a node's rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// Rows change: aggregates EMIT CHANGES.
    pub(crate) updates: bool,
    /// Rows come straight from the head of one input: they can wait there for a table.
    pub(crate) direct: bool,
    pub(crate) partitions: u32,
    /// Columns whose key bytes chose the partition.
    pub(crate) partition_key: Option<Vec<usize>>,
    /// Timestamp columns, and by how much their value may be behind the node's time. Milliseconds.
    pub(crate) behind: BTreeMap<usize, i64>,
    /// Columns that hold the row's event time, less an offset. Milliseconds.
    pub(crate) clock: BTreeMap<usize, i64>,
    pub(crate) window: Option<InWindow>,
    /// What makes a row the same row: sets of columns of which one each must be in a key.
    pub(crate) identity: Option<Vec<BTreeSet<usize>>>,
    /// Late rows are out already, for this grace and window.
    pub(crate) late: Option<(i64, Option<i64>)>,
}

impl Facts {
    /// The facts of a node whose column `i` is column `from[i]` of this one, or computed.
    pub(crate) fn projected(&self, from: &[Option<usize>]) -> Self {
        let places = |of: usize| -> BTreeSet<usize> { (0..from.len()).filter(|&at| from[at] == Some(of)).collect() };
        let all = |set: &BTreeSet<usize>| -> BTreeSet<usize> { set.iter().flat_map(|&at| places(at)).collect() };
        let map = |of: &BTreeMap<usize, i64>| -> BTreeMap<usize, i64> {
            of.iter().flat_map(|(&at, &value)| places(at).into_iter().map(move |at| (at, value))).collect()
        };
        Self {
            updates: self.updates,
            direct: self.direct,
            partitions: self.partitions,
            partition_key: self
                .partition_key
                .as_ref()
                .and_then(|key| key.iter().map(|&at| places(at).first().copied()).collect()),
            behind: map(&self.behind),
            clock: map(&self.clock),
            window: self.window.as_ref().map(|window| InWindow {
                start: all(&window.start),
                end: all(&window.end),
                ..*window
            }),
            identity: self.identity.as_ref().map(|sets| sets.iter().map(all).collect()),
            late: self.late,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Node>,
    known: HashMap<String, usize>,
}

impl Graph {
    /// Adds a node, or finds the one that is equal.
    pub(crate) fn add(&mut self, node: Node) -> Edge {
        let names: Vec<&str> = node.columns.columns.iter().map(|column| column.name.as_str()).collect();
        // Names count only where they reach the outside, at sinks and inputs.
        let names = if matches!(node.kind, Kind::Scan { .. }) { format!("{names:?}") } else { String::new() };
        let identity = format!("{:?} {:?} {} {names}", node.kind, node.from, node.salt);
        let at = *self.known.entry(identity).or_insert_with(|| {
            self.nodes.push(node);
            self.nodes.len() - 1
        });
        Edge { node: at, is_final: false }
    }

    pub(crate) fn node(&self, edge: Edge) -> &Node {
        &self.nodes[edge.node]
    }

    pub(crate) fn columns(&self, edge: Edge) -> &[Column] {
        &self.nodes[edge.node].columns.columns
    }

    /// Drops columns that no sink needs, so that they are neither decoded nor repartitioned nor kept.
    pub(crate) fn prune(&mut self, keep_in_scan: &dyn Fn(&str) -> Option<String>) {
        let count = self.nodes.len();
        let mut needed: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); count];
        for at in (0..count).rev() {
            let node = &self.nodes[at];
            let own = needed[at].clone();
            let mut need = |edge: Edge, column: usize| {
                needed[edge.node].insert(column);
            };
            let Kind::Op(kind) = &node.kind else { continue };
            let first = node.from[0];
            let first_count = self.nodes[first.node].columns.columns.len();
            match kind {
                OperatorKind::Window { .. } => {
                    own.iter().filter(|&&column| column < first_count).for_each(|&column| need(first, column));
                }
                OperatorKind::Filter { predicate } => {
                    own.iter().for_each(|&column| need(first, column));
                    columns_of(predicate, &mut |column| need(first, column));
                }
                OperatorKind::Project { expressions } => {
                    for &column in &own {
                        columns_of(&expressions[column], &mut |column| need(first, column));
                    }
                }
                OperatorKind::Late { .. } | OperatorKind::Table { .. } => {
                    own.iter().for_each(|&column| need(first, column));
                }
                OperatorKind::Rekey { key, .. } => {
                    own.iter().chain(key).for_each(|&column| need(first, column));
                }
                OperatorKind::WindowAggregate { group, aggregates, .. } => {
                    group.iter().for_each(|&column| need(first, column));
                    for one in aggregates {
                        one.argument.into_iter().chain(one.filter).for_each(|column| need(first, column));
                    }
                }
                OperatorKind::TableJoin { key, condition, .. } => {
                    key.iter().for_each(|&column| need(first, column));
                    split(&own, condition.as_ref(), first_count, &mut |side, column| need(node.from[side], column));
                }
                OperatorKind::WindowJoin { left_key, right_key, condition, .. } => {
                    left_key.iter().for_each(|&column| need(first, column));
                    right_key.iter().for_each(|&column| need(node.from[1], column));
                    split(&own, condition.as_ref(), first_count, &mut |side, column| need(node.from[side], column));
                }
                OperatorKind::Sink { value, key, event_time, .. } => {
                    value.iter().chain(key).chain(event_time).for_each(|&column| need(first, column));
                }
            }
        }
        let counts: Vec<usize> = self.nodes.iter().map(|node| node.columns.columns.len()).collect();
        let mut kept: Vec<Vec<usize>> = Vec::with_capacity(count);
        for at in 0..count {
            let from = self.nodes[at].from.clone();
            let old_count = counts[at];
            let first_count = from.first().map_or(0, |edge| counts[edge.node]);
            let place = |side: usize, column: usize| -> usize {
                let kept = &kept[from[side].node];
                kept.iter().position(|&old| old == column).expect("needed columns are kept")
            };
            let both = |column: usize| -> usize {
                if column < first_count {
                    place(0, column)
                } else {
                    kept[from[0].node].len() + place(1, column - first_count)
                }
            };
            let node = &mut self.nodes[at];
            let mine: Vec<usize> = match &mut node.kind {
                Kind::Scan { input } => {
                    let mut own = needed[at].clone();
                    if let Some(name) = keep_in_scan(input) {
                        own.extend(node.columns.columns.iter().position(|column| column.name == name));
                    }
                    if own.is_empty() && old_count > 0 {
                        own.insert(0); // a batch without columns is no batch
                    }
                    own.into_iter().collect()
                }
                Kind::Op(kind) => match kind {
                    OperatorKind::Window { .. } => {
                        let mut own = kept[from[0].node].clone();
                        own.extend([old_count - 2, old_count - 1]);
                        own
                    }
                    OperatorKind::Filter { predicate } => {
                        map_columns(predicate, &mut |column| place(0, column));
                        kept[from[0].node].clone()
                    }
                    OperatorKind::Project { expressions } => {
                        let mut own: Vec<usize> = needed[at].iter().copied().collect();
                        if own.is_empty() && old_count > 0 {
                            own.push(0);
                        }
                        let mut kept_exprs = Vec::new();
                        for &column in &own {
                            let mut expr = expressions[column].clone();
                            if needed[at].contains(&column) {
                                map_columns(&mut expr, &mut |column| place(0, column));
                            } else {
                                expr = Expr::Literal(crate::ir::expr::Literal::Boolean(true));
                                node.columns.columns[column].column_type = weft_model::schema::ColumnType::Boolean;
                            }
                            kept_exprs.push(expr);
                        }
                        *expressions = kept_exprs;
                        own
                    }
                    OperatorKind::Late { .. } | OperatorKind::Table { .. } => kept[from[0].node].clone(),
                    OperatorKind::Rekey { key, .. } => {
                        key.iter_mut().for_each(|column| *column = place(0, *column));
                        kept[from[0].node].clone()
                    }
                    OperatorKind::WindowAggregate { group, aggregates, .. } => {
                        group.iter_mut().for_each(|column| *column = place(0, *column));
                        for one in aggregates {
                            one.argument
                                .iter_mut()
                                .chain(&mut one.filter)
                                .for_each(|column| *column = place(0, *column));
                        }
                        (0..old_count).collect()
                    }
                    OperatorKind::TableJoin { key, condition, .. } => {
                        key.iter_mut().for_each(|column| *column = place(0, *column));
                        condition.iter_mut().for_each(|expr| map_columns(expr, &mut |column| both(column)));
                        joined(&kept[from[0].node], &kept[from[1].node], first_count)
                    }
                    OperatorKind::WindowJoin { left_key, right_key, condition, .. } => {
                        left_key.iter_mut().for_each(|column| *column = place(0, *column));
                        right_key.iter_mut().for_each(|column| *column = place(1, *column));
                        condition.iter_mut().for_each(|expr| map_columns(expr, &mut |column| both(column)));
                        joined(&kept[from[0].node], &kept[from[1].node], first_count)
                    }
                    OperatorKind::Sink { value, key, event_time, .. } => {
                        value.iter_mut().chain(key).chain(event_time).for_each(|column| *column = place(0, *column));
                        (0..old_count).collect()
                    }
                },
            };
            let columns = &mut node.columns.columns;
            *columns = mine.iter().map(|&column| columns[column].clone()).collect();
            kept.push(mine);
        }
    }
}

fn joined(left: &[usize], right: &[usize], left_count: usize) -> Vec<usize> {
    left.iter().copied().chain(right.iter().map(|column| left_count + column)).collect()
}

fn split(own: &BTreeSet<usize>, condition: Option<&Expr>, left: usize, need: &mut dyn FnMut(usize, usize)) {
    let mut all = own.clone();
    if let Some(condition) = condition {
        columns_of(condition, &mut |column| {
            all.insert(column);
        });
    }
    for column in all {
        if column < left { need(0, column) } else { need(1, column - left) }
    }
}
