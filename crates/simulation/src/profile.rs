//! How large a run is and how much goes wrong in it.

use std::time::Duration;

use lifecycle::RetryPolicy;

use crate::rng::Rng;

/// What kind of runs are played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Profile {
    /// Few devices, few events, every kind of fault.
    Mixed,
    /// The hub is away for 72 hours.
    Outage,
    /// Many events and few faults: for accounts of many events.
    Volume,
}

/// The size of one run.
#[derive(Debug, Clone)]
pub(crate) struct Scale {
    pub(crate) tenants: usize,
    /// Devices of each tenant.
    pub(crate) devices: usize,
    pub(crate) workers: usize,
    /// Changes in each life of a device, at most.
    pub(crate) changes: usize,
    /// How long things happen.
    pub(crate) span: Duration,
    /// How long every hub is away in the middle of that.
    pub(crate) outage: Option<Duration>,
}

/// Rates. Each run has its own, so that some troubles meet alone and some together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    /// In ten thousand polls: a process dies, or stops for a while.
    pub(crate) crash: usize,
    pub(crate) freeze: usize,
    /// In a hundred calls.
    pub(crate) store: usize,
    pub(crate) stale: usize,
    pub(crate) streams: usize,
    pub(crate) slow: usize,
    pub(crate) network: usize,
    pub(crate) refusal: usize,
    pub(crate) permanent: usize,
    pub(crate) mender: usize,
    pub(crate) lists: usize,
    pub(crate) lie: usize,
    /// In a hundred messages.
    pub(crate) twice: usize,
    pub(crate) disorder: usize,
    pub(crate) lost_wake_up: usize,
    pub(crate) second_wake_up: usize,
    pub(crate) lost_event: usize,
    /// How often in one run.
    pub(crate) windows: usize,
    pub(crate) stops: usize,
    pub(crate) edits: usize,
    pub(crate) moves: usize,
    pub(crate) rollbacks: usize,
    pub(crate) jumps: usize,
    pub(crate) sweeps: usize,
    /// What operators ask for: connection strings and keys anew, identities to be adopted.
    pub(crate) wishes: usize,
    pub(crate) adoptions: usize,
    /// Moves to the other hub and back.
    pub(crate) returns: usize,
}

impl Profile {
    pub(crate) fn scale(self, rng: &mut Rng) -> Scale {
        let minute = Duration::from_secs(60);
        match self {
            Self::Mixed => Scale {
                tenants: rng.between(1, 2),
                devices: *rng.pick(&[1, 1, 1, 2, 3]),
                workers: rng.between(1, 4),
                changes: *rng.pick(&[1, 3, 8]),
                span: minute * *rng.pick(&[1, 5, 20]),
                outage: None,
            },
            Self::Outage => Scale {
                tenants: rng.between(1, 2),
                devices: rng.between(2, 6),
                workers: 2,
                changes: 6,
                span: minute * 60 * 74,
                outage: Some(minute * 60 * 72),
            },
            Self::Volume => Scale {
                tenants: 2,
                devices: rng.between(10, 20),
                workers: rng.between(1, 3),
                changes: 80,
                span: minute * 60,
                outage: None,
            },
        }
    }

    pub(crate) fn faults(self, rng: &mut Rng) -> Faults {
        match self {
            Self::Mixed => mixed(rng),
            Self::Outage => Faults {
                crash: rng.below(3),
                streams: 1,
                disorder: 20,
                ..Faults::default()
            },
            Self::Volume => Faults {
                crash: rng.below(4),
                store: 1,
                streams: 1,
                network: 2,
                refusal: 1,
                twice: 5,
                disorder: 30,
                windows: 2,
                ..Faults::default()
            },
        }
    }

    pub(crate) fn policy(self, rng: &mut Rng) -> RetryPolicy {
        let s = Duration::from_secs;
        let usual = RetryPolicy {
            first: s(1),
            cap: s(300),
            in_process: Duration::from_millis(500),
            max_age: s(7 * 86_400),
            max_conflicts: 5,
            credentials: s(60),
            throttled: s(10),
            full: s(900),
            lease: s(130),
            delivery_lease: s(60),
        };
        if self != Self::Mixed {
            return usual;
        }
        RetryPolicy {
            first: s(*rng.pick(&[1, 2, 10])),
            cap: s(*rng.pick(&[60, 300])),
            in_process: Duration::from_millis(*rng.pick(&[0, 500, 5000])),
            max_age: s(*rng.pick(&[20, 600, 7 * 86_400])),
            lease: s(*rng.pick(&[30, 130])),
            ..usual
        }
    }
}

fn mixed(rng: &mut Rng) -> Faults {
    let mut rate = |most: usize| {
        if rng.chance(50) {
            0
        } else {
            rng.below(most + 1)
        }
    };
    Faults {
        crash: rate(150),
        freeze: rate(60),
        store: rate(20),
        stale: rate(20),
        streams: rate(20),
        slow: rate(6),
        network: rate(60),
        refusal: rate(20),
        permanent: rate(3),
        mender: rate(30),
        lists: rate(50),
        lie: rate(10),
        twice: rate(40),
        disorder: rate(100),
        lost_wake_up: rate(20),
        second_wake_up: rate(20),
        lost_event: rate(10),
        windows: rate(4),
        stops: rate(2),
        edits: rate(2),
        moves: rate(2),
        rollbacks: rate(2) / 2,
        jumps: rate(2),
        sweeps: rate(3),
        wishes: rate(5),
        adoptions: rate(2),
        returns: rate(2) / 2,
    }
}
