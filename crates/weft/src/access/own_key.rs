//! The node's own key: who can read its file runs the node.
//!
//! ```text
//!   <data>/access/operator.key          the key: signs in at the portal, and as `__operator` at the log's own listener
//!   <data>/access/operator.properties   the way in for commands (and for kcat -F): address, mechanism, name, key
//! ```
//! Both are readable by their user only (0600).

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use weft_access::Key;
use weft_access::key::KeyRecord;
use weft_model::kind::{Diagnostic, Diagnostics, Kind};
use weft_model::principal::Principal;

use super::bad_file;
use crate::kafka::Kafka;

const KEY: &str = "operator.key";
const PROPERTIES: &str = "operator.properties";
const TRY: &str = "see that the data directory is writable for the user who runs weft";

/// The key of this node.
pub(super) struct OwnKey {
    folder: PathBuf,
    key: Key,
    record: KeyRecord,
}

impl OwnKey {
    /// Reads it, or makes one.
    pub(super) fn open(data: &Path) -> Result<Self, Diagnostics> {
        let folder = data.join("access");
        let failed = |cause: std::io::Error| {
            let because = format!("{}: {cause}", folder.display());
            bad_file("cannot keep the node's own key".to_owned(), because, TRY)
        };
        fs::create_dir_all(&folder).map_err(failed)?;
        let path = folder.join(KEY);
        let key = match fs::read_to_string(&path) {
            Ok(text) => Key::parse(text.trim()).ok_or_else(|| {
                let because = format!("{} holds something else", path.display());
                bad_file("cannot read the node's own key".to_owned(), because, "delete the file: a new key is made")
            })?,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
                let key = Key::new();
                write_private(&path, key.reveal()).map_err(failed)?;
                key
            }
            Err(cause) => return Err(failed(cause)),
        };
        let record = key.record();
        Ok(Self { folder, key, record })
    }

    pub(super) fn key_file(&self) -> PathBuf {
        self.folder.join(KEY)
    }

    pub(super) fn matches(&self, presented: &str) -> bool {
        self.record.matches(presented)
    }

    pub(super) fn record(&self) -> &KeyRecord {
        &self.record
    }

    /// librdkafka properties that log in with it.
    pub(super) fn properties(&self) -> BTreeMap<String, String> {
        let name = Principal::Operator.to_string();
        let properties = [
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanism", "SCRAM-SHA-256"),
            ("sasl.username", name.as_str()),
            ("sasl.password", self.key.reveal()),
        ];
        properties.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Writes down how commands come in while the log listens there.
    pub(super) fn leave_way_in(&self, bootstrap: &str) -> Result<(), Diagnostics> {
        let mut text = format!("bootstrap.servers={bootstrap}\n");
        for (name, value) in self.properties() {
            text.push_str(&format!("{name}={value}\n"));
        }
        let path = self.folder.join(PROPERTIES);
        write_private(&path, &text).map_err(|cause| {
            let because = format!("{}: {cause}", path.display());
            bad_file("cannot leave the way in for commands".to_owned(), because, TRY)
        })
    }
}

/// How a command comes in at the guarded log whose data lies there.
pub(crate) fn read(data: &Path) -> Result<Kafka, Diagnostics> {
    let path = data.join("access").join(PROPERTIES);
    let text = fs::read_to_string(&path).map_err(|cause| {
        Diagnostics::from(Diagnostic {
            kind: Kind::Denied,
            code: "ACCESS-013",
            what: "cannot come in at the mesh: access is on".to_owned(),
            because: format!("{}: {cause}", path.display()),
            try_: "start `weft up` first, run this as the same user, and name its data directory with --data"
                .to_owned(),
            place: None,
        })
    })?;
    let mut client: BTreeMap<String, String> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let bootstrap = client.remove("bootstrap.servers").unwrap_or_default();
    Ok(Kafka { client, ..Kafka::plain(bootstrap) })
}

/// Written under another name and moved, so that nobody reads half of it, and private from its first byte.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let temporary = path.with_extension("tmp");
    match fs::remove_file(&temporary) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => return Err(cause),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    writeln!(file, "{}", text.trim_end())?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_kept_and_nobody_else_reads_it() {
        let data = tempfile::tempdir().unwrap();
        let first = OwnKey::open(data.path()).unwrap();
        first.leave_way_in("127.0.0.1:1").unwrap();
        let again = OwnKey::open(data.path()).unwrap();
        assert!(again.matches(first.key.reveal()) && !again.matches(Key::new().reveal()));
        for name in [KEY, PROPERTIES] {
            let mode = fs::metadata(data.path().join("access").join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        let kafka = read(data.path()).unwrap();
        assert_eq!(kafka.bootstrap, "127.0.0.1:1");
        assert_eq!(kafka.client, first.properties());
    }

    #[test]
    fn without_the_file_there_is_no_way_in() {
        let data = tempfile::tempdir().unwrap();
        assert!(read(data.path()).unwrap_err().to_string().contains("ACCESS-013"));
        fs::create_dir(data.path().join("access")).unwrap();
        fs::write(data.path().join("access").join(KEY), "nonsense").unwrap();
        assert!(OwnKey::open(data.path()).err().unwrap().to_string().contains("ACCESS-009"));
    }
}
