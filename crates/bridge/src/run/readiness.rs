//! Whether the worker can do its work, and what keeps it from doing so.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Something that the worker needs: for people, and as the label of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) words: &'static str,
    pub(crate) label: &'static str,
}

impl Need {
    pub(crate) const fn new(words: &'static str, label: &'static str) -> Self {
        Self { words, label }
    }
}

/// How something is, and since when.
#[derive(Debug, Clone)]
pub(crate) struct Reported {
    pub(crate) words: &'static str,
    pub(crate) label: &'static str,
    pub(crate) state: Result<(), String>,
    since: Instant,
}

impl Reported {
    /// How long it has been so.
    pub(crate) fn lasts(&self) -> Duration {
        self.since.elapsed()
    }
}

/// What the worker needs, each by a name for people.
#[derive(Debug, Clone, Default)]
pub(crate) struct Readiness(Arc<Mutex<Vec<Reported>>>);

impl Readiness {
    /// Not ready until each of `needs` has been reported well.
    pub(crate) fn waiting_for(needs: &[Need]) -> Self {
        let unknown = needs.iter().map(|need| Reported {
            words: need.words,
            label: need.label,
            state: Err("not tried yet".to_owned()),
            since: Instant::now(),
        });
        Self(Arc::new(Mutex::new(unknown.collect())))
    }

    /// Takes note of how something is, and logs it when that is news.
    pub(crate) fn report(&self, need: Need, state: Result<(), String>) {
        let mut needs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = needs.iter_mut().find(|known| known.label == need.label) else {
            return;
        };
        if known.state == state {
            return;
        }
        if known.state.is_ok() != state.is_ok() {
            known.since = Instant::now();
        }
        let (words, label) = (need.words, need.label);
        match &state {
            Ok(()) => tracing::info!(need = label, "{words} is there"),
            Err(now) => tracing::warn!(need = label, "waiting for {words}: {now}"),
        }
        known.state = state;
    }

    /// How everything is.
    pub(crate) fn all(&self) -> Vec<Reported> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What is missing, for people, and why; nothing when the worker is ready.
    pub(crate) fn missing(&self) -> Vec<(&'static str, String)> {
        let all = self.all().into_iter();
        all.filter_map(|known| Some((known.words, known.state.err()?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NATS: Need = Need::new("NATS", "nats");
    const HUB: Need = Need::new("a hub", "hub");

    #[tokio::test(start_paused = true)]
    async fn ready_only_when_nothing_is_missing() {
        let readiness = Readiness::waiting_for(&[NATS, HUB]);
        readiness.report(NATS, Ok(()));
        assert_eq!(readiness.missing(), [("a hub", "not tried yet".to_owned())]);
        readiness.report(HUB, Ok(()));
        assert!(readiness.missing().is_empty());
        tokio::time::advance(Duration::from_secs(5)).await;
        readiness.report(NATS, Err("connection refused".to_owned()));
        tokio::time::advance(Duration::from_secs(7)).await;
        readiness.report(NATS, Err("no route".to_owned()));
        assert_eq!(readiness.missing(), [("NATS", "no route".to_owned())]);
        let lasts = readiness
            .all()
            .iter()
            .map(|it| it.lasts().as_secs())
            .collect::<Vec<_>>();
        assert_eq!(lasts, [7, 12]);
    }
}
