//! Group commit: while one `fdatasync` of a file runs, whatever is appended to it waits for the next one, together.
//!
//! ```text
//!             mark                 take                done
//!   idle ───────────► queued ───────────► running ───────────► idle
//!                        ▲                   │ mark
//!                        └──── done ──── running, dirty again
//! ```
//! A file is never synced by two threads at once: the kernel reports a write error to one `fdatasync` only, and the
//! other would acknowledge what is lost.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::FsyncMode;

/// Something with bytes to make durable.
pub(super) trait Dirty: Send + Sync {
    /// Its place in the life drawn above.
    fn phase(&self) -> &Mutex<Phase>;
    /// Makes durable what is written, and tells who waits. Called by one thread at a time.
    fn sync(&self);
}

/// See the picture above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Phase {
    #[default]
    Idle,
    Queued,
    Running,
    RunningDirty,
}

#[derive(Default)]
struct Queue {
    now: VecDeque<Arc<dyn Dirty>>,
    /// Interval mode: at the next tick.
    later: Vec<Arc<dyn Dirty>>,
    running: usize,
    stopped: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    ticker: Condvar,
    idle: Condvar,
    mode: FsyncMode,
}

/// The committer of one store.
pub(super) struct Committer {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Committer {
    pub(super) fn start(mode: FsyncMode, threads: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue::default()),
            wake: Condvar::new(),
            ticker: Condvar::new(),
            idle: Condvar::new(),
            mode,
        });
        let mut handles = Vec::new();
        for index in 0..threads {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name(format!("weft-fsync-{index}"));
            handles.push(thread.spawn(move || shared.work())?);
        }
        if let (FsyncMode::Interval(interval), 1..) = (mode, threads) {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name("weft-fsync-tick".into());
            handles.push(thread.spawn(move || shared.tick(interval))?);
        }
        Ok(Self { shared, threads: Mutex::new(handles) })
    }

    /// There is something to sync. `urgent`: whatever the mode, because a segment is to be sealed.
    pub(super) fn mark(&self, dirty: Arc<dyn Dirty>, urgent: bool) {
        if self.shared.mode == FsyncMode::Os && !urgent {
            return;
        }
        {
            let mut phase = dirty.phase().lock();
            match *phase {
                Phase::Idle => *phase = Phase::Queued,
                Phase::Running => {
                    *phase = Phase::RunningDirty;
                    return;
                }
                Phase::Queued | Phase::RunningDirty => return,
            }
        }
        let mut queue = self.shared.queue.lock();
        if matches!(self.shared.mode, FsyncMode::Interval(_)) && !urgent {
            queue.later.push(dirty);
        } else {
            queue.now.push_back(dirty);
            self.shared.wake.notify_one();
        }
    }

    /// Syncs one thing on this thread. False if there was none.
    pub(super) fn step(&self) -> bool {
        let next = {
            let mut queue = self.shared.queue.lock();
            if queue.now.is_empty() {
                let later = std::mem::take(&mut queue.later);
                queue.now.extend(later);
            }
            let next = queue.now.pop_front();
            queue.running += usize::from(next.is_some());
            next
        };
        match next {
            Some(dirty) => {
                self.shared.run(&dirty);
                true
            }
            None => false,
        }
    }

    /// Syncs all that is marked, then stops the threads. Later marks are never synced.
    pub(super) fn stop(&self) {
        while self.step() {}
        {
            let mut queue = self.shared.queue.lock();
            while queue.running > 0 || !queue.now.is_empty() {
                self.shared.idle.wait(&mut queue);
            }
            queue.stopped = true;
            self.shared.wake.notify_all();
            self.shared.ticker.notify_all();
        }
        for thread in self.threads.lock().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a sync thread panicked");
            }
        }
    }
}

impl Committer {
    /// Ends the threads and syncs nothing more: the process is dying, or stopped already.
    pub(super) fn abandon(&self) {
        let mut queue = self.shared.queue.lock();
        queue.stopped = true;
        queue.now.clear();
        queue.later.clear();
        self.shared.wake.notify_all();
        self.shared.ticker.notify_all();
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.abandon();
    }
}

impl Shared {
    fn work(&self) {
        loop {
            let next = {
                let mut queue = self.queue.lock();
                loop {
                    if let Some(next) = queue.now.pop_front() {
                        queue.running += 1;
                        break next;
                    }
                    if queue.stopped {
                        return;
                    }
                    self.wake.wait(&mut queue);
                }
            };
            self.run(&next);
        }
    }

    fn tick(&self, interval: Duration) {
        let mut queue = self.queue.lock();
        while !queue.stopped {
            self.ticker.wait_for(&mut queue, interval);
            let later = std::mem::take(&mut queue.later);
            if !later.is_empty() {
                queue.now.extend(later);
                self.wake.notify_all();
            }
        }
    }

    fn run(&self, dirty: &Arc<dyn Dirty>) {
        *dirty.phase().lock() = Phase::Running;
        dirty.sync();
        let again = {
            let mut phase = dirty.phase().lock();
            let again = *phase == Phase::RunningDirty;
            *phase = if again { Phase::Queued } else { Phase::Idle };
            again
        };
        let mut queue = self.queue.lock();
        queue.running -= 1;
        if again {
            queue.now.push_back(Arc::clone(dirty));
            self.wake.notify_one();
        }
        self.idle.notify_all();
    }
}
