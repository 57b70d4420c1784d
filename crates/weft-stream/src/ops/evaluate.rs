//! Expressions over a batch; a row that cannot be computed is set aside without its neighbours.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::concat;
use arrow::datatypes::SchemaRef;
use datafusion::common::DataFusionError;
use datafusion::physical_expr::PhysicalExpr;

use super::batch::Batch;
use crate::codec::json::batch_of;

type Exprs = [Arc<dyn PhysicalExpr>];

/// Rows that could be computed, and the others with the reason.
pub(crate) struct Evaluated {
    /// One array per expression, over the good rows.
    pub(crate) arrays: Vec<ArrayRef>,
    /// Row numbers of the good rows; none = all.
    pub(crate) good: Option<Vec<u32>>,
    /// Row numbers and reasons.
    pub(crate) bad: Vec<(u32, String)>,
}

/// Evaluates all expressions over all rows. If anything fails the batch is halved until the failing rows stand alone.
pub(crate) fn evaluate(exprs: &Exprs, batch: &RecordBatch) -> Evaluated {
    if let Ok(arrays) = whole(exprs, batch) {
        return Evaluated { arrays, good: None, bad: Vec::new() };
    }
    let mut good = Vec::new();
    let mut bad = Vec::new();
    let mut pieces = Vec::new();
    halves(exprs, batch, 0, &mut pieces, &mut good, &mut bad);
    if pieces.is_empty() {
        pieces.push(whole(exprs, &batch.slice(0, 0)).unwrap_or_default());
    }
    let arrays = (0..exprs.len())
        .map(|at| {
            let parts: Vec<&dyn arrow::array::Array> =
                pieces.iter().filter_map(|piece| piece.get(at)).map(AsRef::as_ref).collect();
            concat(&parts).expect("pieces of one expression have one type")
        })
        .collect();
    Evaluated { arrays, good: Some(good), bad }
}

fn halves(
    exprs: &Exprs,
    batch: &RecordBatch,
    from: u32,
    pieces: &mut Vec<Vec<ArrayRef>>,
    good: &mut Vec<u32>,
    bad: &mut Vec<(u32, String)>,
) {
    let rows = batch.num_rows();
    let rows_u32 = u32::try_from(rows).expect("a batch has fewer than 2^32 rows");
    match whole(exprs, batch) {
        Ok(arrays) => {
            pieces.push(arrays);
            good.extend(from..from + rows_u32);
        }
        Err(error) if rows == 1 => bad.push((from, reason(&error))),
        Err(_) => {
            let middle = rows / 2;
            halves(exprs, &batch.slice(0, middle), from, pieces, good, bad);
            let from = from + u32::try_from(middle).expect("less than rows");
            halves(exprs, &batch.slice(middle, rows - middle), from, pieces, good, bad);
        }
    }
}

fn whole(exprs: &Exprs, batch: &RecordBatch) -> Result<Vec<ArrayRef>, DataFusionError> {
    exprs.iter().map(|expr| expr.evaluate(batch)?.into_array(batch.num_rows())).collect()
}

/// The innermost message, without the names of the layers it came through.
fn reason(error: &DataFusionError) -> String {
    let text = match error.find_root() {
        DataFusionError::ArrowError(error, _) => error.to_string(),
        other => other.strip_backtrace(),
    };
    let text = text.lines().next().unwrap_or_default();
    let mut text = text.trim();
    for prefix in ["Arrow error: ", "Arithmetic overflow: ", "Compute error: ", "Cast error: ", "Execution error: "] {
        text = text.strip_prefix(prefix).unwrap_or(text);
    }
    text.to_owned()
}

/// Computes columns; gives the good rows and the bad ones' numbers with reasons.
pub(crate) fn project(exprs: &Exprs, schema: &SchemaRef, batch: &Batch) -> (Batch, Vec<(u32, String)>) {
    let evaluated = evaluate(exprs, &batch.columns);
    let meta = match &evaluated.good {
        None => batch.meta.clone(),
        Some(rows) => rows.iter().map(|&row| batch.meta[row as usize]).collect(),
    };
    let columns = batch_of(schema.clone(), evaluated.arrays, meta.len());
    (Batch { columns, meta }, evaluated.bad)
}

/// Keeps rows for which the predicate is true; unknown is not true.
pub(crate) fn filter(predicate: &Arc<dyn PhysicalExpr>, batch: &Batch) -> (Batch, Vec<(u32, String)>) {
    let evaluated = evaluate(std::slice::from_ref(predicate), &batch.columns);
    let keep: &BooleanArray = evaluated.arrays[0].as_boolean();
    match evaluated.good {
        None => (batch.filter(keep), evaluated.bad),
        Some(rows) => (batch.take(&rows).filter(keep), evaluated.bad),
    }
}
