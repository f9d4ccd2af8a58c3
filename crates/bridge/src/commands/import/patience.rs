//! Waiting for a hub or a Mender server that is busy or away for a moment, at a pace that leaves
//! most of the hub's allowance to events.

use std::time::Duration;

use lifecycle::Failure;
use tokio::sync::Mutex;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

/// Waits before each further try.
const WAITS: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(8),
    Duration::from_secs(30),
];
/// One request of so many that the hub allows is ours.
const SHARE: u32 = 2;

/// The pace of requests to one hub.
pub(super) struct Pace {
    interval: Option<Mutex<Interval>>,
    /// Least wait once the hub throttles.
    throttled: Duration,
}

impl Pace {
    pub(super) fn new(allowed_per_minute: Option<u32>, throttled: Duration) -> Self {
        let interval = allowed_per_minute.map(|allowed| {
            let mut interval = interval(Duration::from_secs(60) * SHARE / allowed.max(1));
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            Mutex::new(interval)
        });
        Self {
            interval,
            throttled,
        }
    }

    /// The same call until it is answered, or not worth repeating.
    pub(super) async fn ask<T>(
        &self,
        call: impl AsyncFn() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut waits = WAITS.iter();
        loop {
            if let Some(interval) = &self.interval {
                interval.lock().await.tick().await;
            }
            let failure = match call().await {
                Err(failure @ (Failure::Transient(_) | Failure::Throttled { .. })) => failure,
                answered => return answered,
            };
            let Some(wait) = waits.next() else {
                return Err(failure);
            };
            let least = match failure {
                Failure::Throttled { wait } => wait.unwrap_or(self.throttled),
                _ => Duration::ZERO,
            };
            sleep(least.max(*wait)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    async fn answered(failures: u32, failure: Failure) -> Result<u32, Failure> {
        let asked = AtomicU32::new(0);
        let pace = Pace::new(Some(60_000), Duration::from_secs(10));
        pace.ask(async || {
            let number = asked.fetch_add(1, Ordering::Relaxed);
            if number < failures {
                Err(failure.clone())
            } else {
                Ok(number)
            }
        })
        .await
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_work_later_is_asked_again_and_what_may_not_is_not() {
        let away = Failure::Transient("away".to_owned());
        assert_eq!(answered(4, away.clone()).await, Ok(4));
        assert!(answered(5, away).await.is_err());
        assert!(
            answered(1, Failure::Credentials("no".to_owned()))
                .await
                .is_err()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_hub_that_throttles_is_given_its_time() {
        let began = tokio::time::Instant::now();
        let throttled = Failure::Throttled { wait: None };
        assert_eq!(answered(1, throttled).await, Ok(1));
        assert!(began.elapsed() >= Duration::from_secs(10));
    }
}
