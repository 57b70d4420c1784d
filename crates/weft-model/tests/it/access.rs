//! Section `access` of `weft.yaml`: what it says, and every slip in it.

use weft_model::access::{AccessSettings, TlsFiles};
use weft_model::load;

use crate::support::{WEFT, load_files, shop};

fn with(section: &str) -> load::Files {
    let mut files = shop();
    files.0.insert("weft.yaml".to_owned(), format!("{WEFT}{section}"));
    files
}

fn read(section: &str) -> AccessSettings {
    load::node(&with(section)).unwrap_or_else(|findings| panic!("{section}: {findings}")).access
}

#[test]
fn without_the_section_access_is_off() {
    assert_eq!(read(""), AccessSettings::default());
    assert_eq!(read("access: { enabled: false }\n").to_string(), "off");
    let on = read("access:\n  enabled: true\n  tls: { certificate: a.pem, key: a.key }\n");
    assert_eq!(on.tls, Some(TlsFiles { certificate: "a.pem".to_owned(), key: "a.key".to_owned() }));
    assert!(on.enabled && on.line > 0);
    assert_eq!(on.to_string(), "on, TLS by a.pem and a.key");
    assert_eq!(read("access: { enabled: true }\n").to_string(), "on");
}

#[test]
fn every_slip_is_said() {
    for (section, code) in [
        ("access: true\n", "MODEL-006"),
        ("access: {}\n", "MODEL-007"),
        ("access: { enabled: maybe }\n", "MODEL-006"),
        ("access: { enable: true }\n", "MODEL-005"),
        ("access: { enabled: true, tls: { certificate: a.pem } }\n", "MODEL-007"),
        ("access: { enabled: true, tls: a.pem }\n", "MODEL-006"),
        ("access: { enabled: false, tls: { certificate: a.pem, key: a.key } }\n", "MODEL-053"),
    ] {
        let findings = load_files(&with(section)).expect_err(section).to_string();
        assert!(findings.contains(code), "{section}: {findings}");
    }
}
