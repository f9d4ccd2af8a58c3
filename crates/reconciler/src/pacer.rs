//! The pace of requests to each hub.
//!
//! A hub meters its registry operations and answers late, then 429, when they come too fast.
//! Each hub has an evenly spaced queue (the generic cell rate algorithm): a request learns at
//! once how long it has to wait. A refusal pauses the queue and slows it to below the pace that
//! was refused; successes let it recover.
//!
//! After a pause one request tries, and the others wait for its answer: without that, all that had gathered
//! would be refused together.
//!
//! A request that would have to wait too long takes no place: it is told when to ask again, and
//! those times are evenly spaced too. Had it a place, it would take a second one when it comes
//! back, and the queue would grow by every question until nobody gets through.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Slowest pace after repeated throttling: one request in this time.
const SLOWEST: Duration = Duration::from_secs(10);
/// Refusals that come this soon after one another count once: they are of one burst.
const ONE_BURST: Duration = Duration::from_secs(1);
/// Longest distance between requests that tells of a pace; a longer one tells of idleness.
const IDLE: Duration = Duration::from_millis(100);
/// Longest wait for the answer to the request that tries after a pause.
const ANSWER: Duration = Duration::from_secs(2);
/// Requests that may be sent at once after a quiet time, as a share of a minute's allowance.
const BURST_OF_A_MINUTE: u32 = 10;

/// What a hub allows, in registry operations a minute; `None` where it is not known.
pub type PerMinute = Option<u32>;

/// How fast one hub is asked at present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubPace {
    /// The hub's host.
    pub hub: String,
    /// What its tier allows.
    pub allowed: PerMinute,
    /// What it is asked at most at present, in registry operations a minute; `None` where nothing
    /// limits it. Below `allowed` after refusals.
    pub present: PerMinute,
    /// No request goes out before this time has passed.
    pub paused_for: Duration,
    /// Requests that had to wait since the start, those that were sent away included.
    pub waits: u64,
    /// The sum of the waits for which a place was taken.
    pub waited: Duration,
    /// Refusals for being too busy since the start, those of one burst counted once.
    pub refusals: u64,
    /// How long ago the last of them came.
    pub last_refusal: Option<Duration>,
}

/// Paces of all hubs.
#[derive(Debug, Default)]
pub struct Pacer {
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
    /// When the last of those who were sent away was told to come back.
    back_at: Instant,
    /// No request before this time.
    paused_until: Instant,
    /// Nothing was taken since the last pause.
    untried: bool,
    /// Until then the answer of the one that tries is waited for.
    answer_by: Instant,
    last_refusal: Option<Instant>,
    told: Told,
    /// When the last request was due, and the smoothed distance between requests.
    last_start: Instant,
    gap: Duration,
}

/// What is counted since the start, whatever is allowed meanwhile.
#[derive(Debug, Default, Clone, Copy)]
struct Told {
    waits: u64,
    waited: Duration,
    refusals: u64,
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
            back_at: now,
            paused_until: now,
            untried: false,
            answer_by: now,
            last_refusal: None,
            told: Told::default(),
            last_start: now,
            gap: floor,
        }
    }

    fn shown(&self, hub: &str, now: Instant) -> HubPace {
        // Rounded, since an interval is: 100 a minute is one in 600 ms.
        let a_minute = |interval: Duration| {
            let micros = interval.as_micros();
            let per_minute = (60_000_000 + micros / 2).checked_div(micros)?;
            Some(u32::try_from(per_minute).unwrap_or(u32::MAX))
        };
        HubPace {
            hub: hub.to_owned(),
            allowed: self.allowed,
            present: a_minute(self.interval),
            paused_for: self.paused_until.saturating_duration_since(now),
            waits: self.told.waits,
            waited: self.told.waited,
            refusals: self.told.refusals,
            last_refusal: self.last_refusal.map(|last| now.duration_since(last)),
        }
    }

    /// When a request that wants to go now may go.
    fn start(&self, now: Instant) -> Instant {
        let early = self.next.checked_sub(self.burst).unwrap_or(now);
        now.max(early).max(self.paused_until)
    }

    /// Whether a request may go now. After a pause the first one that asks may, and has the turn to try for
    /// all.
    fn goes(&mut self, now: Instant) -> bool {
        let goes = self.free_at(now) <= now;
        if goes && self.untried {
            self.answer_by = now + ANSWER;
        }
        goes
    }

    /// When the hub is neither paused nor tried.
    fn free_at(&self, now: Instant) -> Instant {
        let tried = if self.untried { self.answer_by } else { now };
        tried.max(self.paused_until)
    }
}

impl Pacer {
    /// How long a request to `hub` that wants to go now has to wait. Its place is taken.
    ///
    /// The error is for waits longer than `patience`: no place is taken, ask again after so long.
    pub fn reserve(
        &self,
        hub: &str,
        allowed: PerMinute,
        patience: Duration,
    ) -> Result<Duration, Duration> {
        let now = Instant::now();
        self.with(hub, allowed, now, |pace| {
            let start = pace.start(now);
            // Who waits for an answer keeps its place in the queue.
            let goes_at = start.max(pace.free_at(now));
            let wait = goes_at.saturating_duration_since(now);
            pace.told.waits += u64::from(!wait.is_zero());
            if wait > patience {
                pace.back_at = goes_at.max(pace.back_at + pace.interval);
                return Err(pace.back_at.saturating_duration_since(now));
            }
            // Whoever goes at once does not ask again, so it takes the turn to try here.
            if wait.is_zero() {
                pace.goes(now);
            }
            pace.told.waited += wait;
            pace.next = pace.next.max(start) + pace.interval;
            let distance = start.saturating_duration_since(pace.last_start).min(IDLE);
            pace.gap = (pace.gap * 15 + distance) / 16;
            pace.last_start = start;
            Ok(wait)
        })
    }

    /// How long a request to `hub` would have to wait now. Takes no place.
    pub fn wait(&self, hub: &str, allowed: PerMinute) -> Duration {
        let now = Instant::now();
        self.with(hub, allowed, now, |pace| pace.start(now))
            .saturating_duration_since(now)
    }

    /// Whether a request whose wait is over may go: not if the hub has asked for a pause meanwhile, nor
    /// while another one tries whether it takes anything.
    pub fn goes(&self, hub: &str, allowed: PerMinute) -> bool {
        let now = Instant::now();
        self.with(hub, allowed, now, |pace| pace.goes(now))
    }

    /// The hub refused a request for being too busy; `wait` is what it asked for.
    pub fn throttled(&self, hub: &str, allowed: PerMinute, wait: Duration) {
        let now = Instant::now();
        self.with(hub, allowed, now, |pace| {
            pace.paused_until = pace.paused_until.max(now + wait);
            pace.untried |= !wait.is_zero();
            pace.answer_by = now;
            let same_burst = pace
                .last_refusal
                .is_some_and(|last| now.duration_since(last) < ONE_BURST);
            if !same_burst {
                let refused_at = pace.interval.max(pace.gap);
                pace.interval = (refused_at * 4 / 3).clamp(pace.floor, SLOWEST.max(pace.floor));
                pace.last_refusal = Some(now);
                pace.told.refusals += 1;
            }
        });
    }

    /// The hub answered a request without complaint.
    pub fn succeeded(&self, hub: &str, allowed: PerMinute) {
        let now = Instant::now();
        self.with(hub, allowed, now, |pace| {
            // Of what was sent before the refusal, an answer says nothing.
            pace.untried &= pace.paused_until > now;
            pace.interval = (pace.interval * 97 / 100).max(pace.floor);
            if pace.interval < Duration::from_micros(100) {
                pace.interval = pace.floor;
            }
        });
    }

    /// The pace of every hub that was asked for anything.
    pub fn paces(&self) -> Vec<HubPace> {
        let now = Instant::now();
        let hubs = self.hubs.lock().unwrap_or_else(PoisonError::into_inner);
        hubs.iter()
            .map(|(hub, pace)| pace.shown(hub, now))
            .collect()
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
            let told = pace.told;
            *pace = Pace {
                told,
                ..Pace::new(allowed, now)
            };
        }
        change(pace)
    }
}

#[cfg(test)]
#[path = "pacer_tests.rs"]
mod tests;
