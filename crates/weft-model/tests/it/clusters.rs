//! Section `clusters` of `weft.yaml`: what it says, and every slip in it.

use expect_test::{Expect, expect};
use weft_model::cluster::{Cluster, Property, TopicDefaults, property_names};
use weft_model::load;

use crate::support::{WEFT, load_files, repository, shop};

fn with(section: &str) -> load::Files {
    let mut files = shop();
    files.0.insert("weft.yaml".to_owned(), format!("{WEFT}{section}"));
    files
}

fn read(section: &str) -> Vec<Cluster> {
    load::node(&with(section)).unwrap_or_else(|findings| panic!("{section}: {findings}")).clusters
}

#[track_caller]
fn check(section: &str, expected: Expect) {
    let findings = load_files(&with(section)).expect_err(section);
    expected.assert_eq(&findings.to_string());
}

#[test]
fn a_cluster_as_operators_write_it() {
    let clusters = read(
        "clusters:
  prod:
    bootstrap: kafka-1.example:9093,[::1]:9093
    client:
      security.protocol: sasl_ssl
      ssl.ca.location: ca.pem
      sasl.mechanism: SCRAM-SHA-512
      sasl.username: weft
      sasl.password: env:KAFKA_PASSWORD
      ssl.key.password: file:/run/secrets/key
      socket.keepalive.enable: true
      socket.timeout.ms: 30000
    topics: { replication_factor: 3, min_insync_replicas: 2 }
  dev: { bootstrap: \"127.0.0.1:9092\" }
",
    );
    let names: Vec<&str> = clusters.iter().map(|cluster| cluster.name.as_str()).collect();
    assert_eq!(names, ["dev", "prod"]);
    assert_eq!(clusters[0].topics, TopicDefaults::default());
    let prod = &clusters[1];
    assert_eq!(prod.bootstrap, "kafka-1.example:9093,[::1]:9093");
    assert_eq!(prod.client["sasl.password"], Property::Env("KAFKA_PASSWORD".to_owned()));
    assert_eq!(prod.client["ssl.key.password"], Property::File("/run/secrets/key".to_owned()));
    assert_eq!(prod.client["socket.keepalive.enable"], Property::Text("true".to_owned()));
    assert_eq!(prod.client["socket.timeout.ms"], Property::Text("30000".to_owned()));
    assert_eq!(prod.topics, TopicDefaults { replication_factor: Some(3), min_insync_replicas: Some(2) });
    // Said to need a restart when it changes, and a secret's value is never in it.
    assert_eq!(
        prod.to_string(),
        "kafka-1.example:9093,[::1]:9093 sasl.mechanism=SCRAM-SHA-512 sasl.password=env:KAFKA_PASSWORD \
         sasl.username=weft security.protocol=sasl_ssl socket.keepalive.enable=true socket.timeout.ms=30000 \
         ssl.ca.location=ca.pem ssl.key.password=file:/run/secrets/key replication_factor=3 min_insync_replicas=2"
    );
}

#[test]
fn every_slip_is_found_where_it_is() {
    check(
        "clusters:
  Prod: { bootstrap: \"a:1\" }
  two: { bootstrap: \"a:1, b:2\" }
  three: {}
  four:
    bootstrap: a:1
    client: { sasl.pasword: env:X, isolation.level: read_uncommitted, ssl.key.pem: [1] }
    topics: { replication_factor: 2, min_insync_replicas: 3 }
  five:
    bootstrap: a:1
    client: { sasl.password: hunter2, sasl.username: weft }
    copies: 3
",
        expect![[r#"
            error: a cluster has a name that no command line takes
              at       weft.yaml:3
              because  "Prod" is not a name: names are 1 to 63 of a-z, 0-9 and -, starting with a letter or digit
              try      write something like `prod`
              code     MODEL-013 · weft explain MODEL-013

            error: `bootstrap` is no list of addresses
              at       weft.yaml:4
              because  it is "a:1, b:2", expected host:port, several with commas
              try      write `kafka-1.example:9092,kafka-2.example:9092`
              code     MODEL-042 · weft explain MODEL-042

            error: clusters.three lacks key "bootstrap"
              at       weft.yaml:5
              because  it is required
              try      add `bootstrap: kafka-1.example:9092,kafka-2.example:9092`
              code     MODEL-007 · weft explain MODEL-007

            error: "ssl.key.pem" has a value of the wrong type
              at       weft.yaml:8
              because  it is a list, expected text, a number, true or false
              try      write text, a number, true or false
              code     MODEL-006 · weft explain MODEL-006

            error: property "isolation.level" cannot be set on a connection to Kafka
              at       weft.yaml:8
              because  only what reaches and secures a connection may be set; the rest is what Weft's promises stand on
              try      known here: broker.address.family, broker.address.ttl, client.dns.lookup, client.rack, connections.max.idle.ms, enable.sasl.oauthbearer.unsecure.jwt, enable.ssl.certificate.verification, https.ca.location, https.ca.pem, sasl.mechanism, sasl.mechanisms, sasl.oauthbearer.assertion.algorithm, … (58 in all)
              code     MODEL-051 · weft explain MODEL-051

            error: property "sasl.pasword" cannot be set on a connection to Kafka
              at       weft.yaml:8
              because  only what reaches and secures a connection may be set; the rest is what Weft's promises stand on
              try      did you mean "sasl.password"?
              code     MODEL-051 · weft explain MODEL-051

            error: no record could ever be written
              at       weft.yaml:9
              because  `min_insync_replicas` is 3, and there are 2 copies of a partition
              try      lower it to 2 at most
              code     MODEL-042 · weft explain MODEL-042

            error: property "sasl.password" holds a secret
              at       weft.yaml:12
              because  descriptors are kept in git and copied to the Kafka, where everybody who reads the mesh would see it
              try      write `sasl.password: env:KAFKA_SECRET` or `sasl.password: file:/run/secrets/kafka`
              code     MODEL-052 · weft explain MODEL-052

            error: unknown key "copies" in clusters.five
              at       weft.yaml:13
              because  clusters.five has the keys bootstrap, client, topics
              try      did you mean "topics"?
              code     MODEL-005 · weft explain MODEL-005"#]],
    );
    check(
        "clusters: prod\n",
        expect![[r#"
        error: "clusters" has a value of the wrong type
          at       weft.yaml:2
          because  it is text "prod", expected a map from names to clusters
          try      write a map from names to clusters
          code     MODEL-006 · weft explain MODEL-006"#]],
    );
}

#[test]
fn the_manual_lists_every_property() {
    let manual = std::fs::read_to_string(repository().join("docs/descriptors.md")).unwrap();
    for name in property_names() {
        assert!(manual.contains(&format!("`{name}`")), "docs/descriptors.md does not know {name}");
    }
}
