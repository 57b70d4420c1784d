//! Which Kafka carries the mesh and how to speak to it: flags of the command line, or section `clusters` of `weft.yaml`.
//!
//! ```text
//!   --kafka HOST:PORT [--kafka-config FILE] ─┐
//!   --cluster NAME ──────────► clusters ─────┼─► Kafka: addresses, librdkafka properties with secrets read, copies
//!   neither, and one cluster ──┘             │
//!   neither, and none ───────────────────────┴─► the embedded log's address (`weft up` runs it)
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use weft_catalog::{Connection, reach};
use weft_gateway::KafkaDoor;
use weft_model::cluster::{Cluster, Property, PropertyKind, TopicDefaults, property_kind, property_names};
use weft_model::kind::{Diagnostic, Diagnostics, Kind, Place};
use weft_model::load::near;
use weft_model::name::{ClusterName, MeshId};

use crate::access;
use crate::cli::{KAFKA_DEFAULT, bootstrap};

/// Longest wait of a command for a Kafka that does not answer.
pub(crate) const COMMAND_WAIT: Duration = Duration::from_secs(10);

/// `ssl.ca.location: probe` lets librdkafka look where systems keep their CAs.
const CA_PROBE: &str = "probe";

/// Which Kafka.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct KafkaArgs {
    /// A Kafka that is there; several addresses with commas.
    #[arg(long, value_name = "HOST:PORT,…", value_parser = bootstrap, conflicts_with = "cluster")]
    pub(crate) kafka: Option<String>,

    /// TLS and log-in for --kafka: a file of librdkafka properties, `name=value`, as kcat -F takes it.
    #[arg(long, value_name = "FILE", requires = "kafka")]
    pub(crate) kafka_config: Option<PathBuf>,

    /// The Kafka of that name in section `clusters` of `weft.yaml`. Needed where it names several.
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<ClusterName>,
}

/// A Kafka, and how to speak to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kafka {
    /// `host:port`, several with commas.
    pub(crate) bootstrap: String,
    /// librdkafka properties, secrets in place.
    pub(crate) client: BTreeMap<String, String>,
    /// What topics get that are made there.
    pub(crate) topics: TopicDefaults,
}

impl Kafka {
    /// One without TLS and log-in.
    pub(crate) fn plain(bootstrap: impl Into<String>) -> Self {
        Self { bootstrap: bootstrap.into(), client: BTreeMap::new(), topics: TopicDefaults::default() }
    }

    /// What others may know of it.
    pub(crate) fn door(&self) -> KafkaDoor {
        let property = |name: &str| self.client.get(name).map(|value| value.to_ascii_uppercase());
        let protocol = property("security.protocol").unwrap_or_default();
        let by_sasl = protocol.starts_with("SASL");
        let mechanism = property("sasl.mechanism").or_else(|| property("sasl.mechanisms"));
        KafkaDoor {
            bootstrap: self.bootstrap.clone(),
            by_tls: protocol.ends_with("SSL"),
            sasl_mechanism: mechanism.filter(|_| by_sasl),
        }
    }

    /// As the catalogue takes it.
    pub(crate) fn connection(&self) -> Connection {
        Connection { client: self.client.clone(), topics: self.topics, ..Connection::new(self.bootstrap.clone()) }
    }

    /// The connection, once the Kafka has answered. Its errors have a reason, which those of later calls lack.
    pub(crate) async fn reached(&self, mesh: &MeshId) -> Result<Connection, Diagnostics> {
        let connection = self.connection();
        let asking = Connection { timeout: COMMAND_WAIT, ..connection.clone() };
        reach(&asking).await.map_err(|error| error.diagnostics(mesh))?;
        Ok(connection)
    }

    /// What flags and `weft.yaml` in `folder` say; `None` if neither names one.
    pub(crate) fn choose(args: &KafkaArgs, clusters: &[Cluster], folder: &Path) -> Result<Option<Self>, Diagnostics> {
        if let Some(bootstrap) = &args.kafka {
            let client = args.kafka_config.as_deref().map_or_else(|| Ok(BTreeMap::new()), read_config)?;
            return Ok(Some(Self { client, ..Self::plain(bootstrap) }));
        }
        let names: Vec<&str> = clusters.iter().map(|cluster| cluster.name.as_str()).collect();
        let chosen = match (&args.cluster, clusters) {
            (Some(name), _) => match clusters.iter().find(|cluster| cluster.name == *name) {
                Some(cluster) => cluster,
                None if names.is_empty() => {
                    return Err(no_cluster(name, "weft.yaml has no section `clusters`", &names));
                }
                None => {
                    let because = format!("weft.yaml names {}", names.join(", "));
                    return Err(no_cluster(name, &because, &names));
                }
            },
            (None, []) => return Ok(None),
            (None, [only]) => only,
            (None, _) => {
                return Err(refused(
                    "NODE-010",
                    "cannot tell which Kafka is meant".to_owned(),
                    format!("weft.yaml names several: {}", names.join(", ")),
                    format!("add --cluster {}", names[0]),
                    None,
                ));
            }
        };
        Self::of(chosen, folder).map(Some)
    }

    /// An entry of `weft.yaml`, its secrets read and its paths taken from the folder.
    fn of(cluster: &Cluster, folder: &Path) -> Result<Self, Diagnostics> {
        let mut client = BTreeMap::new();
        for (name, property) in &cluster.client {
            let text = match property {
                Property::Text(path) if property_kind(name) == Some(PropertyKind::Path) && path != CA_PROBE => {
                    let path = folder.join(path);
                    std::fs::metadata(&path).map_err(|cause| {
                        let because = format!("{}: {cause}", path.display());
                        no_secret(cluster, name, &because, "put the file there, readable by the user who runs weft")
                    })?;
                    path.to_string_lossy().into_owned()
                }
                Property::Text(text) => text.clone(),
                Property::Env(variable) => std::env::var(variable).map_err(|cause| {
                    let because = format!("environment variable {variable}: {cause}");
                    no_secret(cluster, name, &because, &format!("export {variable} before starting weft"))
                })?,
                Property::File(path) => {
                    let path = folder.join(path);
                    let read = std::fs::read_to_string(&path).map_err(|cause| {
                        let because = format!("{}: {cause}", path.display());
                        no_secret(cluster, name, &because, "put the file there, readable by the user who runs weft")
                    })?;
                    read.trim_end_matches(['\r', '\n']).to_owned()
                }
            };
            client.insert(name.clone(), text);
        }
        Ok(Self { bootstrap: cluster.bootstrap.clone(), client, topics: cluster.topics })
    }
}

impl KafkaArgs {
    /// For commands that speak to a mesh that runs: as `choose`, and where nobody names one, the embedded log's address;
    /// where it is guarded, the way in that lies in its data directory.
    pub(crate) fn or_default(
        &self,
        clusters: &[Cluster],
        folder: &Path,
        guarded_data: Option<&Path>,
    ) -> Result<Kafka, Diagnostics> {
        match (Kafka::choose(self, clusters, folder)?, guarded_data) {
            (Some(kafka), _) => Ok(kafka),
            (None, Some(data)) => access::read_own_key(data),
            (None, None) => Ok(Kafka::plain(KAFKA_DEFAULT)),
        }
    }
}

/// `name=value` per line; `#` begins a comment line.
fn read_config(path: &Path) -> Result<BTreeMap<String, String>, Diagnostics> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|cause| {
        let what = format!("cannot read \"{file}\"");
        refused("NODE-011", what, cause.to_string(), "name a file that you may read".to_owned(), None)
    })?;
    let mut client = BTreeMap::new();
    for (at, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let place = || Some(Place { file: file.clone(), line: at });
        let Some((name, value)) = line.split_once('=') else {
            let what = "a line is no property".to_owned();
            let because = "it has no `=`".to_owned();
            return Err(refused("NODE-011", what, because, "write `name=value`".to_owned(), place()));
        };
        let (name, value) = (name.trim(), value.trim());
        if property_kind(name).is_none() {
            let because = if name == "bootstrap.servers" {
                "--kafka says where the brokers are".to_owned()
            } else {
                "only what reaches and secures a connection may be set".to_owned()
            };
            let try_ = near::suggest(name, &property_names());
            let what = format!("property \"{name}\" cannot be set on a connection to Kafka");
            return Err(refused("NODE-011", what, because, try_, place()));
        }
        client.insert(name.to_owned(), value.to_owned());
    }
    Ok(client)
}

fn no_cluster(name: &ClusterName, because: &str, names: &[&str]) -> Diagnostics {
    let try_ = match names {
        [] => "add it to section `clusters`, or name the Kafka with --kafka HOST:PORT".to_owned(),
        _ => near::suggest(name.as_str(), names),
    };
    refused("NODE-010", format!("there is no cluster \"{name}\""), because.to_owned(), try_, None)
}

fn no_secret(cluster: &Cluster, name: &str, because: &str, try_: &str) -> Diagnostics {
    let place = Place { file: "weft.yaml".to_owned(), line: cluster.line };
    let what = format!("cannot read the value of \"{name}\" of cluster \"{}\"", cluster.name);
    refused("NODE-012", what, because.to_owned(), try_.to_owned(), Some(place))
}

fn refused(code: &'static str, what: String, because: String, try_: String, place: Option<Place>) -> Diagnostics {
    Diagnostics::from(Diagnostic { kind: Kind::Invalid, code, what, because, try_, place })
}

#[cfg(test)]
mod tests {
    use weft_model::load::{self, Files};

    use super::*;

    fn clusters(yaml: &str) -> Vec<Cluster> {
        let files = Files(BTreeMap::from([("weft.yaml".to_owned(), format!("mesh: m\n{yaml}"))]));
        load::node(&files).unwrap_or_else(|findings| panic!("{findings}")).clusters
    }

    fn choose(args: &KafkaArgs, yaml: &str, folder: &Path) -> Result<Option<Kafka>, String> {
        Kafka::choose(args, &clusters(yaml), folder).map_err(|findings| findings.to_string())
    }

    const TWO: &str = "clusters:\n  dev: { bootstrap: \"d:1\" }\n  prod: { bootstrap: \"p:1\" }\n";

    #[test]
    fn flags_go_before_the_file_and_one_cluster_needs_no_flag() {
        let here = Path::new("/mesh");
        let named = |cluster: &str| KafkaArgs { cluster: Some(cluster.parse().unwrap()), ..KafkaArgs::default() };
        let flag = KafkaArgs { kafka: Some("f:1".to_owned()), ..KafkaArgs::default() };
        let none = KafkaArgs::default();
        let bootstrap =
            |args: &KafkaArgs, yaml: &str| choose(args, yaml, here).map(|kafka| kafka.map(|it| it.bootstrap));
        assert_eq!(bootstrap(&flag, TWO), Ok(Some("f:1".to_owned())));
        assert_eq!(bootstrap(&named("prod"), TWO), Ok(Some("p:1".to_owned())));
        assert_eq!(bootstrap(&none, "clusters: { only: { bootstrap: \"o:1\" } }\n"), Ok(Some("o:1".to_owned())));
        assert_eq!(bootstrap(&none, ""), Ok(None));
        for (args, yaml, word) in
            [(none, TWO, "dev, prod"), (named("prd"), TWO, "prod"), (named("prod"), "", "no section `clusters`")]
        {
            let error = bootstrap(&args, yaml).expect_err(word);
            assert!(error.contains(word) && error.contains("NODE-010"), "{error}");
        }
    }

    #[test]
    fn secrets_are_read_and_paths_are_meant_from_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), "pass word\n").unwrap();
        std::fs::write(folder.path().join("ca.pem"), "").unwrap();
        let yaml = "clusters:\n  prod:\n    bootstrap: p:1\n    client:\n      ssl.ca.location: ca.pem\n      sasl.password: file:secret\n      socket.keepalive.enable: true\n      sasl.username: env:NOBODY_SETS_THIS\n";
        let error = choose(&KafkaArgs::default(), yaml, folder.path()).expect_err("no such variable");
        assert!(error.contains("NOBODY_SETS_THIS") && error.contains("NODE-012"), "{error}");
        let no_ca = choose(
            &KafkaArgs::default(),
            &yaml.replace("ca.pem", "no.pem").replace("env:NOBODY_SETS_THIS", "weft"),
            folder.path(),
        );
        assert!(no_ca.expect_err("no such file").contains("no.pem: No such file"));
        let kafka = choose(&KafkaArgs::default(), &yaml.replace("env:NOBODY_SETS_THIS", "weft"), folder.path());
        let client = kafka.unwrap().unwrap().client;
        assert_eq!(client["sasl.password"], "pass word");
        assert_eq!(client["ssl.ca.location"], folder.path().join("ca.pem").to_string_lossy());
        assert_eq!(client["socket.keepalive.enable"], "true");
    }

    #[test]
    fn a_file_of_properties() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("client.properties");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read_config(&path).map_err(|findings| findings.to_string())
        };
        let client = read("# how to get in\nsecurity.protocol = SASL_SSL\n\nsasl.password=a=b\n").unwrap();
        assert_eq!(client["security.protocol"], "SASL_SSL");
        assert_eq!(client["sasl.password"], "a=b");
        for (text, word) in [
            ("security.protocol", "no `=`"),
            ("\nsecurity.protocl=ssl", "security.protocol"),
            ("bootstrap.servers=x:1", "--kafka says"),
            ("isolation.level=read_uncommitted", "secures a connection"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(word) && error.contains("NODE-011"), "{text}: {error}");
        }
    }

    #[test]
    fn others_learn_how_to_log_in_and_no_secret() {
        let client =
            [("security.protocol", "sasl_ssl"), ("sasl.mechanism", "SCRAM-SHA-512"), ("sasl.password", "hush")];
        let client = client.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let door = Kafka { client, ..Kafka::plain("broker:9093") }.door();
        assert!(door.by_tls && door.sasl_mechanism.as_deref() == Some("SCRAM-SHA-512"), "{door:?}");
        assert!(!format!("{door:?}").contains("hush"), "{door:?}");
        let plain = Kafka::plain("broker:9092").door();
        assert_eq!((plain.by_tls, plain.sasl_mechanism), (false, None));
    }
}
