//! A simulated world: a clock that stands still until it is moved, seeded randomness, and a disk that can lose power.
//!
//! Power-cut model of [`SimDisk`]. A file has *synced* bytes and what was done to it since. At a cut
//! - of the bytes written since, every 512-byte sector is kept or lost on its own, so a batch can be torn anywhere;
//! - the size becomes the synced one, the newest one, or anything between (what was lost reads as zeros);
//! - of the names created, renamed and removed in a directory since it was synced, each is kept or lost on its own.
//!
//! Everything is decided by the seed, so a run can be repeated. Errors can be injected too, and the power can go at a
//! given operation, in the middle of whatever the program does ([`SimDisk::cut_power_after`]).

mod clock;
mod disk;
mod rng;

use std::sync::Arc;

pub use self::clock::SimClock;
pub use self::disk::{Operation, SECTOR_BYTES, SimDisk};
pub use self::rng::SimRng;
use super::{Env, Rng};

/// A simulated world, with handles to move and break it.
pub struct SimWorld {
    /// What the code under test gets.
    pub env: Env,
    /// Its clock.
    pub clock: Arc<SimClock>,
    /// Its disk.
    pub disk: SimDisk,
    /// Its randomness, also for the test itself.
    pub rng: Arc<SimRng>,
}

impl SimWorld {
    /// Everything from one seed.
    pub fn new(seed: u64) -> Self {
        let rng = Arc::new(SimRng::new(seed));
        let clock = Arc::new(SimClock::new(1_700_000_000_000));
        // The disk draws from its own stream, so that looking at it does not change the workload.
        let disk = SimDisk::new(rng.next_u64());
        let env = Env { clock: Arc::clone(&clock) as _, disk: Arc::new(disk.clone()), rng: Arc::clone(&rng) as _ };
        Self { env, clock, disk, rng }
    }
}
