//! Tells when the descriptors of a folder have changed. Data files and `.weft/` do not count.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{Event, EventKind, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use weft_model::kind::{Diagnostic, Diagnostics, Kind};

/// Editors write a file in several steps; a change counts when it has been quiet for this long.
const SETTLE: Duration = Duration::from_millis(150);

/// A watched folder.
pub(crate) struct Watcher {
    changes: mpsc::Receiver<()>,
    /// A change was heard and has not been handed out: it must outlive a `changed` that is dropped while it settles.
    heard: bool,
    _watcher: notify::RecommendedWatcher,
}

impl Watcher {
    /// Watches a folder and everything below it.
    pub(crate) fn start(folder: &Path) -> Result<Self, Diagnostics> {
        // One place is enough: a change that waits stands for all.
        let (send, changes) = mpsc::channel(1);
        let root = folder.to_path_buf();
        let heard = move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| counts(&root, &event)) {
                // Full: somebody will look anyway.
                let _ = send.try_send(());
            }
        };
        let mut watcher = notify::recommended_watcher(heard).map_err(|error| cannot_watch(folder, &error))?;
        watcher.watch(folder, RecursiveMode::Recursive).map_err(|error| cannot_watch(folder, &error))?;
        Ok(Self { changes, heard: false, _watcher: watcher })
    }

    /// Waits for a change, and until it has settled. Dropped in the middle, it loses nothing.
    pub(crate) async fn changed(&mut self) {
        if !self.heard {
            if self.changes.recv().await.is_none() {
                std::future::pending::<()>().await;
            }
            self.heard = true;
        }
        while let Ok(Some(())) = tokio::time::timeout(SETTLE, self.changes.recv()).await {}
        self.heard = false;
    }
}

fn counts(root: &Path, event: &Event) -> bool {
    if matches!(event.kind, EventKind::Access(_)) {
        return false;
    }
    event.paths.iter().any(|path| is_descriptor(root, path))
}

fn is_descriptor(root: &Path, path: &Path) -> bool {
    let inside: PathBuf = path.strip_prefix(root).unwrap_or(path).into();
    let hidden = inside.components().any(|part| part.as_os_str().to_string_lossy().starts_with('.'));
    let extension = inside.extension().map(|extension| extension.to_string_lossy().into_owned());
    !hidden && matches!(extension.as_deref(), None | Some("yaml" | "yml" | "sql"))
}

fn cannot_watch(folder: &Path, error: &notify::Error) -> Diagnostics {
    Diagnostics::from(Diagnostic {
        kind: Kind::Unavailable,
        code: "NODE-003",
        what: format!("could not watch folder \"{}\" for changes", folder.display()),
        because: error.to_string(),
        try_: "raise the system's limit of inotify watches (fs.inotify.max_user_watches)".to_owned(),
        place: None,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::{Watcher, is_descriptor};

    #[tokio::test]
    async fn a_change_outlives_a_wait_that_is_dropped_while_it_settles() {
        let folder = tempfile::tempdir().unwrap();
        let mut watcher = Watcher::start(folder.path()).unwrap();
        std::fs::write(folder.path().join("weft.yaml"), "mesh: m\n").unwrap();
        // As a select does whose other branch is ready first.
        for _ in 0..20 {
            let _ = tokio::time::timeout(Duration::from_millis(20), watcher.changed()).await;
            if watcher.heard {
                break;
            }
        }
        assert!(watcher.heard, "the change was not heard");
        tokio::time::timeout(Duration::from_secs(10), watcher.changed()).await.expect("the change is handed out");
    }

    #[test]
    fn only_descriptors_count() {
        let root = Path::new("/mesh");
        for (path, counts) in [
            ("/mesh/weft.yaml", true),
            ("/mesh/domains/a/b/transform.sql", true),
            ("/mesh/domains/a", true),
            ("/mesh/domains/a/b/data/flights.csv", false),
            ("/mesh/.weft/log/meta", false),
            ("/mesh/domains/a/b/.transform.sql.swp", false),
        ] {
            assert_eq!(is_descriptor(root, Path::new(path)), counts, "{path}");
        }
    }
}
