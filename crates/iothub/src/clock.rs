//! What time it is for the hub.
//!
//! Tokens end at a time that the hub judges by its own clock, and a machine's clock may be hours
//! off. Every answer of the hub says the time, so the difference is learned from there, also
//! from the refusal that a wrong clock causes: the request that follows it is signed right.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use http::header::DATE;

/// The hub's clock, as far as its answers told.
#[derive(Debug, Default)]
pub(crate) struct HubClock {
    /// Seconds to add to this machine's clock.
    offset: AtomicI64,
}

impl HubClock {
    /// The hub's time in Unix seconds.
    pub(crate) fn now(&self) -> u64 {
        self.at(SystemTime::now())
    }

    fn at(&self, local: SystemTime) -> u64 {
        unix_seconds(local).saturating_add_signed(self.offset.load(Ordering::Relaxed))
    }

    /// Seconds to add to this machine's clock, as far as it is known; 0 before the first answer.
    pub(crate) fn offset(&self) -> i64 {
        self.offset.load(Ordering::Relaxed)
    }

    /// Takes note of the time an answer states.
    pub(crate) fn learn(&self, headers: &HeaderMap) {
        self.learn_at(headers, SystemTime::now());
    }

    fn learn_at(&self, headers: &HeaderMap, local: SystemTime) {
        let Some(date) = http_date(headers, DATE.as_str()) else {
            return;
        };
        let seconds = |time| i64::try_from(unix_seconds(time)).unwrap_or(i64::MAX);
        self.offset.store(
            seconds(date).saturating_sub(seconds(local)),
            Ordering::Relaxed,
        );
    }
}

/// The date in a header, if there is a valid one.
pub(crate) fn http_date(headers: &HeaderMap, name: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?.trim()).ok()
}

fn unix_seconds(time: SystemTime) -> u64 {
    // A clock before 1970 counts as 1970: the offset then repairs it.
    time.duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 1_767_268_800;
    const NOON_HEADER: &str = "Thu, 01 Jan 2026 12:00:00 GMT";

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn headers(date: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(DATE, date.parse().unwrap())])
    }

    #[test]
    fn before_any_answer_the_local_clock_counts() {
        assert_eq!(HubClock::default().at(at(NOON)), NOON);
    }

    #[test]
    fn a_slow_and_a_fast_local_clock_are_corrected() {
        let clock = HubClock::default();
        for local in [NOON - 7200, NOON + 7200, 0] {
            clock.learn_at(&headers(NOON_HEADER), at(local));
            assert_eq!(clock.at(at(local + 60)), NOON + 60);
        }
    }

    #[test]
    fn an_answer_without_a_valid_date_teaches_nothing() {
        let clock = HubClock::default();
        clock.learn_at(&headers(NOON_HEADER), at(NOON - 7200));
        clock.learn_at(&headers("yesterday"), at(NOON - 7200));
        clock.learn_at(&HeaderMap::new(), at(NOON - 7200));
        assert_eq!(clock.at(at(NOON - 7200)), NOON);
    }
}
