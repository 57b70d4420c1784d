//! DataFusion's bound plan → the graph, by whitelist.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::common::{Column as DfColumn, DFSchema, JoinType};
use datafusion::logical_expr::{Aggregate as DfAggregate, Expr as DfExpr, Join, LogicalPlan};
use weft_model::mesh::Mesh;
use weft_model::product::{InputPort, OutputPort, PortKind};
use weft_model::schema::{Column, ColumnType, Schema};

use super::expressions::{as_column, conjunction, conjuncts, convert, typed};
use super::graph::{Edge, Facts, Graph, InWindow, Kind, LATER, Node};
use super::refuse::{Outcome, Refusal, refuse, suggestion};
use super::statements::{Emit, Statement, Tumble};
use crate::ir::expr::{BinaryOp, Expr, Literal, Type, UnaryOp};
use crate::ir::{Aggregate, AggregateFunction, OperatorKind};

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

    fn aggregate(&mut self, aggregate: &DfAggregate) -> Outcome<Edge> {
        let input = self.plan(&aggregate.input)?;
        let node = self.graph.node(input);
        if matches!(node.kind, Kind::Scan { .. }) {
            self.events(input)?;
        }
        let Some(window) = node.facts.window.clone() else {
            return Err(refuse(
                "SQL-006",
                "GROUP BY on a stream needs a window",
                "without one a group is never complete and its state is never let go",
                "read FROM TUMBLE(TABLE input, DESCRIPTOR(column), INTERVAL '1' HOUR) and GROUP BY window_start, window_end, …",
            )
            .at("GROUP"));
        };
        let resolve = Self::resolver(aggregate.input.schema());
        // Where each output column of DataFusion's node is found in ours: window_start, window_end, groups, aggregates.
        let mut groups: Vec<(String, Expr)> = Vec::new();
        let mut output = Vec::new();
        let mut windowed = false;
        for expr in &aggregate.group_expr {
            let converted = convert(expr, &resolve)?;
            match converted {
                Expr::Column(at) if window.start.contains(&at) => {
                    windowed = true;
                    output.push(0);
                }
                Expr::Column(at) if window.end.contains(&at) => {
                    windowed = true;
                    output.push(1);
                }
                other => {
                    output.push(2 + groups.len());
                    groups.push((expr.schema_name().to_string(), other));
                }
            }
        }
        if !windowed {
            return Err(refuse(
                "SQL-006",
                "GROUP BY on a stream needs its window among the groups",
                "a group over all windows is never complete",
                "add window_start, window_end to GROUP BY",
            )
            .at("GROUP"));
        }
        let mut before: Vec<(String, Expr)> = groups.clone();
        let group: Vec<usize> = (0..groups.len()).collect();
        let mut aggregates = Vec::new();
        let place = |expr: Expr, name: String, before: &mut Vec<(String, Expr)>| -> usize {
            before.iter().position(|(_, known)| *known == expr).unwrap_or_else(|| {
                before.push((name, expr));
                before.len() - 1
            })
        };
        for expr in &aggregate.aggr_expr {
            let (function, argument, filter) = aggregate_call(expr, &resolve)?;
            let argument = argument.map(|expr| place(expr, "argument".to_owned(), &mut before));
            let filter = filter.map(|expr| place(expr, "filter".to_owned(), &mut before));
            let one = Aggregate { function, argument, filter };
            let at = aggregates.iter().position(|known| *known == one).unwrap_or_else(|| {
                aggregates.push(one);
                aggregates.len() - 1
            });
            output.push(2 + groups.len() + at);
        }
        let (size_ms, grace_ms) = (window.size_ms, window.grace_ms);
        let on_time = self.late(input, grace_ms, Some(size_ms));
        let mut narrow = self.projection(on_time, before)?;
        let facts = &self.graph.node(narrow).facts;
        let together = facts.partition_key.as_ref().is_some_and(|key| key.iter().all(|at| group.contains(at)));
        let partitions = facts.partitions;
        if partitions > 1 && !together {
            narrow = self.rekey(narrow, group.clone(), partitions)?;
        }
        let node = self.graph.node(narrow);
        let named = |name: &str| Column { name: name.to_owned(), column_type: ColumnType::Timestamp, nullable: false };
        let mut columns = vec![named("window_start"), named("window_end")];
        columns.extend(group.iter().map(|&at| node.columns.columns[at].clone()));
        for one in &aggregates {
            columns.push(result_column(one, &node.columns)?);
        }
        let behind = BTreeMap::from([(0, size_ms - 1), (1, -1)]);
        let mut identity = vec![BTreeSet::from([0, 1])];
        identity.extend((0..group.len()).map(|at| BTreeSet::from([2 + at])));
        let facts =
            Facts {
                updates: true,
                direct: false,
                partitions: node.facts.partitions,
                partition_key: node.facts.partition_key.as_ref().and_then(|key| {
                    key.iter().map(|at| Some(2 + group.iter().position(|column| column == at)?)).collect()
                }),
                behind,
                clock: BTreeMap::from([(1, -1)]),
                window: None,
                identity: Some(identity),
                late: None,
            };
        let kind = Kind::Op(OperatorKind::WindowAggregate { size_ms, grace_ms, group, aggregates, store: LATER });
        let mut edge =
            self.graph.add(Node { kind, from: vec![narrow], columns: Schema { columns }, salt: String::new(), facts });
        edge.is_final = self.statement.emit == Emit::Final;
        let names = aggregate.schema.fields().iter().map(|field| field.name().clone());
        let reordered = output.into_iter().zip(names).map(|(at, name)| (name, Expr::Column(at))).collect();
        self.projection(edge, reordered)
    }

    fn join(&mut self, join: &Join) -> Outcome<Edge> {
        let left_kind = match join.join_type {
            JoinType::Inner => false,
            JoinType::Left => true,
            other => {
                return Err(cannot(
                    &format!("{other} JOIN"),
                    "a stream is joined by INNER JOIN or LEFT JOIN, with the stream on the left",
                    "write the stream first and use LEFT JOIN",
                )
                .at("JOIN"));
            }
        };
        let left = self.plan(&join.left)?;
        let right = self.plan(&join.right)?;
        let left_count = self.graph.columns(left).len();
        let resolve = Self::resolver(&join.schema);
        let mut parts = Vec::new();
        for (on_left, on_right) in &join.on {
            let side = |expr: &DfExpr| convert(expr, &resolve);
            parts.push(Expr::Binary {
                op: BinaryOp::Equal,
                left: Box::new(side(on_left)?),
                right: Box::new(side(on_right)?),
            });
        }
        if let Some(filter) = &join.filter {
            conjuncts(convert(filter, &resolve)?, &mut parts);
        }
        let is_table = |edge: Edge| {
            let node = self.graph.node(edge);
            matches!(node.kind, Kind::Scan { .. }) && node.facts.updates
        };
        if is_table(left) {
            return Err(refuse(
                "SQL-015",
                "a join of a table with another input is not supported here",
                "the left side of a join is the stream whose rows come out",
                "write the stream first: FROM <stream> JOIN <table> ON …",
            )
            .at("JOIN"));
        }
        self.events_of_join(left)?;
        if is_table(right) {
            return self.table_join(left, right, left_count, parts, left_kind);
        }
        self.events_of_join(right)?;
        if left_kind {
            return Err(cannot(
                "LEFT JOIN of two streams",
                "a row without a match may leave only when its bounds have passed; that is not built yet",
                "use JOIN, or join with a table",
            )
            .at("JOIN"));
        }
        self.window_join(left, right, left_count, parts)
    }

    fn events_of_join(&self, edge: Edge) -> Outcome<()> {
        if self.updates(edge) { self.events(edge) } else { Ok(()) }
    }

    fn table_join(
        &mut self,
        left: Edge,
        right: Edge,
        left_count: usize,
        parts: Vec<Expr>,
        outer: bool,
    ) -> Outcome<Edge> {
        let Kind::Scan { input: name } = self.graph.node(right).kind.clone() else { panic!("a table is a scan") };
        let (input, port) = self.port(&name);
        let (broadcast, partitions, key_names) = (input.broadcast, port.partitions, port.key.clone());
        let key_columns: Vec<usize> = key_names
            .iter()
            .map(|name| port.schema.columns.iter().position(|column| column.name == *name).expect("validated"))
            .collect();
        let mut keys: Vec<Option<Expr>> = vec![None; key_columns.len()];
        let mut rest = Vec::new();
        for part in parts {
            let mut taken = false;
            if let Expr::Binary { op: BinaryOp::Equal, left: a, right: b } = &part {
                for (mine, theirs) in [(a, b), (b, a)] {
                    let theirs_column = match **theirs {
                        Expr::Column(at) if at >= left_count => Some(at - left_count),
                        _ => None,
                    };
                    let slot = theirs_column.and_then(|at| key_columns.iter().position(|&key| key == at));
                    if let Some(slot) = slot
                        && keys[slot].is_none()
                        && only_left(mine, left_count)
                    {
                        keys[slot] = Some((**mine).clone());
                        taken = true;
                        break;
                    }
                }
            }
            if !taken {
                rest.push(part);
            }
        }
        let missing: Vec<&str> =
            keys.iter().zip(&key_names).filter(|(key, _)| key.is_none()).map(|(_, name)| name.as_str()).collect();
        if !missing.is_empty() {
            return Err(refuse(
                "SQL-016",
                format!("the join with table \"{name}\" does not name its whole key"),
                format!(
                    "a row of the table is found by its key ({}); ON has no plain equality for: {}",
                    key_names.join(", "),
                    missing.join(", ")
                ),
                "add it to ON, with the table's column alone on its side and of the same type",
            )
            .at(name));
        }
        let keys: Vec<Expr> = keys.into_iter().flatten().collect();
        let late = self.late(left, 0, None);
        let (mut stream, key) = self.with_columns(late, keys)?;
        for (slot, &at) in key.iter().enumerate() {
            let (mine, theirs) = (&self.graph.columns(stream)[at], &self.graph.columns(right)[key_columns[slot]]);
            if mine.column_type != theirs.column_type {
                return Err(refuse(
                    "SQL-004",
                    format!("key column \"{}\" of table \"{name}\" is compared with another type", theirs.name),
                    "key bytes of two types never meet",
                    "CAST the stream's side to the type of the table's key",
                )
                .at(name));
            }
        }
        let facts = &self.graph.node(stream).facts;
        let placed = broadcast || (facts.partition_key.as_ref() == Some(&key) && facts.partitions == partitions);
        let alone = partitions == 1 && facts.partitions == 1;
        if !facts.direct || !(placed || alone) {
            let to = if broadcast { facts.partitions } else { partitions };
            stream = self.rekey(stream, key.clone(), to)?;
        }
        let node = self.graph.node(right);
        let table_columns = node.columns.clone();
        let facts = node.facts.clone();
        let store = if broadcast { None } else { Some(LATER) };
        let kind = Kind::Op(OperatorKind::Table { store });
        let table =
            self.graph.add(Node { kind, from: vec![right], columns: table_columns, salt: String::new(), facts });
        let stream_count = self.graph.columns(stream).len();
        let condition = conjunction(rest).map(|expr| shift_right(expr, left_count, stream_count));
        let mut columns = self.graph.node(stream).columns.clone();
        columns.columns.extend(
            self.graph
                .columns(table)
                .iter()
                .map(|column| Column { nullable: column.nullable || outer, ..column.clone() }),
        );
        let condition = condition.map(|expr| typed(&expr, &columns).map(|(expr, ..)| expr)).transpose()?;
        let facts = Facts { updates: false, ..self.graph.node(stream).facts.clone() };
        let kind = Kind::Op(OperatorKind::TableJoin { key, left: outer, condition });
        let both = self.graph.add(Node { kind, from: vec![stream, table], columns, salt: String::new(), facts });
        self.without_extra(both, left_count, stream_count)
    }

    /// The input with these expressions as columns behind its own, where they are not plain columns already.
    fn with_columns(&mut self, input: Edge, exprs: Vec<Expr>) -> Outcome<(Edge, Vec<usize>)> {
        if exprs.iter().all(|expr| matches!(expr, Expr::Column(_))) {
            let places = exprs.iter().map(|expr| if let Expr::Column(at) = expr { *at } else { 0 }).collect();
            return Ok((input, places));
        }
        let own = self.graph.columns(input);
        let mut columns: Vec<(String, Expr)> =
            own.iter().enumerate().map(|(at, column)| (column.name.clone(), Expr::Column(at))).collect();
        let mut places = Vec::new();
        for expr in exprs {
            match expr {
                Expr::Column(at) => places.push(at),
                expr => {
                    places.push(columns.len());
                    columns.push(("key".to_owned(), expr));
                }
            }
        }
        Ok((self.projection(input, columns)?, places))
    }

    /// Drops the key columns that were added on the left of a join, so that columns are where DataFusion has them.
    fn without_extra(&mut self, both: Edge, left_count: usize, stream_count: usize) -> Outcome<Edge> {
        if left_count == stream_count {
            return Ok(both);
        }
        let columns = self.graph.columns(both);
        let kept = columns
            .iter()
            .enumerate()
            .filter(|(at, _)| *at < left_count || *at >= stream_count)
            .map(|(at, column)| (column.name.clone(), Expr::Column(at)))
            .collect();
        self.projection(both, kept)
    }

    fn window_join(&mut self, left: Edge, right: Edge, left_count: usize, parts: Vec<Expr>) -> Outcome<Edge> {
        let mut keys = Vec::new();
        let mut rest = Vec::new();
        let (mut lower, mut upper): (Option<i64>, Option<i64>) = (None, None);
        let clock = |at: usize| -> Option<(usize, i64)> {
            let (side, edge, at) = if at < left_count { (0, left, at) } else { (1, right, at - left_count) };
            self.graph.node(edge).facts.clock.get(&at).map(|&offset| (side, offset))
        };
        for part in parts {
            if let Expr::Binary { op, left: a, right: b } = &part {
                if *op == BinaryOp::Equal {
                    let pair = if only_left(a, left_count) && only_right(b, left_count) {
                        Some((a, b))
                    } else if only_left(b, left_count) && only_right(a, left_count) {
                        Some((b, a))
                    } else {
                        None
                    };
                    if let Some((mine, theirs)) = pair {
                        keys.push(((**mine).clone(), shift_right((**theirs).clone(), left_count, 0)));
                        continue;
                    }
                }
                // side.time + a  op  other.time + b   bounds the difference right − left
                if let (Some((a_side, a_ms)), Some((b_side, b_ms))) = (instant(a, &clock), instant(b, &clock))
                    && a_side != b_side
                {
                    let turned = if a_side == 1 { Some(*op) } else { turn(*op) };
                    let distance = if a_side == 1 { b_ms - a_ms } else { a_ms - b_ms };
                    let bound = |value: &mut Option<i64>, new: i64, keep: fn(i64, i64) -> i64| {
                        *value = Some(value.map_or(new, |old| keep(old, new)));
                    };
                    let known = match turned {
                        Some(BinaryOp::Greater) => Some((Some(distance + 1), None)),
                        Some(BinaryOp::GreaterOrEqual) => Some((Some(distance), None)),
                        Some(BinaryOp::Less) => Some((None, Some(distance - 1))),
                        Some(BinaryOp::LessOrEqual) => Some((None, Some(distance))),
                        Some(BinaryOp::Equal) => Some((Some(distance), Some(distance))),
                        _ => None,
                    };
                    if let Some((low, high)) = known {
                        if let Some(low) = low {
                            bound(&mut lower, low, i64::max);
                        }
                        if let Some(high) = high {
                            bound(&mut upper, high, i64::min);
                        }
                        continue;
                    }
                }
            }
            rest.push(part);
        }
        let (Some(lower_ms), Some(upper_ms)) = (lower, upper) else {
            let side = if lower.is_none() && upper.is_none() {
                "neither a least nor a greatest"
            } else if lower.is_none() {
                "no least"
            } else {
                "no greatest"
            };
            return Err(refuse(
                "SQL-009",
                "the join of two streams has no bounds of time",
                format!("ON gives {side} difference of their event times, so every row would have to be kept for ever"),
                "add to ON: b.<time> > a.<time> AND b.<time> <= a.<time> + INTERVAL '3' HOUR",
            )
            .at("JOIN"));
        };
        if keys.is_empty() {
            return Err(cannot(
                "a join of two streams without an equality",
                "rows that meet must come to the same task, and a key decides which",
                "add an equality of two columns to ON",
            )
            .at("JOIN"));
        }
        let (left_keys, right_keys): (Vec<Expr>, Vec<Expr>) = keys.into_iter().unzip();
        let left = self.late(left, 0, None);
        let right = self.late(right, 0, None);
        let (mut left, left_key) = self.with_columns(left, left_keys)?;
        let right_count = self.graph.columns(right).len();
        let (mut right, right_key) = self.with_columns(right, right_keys)?;
        for (&mine, &theirs) in left_key.iter().zip(&right_key) {
            let (mine, theirs) = (&self.graph.columns(left)[mine], &self.graph.columns(right)[theirs]);
            if mine.column_type != theirs.column_type {
                return Err(refuse(
                    "SQL-004",
                    format!("columns \"{}\" and \"{}\" are compared and have different types", mine.name, theirs.name),
                    "key bytes of two types never meet",
                    "CAST one side to the type of the other",
                )
                .at(theirs.name.clone()));
            }
        }
        let partitions = self.graph.node(left).facts.partitions.max(self.graph.node(right).facts.partitions);
        for (side, key) in [(&mut left, &left_key), (&mut right, &right_key)] {
            let facts = &self.graph.node(*side).facts;
            let placed = facts.direct
                && facts.partitions == partitions
                && (partitions == 1 || facts.partition_key.as_ref() == Some(key));
            if !placed {
                *side = self.rekey(*side, key.clone(), partitions)?;
            }
        }
        let (left_wide, right_wide) = (self.graph.columns(left).len(), self.graph.columns(right).len());
        let condition = conjunction(rest).map(|expr| shift_right(expr, left_count, left_wide));
        let mut columns = self.graph.node(left).columns.clone();
        columns.columns.extend(self.graph.columns(right).iter().cloned());
        let condition = condition.map(|expr| typed(&expr, &columns).map(|(expr, ..)| expr)).transpose()?;
        let (left_facts, right_facts) = (&self.graph.node(left).facts, &self.graph.node(right).facts);
        let mut behind = BTreeMap::new();
        // The row that comes last is at or after the time; the other may be as far behind as the bounds allow.
        for (&at, &offset) in &left_facts.clock {
            behind.insert(at, offset + upper_ms.max(0));
        }
        for (&at, &offset) in &right_facts.clock {
            behind.insert(left_wide + at, offset + (-lower_ms).max(0));
        }
        let facts = Facts {
            direct: false,
            partitions,
            partition_key: left_facts.partition_key.clone(),
            behind,
            ..Facts::default()
        };
        let kind = Kind::Op(OperatorKind::WindowJoin {
            left_key,
            right_key,
            lower_ms,
            upper_ms,
            grace_ms: 0,
            condition,
            store: LATER,
        });
        let both = self.graph.add(Node { kind, from: vec![left, right], columns, salt: String::new(), facts });
        if left_wide == left_count && right_wide == right_count {
            return Ok(both);
        }
        let kept = self
            .graph
            .columns(both)
            .iter()
            .enumerate()
            .filter(|(at, _)| *at < left_count || (*at >= left_wide && *at < left_wide + right_count))
            .map(|(at, column)| (column.name.clone(), Expr::Column(at)))
            .collect();
        self.projection(both, kept)
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

fn turn(op: BinaryOp) -> Option<BinaryOp> {
    Some(match op {
        BinaryOp::Less => BinaryOp::Greater,
        BinaryOp::LessOrEqual => BinaryOp::GreaterOrEqual,
        BinaryOp::Greater => BinaryOp::Less,
        BinaryOp::GreaterOrEqual => BinaryOp::LessOrEqual,
        BinaryOp::Equal => BinaryOp::Equal,
        _ => return None,
    })
}

fn only_left(expr: &Expr, left_count: usize) -> bool {
    let (mut any, mut all) = (false, true);
    super::expressions::columns_of(expr, &mut |at| {
        any = true;
        all &= at < left_count;
    });
    any && all
}

fn only_right(expr: &Expr, left_count: usize) -> bool {
    let (mut any, mut all) = (false, true);
    super::expressions::columns_of(expr, &mut |at| {
        any = true;
        all &= at >= left_count;
    });
    any && all
}

/// Columns from `left_count` on move to start at `to`.
fn shift_right(mut expr: Expr, left_count: usize, to: usize) -> Expr {
    super::expressions::map_columns(&mut expr, &mut |at| if at >= left_count { at - left_count + to } else { at });
    expr
}

/// An expression as event time of one side plus milliseconds.
fn instant(expr: &Expr, clock: &dyn Fn(usize) -> Option<(usize, i64)>) -> Option<(usize, i64)> {
    match expr {
        // The column is event time less its offset.
        Expr::Column(at) => clock(*at).map(|(side, offset)| (side, -offset)),
        Expr::Cast { operand, to: Type::Timestamp | Type::TimestampMicros | Type::TimestampNanos, or_null: false } => {
            instant(operand, clock)
        }
        Expr::Binary { op: BinaryOp::Plus, left, right } => match (instant(left, clock), length(right)) {
            (Some((side, ms)), Some(by)) => Some((side, ms.checked_add(by)?)),
            _ => {
                let ((side, ms), by) = (instant(right, clock)?, length(left)?);
                Some((side, ms.checked_add(by)?))
            }
        },
        Expr::Binary { op: BinaryOp::Minus, left, right } => {
            let ((side, ms), by) = (instant(left, clock)?, length(right)?);
            Some((side, ms.checked_sub(by)?))
        }
        _ => None,
    }
}

/// An interval of fixed length in milliseconds.
fn length(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Literal(Literal::Interval { months: 0, days, nanoseconds }) if nanoseconds % 1_000_000 == 0 => {
            i64::from(*days).checked_mul(86_400_000)?.checked_add(nanoseconds / 1_000_000)
        }
        Expr::Call { function, arguments } if function == "interval_times" => match arguments.as_slice() {
            [interval, Expr::Literal(Literal::Integer(_, times))] => {
                length(interval)?.checked_mul(i64::try_from(*times).ok()?)
            }
            _ => None,
        },
        _ => None,
    }
}

type Call = (AggregateFunction, Option<Expr>, Option<Expr>);

fn aggregate_call(expr: &DfExpr, resolve: &dyn Fn(&DfColumn) -> Outcome<usize>) -> Outcome<Call> {
    let call = match expr {
        DfExpr::Alias(alias) => return aggregate_call(&alias.expr, resolve),
        DfExpr::AggregateFunction(call) => call,
        other => return Err(cannot(&format!("\"{other}\""), "it is not an aggregate", "")),
    };
    let name = call.func.name();
    let not_built = |what: String| {
        refuse(
            "SQL-019",
            what,
            "over streams there are COUNT, SUM, AVG, MIN and MAX, each with FILTER (WHERE …) if you like",
            "express it by these, with CASE inside",
        )
        .at(name)
    };
    let function = match name {
        "count" => AggregateFunction::Count,
        "sum" => AggregateFunction::Sum,
        "avg" => AggregateFunction::Avg,
        "min" => AggregateFunction::Min,
        "max" => AggregateFunction::Max,
        _ => return Err(not_built(format!("aggregate {name} is not supported"))),
    };
    if call.params.distinct {
        return Err(not_built(format!("{name}(DISTINCT …) is not supported")));
    }
    if !call.params.order_by.is_empty() || call.params.args.len() > 1 {
        return Err(not_built(format!("{name} with more than one argument or ORDER BY is not supported")));
    }
    let filter = call.params.filter.as_deref().map(|filter| convert(filter, resolve)).transpose()?;
    let argument = match call.params.args.first() {
        None => None,
        Some(argument) => match (function, convert(argument, resolve)?) {
            (AggregateFunction::Count, Expr::Literal(literal)) if !matches!(literal, Literal::Null(_)) => None,
            // DataFusion casts integers before the mean; ours keeps them exact until the division.
            (AggregateFunction::Avg, Expr::Cast { operand, to: Type::Float64, or_null: false })
                if matches!(*operand, Expr::Column(_)) =>
            {
                Some(*operand)
            }
            (_, other) => Some(other),
        },
    };
    Ok((function, argument, filter))
}

fn result_column(one: &Aggregate, columns: &Schema) -> Outcome<Column> {
    let argument = one.argument.map(|at| &columns.columns[at]);
    let wrong = |column_type: ColumnType| {
        refuse(
            "SQL-004",
            format!("{:?} cannot take {}", one.function, weft_model::contract::type_name(column_type)),
            "sums and means are of integers, numbers and (sums) decimals",
            "CAST the argument",
        )
    };
    let (column_type, nullable) = match (one.function, argument.map(|column| column.column_type)) {
        (AggregateFunction::Count, _) => (ColumnType::Int64, false),
        (AggregateFunction::Min | AggregateFunction::Max, Some(of)) => (of, true),
        (AggregateFunction::Sum, Some(of @ (ColumnType::Int64 | ColumnType::Float64))) => (of, true),
        (AggregateFunction::Sum, Some(ColumnType::Decimal { scale, .. })) => {
            (ColumnType::Decimal { precision: 38, scale }, true)
        }
        (AggregateFunction::Avg, Some(ColumnType::Int64 | ColumnType::Float64)) => (ColumnType::Float64, true),
        (_, Some(of)) => return Err(wrong(of)),
        (_, None) => (ColumnType::Int64, true),
    };
    // A group has a row, so its extreme of a column that is never null is not null; a filter may leave none.
    let nullable = nullable && (one.filter.is_some() || argument.is_none_or(|column| column.nullable));
    Ok(Column { name: "aggregate".to_owned(), column_type, nullable })
}
