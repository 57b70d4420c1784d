//! A join of two streams whose event times are near each other.

use std::collections::BTreeMap;

use super::join::{only_left, only_right, shift_right};
use super::{Planner, cannot};
use crate::ir::OperatorKind;
use crate::ir::expr::{BinaryOp, Expr, Literal, Type};
use crate::sql::expressions::{conjunction, typed};
use crate::sql::graph::{Edge, Facts, Kind, LATER, Node};
use crate::sql::refuse::{Outcome, refuse};

impl Planner<'_> {
    pub(super) fn window_join(
        &mut self,
        left: Edge,
        right: Edge,
        left_count: usize,
        parts: Vec<Expr>,
    ) -> Outcome<Edge> {
        let mut keys = Vec::new();
        let mut rest = Vec::new();
        let (mut lower, mut upper): (Option<i64>, Option<i64>) = (None, None);
        let clock = |at: usize| -> Option<(usize, i64)> {
            let (side, edge, at) = if at < left_count { (0, left, at) } else { (1, right, at - left_count) };
            self.graph.node(edge).facts.clock.get(&at).map(|&offset| (side, offset))
        };
        for part in parts {
            if let Expr::Binary { op, left: a, right: b } = &part {
                if *op == BinaryOp::Equal {
                    let pair = if only_left(a, left_count) && only_right(b, left_count) {
                        Some((a, b))
                    } else if only_left(b, left_count) && only_right(a, left_count) {
                        Some((b, a))
                    } else {
                        None
                    };
                    if let Some((mine, theirs)) = pair {
                        keys.push(((**mine).clone(), shift_right((**theirs).clone(), left_count, 0)));
                        continue;
                    }
                }
                // side.time + a  op  other.time + b   bounds the difference right − left
                if let (Some((a_side, a_ms)), Some((b_side, b_ms))) = (instant(a, &clock), instant(b, &clock))
                    && a_side != b_side
                {
                    let turned = if a_side == 1 { Some(*op) } else { turn(*op) };
                    let distance = if a_side == 1 { b_ms - a_ms } else { a_ms - b_ms };
                    let bound = |value: &mut Option<i64>, new: i64, keep: fn(i64, i64) -> i64| {
                        *value = Some(value.map_or(new, |old| keep(old, new)));
                    };
                    let known = match turned {
                        Some(BinaryOp::Greater) => Some((Some(distance + 1), None)),
                        Some(BinaryOp::GreaterOrEqual) => Some((Some(distance), None)),
                        Some(BinaryOp::Less) => Some((None, Some(distance - 1))),
                        Some(BinaryOp::LessOrEqual) => Some((None, Some(distance))),
                        Some(BinaryOp::Equal) => Some((Some(distance), Some(distance))),
                        _ => None,
                    };
                    if let Some((low, high)) = known {
                        if let Some(low) = low {
                            bound(&mut lower, low, i64::max);
                        }
                        if let Some(high) = high {
                            bound(&mut upper, high, i64::min);
                        }
                        continue;
                    }
                }
            }
            rest.push(part);
        }
        let (Some(lower_ms), Some(upper_ms)) = (lower, upper) else {
            let side = if lower.is_none() && upper.is_none() {
                "neither a least nor a greatest"
            } else if lower.is_none() {
                "no least"
            } else {
                "no greatest"
            };
            return Err(refuse(
                "SQL-009",
                "the join of two streams has no bounds of time",
                format!("ON gives {side} difference of their event times, so every row would have to be kept for ever"),
                "add to ON: b.<time> > a.<time> AND b.<time> <= a.<time> + INTERVAL '3' HOUR",
            )
            .at("JOIN"));
        };
        if keys.is_empty() {
            return Err(cannot(
                "a join of two streams without an equality",
                "rows that meet must come to the same task, and a key decides which",
                "add an equality of two columns to ON",
            )
            .at("JOIN"));
        }
        let (left_keys, right_keys): (Vec<Expr>, Vec<Expr>) = keys.into_iter().unzip();
        let left = self.late(left, 0, None);
        let right = self.late(right, 0, None);
        let (mut left, left_key) = self.with_columns(left, left_keys)?;
        let right_count = self.graph.columns(right).len();
        let (mut right, right_key) = self.with_columns(right, right_keys)?;
        for (&mine, &theirs) in left_key.iter().zip(&right_key) {
            let (mine, theirs) = (&self.graph.columns(left)[mine], &self.graph.columns(right)[theirs]);
            if mine.column_type != theirs.column_type {
                return Err(refuse(
                    "SQL-004",
                    format!("columns \"{}\" and \"{}\" are compared and have different types", mine.name, theirs.name),
                    "key bytes of two types never meet",
                    "CAST one side to the type of the other",
                )
                .at(theirs.name.clone()));
            }
        }
        let partitions = self.graph.node(left).facts.partitions.max(self.graph.node(right).facts.partitions);
        for (side, key) in [(&mut left, &left_key), (&mut right, &right_key)] {
            let facts = &self.graph.node(*side).facts;
            let placed = facts.direct
                && facts.partitions == partitions
                && (partitions == 1 || facts.partition_key.as_ref() == Some(key));
            if !placed {
                *side = self.rekey(*side, key.clone(), partitions)?;
            }
        }
        let (left_wide, right_wide) = (self.graph.columns(left).len(), self.graph.columns(right).len());
        let condition = conjunction(rest).map(|expr| shift_right(expr, left_count, left_wide));
        let mut columns = self.graph.node(left).columns.clone();
        columns.columns.extend(self.graph.columns(right).iter().cloned());
        let condition = condition.map(|expr| typed(&expr, &columns).map(|(expr, ..)| expr)).transpose()?;
        let (left_facts, right_facts) = (&self.graph.node(left).facts, &self.graph.node(right).facts);
        let mut behind = BTreeMap::new();
        // The row that comes last is at or after the time; the other may be as far behind as the bounds allow.
        for (&at, &offset) in &left_facts.clock {
            behind.insert(at, offset + upper_ms.max(0));
        }
        for (&at, &offset) in &right_facts.clock {
            behind.insert(left_wide + at, offset + (-lower_ms).max(0));
        }
        let facts = Facts {
            direct: false,
            partitions,
            partition_key: left_facts.partition_key.clone(),
            behind,
            ..Facts::default()
        };
        let kind = Kind::Op(OperatorKind::WindowJoin {
            left_key,
            right_key,
            lower_ms,
            upper_ms,
            grace_ms: 0,
            condition,
            store: LATER,
        });
        let both = self.graph.add(Node { kind, from: vec![left, right], columns, salt: String::new(), facts });
        if left_wide == left_count && right_wide == right_count {
            return Ok(both);
        }
        let kept = self
            .graph
            .columns(both)
            .iter()
            .enumerate()
            .filter(|(at, _)| *at < left_count || (*at >= left_wide && *at < left_wide + right_count))
            .map(|(at, column)| (column.name.clone(), Expr::Column(at)))
            .collect();
        self.projection(both, kept)
    }
}

fn turn(op: BinaryOp) -> Option<BinaryOp> {
    Some(match op {
        BinaryOp::Less => BinaryOp::Greater,
        BinaryOp::LessOrEqual => BinaryOp::GreaterOrEqual,
        BinaryOp::Greater => BinaryOp::Less,
        BinaryOp::GreaterOrEqual => BinaryOp::LessOrEqual,
        BinaryOp::Equal => BinaryOp::Equal,
        _ => return None,
    })
}

/// An expression as event time of one side plus milliseconds.
fn instant(expr: &Expr, clock: &dyn Fn(usize) -> Option<(usize, i64)>) -> Option<(usize, i64)> {
    match expr {
        // The column is event time less its offset.
        Expr::Column(at) => clock(*at).map(|(side, offset)| (side, -offset)),
        Expr::Cast { operand, to: Type::Timestamp | Type::TimestampMicros | Type::TimestampNanos, or_null: false } => {
            instant(operand, clock)
        }
        Expr::Binary { op: BinaryOp::Plus, left, right } => match (instant(left, clock), length(right)) {
            (Some((side, ms)), Some(by)) => Some((side, ms.checked_add(by)?)),
            _ => {
                let ((side, ms), by) = (instant(right, clock)?, length(left)?);
                Some((side, ms.checked_add(by)?))
            }
        },
        Expr::Binary { op: BinaryOp::Minus, left, right } => {
            let ((side, ms), by) = (instant(left, clock)?, length(right)?);
            Some((side, ms.checked_sub(by)?))
        }
        _ => None,
    }
}

/// An interval of fixed length in milliseconds.
fn length(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Literal(Literal::Interval { months: 0, days, nanoseconds }) if nanoseconds % 1_000_000 == 0 => {
            i64::from(*days).checked_mul(86_400_000)?.checked_add(nanoseconds / 1_000_000)
        }
        Expr::Call { function, arguments } if function == "interval_times" => match arguments.as_slice() {
            [interval, Expr::Literal(Literal::Integer(_, times))] => {
                length(interval)?.checked_mul(i64::try_from(*times).ok()?)
            }
            _ => None,
        },
        _ => None,
    }
}
