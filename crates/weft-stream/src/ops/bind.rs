//! The program's expressions as DataFusion evaluates them. The only place where stored expressions meet DataFusion.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalUnit, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, DataFusionError, ScalarValue};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::expr::{Case, Cast, InList, Like, ScalarFunction, TryCast};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr as DfExpr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::BinaryExpr as PhysicalBinary;
use weft_model::schema::Schema;

use crate::codec::arrow_type;
use crate::ir::expr::{BinaryOp, Expr, Literal, Type, UnaryOp};

/// Scalar functions by name and alias. Only immutable ones: a replay must compute the same.
pub(crate) static FUNCTIONS: LazyLock<HashMap<String, Arc<ScalarUDF>>> = LazyLock::new(|| {
    let mut functions = HashMap::new();
    for function in datafusion::functions::all_default_functions() {
        for name in std::iter::once(function.name()).chain(function.aliases().iter().map(String::as_str)) {
            functions.insert(name.to_owned(), function.clone());
        }
    }
    functions.insert("interval_times".to_owned(), INTERVAL_TIMES.clone());
    functions
});

/// A function that gives the same for the same arguments, always.
pub(crate) fn immutable(function: &ScalarUDF) -> bool {
    function.signature().volatility == Volatility::Immutable
}

/// Columns as DataFusion's schema: `c0`, `c1`, …: names of ours never meet its name resolution.
pub(crate) fn df_schema(columns: &Schema) -> DFSchema {
    let fields: Vec<arrow::datatypes::Field> = columns
        .columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            arrow::datatypes::Field::new(format!("c{at}"), arrow_type(column.column_type), column.nullable)
        })
        .collect();
    DFSchema::try_from(arrow::datatypes::Schema::new(fields)).expect("c0, c1, … are distinct")
}

/// An expression ready to evaluate over batches of these columns.
pub(crate) fn physical(expr: &Expr, columns: &Schema) -> Result<Arc<dyn PhysicalExpr>, DataFusionError> {
    let logical = to_df(expr)?;
    let schema = df_schema(columns);
    let planning = datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext::default();
    let physical =
        datafusion::physical_expr::create_physical_expr(&logical, &schema, &ExecutionProps::new(), &planning)?;
    // Integer arithmetic wraps unless told otherwise.
    let checked = physical.transform_up(|node| {
        if let Some(binary) = node.downcast_ref::<PhysicalBinary>() {
            let checked = PhysicalBinary::new(binary.left().clone(), *binary.op(), binary.right().clone())
                .with_fail_on_overflow(true);
            return Ok(Transformed::yes(Arc::new(checked) as Arc<dyn PhysicalExpr>));
        }
        Ok(Transformed::no(node))
    })?;
    Ok(checked.data)
}

/// A stored expression as DataFusion's logical one, over columns `c0`, `c1`, ….
pub(crate) fn to_df(expr: &Expr) -> Result<DfExpr, DataFusionError> {
    let boxed = |expr: &Expr| to_df(expr).map(Box::new);
    Ok(match expr {
        Expr::Column(at) => DfExpr::Column(Column::new_unqualified(format!("c{at}"))),
        Expr::Literal(literal) => DfExpr::Literal(scalar_value(literal)?, None),
        Expr::Binary { op, left, right } => {
            DfExpr::BinaryExpr(BinaryExpr::new(boxed(left)?, operator(*op), boxed(right)?))
        }
        Expr::Unary { op, operand } => {
            let operand = boxed(operand)?;
            match op {
                UnaryOp::Not => DfExpr::Not(operand),
                UnaryOp::Negative => DfExpr::Negative(operand),
                UnaryOp::IsNull => DfExpr::IsNull(operand),
                UnaryOp::IsNotNull => DfExpr::IsNotNull(operand),
                UnaryOp::IsTrue => DfExpr::IsTrue(operand),
                UnaryOp::IsFalse => DfExpr::IsFalse(operand),
                UnaryOp::IsUnknown => DfExpr::IsUnknown(operand),
                UnaryOp::IsNotTrue => DfExpr::IsNotTrue(operand),
                UnaryOp::IsNotFalse => DfExpr::IsNotFalse(operand),
                UnaryOp::IsNotUnknown => DfExpr::IsNotUnknown(operand),
            }
        }
        Expr::Case { operand, branches, otherwise } => DfExpr::Case(Case {
            expr: operand.as_deref().map(boxed).transpose()?,
            when_then_expr: branches
                .iter()
                .map(|(when, then)| Ok((boxed(when)?, boxed(then)?)))
                .collect::<Result<_, DataFusionError>>()?,
            else_expr: otherwise.as_deref().map(boxed).transpose()?,
        }),
        Expr::Cast { operand, to, or_null: false } => DfExpr::Cast(Cast::new(boxed(operand)?, data_type(*to))),
        Expr::Cast { operand, to, or_null: true } => DfExpr::TryCast(TryCast::new(boxed(operand)?, data_type(*to))),
        Expr::Call { function, arguments } => {
            let known = FUNCTIONS
                .get(function)
                .ok_or_else(|| DataFusionError::Plan(format!("no function \"{function}\" in this build")))?;
            let arguments = arguments.iter().map(to_df).collect::<Result<_, _>>()?;
            DfExpr::ScalarFunction(ScalarFunction::new_udf(known.clone(), arguments))
        }
        Expr::InList { operand, list, negated } => {
            let list = list.iter().map(to_df).collect::<Result<_, _>>()?;
            DfExpr::InList(InList::new(boxed(operand)?, list, *negated))
        }
        Expr::Like { operand, pattern, negated, case_insensitive, escape } => {
            DfExpr::Like(Like::new(*negated, boxed(operand)?, boxed(pattern)?, *escape, *case_insensitive))
        }
    })
}

fn operator(op: BinaryOp) -> Operator {
    OPERATORS.iter().find(|(ours, _)| *ours == op).expect("every operator is in the table").1
}

/// Our operator for DataFusion's, if it is one that a stream may use.
pub(crate) fn binary_op(op: Operator) -> Option<BinaryOp> {
    OPERATORS.iter().find(|(_, theirs)| *theirs == op).map(|(ours, _)| *ours)
}

const OPERATORS: [(BinaryOp, Operator); 25] = [
    (BinaryOp::Equal, Operator::Eq),
    (BinaryOp::NotEqual, Operator::NotEq),
    (BinaryOp::Less, Operator::Lt),
    (BinaryOp::LessOrEqual, Operator::LtEq),
    (BinaryOp::Greater, Operator::Gt),
    (BinaryOp::GreaterOrEqual, Operator::GtEq),
    (BinaryOp::Plus, Operator::Plus),
    (BinaryOp::Minus, Operator::Minus),
    (BinaryOp::Multiply, Operator::Multiply),
    (BinaryOp::Divide, Operator::Divide),
    (BinaryOp::Modulo, Operator::Modulo),
    (BinaryOp::And, Operator::And),
    (BinaryOp::Or, Operator::Or),
    (BinaryOp::IsDistinctFrom, Operator::IsDistinctFrom),
    (BinaryOp::IsNotDistinctFrom, Operator::IsNotDistinctFrom),
    (BinaryOp::RegexMatch, Operator::RegexMatch),
    (BinaryOp::RegexIMatch, Operator::RegexIMatch),
    (BinaryOp::RegexNotMatch, Operator::RegexNotMatch),
    (BinaryOp::RegexNotIMatch, Operator::RegexNotIMatch),
    (BinaryOp::BitAnd, Operator::BitwiseAnd),
    (BinaryOp::BitOr, Operator::BitwiseOr),
    (BinaryOp::BitXor, Operator::BitwiseXor),
    (BinaryOp::ShiftRight, Operator::BitwiseShiftRight),
    (BinaryOp::ShiftLeft, Operator::BitwiseShiftLeft),
    (BinaryOp::Concat, Operator::StringConcat),
];

const TYPES: [(Type, DataType); 25] = [
    (Type::String, DataType::Utf8),
    (Type::Boolean, DataType::Boolean),
    (Type::Int64, DataType::Int64),
    (Type::Float64, DataType::Float64),
    (Type::Timestamp, DataType::Timestamp(TimeUnit::Millisecond, None)),
    (Type::Date, DataType::Date32),
    (Type::Bytes, DataType::Binary),
    (Type::Null, DataType::Null),
    (Type::Int8, DataType::Int8),
    (Type::Int16, DataType::Int16),
    (Type::Int32, DataType::Int32),
    (Type::Uint8, DataType::UInt8),
    (Type::Uint16, DataType::UInt16),
    (Type::Uint32, DataType::UInt32),
    (Type::Uint64, DataType::UInt64),
    (Type::Float32, DataType::Float32),
    (Type::StringView, DataType::Utf8View),
    (Type::LargeString, DataType::LargeUtf8),
    (Type::TimestampSeconds, DataType::Timestamp(TimeUnit::Second, None)),
    (Type::TimestampMicros, DataType::Timestamp(TimeUnit::Microsecond, None)),
    (Type::TimestampNanos, DataType::Timestamp(TimeUnit::Nanosecond, None)),
    (Type::Interval, DataType::Interval(IntervalUnit::MonthDayNano)),
    (Type::DurationMillis, DataType::Duration(TimeUnit::Millisecond)),
    (Type::DurationSeconds, DataType::Duration(TimeUnit::Second)),
    (Type::DurationNanos, DataType::Duration(TimeUnit::Nanosecond)),
];

/// Arrow's type for ours.
pub(crate) fn data_type(of: Type) -> DataType {
    match of {
        Type::Decimal { precision, scale } => DataType::Decimal128(precision, scale),
        Type::DurationMicros => DataType::Duration(TimeUnit::Microsecond),
        Type::Time => DataType::Time64(TimeUnit::Nanosecond),
        _ => TYPES.iter().find(|(ours, _)| *ours == of).expect("every type is in the table").1.clone(),
    }
}

/// Our type for Arrow's, if expressions may have it.
pub(crate) fn type_of(data_type: &DataType) -> Option<Type> {
    match data_type {
        DataType::Decimal128(precision, scale) => Some(Type::Decimal { precision: *precision, scale: *scale }),
        DataType::Duration(TimeUnit::Microsecond) => Some(Type::DurationMicros),
        DataType::Time64(TimeUnit::Nanosecond) => Some(Type::Time),
        _ => TYPES.iter().find(|(_, theirs)| theirs == data_type).map(|(ours, _)| *ours),
    }
}

fn scalar_value(literal: &Literal) -> Result<ScalarValue, DataFusionError> {
    let bad = || DataFusionError::Plan(format!("literal {literal:?} does not fit its type"));
    Ok(match literal {
        Literal::Null(of) => ScalarValue::try_from(&data_type(*of))?,
        Literal::Boolean(value) => ScalarValue::Boolean(Some(*value)),
        Literal::Integer(of, value) => match of {
            Type::Int8 => ScalarValue::Int8(Some((*value).try_into().map_err(|_| bad())?)),
            Type::Int16 => ScalarValue::Int16(Some((*value).try_into().map_err(|_| bad())?)),
            Type::Int32 => ScalarValue::Int32(Some((*value).try_into().map_err(|_| bad())?)),
            Type::Uint8 => ScalarValue::UInt8(Some((*value).try_into().map_err(|_| bad())?)),
            Type::Uint16 => ScalarValue::UInt16(Some((*value).try_into().map_err(|_| bad())?)),
            Type::Uint32 => ScalarValue::UInt32(Some((*value).try_into().map_err(|_| bad())?)),
            Type::Uint64 => ScalarValue::UInt64(Some((*value).try_into().map_err(|_| bad())?)),
            Type::Int64 => ScalarValue::Int64(Some((*value).try_into().map_err(|_| bad())?)),
            _ => return Err(bad()),
        },
        Literal::Float32(bits) => ScalarValue::Float32(Some(f32::from_bits(*bits))),
        Literal::Float64(bits) => ScalarValue::Float64(Some(f64::from_bits(*bits))),
        Literal::Text(of, text) => match of {
            Type::StringView => ScalarValue::Utf8View(Some(text.clone())),
            Type::LargeString => ScalarValue::LargeUtf8(Some(text.clone())),
            _ => ScalarValue::Utf8(Some(text.clone())),
        },
        Literal::Bytes(hex) => {
            let byte =
                |at: usize| hex.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()).ok_or_else(bad);
            ScalarValue::Binary(Some((0..hex.len()).step_by(2).map(byte).collect::<Result<_, _>>()?))
        }
        Literal::Decimal { unscaled, precision, scale } => {
            ScalarValue::Decimal128(Some(unscaled.parse().map_err(|_| bad())?), *precision, *scale)
        }
        Literal::Instant(of, value) => match of {
            Type::Timestamp => ScalarValue::TimestampMillisecond(Some(*value), None),
            Type::TimestampSeconds => ScalarValue::TimestampSecond(Some(*value), None),
            Type::TimestampMicros => ScalarValue::TimestampMicrosecond(Some(*value), None),
            Type::TimestampNanos => ScalarValue::TimestampNanosecond(Some(*value), None),
            Type::Date => ScalarValue::Date32(Some((*value).try_into().map_err(|_| bad())?)),
            Type::DurationSeconds => ScalarValue::DurationSecond(Some(*value)),
            Type::DurationMillis => ScalarValue::DurationMillisecond(Some(*value)),
            Type::DurationMicros => ScalarValue::DurationMicrosecond(Some(*value)),
            Type::DurationNanos => ScalarValue::DurationNanosecond(Some(*value)),
            _ => return Err(bad()),
        },
        Literal::Interval { months, days, nanoseconds } => {
            ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(*months, *days, *nanoseconds)))
        }
    })
}

/// A constant as the program stores it, if its type is one of ours.
pub(crate) fn literal(value: &ScalarValue) -> Option<Literal> {
    let of = type_of(&value.data_type());
    if value.is_null() {
        return of.map(Literal::Null);
    }
    let integer = |value: i128| of.map(|of| Literal::Integer(of, value));
    let instant = |value: i64| of.map(|of| Literal::Instant(of, value));
    match value {
        ScalarValue::Boolean(Some(value)) => Some(Literal::Boolean(*value)),
        ScalarValue::Int8(Some(value)) => integer((*value).into()),
        ScalarValue::Int16(Some(value)) => integer((*value).into()),
        ScalarValue::Int32(Some(value)) => integer((*value).into()),
        ScalarValue::Int64(Some(value)) => integer((*value).into()),
        ScalarValue::UInt8(Some(value)) => integer((*value).into()),
        ScalarValue::UInt16(Some(value)) => integer((*value).into()),
        ScalarValue::UInt32(Some(value)) => integer((*value).into()),
        ScalarValue::UInt64(Some(value)) => integer((*value).into()),
        ScalarValue::Float32(Some(value)) => Some(Literal::Float32(value.to_bits())),
        ScalarValue::Float64(Some(value)) => Some(Literal::Float64(value.to_bits())),
        ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) | ScalarValue::LargeUtf8(Some(text)) => {
            of.map(|of| Literal::Text(of, text.clone()))
        }
        ScalarValue::Binary(Some(bytes)) => {
            Some(Literal::Bytes(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
        }
        ScalarValue::Decimal128(Some(value), precision, scale) => {
            Some(Literal::Decimal { unscaled: value.to_string(), precision: *precision, scale: *scale })
        }
        ScalarValue::TimestampSecond(Some(value), None)
        | ScalarValue::TimestampMillisecond(Some(value), None)
        | ScalarValue::TimestampMicrosecond(Some(value), None)
        | ScalarValue::TimestampNanosecond(Some(value), None)
        | ScalarValue::DurationSecond(Some(value))
        | ScalarValue::DurationMillisecond(Some(value))
        | ScalarValue::DurationMicrosecond(Some(value))
        | ScalarValue::DurationNanosecond(Some(value)) => instant(*value),
        ScalarValue::Date32(Some(value)) => instant((*value).into()),
        ScalarValue::IntervalMonthDayNano(Some(value)) => {
            Some(Literal::Interval { months: value.months, days: value.days, nanoseconds: value.nanoseconds })
        }
        ScalarValue::IntervalDayTime(Some(value)) => Some(Literal::Interval {
            months: 0,
            days: value.days,
            nanoseconds: i64::from(value.milliseconds) * 1_000_000,
        }),
        ScalarValue::IntervalYearMonth(Some(value)) => {
            Some(Literal::Interval { months: *value, days: 0, nanoseconds: 0 })
        }
        _ => None,
    }
}

/// `interval_times(interval, n)`: what SQL writes `n * INTERVAL …`.
pub(crate) static INTERVAL_TIMES: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(IntervalTimes::new())));

#[derive(Debug, PartialEq, Eq, Hash)]
struct IntervalTimes {
    signature: Signature,
}

impl IntervalTimes {
    fn new() -> Self {
        let arguments = vec![DataType::Interval(IntervalUnit::MonthDayNano), DataType::Int64];
        Self { signature: Signature::exact(arguments, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for IntervalTimes {
    fn name(&self) -> &str {
        "interval_times"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(DataType::Interval(IntervalUnit::MonthDayNano))
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let arrays = ColumnarValue::values_to_arrays(&call.args)?;
        let product = arrow::compute::kernels::numeric::mul(&arrays[0], &arrays[1])?;
        Ok(ColumnarValue::Array(product))
    }
}
