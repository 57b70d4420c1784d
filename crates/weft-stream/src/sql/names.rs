//! What names in SQL stand for: inputs, windows over them, functions.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, IntervalUnit, Schema as ArrowSchema, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DFSchema, DataFusionError, TableReference};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::builder::LogicalTableSource;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ContextProvider, ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{AggregateUDF, Expr, ExprSchemable, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF};
use datafusion::sql::sqlparser::ast::BinaryOperator;
use weft_model::schema::Schema;

use crate::codec::arrow_type;
use crate::ops::bind::{FUNCTIONS, INTERVAL_TIMES};

/// Names of one statement.
pub(crate) struct Names {
    /// Columns by table name: inputs and windows.
    pub(crate) tables: BTreeMap<String, Schema>,
    options: ConfigOptions,
    planners: Vec<Arc<dyn ExprPlanner>>,
}

static AGGREGATES: LazyLock<BTreeMap<String, Arc<AggregateUDF>>> = LazyLock::new(|| {
    let mut aggregates = BTreeMap::new();
    for function in datafusion::functions_aggregate::all_default_aggregate_functions() {
        for name in std::iter::once(function.name()).chain(function.aliases().iter().map(String::as_str)) {
            aggregates.insert(name.to_lowercase(), function.clone());
        }
    }
    aggregates
});

/// Marks "no such table" among DataFusion's errors.
pub(crate) const NO_TABLE: &str = "weft: no table ";

impl Names {
    pub(crate) fn new(tables: BTreeMap<String, Schema>) -> Self {
        let mut options = ConfigOptions::default();
        options.sql_parser.enable_ident_normalization = false;
        options.sql_parser.map_string_types_to_utf8view = false;
        let mut planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(IntervalPlanner)];
        planners.extend(SessionStateDefaults::default_expr_planners());
        Self { tables, options, planners }
    }
}

fn schema_of(schema: &Schema) -> SchemaRef {
    let fields: Vec<Field> = schema
        .columns
        .iter()
        .map(|column| Field::new(&column.name, arrow_type(column.column_type), column.nullable))
        .collect();
    Arc::new(ArrowSchema::new(fields))
}

impl ContextProvider for Names {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>, DataFusionError> {
        let missing = || DataFusionError::Plan(format!("{NO_TABLE}{}", name.table()));
        if name.schema().is_some() {
            return Err(DataFusionError::Plan(format!("{NO_TABLE}{name}")));
        }
        let schema = self.tables.get(name.table()).ok_or_else(missing)?;
        Ok(Arc::new(LogicalTableSource::new(schema_of(schema))))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.planners
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        FUNCTIONS.get(&name.to_lowercase()).cloned()
    }

    fn get_higher_order_meta(&self, _name: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        AGGREGATES.get(&name.to_lowercase()).cloned()
    }

    fn get_window_meta(&self, _name: &str) -> Option<Arc<WindowUDF>> {
        None
    }

    fn get_variable_type(&self, _names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.options
    }

    fn udf_names(&self) -> Vec<String> {
        FUNCTIONS.keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        AGGREGATES.keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        Vec::new()
    }
}

/// `n * INTERVAL '1' MINUTE`, which SQL has and DataFusion's operators lack.
#[derive(Debug)]
struct IntervalPlanner;

impl ExprPlanner for IntervalPlanner {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>, DataFusionError> {
        if expr.op != BinaryOperator::Multiply {
            return Ok(PlannerResult::Original(expr));
        }
        let is_interval = |of: &Expr| matches!(of.get_type(schema), Ok(DataType::Interval(IntervalUnit::MonthDayNano)));
        let (interval, number) = match (is_interval(&expr.left), is_interval(&expr.right)) {
            (true, false) => (expr.left, expr.right),
            (false, true) => (expr.right, expr.left),
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let number = number.cast_to(&DataType::Int64, schema)?;
        let call = ScalarFunction::new_udf(INTERVAL_TIMES.clone(), vec![interval, number]);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(call)))
    }
}
