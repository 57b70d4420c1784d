//! Nodes for the portal: what each said of itself, and whether the group of nodes still has it.

use weft_catalog::NodeRecord;
use weft_model::name::NodeName;
use weft_portal::{GroupsSeen, NodeOn, NodeSeen};

/// One node as the pages show it.
pub(super) fn seen(record: &NodeRecord, own: &NodeName, group: &str, groups: Option<&GroupsSeen>) -> NodeSeen {
    let members = groups.and_then(|seen| seen.groups.iter().find(|one| one.id == group));
    let client = weft_catalog::nodes::client_id(&record.node);
    let lives = members.map(|group| group.members.iter().any(|member| member.client_id == client));
    let sources = record.sources.iter().map(|source| NodeOn {
        product: source.product.clone(),
        state: source.state.clone(),
        detail: source.detail.clone(),
        generation: None,
        tasks: None,
        records_in_per_second: 0.0,
        restoring: None,
    });
    let products = record.products.iter().map(|product| NodeOn {
        product: product.product.clone(),
        state: product.state.clone(),
        detail: product.detail.clone(),
        generation: Some(product.generation),
        tasks: Some(product.tasks.len()),
        records_in_per_second: product.records_in_per_second,
        restoring: product.restoring,
    });
    NodeSeen {
        name: record.node.to_string(),
        is_this: record.node == *own,
        lives,
        leaving: record.leaving,
        http: record.http.clone(),
        process: record.process.clone(),
        version: record.version.clone(),
        revision: record.revision,
        leads: record.leads,
        writes: record.writes,
        runs: sources.chain(products).collect(),
    }
}
