//! Stored programs: they come back as they were, and keep the ids of what they still compute.

use super::lab::{compiled, recompiled};
use crate::ir::{LoadError, OperatorKind, Program};
use crate::verdict::{Verdict, verdict};

fn sql(size: &str, condition: &str) -> String {
    format!(
        "INSERT INTO changes SELECT window_start, window_end, shop, COUNT(*) AS n, SUM(amount) AS total
         FROM TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '{size}' MINUTE) {condition}
         GROUP BY window_start, window_end, shop EMIT CHANGES;
         INSERT INTO plain SELECT id, amount AS x, ts FROM orders EMIT CHANGES;"
    )
}

const PORTS: [&str; 2] = ["changes", "plain"];

fn aggregate(program: &Program) -> String {
    let all = program.subtopologies.iter().flat_map(|sub| &sub.operators);
    let mut found = all.filter(|operator| matches!(operator.kind, OperatorKind::WindowAggregate { .. }));
    found.next().unwrap().id.clone()
}

#[test]
fn json_and_back_is_the_same_program() {
    let program = compiled(&sql("1", ""), &PORTS, 4).unwrap();
    let again = Program::from_json(&program.to_json()).unwrap();
    assert_eq!(program, again);
    assert_eq!(program.digest(), again.digest());
    let newer = program.to_json().replacen("\"version\":1", "\"version\":99", 1);
    assert_eq!(Program::from_json(&newer), Err(LoadError::Newer { found: 99 }));
}

#[test]
fn the_same_sql_compiles_to_the_same_ids() {
    let first = compiled(&sql("1", ""), &PORTS, 1).unwrap();
    let second = recompiled(&sql("1", ""), &PORTS, &first);
    assert_eq!(first, second);
    assert_eq!(verdict(&first, &second), Verdict::Same);
}

#[test]
fn a_stateless_change_keeps_state_and_is_made_in_place() {
    let first = compiled(&sql("1", ""), &PORTS, 1).unwrap();
    let second = recompiled(&sql("1", "").replace("amount AS x", "amount + 1 AS x"), &PORTS, &first);
    assert_eq!(aggregate(&first), aggregate(&second));
    assert_eq!(verdict(&first, &second), Verdict::InPlace);
}

#[test]
fn another_window_or_filter_below_state_is_new_state() {
    let first = compiled(&sql("1", ""), &PORTS, 1).unwrap();
    for changed in [sql("2", ""), sql("1", "WHERE amount > 0")] {
        let second = recompiled(&changed, &PORTS, &first);
        assert_ne!(aggregate(&first), aggregate(&second));
        assert!(matches!(verdict(&first, &second), Verdict::NewState { .. }));
    }
}

#[test]
fn a_lost_port_is_breaking() {
    let first = compiled(&sql("1", ""), &PORTS, 1).unwrap();
    let second =
        recompiled("INSERT INTO plain SELECT id, amount AS x, ts FROM orders EMIT CHANGES;", &["plain"], &first);
    assert!(matches!(verdict(&first, &second), Verdict::Breaking { .. }));
}

#[test]
fn equal_aggregates_of_two_statements_share_one_state() {
    let both = "
      INSERT INTO changes SELECT window_start, window_end, shop, COUNT(*) AS n, SUM(amount) AS total
      FROM TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '1' MINUTE) GROUP BY window_start, window_end, shop EMIT CHANGES;
      INSERT INTO finals SELECT window_start, window_end, shop, COUNT(*) AS n, SUM(amount) AS total
      FROM TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '1' MINUTE) GROUP BY window_start, window_end, shop EMIT FINAL;";
    let program = compiled(both, &["changes", "finals"], 4).unwrap();
    let stores: usize = program.subtopologies.iter().map(|sub| sub.stores.len()).sum();
    assert_eq!(stores, 1);
    assert_eq!(program.internal_topics(3).len(), 2);
    assert!(program.internal_topics(3).iter().all(|topic| topic.topic.starts_with("__weft.lab.lab.out.g3.op-")));
    // Only what is needed is repartitioned: shop and amount of five columns.
    let rekeyed = &program.subtopologies[1].inputs[0].columns;
    let names: Vec<&str> = rekeyed.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}
