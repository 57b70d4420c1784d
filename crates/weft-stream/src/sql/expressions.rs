//! DataFusion's bound expressions → the program's, by whitelist.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Column as DfColumn, DataFusionError};
use datafusion::logical_expr::{Expr as DfExpr, ExprSchemable};
use datafusion::optimizer::analyzer::type_coercion::TypeCoercionRewriter;
use weft_model::schema::{ColumnType, Schema};

use super::refuse::{Outcome, Refusal, refuse};
use crate::ir::expr::{BinaryOp, Expr, Type, UnaryOp};
use crate::ops::bind::{binary_op, df_schema, immutable, literal, to_df, type_of};

/// Position of a column.
pub(crate) type Resolve<'a> = dyn Fn(&DfColumn) -> Outcome<usize> + 'a;

pub(crate) fn no_function(name: &str) -> Box<Refusal> {
    refuse(
        "SQL-007",
        format!("function \"{name}\" cannot be used in a stream"),
        "it gives another value each time, and a stream is computed again after a restart or for a new version",
        "use the event time column, or a value that a source writes into the row",
    )
    .at(name)
}

fn unsupported(what: &str) -> Box<Refusal> {
    refuse(
        "SQL-015",
        format!("{what} cannot be computed over a stream here"),
        "a continuous query has scalar expressions, tumbling windows, joins with tables and joins within bounds of time",
        "",
    )
}

/// Converts one bound expression.
pub(crate) fn convert(expr: &DfExpr, resolve: &Resolve<'_>) -> Outcome<Expr> {
    let boxed = |expr: &DfExpr| convert(expr, resolve).map(Box::new);
    let unary = |op: UnaryOp, operand: &DfExpr| Ok(Expr::Unary { op, operand: boxed(operand)? });
    match expr {
        DfExpr::Alias(alias) => convert(&alias.expr, resolve),
        DfExpr::Column(column) => resolve(column).map(Expr::Column),
        DfExpr::Literal(value, _) => literal(value)
            .map(Expr::Literal)
            .ok_or_else(|| unsupported(&format!("a literal of type {}", value.data_type()))),
        DfExpr::BinaryExpr(binary) => {
            let op = binary_op(binary.op).ok_or_else(|| unsupported(&format!("operator {}", binary.op)))?;
            Ok(Expr::Binary { op, left: boxed(&binary.left)?, right: boxed(&binary.right)? })
        }
        DfExpr::Like(like) => Ok(Expr::Like {
            operand: boxed(&like.expr)?,
            pattern: boxed(&like.pattern)?,
            negated: like.negated,
            case_insensitive: like.case_insensitive,
            escape: like.escape_char,
        }),
        DfExpr::Not(operand) => unary(UnaryOp::Not, operand),
        DfExpr::Negative(operand) => unary(UnaryOp::Negative, operand),
        DfExpr::IsNull(operand) => unary(UnaryOp::IsNull, operand),
        DfExpr::IsNotNull(operand) => unary(UnaryOp::IsNotNull, operand),
        DfExpr::IsTrue(operand) => unary(UnaryOp::IsTrue, operand),
        DfExpr::IsFalse(operand) => unary(UnaryOp::IsFalse, operand),
        DfExpr::IsUnknown(operand) => unary(UnaryOp::IsUnknown, operand),
        DfExpr::IsNotTrue(operand) => unary(UnaryOp::IsNotTrue, operand),
        DfExpr::IsNotFalse(operand) => unary(UnaryOp::IsNotFalse, operand),
        DfExpr::IsNotUnknown(operand) => unary(UnaryOp::IsNotUnknown, operand),
        DfExpr::Between(between) => {
            let compare = |op: BinaryOp, with: &DfExpr| -> Outcome<Expr> {
                Ok(Expr::Binary { op, left: boxed(&between.expr)?, right: boxed(with)? })
            };
            let both = Expr::Binary {
                op: BinaryOp::And,
                left: Box::new(compare(BinaryOp::GreaterOrEqual, &between.low)?),
                right: Box::new(compare(BinaryOp::LessOrEqual, &between.high)?),
            };
            Ok(if between.negated { Expr::Unary { op: UnaryOp::Not, operand: Box::new(both) } } else { both })
        }
        DfExpr::Case(case) => Ok(Expr::Case {
            operand: case.expr.as_deref().map(boxed).transpose()?,
            branches: case
                .when_then_expr
                .iter()
                .map(|(when, then)| Ok((convert(when, resolve)?, convert(then, resolve)?)))
                .collect::<Outcome<_>>()?,
            otherwise: case.else_expr.as_deref().map(boxed).transpose()?,
        }),
        DfExpr::Cast(cast) => {
            Ok(Expr::Cast { operand: boxed(&cast.expr)?, to: target(cast.field.data_type())?, or_null: false })
        }
        DfExpr::TryCast(cast) => {
            Ok(Expr::Cast { operand: boxed(&cast.expr)?, to: target(cast.field.data_type())?, or_null: true })
        }
        DfExpr::ScalarFunction(call) => {
            if !immutable(&call.func) {
                return Err(no_function(call.func.name()));
            }
            let arguments = call.args.iter().map(|argument| convert(argument, resolve)).collect::<Outcome<_>>()?;
            Ok(Expr::Call { function: call.func.name().to_owned(), arguments })
        }
        DfExpr::InList(list) => Ok(Expr::InList {
            operand: boxed(&list.expr)?,
            list: list.list.iter().map(|one| convert(one, resolve)).collect::<Outcome<_>>()?,
            negated: list.negated,
        }),
        DfExpr::WindowFunction(_) => Err(unsupported("a window function (OVER)")),
        DfExpr::Exists(_) | DfExpr::InSubquery(_) | DfExpr::ScalarSubquery(_) | DfExpr::SetComparison(_) => {
            Err(unsupported("a subquery in an expression"))
        }
        DfExpr::GroupingSet(_) => Err(unsupported("GROUPING SETS, CUBE or ROLLUP")),
        DfExpr::AggregateFunction(call) => {
            Err(unsupported(&format!("aggregate {} outside of SELECT … GROUP BY", call.func.name())))
        }
        other => Err(unsupported(&format!("\"{other}\""))),
    }
}

fn target(data_type: &DataType) -> Outcome<Type> {
    type_of(data_type).ok_or_else(|| unsupported(&format!("a cast to {data_type}")))
}

/// Two types that do not go together, as a person reads it.
pub(crate) fn mixed(error: &DataFusionError) -> Box<Refusal> {
    let text = error.find_root().strip_backtrace();
    let text = text.lines().next().unwrap_or_default().trim_start_matches("Error during planning: ");
    refuse("SQL-004", "types do not go together", text, "CAST one side to the type of the other")
}

/// An expression with every cast it needs over columns of these types, its type and whether it may be null.
pub(crate) fn typed(expr: &Expr, columns: &Schema) -> Outcome<(Expr, DataType, bool)> {
    let schema = df_schema(columns);
    let rewritten = to_df(expr)
        .and_then(|expr| expr.rewrite(&mut TypeCoercionRewriter::new(&schema)))
        .map_err(|error| mixed(&error))?
        .data;
    let by_number = |column: &DfColumn| -> Outcome<usize> {
        Ok(column.name.trim_start_matches('c').parse().expect("columns are named c0, c1, …"))
    };
    let data_type = rewritten.get_type(&schema).map_err(|error| mixed(&error))?;
    let nullable = rewritten.nullable(&schema).map_err(|error| mixed(&error))?;
    Ok((convert(&rewritten, &by_number)?, data_type, nullable))
}

/// An expression as a column: cast to the contract type nearest to its own.
pub(crate) fn as_column(expr: &Expr, columns: &Schema) -> Outcome<(Expr, ColumnType, bool)> {
    let (expr, data_type, nullable) = typed(expr, columns)?;
    let (column_type, to) = match &data_type {
        DataType::Utf8 => (ColumnType::String, None),
        DataType::Utf8View | DataType::LargeUtf8 | DataType::Null => (ColumnType::String, Some(Type::String)),
        DataType::Boolean => (ColumnType::Boolean, None),
        DataType::Int64 => (ColumnType::Int64, None),
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64 => (ColumnType::Int64, Some(Type::Int64)),
        DataType::Float64 => (ColumnType::Float64, None),
        DataType::Float32 => (ColumnType::Float64, Some(Type::Float64)),
        DataType::Decimal128(precision, scale) => (ColumnType::Decimal { precision: *precision, scale: *scale }, None),
        DataType::Timestamp(arrow::datatypes::TimeUnit::Millisecond, None) => (ColumnType::Timestamp, None),
        DataType::Timestamp(..) => (ColumnType::Timestamp, Some(Type::Timestamp)),
        DataType::Date32 => (ColumnType::Date, None),
        DataType::Binary => (ColumnType::Bytes, None),
        other => {
            return Err(refuse(
                "SQL-020",
                format!("a column cannot have type {other}"),
                "columns are string, boolean, integer, number, decimal, timestamp, date or bytes",
                "CAST it to one of these",
            ));
        }
    };
    let expr = match to {
        None => expr,
        Some(to) => Expr::Cast { operand: Box::new(expr), to, or_null: false },
    };
    Ok((expr, column_type, nullable))
}

/// Columns that an expression reads.
pub(crate) fn columns_of(expr: &Expr, visit: &mut dyn FnMut(usize)) {
    let mut copy = expr.clone();
    map_columns(&mut copy, &mut |at| {
        visit(at);
        at
    });
}

/// Gives every column another position.
pub(crate) fn map_columns(expr: &mut Expr, map: &mut dyn FnMut(usize) -> usize) {
    match expr {
        Expr::Column(at) => *at = map(*at),
        Expr::Literal(_) => {}
        Expr::Binary { left, right, .. } => {
            map_columns(left, map);
            map_columns(right, map);
        }
        Expr::Unary { operand, .. } | Expr::Cast { operand, .. } => map_columns(operand, map),
        Expr::Case { operand, branches, otherwise } => {
            for part in operand.iter_mut().chain(otherwise) {
                map_columns(part, map);
            }
            for (when, then) in branches {
                map_columns(when, map);
                map_columns(then, map);
            }
        }
        Expr::Call { arguments, .. } => arguments.iter_mut().for_each(|argument| map_columns(argument, map)),
        Expr::InList { operand, list, .. } => {
            map_columns(operand, map);
            list.iter_mut().for_each(|one| map_columns(one, map));
        }
        Expr::Like { operand, pattern, .. } => {
            map_columns(operand, map);
            map_columns(pattern, map);
        }
    }
}

/// The parts of `a AND b AND c`.
pub(crate) fn conjuncts(expr: Expr, out: &mut Vec<Expr>) {
    match expr {
        Expr::Binary { op: BinaryOp::And, left, right } => {
            conjuncts(*left, out);
            conjuncts(*right, out);
        }
        other => out.push(other),
    }
}

/// `a AND b AND c`; none of nothing.
pub(crate) fn conjunction(parts: Vec<Expr>) -> Option<Expr> {
    parts.into_iter().reduce(|left, right| Expr::Binary {
        op: BinaryOp::And,
        left: Box::new(left),
        right: Box::new(right),
    })
}
