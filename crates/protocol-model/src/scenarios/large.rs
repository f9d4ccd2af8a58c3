//! Three workers and more faults.

use lifecycle::{Failure, MenderView, Status};

use super::{BOTH, CRASH, NONE, TIMEOUT, gone, off, on, play, reborn};
use crate::scenario::{Faults, Scenario, Scripted};

/// Those that are explored as far as asked.
#[must_use]
pub fn large() -> Vec<Scenario> {
    let gone_2 = [on(1), gone(2)];
    let mut large = vec![
        play(
            "rotated-3",
            3,
            &[on(1), off(2), on(3)],
            Faults { wishes: 2, ..BOTH },
        ),
        play(
            "robbed-3",
            3,
            &[on(1), on(2)],
            Faults {
                timeouts: 1,
                redeliveries: 2,
                ..NONE
            },
        ),
        play("gone-3", 3, &gone_2, BOTH),
        play("cycle-3", 3, &[on(1), off(2), on(3)], BOTH),
        play("reborn-3", 3, &reborn(), BOTH),
        Scenario {
            lease: 2,
            ..play(
                "long-lease-3",
                3,
                &gone_2,
                Faults {
                    timeouts: 2,
                    ..NONE
                },
            )
        },
        Scenario {
            mender: MenderView::Known(Status::Rejected),
            ..play("tie-3", 3, &[on(1), on(2), off(2)], TIMEOUT)
        },
        play(
            "hint-3",
            3,
            &[on(1), on(2).unnumbered(), off(3).revised(2)],
            TIMEOUT,
        ),
        Scenario {
            devices: 2,
            ..play("two-devices-3", 3, &[on(1), gone(2)], TIMEOUT)
        },
    ];
    large.push(given_up());
    large.extend(troubles(&gone_2));
    large
}

/// One event after the other is given up, the last one after it was owed.
fn given_up() -> Scenario {
    Scenario {
        refusals: vec![
            Failure::Permanent("no".to_owned()),
            Failure::Transient("down".to_owned()),
        ],
        wait: 1,
        ..play(
            "given-up",
            1,
            &[on(1), off(2)],
            Faults {
                refusals: 3,
                replays: 1,
                ..CRASH
            },
        )
    }
}

/// With trouble around the workers.
fn troubles(events: &[Scripted]) -> Vec<Scenario> {
    vec![
        Scenario {
            refusals: vec![
                Failure::Transient("down".to_owned()),
                Failure::Credentials("401".to_owned()),
                Failure::Permanent("no".to_owned()),
            ],
            wait: 1,
            max_age: 1,
            ..play(
                "down-3",
                3,
                &[on(1), off(2)],
                Faults {
                    refusals: 2,
                    replays: 1,
                    ..NONE
                },
            )
        },
        Scenario {
            wait: 1,
            ..play("stale-3", 3, events, Faults { stale: 2, ..BOTH })
        },
        play(
            "doubt-3",
            3,
            events,
            Faults {
                unknown_saves: 2,
                ..TIMEOUT
            },
        ),
        play("slow-3", 3, events, Faults { delays: 2, ..BOTH }),
        play(
            "again-3",
            3,
            events,
            Faults {
                redeliveries: 2,
                ..TIMEOUT
            },
        ),
        Scenario {
            behind: true,
            ..play(
                "behind-3",
                3,
                events,
                Faults {
                    deferrals: 1,
                    ..TIMEOUT
                },
            )
        },
        play(
            "rolled-back-3",
            3,
            events,
            Faults {
                rollbacks: 1,
                ..BOTH
            },
        ),
        Scenario {
            foreign: true,
            ..play("foreign-3", 3, &[on(1), off(2), gone(3)], TIMEOUT)
        },
        play(
            "hands-3",
            3,
            &[on(1), off(2)],
            Faults {
                hands: 2,
                ..TIMEOUT
            },
        ),
        play(
            "moved-3",
            3,
            &[on(1), off(2)],
            Faults {
                switches: 2,
                ..CRASH
            },
        ),
    ]
}
