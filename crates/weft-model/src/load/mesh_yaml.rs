//! `weft.yaml`, the root of a mesh, and `domain.yaml`, the root of a domain. Both are ours and read strictly.

use super::findings::{Findings, place};
use super::{access_yaml, cluster_yaml, settings_yaml, strict};
use crate::access::AccessSettings;
use crate::cluster::Cluster;
use crate::mesh::{Domain, Listeners, Replay};
use crate::name::{DomainName, MeshId};
use crate::settings::{SECTIONS, Settings};
use crate::yaml::{Node, Value};

/// `weft.yaml` as read.
#[derive(Debug, Clone)]
pub(crate) struct MeshFile {
    pub(crate) id: MeshId,
    pub(crate) topic_prefix: String,
    pub(crate) clusters: Vec<Cluster>,
    pub(crate) access: AccessSettings,
    pub(crate) listeners: Listeners,
    pub(crate) replay: Replay,
    /// Partitions of ports that say nothing else.
    pub(crate) partitions: u32,
    pub(crate) settings: Settings,
}

/// Reads `weft.yaml`.
pub(crate) fn read_mesh(file: &str, root: &Node, findings: &mut Findings) -> Option<MeshFile> {
    let mut known =
        vec!["mesh", "description", "topic_prefix", "clusters", "access", "listeners", "replay", "defaults"];
    known.extend(SECTIONS);
    let top = strict::fields(file, root, "weft.yaml", &known, findings)?;
    top.text("description", findings);
    let settings = settings_yaml::read(file, root, &SECTIONS, findings);
    let id = top.required_text("mesh", "my-mesh", findings).and_then(|text| match text.parse::<MeshId>() {
        Ok(id) => Some(id),
        Err(error) => {
            findings.add(
                "MODEL-013",
                place(file, top.line("mesh")),
                "the mesh has an id that topics cannot carry",
                error.to_string(),
                "choose another id; it stands in every internal topic, so it cannot change later",
            );
            None
        }
    });
    let topic_prefix = topic_prefix(&top, findings);
    let clusters = top.get("clusters").map(|node| cluster_yaml::read(file, node, findings)).unwrap_or_default();
    let access = top.get("access").map(|node| access_yaml::read(file, node, top.line("access"), findings));
    let access = access.unwrap_or_default();
    let mut listeners = Listeners::default();
    if let Some(node) = top.get("listeners")
        && let Some(fields) = strict::fields(file, node, "listeners", &["kafka", "http"], findings)
    {
        for (key, address) in [("kafka", &mut listeners.kafka), ("http", &mut listeners.http)] {
            if let Some(text) = fields.text(key, findings) {
                check_address(file, fields.line(key), key, text, findings);
                *address = text.to_owned();
            }
        }
    }
    let mut replay = Replay::Max;
    if let Some(node) = top.get("replay")
        && let Some(fields) = strict::fields(file, node, "replay", &["speed"], findings)
        && let Some(node) = fields.get("speed")
    {
        replay = speed(file, node, findings).unwrap_or(Replay::Max);
    }
    let mut partitions = 1;
    if let Some(node) = top.get("defaults")
        && let Some(fields) = strict::fields(file, node, "defaults", &["partitions"], findings)
        && let Some(count) = fields.number("partitions", 1, super::product::PARTITIONS_MAX.unsigned_abs(), findings)
    {
        partitions = u32::try_from(count).expect("checked against the bound");
    }
    Some(MeshFile { id: id?, topic_prefix, clusters, access, listeners, replay, partitions, settings })
}

fn topic_prefix(top: &strict::Fields<'_>, findings: &mut Findings) -> String {
    let prefix = top.text("topic_prefix", findings).unwrap_or_default();
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if !prefix.bytes().all(legal) || prefix.starts_with("__weft.") {
        findings.add(
            "MODEL-034",
            place(top.file, top.line("topic_prefix")),
            "`topic_prefix` cannot start a topic's name",
            format!(
                "it is \"{prefix}\"; topics hold letters, digits, `.`, `-` and `_`, and `__weft.` starts internal ones"
            ),
            "write something like `acme.`",
        );
        return String::new();
    }
    prefix.to_owned()
}

fn check_address(file: &str, line: u32, key: &str, text: &str, findings: &mut Findings) {
    let fits = text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if !fits {
        findings.add(
            "MODEL-042",
            place(file, line),
            format!("listener \"{key}\" is no address"),
            format!("it is \"{text}\", expected host:port"),
            "write `127.0.0.1:9092`; port 0 takes any free one",
        );
    }
}

fn speed(file: &str, node: &Node, findings: &mut Findings) -> Option<Replay> {
    const TIMES_MAX: f64 = 1e9;
    let times = match &node.value {
        Value::Text(text) if text == "max" => return Some(Replay::Max),
        #[expect(clippy::cast_precision_loss, reason = "a speed-up beyond 2^53 is out of range anyway")]
        Value::Int(times) => *times as f64,
        Value::Float(times) => *times,
        _ => 0.0,
    };
    if times > 0.0 && times <= TIMES_MAX {
        return Some(Replay::Times(times));
    }
    findings.add(
        "MODEL-042",
        place(file, node.line),
        "replay speed is out of range",
        format!("it is {}, expected `max` or a multiple of real time above 0", node.describe()),
        "write `speed: max`, or `speed: 60` for a minute per second",
    );
    None
}

/// Reads `domain.yaml` of the folder `name`.
pub(crate) fn read_domain(file: &str, root: &Node, name: &DomainName, findings: &mut Findings) -> Option<Domain> {
    let fields = strict::fields(file, root, "domain.yaml", &["name", "owner", "description", "contact"], findings)?;
    if let Some(text) = fields.text("name", findings)
        && text != name.as_str()
    {
        findings.add(
            "MODEL-013",
            place(file, fields.line("name")),
            "`name` is not the name of the domain's folder",
            format!("it is \"{text}\", the folder is \"{name}\""),
            format!("write `name: {name}`, or rename the folder"),
        );
    }
    let owner = fields.text("owner", findings).unwrap_or_default().trim().to_owned();
    if owner.is_empty() {
        findings.add(
            "MODEL-014",
            place(file, fields.line("owner")),
            "the domain has no owner",
            "`owner` is missing or empty",
            "name the team that answers for it: `owner: …`",
        );
    }
    fields.text("contact", findings);
    let description = fields.text("description", findings).unwrap_or_default().trim().to_owned();
    Some(Domain { name: name.clone(), owner, description })
}
