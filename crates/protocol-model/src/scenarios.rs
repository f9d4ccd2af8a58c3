//! The scenarios that are explored.
//!
//! The small ones are explored to their ends, and each mutant is caught in one of them. The large
//! ones have three workers and more faults, and are explored as far as asked.

mod large;

use lifecycle::{Failure, MenderView, Status};

pub use self::large::large;
use crate::scenario::{Faults, Scenario, Scripted};

const NONE: Faults = Faults {
    crashes: 0,
    timeouts: 0,
    delays: 0,
    redeliveries: 0,
    refusals: 0,
    stale: 0,
    rollbacks: 0,
    hands: 0,
    switches: 0,
    replays: 0,
    wishes: 0,
    deferrals: 0,
    unknown_saves: 0,
};

const CRASH: Faults = Faults { crashes: 1, ..NONE };
const TIMEOUT: Faults = Faults {
    timeouts: 1,
    ..NONE
};
const BOTH: Faults = Faults {
    crashes: 1,
    ..TIMEOUT
};

/// Two workers at one message rob each other of their saves.
const ROBBED: Faults = Faults {
    redeliveries: 1,
    ..NONE
};

fn on(rank: u8) -> Scripted {
    Scripted::new(Status::Accepted, rank)
}

fn off(rank: u8) -> Scripted {
    Scripted::new(Status::Rejected, rank)
}

fn gone(rank: u8) -> Scripted {
    Scripted::gone(rank)
}

/// A device that is decommissioned and comes back as a new one of the same id.
fn reborn() -> [Scripted; 3] {
    [on(1).of(1), gone(2).of(1), on(3).of(2).revised(1)]
}

fn play(name: &'static str, workers: usize, events: &[Scripted], faults: Faults) -> Scenario {
    Scenario {
        workers,
        faults,
        ..Scenario::new(name, events)
    }
}

/// The scenario of this name.
#[must_use]
pub fn named(name: &str) -> Option<Scenario> {
    let all = small().into_iter().chain(large());
    all.into_iter().find(|scenario| scenario.name == name)
}

/// Those that are explored to their ends.
#[must_use]
pub fn small() -> Vec<Scenario> {
    let down = vec![Failure::Transient("down".to_owned())];
    let mut small = vec![
        play("gone", 2, &[on(1), gone(2)], TIMEOUT),
        play("slow", 2, &[on(1), gone(2)], Faults { delays: 1, ..NONE }),
        play("order", 1, &[on(1).of(1), off(2).of(1)], CRASH),
        play("closed", 1, &[on(1).of(1), gone(2).of(1)], CRASH),
        play("twice-made", 1, &[on(1), off(2), gone(3)], TIMEOUT),
        play("reborn", 1, &reborn(), TIMEOUT),
        Scenario {
            mender: MenderView::Known(Status::Rejected),
            ..play("tie", 1, &[on(1), on(2), off(2)], CRASH)
        },
        play(
            "key",
            1,
            &[on(1), Scripted::new(Status::Preauthorized, 2), on(3)],
            Faults { hands: 1, ..CRASH },
        ),
        Scenario {
            refusals: down,
            wait: 1,
            ..play(
                "down",
                1,
                &[on(1), off(2)],
                Faults {
                    refusals: 1,
                    ..CRASH
                },
            )
        },
        Scenario {
            foreign: true,
            ..play("foreign", 1, &[on(1), off(2), gone(3)], BOTH)
        },
        Scenario {
            foreign: true,
            ..play("adopted", 1, &[on(1), off(2)], Faults { hands: 1, ..CRASH })
        },
        Scenario {
            foreign: true,
            ..play(
                "adopted-last",
                1,
                &[off(1), on(2)],
                Faults { hands: 1, ..CRASH },
            )
        },
        play("hands", 1, &[on(1), off(2)], Faults { hands: 2, ..NONE }),
        play(
            "moved",
            2,
            &[on(1), off(2)],
            Faults {
                switches: 1,
                ..NONE
            },
        ),
        Scenario {
            refusals: vec![Failure::Permanent("no".to_owned())],
            ..play(
                "dead",
                1,
                &[on(1), off(2)],
                Faults {
                    refusals: 1,
                    replays: 2,
                    ..CRASH
                },
            )
        },
        play(
            "rolled-back",
            1,
            &[on(1), gone(2)],
            Faults {
                rollbacks: 1,
                ..CRASH
            },
        ),
        play("rotated", 1, &[on(1)], Faults { wishes: 2, ..BOTH }),
        Scenario {
            wait: 1,
            ..play(
                "stale",
                1,
                &[on(1), gone(2)],
                Faults {
                    stale: 1,
                    ..TIMEOUT
                },
            )
        },
        play("robbed", 2, &[on(1), on(2)], ROBBED),
    ];
    small.extend(seldom());
    small
}

/// What the simulation has met only once in a hundred thousand runs.
fn seldom() -> Vec<Scenario> {
    let down = vec![Failure::Transient("down".to_owned())];
    vec![
        Scenario {
            mender: MenderView::Known(Status::Rejected),
            refusals: down,
            wait: 1,
            ..play(
                "tie-unanswered",
                1,
                &[on(1), on(2), off(2)],
                Faults {
                    refusals: 1,
                    ..NONE
                },
            )
        },
        play(
            "moved-back",
            1,
            &[on(1), off(2), on(3)],
            Faults {
                switches: 2,
                ..CRASH
            },
        ),
        play(
            "put-back",
            1,
            &[on(1)],
            Faults {
                wishes: 2,
                rollbacks: 1,
                ..NONE
            },
        ),
        play(
            "twins",
            2,
            &[on(1).of(1), on(2).of(2)],
            Faults { hands: 1, ..NONE },
        ),
        Scenario {
            refusals: vec![Failure::Permanent("no".to_owned())],
            ..play(
                "given-up-hint",
                1,
                &[on(1), on(2).unnumbered()],
                Faults {
                    refusals: 1,
                    replays: 1,
                    stale: 1,
                    ..NONE
                },
            )
        },
    ]
}
