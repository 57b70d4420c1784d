//! Stream–table join: each row meets the table's row of that key as of the row's event time. The task hands a row over
//! only once the table's time has passed the row's, so what is not found does not exist.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::datatypes::SchemaRef;
use datafusion::physical_expr::PhysicalExpr;
use weft_model::schema::Schema;

use super::batch::Batch;
use super::evaluate;
use super::table::Table;
use crate::codec::json::batch_of;
use crate::codec::{ordered, row};
use crate::error::TaskError;
use crate::state::State;

#[derive(Debug)]
pub(crate) struct TableJoin {
    pub(crate) id: String,
    pub(crate) key: Vec<usize>,
    pub(crate) left: bool,
    pub(crate) condition: Option<Arc<dyn PhysicalExpr>>,
    /// Columns of the table.
    pub(crate) table: Schema,
    /// Columns of the stream, then of the table.
    pub(crate) schema: SchemaRef,
}

impl TableJoin {
    pub(crate) fn push(
        &self,
        batch: &Batch,
        table: &mut Table,
        state: &State,
    ) -> Result<(Batch, Vec<(u32, String)>), TaskError> {
        let corrupt = || TaskError::Corrupt { what: "state", operator: self.id.clone() };
        let mut reader = row::RowReader::new(&self.table, batch.rows());
        let mut matched = vec![false; batch.rows()];
        let mut key = Vec::new();
        for (at, meta) in batch.meta.iter().enumerate() {
            key.clear();
            let null = self.key.iter().any(|&column| batch.columns.column(column).is_null(at));
            for &column in &self.key {
                ordered::push_cell(&mut key, batch.columns.column(column), at);
            }
            let found = if null { None } else { table.get(&key, meta.event_time, state)? };
            match found {
                Some(found) => {
                    reader.push(found).map_err(|_| corrupt())?;
                    matched[at] = true;
                }
                None => reader.push_nulls(),
            }
        }
        let table_columns = reader.finish();
        let both = self.joined(batch, table_columns.columns().to_vec());
        let Some(condition) = &self.condition else {
            if self.left {
                return Ok((both, Vec::new()));
            }
            return Ok((both.filter(&BooleanArray::from(matched)), Vec::new()));
        };
        // ON … AND condition: a row that does not meet it has no match.
        let evaluated = evaluate::evaluate(std::slice::from_ref(condition), &both.columns);
        let holds: &BooleanArray = arrow::array::AsArray::as_boolean(&evaluated.arrays[0]);
        let rows: Vec<u32> = match &evaluated.good {
            Some(rows) => rows.clone(),
            None => (0..u32::try_from(both.rows()).expect("a row number")).collect(),
        };
        let met: Vec<bool> = rows
            .iter()
            .enumerate()
            .map(|(at, &row)| matched[row as usize] && arrow::array::Array::is_valid(holds, at) && holds.value(at))
            .collect();
        let both = both.take(&rows);
        if !self.left {
            return Ok((both.filter(&BooleanArray::from(met)), evaluated.bad));
        }
        let unmet: BooleanArray = met.iter().map(|met| Some(!met)).collect();
        let left_columns = batch.columns.num_columns();
        let nulled: Vec<ArrayRef> = both.columns.columns()[left_columns..]
            .iter()
            .map(|array| arrow::compute::nullif(array, &unmet).expect("one flag per row"))
            .collect();
        let stream = Batch { columns: batch.take(&rows).columns, meta: both.meta };
        Ok((self.joined(&stream, nulled), evaluated.bad))
    }

    fn joined(&self, stream: &Batch, table: Vec<ArrayRef>) -> Batch {
        let mut arrays = stream.columns.columns().to_vec();
        arrays.extend(table);
        Batch { columns: batch_of(self.schema.clone(), arrays, stream.rows()), meta: stream.meta.clone() }
    }
}
