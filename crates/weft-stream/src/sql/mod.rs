//! The front end: the SQL of a product → its program, or what is wrong with it.
//!
//! ```text
//!   transform.sql ── statements ──► tokens without INSERT, EMIT, $parameter, TUMBLE ── sqlparser ──► Query
//!     Query ── DataFusion SqlToRel + type coercion ──► LogicalPlan     names: inputs only, never topics
//!     LogicalPlan ── plan, expressions (whitelist) ──► graph           equal nodes are one node
//!     graph ── prune, cut ──► ir::Program                              sub-topologies, operator ids
//! ```
//!
//! DataFusion binds and types; none of its plans, rules or types goes on from here. Everything not on the whitelist is
//! refused with what a stream cannot do and why (`SQL-001` … `SQL-021`).

mod cut;
pub(crate) mod expressions;
mod graph;
mod names;
mod plan;
pub(crate) mod refuse;
mod statements;

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::{DataFusionError, SchemaError};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::analyzer::Analyzer;
use datafusion::optimizer::analyzer::type_coercion::TypeCoercion;
use datafusion::sql::planner::{ParserOptions, SqlToRel};
use weft_model::kind::{Diagnostic, Diagnostics, Kind as ErrorKind, Place};
use weft_model::mesh::Mesh;
use weft_model::name::ProductId;
use weft_model::product::{Behaviour, OutputPort, PortKind, PortRole, Product};
use weft_model::schema::{Column, ColumnType, Schema};

use self::cut::Cut;
use self::graph::{Facts, Graph, Kind, LATER, Node};
use self::names::{NO_TABLE, Names};
use self::plan::Planner;
use self::refuse::{Outcome, Refusal, refuse, suggestion};
use self::statements::Statement;
use crate::ir::{OperatorKind, Program};

/// Compiles a product's SQL. `previous` is the program that runs now: operators that compute the same keep their ids, and
/// with them their state.
pub fn compile(mesh: &Mesh, product: &ProductId, previous: Option<&Program>) -> Result<Program, Diagnostics> {
    let Some(product) = mesh.products.get(product) else {
        let refusal = refuse("SQL-015", format!("no product \"{product}\""), "the mesh declares none of that name", "");
        return Err(refusal.diagnostic.into());
    };
    let Behaviour::Transform { sql, file } = &product.behaviour else {
        let what = format!("product \"{}\" has no SQL", product.id);
        let refusal =
            refuse("SQL-015", what, "it is a source or external", "only products with transform.sql are compiled");
        return Err(refusal.diagnostic.into());
    };
    let mut compiler =
        Compiler { mesh, product, file, graph: Graph::default(), sinks: BTreeMap::new(), findings: Vec::new() };
    compiler.statements(sql);
    let Compiler { mut graph, sinks, mut findings, .. } = compiler;
    if findings.is_empty() {
        graph.prune(&|input| {
            let input = product.inputs.iter().find(|one| one.name == input)?;
            mesh.port(&input.reads)?.event_time.clone()
        });
        let cut = Cut { mesh, product, graph: &graph, sinks: &sinks, previous };
        match cut.program() {
            Ok(program) => return Ok(program),
            Err(refusal) => findings.push(refusal.diagnostic),
        }
    }
    findings.sort_by(|a, b| a.place.cmp(&b.place));
    Err(Diagnostics(findings))
}

struct Compiler<'a> {
    mesh: &'a Mesh,
    product: &'a Product,
    file: &'a str,
    graph: Graph,
    sinks: BTreeMap<usize, &'a OutputPort>,
    findings: Vec<Diagnostic>,
}

impl<'a> Compiler<'a> {
    fn found(&mut self, refusal: Refusal, line: u32) {
        let mut diagnostic = refusal.diagnostic;
        diagnostic.place = Some(Place { file: self.file.to_owned(), line });
        self.findings.push(diagnostic);
    }

    fn statements(&mut self, sql: &str) {
        let mut filled: BTreeMap<String, u32> = BTreeMap::new();
        let mut unread = false;
        for statement in statements::read(sql, &self.product.parameters) {
            match statement {
                Err((refusal, line)) => {
                    unread = true;
                    self.found(*refusal, line);
                }
                Ok(statement) => {
                    if let Some(before) = filled.insert(statement.port.clone(), statement.line) {
                        let refusal = refuse(
                            "SQL-011",
                            format!("port \"{}\" is filled twice", statement.port),
                            format!("line {before} fills it already; a port has one statement"),
                            "remove one of them, or declare another port",
                        );
                        self.found(*refusal, statement.line);
                        continue;
                    }
                    if let Err(refusal) = self.statement(&statement) {
                        let line = statement.line_of(&refusal);
                        self.found(*refusal, line);
                    }
                }
            }
        }
        if unread {
            return;
        }
        for port in self.product.outputs.iter().filter(|port| port.role == PortRole::Declared) {
            if !filled.contains_key(port.id.port.as_str()) {
                let refusal = refuse(
                    "SQL-010",
                    format!("no statement fills port \"{}\"", port.id.port),
                    "the descriptor declares the port and transform.sql has no INSERT INTO it",
                    format!("add INSERT INTO {} SELECT … EMIT CHANGES;, or remove the port", port.id.port),
                );
                self.found(*refusal, 1);
            }
        }
    }

    fn statement(&mut self, statement: &Statement) -> Outcome<()> {
        let declared = || self.product.outputs.iter().filter(|port| port.role == PortRole::Declared);
        let Some(port) = declared().find(|port| port.id.port.as_str() == statement.port) else {
            let names: Vec<&str> = declared().map(|port| port.id.port.as_str()).collect();
            return Err(refuse(
                "SQL-011",
                format!("product \"{}\" has no output port \"{}\"", self.product.id, statement.port),
                "INSERT INTO names a port that the descriptor declares",
                suggestion(&statement.port, names.iter().copied()),
            )
            .at(statement.port.clone()));
        };
        let plan = self.bind(statement)?;
        let mut planner = Planner { mesh: self.mesh, inputs: &self.product.inputs, statement, graph: &mut self.graph };
        let rows = planner.plan(&plan)?;
        let names: Vec<String> = plan.schema().fields().iter().map(|field| field.name().clone()).collect();
        self.sink(statement, port, rows, &names)
    }

    fn bind(&self, statement: &Statement) -> Outcome<LogicalPlan> {
        let mut tables = BTreeMap::new();
        for input in &self.product.inputs {
            if let Some(port) = self.mesh.port(&input.reads) {
                tables.insert(input.name.clone(), port.schema.clone());
            }
        }
        for (name, tumble) in &statement.tumbles {
            let Some(schema) = tables.get(&tumble.input) else {
                return Err(self.no_input(&tumble.input));
            };
            let mut schema: Schema = schema.clone();
            for name in ["window_start", "window_end"] {
                if schema.column(name).is_some() {
                    let what = format!("input \"{}\" has a column \"{name}\" already", tumble.input);
                    return Err(refuse(
                        "SQL-014",
                        what,
                        "TUMBLE adds one of that name",
                        "rename it in the product that makes it",
                    ));
                }
                let column = Column { name: name.to_owned(), column_type: ColumnType::Timestamp, nullable: false };
                schema.columns.push(column);
            }
            tables.insert(name.clone(), schema);
        }
        let names = Names::new(tables);
        let options = ParserOptions::new()
            .with_enable_ident_normalization(false)
            .with_map_string_types_to_utf8view(false)
            .with_collect_spans(true);
        let planner = SqlToRel::new_with_options(&names, options);
        let query = datafusion::sql::sqlparser::ast::Statement::Query(statement.query.clone());
        let plan = planner.sql_statement_to_plan(query).map_err(|error| self.unbound(&error))?;
        let analyzer = Analyzer::with_rules(vec![Arc::new(TypeCoercion::new())]);
        use datafusion::logical_expr::planner::ContextProvider as _;
        analyzer.execute_and_check(plan, names.options(), |_, _| {}).map_err(|error| self.unbound(&error))
    }

    fn no_input(&self, name: &str) -> Box<Refusal> {
        let names: Vec<&str> = self.product.inputs.iter().map(|input| input.name.as_str()).collect();
        refuse(
            "SQL-002",
            format!("product \"{}\" has no input \"{name}\"", self.product.id),
            "SQL sees the inputs of the descriptor, by their names there",
            suggestion(name, names.iter().copied()),
        )
        .at(name)
    }

    /// What DataFusion could not bind, in our words.
    fn unbound(&self, error: &DataFusionError) -> Box<Refusal> {
        let root = error.find_root();
        if let DataFusionError::SchemaError(schema, _) = root {
            return match schema.as_ref() {
                SchemaError::FieldNotFound { field, valid_fields } => {
                    let names: Vec<&str> = valid_fields.iter().map(|column| column.name.as_str()).collect();
                    let what = format!("no column \"{}\" here", field.flat_name());
                    refuse(
                        "SQL-003",
                        what,
                        "no input of the statement has it",
                        suggestion(&field.name, names.iter().copied()),
                    )
                    .at(field.name.clone())
                }
                SchemaError::AmbiguousReference { field } => refuse(
                    "SQL-003",
                    format!("column \"{}\" is in more than one input", field.name),
                    "the name alone does not say which is meant",
                    format!("write <input>.{}", field.name),
                )
                .at(field.name.clone()),
                other => {
                    refuse("SQL-003", "column names clash", other.to_string(), "give columns different names with AS")
                }
            };
        }
        let text = root.strip_backtrace();
        let text = text.lines().next().unwrap_or_default();
        if let Some((_, name)) = text.split_once(NO_TABLE) {
            return self.no_input(name);
        }
        let text =
            text.trim_start_matches("Error during planning: ").trim_start_matches("This feature is not implemented: ");
        if let Some(rest) = text.strip_prefix("Invalid function '") {
            let name = rest.split('\'').next().unwrap_or_default();
            let near = rest.split_once("Did you mean '").and_then(|(_, near)| near.split('\'').next());
            let try_ = near.map_or_else(String::new, |near| format!("did you mean \"{near}\"?"));
            return refuse("SQL-005", format!("no function \"{name}\""), "this version knows none of that name", try_)
                .at(name);
        }
        if text.contains("must appear in the GROUP BY") || text.contains("could not be resolved from available columns")
        {
            let try_ = "add it to GROUP BY, or put it into an aggregate";
            return refuse("SQL-003", "a column is neither grouped nor aggregated", text, try_).at("GROUP");
        }
        if matches!(root, DataFusionError::NotImplemented(_)) {
            return refuse("SQL-015", "this SQL cannot run on a stream here", text, "");
        }
        refuse("SQL-004", "types do not go together", text, "CAST one side to the type of the other")
    }

    fn sink(
        &mut self,
        statement: &Statement,
        port: &'a OutputPort,
        rows: graph::Edge,
        names: &[String],
    ) -> Outcome<()> {
        let node = self.graph.node(rows);
        if matches!(node.kind, Kind::Scan { .. }) && node.facts.updates {
            let Kind::Scan { input } = &node.kind else { unreachable!("matched above") };
            return Err(refuse(
                "SQL-021",
                format!("input \"{input}\" is a table and cannot be read as a stream"),
                "its port is of kind upsert",
                "join it to a stream",
            ));
        }
        let columns: Vec<Column> = node
            .columns
            .columns
            .iter()
            .zip(names)
            .map(|(column, name)| Column { name: name.clone(), ..column.clone() })
            .collect();
        let actual = Schema { columns };
        let mut findings = weft_model::contract::check_sql_schema(port, &actual);
        if !findings.is_empty() {
            for finding in &mut findings {
                let name = finding.what.split('"').find(|word| actual.column(word).is_some()).map(str::to_owned);
                let refusal = Refusal { diagnostic: finding.clone(), word: name };
                finding.place = Some(Place { file: self.file.to_owned(), line: statement.line_of(&refusal) });
            }
            self.findings.extend(findings);
            return Ok(());
        }
        let place =
            |name: &String| names.iter().position(|column| column == name).expect("checked against the contract");
        let value: Vec<usize> = port.schema.columns.iter().map(|column| place(&column.name)).collect();
        let key: Vec<usize> = port.key.iter().map(place).collect();
        let facts = &node.facts;
        if facts.updates && port.kind == PortKind::Append {
            return Err(refuse(
                "SQL-018",
                format!("port \"{}\" is append and cannot take rows that still change", port.id.port),
                "EMIT CHANGES sends a row again whenever its window counts one more",
                "use EMIT FINAL, or declare the port as upsert with a key",
            )
            .at("CHANGES"));
        }
        if facts.updates {
            let identity = facts.identity.clone().unwrap_or_default();
            let named = |at: usize| identity.iter().any(|set| set.contains(&at));
            let missing = identity.iter().any(|set| !key.iter().any(|at| set.contains(at)));
            if missing || !key.iter().all(|&at| named(at)) {
                return Err(refuse(
                    "SQL-018",
                    format!("the key of port \"{}\" does not tell its rows apart", port.id.port),
                    "rows of a window aggregate are told apart by the window and the columns of GROUP BY, no more and no less",
                    format!(
                        "make these the key: window_start (or window_end) and the grouped columns; it is now: {}",
                        port.key.join(", ")
                    ),
                ));
            }
        }
        if port.kind == PortKind::Upsert && key.is_empty() {
            let what = format!("port \"{}\" is upsert and has no key", port.id.port);
            return Err(refuse(
                "SQL-018",
                what,
                "a row replaces the one with the same key",
                "mark the key columns in the contract",
            ));
        }
        let event_time = port.event_time.as_ref().map(place);
        let behind_ms = match event_time {
            None => None,
            Some(at) => match facts.behind.get(&at) {
                Some(behind) => Some(behind - port.event_time_offset_ms),
                None => {
                    let name = port.event_time.clone().unwrap_or_default();
                    return Err(refuse(
                        "SQL-017",
                        format!("event time \"{name}\" of port \"{}\" is not event time of an input", port.id.port),
                        "progress is passed on by the event time that came in; nothing is known of a computed column",
                        "pass an input's event time column on unchanged, or take window_end of a window",
                    )
                    .at(name));
                }
            },
        };
        let kind = Kind::Op(OperatorKind::Sink {
            destination: LATER,
            value,
            key,
            event_time,
            event_time_offset_ms: port.event_time_offset_ms,
            behind_ms,
        });
        let columns = actual;
        let facts = Facts { partitions: facts.partitions, ..Facts::default() };
        let edge = self.graph.add(Node { kind, from: vec![rows], columns, salt: format!("port {}", port.id), facts });
        self.sinks.insert(edge.node, port);
        Ok(())
    }
}

/// A finding about a program as such, for callers that load stored ones.
pub fn unusable(product: &ProductId, error: &crate::ir::LoadError) -> Diagnostic {
    Diagnostic {
        kind: ErrorKind::Corrupt,
        code: "SQL-022",
        what: format!("the stored program of product \"{product}\" cannot be used"),
        because: error.to_string(),
        try_: "apply the product again, or run the version of weft that wrote it".to_owned(),
        place: None,
    }
}
