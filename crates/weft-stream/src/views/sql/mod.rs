//! SQL over output ports: DataFusion as a batch engine on one snapshot, on threads of its own.
//!
//! ```text
//!   text ─► parse ─► one query, no files, no DDL, DML, COPY or SET ─► tables of this caller's eyes ─► plan
//!        ─► run on the SQL threads, within memory, rows, bytes, time ─► JSON rows + position of every port read
//! ```
//! A query that never ends is aborted at its deadline: the caller gets the named error at once, and the place it held is
//! free when its thread next yields (`stoppable`).

pub(crate) mod batch;
pub(crate) mod json;
mod stoppable;
pub(crate) mod table;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider};
use datafusion::error::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use futures::StreamExt;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use weft_model::name::PortId;
use weft_model::principal::Principal;
use weft_model::product::Status;
use weft_model::query::{Answer, QueryLimits, RowJson};

use super::Shared;
use super::error::{QueryError, ViewsError};
use super::port::PortView;
use stoppable::Stoppable;
use table::{PortTable, Scope};

/// Threads, memory and places of all SQL queries.
pub(crate) struct SqlEngine {
    /// `None` only while it is being dropped.
    threads: Option<Runtime>,
    environment: Arc<RuntimeEnv>,
    places: Arc<Semaphore>,
    bound: usize,
    wait: Duration,
    memory_bytes: usize,
    text_bytes: usize,
}

impl Drop for SqlEngine {
    fn drop(&mut self) {
        if let Some(threads) = self.threads.take() {
            // A stuck query must not hold up a shutdown, and a runtime may not be dropped on an async thread.
            threads.shutdown_background();
        }
    }
}

impl SqlEngine {
    pub(crate) fn new(options: &crate::config::ViewsOptions) -> Result<Self, ViewsError> {
        let threads = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(options.sql_threads.max(1))
            .max_blocking_threads(options.sql_queries.max(1) * 4)
            // DataFusion plans recursively.
            .thread_stack_size(8 << 20)
            .thread_name("weft-sql")
            .enable_time()
            .build()
            .map_err(|e| ViewsError::Threads { because: e.to_string() })?;
        let environment = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(GreedyMemoryPool::new(options.sql_memory_bytes)))
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
            .build_arc()
            .map_err(|e| ViewsError::Threads { because: e.to_string() })?;
        Ok(Self {
            threads: Some(threads),
            environment,
            places: Arc::new(Semaphore::new(options.sql_queries.max(1))),
            bound: options.sql_queries.max(1),
            wait: Duration::from_millis(options.wait_ms),
            memory_bytes: options.sql_memory_bytes,
            text_bytes: options.sql_text_bytes,
        })
    }

    /// Runs one query. It is refused before it reads anything if it names a port that this caller may not read.
    pub(crate) async fn run(
        &self,
        shared: Arc<Shared>,
        principal: &Principal,
        sql: &str,
        limits: QueryLimits,
    ) -> Result<Answer, QueryError> {
        if sql.len() > self.text_bytes {
            return Err(QueryError::TooManyBytes { bytes_max: self.text_bytes });
        }
        let busy = || QueryError::Busy { what: "sql_queries", bound: self.bound };
        let place = tokio::time::timeout(self.wait, Arc::clone(&self.places).acquire_owned()).await;
        let place = place.map_err(|_| busy())?.map_err(|_| busy())?;
        let deadline = Instant::now() + Duration::from_millis(limits.time_ms_max);
        let scope = Arc::new(Scope {
            snapshot: shared.database.snapshot(),
            deadline,
            time_ms_max: limits.time_ms_max,
            read: parking_lot::Mutex::default(),
            failed: parking_lot::Mutex::default(),
            shared: Arc::clone(&shared),
            principal: principal.clone(),
        });
        let context = self.context(&shared, &scope);
        let sql = sql.to_owned();
        let memory_bytes = self.memory_bytes;
        let threads = self.threads.as_ref().expect("present until dropped");
        let inner = Arc::clone(&scope);
        let mut query = threads.spawn(async move {
            let answer = execute(context, &inner, &sql, limits, memory_bytes).await;
            // The place is free when the query's last thread has left it, not when its caller has.
            drop(place);
            answer
        });
        match tokio::time::timeout_at(deadline.into(), &mut query).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(QueryError::BadSql { because: "the query failed inside the engine".to_owned() }),
            Err(_) => {
                query.abort();
                Err(QueryError::TooSlow { time_ms_max: limits.time_ms_max })
            }
        }
    }

    /// A session that knows the mesh's ports and nothing else.
    fn context(&self, shared: &Shared, scope: &Arc<Scope>) -> SessionContext {
        let mut config = SessionConfig::new()
            .with_target_partitions(1)
            .with_create_default_catalog_and_schema(false)
            .with_information_schema(false);
        let options = config.options_mut();
        // Both on purpose: unquoted names fold as in SQL, and there is one string type.
        options.sql_parser.enable_ident_normalization = true;
        options.sql_parser.map_string_types_to_utf8view = false;
        options.execution.time_zone = Some("UTC".to_owned());
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(Arc::clone(&self.environment))
            .with_default_features()
            .with_physical_optimizer_rule(Arc::new(Stoppable { deadline: scope.deadline }))
            .build();
        let context = SessionContext::new_with_state(state);
        for (domain, products) in tables(shared) {
            let catalog = MemoryCatalogProvider::new();
            for (product, ports) in products {
                let schema = MemorySchemaProvider::new();
                for (name, view) in ports {
                    let table = PortTable::new(view, Arc::clone(scope));
                    // Fails only for a name registered twice; the maps above have each once.
                    let _ = schema.register_table(name, Arc::new(table));
                }
                let _ = catalog.register_schema(&product, Arc::new(schema));
            }
            context.register_catalog(domain, Arc::new(catalog));
        }
        context
    }
}

type Tables = BTreeMap<String, BTreeMap<String, BTreeMap<String, Arc<PortView>>>>;

/// `"domain"."product"."port@1"` for every port, and `…"port"` for the newest active major, else the newest.
fn tables(shared: &Shared) -> Tables {
    let mut tables = Tables::new();
    let active: BTreeSet<PortId> = shared.active.read().clone();
    let mut newest: BTreeMap<(String, String, String), (bool, u32)> = BTreeMap::new();
    for (id, slot) in shared.ports.read().iter() {
        let Some(view) = slot.view.as_ref() else {
            continue;
        };
        let (domain, product) = (id.product.domain.to_string(), id.product.product.to_string());
        let ports = tables.entry(domain.clone()).or_default().entry(product.clone()).or_default();
        ports.insert(format!("{}@{}", id.port, id.major), Arc::clone(view));
        let rank = (active.contains(id), id.major);
        let best = newest.entry((domain, product, id.port.to_string())).or_insert(rank);
        if rank >= *best {
            *best = rank;
            ports.insert(id.port.to_string(), Arc::clone(view));
        }
    }
    tables
}

/// Is a product's port one that an unversioned name may mean?
pub(crate) fn is_active(status: Status) -> bool {
    matches!(status, Status::Active | Status::Deprecated)
}

enum Stop {
    Query(QueryError),
}

impl From<String> for Stop {
    fn from(because: String) -> Self {
        Self::Query(QueryError::BadSql { because })
    }
}

async fn execute(
    context: SessionContext,
    scope: &Scope,
    sql: &str,
    limits: QueryLimits,
    memory_bytes: usize,
) -> Result<Answer, QueryError> {
    let failed = |error: DataFusionError| -> QueryError {
        if let Some(ours) = scope.failed.lock().take() {
            return ours;
        }
        if Instant::now() >= scope.deadline {
            return QueryError::TooSlow { time_ms_max: scope.time_ms_max };
        }
        words::error(&error, memory_bytes)
    };
    let allowed = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let plan = context.state().create_logical_plan(sql).await.map_err(failed)?;
    allowed.verify_plan(&plan).map_err(|error| QueryError::NotAQuery { because: words::because(&error) })?;
    // The plan of a query is a query whose answer is a few rows; DataFusion wants it at the root, under no limit.
    let is_explained = matches!(plan, LogicalPlan::Explain(_));
    let frame = context.execute_logical_plan(plan).await.map_err(failed)?;
    let mut names = BTreeSet::new();
    for field in frame.schema().fields() {
        if !names.insert(field.name().clone()) {
            return Err(QueryError::BadSql {
                because: format!("two columns of the answer are named \"{}\"; rename one with AS", field.name()),
            });
        }
    }
    let frame =
        if is_explained { frame } else { frame.limit(0, Some(limits.rows_max.saturating_add(1))).map_err(failed)? };
    let mut batches = frame.execute_stream().await.map_err(failed)?;
    let mut rows: Vec<RowJson> = Vec::new();
    let mut bytes = 0;
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(failed)?;
        json::rows(&batch, &mut |row: RowJson| {
            if rows.len() == limits.rows_max {
                return Err(Stop::Query(QueryError::TooManyRows { rows_max: limits.rows_max }));
            }
            bytes += row.len() + 1;
            if bytes > limits.bytes_max {
                return Err(Stop::Query(QueryError::TooManyBytes { bytes_max: limits.bytes_max }));
            }
            rows.push(row);
            Ok(())
        })
        .map_err(|Stop::Query(error)| error)?;
    }
    let position = scope.read.lock().values().cloned().collect();
    Ok(Answer { rows, position, next: None })
}
