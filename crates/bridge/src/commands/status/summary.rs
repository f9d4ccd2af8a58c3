//! What several workers tell, put together.

use std::collections::{BTreeMap, HashMap};

use lifecycle::TenantId;
use messages::{HubStatus, WorkerStatus};
use serde::Serialize;

use crate::integration;

/// How fast a hub is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Pace {
    pub(super) hub: String,
    pub(super) allowed_per_minute: Option<u32>,
    /// Of the slowest worker; null if nothing limits it.
    pub(super) present_per_minute: Option<u32>,
    /// Of the worker that waits longest.
    pub(super) paused_for_ms: u64,
    /// All workers together, since each was started.
    pub(super) throttled: u64,
    pub(super) last_throttled_s: Option<u64>,
    /// How many workers ask it.
    pub(super) workers: u64,
}

/// A tenant whose hub refuses it, or some of its requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Suspended {
    /// Null if the integration has been removed meanwhile.
    pub(super) tenant: Option<TenantId>,
    pub(super) integration: String,
    pub(super) hub: String,
    /// `credentials` or `full`.
    pub(super) cause: String,
    /// What waits.
    pub(super) requests: String,
    pub(super) reason: String,
    /// Of the worker that noticed first.
    pub(super) since_s: u64,
    /// Of the worker that tries next.
    pub(super) probe_in_s: u64,
}

/// The hubs, those that throttle first.
pub(super) fn hubs(workers: &[WorkerStatus]) -> Vec<Pace> {
    let mut hubs: BTreeMap<&str, Pace> = BTreeMap::new();
    for told in workers.iter().flat_map(|worker| &worker.hubs) {
        match hubs.get_mut(told.hub.as_str()) {
            Some(hub) => hub.add(told),
            None => drop(hubs.insert(&told.hub, Pace::first(told))),
        }
    }
    let mut hubs: Vec<_> = hubs.into_values().collect();
    hubs.sort_by_key(|hub| std::cmp::Reverse((hub.paused_for_ms > 0, hub.throttled)));
    hubs
}

impl Pace {
    fn first(told: &HubStatus) -> Self {
        Self {
            hub: told.hub.clone(),
            allowed_per_minute: told.allowed_per_minute,
            present_per_minute: told.present_per_minute,
            paused_for_ms: told.paused_for_ms,
            throttled: told.throttled,
            last_throttled_s: told.last_throttled_s,
            workers: 1,
        }
    }

    fn add(&mut self, told: &HubStatus) {
        let paces = [self.present_per_minute, told.present_per_minute];
        self.present_per_minute = paces.into_iter().flatten().min();
        self.last_throttled_s = self
            .last_throttled_s
            .into_iter()
            .chain(told.last_throttled_s)
            .min();
        self.paused_for_ms = self.paused_for_ms.max(told.paused_for_ms);
        self.throttled = self.throttled.saturating_add(told.throttled);
        self.workers += 1;
    }
}

/// The suspended integrations, each with its tenant.
pub(super) fn suspended(workers: &[WorkerStatus], tenants: &[TenantId]) -> Vec<Suspended> {
    let ids: HashMap<String, &TenantId> = tenants
        .iter()
        .map(|tenant| (integration::id_of(tenant).to_string(), tenant))
        .collect();
    let mut found: BTreeMap<(&str, &str), Suspended> = BTreeMap::new();
    for told in workers.iter().flat_map(|worker| &worker.suspended) {
        let key = (told.integration.as_str(), told.requests.as_str());
        let entry = found.entry(key).or_insert_with(|| Suspended {
            tenant: ids.get(&told.integration).map(|tenant| (*tenant).clone()),
            integration: told.integration.clone(),
            hub: told.hub.clone(),
            cause: told.cause.clone(),
            requests: told.requests.clone(),
            reason: told.reason.clone(),
            since_s: told.since_s,
            probe_in_s: told.probe_in_s,
        });
        entry.since_s = entry.since_s.max(told.since_s);
        entry.probe_in_s = entry.probe_in_s.min(told.probe_in_s);
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use messages::SuspendedStatus;

    use super::*;

    fn hub(name: &str, present: Option<u32>, throttled: u64) -> HubStatus {
        HubStatus {
            hub: name.to_owned(),
            present_per_minute: present,
            throttled,
            ..HubStatus::default()
        }
    }

    #[test]
    fn a_hub_is_as_slow_as_its_slowest_worker() {
        let workers = [
            vec![hub("a", None, 0), hub("b", Some(100), 1)],
            vec![hub("b", Some(30), 2)],
        ]
        .map(|hubs| WorkerStatus {
            hubs,
            ..WorkerStatus::default()
        });
        let hubs = hubs(&workers);
        let told: Vec<_> = hubs
            .iter()
            .map(|hub| {
                (
                    hub.hub.as_str(),
                    hub.present_per_minute,
                    hub.throttled,
                    hub.workers,
                )
            })
            .collect();
        assert_eq!(told, [("b", Some(30), 3, 2), ("a", None, 0, 1)]);
    }

    #[test]
    fn suspended_tenants_are_told_once_and_by_name() {
        let tenant: TenantId = "66ff8a4650829de3d99a25f1".parse().unwrap();
        let told = |integration: String, since_s, probe_in_s| WorkerStatus {
            suspended: vec![SuspendedStatus {
                integration,
                since_s,
                probe_in_s,
                ..SuspendedStatus::default()
            }],
            ..WorkerStatus::default()
        };
        let id = integration::id_of(&tenant).to_string();
        let workers = [
            told(id.clone(), 5, 50),
            told(id, 60, 10),
            told("removed".to_owned(), 1, 1),
        ];
        let found = suspended(&workers, std::slice::from_ref(&tenant));
        let ours = found.iter().find(|it| it.tenant.as_ref() == Some(&tenant));
        let ours = ours.unwrap();
        assert_eq!((found.len(), ours.since_s, ours.probe_in_s), (2, 60, 10));
    }
}
