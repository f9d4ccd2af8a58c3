//! Time as the service counts and prints it: .NET ticks, and round-trip date strings.
//!
//! Every date in an answer and every `generationId` is a count of 100 ns since the year one, so one
//! newtype serves both. The pure state takes ticks as an argument and never reads a clock; only
//! [`Clock`] does, and it never hands out the same value twice, which is what makes generation ids
//! unique and effects of one hub sortable by their time alone.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Ticks between 0001-01-01 and 1970-01-01, both UTC.
const UNIX_EPOCH_TICKS: u64 = 621_355_968_000_000_000;
/// Ticks in one microsecond.
const TICKS_PER_MICRO: u64 = 10;
/// Nanoseconds in one tick.
const NANOS_PER_TICK: i128 = 100;
/// Ticks in one second.
const TICKS_PER_SECOND: u64 = 10_000_000;

/// A moment as .NET counts it: 100 ns since 0001-01-01 UTC. Zero means "never".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Ticks(u64);

impl Ticks {
    /// What the service prints for something that has not happened yet.
    pub(crate) const NEVER: Self = Self(0);

    /// The moment `micros` microseconds after the Unix epoch.
    pub(crate) const fn from_unix_micros(micros: u64) -> Self {
        Self(UNIX_EPOCH_TICKS + micros * TICKS_PER_MICRO)
    }

    /// Reads a date string: with or without fraction, `Z` or offset. Without a zone it is UTC.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        // Most texts that are compared are no dates; this tells them cheaply.
        if bytes.len() < 19 || bytes[4] != b'-' || bytes[10] != b'T' {
            return None;
        }
        let moment = match text.parse::<jiff::Timestamp>() {
            Ok(moment) => moment,
            Err(_) => Offset::UTC.to_timestamp(text.parse().ok()?).ok()?,
        };
        let epoch = i128::from(UNIX_EPOCH_TICKS);
        u64::try_from(moment.as_nanosecond().div_euclid(NANOS_PER_TICK) + epoch)
            .ok()
            .map(Self)
    }

    /// The moment so long ago, or the first of all.
    pub(crate) fn before(self, time: Duration) -> Self {
        Self(self.0.saturating_sub(ticks_in(time)))
    }

    /// How long after `earlier` this is; nothing if it is not.
    pub(crate) const fn since(self, earlier: Self) -> Duration {
        let ticks = self.0.saturating_sub(earlier.0);
        Duration::from_micros(ticks / TICKS_PER_MICRO)
    }

    /// Microseconds since the Unix epoch; zero for anything before it.
    pub(crate) const fn unix_micros(self) -> u64 {
        self.0.saturating_sub(UNIX_EPOCH_TICKS) / TICKS_PER_MICRO
    }

    /// Whole seconds since the Unix epoch; zero for anything before it.
    pub(crate) const fn unix_seconds(self) -> u64 {
        self.0.saturating_sub(UNIX_EPOCH_TICKS) / TICKS_PER_SECOND
    }

    /// The bare number, as used for `generationId`.
    pub(crate) const fn count(self) -> u64 {
        self.0
    }

    /// The date string without its `Z`, as create answers print it.
    pub(crate) fn without_zone(self) -> String {
        let seconds = self.civil().strftime("%Y-%m-%dT%H:%M:%S").to_string();
        match self.0 % TICKS_PER_SECOND {
            0 => seconds,
            fraction => {
                let digits = format!("{fraction:07}");
                format!("{seconds}.{}", digits.trim_end_matches('0'))
            }
        }
    }

    /// The form used in error bodies: `MM/dd/yyyy HH:mm:ss`.
    pub(crate) fn american(self) -> String {
        self.civil().strftime("%m/%d/%Y %H:%M:%S").to_string()
    }

    fn civil(self) -> DateTime {
        let seconds = i64::try_from(self.0 / TICKS_PER_SECOND).unwrap_or(i64::MAX);
        let epoch = i64::try_from(UNIX_EPOCH_TICKS / TICKS_PER_SECOND).unwrap_or(i64::MAX);
        let moment = jiff::Timestamp::from_second(seconds - epoch).unwrap_or(jiff::Timestamp::MAX);
        Offset::UTC.to_datetime(moment)
    }
}

impl fmt::Display for Ticks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}Z", self.without_zone())
    }
}

impl<'de> Deserialize<'de> for Ticks {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("not a date"))
    }
}

impl Serialize for Ticks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn ticks_in(time: Duration) -> u64 {
    u64::try_from(time.as_nanos() / 100).unwrap_or(u64::MAX)
}

/// The wall clock, bent so that it never stands still or runs backwards.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    last_micros: AtomicU64,
}

impl Clock {
    /// Hands out only moments later than this one.
    pub(crate) fn start_after(&self, moment: Ticks) {
        self.last_micros
            .fetch_max(moment.unix_micros(), Ordering::SeqCst);
    }

    /// A moment later than every one handed out before, in microsecond steps.
    pub(crate) fn tick(&self) -> Ticks {
        let wall = wall_micros();
        let step = |last: u64| Some(wall.max(last + 1));
        // The closure always returns a value, so the update cannot be refused.
        let last = self
            .last_micros
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, step)
            .unwrap_or_default();
        Ticks::from_unix_micros(wall.max(last + 1))
    }
}

fn wall_micros() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_is_the_first_of_january_of_the_year_one() {
        assert_eq!(Ticks::NEVER.to_string(), "0001-01-01T00:00:00Z");
        assert_eq!(Ticks::NEVER.without_zone(), "0001-01-01T00:00:00");
    }

    #[test]
    fn fractions_lose_their_trailing_zeros() {
        let base = Ticks::from_unix_micros(1_625_690_724_000_000);
        assert_eq!(base.to_string(), "2021-07-07T20:45:24Z");
        let micros = Ticks::from_unix_micros(1_625_690_724_131_397);
        assert_eq!(micros.to_string(), "2021-07-07T20:45:24.131397Z");
        let tenths = Ticks::from_unix_micros(1_625_690_724_500_000);
        assert_eq!(tenths.to_string(), "2021-07-07T20:45:24.5Z");
        assert_eq!(
            Ticks(base.0 + 1).to_string(),
            "2021-07-07T20:45:24.0000001Z"
        );
    }

    #[test]
    fn error_bodies_get_american_dates() {
        let moment = Ticks::from_unix_micros(1_592_346_896_000_000);
        assert_eq!(moment.american(), "06/16/2020 22:34:56");
    }

    #[test]
    fn ticks_of_a_known_generation_id_are_its_creation_time() {
        assert_eq!(
            Ticks(637_612_875_240_648_717).to_string(),
            "2021-07-07T20:45:24.0648717Z"
        );
    }

    #[test]
    fn unix_times_survive_the_round_trip() {
        let moment = Ticks::from_unix_micros(1_767_225_600_000_007);
        assert_eq!(moment.unix_micros(), 1_767_225_600_000_007);
        assert_eq!(moment.unix_seconds(), 1_767_225_600);
        assert_eq!(Ticks::NEVER.unix_seconds(), 0);
    }

    #[test]
    fn printed_dates_are_read_back() {
        for ticks in [0, 637_612_875_240_648_717, 637_612_875_240_000_000] {
            let ticks = Ticks(ticks);
            assert_eq!(Ticks::parse(&ticks.to_string()), Some(ticks));
            assert_eq!(Ticks::parse(&ticks.without_zone()), Some(ticks));
        }
        let utc = Ticks::parse("2026-01-01T00:00:00Z");
        assert_eq!(Ticks::parse("2026-01-01T01:00:00+01:00"), utc);
        for text in [
            "",
            "2026-01-01",
            "enabled",
            "2026-13-01T00:00:00Z",
            "ä-ä-2026-01-01T00",
        ] {
            assert_eq!(Ticks::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_clock_never_repeats_itself() {
        let clock = Clock::default();
        let times: Vec<Ticks> = (0..10_000).map(|_| clock.tick()).collect();
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
