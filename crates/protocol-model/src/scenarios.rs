//! The scenarios that are explored.

use lifecycle::{Failure, MenderView, Status};

use crate::scenario::{Faults, Scenario, Scripted};

const NONE: Faults = Faults {
    crashes: 0,
    timeouts: 0,
    redeliveries: 0,
    refusals: 0,
    stale: 0,
    rollbacks: 0,
    hands: 0,
    switches: 0,
    replays: 0,
    deferrals: 0,
    unknown_saves: 0,
};

fn on(rank: u8) -> Scripted {
    Scripted::new(Status::Accepted, rank)
}

fn off(rank: u8) -> Scripted {
    Scripted::new(Status::Rejected, rank)
}

fn down() -> Failure {
    Failure::Transient("down".to_owned())
}

fn no() -> Failure {
    Failure::Permanent("no".to_owned())
}

/// Every scenario, in the order in which they are explored.
#[must_use]
pub fn all() -> Vec<Scenario> {
    let mut all = basic();
    all.extend(accidents());
    all.extend(operators());
    all
}

/// The scenario of this name.
#[must_use]
pub fn named(name: &str) -> Option<Scenario> {
    all().into_iter().find(|scenario| scenario.name == name)
}

/// Events, crashes and time-outs.
fn basic() -> Vec<Scenario> {
    let gone = [on(1), Scripted::gone(2)];
    let lost = Faults {
        crashes: 1,
        timeouts: 1,
        ..NONE
    };
    vec![
        Scenario {
            faults: lost,
            ..Scenario::new("gone", &gone)
        },
        Scenario {
            faults: lost,
            ..Scenario::new("lifecycle", &[on(1), off(2), on(3)])
        },
        Scenario {
            faults: Faults { timeouts: 2, ..NONE },
            lease: 2,
            workers: 2,
            ..Scenario::new("twice-made", &gone)
        },
        Scenario {
            faults: Faults { timeouts: 1, ..NONE },
            workers: 2,
            ..Scenario::new("late-read", &gone)
        },
        Scenario {
            faults: Faults { timeouts: 1, ..NONE },
            ..Scenario::new(
                "reborn",
                &[on(1).of(1), Scripted::gone(2).of(1), on(3).of(2).revised(1)],
            )
        },
        Scenario {
            mender: MenderView::Known(Status::Rejected),
            faults: lost,
            ..Scenario::new("tie", &[on(1), on(2), off(3).revised(2)])
        },
        Scenario {
            faults: Faults { timeouts: 1, ..NONE },
            ..Scenario::new("hint", &[on(1), on(2).unnumbered(), off(3).revised(2)])
        },
    ]
}

/// What goes wrong around the worker.
fn accidents() -> Vec<Scenario> {
    vec![
        Scenario {
            faults: Faults { crashes: 1, refusals: 2, ..NONE },
            refusals: vec![down(), Failure::Credentials("401".to_owned())],
            wait: 1,
            ..Scenario::new("down", &[on(1), off(2)])
        },
        Scenario {
            faults: Faults { stale: 1, timeouts: 1, ..NONE },
            ..Scenario::new("stale", &[on(1), Scripted::gone(2)])
        },
        Scenario {
            faults: Faults { unknown_saves: 1, timeouts: 1, ..NONE },
            ..Scenario::new("doubt", &[on(1), Scripted::gone(2)])
        },
        Scenario {
            faults: Faults { redeliveries: 1, timeouts: 1, ..NONE },
            ..Scenario::new("again", &[on(1), Scripted::gone(2)])
        },
        Scenario {
            faults: Faults { timeouts: 1, deferrals: 1, ..NONE },
            behind: true,
            ..Scenario::new("behind", &[on(1), Scripted::gone(2)])
        },
        Scenario {
            faults: Faults { rollbacks: 1, crashes: 1, ..NONE },
            ..Scenario::new("rolled-back", &[on(1), Scripted::gone(2)])
        },
    ]
}

/// What people do.
fn operators() -> Vec<Scenario> {
    vec![
        Scenario {
            foreign: true,
            faults: Faults { crashes: 1, timeouts: 1, ..NONE },
            ..Scenario::new("foreign", &[on(1), off(2), Scripted::gone(3)])
        },
        Scenario {
            faults: Faults { hands: 2, timeouts: 1, ..NONE },
            workers: 2,
            ..Scenario::new("hands", &[on(1), off(2)])
        },
        Scenario {
            faults: Faults { switches: 1, timeouts: 1, ..NONE },
            ..Scenario::new("moved", &[on(1), off(2)])
        },
        Scenario {
            faults: Faults { refusals: 1, replays: 2, crashes: 1, ..NONE },
            refusals: vec![no()],
            ..Scenario::new("dead", &[on(1), off(2)])
        },
        Scenario {
            devices: 2,
            faults: Faults { timeouts: 1, ..NONE },
            ..Scenario::new("two-devices", &[on(1)])
        },
    ]
}
