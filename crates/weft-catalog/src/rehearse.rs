//! Trying a plan out on the Kafka, which checks rights, policies and brokers without doing anything (`validate_only`).
//!
//! What it would refuse becomes a refusal of the plan, so that a person learns before the first topic is made what an
//! administrator has to do first.

use rdkafka::error::RDKafkaErrorCode as Code;
use weft_model::kind::{Diagnostic, Kind};
use weft_model::name::MeshId;

use crate::Connection;
use crate::error::CatalogError;
use crate::kafka::{admin_options, open_admin};
use crate::plan::{Plan, Refusal, TopicChange};
use crate::topic_requests::{Unwilling, configure, create, widen};

/// Adds to the plan what the Kafka would refuse. Nothing is changed there.
pub async fn rehearse(connection: &Connection, plan: &mut Plan) -> Result<(), CatalogError> {
    if plan.topics.iter().all(|change| matches!(change, TopicChange::Keep { .. })) {
        return Ok(());
    }
    let admin = open_admin(connection)?;
    let options = admin_options(connection).validate_only(true);
    let creates: Vec<_> = plan.topics.iter().filter_map(TopicChange::created).collect();
    let mut refused = Vec::new();
    for unwilling in create(&admin, &creates, &options).await? {
        refused.push(refusal(connection, &plan.mesh, "create", "Create", &unwilling));
    }
    for unwilling in configure(&admin, &plan.topics, &options).await? {
        refused.push(refusal(connection, &plan.mesh, "change the settings of", "AlterConfigs", &unwilling));
    }
    for unwilling in widen(&admin, &plan.topics, &options).await? {
        refused.push(refusal(connection, &plan.mesh, "add partitions to", "Alter", &unwilling));
    }
    plan.refused.extend(refused);
    Ok(())
}

fn refusal(connection: &Connection, mesh: &MeshId, verb: &str, operation: &str, found: &Unwilling) -> Refusal {
    let Unwilling { topic, code } = found;
    let what = format!("cannot {verb} topic \"{topic}\"");
    let (kind, because, try_) = match code {
        Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed => (
            Kind::Denied,
            format!("the Kafka at {} denies it: no ACL lets us {operation} it", connection.bootstrap),
            grant(connection, mesh, topic, operation),
        ),
        Code::PolicyViolation => (
            Kind::Denied,
            format!("a policy of the Kafka at {} does not allow it", connection.bootstrap),
            "ask its operator which names, partitions and settings the policy takes".to_owned(),
        ),
        Code::InvalidReplicationFactor => (
            Kind::Invalid,
            "it has fewer brokers than copies are asked for".to_owned(),
            "lower `replication_factor` of the cluster in weft.yaml, or its `default.replication.factor`".to_owned(),
        ),
        other => (
            Kind::Invalid,
            format!("the Kafka at {} says: {other}", connection.bootstrap),
            "put right what it says, and plan again".to_owned(),
        ),
    };
    Refusal { product: None, diagnostic: Diagnostic { kind, code: "APPLY-019", what, because, try_, place: None } }
}

/// What an administrator has to do: rights on the names that the mesh owns by their prefix, where there is one.
fn grant(connection: &Connection, mesh: &MeshId, topic: &str, operation: &str) -> String {
    let principal = connection.client.get("sasl.username").map_or("PRINCIPAL", String::as_str);
    let internal = format!("__weft.{mesh}.");
    let resource = if topic.starts_with(&internal) {
        format!("--topic {internal} --resource-pattern-type prefixed")
    } else {
        format!("--topic {topic}")
    };
    let operations = match operation {
        "Create" => "--operation Create --operation DescribeConfigs --operation Read --operation Write",
        "Alter" => "--operation Alter",
        _ => "--operation AlterConfigs --operation DescribeConfigs",
    };
    format!(
        "have an administrator run `kafka-acls.sh --add --allow-principal User:{principal} {operations} {resource}`; \
         `weft explain APPLY-019` lists all rights of a mesh"
    )
}
