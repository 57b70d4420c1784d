//! Scalar expressions as the program stores them: a whitelist, typed where a type is not implied.

use serde::{Deserialize, Serialize};

/// A scalar expression over the columns of one operator's input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expr {
    /// A column by position.
    Column(usize),
    /// A constant.
    Literal(Literal),
    /// `left op right`.
    Binary {
        /// Operator.
        op: BinaryOp,
        /// Left side.
        left: Box<Expr>,
        /// Right side.
        right: Box<Expr>,
    },
    /// NOT, IS NULL and their like, and the minus sign.
    Unary {
        /// Operator.
        op: UnaryOp,
        /// Operand.
        operand: Box<Expr>,
    },
    /// CASE, with or without an operand.
    Case {
        /// Compared with every WHEN, if there is one.
        operand: Option<Box<Expr>>,
        /// WHEN, THEN.
        branches: Vec<(Expr, Expr)>,
        /// ELSE.
        otherwise: Option<Box<Expr>>,
    },
    /// CAST; a value that does not fit sends the row to `errors`, or gives null where `or_null`.
    Cast {
        /// What is cast.
        operand: Box<Expr>,
        /// To which type.
        to: Type,
        /// TRY_CAST.
        or_null: bool,
    },
    /// A scalar function, by its canonical name.
    Call {
        /// Name in lower case.
        function: String,
        /// Arguments.
        arguments: Vec<Expr>,
    },
    /// `operand [NOT] IN (…)`.
    InList {
        /// What is looked for.
        operand: Box<Expr>,
        /// Where.
        list: Vec<Expr>,
        /// NOT IN.
        negated: bool,
    },
    /// `operand [NOT] [I]LIKE pattern`.
    Like {
        /// Text.
        operand: Box<Expr>,
        /// Pattern.
        pattern: Box<Expr>,
        /// NOT LIKE.
        negated: bool,
        /// ILIKE.
        case_insensitive: bool,
        /// ESCAPE.
        escape: Option<char>,
    },
}

/// Two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "named as SQL has them")]
pub enum BinaryOp {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Plus,
    Minus,
    Multiply,
    Divide,
    Modulo,
    And,
    Or,
    IsDistinctFrom,
    IsNotDistinctFrom,
    RegexMatch,
    RegexIMatch,
    RegexNotMatch,
    RegexNotIMatch,
    BitAnd,
    BitOr,
    BitXor,
    ShiftRight,
    ShiftLeft,
    Concat,
}

/// One operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "named as SQL has them")]
pub enum UnaryOp {
    Not,
    Negative,
    IsNull,
    IsNotNull,
    IsTrue,
    IsFalse,
    IsUnknown,
    IsNotTrue,
    IsNotFalse,
    IsNotUnknown,
}

/// A constant with its type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Literal {
    /// NULL of a type.
    Null(Type),
    /// Truth.
    Boolean(bool),
    /// Any integer type; the value fits it.
    Integer(Type, i128),
    /// 32 bits, as its bits.
    Float32(u32),
    /// 64 bits, as its bits: JSON has no NaN.
    Float64(u64),
    /// UTF-8.
    Text(Type, String),
    /// Bytes, as hex.
    Bytes(String),
    /// `unscaled` × 10^−scale.
    Decimal {
        /// All digits, as text: JSON numbers end before 38 digits.
        unscaled: String,
        /// Digits in all.
        precision: u8,
        /// Digits after the point.
        scale: i8,
    },
    /// Days, milliseconds or other units since 1970, as the type says.
    Instant(Type, i64),
    /// Calendar interval.
    Interval {
        /// Months.
        months: i32,
        /// Days.
        days: i32,
        /// Nanoseconds.
        nanoseconds: i64,
    },
}

/// Types that an expression may have on its way; columns have only the first eight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "named as SQL and Arrow have them")]
pub enum Type {
    String,
    Boolean,
    Int64,
    Float64,
    Decimal {
        precision: u8,
        scale: i8,
    },
    /// Milliseconds since 1970, UTC.
    Timestamp,
    Date,
    Bytes,
    Null,
    Int8,
    Int16,
    Int32,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Float32,
    StringView,
    LargeString,
    TimestampSeconds,
    TimestampMicros,
    TimestampNanos,
    Interval,
    DurationSeconds,
    DurationMillis,
    DurationMicros,
    DurationNanos,
    Time,
}
