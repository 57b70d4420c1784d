//! Numbers of the rooms behind the doors, as Prometheus text.

use std::fmt::Write as _;

use weft_connect::SourceStatus;
use weft_stream::runtime::ProductStatus;

use crate::node::Node;

/// Appends what sources and engine count. Names follow OpenMetrics: unit last, counters end in `_total`.
pub(crate) fn write(node: &Node, out: &mut String) {
    let sources: Vec<SourceStatus> = {
        let running = node.running();
        let running = running.read();
        running.sources.values().map(weft_connect::SourceHandle::status).collect()
    };
    let engine = node.engine().status();
    let rows: &[Family<'_, SourceStatus>] = &[
        ("weft_source_rows_total", "Rows committed to the port, this run.", &|s| s.rows_sent),
        ("weft_source_errors_total", "Rows committed to the errors port, this run.", &|s| s.errors),
        ("weft_source_rows_resent_total", "Rows produced again after a lost or unclear transaction.", &|s| {
            s.rows_resent
        }),
        ("weft_source_transactions_total", "Transactions committed.", &|s| s.transactions),
        ("weft_source_rows_done", "Rows at or before the committed position.", &|s| s.rows_done),
    ];
    write_families(out, rows, &sources, |status| status.product.to_string());
    let rows: &[Family<'_, ProductStatus>] = &[
        ("weft_product_records_in_total", "Records handed to tasks.", &|s| s.records_in),
        ("weft_product_records_out_total", "Records produced, aborted ones too.", &|s| s.records_out),
        ("weft_product_commits_total", "Transactions committed.", &|s| s.commits),
        ("weft_product_restored_records_total", "Records read from changelogs to bring state forward.", &|s| {
            s.restored_records
        }),
        ("weft_product_resumed_tasks_total", "Tasks that went on from a committed position.", &|s| s.resumed_tasks),
        ("weft_product_start_overs_total", "Sessions that ended by something going wrong.", &|s| s.start_overs),
        ("weft_product_tasks", "Tasks on this node.", &|s| s.tasks.len() as u64),
        ("weft_product_waiting_records", "Records read and not consumed yet.", &|s| {
            s.tasks.iter().map(|task| task.waiting_records as u64).sum()
        }),
    ];
    write_families(out, rows, &engine, |status| status.product.to_string());
}

/// Name, help, value.
type Family<'a, T> = (&'a str, &'a str, &'a dyn Fn(&T) -> u64);

fn write_families<T>(out: &mut String, families: &[Family<'_, T>], all: &[T], product: impl Fn(&T) -> String) {
    for (name, help, value) in families {
        let (base, kind) = match name.strip_suffix("_total") {
            Some(base) => (base, "counter"),
            None => (*name, "gauge"),
        };
        writeln!(out, "# HELP {base} {help}\n# TYPE {base} {kind}").expect("writing to a String does not fail");
        for one in all {
            writeln!(out, "{name}{{product=\"{}\"}} {}", product(one), value(one))
                .expect("writing to a String does not fail");
        }
    }
}
