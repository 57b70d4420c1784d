//! DataFusion's bound plan → the graph, by whitelist.

mod aggregate;
mod join;
mod window_join;

use std::collections::BTreeSet;

use datafusion::common::{Column as DfColumn, DFSchema};
use datafusion::logical_expr::{Expr as DfExpr, LogicalPlan};
use weft_model::mesh::Mesh;
use weft_model::product::{InputPort, OutputPort, PortKind};
use weft_model::schema::{Column, ColumnType, Schema};

use super::expressions::{as_column, conjuncts, convert, typed};
use super::graph::{Edge, Facts, Graph, InWindow, Kind, LATER, Node};
use super::refuse::{Outcome, Refusal, refuse, suggestion};
use super::statements::{Statement, Tumble};
use crate::ir::OperatorKind;
use crate::ir::expr::{BinaryOp, Expr, UnaryOp};

/// Converts the plan of one statement.
pub(crate) struct Planner<'a> {
    pub(crate) mesh: &'a Mesh,
    pub(crate) inputs: &'a [InputPort],
    pub(crate) statement: &'a Statement,
    pub(crate) graph: &'a mut Graph,
}

/// Refused with the construct's name.
fn cannot(what: &str, why: &str, try_: &str) -> Box<Refusal> {
    refuse("SQL-015", format!("{what} cannot run on a stream here"), why, try_)
}

impl Planner<'_> {
    /// The node that gives the plan's rows, column for column.
    pub(crate) fn plan(&mut self, plan: &LogicalPlan) -> Outcome<Edge> {
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan.table_name.table()),
            LogicalPlan::SubqueryAlias(alias) => self.plan(&alias.input),
            LogicalPlan::Projection(projection) => {
                let input = self.plan(&projection.input)?;
                self.project(
                    input,
                    &projection.expr,
                    projection.input.schema(),
                    projection.schema.fields().iter().map(|field| field.name().clone()),
                )
            }
            LogicalPlan::Filter(filter) => self.filter(&filter.input, &filter.predicate),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Sort(_) => Err(refuse(
                "SQL-008",
                "a stream cannot be sorted",
                "ORDER BY needs the last row before the first may leave, and a stream has none",
                "leave it out; readers of a table sort what they pull",
            )
            .at("ORDER")),
            LogicalPlan::Limit(_) => Err(refuse(
                "SQL-008",
                "a stream cannot be cut after some rows",
                "which rows come first depends on the order they are read in, and that is not part of the data",
                "leave LIMIT out, or filter by a column",
            )
            .at("LIMIT")),
            LogicalPlan::Distinct(_) => Err(cannot(
                "SELECT DISTINCT",
                "it would have to remember every row for ever",
                "GROUP BY the columns within TUMBLE(…), or write to an upsert port keyed by them",
            )
            .at("DISTINCT")),
            LogicalPlan::Union(_) => {
                Err(cannot("UNION", "a port has one statement", "give each input a product of its own").at("UNION"))
            }
            LogicalPlan::Window(_) => {
                Err(cannot("OVER", "its frame has no bound in time", "use TUMBLE(…) and GROUP BY").at("OVER"))
            }
            LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) => {
                Err(cannot("a SELECT without FROM", "nothing ever comes in", "name an input in FROM"))
            }
            LogicalPlan::Subquery(_) => Err(cannot("a subquery", "it has no time", "write it as a join")),
            other => Err(cannot(&format!("\"{}\"", other.display()), "it is not one of the operators of a stream", "")),
        }
    }

    fn port(&self, name: &str) -> (&InputPort, &OutputPort) {
        let input = self.inputs.iter().find(|input| input.name == name).expect("names were resolved among the inputs");
        let port = self.mesh.port(&input.reads).expect("the mesh was validated: every input's port exists");
        (input, port)
    }

    fn scan(&mut self, name: &str) -> Outcome<Edge> {
        if let Some(tumble) = self.statement.tumbles.get(name) {
            return self.window(&tumble.clone());
        }
        let (input, port) = self.port(name);
        let (input_name, broadcast, updates) = (input.name.clone(), input.broadcast, port.kind == PortKind::Upsert);
        let position = |name: &String| port.schema.columns.iter().position(|column| column.name == *name);
        let mut facts = Facts { updates, direct: true, partitions: port.partitions, ..Facts::default() };
        if !port.adopted && !broadcast && !port.key.is_empty() {
            facts.partition_key = port.key.iter().map(position).collect();
        }
        if let Some(at) = port.event_time.as_ref().and_then(position) {
            facts.behind.insert(at, port.event_time_offset_ms);
            facts.clock.insert(at, port.event_time_offset_ms);
        }
        let columns = port.schema.clone();
        Ok(self.graph.add(Node {
            kind: Kind::Scan { input: input_name },
            from: Vec::new(),
            columns,
            salt: String::new(),
            facts,
        }))
    }

    fn window(&mut self, tumble: &Tumble) -> Outcome<Edge> {
        let (_, port) = self.port(&tumble.input);
        let known = port.schema.columns.iter().map(|column| column.name.as_str());
        if port.schema.column(&tumble.column).is_none() {
            let what = format!("input \"{}\" has no column \"{}\"", tumble.input, tumble.column);
            return Err(refuse(
                "SQL-003",
                what,
                "DESCRIPTOR names the column of event time",
                suggestion(&tumble.column, known),
            )
            .at("DESCRIPTOR"));
        }
        if port.event_time.as_deref() != Some(&tumble.column) || port.event_time_offset_ms != 0 {
            let because = match &port.event_time {
                Some(column) => format!("progress of port \"{}\" is declared for column \"{column}\"", port.id),
                None => format!("port \"{}\" has no event time, so its progress says nothing of any column", port.id),
            };
            let try_ =
                port.event_time.as_ref().map_or_else(String::new, |column| format!("write DESCRIPTOR({column})"));
            return Err(refuse(
                "SQL-014",
                format!("a window cannot follow column \"{}\"", tumble.column),
                because,
                try_,
            )
            .at("DESCRIPTOR"));
        }
        let input = tumble.input.clone();
        let scan = self.stream(&input)?;
        let node = self.graph.node(scan);
        let count = node.columns.columns.len();
        let mut columns = node.columns.clone();
        for name in ["window_start", "window_end"] {
            columns.columns.push(Column { name: name.to_owned(), column_type: ColumnType::Timestamp, nullable: false });
        }
        let mut facts = node.facts.clone();
        facts.window = Some(InWindow {
            start: BTreeSet::from([count]),
            end: BTreeSet::from([count + 1]),
            size_ms: tumble.size_ms,
            grace_ms: tumble.grace_ms,
        });
        let kind = Kind::Op(OperatorKind::Window { size_ms: tumble.size_ms });
        Ok(self.graph.add(Node { kind, from: vec![scan], columns, salt: String::new(), facts }))
    }

    /// A scan whose rows are events.
    fn stream(&mut self, name: &str) -> Outcome<Edge> {
        let scan = self.scan(name)?;
        self.events(scan)?;
        Ok(scan)
    }

    /// Refuses rows that are versions of a table's rows.
    fn events(&self, edge: Edge) -> Outcome<()> {
        if !self.graph.node(edge).facts.updates {
            return Ok(());
        }
        if let Kind::Scan { input } = &self.graph.node(edge).kind {
            return Err(refuse(
                "SQL-021",
                format!("input \"{input}\" is a table and cannot be read as a stream"),
                "its port is of kind upsert: a record replaces the one before, it is not one more event",
                "join it: FROM <stream> LEFT JOIN <table> ON …; pull queries read it directly",
            )
            .at(input.clone()));
        }
        Err(refuse(
            "SQL-018",
            "rows that still change cannot go into this",
            "EMIT CHANGES sends a row again whenever its window counts one more; joins and filters see rows that are over",
            "use EMIT FINAL, or filter before GROUP BY",
        ))
    }

    fn resolver<'s>(schema: &'s DFSchema) -> impl Fn(&DfColumn) -> Outcome<usize> + 's {
        move |column| {
            schema.index_of_column(column).map_err(|_| {
                let names: Vec<String> = schema.columns().iter().map(|column| column.name.clone()).collect();
                let what = format!("no column \"{}\" here", column.name);
                refuse(
                    "SQL-003",
                    what,
                    "the statement's inputs have none of that name",
                    suggestion(&column.name, names.iter().map(String::as_str)),
                )
                .at(&column.name)
            })
        }
    }

    fn project(
        &mut self,
        input: Edge,
        exprs: &[DfExpr],
        schema: &DFSchema,
        names: impl Iterator<Item = String>,
    ) -> Outcome<Edge> {
        let resolve = Self::resolver(schema);
        let mut columns = Vec::new();
        for (expr, name) in exprs.iter().zip(names) {
            columns.push((name, convert(expr, &resolve)?));
        }
        if !matches!(
            self.graph.node(input).kind,
            Kind::Op(OperatorKind::WindowAggregate { .. } | OperatorKind::Project { .. })
        ) {
            self.events(input)?;
        }
        self.projection(input, columns)
    }

    /// A projection to these columns; nullability is what the columns and functions say.
    fn projection(&mut self, input: Edge, exprs: Vec<(String, Expr)>) -> Outcome<Edge> {
        let node = self.graph.node(input);
        let mut columns = Vec::new();
        let mut expressions = Vec::new();
        let mut from = Vec::new();
        for (name, expr) in exprs {
            let (expr, column_type, nullable) = as_column(&expr, &node.columns).map_err(|refusal| refusal.at(&name))?;
            from.push(if let Expr::Column(at) = expr { Some(at) } else { None });
            columns.push(Column { name, column_type, nullable });
            expressions.push(expr);
        }
        let facts = node.facts.projected(&from);
        let facts = Facts { updates: self.updates(input), ..facts };
        let kind = Kind::Op(OperatorKind::Project { expressions });
        Ok(self.graph.add(Node { kind, from: vec![input], columns: Schema { columns }, salt: String::new(), facts }))
    }

    /// Do rows of this edge change?
    fn updates(&self, edge: Edge) -> bool {
        let node = self.graph.node(edge);
        match node.kind {
            Kind::Op(OperatorKind::WindowAggregate { .. }) => !edge.is_final,
            _ => node.facts.updates,
        }
    }

    fn filter(&mut self, input: &LogicalPlan, predicate: &DfExpr) -> Outcome<Edge> {
        let edge = self.plan(input)?;
        if self.updates(edge) {
            if matches!(self.graph.node(edge).kind, Kind::Scan { .. }) {
                self.events(edge)?;
            }
            return Err(refuse(
                "SQL-018",
                "HAVING cannot filter rows that still change",
                "a row that passed and then no longer does would have to be taken back",
                "use EMIT FINAL, or let readers filter",
            )
            .at("HAVING"));
        }
        let resolve = Self::resolver(input.schema());
        let predicate = convert(predicate, &resolve)?;
        self.keep(edge, predicate)
    }

    fn keep(&mut self, input: Edge, predicate: Expr) -> Outcome<Edge> {
        let node = self.graph.node(input);
        let (predicate, _, _) = typed(&predicate, &node.columns)?;
        let mut columns = node.columns.clone();
        let mut parts = Vec::new();
        conjuncts(predicate.clone(), &mut parts);
        for part in &parts {
            // What only a value can pass is not null behind the filter.
            match part {
                Expr::Unary { op: UnaryOp::IsNotNull, operand } => {
                    if let Expr::Column(at) = **operand {
                        columns.columns[at].nullable = false;
                    }
                }
                Expr::Binary { op, left, right } if strict(*op) => {
                    for side in [left, right] {
                        if let Expr::Column(at) = **side {
                            columns.columns[at].nullable = false;
                        }
                    }
                }
                _ => {}
            }
        }
        let facts = Facts { updates: self.updates(input), ..node.facts.clone() };
        let kind = Kind::Op(OperatorKind::Filter { predicate });
        Ok(self.graph.add(Node { kind, from: vec![input], columns, salt: String::new(), facts }))
    }

    fn late(&mut self, input: Edge, grace_ms: i64, window_ms: Option<i64>) -> Edge {
        let node = self.graph.node(input);
        if node.facts.late == Some((grace_ms, window_ms)) {
            return input;
        }
        let columns = node.columns.clone();
        let facts = Facts { late: Some((grace_ms, window_ms)), updates: false, ..node.facts.clone() };
        let kind = Kind::Op(OperatorKind::Late { grace_ms, window_ms });
        self.graph.add(Node { kind, from: vec![input], columns, salt: String::new(), facts })
    }

    fn rekey(&mut self, input: Edge, key: Vec<usize>, partitions: u32) -> Outcome<Edge> {
        // A projection of its own, so that pruning sends only what is needed.
        let all =
            self.graph.columns(input).iter().enumerate().map(|(at, column)| (column.name.clone(), Expr::Column(at)));
        let all = all.collect();
        let input = self.projection(input, all)?;
        let node = self.graph.node(input);
        let columns = node.columns.clone();
        let facts =
            Facts { partition_key: Some(key.clone()), partitions, direct: true, updates: false, ..node.facts.clone() };
        let kind = Kind::Op(OperatorKind::Rekey { key, destination: LATER });
        Ok(self.graph.add(Node { kind, from: vec![input], columns, salt: format!("partitions {partitions}"), facts }))
    }
}

/// Null in, null out, and null does not pass.
fn strict(op: BinaryOp) -> bool {
    matches!(
        op,
        BinaryOp::Equal
            | BinaryOp::NotEqual
            | BinaryOp::Less
            | BinaryOp::LessOrEqual
            | BinaryOp::Greater
            | BinaryOp::GreaterOrEqual
    )
}
