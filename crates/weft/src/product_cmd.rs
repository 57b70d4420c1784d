//! `weft product ls|show`: what the mesh is, from its desired state.

use std::fmt::Write as _;

use weft_catalog::Desired;
use weft_model::kind::{Diagnostic, Diagnostics, Kind};
use weft_model::mesh::Mesh;
use weft_model::name::ProductId;
use weft_model::product::{Behaviour, OutputPort, PortKind, PortRole, Product};
use weft_model::schema::ColumnType;

use crate::status::plural;

/// A line per product.
pub(crate) fn list(mesh: &Mesh) -> String {
    let mut rows = vec![["PRODUCT", "STATUS", "OWNER", "MADE BY", "PORTS"].map(str::to_owned)];
    for product in mesh.products.values() {
        let ports: Vec<&str> = declared(product).map(|port| port.id.port.as_str()).collect();
        rows.push([
            product.id.to_string(),
            format!("{:?}", product.status).to_lowercase(),
            product.owner.clone(),
            made_by(product).to_owned(),
            ports.join(", "),
        ]);
    }
    table(&rows)
}

/// Everything about one product.
pub(crate) fn show(mesh: &Mesh, desired: &Desired, id: &ProductId) -> Result<String, Diagnostics> {
    let Some(product) = mesh.products.get(id) else { return Err(unknown(mesh, id)) };
    let mut out = String::new();
    let mut say = |line: String| writeln!(out, "{line}").expect("writing to a String does not fail");
    say(format!("{}  {}", product.id, product.version));
    say(format!("  {}", product.purpose));
    say(format!("  owner     {}", product.owner));
    say(format!("  status    {}", format!("{:?}", product.status).to_lowercase()));
    say(format!("  made by   {}", made_by(product)));
    if !product.tags.is_empty() {
        say(format!("  tags      {}", product.tags.join(", ")));
    }
    for input in &product.inputs {
        let how = if input.broadcast { " (broadcast)" } else { "" };
        say(format!("  input     {} ← {}{how}", input.name, input.reads));
    }
    let readers: Vec<String> = mesh
        .products
        .values()
        .filter(|other| other.inputs.iter().any(|input| input.reads.product == *id))
        .map(|other| other.id.to_string())
        .collect();
    if !readers.is_empty() {
        say(format!("  read by   {}", readers.join(", ")));
    }
    let record = desired.products.get(id);
    for port in &product.outputs {
        let key = weft_catalog::desired::port_key(port);
        let generation = record.and_then(|record| record.ports.get(&key)).map_or(1, |port| port.generation);
        say(String::new());
        say(port_lines(port, generation));
    }
    Ok(out)
}

fn port_lines(port: &OutputPort, generation: u32) -> String {
    let mut out = String::new();
    let mut say = |line: String| writeln!(out, "{line}").expect("writing to a String does not fail");
    let kind = match port.kind {
        PortKind::Append => "append",
        PortKind::Upsert => "upsert",
    };
    say(format!("  port {} v{} · {kind} · generation {generation}", port.id.port, port.id.major));
    let adopted = if port.adopted { ", adopted" } else { "" };
    let partitions = plural(port.partitions as usize, "partition");
    say(format!("    topic       {} ({partitions}{adopted})", port.topic));
    let product = &port.id.product;
    say(format!(
        "    http        /v1/products/{}/{}/ports/{}/v{}",
        product.domain, product.product, port.id.port, port.id.major
    ));
    if !port.key.is_empty() {
        say(format!("    key         {}", port.key.join(", ")));
    }
    if let Some(event_time) = &port.event_time {
        say(format!("    event time  {event_time}"));
    }
    let mut rows = Vec::new();
    for column in &port.schema.columns {
        let null = if column.nullable { "" } else { "not null" };
        rows.push([column.name.clone(), type_name(column.column_type), null.to_owned()]);
    }
    for line in table(&rows).lines() {
        say(format!("    {line}"));
    }
    out.trim_end().to_owned()
}

fn type_name(column_type: ColumnType) -> String {
    match column_type {
        ColumnType::String => "string".to_owned(),
        ColumnType::Boolean => "boolean".to_owned(),
        ColumnType::Int64 => "int64".to_owned(),
        ColumnType::Float64 => "float64".to_owned(),
        ColumnType::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
        ColumnType::Timestamp => "timestamp".to_owned(),
        ColumnType::Date => "date".to_owned(),
        ColumnType::Bytes => "bytes".to_owned(),
    }
}

fn declared(product: &Product) -> impl Iterator<Item = &OutputPort> {
    product.outputs.iter().filter(|port| port.role == PortRole::Declared)
}

fn made_by(product: &Product) -> &'static str {
    match product.behaviour {
        Behaviour::Source(_) => "source",
        Behaviour::Transform { .. } => "SQL",
        Behaviour::External => "others",
    }
}

fn unknown(mesh: &Mesh, id: &ProductId) -> Diagnostics {
    let names: Vec<String> = mesh.products.keys().map(ToString::to_string).collect();
    Diagnostics::from(Diagnostic {
        kind: Kind::NotFound,
        code: "NODE-006",
        what: format!("no product \"{id}\" in mesh \"{}\"", mesh.id),
        because: format!("it has {}", names.join(", ")),
        try_: "`weft product ls` lists them".to_owned(),
        place: None,
    })
}

/// Columns padded to their widest cell.
pub(crate) fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end()).expect("writing to a String does not fail");
    }
    out
}
