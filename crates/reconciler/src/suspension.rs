//! What a hub has refused of a tenant, and is left alone with.
//!
//! A credential that is refused stops everything of the tenant. A hub that has no room, or whose
//! quota is used up, stops what it has refused: where no device can be made any more, those that
//! are there can still be disabled and deleted, and deleting makes room. In either case one request
//! now and then tries whether it is over, whatever number of devices wait for that.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lifecycle::IntegrationRef;
use tokio::time::Instant;

/// How long those behind a probe wait for its answer, so that they go on soon if it is good.
const ANSWER: Duration = Duration::from_secs(5);

/// A kind of request, which a hub may refuse while it takes others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Asked {
    /// Reads an identity. Nothing is done without that, so its refusal stops everything.
    Read,
    /// Makes an identity.
    Create,
    /// Changes or deletes one.
    Change,
    /// Reads or tags a twin.
    Twin,
}

/// Why a hub is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It refuses the credential.
    Credentials,
    /// It takes no more: no room, a quota that is used up, a tier that cannot do it.
    Full,
}

/// Why and since when a tenant's hub is left alone.
#[derive(Debug, Clone)]
pub struct Suspension {
    /// The hub that refuses.
    pub hub: String,
    /// Which version of the integration was refused.
    pub generation: u64,
    /// Why.
    pub cause: Cause,
    /// What is not asked for; with [`Asked::Read`] nothing is.
    pub asked: Asked,
    /// What the hub said.
    pub reason: String,
    /// When it first did.
    since: Instant,
    /// When the next probe may go.
    next_probe: Instant,
    /// Until when the answer of the last probe is waited for.
    answer_by: Instant,
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

    fn wait(&self, now: Instant) -> Option<Duration> {
        let until = if self.answer_by > now {
            self.answer_by
        } else {
            self.next_probe
        };
        (until > now).then(|| until - now)
    }
}

/// Everything that is left alone, by integration.
#[derive(Debug)]
pub(crate) struct Suspensions {
    /// Between two probes of a hub that has no room.
    full: Duration,
    held: Mutex<HashMap<(String, Asked), Suspension>>,
}

/// Between two probes with a credential that was refused.
pub(crate) const PROBE_EVERY: Duration = Duration::from_secs(60);

impl Suspensions {
    /// Hubs without room are tried once in `full`.
    pub(crate) fn new(full: Duration) -> Self {
        Self {
            full,
            held: Mutex::default(),
        }
    }

    /// How long a request must wait; `None` if it may go, be it as a probe.
    pub(crate) fn wait(&self, integration: &IntegrationRef, asked: Asked) -> Option<Duration> {
        let now = Instant::now();
        let mut held = self.lock();
        let of_now = |key: &(String, Asked), it: &mut Suspension| {
            key.0 != integration.id || it.generation == integration.generation
        };
        held.retain(of_now);
        let keys = keys(integration, asked);
        let waits = keys.iter().filter_map(|key| held.get(key)?.wait(now));
        if let Some(wait) = waits.max() {
            return Some(wait);
        }
        for key in &keys {
            if let Some(probed) = held.get_mut(key) {
                probed.next_probe = now + self.every(probed.cause);
                probed.answer_by = now + ANSWER;
            }
        }
        None
    }

    /// Whether anything holds up a request, be it only until a probe is answered.
    pub(crate) fn holds(&self, integration: &IntegrationRef, asked: Asked) -> bool {
        let held = self.lock();
        let keys = keys(integration, asked);
        keys.iter().any(|key| held.contains_key(key))
    }

    /// A request was refused.
    pub(crate) fn suspend(
        &self,
        integration: &IntegrationRef,
        asked: Asked,
        cause: Cause,
        reason: &str,
    ) {
        let asked = match cause {
            Cause::Credentials => Asked::Read,
            Cause::Full => asked,
        };
        let now = Instant::now();
        let mut held = self.lock();
        let key = (integration.id.clone(), asked);
        let before = held.get(&key).filter(|it| it.cause == cause);
        let (first, since) = (before.is_none(), before.map_or(now, |it| it.since));
        held.insert(
            key,
            Suspension {
                hub: integration.hub.clone(),
                generation: integration.generation,
                cause,
                asked,
                reason: reason.to_owned(),
                since,
                next_probe: now + self.every(cause),
                answer_by: now,
            },
        );
        drop(held);
        if first {
            tell(integration, asked, cause, reason);
        }
    }

    /// A request was taken.
    pub(crate) fn resume(&self, integration: &IntegrationRef, asked: Asked) {
        let mut held = self.lock();
        let ended = keys(integration, asked).map(|key| held.remove(&key));
        drop(held);
        for ended in ended.into_iter().flatten() {
            tracing::info!(
                integration = integration.id,
                hub = integration.hub,
                requests = ended.asked.name(),
                "the hub takes a tenant's requests again: resumed"
            );
        }
    }

    /// Everything that is left alone at present.
    pub(crate) fn list(&self) -> Vec<(String, Suspension)> {
        let held = self.lock();
        let list = held.iter().map(|((id, _), it)| (id.clone(), it.clone()));
        list.collect()
    }

    const fn every(&self, cause: Cause) -> Duration {
        match cause {
            Cause::Credentials => PROBE_EVERY,
            Cause::Full => self.full,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, Asked), Suspension>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What stops a request: its own kind, and that of all.
fn keys(integration: &IntegrationRef, asked: Asked) -> [(String, Asked); 2] {
    [Asked::Read, asked].map(|asked| (integration.id.clone(), asked))
}

impl Asked {
    /// The requests that wait where this one was refused, in a word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "all",
            Self::Create => "creates",
            Self::Change => "changes",
            Self::Twin => "twins",
        }
    }
}

fn tell(integration: &IntegrationRef, asked: Asked, cause: Cause, reason: &str) {
    let (integration, hub, requests) = (&integration.id, &integration.hub, asked.name());
    match cause {
        Cause::Credentials => tracing::error!(
            integration,
            hub,
            reason,
            "credentials refused: tenant suspended, probing once a minute; \
             set a working credential with `mender-iothub integration set`"
        ),
        Cause::Full => tracing::error!(
            integration,
            hub,
            requests,
            reason,
            "the hub takes no more of a tenant's requests: they wait and are tried now and then; \
             make room in the hub, raise its tier or units, or wait for its next day"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Duration = Duration::from_secs(900);

    fn integration(id: &str, generation: u64) -> IntegrationRef {
        IntegrationRef {
            id: id.into(),
            hub: "h".into(),
            generation,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_hub_is_asked_for_no_more_and_for_everything_else() {
        let held = Suspensions::new(FULL);
        let here = integration("i", 1);
        held.suspend(&here, Asked::Create, Cause::Full, "413");
        assert_eq!(held.wait(&here, Asked::Create), Some(FULL));
        for asked in [Asked::Read, Asked::Change, Asked::Twin] {
            assert_eq!(held.wait(&here, asked), None, "{asked:?}");
            held.resume(&here, asked);
        }
        assert_eq!(held.wait(&here, Asked::Create), Some(FULL), "still");
        assert_eq!(held.wait(&integration("other", 1), Asked::Create), None);
        held.suspend(&here, Asked::Read, Cause::Full, "403");
        assert_eq!(held.wait(&here, Asked::Change), Some(FULL), "nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn one_of_all_that_wait_tries_and_the_others_go_on_soon_after_it() {
        let held = Suspensions::new(FULL);
        let here = integration("i", 1);
        held.suspend(&here, Asked::Create, Cause::Full, "413");
        tokio::time::advance(FULL).await;
        assert_eq!(held.wait(&here, Asked::Create), None, "the probe");
        assert_eq!(held.wait(&here, Asked::Create), Some(ANSWER));
        tokio::time::advance(ANSWER).await;
        let rest = FULL.checked_sub(ANSWER);
        assert_eq!(held.wait(&here, Asked::Create), rest, "no answer");
        held.resume(&here, Asked::Create);
        assert_eq!(held.wait(&here, Asked::Create), None);
        assert!(held.list().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn another_integration_is_not_held_by_what_the_last_one_met() {
        let held = Suspensions::new(FULL);
        held.suspend(&integration("i", 1), Asked::Change, Cause::Full, "403");
        held.suspend(&integration("i", 1), Asked::Read, Cause::Credentials, "401");
        assert_eq!(held.list().len(), 2);
        assert_eq!(held.wait(&integration("i", 2), Asked::Change), None);
        assert!(held.list().is_empty());
    }
}
