//! Points in time on the command line.

use std::str::FromStr;
use std::time::Duration;

use lifecycle::Timestamp;

/// A point in time: itself, or how long ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    At(Timestamp),
    Ago(Duration),
}

impl Moment {
    /// The time that is meant, at the time `now`.
    pub(crate) fn from(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Ago(span) => {
                let micros = i64::try_from(span.as_micros());
                // Longer ago than any time there is: since ever.
                Timestamp::from_micros(
                    micros.map_or(0, |micros| now.as_micros().saturating_sub(micros)),
                )
            }
        }
    }
}

impl FromStr for Moment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            return Ok(Self::At(Timestamp::from_micros(time.as_microsecond())));
        }
        span(text).map(Self::Ago).ok_or(
            "neither a time such as 2026-01-31T12:00:00Z nor a span back from now such as 30m, 2h \
             or 1d",
        )
    }
}

/// A span such as `90s`, `2h` or `1h 30m`.
fn span(text: &str) -> Option<Duration> {
    let parts = text.split_inclusive(|c: char| c.is_ascii_alphabetic());
    let seconds: Option<Vec<u64>> = parts.map(|part| seconds(part.trim_start())).collect();
    let seconds = seconds.filter(|parts| !parts.is_empty())?;
    let sum = seconds.into_iter().fold(0, u64::saturating_add);
    Some(Duration::from_secs(sum))
}

/// `15m` in seconds.
fn seconds(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = number.parse().ok()?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    Some(number.saturating_mul(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_itself_and_a_span_goes_back_from_now() {
        let now = Timestamp::from_micros(7_200_000_000);
        for (text, micros) in [
            ("1970-01-01T00:00:01Z", 1_000_000),
            ("1970-01-01T01:00:01+01:00", 1_000_000),
            ("90s", 7_110_000_000),
            ("30m", 5_400_000_000),
            ("1h 30m", 1_800_000_000),
            ("1d", -79_200_000_000),
            ("3d", -252_000_000_000),
            ("99999999999999d", 0),
            ("2026-08-20T10:11:12Z", 1_787_220_672_000_000),
        ] {
            let moment: Moment = text.parse().unwrap();
            assert_eq!(moment.from(now), Timestamp::from_micros(micros), "{text}");
        }
        for text in [
            "",
            "m",
            "5",
            "5y",
            "5\u{e4}",
            "yesterday",
            "-2h",
            "2h 5",
            "1970-01-01",
        ] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }
}
