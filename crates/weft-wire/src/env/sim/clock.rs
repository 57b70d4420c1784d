//! Time that a test moves.

use std::time::Duration;

use tokio::sync::watch;

use crate::env::{Clock, Moment, Sleep};

/// A clock that moves only by [`SimClock::advance`].
#[derive(Debug)]
pub struct SimClock {
    now: watch::Sender<Duration>,
    start_wall_ms: i64,
}

impl SimClock {
    /// Stands at this wall-clock time.
    pub fn new(start_wall_ms: i64) -> Self {
        Self { now: watch::channel(Duration::ZERO).0, start_wall_ms }
    }

    /// Moves on and wakes who sleeps until then.
    pub fn advance(&self, by: Duration) {
        self.now.send_modify(|now| *now += by);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Moment {
        Moment::default() + *self.now.borrow()
    }

    fn wall_ms(&self) -> i64 {
        let passed = i64::try_from(self.now.borrow().as_millis()).unwrap_or(i64::MAX);
        self.start_wall_ms.saturating_add(passed)
    }

    fn sleep_until(&self, deadline: Moment) -> Sleep {
        let mut now = self.now.subscribe();
        Box::pin(async move {
            if now.wait_for(|now| Moment::default() + *now >= deadline).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}
