//! One replay clock per mesh: which event time it is now.
//!
//! ```text
//!   speed max        every row is due at once; watermarks follow the rows
//!   speed 60         event time = first event time + 60 × time since the start; watermarks follow the clock
//! ```
//!
//! The clock starts when every source of the mesh has said at which event time it goes on, at the earliest of these. So
//! a restart goes on where the slowest source was, and no source runs ahead of the others.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use weft_model::mesh::{Mesh, Replay};
use weft_model::name::ProductId;
use weft_model::product::Behaviour;

/// The replay clock of a mesh; all its sources share one.
#[derive(Debug)]
pub struct ReplayClock {
    /// Event-time milliseconds per millisecond; `None` = as fast as it goes.
    times: Option<f64>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Sources that have not said yet where they go on.
    awaited: BTreeSet<ProductId>,
    /// Earliest event time said so far.
    earliest_ms: Option<i64>,
    /// When the clock started, and at which event time.
    started: Option<(Instant, i64)>,
}

impl ReplayClock {
    /// The clock of a mesh, which waits for all its sources.
    pub fn for_mesh(mesh: &Mesh) -> Arc<Self> {
        let sources = mesh.products.values().filter(|product| matches!(product.behaviour, Behaviour::Source(_)));
        Self::new(mesh.replay, sources.map(|product| product.id.clone()))
    }

    /// A clock that waits for these sources.
    pub fn new(replay: Replay, sources: impl IntoIterator<Item = ProductId>) -> Arc<Self> {
        let times = match replay {
            Replay::Max => None,
            Replay::Times(times) => Some(times),
        };
        let state = State { awaited: sources.into_iter().collect(), earliest_ms: None, started: None };
        Arc::new(Self { times, state: Mutex::new(state) })
    }

    /// Do rows wait for their time?
    pub(crate) fn paced(&self) -> bool {
        self.times.is_some()
    }

    /// A source says at which event time it goes on; `None` if it waits for none.
    pub(crate) fn join(&self, product: &ProductId, next_event_ms: Option<i64>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.awaited.remove(product);
        if state.started.is_some() {
            return;
        }
        if let Some(next) = next_event_ms {
            state.earliest_ms = Some(state.earliest_ms.map_or(next, |earliest| earliest.min(next)));
        }
        if state.awaited.is_empty()
            && let Some(earliest) = state.earliest_ms
        {
            state.started = Some((Instant::now(), earliest));
        }
    }

    /// Event time now; `None` before the clock has started.
    pub(crate) fn now_ms(&self) -> Option<i64> {
        let Some(times) = self.times else { return Some(i64::MAX) };
        let (at, event_ms) = self.state.lock().unwrap_or_else(PoisonError::into_inner).started?;
        Some(event_time(event_ms, at.elapsed(), times))
    }

    /// How long until that event time; zero if it has come.
    pub(crate) fn until(&self, event_ms: i64) -> Duration {
        const UNSTARTED: Duration = Duration::from_millis(20);
        let Some(times) = self.times else { return Duration::ZERO };
        let Some(now) = self.now_ms() else { return UNSTARTED };
        let left = event_ms.saturating_sub(now);
        if left <= 0 {
            return Duration::ZERO;
        }
        #[expect(clippy::cast_precision_loss, reason = "a pause need not be exact")]
        let pause = Duration::try_from_secs_f64(left as f64 / times / 1000.0);
        pause.unwrap_or(Duration::MAX)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and event time beyond i64 is the end of time")]
fn event_time(start_ms: i64, elapsed: Duration, times: f64) -> i64 {
    start_ms.saturating_add((elapsed.as_secs_f64() * 1000.0 * times) as i64)
}

/// A source's place in the clock: leaves it when dropped, so that one that fails does not hold up the others.
#[derive(Debug)]
pub(crate) struct ClockSeat {
    clock: Arc<ReplayClock>,
    product: ProductId,
}

impl ClockSeat {
    pub(crate) fn new(clock: Arc<ReplayClock>, product: ProductId) -> Self {
        Self { clock, product }
    }

    pub(crate) fn clock(&self) -> &ReplayClock {
        &self.clock
    }

    pub(crate) fn join(&self, next_event_ms: Option<i64>) {
        self.clock.join(&self.product, next_event_ms);
    }
}

impl Drop for ClockSeat {
    fn drop(&mut self) {
        self.clock.join(&self.product, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(product: &str) -> ProductId {
        ProductId { domain: "d".parse().unwrap(), product: product.parse().unwrap() }
    }

    #[test]
    fn starts_at_the_earliest_of_all_sources() {
        let clock = ReplayClock::new(Replay::Times(1000.0), [id("a"), id("b"), id("c")]);
        clock.join(&id("a"), Some(5_000_000));
        assert_eq!(clock.now_ms(), None);
        clock.join(&id("b"), Some(3_000_000));
        assert_eq!(clock.now_ms(), None);
        drop(ClockSeat::new(Arc::clone(&clock), id("c")));
        let now = clock.now_ms().unwrap();
        assert!((3_000_000..4_000_000).contains(&now), "{now}");
        clock.join(&id("a"), Some(1)); // too late to turn it back
        assert!(clock.now_ms().unwrap() >= now);
        assert!(clock.until(now) == Duration::ZERO && clock.until(now + 600_000_000) > Duration::from_secs(500));
    }

    #[test]
    fn at_full_speed_everything_is_due() {
        let clock = ReplayClock::new(Replay::Max, [id("a")]);
        assert_eq!(clock.until(i64::MAX), Duration::ZERO);
        assert!(!clock.paced());
    }

    #[test]
    fn event_time_runs_so_many_times_faster() {
        assert_eq!(event_time(1_000, Duration::from_millis(10), 3600.0), 37_000);
        assert_eq!(event_time(1_000, Duration::from_secs(1), 0.5), 1_500);
        assert_eq!(event_time(i64::MAX - 1, Duration::from_secs(1), 10.0), i64::MAX);
    }
}
