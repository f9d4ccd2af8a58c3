//! A lower bound of the servers' time.
//!
//! Whether a lease has expired must not depend on the wall clock of a worker. Every message and
//! every record says when a server stored it; the latest such time plus what has passed here
//! since, by the monotonic clock, is never later than the servers' present.

use std::sync::{Mutex, PoisonError};

use lifecycle::Timestamp;
use tokio::time::Instant;

/// The latest server time seen, and when it was seen.
#[derive(Debug)]
pub struct ServerClock {
    seen: Mutex<(Timestamp, Instant)>,
}

impl ServerClock {
    /// A clock that has seen nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            seen: Mutex::new((Timestamp::default(), Instant::now())),
        }
    }

    /// Takes note of a time that a server wrote down before now.
    pub fn observe(&self, stamp: Timestamp) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if stamp > seen.0.plus(seen.1.elapsed()) {
            *seen = (stamp, Instant::now());
        }
    }

    /// The lower bound.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.0.plus(seen.1.elapsed())
    }
}

impl Default for ServerClock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_runs_on_from_the_latest_stamp_and_ignores_older_ones() {
        let clock = ServerClock::new();
        let stamp = Timestamp::from_micros(1_000_000);
        clock.observe(stamp);
        tokio::time::advance(Duration::from_secs(2)).await;
        clock.observe(stamp);
        assert_eq!(clock.now(), stamp.plus(Duration::from_secs(2)));
    }
}
