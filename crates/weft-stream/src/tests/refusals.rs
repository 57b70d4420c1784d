//! Every refusal: its code, its line, and what it says.

use super::lab::compiled;

#[track_caller]
fn refused(sql: &str, ports: &[&str], expected: &str) {
    let error = compiled(sql, ports, 1).expect_err("this must be refused");
    let found: Vec<String> = error
        .0
        .iter()
        .map(|finding| {
            let line = finding.place.as_ref().map_or(0, |place| place.line);
            format!("{} line {line}: {} | {} | {}", finding.code, finding.what, finding.because, finding.try_)
        })
        .collect();
    assert!(
        found.iter().any(|found| found.starts_with(expected)),
        "\n wanted {expected}\n found  {}",
        found.join("\n        ")
    );
    for finding in &error.0 {
        assert!(weft_model::explain::page(finding.code).is_some(), "{} has no page", finding.code);
    }
}

#[track_caller]
fn plain(select: &str, expected: &str) {
    refused(&format!("INSERT INTO plain\n{select}\nEMIT CHANGES;"), &["plain"], expected);
}

#[test]
fn what_does_not_parse() {
    plain(
        "SELECT id amount ts FROM orders",
        "SQL-001 line 2: SQL does not parse | Expected: end of statement, found: ts",
    );
    refused(
        "SELECT 1;",
        &["plain"],
        "SQL-001 line 1: SQL does not parse | a statement starts with INSERT INTO, not with SELECT",
    );
    refused("INSERT INTO plain SELECT 'open", &["plain"], "SQL-001 line 1");
    refused("INSERT INTO plain SELECT id, amount AS x, ts FROM orders;", &["plain"], "SQL-013 line 1");
}

#[test]
fn unknown_names_with_the_nearest() {
    plain(
        "SELECT id, amout AS x, ts\nFROM orders",
        "SQL-003 line 2: no column \"amout\" here | no input of the statement has it | did you mean \"amount\"?",
    );
    plain(
        "SELECT id, 1 AS x, ts\nFROM ordrs",
        "SQL-002 line 3: product \"lab.out\" has no input \"ordrs\" | SQL sees the inputs of the descriptor, by their names there | did you mean \"orders\"?",
    );
    plain("SELECT id, amount AS x, o.ts FROM orders o JOIN shops s ON s.shop = o.shop WHERE shop = 'x'", "SQL-003");
    plain("SELECT id, absx(amount) AS x, ts FROM orders", "SQL-005 line 2: no function \"absx\"");
    plain(
        "SELECT id, amount AS x, ts FROM orders WHERE amount > $limt",
        "SQL-012 line 2: parameter \"limt\" is not declared | `parameters:` of the product's descriptor has no value for it | did you mean \"limit\"?",
    );
    refused(
        "INSERT INTO plan SELECT id, amount AS x, ts FROM orders EMIT CHANGES;",
        &["plain"],
        "SQL-011 line 1: product \"lab.out\" has no output port \"plan\"",
    );
    refused("", &["plain"], "SQL-010 line 1: no statement fills port \"plain\"");
    let twice = "INSERT INTO plain SELECT id, amount AS x, ts FROM orders EMIT CHANGES;\n";
    refused(&twice.repeat(2), &["plain"], "SQL-011 line 2: port \"plain\" is filled twice");
}

#[test]
fn types_that_do_not_go_together() {
    plain("SELECT id, amount + ts AS x, ts FROM orders", "SQL-004");
    plain("SELECT id, amount AS x, ts FROM orders WHERE amount", "SQL-004");
    plain("SELECT id, id AS x, ts FROM orders", "MODEL-040 line 2: column \"x\" of port");
    plain("SELECT id, ts FROM orders", "MODEL-040");
    plain("SELECT id, amount AS x, ts, ts - ts AS y FROM orders", "SQL-020");
}

#[test]
fn what_a_stream_cannot_do() {
    plain(
        "SELECT shop AS id, COUNT(*) AS x\nFROM orders\nGROUP BY shop",
        "SQL-006 line 4: GROUP BY on a stream needs a window",
    );
    plain("SELECT id, amount AS x, ts FROM orders\nORDER BY id", "SQL-008 line 3: a stream cannot be sorted");
    plain("SELECT id, amount AS x, ts FROM orders\nLIMIT 5", "SQL-008 line 3");
    plain("SELECT DISTINCT id, amount AS x, ts FROM orders", "SQL-015 line 2: SELECT DISTINCT cannot run");
    plain("SELECT id, amount AS x, ts FROM orders WHERE ts > now()", "SQL-007 line 2: function \"now\" cannot be used");
    plain(
        "SELECT id, CAST(random() AS BIGINT) AS x, ts FROM orders",
        "SQL-007 line 2: function \"random\" cannot be used",
    );
    plain(
        "SELECT o.id, o.amount AS x, o.ts FROM orders o\nJOIN views v ON v.shop = o.shop",
        "SQL-009 line 3: the join of two streams has no bounds of time | ON gives neither a least nor a greatest difference",
    );
    plain(
        "SELECT o.id, o.amount AS x, o.ts FROM orders o\nJOIN views v ON v.shop = o.shop AND v.ts > o.ts",
        "SQL-009 line 3: the join of two streams has no bounds of time | ON gives no greatest difference",
    );
    plain("SELECT shop AS id, 1 AS x, since AS ts FROM shops", "SQL-021");
    plain(
        "SELECT o.id, o.amount AS x, o.ts FROM orders o JOIN shops s ON s.city = o.shop",
        "SQL-016 line 2: the join with table \"shops\" does not name its whole key",
    );
    plain("SELECT o.id, o.amount AS x, o.ts FROM orders o RIGHT JOIN shops s ON s.shop = o.shop", "SQL-015");
    plain("SELECT id, (SELECT MAX(amount) FROM orders) AS x, ts FROM orders", "SQL-015");
    plain("SELECT id, ROW_NUMBER() OVER (ORDER BY ts) AS x, ts FROM orders", "SQL-");
    plain(
        "SELECT id, amount AS x, ts + INTERVAL '1' HOUR AS ts FROM orders",
        "SQL-017 line 2: event time \"ts\" of port \"plain\" is not event time of an input",
    );
}

#[test]
fn windows_that_are_not_understood() {
    let window = |tumble: &str, group: &str| {
        format!(
            "INSERT INTO changes SELECT window_start, window_end, shop, COUNT(*) AS n, SUM(amount) AS total\nFROM {tumble}\nGROUP BY {group} EMIT CHANGES;"
        )
    };
    let all = "window_start, window_end, shop";
    refused(
        &window("TUMBLE(TABLE orders, DESCRIPTOR(tz), INTERVAL '1' HOUR)", all),
        &["changes"],
        "SQL-003 line 2: input \"orders\" has no column \"tz\"",
    );
    refused(
        &window("TUMBLE(TABLE orders, DESCRIPTOR(amount), INTERVAL '1' HOUR)", all),
        &["changes"],
        "SQL-014 line 2: a window cannot follow column \"amount\"",
    );
    refused(
        &window("TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '1' MONTH)", all),
        &["changes"],
        "SQL-014 line 2: TUMBLE is not understood | MONTH has no fixed length",
    );
    refused(&window("TUMBLE(TABLE nothing, DESCRIPTOR(ts), INTERVAL '1' HOUR)", all), &["changes"], "SQL-002 line 2");
    refused(&window("TUMBLE(TABLE orders, DESCRIPTOR(ts))", all), &["changes"], "SQL-014 line 2");
    refused(
        &window("HOP(TABLE orders, DESCRIPTOR(ts), INTERVAL '1' HOUR)", all),
        &["changes"],
        "SQL-015 line 2: HOP windows",
    );
    let finals =
        window("TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '1' HOUR)", all).replace("INTO changes", "INTO finals");
    refused(&finals, &["finals"], "SQL-018 line 3: port \"finals\" is append");
    let distinct = window("TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '1' HOUR)", all)
        .replace("COUNT(*)", "COUNT(DISTINCT id)");
    refused(&distinct, &["changes"], "SQL-019 line 1: count(DISTINCT …) is not supported");
    let having =
        window("TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '1' HOUR)", &format!("{all} HAVING COUNT(*) > 1"));
    refused(&having, &["changes"], "SQL-018 line 3: HAVING cannot filter");
}
