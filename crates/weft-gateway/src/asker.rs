//! Questions from inside the process, asked as a caller at the doors asks: in turn, within the same limits.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use weft_model::name::PortId;
use weft_model::principal::Principal;
use weft_model::query::{Answer, PullQuery};

use crate::audit;
use crate::config::Options;
use crate::error::{self, Problem, ViewError};
use crate::views::Views;

/// How long after a limit of time the doors stop a query that did not stop itself.
const BACKSTOP: Duration = Duration::from_millis(250);
/// The door of questions that pages ask for their viewer.
const PAGES: &str = "portal";

/// Asks the views for whoever serves answers in another form than the doors do, such as pages. Cheap to clone.
///
/// Turns are counted together with those of the doors, so that a second form of asking is not a way around a limit.
#[derive(Clone)]
pub struct Asker {
    options: Options,
    views: Arc<dyn Views>,
    pulls: Arc<Semaphore>,
    sqls: Arc<Semaphore>,
}

impl Asker {
    pub(crate) fn new(options: Options, views: Arc<dyn Views>) -> Self {
        let (pulls, sqls) = (Semaphore::new(options.pulls_max), Semaphore::new(options.sqls_max));
        Self { options, views, pulls: Arc::new(pulls), sqls: Arc::new(sqls) }
    }

    /// One page of one port. The caller has checked that the port exists and that the bounds fit its schema.
    pub async fn pull(&self, principal: &Principal, port: &PortId, query: PullQuery) -> Result<Answer, ViewError> {
        self.pull_in_turn(principal, PAGES, port, query).await.map_err(Problem::into_diagnostic)
    }

    /// One SQL query.
    pub async fn sql(&self, principal: &Principal, sql: &str) -> Result<Answer, ViewError> {
        self.sql_in_turn(principal, PAGES, sql).await.map_err(Problem::into_diagnostic)
    }

    /// For a caller at this door; what came of it is audited.
    pub(crate) async fn pull_in_turn(
        &self,
        principal: &Principal,
        door: &'static str,
        port: &PortId,
        query: PullQuery,
    ) -> Result<Answer, Problem> {
        let result = self.pull_within_limits(principal, port, query).await;
        audit::read(principal, door, "pull", &port.to_string(), &result);
        result
    }

    /// For a caller at this door; what came of it is audited.
    pub(crate) async fn sql_in_turn(
        &self,
        principal: &Principal,
        door: &'static str,
        sql: &str,
    ) -> Result<Answer, Problem> {
        let result = self.sql_within_limits(principal, sql).await;
        audit::read(principal, door, "sql", &audit::ports_of(&result, sql), &result);
        result
    }

    async fn pull_within_limits(
        &self,
        principal: &Principal,
        port: &PortId,
        query: PullQuery,
    ) -> Result<Answer, Problem> {
        let _turn = self.turn(&self.pulls, "pull query", self.options.pulls_max, "pulls_max").await?;
        let limits = self.options.pull;
        let work = self.views.pull(principal, port, query, limits);
        match tokio::time::timeout(Duration::from_millis(limits.time_ms_max) + BACKSTOP, work).await {
            Ok(answer) => Ok(answer?),
            Err(_) => {
                let try_ = "ask for fewer rows with `limit`, or for a narrower range";
                Err(error::too_slow("pull query", limits.time_ms_max, "pull.time_ms_max", try_))
            }
        }
    }

    async fn sql_within_limits(&self, principal: &Principal, sql: &str) -> Result<Answer, Problem> {
        let _turn = self.turn(&self.sqls, "SQL query", self.options.sqls_max, "sqls_max").await?;
        let limits = self.options.sql;
        let work = self.views.sql(principal, sql, limits);
        match tokio::time::timeout(Duration::from_millis(limits.time_ms_max) + BACKSTOP, work).await {
            Ok(answer) => Ok(answer?),
            Err(_) => {
                let try_ = "select by key or window, or let a data product compute it once for everyone";
                Err(error::too_slow("SQL query", limits.time_ms_max, "sql.time_ms_max", try_))
            }
        }
    }

    /// Waits for a turn, up to `queue_wait`.
    async fn turn(
        &self,
        turns: &Arc<Semaphore>,
        what: &str,
        limit: usize,
        option: &str,
    ) -> Result<OwnedSemaphorePermit, Problem> {
        match tokio::time::timeout(self.options.queue_wait, Arc::clone(turns).acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(error::busy(what, limit, option)),
        }
    }
}
