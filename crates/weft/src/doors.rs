//! What the doors ask for, answered by the other rooms: rows by the views, facts by the node.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use futures::future::BoxFuture;
use parking_lot::RwLock;
use weft_connect::SourceHandle;
use weft_gateway::{CatalogView, EventStream, KafkaDoor, Readiness, RunState, ViewError};
use weft_model::load::DescriptorTexts;
use weft_model::mesh::Mesh;
use weft_model::name::{PortId, ProductId};
use weft_model::principal::Principal;
use weft_model::query::{Answer, PullQuery, QueryLimits};
use weft_stream::views::{QueryError, Views};

use crate::status::source_state;

/// Rows for the doors.
pub(crate) struct Rows(pub(crate) Views);

/// Which door a question came through: its limits have keys of their own.
#[derive(Clone, Copy)]
enum Door {
    Pull,
    Sql,
    Stream,
}

fn of_stream(error: QueryError) -> ViewError {
    worded(error, Door::Stream, usize::MAX)
}

/// As the views word it, with the key of the bound that was met and what raises it.
fn worded(error: QueryError, door: Door, sql_bytes_max: usize) -> ViewError {
    let group = match door {
        Door::Pull => "http.pull",
        Door::Sql => "http.sql",
        Door::Stream => "views",
    };
    let key = match &error {
        QueryError::TooManyRows { .. } => Some(format!("{group}.rows_max")),
        // The text of a query and its answer are bounded by two keys.
        QueryError::TooManyBytes { bytes_max } if matches!(door, Door::Sql) && *bytes_max != sql_bytes_max => {
            Some("views.sql_text_bytes".to_owned())
        }
        QueryError::TooManyBytes { .. } => Some(format!("{group}.bytes_max")),
        QueryError::TooSlow { .. } => Some(format!("{group}.time_ms_max")),
        QueryError::OutOfMemory { .. } => Some("views.sql_memory_bytes".to_owned()),
        QueryError::SlowReader { .. } => Some("views.stream_stall_ms".to_owned()),
        QueryError::Busy { what: "sql_queries", .. } => Some("http.sqls_max".to_owned()),
        QueryError::Busy { what: "streams", .. } => Some("http.streams_max".to_owned()),
        QueryError::Busy { what, .. } => Some(format!("views.{what}")),
        QueryError::UnknownPort { .. }
        | QueryError::MayNotRead { .. }
        | QueryError::BadBound { .. }
        | QueryError::BadPageToken { .. }
        | QueryError::BadResumeToken { .. }
        | QueryError::NotAQuery { .. }
        | QueryError::BadSql { .. }
        | QueryError::Unavailable { .. }
        | QueryError::Index { .. } => None,
    };
    let mut diagnostic = error.diagnostic();
    if let Some(key) = key {
        diagnostic.because = format!("{}; that is the limit `{key}`", diagnostic.because);
        diagnostic.try_ = format!("{}; or raise `{key}` in weft.yaml and restart the node", diagnostic.try_);
    }
    Box::new(diagnostic)
}

impl weft_gateway::Views for Rows {
    fn pull<'a>(
        &'a self,
        principal: &'a Principal,
        port: &'a PortId,
        query: PullQuery,
        limits: QueryLimits,
    ) -> BoxFuture<'a, Result<Answer, ViewError>> {
        Box::pin(async move {
            self.0
                .pull(principal, port, query, limits)
                .await
                .map_err(|error| worded(error, Door::Pull, limits.bytes_max))
        })
    }

    fn sql<'a>(
        &'a self,
        principal: &'a Principal,
        sql: &'a str,
        limits: QueryLimits,
    ) -> BoxFuture<'a, Result<Answer, ViewError>> {
        Box::pin(async move {
            self.0.sql(principal, sql, limits).await.map_err(|error| worded(error, Door::Sql, limits.bytes_max))
        })
    }

    fn stream<'a>(
        &'a self,
        principal: &'a Principal,
        port: &'a PortId,
        resume: Option<String>,
    ) -> BoxFuture<'a, Result<EventStream, ViewError>> {
        Box::pin(async move {
            let events = self.0.stream(principal, port, resume).await.map_err(of_stream)?;
            Ok(events.map(|event| event.map_err(of_stream)).boxed())
        })
    }
}

/// What runs in this node, as the doors and the terminal see it.
#[derive(Default)]
pub(crate) struct Running {
    /// The mesh as this node runs it.
    pub(crate) mesh: Option<Arc<Mesh>>,
    /// Its standard descriptors as they were written.
    pub(crate) descriptors: Arc<DescriptorTexts>,
    /// Where Kafka clients start, and how.
    pub(crate) kafka: Option<KafkaDoor>,
    /// Generation of every port.
    pub(crate) generations: BTreeMap<PortId, u32>,
    /// Sources by product.
    pub(crate) sources: BTreeMap<ProductId, SourceHandle>,
    /// Sources that another node runs.
    pub(crate) elsewhere: BTreeMap<ProductId, RunState>,
    /// Products the engine runs: one word each, and a sentence where there is more to say.
    pub(crate) engine: BTreeMap<ProductId, RunState>,
}

/// Facts for the doors.
pub(crate) struct Facts(pub(crate) Arc<RwLock<Running>>);

impl CatalogView for Facts {
    fn mesh(&self) -> Option<Arc<Mesh>> {
        self.0.read().mesh.clone()
    }

    fn generation(&self, port: &PortId) -> Option<u32> {
        self.0.read().generations.get(port).copied()
    }

    fn descriptors(&self) -> Arc<DescriptorTexts> {
        Arc::clone(&self.0.read().descriptors)
    }

    fn kafka(&self) -> Option<KafkaDoor> {
        self.0.read().kafka.clone()
    }

    fn run_state(&self, product: &ProductId) -> Option<RunState> {
        let running = self.0.read();
        if let Some(source) = running.sources.get(product) {
            return Some(source_state(&source.status()));
        }
        running.engine.get(product).or_else(|| running.elsewhere.get(product)).cloned()
    }

    fn readiness(&self) -> Vec<Readiness> {
        let running = self.0.read();
        let mesh = match &running.mesh {
            Some(mesh) => Readiness {
                part: "mesh".to_owned(),
                ready: true,
                reason: format!("{} products of mesh \"{}\"", mesh.products.len(), mesh.id),
            },
            None => Readiness {
                part: "mesh".to_owned(),
                ready: false,
                reason: "the desired state has not been read yet".to_owned(),
            },
        };
        let stopped: Vec<String> = running
            .engine
            .iter()
            .filter(|(_, state)| state.state == "failed")
            .map(|(product, _)| product.to_string())
            .collect();
        let engine = Readiness {
            part: "engine".to_owned(),
            ready: stopped.is_empty(),
            reason: if stopped.is_empty() {
                format!("{} products run", running.engine.len())
            } else {
                format!("not running: {}", stopped.join(", "))
            },
        };
        vec![mesh, engine]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bound_is_named_by_its_key_in_weft_yaml() {
        use QueryError::{Busy, OutOfMemory, SlowReader, TooManyBytes, TooManyRows, TooSlow};
        let bytes_max = 16;
        for (error, door, key) in [
            (TooManyRows { rows_max: 5 }, Door::Sql, "http.sql.rows_max"),
            (TooManyRows { rows_max: 5 }, Door::Pull, "http.pull.rows_max"),
            (TooManyBytes { bytes_max }, Door::Sql, "http.sql.bytes_max"),
            (TooManyBytes { bytes_max: 7 }, Door::Sql, "views.sql_text_bytes"),
            (TooManyBytes { bytes_max }, Door::Pull, "http.pull.bytes_max"),
            (TooSlow { time_ms_max: 9 }, Door::Sql, "http.sql.time_ms_max"),
            (TooSlow { time_ms_max: 9 }, Door::Pull, "http.pull.time_ms_max"),
            (OutOfMemory { memory_bytes: 9 }, Door::Sql, "views.sql_memory_bytes"),
            (SlowReader { wait_ms: 9 }, Door::Stream, "views.stream_stall_ms"),
            (Busy { what: "sql_queries", bound: 4 }, Door::Sql, "http.sqls_max"),
            (Busy { what: "streams", bound: 4 }, Door::Stream, "http.streams_max"),
            (Busy { what: "readers", bound: 4 }, Door::Pull, "views.readers"),
        ] {
            assert!(weft_model::settings::key(key).is_some(), "{key}");
            let said = worded(error.clone(), door, bytes_max);
            assert!(said.because.starts_with(&error.to_string()), "{said}");
            assert!(said.because.ends_with(&format!("that is the limit `{key}`")), "{said}");
            assert!(said.try_.contains(&format!("raise `{key}` in weft.yaml")), "{said}");
        }
        let other = worded(QueryError::NotAQuery { because: "x".to_owned() }, Door::Sql, bytes_max);
        assert!(!other.because.contains("limit"), "{other}");
    }
}
