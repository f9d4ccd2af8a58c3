//! How much goes wrong in one run.

use std::time::Duration;

use lifecycle::{Failure, RetryPolicy};

use crate::rng::Rng;

/// Rates in percent. Each run has its own, so that some troubles meet alone and some together.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    pub(crate) crash: usize,
    pub(crate) store: usize,
    pub(crate) streams: usize,
    pub(crate) network: usize,
    pub(crate) refusal: usize,
    pub(crate) permanent: usize,
    pub(crate) gate: usize,
    pub(crate) mender: usize,
    pub(crate) duplicate: usize,
    pub(crate) edit: usize,
    pub(crate) disorder: usize,
}

impl Faults {
    pub(crate) fn random(rng: &mut Rng) -> Self {
        let mut rate = |most: usize| {
            if rng.chance(40) {
                0
            } else {
                rng.below(most + 1)
            }
        };
        Self {
            crash: rate(25),
            store: rate(20),
            streams: rate(20),
            network: rate(90),
            refusal: rate(20),
            permanent: rate(3),
            gate: rate(15),
            mender: rate(30),
            duplicate: rate(40),
            disorder: rate(100),
            edit: if rate(3) == 3 { 20 } else { 0 },
        }
    }

    /// A refusal that has no effect, as a hub or Mender may give it.
    pub(crate) fn refusal(&self, rng: &mut Rng) -> Option<Failure> {
        if rng.chance(self.permanent) {
            return Some(Failure::Permanent("400".into()));
        }
        if !rng.chance(self.refusal) {
            return None;
        }
        Some(match rng.below(4) {
            0 => Failure::Throttled { wait: None },
            1 => Failure::Credentials("401".into()),
            2 => Failure::Full("403".into()),
            _ => Failure::Transient("503".into()),
        })
    }
}

pub(crate) fn policy(rng: &mut Rng) -> RetryPolicy {
    let s = Duration::from_secs;
    RetryPolicy {
        first: s(*rng.pick(&[1, 2, 10])),
        cap: s(60),
        in_process: s(*rng.pick(&[0, 1, 5])),
        max_age: s(*rng.pick(&[20, 600, 86_400])),
        max_conflicts: 3,
        credentials: s(60),
        throttled: s(10),
        full: s(900),
        lease: s(130),
        delivery_lease: s(60),
    }
}
