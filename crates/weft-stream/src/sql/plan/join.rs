//! JOIN → a join with a table, or with a stream inside a window ([`super::window_join`]).

use datafusion::common::JoinType;
use datafusion::logical_expr::{Expr as DfExpr, Join};
use weft_model::schema::Column;

use super::{Planner, cannot};
use crate::ir::OperatorKind;
use crate::ir::expr::{BinaryOp, Expr};
use crate::sql::expressions::{columns_of, conjunction, conjuncts, convert, map_columns, typed};
use crate::sql::graph::{Edge, Facts, Kind, LATER, Node};
use crate::sql::refuse::{Outcome, refuse};

impl Planner<'_> {
    pub(super) fn join(&mut self, join: &Join) -> Outcome<Edge> {
        let left_kind = match join.join_type {
            JoinType::Inner => false,
            JoinType::Left => true,
            other => {
                return Err(cannot(
                    &format!("{other} JOIN"),
                    "a stream is joined by INNER JOIN or LEFT JOIN, with the stream on the left",
                    "write the stream first and use LEFT JOIN",
                )
                .at("JOIN"));
            }
        };
        let left = self.plan(&join.left)?;
        let right = self.plan(&join.right)?;
        let left_count = self.graph.columns(left).len();
        let resolve = Self::resolver(&join.schema);
        let mut parts = Vec::new();
        for (on_left, on_right) in &join.on {
            let side = |expr: &DfExpr| convert(expr, &resolve);
            parts.push(Expr::Binary {
                op: BinaryOp::Equal,
                left: Box::new(side(on_left)?),
                right: Box::new(side(on_right)?),
            });
        }
        if let Some(filter) = &join.filter {
            conjuncts(convert(filter, &resolve)?, &mut parts);
        }
        let is_table = |edge: Edge| {
            let node = self.graph.node(edge);
            matches!(node.kind, Kind::Scan { .. }) && node.facts.updates
        };
        if is_table(left) {
            return Err(refuse(
                "SQL-015",
                "a join of a table with another input is not supported here",
                "the left side of a join is the stream whose rows come out",
                "write the stream first: FROM <stream> JOIN <table> ON …",
            )
            .at("JOIN"));
        }
        self.events_of_join(left)?;
        if is_table(right) {
            return self.table_join(left, right, left_count, parts, left_kind);
        }
        self.events_of_join(right)?;
        if left_kind {
            return Err(cannot(
                "LEFT JOIN of two streams",
                "a row without a match may leave only when its bounds have passed; that is not built yet",
                "use JOIN, or join with a table",
            )
            .at("JOIN"));
        }
        self.window_join(left, right, left_count, parts)
    }

    fn events_of_join(&self, edge: Edge) -> Outcome<()> {
        if self.updates(edge) { self.events(edge) } else { Ok(()) }
    }

    fn table_join(
        &mut self,
        left: Edge,
        right: Edge,
        left_count: usize,
        parts: Vec<Expr>,
        outer: bool,
    ) -> Outcome<Edge> {
        let Kind::Scan { input: name } = self.graph.node(right).kind.clone() else { panic!("a table is a scan") };
        let (input, port) = self.port(&name);
        let (broadcast, partitions, key_names) = (input.broadcast, port.partitions, port.key.clone());
        let key_columns: Vec<usize> = key_names
            .iter()
            .map(|name| port.schema.columns.iter().position(|column| column.name == *name).expect("validated"))
            .collect();
        let mut keys: Vec<Option<Expr>> = vec![None; key_columns.len()];
        let mut rest = Vec::new();
        for part in parts {
            let mut taken = false;
            if let Expr::Binary { op: BinaryOp::Equal, left: a, right: b } = &part {
                for (mine, theirs) in [(a, b), (b, a)] {
                    let theirs_column = match **theirs {
                        Expr::Column(at) if at >= left_count => Some(at - left_count),
                        _ => None,
                    };
                    let slot = theirs_column.and_then(|at| key_columns.iter().position(|&key| key == at));
                    if let Some(slot) = slot
                        && keys[slot].is_none()
                        && only_left(mine, left_count)
                    {
                        keys[slot] = Some((**mine).clone());
                        taken = true;
                        break;
                    }
                }
            }
            if !taken {
                rest.push(part);
            }
        }
        let missing: Vec<&str> =
            keys.iter().zip(&key_names).filter(|(key, _)| key.is_none()).map(|(_, name)| name.as_str()).collect();
        if !missing.is_empty() {
            return Err(refuse(
                "SQL-016",
                format!("the join with table \"{name}\" does not name its whole key"),
                format!(
                    "a row of the table is found by its key ({}); ON has no plain equality for: {}",
                    key_names.join(", "),
                    missing.join(", ")
                ),
                "add it to ON, with the table's column alone on its side and of the same type",
            )
            .at(name));
        }
        let keys: Vec<Expr> = keys.into_iter().flatten().collect();
        let late = self.late(left, 0, None);
        let (mut stream, key) = self.with_columns(late, keys)?;
        for (slot, &at) in key.iter().enumerate() {
            let (mine, theirs) = (&self.graph.columns(stream)[at], &self.graph.columns(right)[key_columns[slot]]);
            if mine.column_type != theirs.column_type {
                return Err(refuse(
                    "SQL-004",
                    format!("key column \"{}\" of table \"{name}\" is compared with another type", theirs.name),
                    "key bytes of two types never meet",
                    "CAST the stream's side to the type of the table's key",
                )
                .at(name));
            }
        }
        let facts = &self.graph.node(stream).facts;
        let placed = broadcast || (facts.partition_key.as_ref() == Some(&key) && facts.partitions == partitions);
        let alone = partitions == 1 && facts.partitions == 1;
        if !facts.direct || !(placed || alone) {
            let to = if broadcast { facts.partitions } else { partitions };
            stream = self.rekey(stream, key.clone(), to)?;
        }
        let node = self.graph.node(right);
        let table_columns = node.columns.clone();
        let facts = node.facts.clone();
        let store = if broadcast { None } else { Some(LATER) };
        let kind = Kind::Op(OperatorKind::Table { store });
        let table =
            self.graph.add(Node { kind, from: vec![right], columns: table_columns, salt: String::new(), facts });
        let stream_count = self.graph.columns(stream).len();
        let condition = conjunction(rest).map(|expr| shift_right(expr, left_count, stream_count));
        let mut columns = self.graph.node(stream).columns.clone();
        columns.columns.extend(
            self.graph
                .columns(table)
                .iter()
                .map(|column| Column { nullable: column.nullable || outer, ..column.clone() }),
        );
        let condition = condition.map(|expr| typed(&expr, &columns).map(|(expr, ..)| expr)).transpose()?;
        let facts = Facts { updates: false, ..self.graph.node(stream).facts.clone() };
        let kind = Kind::Op(OperatorKind::TableJoin { key, left: outer, condition });
        let both = self.graph.add(Node { kind, from: vec![stream, table], columns, salt: String::new(), facts });
        self.without_extra(both, left_count, stream_count)
    }

    /// The input with these expressions as columns behind its own, where they are not plain columns already.
    pub(super) fn with_columns(&mut self, input: Edge, exprs: Vec<Expr>) -> Outcome<(Edge, Vec<usize>)> {
        if exprs.iter().all(|expr| matches!(expr, Expr::Column(_))) {
            let places = exprs.iter().map(|expr| if let Expr::Column(at) = expr { *at } else { 0 }).collect();
            return Ok((input, places));
        }
        let own = self.graph.columns(input);
        let mut columns: Vec<(String, Expr)> =
            own.iter().enumerate().map(|(at, column)| (column.name.clone(), Expr::Column(at))).collect();
        let mut places = Vec::new();
        for expr in exprs {
            match expr {
                Expr::Column(at) => places.push(at),
                expr => {
                    places.push(columns.len());
                    columns.push(("key".to_owned(), expr));
                }
            }
        }
        Ok((self.projection(input, columns)?, places))
    }

    /// Drops the key columns that were added on the left of a join, so that columns are where DataFusion has them.
    fn without_extra(&mut self, both: Edge, left_count: usize, stream_count: usize) -> Outcome<Edge> {
        if left_count == stream_count {
            return Ok(both);
        }
        let columns = self.graph.columns(both);
        let kept = columns
            .iter()
            .enumerate()
            .filter(|(at, _)| *at < left_count || *at >= stream_count)
            .map(|(at, column)| (column.name.clone(), Expr::Column(at)))
            .collect();
        self.projection(both, kept)
    }
}

pub(super) fn only_left(expr: &Expr, left_count: usize) -> bool {
    let (mut any, mut all) = (false, true);
    columns_of(expr, &mut |at| {
        any = true;
        all &= at < left_count;
    });
    any && all
}

pub(super) fn only_right(expr: &Expr, left_count: usize) -> bool {
    let (mut any, mut all) = (false, true);
    columns_of(expr, &mut |at| {
        any = true;
        all &= at >= left_count;
    });
    any && all
}

/// Columns from `left_count` on move to start at `to`.
pub(super) fn shift_right(mut expr: Expr, left_count: usize, to: usize) -> Expr {
    map_columns(&mut expr, &mut |at| if at >= left_count { at - left_count + to } else { at });
    expr
}
