//! Whether the worker can do its work, and what keeps it from doing so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What the worker needs, each by a name for people.
#[derive(Debug, Clone, Default)]
pub(crate) struct Readiness(Arc<Mutex<BTreeMap<&'static str, Result<(), String>>>>);

impl Readiness {
    /// Not ready until each of `needs` has been reported well.
    pub(crate) fn waiting_for(needs: &[&'static str]) -> Self {
        let unknown = needs
            .iter()
            .map(|need| (*need, Err("not tried yet".to_owned())));
        Self(Arc::new(Mutex::new(unknown.collect())))
    }

    /// Takes note of how something is, and logs it when that is news.
    pub(crate) fn report(&self, need: &'static str, state: Result<(), String>) {
        let mut needs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = needs.insert(need, state.clone());
        match (before, state) {
            (Some(Ok(())), Ok(())) => {}
            (_, Ok(())) => tracing::info!("{need} is there"),
            (Some(Err(before)), Err(now)) if before == now => {}
            (_, Err(now)) => tracing::warn!("waiting for {need}: {now}"),
        }
    }

    /// What is missing, or nothing when the worker is ready.
    pub(crate) fn missing(&self) -> Vec<(&'static str, String)> {
        let needs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = needs.iter().filter_map(|(need, state)| match state {
            Ok(()) => None,
            Err(why) => Some((*need, why.clone())),
        });
        missing.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_only_when_nothing_is_missing() {
        let readiness = Readiness::waiting_for(&["NATS", "a hub"]);
        readiness.report("NATS", Ok(()));
        assert_eq!(readiness.missing(), [("a hub", "not tried yet".to_owned())]);
        readiness.report("a hub", Ok(()));
        assert!(readiness.missing().is_empty());
        readiness.report("NATS", Err("connection refused".to_owned()));
        assert_eq!(readiness.missing().len(), 1);
    }
}
