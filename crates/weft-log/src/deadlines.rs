//! One sleeper for many deadlines: what is due earliest is known, nothing is polled.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use weft_wire::env::{Clock, Moment};

/// Names with a moment each. A name may be in it more than once; being woken for nothing is harmless.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    heap: Mutex<BinaryHeap<Reverse<(Moment, String)>>>,
    earlier: Notify,
}

impl Deadlines {
    /// Wakes the sleeper for `name` at `at`.
    pub(crate) fn schedule(&self, at: Moment, name: &str) {
        let mut heap = self.heap.lock();
        let is_first = heap.peek().is_none_or(|Reverse((first, _))| at < *first);
        heap.push(Reverse((at, name.to_owned())));
        drop(heap);
        if is_first {
            self.earlier.notify_one();
        }
    }

    /// Sleeps until something is due, then gives all that is.
    pub(crate) async fn due(&self, clock: &Arc<dyn Clock>) -> Vec<String> {
        loop {
            let first = self.heap.lock().peek().map(|Reverse((at, _))| *at);
            match first {
                Some(at) if at <= clock.now() => return self.take(clock.now()),
                Some(at) => tokio::select! {
                    biased;
                    () = self.earlier.notified() => {}
                    () = clock.sleep_until(at) => {}
                },
                None => self.earlier.notified().await,
            }
        }
    }

    fn take(&self, now: Moment) -> Vec<String> {
        let mut heap = self.heap.lock();
        let mut due = Vec::new();
        while heap.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            if let Some(Reverse((_, name))) = heap.pop()
                && !due.contains(&name)
            {
                due.push(name);
            }
        }
        due
    }
}
