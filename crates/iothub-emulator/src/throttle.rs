//! Throttling as the service does it: bursts pass, then requests queue, then they are refused.
//!
//! Each kind of operation has a meter, a token bucket kept as one number: the moment at which all
//! work let in so far would be done at the limit rate. A request that is not ahead of its burst
//! passes, one that is a little ahead is told how long to wait, and one that would wait too long
//! is refused without being counted. Rates: "Understand IoT Hub quotas and throttling".

use std::time::Duration;

use clap::ValueEnum;

const MINUTE: Duration = Duration::from_secs(60);
/// How long a request waits in the queue before the service would rather refuse it.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// Bytes that a direct method is metered by.
const METHOD_UNIT: usize = 4096;
/// Burst of the meters that are limited by the minute.
const MINUTE_BURST: Duration = MINUTE;
/// Burst of the meters that are limited by the second.
const SECOND_BURST: Duration = Duration::from_secs(5);

/// The edition of a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tier {
    /// 100 registry operations a minute and unit.
    S1,
    /// As S1 for the registry; twins scale with the units.
    S2,
    /// 5,000 registry operations a minute and unit.
    S3,
    /// No throttling at all.
    Unlimited,
}

impl Tier {
    /// Scheduled jobs that may be at work or planned.
    pub(crate) const fn jobs_at_once(self) -> usize {
        match self {
            Self::S1 => 1,
            Self::S2 => 5,
            Self::S3 => 10,
            Self::Unlimited => usize::MAX,
        }
    }

    /// Time between two devices of a job; `None` without a limit.
    pub(crate) fn job_pace(self, units: u32) -> Option<Duration> {
        let per_second = match self {
            Self::Unlimited => return None,
            Self::S1 => 10,
            Self::S2 => 10.max(units),
            Self::S3 => 50 * units.max(1),
        };
        Some(Duration::from_secs(1) / per_second)
    }
}

/// The operations that share a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meter {
    /// Create, read, list, update and delete of identities.
    Registry,
    /// Reads of twins.
    TwinReads,
    /// Writes of twins.
    TwinWrites,
    /// Pages of queries.
    Queries,
    /// Direct methods, by the size of what is sent.
    Methods,
    /// Operations on jobs.
    Jobs,
    /// Operations on configurations.
    Configurations,
}

/// How many units of its meter a direct method costs; the service counts 4 KB at a time.
pub(crate) fn method_units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(METHOD_UNIT).max(1)).unwrap_or(u32::MAX)
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It goes on after this time, which is zero within a burst.
    After(Duration),
    /// It gets a 429.
    Refused,
}

/// One meter.
#[derive(Debug)]
struct Bucket {
    /// Time one operation takes at the limit rate.
    interval: Duration,
    /// How far ahead of the limit rate requests may run without waiting.
    burst: Duration,
    /// When the work let in so far is done, since the start of the emulator.
    busy_until: Duration,
}

impl Bucket {
    fn per_minute(operations: u32) -> Self {
        Self::new(MINUTE / operations, MINUTE_BURST)
    }

    fn per_second(operations: u32) -> Self {
        Self::new(Duration::from_secs(1) / operations, SECOND_BURST)
    }

    const fn new(interval: Duration, burst: Duration) -> Self {
        Self {
            interval,
            burst,
            busy_until: Duration::ZERO,
        }
    }

    fn take(&mut self, now: Duration, operations: u32) -> Verdict {
        let done = self.busy_until.max(now) + self.interval * operations;
        let wait = done.saturating_sub(now + self.burst);
        if wait > MAX_WAIT {
            return Verdict::Refused;
        }
        self.busy_until = done;
        Verdict::After(wait)
    }
}

/// All meters of a hub; none of them if the tier is unlimited.
#[derive(Debug)]
pub(crate) struct Throttle {
    buckets: Option<[Bucket; 7]>,
    /// How fast its clock runs.
    speed: u32,
}

impl Throttle {
    /// The limits of a hub with so many units (at least one).
    pub(crate) fn new(tier: Tier, units: u32) -> Self {
        let units = units.max(1);
        // Operations on jobs have the limits of the registry.
        let (registry, twin_reads, twin_writes, queries, methods) = match tier {
            Tier::Unlimited => {
                return Self {
                    buckets: None,
                    speed: 1,
                };
            }
            Tier::S1 => (100 * units, 100, 50, 20 * units, 40 * units),
            Tier::S2 => (
                100 * units,
                100.max(10 * units),
                50.max(5 * units),
                20 * units,
                120 * units,
            ),
            Tier::S3 => (
                5_000 * units,
                500 * units,
                250 * units,
                1_000 * units,
                6_144 * units,
            ),
        };
        let buckets = [
            Bucket::per_minute(registry),
            Bucket::per_second(twin_reads),
            Bucket::per_second(twin_writes),
            Bucket::per_minute(queries),
            Bucket::per_second(methods),
            Bucket::per_minute(registry),
            Bucket::per_minute(20 * units),
        ];
        Self {
            buckets: Some(buckets),
            speed: 1,
        }
    }

    /// The same limits by a clock that runs so many times as fast.
    pub(crate) fn running(self, speed: u32) -> Self {
        let speed = speed.max(1);
        Self { speed, ..self }
    }

    /// Counts `operations` at `now`, a time since any fixed moment that does not run backwards.
    pub(crate) fn take(&mut self, meter: Meter, operations: u32, now: Duration) -> Verdict {
        let Some(buckets) = &mut self.buckets else {
            return Verdict::After(Duration::ZERO);
        };
        // In the order of the meters.
        match buckets[meter as usize].take(now * self.speed, operations) {
            Verdict::After(wait) => Verdict::After(wait / self.speed),
            Verdict::Refused => Verdict::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1_000);
    const NOW: Verdict = Verdict::After(Duration::ZERO);

    fn passing(throttle: &mut Throttle, meter: Meter, now: Duration) -> usize {
        std::iter::repeat_with(|| throttle.take(meter, 1, now))
            .take_while(|it| *it == NOW)
            .count()
    }

    #[test]
    fn an_unlimited_hub_never_waits() {
        let mut throttle = Throttle::new(Tier::Unlimited, 1);
        assert!((0..100_000).all(|_| throttle.take(Meter::Registry, 1, START) == NOW));
    }

    #[test]
    fn a_minutes_worth_passes_at_once_then_requests_queue_then_429() {
        let mut throttle = Throttle::new(Tier::S1, 1);
        let verdicts: Vec<Verdict> = (0..200)
            .map(|_| throttle.take(Meter::Registry, 1, START))
            .collect();
        assert!(verdicts[..100].iter().all(|it| *it == NOW));
        assert_eq!(verdicts[100], Verdict::After(Duration::from_millis(600)));
        assert_eq!(verdicts[115], Verdict::After(Duration::from_millis(9_600)));
        assert!(verdicts[116..].iter().all(|it| *it == Verdict::Refused));
    }

    #[test]
    fn refused_requests_do_not_lengthen_the_queue() {
        let mut throttle = Throttle::new(Tier::S1, 1);
        while throttle.take(Meter::Registry, 1, START) != Verdict::Refused {}
        let later = START + Duration::from_millis(700);
        assert!(matches!(
            throttle.take(Meter::Registry, 1, later),
            Verdict::After(_)
        ));
    }

    #[test]
    fn the_burst_comes_back_with_time() {
        let mut throttle = Throttle::new(Tier::S1, 1);
        passing(&mut throttle, Meter::Registry, START);
        assert_eq!(
            passing(&mut throttle, Meter::Registry, START + 10 * MINUTE),
            100
        );
    }

    #[test]
    fn a_faster_clock_changes_nothing_but_the_time_it_takes() {
        let mut throttle = Throttle::new(Tier::S1, 1).running(10);
        let verdicts: Vec<Verdict> = (0..200)
            .map(|_| throttle.take(Meter::Registry, 1, START))
            .collect();
        assert!(verdicts[..100].iter().all(|it| *it == NOW));
        assert_eq!(verdicts[100], Verdict::After(Duration::from_millis(60)));
        assert_eq!(verdicts[116], Verdict::Refused);
        let later = START + MINUTE / 5;
        assert_eq!(passing(&mut throttle, Meter::Registry, later), 100);
    }

    #[test]
    fn a_bulk_of_fifty_costs_fifty() {
        let mut throttle = Throttle::new(Tier::S1, 1);
        let mut bulk = || throttle.take(Meter::Registry, 50, START);
        assert_eq!((bulk(), bulk(), bulk()), (NOW, NOW, Verdict::Refused));
    }

    #[test]
    fn limits_scale_with_tier_and_units() {
        let burst = |tier, units, meter| {
            let mut throttle = Throttle::new(tier, units);
            passing(&mut throttle, meter, START)
        };
        assert_eq!(burst(Tier::S1, 2, Meter::Registry), 200);
        assert_eq!(burst(Tier::S3, 1, Meter::Registry), 5_000);
        assert_eq!(burst(Tier::S1, 20, Meter::TwinReads), 500);
        assert_eq!(burst(Tier::S2, 20, Meter::TwinReads), 1_000);
        assert_eq!(burst(Tier::S2, 1, Meter::TwinWrites), 250);
        assert_eq!(burst(Tier::S2, 2, Meter::Queries), 40);
        assert_eq!(burst(Tier::S1, 2, Meter::Methods), 400);
        assert_eq!(
            (method_units(0), method_units(4096), method_units(4097)),
            (1, 1, 2)
        );
        assert_eq!(burst(Tier::S3, 1, Meter::Queries), 1_000);
    }

    #[test]
    fn meters_do_not_share_a_limit() {
        let mut throttle = Throttle::new(Tier::S1, 1);
        while throttle.take(Meter::Registry, 1, START) != Verdict::Refused {}
        assert_eq!(throttle.take(Meter::TwinReads, 1, START), NOW);
    }
}
