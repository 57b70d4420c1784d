//! Makes every plan one that can be stopped.
//!
//! A query's task is aborted at its deadline, which takes effect when the task next yields. Scans yield; a join may make
//! batch after batch without asking its inputs for more, or look at billions of pairs without making one. So:
//!
//! ```text
//!   operators that multiply rows   give a turn to others after a number of batches
//!   filters of nested-loop joins   fail once the deadline has passed
//! ```

use std::sync::Arc;
use std::time::Instant;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use datafusion::physical_expr::ScalarFunctionExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::NestedLoopJoinExec;
use datafusion::physical_plan::joins::utils::JoinFilter;

/// The last rule of every query.
#[derive(Debug)]
pub(crate) struct Stoppable {
    pub deadline: Instant,
}

impl PhysicalOptimizerRule for Stoppable {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let config = Arc::new(config.clone());
        let stoppable = |plan: Arc<dyn ExecutionPlan>| {
            let plan = match plan.downcast_ref::<NestedLoopJoinExec>() {
                Some(join) => self.filtered(join, &config)?,
                None => plan,
            };
            let multiplies = ["JoinExec", "RecursiveQueryExec", "UnnestExec"];
            if multiplies.iter().any(|name| plan.name().ends_with(name)) {
                return Ok(Transformed::yes(Arc::new(CooperativeExec::new(plan)) as Arc<dyn ExecutionPlan>));
            }
            Ok(Transformed::yes(plan))
        };
        plan.transform_up(stoppable).map(|done| done.data)
    }

    fn name(&self) -> &'static str {
        "Stoppable"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

impl Stoppable {
    fn filtered(&self, join: &NestedLoopJoinExec, config: &Arc<ConfigOptions>) -> Result<Arc<dyn ExecutionPlan>> {
        let filter = match join.filter() {
            None => None,
            Some(filter) => {
                let in_time = InTime { deadline: self.deadline, signature: Signature::any(1, Volatility::Volatile) };
                let checked = ScalarFunctionExpr::try_new(
                    Arc::new(ScalarUDF::from(in_time)),
                    vec![Arc::clone(filter.expression())],
                    filter.schema(),
                    Arc::clone(config),
                )?;
                let indices = filter.column_indices().to_vec();
                Some(JoinFilter::new(Arc::new(checked), indices, Arc::clone(filter.schema())))
            }
        };
        let projection = join.projection().as_ref().map(|projection| projection.to_vec());
        let (left, right) = (Arc::clone(join.left()), Arc::clone(join.right()));
        Ok(Arc::new(NestedLoopJoinExec::try_new(left, right, filter, join.join_type(), projection)?))
    }
}

/// Its argument, until the deadline.
#[derive(Debug, PartialEq, Eq, Hash)]
struct InTime {
    deadline: Instant,
    signature: Signature,
}

impl ScalarUDFImpl for InTime {
    fn name(&self) -> &'static str {
        "in_time"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, mut arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if Instant::now() > self.deadline {
            return Err(DataFusionError::External("the query's time is over".into()));
        }
        arguments.args.pop().ok_or_else(|| DataFusionError::Internal("in_time takes one argument".to_owned()))
    }
}
