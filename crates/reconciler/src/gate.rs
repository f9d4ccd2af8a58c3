//! Whether a request to a hub may go out now.
//!
//! Two things forbid it: the hub's pace, and a credential that was refused. A tenant whose
//! credential was refused is suspended: one probe a minute, and everybody else waits without
//! spending attempts. A new credential ends the suspension at once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lifecycle::{Failure, IntegrationRef};
use tokio::time::Instant;

use crate::pacer::{HubPace, Pacer, PerMinute};

/// Time between two probes with a credential that was refused.
const PROBE_EVERY: Duration = Duration::from_secs(60);
/// Longest wait that a hub may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// Waits up to this long are spent in the process, longer ones become wake-ups.
const SHORT: Duration = Duration::from_secs(5);

/// Why and since when a tenant's hub is left alone.
#[derive(Debug, Clone)]
pub struct Suspension {
    /// The hub that refuses it.
    pub hub: String,
    /// Which credential was refused.
    pub generation: u64,
    /// What the hub said.
    pub reason: String,
    /// When it first did.
    since: Instant,
    /// When the next probe may go.
    next_probe: Instant,
}

impl Suspension {
    /// How long the hub has been left alone for.
    #[must_use]
    pub fn lasted(&self) -> Duration {
        self.since.elapsed()
    }

    /// When the next probe may go, from now.
    #[must_use]
    pub fn probe_in(&self) -> Duration {
        self.next_probe.saturating_duration_since(Instant::now())
    }
}

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
    suspended: Mutex<HashMap<String, Suspension>>,
}

impl Gate {
    /// A gate that pauses for `throttled` after a 429 that names no time.
    pub(crate) fn new(throttled: Duration) -> Self {
        Self {
            throttled,
            pacer: Pacer::default(),
            suspended: Mutex::default(),
        }
    }

    /// Asks for one request to the hub of `integration`.
    pub(crate) fn ask(&self, integration: &IntegrationRef, allowed: PerMinute) -> Pass {
        if let Some(wait) = self.suspended_for(integration) {
            return Pass::Later(wait);
        }
        match self.pacer.reserve(&integration.hub, allowed, SHORT) {
            Ok(wait) => Pass::After(wait),
            Err(wait) => Pass::Later(wait),
        }
    }

    /// Asks for one request to a twin: it has a pace of its own, but needs the same credential.
    pub(crate) fn ask_for_twin(&self, integration: &IntegrationRef) -> Pass {
        self.suspended_for(integration)
            .map_or(Pass::After(Duration::ZERO), Pass::Later)
    }

    /// Learns from how a request to a twin ended.
    pub(crate) fn learn_of_twin(&self, integration: &IntegrationRef, failure: Option<&Failure>) {
        match failure {
            None | Some(Failure::Conflict | Failure::Permanent(_)) => self.resume(&integration.id),
            Some(Failure::Credentials(reason)) => self.suspend(integration, reason),
            Some(Failure::Transient(_) | Failure::Throttled { .. } | Failure::Full(_)) => {}
        }
    }

    fn suspended_for(&self, integration: &IntegrationRef) -> Option<Duration> {
        let now = Instant::now();
        let mut suspended = self
            .suspended
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let entry = suspended.get_mut(&integration.id)?;
        if entry.generation != integration.generation {
            suspended.remove(&integration.id);
            return None;
        }
        if entry.next_probe <= now {
            entry.next_probe = now + PROBE_EVERY;
            return None;
        }
        Some(entry.next_probe - now)
    }

    /// Learns from how a request ended.
    pub(crate) fn learn(
        &self,
        integration: &IntegrationRef,
        allowed: PerMinute,
        failure: Option<&Failure>,
    ) {
        match failure {
            None | Some(Failure::Conflict | Failure::Permanent(_)) => {
                self.pacer.succeeded(&integration.hub, allowed);
                self.resume(&integration.id);
            }
            Some(Failure::Throttled { wait }) => {
                let wait = wait.unwrap_or(self.throttled).min(LONGEST_WAIT);
                self.pacer.throttled(&integration.hub, allowed, wait);
            }
            Some(Failure::Credentials(reason)) => self.suspend(integration, reason),
            Some(Failure::Transient(_) | Failure::Full(_)) => {}
        }
    }

    fn suspend(&self, integration: &IntegrationRef, reason: &str) {
        let mut suspended = self
            .suspended
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let before = suspended.get(&integration.id).map(|entry| entry.since);
        let first = before.is_none();
        suspended.insert(
            integration.id.clone(),
            Suspension {
                hub: integration.hub.clone(),
                generation: integration.generation,
                reason: reason.to_owned(),
                since: before.unwrap_or(now),
                next_probe: now + PROBE_EVERY,
            },
        );
        if first {
            tracing::error!(
                integration = integration.id,
                hub = integration.hub,
                reason,
                "credentials refused: tenant suspended, probing once a minute; \
                 set a working credential with `mender-iothub integration set`"
            );
        }
    }

    fn resume(&self, id: &str) {
        let mut suspended = self
            .suspended
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if suspended.remove(id).is_some() {
            tracing::info!(
                integration = id,
                "credentials accepted again: tenant resumed"
            );
        }
    }

    /// How fast the hubs are asked.
    pub(crate) fn paces(&self) -> Vec<HubPace> {
        self.pacer.paces()
    }

    /// The suspended integrations.
    pub(crate) fn suspensions(&self) -> Vec<(String, Suspension)> {
        let suspended = self
            .suspended
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        suspended
            .iter()
            .map(|(id, entry)| (id.clone(), entry.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integration(generation: u64) -> IntegrationRef {
        IntegrationRef {
            id: "i".into(),
            hub: "h".into(),
            generation,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_credential_is_probed_once_a_minute() {
        let gate = Gate::new(Duration::from_secs(10));
        let refused = Failure::Credentials("401".into());
        gate.learn(&integration(1), None, Some(&refused));
        assert_eq!(gate.ask(&integration(1), None), Pass::Later(PROBE_EVERY));
        tokio::time::advance(PROBE_EVERY).await;
        assert_eq!(gate.ask(&integration(1), None), Pass::After(Duration::ZERO));
        assert_eq!(gate.ask(&integration(1), None), Pass::Later(PROBE_EVERY));
        tokio::time::advance(Duration::from_secs(20)).await;
        let (_, told) = &gate.suspensions()[0];
        assert_eq!(told.lasted(), Duration::from_secs(80));
        assert_eq!(told.probe_in(), Duration::from_secs(40));
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_credential_or_a_success_ends_the_suspension() {
        let gate = Gate::new(Duration::from_secs(10));
        gate.learn(
            &integration(1),
            None,
            Some(&Failure::Credentials("401".into())),
        );
        assert_eq!(gate.ask(&integration(2), None), Pass::After(Duration::ZERO));
        gate.learn(
            &integration(2),
            None,
            Some(&Failure::Credentials("401".into())),
        );
        gate.learn(&integration(2), None, None);
        assert!(gate.suspensions().is_empty());
    }
}
