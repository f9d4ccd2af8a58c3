//! The pace of requests to each hub.
//!
//! A hub meters its registry operations and answers late, then 429, when they come too fast.
//! Each hub has an evenly spaced queue (the generic cell rate algorithm): a request learns at
//! once how long it has to wait. A refusal pauses the queue and slows it to below the pace that
//! was refused; successes let it recover.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Slowest pace after repeated throttling: one request in this time.
const SLOWEST: Duration = Duration::from_secs(10);
/// Refusals that come this soon after one another count once: they are of one burst.
const ONE_BURST: Duration = Duration::from_secs(1);
/// Requests that may be sent at once after a quiet time, as a share of a minute's allowance.
const BURST_OF_A_MINUTE: u32 = 10;

/// What a hub allows, in registry operations a minute; `None` where it is not known.
pub type PerMinute = Option<u32>;

/// Paces of all hubs.
#[derive(Debug, Default)]
pub(crate) struct Pacer {
    hubs: Mutex<HashMap<String, Pace>>,
}

#[derive(Debug)]
struct Pace {
    allowed: PerMinute,
    /// Distance between two requests at the allowed rate.
    floor: Duration,
    /// Present distance between two requests.
    interval: Duration,
    /// How far the queue may run ahead of its spacing.
    burst: Duration,
    /// When the next request would be due if all were evenly spaced.
    next: Instant,
    /// No request before this time.
    paused_until: Instant,
    last_refusal: Option<Instant>,
    /// When the last request was due, and the smoothed distance between requests.
    last_start: Instant,
    gap: Duration,
}

impl Pace {
    fn new(allowed: PerMinute, now: Instant) -> Self {
        let floor = allowed.map_or(Duration::ZERO, |n| Duration::from_secs(60) / n.max(1));
        Self {
            allowed,
            floor,
            interval: floor,
            burst: allowed.map_or(Duration::ZERO, |n| floor * (n / BURST_OF_A_MINUTE)),
            next: now,
            paused_until: now,
            last_refusal: None,
            last_start: now,
            gap: floor,
        }
    }
}

impl Pacer {
    /// How long a request to `hub` that wants to go now has to wait. Its place is taken.
    pub(crate) fn reserve(&self, hub: &str, allowed: PerMinute) -> Duration {
        let now = Instant::now();
        self.with(hub, allowed, now, |pace| {
            let early = pace.next.checked_sub(pace.burst).unwrap_or(now);
            let start = now.max(early).max(pace.paused_until);
            pace.next = pace.next.max(start) + pace.interval;
            pace.gap = (pace.gap * 15 + start.saturating_duration_since(pace.last_start)) / 16;
            pace.last_start = start;
            start.saturating_duration_since(now)
        })
    }

    /// The hub refused a request for being too busy; `wait` is what it asked for.
    pub(crate) fn throttled(&self, hub: &str, allowed: PerMinute, wait: Duration) {
        let now = Instant::now();
        self.with(hub, allowed, now, |pace| {
            pace.paused_until = pace.paused_until.max(now + wait);
            let same_burst = pace
                .last_refusal
                .is_some_and(|last| now.duration_since(last) < ONE_BURST);
            if !same_burst {
                let refused_at = pace.interval.max(pace.gap);
                pace.interval = (refused_at * 4 / 3).clamp(pace.floor, SLOWEST.max(pace.floor));
                pace.last_refusal = Some(now);
            }
        });
    }

    /// The hub answered a request without complaint.
    pub(crate) fn succeeded(&self, hub: &str, allowed: PerMinute) {
        let now = Instant::now();
        self.with(hub, allowed, now, |pace| {
            pace.interval = (pace.interval * 99 / 100).max(pace.floor);
            if pace.interval < Duration::from_micros(100) {
                pace.interval = pace.floor;
            }
        });
    }

    fn with<T>(
        &self,
        hub: &str,
        allowed: PerMinute,
        now: Instant,
        change: impl FnOnce(&mut Pace) -> T,
    ) -> T {
        let mut hubs = self.hubs.lock().unwrap_or_else(PoisonError::into_inner);
        let pace = match hubs.get_mut(hub) {
            Some(pace) => pace,
            None => hubs
                .entry(hub.to_owned())
                .or_insert_with(|| Pace::new(allowed, now)),
        };
        if pace.allowed != allowed {
            *pace = Pace::new(allowed, now);
        }
        change(pace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_unknown_allowance_is_not_paced_until_the_hub_complains() {
        let pacer = Pacer::default();
        assert_eq!(pacer.reserve("h", None), Duration::ZERO);
        pacer.throttled("h", None, Duration::from_secs(10));
        assert_eq!(pacer.reserve("h", None), Duration::from_secs(10));
        assert_eq!(pacer.reserve("other", None), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_then_the_allowed_rate_holds() {
        let pacer = Pacer::default();
        let waits: Vec<_> = (0..14)
            .map(|_| pacer.reserve("h", Some(100)).as_millis())
            .collect();
        assert_eq!(
            waits[..11],
            [0; 11],
            "a tenth of a minute's allowance at once"
        );
        assert_eq!(waits[12] - waits[11], 600);
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(pacer.reserve("h", Some(100)), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_slows_below_the_refused_pace_and_successes_bring_it_back() {
        let pacer = Pacer::default();
        for _ in 0..200 {
            pacer.reserve("h", None);
            tokio::time::advance(Duration::from_millis(10)).await;
        }
        pacer.throttled("h", None, Duration::ZERO);
        pacer.reserve("h", None);
        let wait = pacer.reserve("h", None).as_millis();
        assert!(
            (12..=14).contains(&wait),
            "a third slower than 10 ms, not {wait}"
        );
        for _ in 0..800 {
            pacer.succeeded("h", None);
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        pacer.reserve("h", None);
        assert_eq!(pacer.reserve("h", None), Duration::ZERO);
    }
}
