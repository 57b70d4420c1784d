//! Settings from a command line: `--override KEY=VALUE`.

use super::findings::{Findings, place};
use super::{layout, settings_yaml};
use crate::kind::Diagnostics;
use crate::settings::Settings;

/// Settings of a log that runs alone, as `--override KEY=VALUE` says them: the keys of section `log`, without its name. The
/// place of a finding is the number of the override.
pub fn log_overrides(overrides: &[(String, String)]) -> Result<Settings, Diagnostics> {
    const PLACE: &str = "--override";
    let mut findings = Findings::default();
    for (at, (key, value)) in (1..).zip(overrides) {
        if let Some((_, before)) = overrides.iter().take(at - 1).find(|(other, _)| other == key) {
            let because = format!("the command line says \"{before}\" and then \"{value}\"");
            let line = u32::try_from(at).unwrap_or(u32::MAX);
            let what = format!("setting \"{key}\" is given twice");
            findings.add("MODEL-043", place(PLACE, line), what, because, "keep one of them");
        }
    }
    findings.finish()?;
    let mut findings = Findings::default();
    let pairs: Vec<String> = overrides.iter().map(|(key, value)| format!("{key}: {value}")).collect();
    let text = format!("log: {{ {} }}\n", pairs.join(",\n  "));
    let root = layout::parse(PLACE, &text, &mut findings);
    let settings = root.map(|root| settings_yaml::read(PLACE, &root, &["log"], &mut findings));
    findings.finish()?;
    Ok(settings.unwrap_or_default())
}
