//! A port as a table of DataFusion: bounded, decoded lazily, only the wanted columns, and on upsert ports only the wanted
//! key range.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use fjall::Snapshot;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use weft_model::json::Scalar;
use weft_model::name::PortId;
use weft_model::principal::Principal;
use weft_model::query::Position;
use weft_model::schema::ColumnType;

use super::batch::{BatchBuilder, arrow_schema};
use crate::views::bounds::{KeyBound, KeyRange};
use crate::views::cell;
use crate::views::error::QueryError;
use crate::views::port::PortView;
use crate::views::reader::Flow;
use crate::views::{Shared, pull};

/// Rows per Arrow batch.
const BATCH_ROWS: usize = 4096;
/// Batches between a scan and the operator above it.
const BATCHES_AHEAD: usize = 2;

/// What all tables of one query share.
pub(crate) struct Scope {
    pub shared: Arc<Shared>,
    /// Who asks.
    pub principal: Principal,
    /// One snapshot of every index.
    pub snapshot: Snapshot,
    pub deadline: Instant,
    pub time_ms_max: u64,
    /// Ends of the append ports, fixed by the first scan of each; positions of all ports read.
    pub read: Mutex<BTreeMap<PortId, Position>>,
    /// The first failure of a scan, in our own words.
    pub failed: Mutex<Option<QueryError>>,
}

impl Scope {
    fn fail(&self, error: QueryError) -> DataFusionError {
        let text = error.to_string();
        self.failed.lock().get_or_insert(error);
        DataFusionError::External(text.into())
    }
}

/// One port in one query.
pub(crate) struct PortTable {
    pub view: Arc<PortView>,
    pub scope: Arc<Scope>,
    schema: SchemaRef,
}

impl PortTable {
    pub(crate) fn new(view: Arc<PortView>, scope: Arc<Scope>) -> Self {
        let schema = arrow_schema(&view.port.schema);
        Self { view, scope, schema }
    }

    /// The column and what an expression bounds it to, if it is a comparison of a bare column with a constant.
    fn bound(&self, expr: &Expr) -> Option<(String, KeyBound)> {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr else {
            return None;
        };
        let (column, op, literal) = match (left.as_ref(), right.as_ref()) {
            (Expr::Column(column), Expr::Literal(literal, _)) => (column, *op, literal),
            (Expr::Literal(literal, _), Expr::Column(column)) => (column, op.swap()?, literal),
            _ => return None,
        };
        let column_type = self.view.key_columns().find(|key| key.name == column.name)?.column_type;
        let value = cell::ordered(&literal_cell(literal, column_type)?);
        let after = || {
            let mut after = value.clone();
            after.push(0);
            after
        };
        let bound = match op {
            Operator::Eq => KeyBound::Equal(value),
            Operator::GtEq => KeyBound::Range(Some(value), None),
            Operator::Gt => KeyBound::Range(Some(after()), None),
            Operator::Lt => KeyBound::Range(None, Some(value)),
            Operator::LtEq => KeyBound::Range(None, Some(after())),
            _ => return None,
        };
        Some((column.name.clone(), bound))
    }

    fn key_range(&self, filters: &[Expr]) -> KeyRange {
        let mut bounds: BTreeMap<String, KeyBound> = BTreeMap::new();
        for filter in filters {
            let Some((name, bound)) = self.bound(filter) else {
                continue;
            };
            // The operator above tests every filter again, so a bound that is not taken costs time, never rows.
            let merged = match (bounds.remove(&name), bound) {
                (None, bound) | (Some(_), bound @ KeyBound::Equal(_)) => bound,
                (Some(equal @ KeyBound::Equal(_)), _) => equal,
                (Some(KeyBound::Range(from1, to1)), KeyBound::Range(from2, to2)) => {
                    KeyBound::Range(from1.or(from2), to1.or(to2))
                }
            };
            bounds.insert(name, merged);
        }
        let columns: Vec<_> = self.view.key_columns().collect();
        KeyRange::new(&columns, &bounds)
    }
}

/// A constant as a value of the column, if that is exact.
fn literal_cell(literal: &ScalarValue, column_type: ColumnType) -> Option<cell::Cell> {
    Some(match (literal, column_type) {
        (
            ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)),
            ColumnType::String,
        ) => Scalar::String(text.clone().into()),
        (ScalarValue::Int64(Some(value)), ColumnType::Int64) => Scalar::Int64(*value),
        (ScalarValue::TimestampMillisecond(Some(ms), _), ColumnType::Timestamp) => Scalar::Timestamp(*ms),
        (ScalarValue::Date32(Some(days)), ColumnType::Date) => Scalar::Date(*days),
        (ScalarValue::Boolean(Some(value)), ColumnType::Boolean) => Scalar::Boolean(*value),
        _ => return None,
    })
}

impl fmt::Debug for PortTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PortTable({})", self.view.port.id)
    }
}

#[async_trait]
impl TableProvider for PortTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let pushed = |filter: &&Expr| {
            if self.view.upsert() && self.bound(filter).is_some() {
                TableProviderFilterPushDown::Inexact
            } else {
                TableProviderFilterPushDown::Unsupported
            }
        };
        Ok(filters.iter().map(pushed).collect())
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        // Here the query is planned: none of its tables has been read.
        let checked = self.scope.shared.check(&self.scope.principal, &self.view.port.id);
        checked.map_err(|error| self.scope.fail(error))?;
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let projection = projection.cloned().unwrap_or(all);
        let schema = Arc::new(self.schema.project(&projection)?);
        let scan = PortScan {
            view: Arc::clone(&self.view),
            scope: Arc::clone(&self.scope),
            range: self.key_range(filters),
            projection,
            schema: Arc::clone(&schema),
        };
        let partitions: Vec<Arc<dyn PartitionStream>> = vec![Arc::new(scan)];
        Ok(Arc::new(StreamingTableExec::try_new(schema, partitions, None, None, false, limit)?))
    }
}

struct PortScan {
    view: Arc<PortView>,
    scope: Arc<Scope>,
    range: KeyRange,
    projection: Vec<usize>,
    schema: SchemaRef,
}

impl fmt::Debug for PortScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PortScan({})", self.view.port.id)
    }
}

type Out = mpsc::Sender<Result<RecordBatch>>;

impl PartitionStream for PortScan {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (out, batches) = mpsc::channel(BATCHES_AHEAD);
        let scan = Self {
            view: Arc::clone(&self.view),
            scope: Arc::clone(&self.scope),
            range: self.range.clone(),
            projection: self.projection.clone(),
            schema: Arc::clone(&self.schema),
        };
        // Scans end with the query: at the deadline, or when nobody takes their batches.
        tokio::spawn(async move {
            let scope = Arc::clone(&scan.scope);
            let refused = out.clone();
            if let Err(error) = scan.start(out).await {
                let _ = refused.send(Err(scope.fail(error))).await;
            }
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), ReceiverStream::new(batches)))
    }
}

impl PortScan {
    async fn start(self, out: Out) -> Result<(), QueryError> {
        let lease = if self.view.upsert() { None } else { Some(self.scope.shared.readers.lease().await?) };
        let done = tokio::task::spawn_blocking(move || match &lease {
            None => self.upsert(&out),
            Some(lease) => self.append(lease, &out),
        });
        done.await.unwrap_or_else(|_| Err(QueryError::Index { because: "a scan's thread ended".to_owned() }))
    }

    fn in_time(&self) -> Result<(), QueryError> {
        if Instant::now() > self.scope.deadline {
            return Err(QueryError::TooSlow { time_ms_max: self.scope.time_ms_max });
        }
        Ok(())
    }

    /// Hands over what was collected; `false` = nobody wants more.
    fn flush(&self, builder: &mut BatchBuilder, out: &Out) -> bool {
        builder.rows == 0 || out.blocking_send(builder.finish().map_err(DataFusionError::from)).is_ok()
    }

    fn upsert(&self, out: &Out) -> Result<(), QueryError> {
        let index = self.view.index.as_ref().expect("an upsert port has an index");
        let snapshot = &self.scope.snapshot;
        let stamp = index.stamp(snapshot)?;
        let position = pull::position(&self.scope.shared, &self.view, stamp.offsets);
        self.scope.read.lock().insert(self.view.port.id.clone(), position);
        let mut builder = BatchBuilder::new(&self.view.port.schema, &self.projection, Arc::clone(&self.schema));
        for (at, entry) in index.scan(snapshot, &self.range.from, self.range.to.as_deref()).enumerate() {
            if at % BATCH_ROWS == 0 {
                self.in_time()?;
            }
            let (key, row) = entry?;
            if !self.range.holds(&key) {
                continue;
            }
            builder.push(&row).map_err(|because| QueryError::Index { because })?;
            if builder.rows == BATCH_ROWS && !self.flush(&mut builder, out) {
                return Ok(());
            }
        }
        self.flush(&mut builder, out);
        Ok(())
    }

    fn append(&self, lease: &crate::views::reader::Lease, out: &Out) -> Result<(), QueryError> {
        let bounds = lease.bounds(&self.view.port.topic, self.view.partitions)?;
        let ends: BTreeMap<u32, i64> = bounds.iter().map(|(partition, (_, end))| (*partition, *end)).collect();
        // A port that the query names twice is read to the same end twice.
        let ends = {
            let fresh = pull::position(&self.scope.shared, &self.view, ends);
            let mut read = self.scope.read.lock();
            read.entry(self.view.port.id.clone()).or_insert(fresh).offsets.clone()
        };
        let mut builder = BatchBuilder::new(&self.view.port.schema, &self.projection, Arc::clone(&self.schema));
        for (partition, (start, _)) in bounds {
            let to = ends.get(&partition).copied().unwrap_or(start);
            let mut gone = false;
            let mut each = |record: crate::views::reader::Record<'_>| {
                let pushed = record.value.ok_or_else(|| "a null value".to_owned()).and_then(|v| builder.push(v));
                if let Err(because) = pushed {
                    self.view.count_bad(partition, record.offset, &because);
                }
                if builder.rows == BATCH_ROWS {
                    gone = !self.flush(&mut builder, out);
                }
                Ok(if gone { Flow::Enough } else { Flow::More })
            };
            let topic = &self.view.port.topic;
            let (deadline, time_ms_max) = (self.scope.deadline, self.scope.time_ms_max);
            lease.read(topic, partition, (start, to), deadline, time_ms_max, &mut each)?;
            if gone {
                return Ok(());
            }
        }
        self.flush(&mut builder, out);
        Ok(())
    }
}
