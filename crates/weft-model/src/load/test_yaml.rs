//! `tests/*.yaml` of a product: given rows, expected rows. What the rows mean is in [`crate::tests`]; here they are read
//! and typed against the contracts.
//!
//! ```text
//!   defaults: { flights: { year: 2013, … } }        columns that rows of an input share
//!   tests:
//!     - name: a cancelled flight counts, but has no delay
//!       given:
//!         flights:
//!           - { origin: EWR, … }                    a row; columns left out are null
//!           - progress: 2013-01-01T12:00:00Z        no earlier row will come
//!           - delete: { faa: EWR }                  tables only
//!           - complete                              the input ends
//!       expect:
//!         final: [ { origin: EWR, flights: 1 } ]    columns left out are not compared
//! ```

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::findings::{Findings, place};
use super::{Files, layout, near, strict};
use crate::json;
use crate::mesh::Mesh;
use crate::product::{OutputPort, PortKind, Product};
use crate::schema::Column;
use crate::tests::{ExpectedRow, GivenRow, ProductTest};
use crate::yaml::{Node, Value};

/// Reads every test file of a product.
pub(crate) fn read_all(files: &Files, mesh: &Mesh, product: &Product, findings: &mut Findings) -> Vec<ProductTest> {
    let folder = format!("domains/{}/{}/tests/", product.id.domain, product.id.product);
    let mut tests = Vec::new();
    for (path, text) in files.0.range(folder.clone()..) {
        if !path.starts_with(&folder) {
            break;
        }
        if !path.ends_with(".yaml") {
            findings.add(
                "MODEL-008",
                place(path, 1),
                "a file in tests/ is not a test",
                "tests are YAML files whose names end in .yaml",
                "rename it, or move it out of the folder",
            );
            continue;
        }
        if let Some(root) = layout::parse(path, text, findings) {
            let mut reader = Reader { mesh, product, file: path, findings };
            reader.file(&root, &mut tests);
        }
    }
    tests
}

struct Reader<'a> {
    mesh: &'a Mesh,
    product: &'a Product,
    file: &'a str,
    findings: &'a mut Findings,
}

impl<'a> Reader<'a> {
    fn file(&mut self, root: &Node, tests: &mut Vec<ProductTest>) {
        let Some(top) = strict::fields(self.file, root, "the test file", &["defaults", "tests"], self.findings) else {
            return;
        };
        let defaults = top.get("defaults");
        for entry in defaults.map(Node::entries).unwrap_or_default() {
            self.input(&entry.key, entry.line);
        }
        top.required("tests", "[ … ]", self.findings);
        for item in top.items("tests", self.findings) {
            tests.extend(self.test(item, defaults));
        }
    }

    fn test(&mut self, node: &Node, defaults: Option<&Node>) -> Option<ProductTest> {
        let fields = strict::fields(self.file, node, "a test", &["name", "given", "expect"], self.findings)?;
        let name = fields.required_text("name", "what it shows", self.findings)?;
        fields.required("given", "{ input: [ … ] }", self.findings);
        let expect_node = fields.required("expect", "{ port: [ … ] }", self.findings)?;
        let mut given = BTreeMap::new();
        let given_node = fields.get("given")?;
        if !matches!(given_node.value, Value::Map(_)) {
            strict::wrong_type(self.file, given_node, "given", "a map of inputs", self.findings);
        }
        for entry in given_node.entries() {
            let Some(port) = self.input(&entry.key, entry.line) else { continue };
            let defaults = defaults.and_then(|defaults| defaults.get(&entry.key));
            given.insert(entry.key.clone(), self.given(&entry.node, port, defaults));
        }
        for input in &self.product.inputs {
            given.entry(input.name.clone()).or_insert_with(|| vec![GivenRow::Complete]);
        }
        let mut expect = BTreeMap::new();
        if !matches!(expect_node.value, Value::Map(_)) {
            strict::wrong_type(self.file, expect_node, "expect", "a map of output ports", self.findings);
        }
        for entry in expect_node.entries() {
            let Some(port) = self.output(&entry.key, entry.line) else { continue };
            if !matches!(entry.node.value, Value::List(_)) {
                strict::wrong_type(self.file, &entry.node, &entry.key, "a list of rows, [] for none", self.findings);
            }
            let rows = entry.node.items().iter().map(|row| self.expected(row, port)).collect();
            expect.insert(entry.key.clone(), rows);
        }
        Some(ProductTest {
            name: name.to_owned(),
            file: self.file.to_owned(),
            line: node.line,
            product: self.product.id.clone(),
            given,
            expect,
        })
    }

    fn input(&mut self, name: &str, line: u32) -> Option<&'a OutputPort> {
        if let Some(input) = self.product.inputs.iter().find(|input| input.name == name) {
            return self.mesh.port(&input.reads);
        }
        let known: Vec<&str> = self.product.inputs.iter().map(|input| input.name.as_str()).collect();
        self.wrong(
            line,
            format!("the test gives rows to input \"{name}\", which the product does not have"),
            near::suggest(name, &known),
        );
        None
    }

    /// The newest major of an output port.
    fn output(&mut self, name: &str, line: u32) -> Option<&'a OutputPort> {
        let ports = self.product.outputs.iter().filter(|port| port.id.port.as_str() == name);
        if let Some(port) = ports.max_by_key(|port| port.id.major) {
            return Some(port);
        }
        let known: Vec<&str> = self.product.outputs.iter().map(|port| port.id.port.as_str()).collect();
        self.wrong(
            line,
            format!("the test expects rows of port \"{name}\", which the product does not have"),
            near::suggest(name, &known),
        );
        None
    }

    fn wrong(&mut self, line: u32, what: String, try_: impl Into<String>) {
        let because = format!("tests of product \"{}\" name its ports and their columns", self.product.id);
        self.findings.add("MODEL-050", place(self.file, line), what, because, try_);
    }

    fn given(&mut self, node: &Node, port: &OutputPort, defaults: Option<&Node>) -> Vec<GivenRow> {
        if !matches!(node.value, Value::List(_)) {
            strict::wrong_type(self.file, node, "given", "a list of rows", self.findings);
        }
        let mut rows = Vec::new();
        for item in node.items() {
            if item.text() == Some("complete") {
                rows.push(GivenRow::Complete);
                continue;
            }
            let directive = match item.entries() {
                [entry] if port.schema.column(&entry.key).is_none() => Some(entry),
                _ => None,
            };
            match directive.map(|entry| (entry.key.as_str(), entry)) {
                Some(("progress", entry)) => match entry.node.text().and_then(json::parse_timestamp_ms) {
                    Some(ms) => rows.push(GivenRow::Progress(ms)),
                    None => strict::wrong_type(
                        self.file,
                        &entry.node,
                        "progress",
                        "a timestamp such as 2013-01-01T12:00:00Z",
                        self.findings,
                    ),
                },
                Some(("delete", entry)) => {
                    if port.kind == PortKind::Append {
                        self.wrong(
                            entry.line,
                            "the test deletes from a stream".to_owned(),
                            "only tables (`kind: upsert`) know deletes",
                        );
                    }
                    let keys: Vec<&Column> = port.key.iter().filter_map(|name| port.schema.column(name)).collect();
                    rows.push(GivenRow::Delete(self.row(&entry.node, &keys, None)));
                }
                _ => {
                    let columns: Vec<&Column> = port.schema.columns.iter().collect();
                    rows.push(GivenRow::Row(self.row(item, &columns, defaults)));
                }
            }
        }
        let says_progress = rows.iter().any(|row| matches!(row, GivenRow::Progress(_) | GivenRow::Complete));
        if !says_progress {
            rows.push(GivenRow::Complete);
        }
        rows
    }

    /// A JSON object of all `columns`, in their order; columns that neither row nor defaults name are null.
    fn row(&mut self, node: &Node, columns: &[&Column], defaults: Option<&Node>) -> String {
        if !matches!(node.value, Value::Map(_)) {
            strict::wrong_type(
                self.file,
                node,
                "row",
                "a map of columns, `progress:`, `delete:` or complete",
                self.findings,
            );
            return "{}".to_owned();
        }
        self.unknown_columns(node, columns);
        if let Some(defaults) = defaults {
            self.unknown_columns(defaults, columns);
        }
        let mut out = vec![b'{'];
        for (at, column) in columns.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            json::push_string(&mut out, &column.name);
            out.push(b':');
            let value = node.get(&column.name).or_else(|| defaults.and_then(|defaults| defaults.get(&column.name)));
            match value {
                Some(value) => self.push(&mut out, value, column),
                None => out.extend_from_slice(b"null"),
            }
            let is_null = value.is_none_or(|value| value.value == Value::Null);
            if is_null && !column.nullable {
                self.wrong(
                    value.map_or(node.line, |value| value.line),
                    format!("the row has no value for column \"{}\"", column.name),
                    "the contract says `required: true`: add it to the row or to `defaults`",
                );
            }
        }
        out.push(b'}');
        String::from_utf8(out).expect("pieces of UTF-8")
    }

    fn unknown_columns(&mut self, node: &Node, columns: &[&Column]) {
        let known: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        for entry in node.entries() {
            if !known.contains(&entry.key.as_str()) {
                self.wrong(
                    entry.line,
                    format!("the row has an unknown column \"{}\"", entry.key),
                    near::suggest(&entry.key, &known),
                );
            }
        }
    }

    fn push(&mut self, out: &mut Vec<u8>, node: &Node, column: &Column) {
        let json = node.to_json();
        let pushed = json::parse_value(&json, column.column_type).and_then(|scalar| json::push_scalar(out, &scalar));
        if let Err(error) = pushed {
            out.extend_from_slice(b"null");
            self.wrong(
                node.line,
                format!("column \"{}\" of the row has a value of the wrong type: {error}", column.name),
                "write a value of the contract's type",
            );
        }
    }

    fn expected(&mut self, node: &Node, port: &OutputPort) -> ExpectedRow {
        let columns: Vec<&Column> = port.schema.columns.iter().collect();
        if !matches!(node.value, Value::Map(_)) {
            strict::wrong_type(self.file, node, "row", "a map of columns", self.findings);
        }
        self.unknown_columns(node, &columns);
        let mut row = ExpectedRow { line: node.line, columns: BTreeMap::new() };
        for entry in node.entries() {
            let Some(column) = port.schema.column(&entry.key) else { continue };
            let mut text = Vec::new();
            self.push(&mut text, &entry.node, column);
            let value: Json = serde_json::from_slice(&text).expect("a scalar as JSON");
            row.columns.insert(entry.key.clone(), value);
        }
        row
    }
}
