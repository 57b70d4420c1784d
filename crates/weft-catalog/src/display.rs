//! A plan as a person reads it.

use std::fmt;

use crate::declared::StateVerdict;
use crate::plan::{Change, Plan, TopicChange};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() && !self.is_refused() {
            writeln!(f, "mesh \"{}\" is at revision {}: nothing to do", self.mesh, self.base_revision)?;
            return notes(self, f);
        }
        if self.is_refused() {
            writeln!(f, "mesh \"{}\" stays at revision {}: the plan is refused", self.mesh, self.base_revision)?;
        } else {
            writeln!(f, "mesh \"{}\", revision {} → {}", self.mesh, self.base_revision, self.base_revision + 1)?;
        }
        writeln!(f, "  topics")?;
        let (mut kept, mut adopted) = (0, 0);
        for change in &self.topics {
            match change {
                TopicChange::Create(spec) => {
                    let config = |key: &str| spec.configs.get(key).map_or("default", String::as_str);
                    let partitions = if spec.partitions == 1 { "partition" } else { "partitions" };
                    writeln!(
                        f,
                        "    + {}   {} {partitions}, {}, retention.ms {}",
                        spec.name,
                        spec.partitions,
                        config("cleanup.policy"),
                        config("retention.ms")
                    )?;
                }
                TopicChange::Configure { topic, changes, .. } => {
                    let changes: Vec<String> =
                        changes.iter().map(|(key, from, to)| format!("{key} {from} → {to}")).collect();
                    writeln!(f, "    ~ {topic}   {}", changes.join(", "))?;
                }
                TopicChange::AddPartitions { topic, from, to } => {
                    writeln!(f, "    ~ {topic}   partitions {from} → {to}")?;
                }
                TopicChange::Delete { topic } => writeln!(f, "    - {topic}   DELETED with its data")?,
                TopicChange::Keep { adopted: true, .. } => adopted += 1,
                TopicChange::Keep { .. } => kept += 1,
            }
        }
        if kept > 0 {
            writeln!(f, "    = {kept} as they should be")?;
        }
        if adopted > 0 {
            writeln!(f, "    = {adopted} adopted, left alone")?;
        }
        writeln!(f, "  products")?;
        let mut unchanged = 0;
        for change in &self.products {
            let state = match &change.verdict {
                None | Some(StateVerdict::New | StateVerdict::Same) => "",
                Some(StateVerdict::InPlace) => "   state: goes on",
                Some(StateVerdict::NewState { .. }) => "   state: REFUSED, would not fit",
                Some(StateVerdict::Breaking { .. }) => "   consumers: REFUSED, would break",
            };
            match &change.change {
                Change::Added => writeln!(f, "    + {}{state}", change.product)?,
                Change::Changed { what } => writeln!(f, "    ~ {}   {}{state}", change.product, what.join(", "))?,
                Change::Retired => writeln!(f, "    - {}   retired; topics and state stay", change.product)?,
                Change::Unchanged if state.is_empty() => unchanged += 1,
                Change::Unchanged => writeln!(f, "    = {}{state}", change.product)?,
            }
        }
        if unchanged > 0 {
            writeln!(f, "    = {unchanged} unchanged")?;
        }
        notes(self, f)?;
        for refusal in &self.refused {
            writeln!(f, "\n{}", refusal.diagnostic)?;
        }
        Ok(())
    }
}

fn notes(plan: &Plan, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if !plan.notes.is_empty() {
        writeln!(f, "  notes")?;
    }
    for note in &plan.notes {
        writeln!(f, "    {note}")?;
    }
    Ok(())
}
