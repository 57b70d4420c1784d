//! `weft node ls`: which nodes run a mesh, what each runs, how far behind it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use weft_catalog::groups::Member;
use weft_catalog::{Connection, Desired, Groups, NodeRecord, Offsets, Roll, read_roll};
use weft_model::kind::Diagnostics;
use weft_model::mesh::Mesh;
use weft_model::name::{NodeName, ProductId};
use weft_model::topic;

use crate::status::{group, plural};

/// Records that wait, by node and product.
type Lag = BTreeMap<(NodeName, ProductId), i64>;

/// A block per node.
pub(crate) async fn list(connection: &Connection, mesh: &Mesh, desired: &Desired) -> Result<String, Diagnostics> {
    let explain = |error: weft_catalog::CatalogError| error.diagnostics(&mesh.id);
    let (roll, living) = read_roll(connection, &mesh.id).await.map_err(explain)?;
    let lag = lag(connection, mesh, &roll).await.map_err(explain)?;
    Ok(render(&roll, &living, &lag, desired.revision))
}

/// What each node's members of the products' groups have not committed yet.
pub(crate) async fn lag(connection: &Connection, mesh: &Mesh, roll: &Roll) -> Result<Lag, weft_catalog::CatalogError> {
    let groups = Groups::open(connection)?;
    let products: BTreeSet<(ProductId, u32)> = roll
        .nodes()
        .flat_map(|seen| &seen.record.products)
        .map(|product| (product.product.clone(), product.generation))
        .collect();
    let ids: Vec<String> =
        products.iter().map(|(id, generation)| topic::internal(&mesh.id, &format!("{id}.g{generation}"))).collect();
    let found = groups.named(&ids).await?;
    let mut topics: BTreeMap<String, u32> = BTreeMap::new();
    for (topic, partition) in found.iter().flat_map(|group| &group.members).flat_map(|member| &member.assigned) {
        let count = topics.entry(topic.clone()).or_default();
        *count = (*count).max(partition + 1);
    }
    let kept = Offsets::open(connection)?.kept(topics.into_iter().collect()).await?;
    let mut lag = Lag::new();
    for ((product, _), group) in products.into_iter().zip(&found) {
        let behind = |member: &Member| {
            let of = |(topic, partition): &(String, u32)| {
                let kept = kept.get(topic)?.get(partition)?;
                let at = group.committed.get(&(topic.clone(), *partition)).copied().unwrap_or(kept.start);
                Some((kept.end - at).max(0))
            };
            member.assigned.iter().filter_map(of).sum::<i64>()
        };
        for member in &group.members {
            if let Some(node) = member.client_id.strip_prefix("weft-engine/").and_then(|name| name.parse().ok()) {
                *lag.entry((node, product.clone())).or_default() += behind(member);
            }
        }
    }
    Ok(lag)
}

fn render(roll: &Roll, living: &BTreeSet<NodeName>, lag: &Lag, revision: u64) -> String {
    let mut out = String::new();
    let mut say = |line: &str| writeln!(out, "{}", line.trim_end()).expect("writing to a String does not fail");
    if roll.nodes().next().is_none() {
        say("no node has announced itself in the last minutes");
    }
    for record in roll.nodes().map(|seen| &seen.record) {
        let lives = living.contains(&record.node);
        say(&node_line(record, lives, revision));
        if !lives {
            continue;
        }
        for source in &record.sources {
            let detail = source.detail.as_deref().map_or_else(String::new, |detail| format!(": {detail}"));
            say(&format!("  {:<32} {}{detail}", source.product.to_string(), source.state));
        }
        for product in &record.products {
            let key = (record.node.clone(), product.product.clone());
            let behind = lag.get(&key).map_or_else(String::new, |lag| {
                format!(", {} behind", plural(usize::try_from(*lag).unwrap_or(0), "record"))
            });
            let restoring = product.restoring.map_or_else(String::new, |(done, total)| {
                format!(", restored {} of {} records", group(done), group(total))
            });
            let tasks = plural(product.tasks.len(), "task");
            say(&format!("  {:<32} {}: {tasks}{behind}{restoring}", product.product.to_string(), product.state));
        }
    }
    out
}

fn node_line(record: &NodeRecord, lives: bool, revision: u64) -> String {
    let state = match (lives, record.leaving) {
        (true, false) => "up",
        (true, true) => "leaving",
        (false, true) => "left",
        (false, false) => "gone",
    };
    let mut roles = Vec::new();
    if lives && record.leads {
        roles.push("runs the sources".to_owned());
    }
    if lives && record.writes {
        roles.push("writes the desired state".to_owned());
    }
    if lives && record.revision != revision {
        roles.push(format!("runs revision {} of {revision}", record.revision));
    }
    let roles = if roles.is_empty() { String::new() } else { format!(" · {}", roles.join(", ")) };
    format!("{}  {state}  http://{}  weft {}  {}{roles}", record.node, record.http, record.version, record.process)
}
