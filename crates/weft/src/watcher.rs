//! Tells when the descriptors of a folder have changed. Data files and `.weft/` do not count.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{Event, EventKind, RecursiveMode, Watcher as _};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::Instant;
use weft_model::kind::{Diagnostic, Diagnostics, Kind};

/// Editors write a file in several steps; a change counts when it has been quiet for this long.
const SETTLE: Duration = Duration::from_millis(150);
/// Quiet that a change needs where a file of it is empty or gone: most likely it is being written or replaced.
const SETTLE_HALF: Duration = Duration::from_millis(1_000);
/// Most files of one change that are looked at; a checkout of another branch touches more, and settles in `SETTLE`.
const TOUCHED_MAX: usize = 1_000;

/// A watched folder.
pub(crate) struct Watcher {
    changes: mpsc::Receiver<()>,
    /// Files of the change that is settling.
    touched: Arc<Mutex<BTreeSet<PathBuf>>>,
    /// A change that has not been handed out: it must outlive a `changed` that is dropped while it settles.
    heard: Option<Heard>,
    _watcher: notify::RecommendedWatcher,
}

/// A change that is settling.
struct Heard {
    /// When something was last heard or seen of it.
    at: Instant,
    /// A file of it was empty or gone when last looked at.
    half: bool,
}

impl Watcher {
    /// Watches a folder and everything below it.
    pub(crate) fn start(folder: &Path) -> Result<Self, Diagnostics> {
        // One place is enough: a change that waits stands for all.
        let (send, changes) = mpsc::channel(1);
        let touched = Arc::new(Mutex::new(BTreeSet::new()));
        let (root, paths) = (folder.to_path_buf(), Arc::clone(&touched));
        let heard = move |event: notify::Result<Event>| {
            let Ok(event) = event else { return };
            if counts(&root, &event) {
                let mut paths = paths.lock();
                let room = TOUCHED_MAX.saturating_sub(paths.len());
                paths.extend(event.paths.into_iter().filter(|path| is_descriptor(&root, path)).take(room));
                // Full: somebody will look anyway.
                let _ = send.try_send(());
            }
        };
        let mut watcher = notify::recommended_watcher(heard).map_err(|error| cannot_watch(folder, &error))?;
        watcher.watch(folder, RecursiveMode::Recursive).map_err(|error| cannot_watch(folder, &error))?;
        Ok(Self { changes, touched, heard: None, _watcher: watcher })
    }

    /// Waits for a change, and until it has settled. Dropped in the middle, it loses nothing.
    pub(crate) async fn changed(&mut self) {
        loop {
            let Some(heard) = &mut self.heard else {
                if self.changes.recv().await.is_none() {
                    std::future::pending::<()>().await;
                }
                self.heard = Some(Heard { at: Instant::now(), half: false });
                continue;
            };
            let half = half_written(&self.touched.lock());
            if heard.half && !half {
                // Its second step is done, and heard of in a moment.
                heard.at = Instant::now();
            }
            heard.half = half;
            let quiet = if half { SETTLE_HALF } else { SETTLE };
            match tokio::time::timeout_at(heard.at + quiet, self.changes.recv()).await {
                Ok(Some(())) => heard.at = Instant::now(),
                Err(_) if half && !half_written(&self.touched.lock()) => {} // just in time
                Ok(None) | Err(_) => break,
            }
        }
        self.touched.lock().clear();
        self.heard = None;
    }
}

/// Is one of them empty or gone? Between the two steps of an editor, truncate and write or move away and write, it is.
fn half_written(touched: &BTreeSet<PathBuf>) -> bool {
    touched.iter().any(|path| std::fs::metadata(path).map_or(true, |meta| meta.is_file() && meta.len() == 0))
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

    use super::{SETTLE_HALF, Watcher, is_descriptor};

    #[tokio::test]
    async fn a_change_outlives_a_wait_that_is_dropped_while_it_settles() {
        let folder = tempfile::tempdir().unwrap();
        let mut watcher = Watcher::start(folder.path()).unwrap();
        std::fs::write(folder.path().join("weft.yaml"), "mesh: m\n").unwrap();
        // As a select does whose other branch is ready first.
        for _ in 0..20 {
            let _ = tokio::time::timeout(Duration::from_millis(20), watcher.changed()).await;
            if watcher.heard.is_some() {
                break;
            }
        }
        assert!(watcher.heard.is_some(), "the change was not heard");
        tokio::time::timeout(Duration::from_secs(10), watcher.changed()).await.expect("the change is handed out");
    }

    /// A step, a pause that is longer than what settles a whole file, another step; and the wait is dropped all along.
    async fn in_two_steps(first: impl FnOnce(&Path), second: impl FnOnce(&Path)) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("weft.yaml");
        std::fs::write(&file, "mesh: m\n").unwrap();
        let mut watcher = Watcher::start(folder.path()).unwrap();
        first(&file);
        let early = tokio::time::Instant::now() + SETTLE_HALF / 2;
        while tokio::time::Instant::now() < early {
            let waited = tokio::time::timeout(Duration::from_millis(50), watcher.changed()).await;
            assert!(waited.is_err(), "half a file was handed out");
        }
        second(&file);
        tokio::time::timeout(Duration::from_secs(10), watcher.changed()).await.expect("the change is handed out");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mesh: n\n");
        let again = tokio::time::timeout(SETTLE_HALF, watcher.changed()).await;
        assert!(again.is_err(), "one edit was handed out twice");
    }

    #[tokio::test]
    async fn a_file_that_is_emptied_and_then_written_is_one_change() {
        in_two_steps(|file| std::fs::write(file, "").unwrap(), |file| std::fs::write(file, "mesh: n\n").unwrap()).await;
    }

    #[tokio::test]
    async fn a_file_that_is_moved_away_and_then_replaced_is_one_change() {
        let backup = |file: &Path| std::fs::rename(file, file.with_extension("yaml~")).unwrap();
        let replace = |file: &Path| {
            let new = file.with_extension("new~");
            std::fs::write(&new, "mesh: n\n").unwrap();
            std::fs::rename(&new, file).unwrap();
        };
        in_two_steps(backup, replace).await;
    }

    #[tokio::test]
    async fn a_file_that_stays_away_is_a_change_too() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("weft.yaml");
        std::fs::write(&file, "mesh: m\n").unwrap();
        let mut watcher = Watcher::start(folder.path()).unwrap();
        std::fs::remove_file(&file).unwrap();
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
