//! Operators of a sub-topology, built to run.

use std::sync::Arc;

use arrow::array::{ArrayRef, TimestampMillisecondArray};
use arrow::datatypes::SchemaRef;
use datafusion::physical_expr::PhysicalExpr;
use weft_model::schema::Schema;

use crate::codec::arrow_schema;
use crate::codec::json::{Encoder, batch_of};
use crate::error::TaskError;
use crate::ir::{Expr, From, OperatorKind, Program, SubTopology};
use crate::ops::aggregate::{WindowAggregate, window_start};
use crate::ops::batch::Batch;
use crate::ops::bind;
use crate::ops::sink::Sink;
use crate::ops::table::Table;
use crate::ops::table_join::TableJoin;
use crate::ops::window_join::WindowJoin;

/// An operator with what it needs to run.
#[derive(Debug)]
pub(super) enum Op {
    Window {
        size_ms: i64,
        schema: SchemaRef,
    },
    Filter(Arc<dyn PhysicalExpr>),
    Project {
        expressions: Vec<Arc<dyn PhysicalExpr>>,
        schema: SchemaRef,
    },
    Late {
        grace_ms: i64,
        window_ms: Option<i64>,
    },
    Rekey {
        key: Vec<usize>,
        destination: usize,
    },
    Aggregate(Box<WindowAggregate>),
    Table(Table),
    TableJoin {
        join: Box<TableJoin>,
        table: usize,
    },
    WindowJoin(Box<WindowJoin>),
    Sink(Sink),
    /// Taken out while it runs.
    Busy,
}

fn columns_of(sub: &SubTopology, from: From) -> &Schema {
    match from {
        From::Input(at) => &sub.inputs[at].columns,
        From::Operator(at) | From::Final(at) => &sub.operators[at].columns,
    }
}

pub(super) fn build(program: &Program, sub: &SubTopology) -> Result<Vec<Op>, TaskError> {
    let mut ops = Vec::with_capacity(sub.operators.len());
    for operator in &sub.operators {
        let schema = arrow_schema(&operator.columns);
        let input = columns_of(sub, operator.from[0]);
        let bind = |expr: &Expr, columns: &Schema| {
            bind::physical(expr, columns)
                .map_err(|error| TaskError::Program { operator: operator.id.clone(), reason: error.to_string() })
        };
        ops.push(match &operator.kind {
            OperatorKind::Window { size_ms } => Op::Window { size_ms: *size_ms, schema },
            OperatorKind::Filter { predicate } => Op::Filter(bind(predicate, input)?),
            OperatorKind::Project { expressions } => {
                let expressions = expressions.iter().map(|expr| bind(expr, input)).collect::<Result<_, _>>()?;
                Op::Project { expressions, schema }
            }
            OperatorKind::Late { grace_ms, window_ms } => Op::Late { grace_ms: *grace_ms, window_ms: *window_ms },
            OperatorKind::Rekey { key, destination } => Op::Rekey { key: key.clone(), destination: *destination },
            OperatorKind::WindowAggregate { size_ms, grace_ms, group, aggregates, store } => {
                Op::Aggregate(Box::new(WindowAggregate::new(
                    operator.id.clone(),
                    (*size_ms, *grace_ms),
                    group.clone(),
                    aggregates,
                    (input, &operator.columns),
                    *store,
                )))
            }
            OperatorKind::Table { store } => Op::Table(Table::new(operator.id.clone(), *store)),
            OperatorKind::TableJoin { key, left, condition } => {
                let From::Operator(table) = operator.from[1] else {
                    let reason = "from[1] of a table join is a table".to_owned();
                    return Err(TaskError::Program { operator: operator.id.clone(), reason });
                };
                let join = TableJoin {
                    id: sub.operators[table].id.clone(),
                    key: key.clone(),
                    left: *left,
                    condition: condition.as_ref().map(|expr| bind(expr, &operator.columns)).transpose()?,
                    table: sub.operators[table].columns.clone(),
                    schema,
                };
                Op::TableJoin { join: Box::new(join), table }
            }
            OperatorKind::WindowJoin { left_key, right_key, lower_ms, upper_ms, grace_ms, condition, store } => {
                let condition = condition.as_ref().map(|expr| bind(expr, &operator.columns)).transpose()?;
                Op::WindowJoin(Box::new(WindowJoin::new(
                    operator.id.clone(),
                    [left_key.clone(), right_key.clone()],
                    (*lower_ms, *upper_ms, *grace_ms),
                    condition,
                    [input.clone(), columns_of(sub, operator.from[1]).clone()],
                    schema,
                    *store,
                )))
            }
            OperatorKind::Sink { destination, value, key, event_time, event_time_offset_ms, .. } => {
                let columns = &program.destinations[*destination].columns.columns;
                let names = columns.iter().map(|column| column.name.as_str());
                let required = columns.iter().zip(value).filter(|(column, _)| !column.nullable);
                Op::Sink(Sink {
                    destination: *destination,
                    key: key.clone(),
                    event_time: event_time.map(|at| (at, *event_time_offset_ms)),
                    required: required.map(|(column, at)| (*at, column.name.clone())).collect(),
                    encoder: Encoder::new(names.zip(value.iter().copied())),
                })
            }
        });
    }
    Ok(ops)
}

/// The batch with window_start and window_end behind its columns.
pub(super) fn add_window(batch: &Batch, size_ms: i64, schema: &SchemaRef) -> Batch {
    let start = |meta: &crate::ops::batch::Meta| window_start(meta.event_time, size_ms);
    let starts: TimestampMillisecondArray = batch.meta.iter().map(|meta| Some(start(meta))).collect();
    let ends: TimestampMillisecondArray =
        batch.meta.iter().map(|meta| Some(start(meta).saturating_add(size_ms))).collect();
    let mut arrays: Vec<ArrayRef> = batch.columns.columns().to_vec();
    arrays.push(Arc::new(starts));
    arrays.push(Arc::new(ends));
    Batch { columns: batch_of(schema.clone(), arrays, batch.rows()), meta: batch.meta.clone() }
}
