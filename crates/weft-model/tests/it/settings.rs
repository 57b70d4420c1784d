//! The sections of `weft.yaml` that tune a node: every key is read, every slip is found, the manual lists them all.

use expect_test::{Expect, expect};
use weft_model::load;
use weft_model::settings::{Fsync, KEYS, Key, ORDERED, SECTIONS, Setting, Settings, Shape, VOID_ABOVE, key};

use crate::support::{WEFT, load_files, repository, shop};

fn with(weft: &str) -> load::Files {
    let mut files = shop();
    files.0.insert("weft.yaml".to_owned(), format!("{WEFT}{weft}"));
    files
}

fn read(weft: &str) -> Settings {
    load::node(&with(weft)).unwrap_or_else(|findings| panic!("{weft}: {findings}")).settings
}

/// Two ways to look, one set of findings: with the mesh, and alone.
#[track_caller]
fn check(weft: &str, expected: Expect) {
    let files = with(weft);
    let Err(findings) = load_files(&files) else { panic!("no finding at all: {weft}") };
    assert_eq!(load::node(&files).expect_err("the same alone"), findings);
    expected.assert_eq(&findings.to_string());
}

/// `http.sql.rows_max: 5` as a map in a map in a map.
fn nested(name: &str, value: &str) -> String {
    let words: Vec<&str> = name.split('.').collect();
    let lines = words.iter().enumerate().map(|(depth, word)| format!("{}{word}:", "  ".repeat(depth)));
    format!("{} {value}\n", lines.collect::<Vec<_>>().join("\n"))
}

/// A text for the key, and what it means.
fn another(key: &Key) -> (String, Setting) {
    match key.shape {
        Shape::Number { min, max, default } => {
            // A neighbour with the same default allows a step to one side only.
            let fits = |other: &u64| load::node(&with(&nested(key.name, &other.to_string()))).is_ok();
            let other = [default.saturating_add(1).min(max), default.saturating_sub(1).max(min)].into_iter().find(fits);
            let other = other.unwrap_or_else(|| panic!("{}: nothing but the default can be said", key.name));
            (other.to_string(), Setting::Number(other))
        }
        Shape::Flag { default } => (format!("{}", !default), Setting::Flag(!default)),
        Shape::Hosts => ("[mesh.example]".to_owned(), Setting::Texts(vec!["mesh.example".to_owned()])),
        Shape::Origins => {
            let origin = "https://portal.example:8443".to_owned();
            (format!("[\"{origin}\"]"), Setting::Texts(vec![origin]))
        }
        Shape::Fsync => ("interval:7".to_owned(), Setting::Fsync(Fsync::Interval(7))),
        Shape::Address => ("kafka.example:9092".to_owned(), Setting::Address(Some(("kafka.example".to_owned(), 9092)))),
    }
}

#[test]
fn every_key_is_read_and_no_other_changes() {
    for key in KEYS {
        let (text, expected) = another(key);
        let settings = read(&nested(key.name, &text));
        let differences = Settings::default().differences(&settings);
        assert_eq!(differences, [(key.name, key.shape.default(), expected)]);
        let depth = u32::try_from(key.name.split('.').count()).unwrap();
        assert_eq!(settings.line(key.name), Some(1 + depth), "{}", key.name);
    }
}

#[test]
fn defaults_and_orders_are_possible() {
    for key in KEYS {
        if let Shape::Number { min, max, default } = key.shape {
            assert!(min <= default && default <= max, "{}", key.name);
        }
        assert!(SECTIONS.contains(&key.name.split('.').next().unwrap()), "{}", key.name);
        assert_eq!(KEYS.iter().filter(|other| other.name == key.name).count(), 1, "{}", key.name);
    }
    for (small, large) in ORDERED.iter().chain(VOID_ABOVE) {
        let default = |name| match key(name).unwrap_or_else(|| panic!("no key {name}")).shape {
            Shape::Number { default, .. } => default,
            _ => panic!("{name} is no number"),
        };
        assert!(default(small) <= default(large), "{small} {large}");
    }
}

#[test]
fn a_number_out_of_range_or_of_another_type_is_found_where_it_stands() {
    for key in KEYS {
        let wrongs: Vec<String> = match key.shape {
            Shape::Number { min, max, .. } => {
                let below = min.checked_sub(1).map(|below| below.to_string());
                below.into_iter().chain([(max + 1).to_string(), "-1".to_owned(), "1.5".into(), "many".into()]).collect()
            }
            Shape::Flag { .. } => vec!["1".into(), "\"true\"".into()],
            Shape::Hosts => vec!["mesh.example".into(), "[7]".into(), "[\"http://x\"]".into(), "[\"a:80\"]".into()],
            Shape::Origins => {
                vec!["https://x".into(), "[\"*\"]".into(), "[\"null\"]".into(), "[\"https://x/\"]".into()]
            }
            Shape::Fsync => vec!["sometimes".into(), "interval:0".into(), "7".into()],
            Shape::Address => vec!["9092".into(), "host".into(), "\":1\"".into()],
        };
        for wrong in wrongs {
            let weft = nested(key.name, &wrong);
            let Err(findings) = load::node(&with(&weft)) else { panic!("no finding: {weft}") };
            let place = findings.0[0].place.as_ref().unwrap();
            let depth = u32::try_from(key.name.split('.').count()).unwrap();
            assert_eq!((place.file.as_str(), place.line), ("weft.yaml", 1 + depth), "{weft}");
        }
    }
}

#[test]
fn an_unknown_key_names_the_near_miss() {
    check(
        "http:\n  body_byte_max: 1000\n  sql: { row_max: 10 }\n",
        expect![[r#"
            error: unknown key "body_byte_max" in http
              at       weft.yaml:3
              because  http has the keys hosts, origins, uri_bytes_max, header_bytes_max, headers_max, body_bytes_max, connections_max, pulls_max, sqls_max, streams_max, queue_wait_ms, rows_default, pull, sql, header_read_ms, body_read_ms, write_stall_ms, heartbeat_ms, stream_chunk_bytes, drain_ms, retry_after_ms
              try      did you mean "body_bytes_max"?
              code     MODEL-005 · weft explain MODEL-005

            error: unknown key "row_max" in http.sql
              at       weft.yaml:4
              because  http.sql has the keys rows_max, bytes_max, time_ms_max
              try      did you mean "rows_max"?
              code     MODEL-005 · weft explain MODEL-005"#]],
    );
}

#[test]
fn an_unknown_section_names_the_near_miss() {
    check(
        "engin:\n  commit_interval_ms: 10\n",
        expect![[r#"
            error: unknown key "engin" in weft.yaml
              at       weft.yaml:2
              because  weft.yaml has the keys mesh, description, topic_prefix, clusters, access, listeners, replay, defaults, http, views, engine, sources, log
              try      did you mean "engine"?
              code     MODEL-005 · weft explain MODEL-005"#]],
    );
}

#[test]
fn a_value_out_of_range() {
    check(
        "log:\n  fsync: sometimes\nhttp:\n  sqls_max: 0\n  origins: [\"*\"]\nviews: fast\n",
        expect![[r#"
            error: setting "log.fsync" cannot be so
              at       weft.yaml:3
              because  it holds text "sometimes"
              try      write always, interval:MS or os
              code     MODEL-043 · weft explain MODEL-043

            error: "sqls_max" has a value of the wrong type
              at       weft.yaml:5
              because  it is number 0, expected a whole number from 1 to 1000
              try      write a whole number from 1 to 1000
              code     MODEL-006 · weft explain MODEL-006

            error: setting "origins" cannot be so
              at       weft.yaml:6
              because  it holds text "*"
              try      write scheme://host or scheme://host:port, no path and no wildcard
              code     MODEL-043 · weft explain MODEL-043

            error: "views" has a value of the wrong type
              at       weft.yaml:7
              because  it is text "fast", expected a map with keys index_cache_bytes, feed_queue_kbytes, feed_batch_records, readers, sql_threads, sql_memory_bytes, sql_text_bytes, wait_ms, stream_events, stream_stall_ms
              try      write a map with keys index_cache_bytes, feed_queue_kbytes, feed_batch_records, readers, sql_threads, sql_memory_bytes, sql_text_bytes, wait_ms, stream_events, stream_stall_ms
              code     MODEL-006 · weft explain MODEL-006"#]],
    );
}

#[test]
fn values_that_contradict_each_other() {
    check(
        "http:\n  pull: { rows_max: 100 }\n  connections_max: 600\n  streams_max: 700\n",
        expect![[r#"
            error: "http.rows_default" is above "http.pull.rows_max"
              at       weft.yaml:3
              because  http.rows_default is 1000 by default, http.pull.rows_max is 100
              try      raise http.pull.rows_max to 1000 at least, or lower http.rows_default to 100
              code     MODEL-043 · weft explain MODEL-043

            error: "http.streams_max" is above "http.connections_max"
              at       weft.yaml:5
              because  http.streams_max is 700, http.connections_max is 600
              try      raise http.connections_max to 700 at least, or lower http.streams_max to 600
              code     MODEL-043 · weft explain MODEL-043"#]],
    );
    // A default that its neighbour makes void harms nobody.
    assert_eq!(read("http: { connections_max: 10 }\n").value("http.connections_max"), Setting::Number(10));
}

/// The line of docs/descriptors.md about a key.
fn row(key: &Key) -> String {
    let (range, default) = match key.shape {
        Shape::Number { min, max, default } => (format!("{min} to {max}"), default.to_string()),
        Shape::Flag { default } => ("`true`, `false`".to_owned(), default.to_string()),
        Shape::Hosts | Shape::Origins => ("list of texts".to_owned(), "none".to_owned()),
        Shape::Fsync => ("`always`, `interval:MS`, `os`".to_owned(), "always".to_owned()),
        Shape::Address => ("`host:port`".to_owned(), "the address listened on".to_owned()),
    };
    format!("| `{}` | {} | {range} | {default} |", key.name, key.what)
}

#[test]
fn the_manual_lists_every_key_with_range_and_default() {
    let manual = std::fs::read_to_string(repository().join("docs/descriptors.md")).unwrap();
    let of_settings = |line: &&str| SECTIONS.iter().any(|section| line.starts_with(&format!("| `{section}.")));
    let found: Vec<&str> = manual.lines().filter(of_settings).collect();
    let rows: Vec<String> = KEYS.iter().map(row).collect();
    assert_eq!(found, rows, "docs/descriptors.md should hold:\n{}", rows.join("\n"));
}

#[test]
fn a_log_alone_takes_the_keys_of_its_section() {
    let said = |pairs: &[(&str, &str)]| {
        let pairs: Vec<(String, String)> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        load::log_overrides(&pairs)
    };
    assert_eq!(said(&[]).unwrap(), Settings::default());
    // Above the engine's own session timeout, which is nothing to a log alone.
    let settings = said(&[
        ("group_session_timeout_min_ms", "10000"),
        ("auto_create_topics", "true"),
        ("advertised", "kafka.example:9092"),
        ("fsync", "interval:5"),
    ])
    .unwrap();
    assert_eq!(settings.value("log.group_session_timeout_min_ms"), Setting::Number(10_000));
    assert_eq!(settings.value("log.auto_create_topics"), Setting::Flag(true));
    assert_eq!(settings.value("log.advertised"), Setting::Address(Some(("kafka.example".to_owned(), 9092))));
    assert_eq!(settings.value("log.fsync"), Setting::Fsync(Fsync::Interval(5)));
    let wrong = |pairs: &[(&str, &str)], expected: Expect| expected.assert_eq(&said(pairs).unwrap_err().to_string());
    wrong(
        &[("fsync", "os"), ("groups_mx", "7")],
        expect![[r#"
        error: unknown key "groups_mx" in log
          at       --override:2
          because  log has the keys fsync, advertised, node_id, auto_create_topics, partitions_default, partitions_per_topic_max, partitions_max, clamp_replication_factor, message_bytes_max, request_bytes_max, queued_request_bytes_max, fetch_bytes_max, fetch_wait_max_ms, connections_max, connection_idle_max_ms, requests_in_flight_max, group_session_timeout_min_ms, group_session_timeout_max_ms, group_members_max, group_initial_rebalance_delay_ms, groups_max, offset_metadata_bytes_max, offsets_retention_ms, transaction_timeout_max_ms, transactional_id_expiration_ms, transactional_ids_max, retention_check_interval_ms, drain_max_ms
          try      did you mean "groups_max"?
          code     MODEL-005 · weft explain MODEL-005"#]],
    );
    wrong(
        &[("groups_max", "many")],
        expect![[r#"
        error: "groups_max" has a value of the wrong type
          at       --override:1
          because  it is text "many", expected a whole number from 1 to 10000000
          try      write a whole number from 1 to 10000000
          code     MODEL-006 · weft explain MODEL-006"#]],
    );
    wrong(
        &[("fsync", "os"), ("fsync", "always")],
        expect![[r#"
        error: setting "fsync" is given twice
          at       --override:2
          because  the command line says "os" and then "always"
          try      keep one of them
          code     MODEL-043 · weft explain MODEL-043"#]],
    );
}
