//! Whole lives of devices, at random: several workers drive the core as the reconciler does,
//! while everything around them fails.
//!
//! Requests are refused, lost, applied late or answered in vain; workers die between any two
//! actions; messages come twice and in any order; clocks run behind; wake-ups fire; other people
//! own or edit identities; dead letters are replayed. What must always hold is checked after
//! every action, what must hold in the end when everything is at rest.
//!
//! A run depends on its seed alone. A failing one prints its seed and its last actions;
//! `SIMULATION_SEED=n cargo test -p lifecycle --test simulation one` plays it again.

mod brief;
mod checks;
mod faults;
mod hub;
mod rng;
mod scenario;
mod servers;
mod worker;
mod world;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};

use world::World;

/// Plays these seeds; how often everything happened in them.
fn play(seeds: impl Iterator<Item = u64>) -> BTreeMap<&'static str, u64> {
    let mut seen = BTreeMap::new();
    for seed in seeds {
        let mut world = World::new(seed, false);
        if world.play().is_err() {
            let mut again = World::new(seed, true);
            let violation = again.play().expect_err("a run depends on its seed alone");
            let from = again.trace.len().saturating_sub(400);
            panic!(
                "{}\nseed {seed}: {violation}\nSIMULATION_SEED={seed} plays it again",
                again.trace[from..].join("\n")
            );
        }
        for (what, times) in world.seen {
            *seen.entry(what).or_default() += times;
        }
    }
    seen
}

/// Everything that the runs are for has happened.
fn assert_everything_happened(seen: &BTreeMap<&str, u64>) {
    for what in [
        "applied late",
        "compare-and-set lost",
        "conflict",
        "crash",
        "dead letter",
        "deferred",
        "edited by hand",
        "foreign",
        "outcome applied",
        "outcome dead",
        "outcome ignored",
        "outcome superseded",
        "outcome unchanged",
        "question",
        "redelivered while held",
        "replayed",
        "reply lost",
        "request lost",
        "stored without our knowing",
        "wake-up",
    ] {
        assert!(
            seen.get(what).is_some_and(|times| *times > 10),
            "{what}: {seen:?}"
        );
    }
}

#[test]
fn fixed_seeds() {
    assert_everything_happened(&play(0..3000));
}

#[test]
fn further_fixed_seeds() {
    play((3000..6000).map(|n: u64| n.wrapping_mul(0x5851_F42D_4C95_7F2D)));
}

#[test]
fn fresh_seeds() {
    let first = RandomState::new().build_hasher().finish();
    play((0..500).map(|n| first.wrapping_add(n)));
}

#[test]
fn one() {
    let Ok(seed) = std::env::var("SIMULATION_SEED") else {
        return;
    };
    play(std::iter::once(seed.parse().expect("a number")));
}

/// A longer search: `SIMULATION_RUNS=n cargo test -p lifecycle --test simulation many`.
#[test]
fn many() {
    let Ok(runs) = std::env::var("SIMULATION_RUNS") else {
        return;
    };
    let runs: u64 = runs.parse().expect("a number");
    let first = RandomState::new().build_hasher().finish();
    println!("{:#?}", play((0..runs).map(|n| first.wrapping_add(n))));
}
