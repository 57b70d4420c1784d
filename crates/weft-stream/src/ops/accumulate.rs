//! Accumulators of one window and group. Sums of integers are exact until the result; an overflow is known before the
//! row is counted, so that the row can go to `errors` whole.

use std::cmp::Ordering;

use weft_model::json::Scalar;
use weft_model::schema::ColumnType;

use crate::ir::AggregateFunction;

/// How one aggregate accumulates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) function: AggregateFunction,
    /// Type of the argument; `COUNT(*)` has none.
    pub(crate) argument: Option<ColumnType>,
}

/// State of one aggregate of one group.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Accumulator {
    Count(i64),
    /// Rows and their sum, in the unit of the argument; decimals unscaled.
    Exact {
        rows: i64,
        sum: i128,
    },
    Float {
        rows: i64,
        sum: f64,
    },
    Extreme(Option<Scalar<'static>>),
}

const DECIMAL_MAX: i128 = 10_i128.pow(38) - 1;

impl Kind {
    pub(crate) fn start(self) -> Accumulator {
        match (self.function, self.argument) {
            (AggregateFunction::Count, _) => Accumulator::Count(0),
            (AggregateFunction::Min | AggregateFunction::Max, _) => Accumulator::Extreme(None),
            (_, Some(ColumnType::Float64)) => Accumulator::Float { rows: 0, sum: 0.0 },
            _ => Accumulator::Exact { rows: 0, sum: 0 },
        }
    }

    /// Would this value take the accumulator out of its result's type?
    pub(crate) fn overflows(self, accumulator: &Accumulator, value: &Scalar<'_>) -> bool {
        let Accumulator::Exact { sum, .. } = accumulator else { return false };
        let sum = match value {
            Scalar::Int64(value) => sum.checked_add(i128::from(*value)),
            Scalar::Decimal { unscaled, .. } => sum.checked_add(*unscaled),
            _ => Some(*sum),
        };
        match (self.function, self.argument, sum) {
            (_, _, None) => true,
            (AggregateFunction::Sum, Some(ColumnType::Int64), Some(sum)) => i64::try_from(sum).is_err(),
            (_, _, Some(sum)) => sum.abs() > DECIMAL_MAX,
        }
    }

    /// Adds a value; null adds nothing. `COUNT(*)` is given any value that is not null.
    pub(crate) fn add(self, accumulator: &mut Accumulator, value: &Scalar<'_>) {
        if matches!(value, Scalar::Null) {
            return;
        }
        match accumulator {
            Accumulator::Count(count) => *count += 1,
            Accumulator::Exact { rows, sum } => {
                *rows += 1;
                *sum += match value {
                    Scalar::Int64(value) => i128::from(*value),
                    Scalar::Decimal { unscaled, .. } => *unscaled,
                    other => panic!("sums are of numbers, not {other:?}"),
                };
            }
            Accumulator::Float { rows, sum } => {
                let Scalar::Float64(value) = value else { panic!("a float sum of {value:?}") };
                *rows += 1;
                *sum += value;
            }
            Accumulator::Extreme(extreme) => {
                let wanted = if self.function == AggregateFunction::Min { Ordering::Less } else { Ordering::Greater };
                if extreme.as_ref().is_none_or(|extreme| compare(value, extreme) == wanted) {
                    *extreme = Some(value.clone().into_owned());
                }
            }
        }
    }

    /// The aggregate's value.
    pub(crate) fn result(self, accumulator: &Accumulator) -> Scalar<'static> {
        match accumulator {
            Accumulator::Count(count) => Scalar::Int64(*count),
            Accumulator::Exact { rows: 0, .. } | Accumulator::Float { rows: 0, .. } => Scalar::Null,
            Accumulator::Exact { rows, sum } => match (self.function, self.argument) {
                #[expect(clippy::cast_precision_loss, reason = "the mean is a double; the sum was exact until here")]
                (AggregateFunction::Avg, _) => Scalar::Float64(*sum as f64 / *rows as f64),
                (_, Some(ColumnType::Decimal { scale, .. })) => Scalar::Decimal { unscaled: *sum, scale },
                _ => Scalar::Int64(i64::try_from(*sum).expect("overflow was refused")),
            },
            #[expect(clippy::cast_precision_loss, reason = "2^53 rows in one window are out of reach")]
            Accumulator::Float { rows, sum } if self.function == AggregateFunction::Avg => {
                Scalar::Float64(sum / *rows as f64)
            }
            Accumulator::Float { sum, .. } => Scalar::Float64(*sum),
            Accumulator::Extreme(None) => Scalar::Null,
            Accumulator::Extreme(Some(value)) => value.clone(),
        }
    }

    /// Appends the state's bytes.
    pub(crate) fn encode(self, accumulator: &Accumulator, out: &mut Vec<u8>) {
        match accumulator {
            Accumulator::Count(count) => out.extend_from_slice(&count.to_le_bytes()),
            Accumulator::Exact { rows, sum } => {
                out.extend_from_slice(&rows.to_le_bytes());
                out.extend_from_slice(&sum.to_le_bytes());
            }
            Accumulator::Float { rows, sum } => {
                out.extend_from_slice(&rows.to_le_bytes());
                out.extend_from_slice(&sum.to_le_bytes());
            }
            Accumulator::Extreme(value) => {
                let of = self.argument.expect("MIN and MAX have an argument");
                let mut builder = crate::codec::json::ColumnBuilder::new(of, 1);
                builder.push(value.as_ref().unwrap_or(&Scalar::Null));
                let start = out.len();
                out.extend_from_slice(&[0; 4]);
                crate::codec::row::encode_columns(&[builder.finish()], 0, out);
                let length = u32::try_from(out.len() - start - 4).expect("a value is smaller than 4 GiB");
                out[start..start + 4].copy_from_slice(&length.to_le_bytes());
            }
        }
    }

    /// Reads what `encode` wrote; none = not of this kind.
    pub(crate) fn decode(self, bytes: &mut &[u8]) -> Option<Accumulator> {
        fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
            let (head, rest) = bytes.split_first_chunk::<N>()?;
            *bytes = rest;
            Some(*head)
        }
        Some(match self.start() {
            Accumulator::Count(_) => Accumulator::Count(i64::from_le_bytes(take(bytes)?)),
            Accumulator::Exact { .. } => {
                Accumulator::Exact { rows: i64::from_le_bytes(take(bytes)?), sum: i128::from_le_bytes(take(bytes)?) }
            }
            Accumulator::Float { .. } => {
                Accumulator::Float { rows: i64::from_le_bytes(take(bytes)?), sum: f64::from_le_bytes(take(bytes)?) }
            }
            Accumulator::Extreme(_) => {
                let length = u32::from_le_bytes(take(bytes)?) as usize;
                let (row, rest) = bytes.split_at_checked(length)?;
                *bytes = rest;
                let mut cells = crate::codec::row::read(row, &[self.argument?]).ok()?;
                match cells.pop()? {
                    Scalar::Null => Accumulator::Extreme(None),
                    value => Accumulator::Extreme(Some(value.into_owned())),
                }
            }
        })
    }
}

/// SQL order of two values of one type.
fn compare(left: &Scalar<'_>, right: &Scalar<'_>) -> Ordering {
    match (left, right) {
        (Scalar::String(left), Scalar::String(right)) => left.cmp(right),
        (Scalar::Boolean(left), Scalar::Boolean(right)) => left.cmp(right),
        (Scalar::Int64(left), Scalar::Int64(right)) | (Scalar::Timestamp(left), Scalar::Timestamp(right)) => {
            left.cmp(right)
        }
        (Scalar::Float64(left), Scalar::Float64(right)) => left.total_cmp(right),
        (Scalar::Decimal { unscaled: left, .. }, Scalar::Decimal { unscaled: right, .. }) => left.cmp(right),
        (Scalar::Date(left), Scalar::Date(right)) => left.cmp(right),
        (Scalar::Bytes(left), Scalar::Bytes(right)) => left.cmp(right),
        (left, right) => panic!("values of one column have one type: {left:?}, {right:?}"),
    }
}
