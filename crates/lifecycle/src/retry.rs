//! Failures, sorted by what to do about them, and how long to wait before the next attempt.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Why a request did not do what it should, named by the remedy.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The request is fine; the same bytes may work later.
    #[error("unavailable: {0}")]
    Transient(String),
    /// The other side is busy. It may name the least time to wait.
    #[error("throttled")]
    Throttled {
        /// Least time to wait, if it was named.
        wait: Option<Duration>,
    },
    /// The thing has changed since it was read, or exists already: read again.
    #[error("changed meanwhile")]
    Conflict,
    /// The tenant's credential was refused: nobody's event is at fault.
    #[error("credentials refused: {0}")]
    Credentials(String),
    /// The hub takes no more devices or messages for now.
    #[error("hub full: {0}")]
    Full(String),
    /// The same bytes will fail for ever.
    #[error("refused: {0}")]
    Permanent(String),
}

/// Whether a request that failed may still take effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It had no effect and will have none: never sent, or answered with a refusal.
    Done,
    /// Nobody knows: it was cut off, timed out or answered with a server error.
    Unknown,
}

/// The times that govern retries and leases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Wait after the first transient failure.
    pub first: Duration,
    /// Longest wait between two attempts.
    pub cap: Duration,
    /// Waits up to this long happen in the process; longer ones become wake-ups.
    pub in_process: Duration,
    /// An event that has waited this long, over all its failures, is dead-lettered.
    pub max_age: Duration,
    /// Conflicts in a row before they count as a transient failure.
    pub max_conflicts: u32,
    /// Wait while a tenant's credentials are refused.
    pub credentials: Duration,
    /// First wait after throttling that named no time.
    pub throttled: Duration,
    /// Wait while the hub is full.
    pub full: Duration,
    /// A hub request cannot take effect this long after its intent was stored. At least twice
    /// the time-out of a request.
    pub lease: Duration,
    /// The same for a delivery through Mender.
    pub delivery_lease: Duration,
}

/// How often, how long and why a record's work has failed so far.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Retry {
    /// Transient failures since the last success.
    pub attempt: u32,
    /// Conflicts since the last success.
    pub conflicts: u32,
    /// When the work first failed, roughly: for people to read.
    pub since: Option<Timestamp>,
    /// Sum of the waits that failures of the event itself have asked for.
    pub waited: Duration,
    /// Not to be tried again before this time.
    pub not_before: Option<Timestamp>,
    /// What failed last, in words without secrets.
    pub last_error: Option<String>,
    /// Wake-ups and events that found nothing to do. Counting them makes their end a
    /// compare-and-set, which a copy of the store that has fallen behind cannot win.
    pub idle_looks: u32,
}

/// What a failure asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Remedy {
    Again,
    Wait(Duration),
    GiveUp,
}

impl RetryPolicy {
    /// What to do about `failure`; counts it in `retry`.
    ///
    /// The age of an event is the sum of its waits, not the time that has passed: what a worker
    /// knows of the time may be days late when it starts on a backlog, and neither an outage of
    /// the worker nor a suspended tenant is the event's fault.
    ///
    /// `jitter` is in thousandths: waits are stretched by up to a half, so that devices that
    /// failed together do not return together.
    pub(crate) fn remedy(
        &self,
        retry: &mut Retry,
        failure: &Failure,
        now: Timestamp,
        jitter: u16,
    ) -> Remedy {
        retry.last_error = Some(failure.to_string());
        retry.since.get_or_insert(now);
        let spread = |wait: Duration| wait + wait * u32::from(jitter.min(1000)) / 2000;
        match failure {
            Failure::Permanent(_) => return Remedy::GiveUp,
            Failure::Credentials(_) => return Remedy::Wait(spread(self.credentials)),
            Failure::Full(_) => return Remedy::Wait(spread(self.full)),
            Failure::Conflict if retry.conflicts < self.max_conflicts => {
                retry.conflicts += 1;
                return Remedy::Again;
            }
            Failure::Conflict | Failure::Transient(_) | Failure::Throttled { .. } => {}
        }
        if retry.waited >= self.max_age {
            return Remedy::GiveUp;
        }
        retry.attempt = retry.attempt.saturating_add(1);
        retry.conflicts = 0;
        let first = match failure {
            Failure::Throttled { wait } => wait.unwrap_or(self.throttled).max(self.first),
            _ => self.first,
        };
        let doubled = first.saturating_mul(1 << (retry.attempt - 1).min(16));
        let wait = spread(doubled.min(self.cap.max(first)));
        retry.waited = retry.waited.saturating_add(wait);
        Remedy::Wait(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> RetryPolicy {
        let s = Duration::from_secs;
        RetryPolicy {
            first: s(1),
            cap: s(60),
            in_process: s(1),
            max_age: s(3600),
            max_conflicts: 2,
            credentials: s(60),
            throttled: s(10),
            full: s(900),
            lease: s(130),
            delivery_lease: s(30),
        }
    }

    fn waits(failure: &Failure, retry: &mut Retry) -> Remedy {
        policy().remedy(retry, failure, Timestamp::default(), 0)
    }

    #[test]
    fn transient_waits_double_up_to_the_cap() {
        let mut retry = Retry::default();
        let down = Failure::Transient("down".into());
        let secs: Vec<_> = (0..9)
            .map(|_| match waits(&down, &mut retry) {
                Remedy::Wait(wait) => wait.as_secs(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(secs, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn old_age_ends_transient_failures_but_never_credential_ones() {
        let mut retry = Retry::default();
        let down = Failure::Transient("down".into());
        let mut tries = 0;
        while waits(&down, &mut retry) != Remedy::GiveUp {
            tries += 1;
            assert!(tries < 100, "bounded");
        }
        assert!(tries >= 60, "an hour of waits of at most a minute");
        let refused = Failure::Credentials("401".into());
        let before = retry.attempt;
        assert_eq!(
            waits(&refused, &mut retry),
            Remedy::Wait(Duration::from_secs(60))
        );
        assert_eq!(
            retry.attempt, before,
            "a refused credential spends no attempt"
        );
    }

    #[test]
    fn a_clock_that_catches_up_by_days_does_not_age_an_event() {
        let down = Failure::Transient("down".into());
        let mut retry = Retry::default();
        let start = Timestamp::default();
        policy().remedy(&mut retry, &down, start, 0);
        let days_later = start.plus(Duration::from_secs(72 * 3600));
        assert_eq!(
            policy().remedy(&mut retry, &down, days_later, 0),
            Remedy::Wait(Duration::from_secs(2))
        );
    }

    #[test]
    fn conflicts_are_read_again_at_once_but_not_for_ever() {
        let mut retry = Retry::default();
        assert_eq!(waits(&Failure::Conflict, &mut retry), Remedy::Again);
        assert_eq!(waits(&Failure::Conflict, &mut retry), Remedy::Again);
        assert_eq!(
            waits(&Failure::Conflict, &mut retry),
            Remedy::Wait(Duration::from_secs(1))
        );
    }

    #[test]
    fn throttling_waits_at_least_what_was_asked_and_jitter_only_adds() {
        let asked = Failure::Throttled {
            wait: Some(Duration::from_secs(30)),
        };
        let wait = policy().remedy(&mut Retry::default(), &asked, Timestamp::default(), 1000);
        assert_eq!(wait, Remedy::Wait(Duration::from_secs(45)));
    }
}
