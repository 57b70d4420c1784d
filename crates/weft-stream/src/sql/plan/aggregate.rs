//! GROUP BY with a window → the aggregate operator.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::common::Column as DfColumn;
use datafusion::logical_expr::{Aggregate as DfAggregate, Expr as DfExpr};
use weft_model::schema::{Column, ColumnType, Schema};

use super::{Planner, cannot};
use crate::ir::expr::{Expr, Literal, Type};
use crate::ir::{Aggregate, AggregateFunction, OperatorKind};
use crate::sql::expressions::convert;
use crate::sql::graph::{Edge, Facts, Kind, LATER, Node};
use crate::sql::refuse::{Outcome, refuse};
use crate::sql::statements::Emit;

impl Planner<'_> {
    pub(super) fn aggregate(&mut self, aggregate: &DfAggregate) -> Outcome<Edge> {
        let input = self.plan(&aggregate.input)?;
        let node = self.graph.node(input);
        if matches!(node.kind, Kind::Scan { .. }) {
            self.events(input)?;
        }
        let Some(window) = node.facts.window.clone() else {
            return Err(refuse(
                "SQL-006",
                "GROUP BY on a stream needs a window",
                "without one a group is never complete and its state is never let go",
                "read FROM TUMBLE(TABLE input, DESCRIPTOR(column), INTERVAL '1' HOUR) and GROUP BY window_start, window_end, …",
            )
            .at("GROUP"));
        };
        let resolve = Self::resolver(aggregate.input.schema());
        // Where each output column of DataFusion's node is found in ours: window_start, window_end, groups, aggregates.
        let mut groups: Vec<(String, Expr)> = Vec::new();
        let mut output = Vec::new();
        let mut windowed = false;
        for expr in &aggregate.group_expr {
            let converted = convert(expr, &resolve)?;
            match converted {
                Expr::Column(at) if window.start.contains(&at) => {
                    windowed = true;
                    output.push(0);
                }
                Expr::Column(at) if window.end.contains(&at) => {
                    windowed = true;
                    output.push(1);
                }
                other => {
                    output.push(2 + groups.len());
                    groups.push((expr.schema_name().to_string(), other));
                }
            }
        }
        if !windowed {
            return Err(refuse(
                "SQL-006",
                "GROUP BY on a stream needs its window among the groups",
                "a group over all windows is never complete",
                "add window_start, window_end to GROUP BY",
            )
            .at("GROUP"));
        }
        let mut before: Vec<(String, Expr)> = groups.clone();
        let group: Vec<usize> = (0..groups.len()).collect();
        let mut aggregates = Vec::new();
        let place = |expr: Expr, name: String, before: &mut Vec<(String, Expr)>| -> usize {
            before.iter().position(|(_, known)| *known == expr).unwrap_or_else(|| {
                before.push((name, expr));
                before.len() - 1
            })
        };
        for expr in &aggregate.aggr_expr {
            let (function, argument, filter) = aggregate_call(expr, &resolve)?;
            let argument = argument.map(|expr| place(expr, "argument".to_owned(), &mut before));
            let filter = filter.map(|expr| place(expr, "filter".to_owned(), &mut before));
            let one = Aggregate { function, argument, filter };
            let at = aggregates.iter().position(|known| *known == one).unwrap_or_else(|| {
                aggregates.push(one);
                aggregates.len() - 1
            });
            output.push(2 + groups.len() + at);
        }
        let (size_ms, grace_ms) = (window.size_ms, window.grace_ms);
        let on_time = self.late(input, grace_ms, Some(size_ms));
        let mut narrow = self.projection(on_time, before)?;
        let facts = &self.graph.node(narrow).facts;
        let together = facts.partition_key.as_ref().is_some_and(|key| key.iter().all(|at| group.contains(at)));
        let partitions = facts.partitions;
        if partitions > 1 && !together {
            narrow = self.rekey(narrow, group.clone(), partitions)?;
        }
        let node = self.graph.node(narrow);
        let named = |name: &str| Column { name: name.to_owned(), column_type: ColumnType::Timestamp, nullable: false };
        let mut columns = vec![named("window_start"), named("window_end")];
        columns.extend(group.iter().map(|&at| node.columns.columns[at].clone()));
        for one in &aggregates {
            columns.push(result_column(one, &node.columns)?);
        }
        let behind = BTreeMap::from([(0, size_ms - 1), (1, -1)]);
        let mut identity = vec![BTreeSet::from([0, 1])];
        identity.extend((0..group.len()).map(|at| BTreeSet::from([2 + at])));
        let facts =
            Facts {
                updates: true,
                direct: false,
                partitions: node.facts.partitions,
                partition_key: node.facts.partition_key.as_ref().and_then(|key| {
                    key.iter().map(|at| Some(2 + group.iter().position(|column| column == at)?)).collect()
                }),
                behind,
                clock: BTreeMap::from([(1, -1)]),
                window: None,
                identity: Some(identity),
                late: None,
            };
        let kind = Kind::Op(OperatorKind::WindowAggregate { size_ms, grace_ms, group, aggregates, store: LATER });
        let mut edge =
            self.graph.add(Node { kind, from: vec![narrow], columns: Schema { columns }, salt: String::new(), facts });
        edge.is_final = self.statement.emit == Emit::Final;
        let names = aggregate.schema.fields().iter().map(|field| field.name().clone());
        let reordered = output.into_iter().zip(names).map(|(at, name)| (name, Expr::Column(at))).collect();
        self.projection(edge, reordered)
    }
}

type Call = (AggregateFunction, Option<Expr>, Option<Expr>);

fn aggregate_call(expr: &DfExpr, resolve: &dyn Fn(&DfColumn) -> Outcome<usize>) -> Outcome<Call> {
    let call = match expr {
        DfExpr::Alias(alias) => return aggregate_call(&alias.expr, resolve),
        DfExpr::AggregateFunction(call) => call,
        other => return Err(cannot(&format!("\"{other}\""), "it is not an aggregate", "")),
    };
    let name = call.func.name();
    let not_built = |what: String| {
        refuse(
            "SQL-019",
            what,
            "over streams there are COUNT, SUM, AVG, MIN and MAX, each with FILTER (WHERE …) if you like",
            "express it by these, with CASE inside",
        )
        .at(name)
    };
    let function = match name {
        "count" => AggregateFunction::Count,
        "sum" => AggregateFunction::Sum,
        "avg" => AggregateFunction::Avg,
        "min" => AggregateFunction::Min,
        "max" => AggregateFunction::Max,
        _ => return Err(not_built(format!("aggregate {name} is not supported"))),
    };
    if call.params.distinct {
        return Err(not_built(format!("{name}(DISTINCT …) is not supported")));
    }
    if !call.params.order_by.is_empty() || call.params.args.len() > 1 {
        return Err(not_built(format!("{name} with more than one argument or ORDER BY is not supported")));
    }
    let filter = call.params.filter.as_deref().map(|filter| convert(filter, resolve)).transpose()?;
    let argument = match call.params.args.first() {
        None => None,
        Some(argument) => match (function, convert(argument, resolve)?) {
            (AggregateFunction::Count, Expr::Literal(literal)) if !matches!(literal, Literal::Null(_)) => None,
            // DataFusion casts integers before the mean; ours keeps them exact until the division.
            (AggregateFunction::Avg, Expr::Cast { operand, to: Type::Float64, or_null: false })
                if matches!(*operand, Expr::Column(_)) =>
            {
                Some(*operand)
            }
            (_, other) => Some(other),
        },
    };
    Ok((function, argument, filter))
}

fn result_column(one: &Aggregate, columns: &Schema) -> Outcome<Column> {
    let argument = one.argument.map(|at| &columns.columns[at]);
    let wrong = |column_type: ColumnType| {
        refuse(
            "SQL-004",
            format!("{:?} cannot take {}", one.function, weft_model::contract::type_name(column_type)),
            "sums and means are of integers, numbers and (sums) decimals",
            "CAST the argument",
        )
    };
    let (column_type, nullable) = match (one.function, argument.map(|column| column.column_type)) {
        (AggregateFunction::Count, _) => (ColumnType::Int64, false),
        (AggregateFunction::Min | AggregateFunction::Max, Some(of)) => (of, true),
        (AggregateFunction::Sum, Some(of @ (ColumnType::Int64 | ColumnType::Float64))) => (of, true),
        (AggregateFunction::Sum, Some(ColumnType::Decimal { scale, .. })) => {
            (ColumnType::Decimal { precision: 38, scale }, true)
        }
        (AggregateFunction::Avg, Some(ColumnType::Int64 | ColumnType::Float64)) => (ColumnType::Float64, true),
        (_, Some(of)) => return Err(wrong(of)),
        (_, None) => (ColumnType::Int64, true),
    };
    // A group has a row, so its extreme of a column that is never null is not null; a filter may leave none.
    let nullable = nullable && (one.filter.is_some() || argument.is_none_or(|column| column.nullable));
    Ok(Column { name: "aggregate".to_owned(), column_type, nullable })
}
