//! `weft doctor`: can the Kafkas that a folder names carry its mesh?

use std::path::Path;
use std::time::Duration;

use weft_catalog::{Connection, reach};
use weft_model::cluster::Cluster;
use weft_model::kind::Diagnostics;
use weft_model::name::MeshId;

use crate::doctor::Check;
use crate::kafka::{Kafka, KafkaArgs};
use crate::status::plural;

const NAME: &str = "kafka";
/// Longest wait for one that does not answer.
const WAIT: Duration = Duration::from_secs(5);

/// A check of the one that the command line names, or of every one in `weft.yaml`. None: the embedded log carries the mesh.
pub(crate) async fn all(args: &KafkaArgs, clusters: &[Cluster], folder: &Path) -> Vec<Check> {
    let asked: Vec<KafkaArgs> = if args.kafka.is_some() || args.cluster.is_some() {
        vec![args.clone()]
    } else {
        let named = |cluster: &Cluster| KafkaArgs { cluster: Some(cluster.name.clone()), ..KafkaArgs::default() };
        clusters.iter().map(named).collect()
    };
    let mut checks = Vec::new();
    for args in asked {
        let named = args.cluster.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
        match Kafka::choose(&args, clusters, folder) {
            Ok(Some(kafka)) => checks.push(one(&named, &kafka).await),
            Ok(None) => {}
            Err(findings) => checks.push(bad(&named, findings)),
        }
    }
    checks
}

async fn one(named: &str, kafka: &Kafka) -> Check {
    let mesh: MeshId = "doctor".parse().expect("a name");
    let connection = Connection { timeout: WAIT, ..kafka.connection() };
    let reached = match reach(&connection).await {
        Ok(reached) => reached,
        Err(error) => return bad(named, error.diagnostics(&mesh)),
    };
    let (brokers, copies) = (reached.brokers.len(), usize::from(kafka.topics.replication_factor.unwrap_or(1)));
    let found = format!("{named}{} of cluster {} answer", plural(brokers, "broker"), reached.cluster_id);
    if copies > brokers {
        let found = format!("{found}, and topics are to have {copies} copies");
        return Check::bad(NAME, found, "start more brokers, or lower `topics.replication_factor` of the cluster");
    }
    Check::good(NAME, found)
}

fn bad(named: &str, findings: Diagnostics) -> Check {
    let first = findings.0.into_iter().next().expect("an error has a finding");
    Check::bad(NAME, format!("{named}{}: {}", first.what, first.because), &first.try_)
}
