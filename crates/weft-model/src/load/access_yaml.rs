//! Section `access` of `weft.yaml`.

use super::findings::{Findings, place};
use super::strict;
use crate::access::{AccessSettings, TlsFiles};
use crate::yaml::Node;

/// Reads the section. What would have no effect is a finding.
pub(crate) fn read(file: &str, node: &Node, line: u32, findings: &mut Findings) -> AccessSettings {
    let off = AccessSettings { line, ..AccessSettings::default() };
    let Some(fields) = strict::fields(file, node, "access", &["enabled", "tls"], findings) else { return off };
    let Some(flag) = fields.required("enabled", "true", findings) else { return off };
    let Some(enabled) = flag.bool() else {
        strict::wrong_type(file, flag, "enabled", "true or false", findings);
        return off;
    };
    let tls = fields.get("tls").and_then(|node| tls(file, node, findings));
    if !enabled && fields.get("tls").is_some() {
        findings.add(
            "MODEL-053",
            place(file, fields.line("tls")),
            "`access.tls` would have no effect",
            "`access.enabled` is false, and then there are neither keys nor TLS",
            "write `enabled: true`, or leave `tls` out",
        );
    }
    AccessSettings { enabled, tls, line }
}

fn tls(file: &str, node: &Node, findings: &mut Findings) -> Option<TlsFiles> {
    let fields = strict::fields(file, node, "access.tls", &["certificate", "key"], findings)?;
    let certificate = fields.required_text("certificate", "tls/server.pem", findings);
    let key = fields.required_text("key", "tls/server.key", findings);
    Some(TlsFiles { certificate: certificate?.to_owned(), key: key?.to_owned() })
}
