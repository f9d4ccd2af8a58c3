//! The past of recently changed devices, for queries that lag behind.
//!
//! The query index of the real service trails the registry: a new device is missing for a while,
//! and a deleted one lingers as a ghost. With a lag set, each change keeps what was there before
//! until it is older than the lag; without one nothing is kept.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};
use std::time::Duration;

use super::{Device, Registry};
use crate::dates::Ticks;

/// What a device was before a change, and when that came.
type Past = (Ticks, Option<Box<Device>>);

/// The changes that queries do not know about yet.
#[derive(Debug, Default)]
pub(crate) struct History {
    lag: Duration,
    /// By device, oldest first.
    past: BTreeMap<String, VecDeque<Past>>,
    /// All of them in order of time.
    queue: VecDeque<(Ticks, String)>,
}

impl History {
    /// A history that goes back so far.
    pub(crate) fn with_lag(lag: Duration) -> Self {
        Self {
            lag,
            ..Self::default()
        }
    }

    /// What to pass to `push` should the coming change be one.
    pub(super) fn glimpse(&self, device: Option<&Device>) -> Option<Box<Device>> {
        device
            .filter(|_| !self.lag.is_zero())
            .map(|it| Box::new(it.clone()))
    }

    /// Notes a change at `now`.
    pub(super) fn push(&mut self, id: &str, before: Option<Box<Device>>, now: Ticks) {
        if self.lag.is_zero() {
            return;
        }
        self.past
            .entry(id.to_owned())
            .or_default()
            .push_back((now, before));
        self.queue.push_back((now, id.to_owned()));
        self.forget(now);
    }

    /// Drops what queries know by `now`.
    fn forget(&mut self, now: Ticks) {
        let horizon = now.before(self.lag);
        while self.queue.front().is_some_and(|(at, _)| *at <= horizon) {
            let Some((_, id)) = self.queue.pop_front() else {
                return;
            };
            if let Some(past) = self.past.get_mut(&id) {
                past.pop_front();
                if past.is_empty() {
                    self.past.remove(&id);
                }
            }
        }
    }
}

impl Registry {
    /// A registry whose queries lag behind.
    pub(crate) fn with_lag(lag: Duration) -> Self {
        Self {
            history: History::with_lag(lag),
            ..Self::default()
        }
    }

    /// One device as a query at `now` sees it.
    pub(crate) fn visible_one(&mut self, id: &str, now: Ticks) -> Option<&Device> {
        self.history.forget(now);
        match self.history.past.get(id).and_then(VecDeque::front) {
            Some((_, before)) => before.as_deref(),
            None => self.devices.get(id),
        }
    }

    /// Up to `limit` devices after `after` as a query at `now` sees them; fewer only at the end.
    /// The second value is the last id looked at, `None` at the end.
    pub(crate) fn visible(
        &mut self,
        after: Option<&str>,
        limit: usize,
        now: Ticks,
    ) -> (Vec<&Device>, Option<String>) {
        self.history.forget(now);
        let from = after.map_or(Unbounded, Excluded);
        let mut present = self.devices.range::<str, _>((from, Unbounded)).peekable();
        let mut past = self
            .history
            .past
            .range::<str, _>((from, Unbounded))
            .peekable();
        let (mut seen, mut last) = (vec![], None);
        for _ in 0..limit {
            let (current, changed) = match (present.peek(), past.peek()) {
                (None, None) => return (seen, None),
                (Some((id, _)), Some((changed, _))) if id == changed => {
                    (present.next(), past.next())
                }
                (Some((id, _)), Some((changed, _))) if id > changed => (None, past.next()),
                (None, Some(_)) => (None, past.next()),
                (Some(_), _) => (present.next(), None),
            };
            last = current
                .map(|(id, _)| id)
                .or(changed.map(|(id, _)| id))
                .cloned();
            let old = changed.and_then(|(_, past)| past.front());
            let device = match old {
                Some((_, before)) => before.as_deref(),
                None => current.map(|(_, device)| device),
            };
            seen.extend(device);
        }
        (seen, last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authentication::FreshKeys;
    use crate::etag::Precondition;
    use crate::identity::{IdentityDraft, Status};
    use crate::registry::Fresh;

    const LAG: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Ticks {
        Ticks::from_unix_micros(1_767_225_600_000_000 + seconds * 1_000_000)
    }

    fn put(registry: &mut Registry, id: &str, status: &str, seconds: u64) {
        let body = serde_json::json!({"deviceId": id, "status": status});
        let edit = IdentityDraft::parse(body.to_string().as_bytes()).unwrap();
        let known = registry.get(id).is_some();
        let want = if known {
            Precondition::Any
        } else {
            Precondition::Absent
        };
        let keys = FreshKeys {
            primary: String::new(),
            secondary: String::new(),
        };
        let fresh = Fresh {
            now: at(seconds),
            etag_seed: 1,
            keys,
            template: None,
            rules: crate::choices::DeviceRules::default(),
        };
        registry.begin(at(seconds));
        registry
            .put(id, edit.check(id).unwrap(), &want, fresh)
            .result
            .unwrap();
    }

    fn delete(registry: &mut Registry, id: &str, seconds: u64) {
        registry.begin(at(seconds));
        registry.delete(id, &Precondition::Any).result.unwrap();
    }

    fn seen(registry: &mut Registry, seconds: u64) -> Vec<(String, Status)> {
        let (devices, last) = registry.visible(None, 100, at(seconds));
        assert_eq!(last, None);
        let row = |it: &&Device| (it.identity.device_id.clone(), it.identity.status);
        devices.iter().map(row).collect()
    }

    #[test]
    fn without_a_lag_queries_see_everything_at_once() {
        let mut registry = Registry::default();
        put(&mut registry, "a", "enabled", 1);
        assert_eq!(seen(&mut registry, 1).len(), 1);
        delete(&mut registry, "a", 1);
        assert_eq!(seen(&mut registry, 1).len(), 0);
    }

    #[test]
    fn a_new_device_appears_and_a_deleted_one_disappears_after_the_lag() {
        let mut registry = Registry::with_lag(LAG);
        put(&mut registry, "a", "enabled", 0);
        assert_eq!(seen(&mut registry, 9), []);
        assert_eq!(seen(&mut registry, 10).len(), 1);
        delete(&mut registry, "a", 20);
        assert_eq!(seen(&mut registry, 29).len(), 1);
        assert_eq!(seen(&mut registry, 30), []);
    }

    #[test]
    fn each_change_comes_to_light_in_its_turn() {
        let mut registry = Registry::with_lag(LAG);
        put(&mut registry, "a", "enabled", 0);
        put(&mut registry, "a", "disabled", 5);
        delete(&mut registry, "a", 7);
        put(&mut registry, "a", "enabled", 8);
        let status = |registry: &mut Registry, seconds| {
            seen(registry, seconds).first().map(|(_, status)| *status)
        };
        assert_eq!(status(&mut registry, 9), None);
        assert_eq!(status(&mut registry, 10), Some(Status::Enabled));
        assert_eq!(status(&mut registry, 15), Some(Status::Disabled));
        assert_eq!(status(&mut registry, 17), None);
        assert_eq!(status(&mut registry, 18), Some(Status::Enabled));
        assert!(registry.history.past.is_empty() && registry.history.queue.is_empty());
    }

    #[test]
    fn ghosts_stand_in_order_among_the_living_and_pages_end_at_their_limit() {
        let mut registry = Registry::with_lag(LAG);
        for id in ["a", "b", "c", "d"] {
            put(&mut registry, id, "enabled", 0);
        }
        delete(&mut registry, "b", 15);
        let (devices, last) = registry.visible(Some("a"), 2, at(16));
        let ids: Vec<&str> = devices
            .iter()
            .map(|it| it.identity.device_id.as_str())
            .collect();
        assert_eq!((ids, last.as_deref()), (vec!["b", "c"], Some("c")));
    }
}
