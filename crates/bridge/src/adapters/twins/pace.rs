//! The pace of the twin service at each hub.
//!
//! A hub meters twin reads, twin updates, queries, methods and jobs each by itself, and registry
//! operations apart from all of them. So twin traffic has queues of its own, which lifecycle work
//! never stands in. Whoever would have to wait long is told at once to come back later.

use std::future::Future;
use std::time::Duration;

use iothub::Kind;
use reconciler::{Pacer, PerMinute};
use tokio::time::Instant;
use twin::TwinError;

use super::failure::Trouble;
use crate::adapters::hub::HubPort;
use crate::integration::Tier;

/// Longest wait for a turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a request whose turn has come looks whether the hub takes any.
const LOOK: Duration = Duration::from_millis(50);

/// What a hub counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meter {
    Reads,
    Updates,
    Queries,
    Methods,
    Jobs,
}

impl Meter {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Reads => "twin reads",
            Self::Updates => "twin updates",
            Self::Queries => "queries",
            Self::Methods => "methods",
            Self::Jobs => "jobs",
        }
    }

    /// Operations a minute of a hub with so many units
    /// (learn.microsoft.com, "IoT Hub quotas and throttling"; a method counts as 4 KiB).
    fn allowed(self, tier: Tier, units: u32) -> PerMinute {
        let per_unit = |n: u32| units.saturating_mul(n);
        Some(match (tier, self) {
            (Tier::Unlimited, _) => return None,
            (Tier::S1, Self::Reads) => 6_000,
            (Tier::S1, Self::Updates) => 3_000,
            (Tier::S1, Self::Methods) => per_unit(2_400),
            (Tier::S2, Self::Reads) => per_unit(600).max(6_000),
            (Tier::S2, Self::Updates) => per_unit(300).max(3_000),
            (Tier::S2, Self::Methods) => per_unit(7_200),
            (Tier::S1 | Tier::S2, Self::Queries) => per_unit(20),
            (Tier::S1 | Tier::S2, Self::Jobs) => per_unit(100),
            (Tier::S3, Self::Reads) => per_unit(30_000),
            (Tier::S3, Self::Updates) => per_unit(15_000),
            (Tier::S3, Self::Methods) => per_unit(360_000),
            (Tier::S3, Self::Queries) => per_unit(1_000),
            (Tier::S3, Self::Jobs) => per_unit(5_000),
        })
    }
}

/// The queues.
pub(super) struct Pace {
    pacer: Pacer,
    /// Pause after a 429 that names no time.
    throttled: Duration,
}

impl Pace {
    pub(super) fn new(throttled: Duration) -> Self {
        Self {
            pacer: Pacer::default(),
            throttled,
        }
    }

    /// Makes a call in its turn.
    pub(super) async fn ask<T>(
        &self,
        hub: &HubPort,
        meter: Meter,
        call: impl Future<Output = iothub::Result<T>>,
    ) -> Result<T, Trouble> {
        self.turn(hub, meter, PATIENCE).await?;
        let result = call.await;
        let (queue, allowed) = queue(hub, meter);
        match &result {
            Err(error) => {
                if let Kind::Throttled { retry_after } = error.kind() {
                    let wait = retry_after.unwrap_or(self.throttled);
                    self.pacer.throttled(&queue, allowed, wait);
                }
            }
            Ok(_) => self.pacer.succeeded(&queue, allowed),
        }
        result.map_err(Trouble::Hub)
    }

    /// Whether the next call would go at once. Takes no turn.
    pub(super) fn is_free(&self, hub: &HubPort, meter: Meter) -> bool {
        let (queue, allowed) = queue(hub, meter);
        self.pacer.wait(&queue, allowed).is_zero()
    }

    async fn turn(&self, hub: &HubPort, meter: Meter, patience: Duration) -> Result<(), Trouble> {
        let (queue, allowed) = queue(hub, meter);
        let refused = || Trouble::Unsent(TwinError::Throttled);
        let until = Instant::now() + patience;
        let reserved = self.pacer.reserve(&queue, allowed, patience);
        let wait = reserved.map_err(|_| refused())?;
        // A timer rounds up: no wait at all would take a millisecond.
        if wait.is_zero() {
            return Ok(());
        }
        tokio::time::sleep(wait).await;
        // After a pause one tries, and what else has gathered meanwhile waits for its answer.
        while !self.pacer.goes(&queue, allowed) {
            if Instant::now() >= until {
                return Err(refused());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }
}

/// The name of a queue, and its pace.
fn queue(hub: &HubPort, meter: Meter) -> (String, PerMinute) {
    let name = format!("{} {}", hub.integration.hub, meter.as_str());
    (name, meter.allowed(hub.tier, hub.units))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn hub(tier: Tier) -> HubPort {
        let text = "HostName=h.azure-devices.net;SharedAccessKeyName=p;SharedAccessKey=MDEyMzQ1Njc4OWFiY2RlZg==";
        let text: iothub::ConnectionString = text.parse().unwrap();
        let host = text.host().parse().unwrap();
        let options = iothub::Options::default();
        HubPort {
            client: iothub::Hub::new(host, text.credential().unwrap(), options).unwrap(),
            integration: lifecycle::IntegrationRef {
                id: "i".to_owned(),
                hub: "h".to_owned(),
                generation: 1,
            },
            allowed_per_minute: None,
            tier,
            units: 1,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_would_wait_long_is_told_at_once_and_other_meters_do_not_notice() {
        let (pace, hub) = (Pace::new(Duration::from_secs(10)), hub(Tier::S1));
        let ask = |meter| pace.ask(&hub, meter, async { Ok(()) });
        let begun = tokio::time::Instant::now();
        let ended = async |meter| (ask(meter).await.map_err(TwinError::from), begun.elapsed());
        let all = futures::future::join_all((0..30).map(|_| ended(Meter::Queries))).await;
        let refused: Vec<_> = all.iter().filter(|(result, _)| result.is_err()).collect();
        assert!((20..28).contains(&refused.len()), "20 a minute: {all:?}");
        for (result, after) in refused {
            assert_eq!(
                (result, *after),
                (&Err(TwinError::Throttled), Duration::ZERO)
            );
        }
        let before = tokio::time::Instant::now();
        assert!(pace.is_free(&hub, Meter::Reads));
        assert!(ask(Meter::Reads).await.is_ok());
        assert_eq!(before.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_of_the_hub_is_a_pause_for_that_meter() {
        let (pace, hub) = (Pace::new(Duration::from_secs(60)), hub(Tier::Unlimited));
        let too_busy = Kind::Throttled { retry_after: None };
        let answer = iothub::Error::new(too_busy, iothub::Effect::None);
        let refusal = pace.ask::<()>(&hub, Meter::Updates, async { Err(answer) });
        assert!(refusal.await.is_err());
        let next = pace.ask(&hub, Meter::Updates, async { Ok(()) });
        assert_eq!(
            next.await.map_err(TwinError::from),
            Err(TwinError::Throttled)
        );
        assert!(pace.is_free(&hub, Meter::Reads));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_pause_one_tries_and_where_it_is_refused_nobody_else_is_sent() {
        let (pace, hub) = (Pace::new(Duration::from_secs(5)), hub(Tier::S1));
        let sent = AtomicU32::new(0);
        let busy = || {
            sent.fetch_add(1, Ordering::Relaxed);
            let too_busy = Kind::Throttled { retry_after: None };
            Err::<(), _>(iothub::Error::new(too_busy, iothub::Effect::None))
        };
        let ask = || pace.ask(&hub, Meter::Reads, async { busy() });
        assert!(ask().await.is_err());
        let all = futures::future::join_all((0..20).map(|_| ask())).await;
        assert!(all.iter().all(Result::is_err));
        assert_eq!(sent.into_inner(), 3, "after five and ten seconds");
        let fine = || pace.ask(&hub, Meter::Reads, async { Ok(()) });
        let all = futures::future::join_all((0..20).map(|_| fine())).await;
        assert!(all.iter().all(Result::is_ok));
    }

    #[test]
    fn units_multiply_what_azure_says_they_do() {
        assert_eq!(Meter::Reads.allowed(Tier::S1, 5), Some(6_000));
        assert_eq!(Meter::Reads.allowed(Tier::S2, 20), Some(12_000));
        assert_eq!(Meter::Queries.allowed(Tier::S1, 2), Some(40));
        assert_eq!(Meter::Updates.allowed(Tier::S3, 2), Some(30_000));
        assert_eq!(Meter::Jobs.allowed(Tier::Unlimited, 1), None);
    }
}
