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

    /// Whether a request may go now; after a pause the first one may, and tries for all.
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
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn reserve(pacer: &Pacer, allowed: PerMinute) -> Duration {
        pacer.reserve("h", allowed, PATIENCE).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_allowance_is_not_paced_until_the_hub_complains() {
        let pacer = Pacer::default();
        assert_eq!(reserve(&pacer, None), Duration::ZERO);
        pacer.throttled("h", None, Duration::from_secs(10));
        assert_eq!(reserve(&pacer, None), Duration::from_secs(10));
        assert_eq!(pacer.reserve("other", None, PATIENCE), Ok(Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pace_tells_what_is_allowed_and_what_a_refusal_left_of_it() {
        let pacer = Pacer::default();
        reserve(&pacer, Some(100));
        let before = &pacer.paces()[0];
        assert_eq!((before.allowed, before.present), (Some(100), Some(100)));
        assert_eq!((before.refusals, before.last_refusal), (0, None));
        pacer.throttled("h", Some(100), Duration::from_secs(10));
        pacer.throttled("h", Some(100), Duration::from_secs(10));
        tokio::time::advance(Duration::from_secs(4)).await;
        let after = &pacer.paces()[0];
        assert!(after.present < Some(100), "{after:?}");
        assert_eq!(after.paused_for, Duration::from_secs(6));
        assert_eq!(after.refusals, 1, "those of one burst count once");
        assert_eq!(after.last_refusal, Some(Duration::from_secs(4)));
    }

    #[tokio::test(start_paused = true)]
    async fn waits_are_counted_and_outlast_a_change_of_what_is_allowed() {
        let pacer = Pacer::default();
        // The first goes at once, and so does the second: a tenth of a minute's allowance.
        for _ in 0..3 {
            reserve(&pacer, Some(10));
        }
        let sent_away = pacer.reserve("h", Some(10), Duration::from_secs(1));
        assert!(sent_away.is_err());
        reserve(&pacer, Some(20));
        let shown = &pacer.paces()[0];
        assert_eq!((shown.waits, shown.waited), (2, Duration::from_secs(6)));
        reserve(&pacer, None);
        assert_eq!(pacer.paces()[0].present, None, "nothing limits it");
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_then_the_allowed_rate_holds() {
        let pacer = Pacer::default();
        let waits: Vec<_> = (0..14)
            .map(|_| reserve(&pacer, Some(100)).as_millis())
            .collect();
        assert_eq!(
            waits[..11],
            [0; 11],
            "a tenth of a minute's allowance at once"
        );
        assert_eq!(waits[12] - waits[11], 600);
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(reserve(&pacer, Some(100)), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_slows_below_the_refused_pace_and_successes_bring_it_back() {
        let pacer = Pacer::default();
        for _ in 0..200 {
            reserve(&pacer, None);
            tokio::time::advance(Duration::from_millis(10)).await;
        }
        pacer.throttled("h", None, Duration::ZERO);
        reserve(&pacer, None);
        let wait = reserve(&pacer, None).as_millis();
        assert!(
            (12..=14).contains(&wait),
            "a third slower than 10 ms, not {wait}"
        );
        for _ in 0..800 {
            pacer.succeeded("h", None);
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        reserve(&pacer, None);
        assert_eq!(reserve(&pacer, None), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_sent_away_takes_no_place_and_comes_back_in_turn() {
        let pacer = Pacer::default();
        let ask = || pacer.reserve("h", Some(60), Duration::from_secs(5));
        while ask().is_ok() {}
        let away: Vec<_> = (0..50).map(|_| ask().unwrap_err().as_secs()).collect();
        assert!(away.is_sorted() && away[49] - away[0] == 49, "{away:?}");
        tokio::time::advance(Duration::from_secs(6)).await;
        let served = (0..50).filter(|_| ask().is_ok()).count();
        assert_eq!(served, 6, "one for each second that passed");
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_pause_one_tries_and_the_others_go_once_it_is_taken() {
        let pacer = Pacer::default();
        let pause = Duration::from_secs(10);
        pacer.throttled("h", None, pause);
        pacer.succeeded("h", None);
        // These have waited for the end of the pause.
        for _ in 0..3 {
            assert!(reserve(&pacer, None) >= pause);
        }
        tokio::time::advance(pause).await;
        let going = || (0..3).filter(|_| pacer.goes("h", None)).count();
        assert_eq!(going(), 1);
        // So does who comes anew.
        assert!(reserve(&pacer, None) >= ANSWER);
        tokio::time::advance(ANSWER).await;
        assert_eq!(going(), 1, "there was no answer");
        pacer.throttled("h", None, pause);
        tokio::time::advance(pause).await;
        assert_eq!(going(), 1, "refused again");
        pacer.succeeded("h", None);
        assert_eq!(going(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_after_idle_time_does_not_slow_to_the_idle_pace() {
        let pacer = Pacer::default();
        for _ in 0..50 {
            reserve(&pacer, None);
            tokio::time::advance(Duration::from_secs(20)).await;
        }
        pacer.throttled("h", None, Duration::ZERO);
        reserve(&pacer, None);
        assert!(reserve(&pacer, None) <= IDLE * 4 / 3);
    }
}
