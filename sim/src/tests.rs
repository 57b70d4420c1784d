//! The simulator finds what is planted, and one seed is one run.

use crate::run::{Plant, run};

#[test]
fn twenty_seeds_hold() {
    for seed in 0..20 {
        if let Err(violation) = run(seed, Plant::Nothing) {
            panic!("seed {seed}: {violation}");
        }
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in [3, 7, 11] {
        assert_eq!(run(seed, Plant::Nothing), run(seed, Plant::Nothing));
    }
    assert_ne!(run(3, Plant::Nothing), run(7, Plant::Nothing));
}

#[test]
fn the_workload_does_what_it_is_for() {
    let runs: Vec<_> = (0..10).map(|seed| run(seed, Plant::Nothing).unwrap()).collect();
    assert!(runs.iter().all(|outcome| outcome.acknowledged > 0 && outcome.seen > 0 && outcome.lives >= 3));
    for (what, total) in [
        ("committed", runs.iter().map(|outcome| outcome.committed).sum::<u64>()),
        ("aborted", runs.iter().map(|outcome| outcome.aborted).sum()),
        ("recoveries cut off", runs.iter().map(|outcome| outcome.recoveries_cut).sum()),
        ("resent", runs.iter().map(|outcome| outcome.resent).sum()),
    ] {
        assert!(total > 0, "no {what} in ten runs");
    }
}

fn caught(plant: Plant) -> usize {
    (0..20).filter(|&seed| run(seed, plant).is_err()).count()
}

#[test]
fn acknowledging_before_the_sync_is_caught() {
    assert!(caught(Plant::AckBeforeSync) > 5);
}

#[test]
fn a_recovery_that_does_not_sync_is_caught() {
    assert!(caught(Plant::RecoveryWithoutSync) > 0);
}

#[test]
fn a_disk_that_does_not_sync_is_caught() {
    assert!(caught(Plant::LyingDisk) > 10);
}
