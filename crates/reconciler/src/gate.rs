//! Whether a request to a hub may go out now.
//!
//! Two things forbid it: the hub's pace, and that the hub has refused its like. A tenant whose
//! credential was refused is suspended: one probe a minute, and everybody else waits without
//! spending attempts. A hub that takes no more is tried as seldom as its policy says. A new
//! credential ends either at once.

use std::time::Duration;

use lifecycle::{Failure, IntegrationRef, RetryPolicy};

use crate::pacer::{HubPace, Pacer, PerMinute};
use crate::suspension::{Asked, Cause, Suspension, Suspensions};

/// Longest wait that a hub may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// Waits up to this long are spent in the process, longer ones become wake-ups.
const SHORT: Duration = Duration::from_secs(5);

/// What the gate says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// After this short wait.
    After(Duration),
    /// Not before this time has passed: too long to wait for here.
    Later(Duration),
}

/// The gate before all hubs.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Pause after a 429 that names no time.
    throttled: Duration,
    pacer: Pacer,
    suspended: Suspensions,
}

impl Gate {
    /// A gate that waits as this policy says.
    pub(crate) fn new(policy: &RetryPolicy) -> Self {
        Self {
            throttled: policy.throttled,
            pacer: Pacer::default(),
            suspended: Suspensions::new(policy.full),
        }
    }

    /// Asks for one request to the hub of `integration`. Twins have a pace of their own.
    pub(crate) fn ask(
        &self,
        integration: &IntegrationRef,
        asked: Asked,
        allowed: PerMinute,
    ) -> Pass {
        self.ask_patiently(integration, asked, allowed, SHORT)
    }

    /// Asks once more after the wait that [`Gate::ask`] has said: the hub may have refused others
    /// meanwhile, and then this one would only be refused as well.
    pub(crate) fn ask_again(
        &self,
        integration: &IntegrationRef,
        asked: Asked,
        allowed: PerMinute,
    ) -> Pass {
        let goes = || asked == Asked::Twin || self.pacer.goes(&integration.hub, allowed);
        if self.suspended.holds(integration, asked) || !goes() {
            return self.ask_patiently(integration, asked, allowed, Duration::ZERO);
        }
        Pass::After(Duration::ZERO)
    }

    fn ask_patiently(
        &self,
        integration: &IntegrationRef,
        asked: Asked,
        allowed: PerMinute,
        patience: Duration,
    ) -> Pass {
        if let Some(wait) = self.suspended.wait(integration, asked) {
            return Pass::Later(wait);
        }
        if asked == Asked::Twin {
            return Pass::After(Duration::ZERO);
        }
        match self.pacer.reserve(&integration.hub, allowed, patience) {
            Ok(wait) => Pass::After(wait),
            Err(wait) => Pass::Later(wait),
        }
    }

    /// Learns from how a request ended.
    pub(crate) fn learn(
        &self,
        integration: &IntegrationRef,
        asked: Asked,
        allowed: PerMinute,
        failure: Option<&Failure>,
    ) {
        let (hub, paced) = (&integration.hub, asked != Asked::Twin);
        match failure {
            None | Some(Failure::Conflict | Failure::Permanent(_)) => {
                if paced {
                    self.pacer.succeeded(hub, allowed);
                }
                self.suspended.resume(integration, asked);
            }
            Some(Failure::Throttled { wait }) if paced => {
                let wait = wait.unwrap_or(self.throttled).min(LONGEST_WAIT);
                self.pacer.throttled(hub, allowed, wait);
            }
            Some(Failure::Credentials(reason)) => {
                self.suspended
                    .suspend(integration, asked, Cause::Credentials, reason);
            }
            Some(Failure::Full(reason)) => {
                self.suspended
                    .suspend(integration, asked, Cause::Full, reason);
            }
            Some(Failure::Transient(_) | Failure::Throttled { .. }) => {}
        }
    }

    /// How fast the hubs are asked.
    pub(crate) fn paces(&self) -> Vec<HubPace> {
        self.pacer.paces()
    }

    /// What is left alone, by integration.
    pub(crate) fn suspensions(&self) -> Vec<(String, Suspension)> {
        self.suspended.list()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suspension::PROBE_EVERY;

    const FREE: Pass = Pass::After(Duration::ZERO);

    fn gate() -> Gate {
        let s = Duration::from_secs;
        Gate::new(&RetryPolicy {
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
        })
    }

    fn integration(generation: u64) -> IntegrationRef {
        IntegrationRef {
            id: "i".into(),
            hub: "h".into(),
            generation,
        }
    }

    fn refused() -> Failure {
        Failure::Credentials("401".into())
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_credential_is_probed_once_a_minute() {
        let gate = gate();
        gate.learn(&integration(1), Asked::Create, None, Some(&refused()));
        let ask = |asked| gate.ask(&integration(1), asked, None);
        assert_eq!(ask(Asked::Twin), Pass::Later(PROBE_EVERY));
        tokio::time::advance(PROBE_EVERY).await;
        assert_eq!(ask(Asked::Read), FREE);
        gate.learn(&integration(1), Asked::Read, None, Some(&refused()));
        assert_eq!(ask(Asked::Change), Pass::Later(PROBE_EVERY));
        tokio::time::advance(Duration::from_secs(20)).await;
        let (_, told) = &gate.suspensions()[0];
        assert_eq!(told.lasted(), Duration::from_secs(80));
        assert_eq!(told.probe_in(), Duration::from_secs(40));
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_credential_or_a_success_ends_the_suspension() {
        let gate = gate();
        gate.learn(&integration(1), Asked::Read, None, Some(&refused()));
        assert_eq!(gate.ask(&integration(2), Asked::Read, None), FREE);
        gate.learn(&integration(2), Asked::Read, None, Some(&refused()));
        gate.learn(&integration(2), Asked::Twin, None, None);
        assert!(gate.suspensions().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_hub_without_room_is_asked_to_make_nothing_more_and_still_to_delete() {
        let gate = gate();
        let full = Failure::Full("413002".into());
        gate.learn(&integration(1), Asked::Create, None, Some(&full));
        gate.learn(&integration(1), Asked::Read, None, None);
        let wait = Pass::Later(Duration::from_secs(900));
        assert_eq!(gate.ask(&integration(1), Asked::Create, None), wait);
        assert_eq!(gate.ask(&integration(1), Asked::Change, None), FREE);
    }
}
