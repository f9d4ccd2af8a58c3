//! What a reconciler has done since its start, for whoever measures. Nothing here decides anything.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lifecycle::Outcome;

use crate::ports::DeadClass;

/// What has been done since the start. Only ever counts up.
#[derive(Debug, Default)]
pub struct Counters {
    /// Outcomes published, in the order of [`lifecycle::Outcome`]'s variants.
    pub outcomes: [AtomicU64; 5],
    /// From an event's storing in the stream to its outcome, for events that were not dead-lettered.
    pub settled: Delays,
    /// Dead letters of events that would fail for ever.
    pub dead_permanent: AtomicU64,
    /// Dead letters of events that failed for too long.
    pub dead_exhausted: AtomicU64,
    /// Hub reads sent.
    pub hub_reads: AtomicU64,
    /// Hub writes sent.
    pub hub_writes: AtomicU64,
    /// Hub writes that ended without telling whether they took effect: their intents stay open.
    pub unanswered: AtomicU64,
    /// Connection strings handed over, tries that failed included.
    pub deliveries: AtomicU64,
    /// Those of them that failed.
    pub failed_deliveries: AtomicU64,
    /// Wake-ups scheduled.
    pub wake_ups: AtomicU64,
    /// Compare-and-sets lost to somebody else.
    pub lost: AtomicU64,
}

impl Counters {
    /// Takes note of an outcome, and of how long it took where that is known.
    pub(crate) fn ended(&self, outcome: Outcome, took: Option<Duration>) {
        self.outcomes[outcome as usize].fetch_add(1, Ordering::Relaxed);
        if let Some(took) = took.filter(|_| outcome != Outcome::Dead) {
            self.settled.add(took);
        }
    }

    pub(crate) fn dead(&self, class: DeadClass) {
        let counter = match class {
            DeadClass::Exhausted => &self.dead_exhausted,
            _ => &self.dead_permanent,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// How long things took: how many took at most each of [`Delays::BOUNDS`], and the sum.
#[derive(Debug, Default)]
pub struct Delays {
    counts: [AtomicU64; Self::BOUNDS.len() + 1],
    sum_us: AtomicU64,
}

impl Delays {
    /// Upper bounds in seconds: from one request to a hub, to the week after which events are given up.
    pub const BOUNDS: [f64; 15] = [
        0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0, 7_200.0, 86_400.0,
        604_800.0,
    ];

    /// Takes note of one.
    pub fn add(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let place = Self::BOUNDS.partition_point(|bound| *bound < seconds);
        self.counts[place].fetch_add(1, Ordering::Relaxed);
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// How many took at most each bound and more than the one before; the last took more than all.
    #[must_use]
    pub fn counts(&self) -> [u64; Self::BOUNDS.len() + 1] {
        self.counts
            .each_ref()
            .map(|count| count.load(Ordering::Relaxed))
    }

    /// The sum of all.
    #[must_use]
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.sum_us.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_delay_is_counted_below_its_bound() {
        let delays = Delays::default();
        for ms in [50, 51, 700_000_000] {
            delays.add(Duration::from_millis(ms));
        }
        let counts = delays.counts();
        assert_eq!((counts[0], counts[1], counts[15]), (1, 1, 1));
        assert_eq!(delays.sum(), Duration::from_millis(700_000_101));
    }

    #[test]
    fn the_time_of_a_dead_event_tells_nothing_of_how_fast_events_settle() {
        let counters = Counters::default();
        counters.ended(Outcome::Dead, Some(Duration::from_secs(1)));
        counters.ended(Outcome::Applied, None);
        counters.ended(Outcome::Applied, Some(Duration::from_secs(1)));
        assert_eq!(counters.settled.counts().iter().sum::<u64>(), 1);
    }
}
