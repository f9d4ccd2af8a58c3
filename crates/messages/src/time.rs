//! `created_ts`: when Mender created a device.
//!
//! The time names the device's incarnation, so two spellings of one time must be one value. A
//! fresh event of Mender may carry nanoseconds, while its database keeps milliseconds and later
//! events are made from there: everything is cut to milliseconds.

use lifecycle::Timestamp;

use crate::Malformed;
use crate::json::{self, Field};

const MICROS_IN_MILLI: i64 = 1_000;

/// Reads a field that is an RFC 3339 time, or missing or null. The zero time of Go (year 1) is
/// what a sender writes who does not know: `None`.
pub(crate) fn created(field: Field<'_>, name: &str) -> Result<Option<Timestamp>, Malformed> {
    match json::text(field, name)? {
        None => Ok(None),
        Some(text) => parse(&text).ok_or_else(|| Malformed::in_field(name, "not an RFC 3339 time")),
    }
}

/// The outer `None` says that the text is no time, the inner one that the time is unknown.
#[expect(
    clippy::option_option,
    reason = "two different answers, told apart by one caller"
)]
pub(crate) fn parse(text: &str) -> Option<Option<Timestamp>> {
    // jiff also takes blanks for the `T` and annotations in brackets.
    if text.as_bytes().get(10) != Some(&b'T') || text.contains('[') {
        return None;
    }
    let time: jiff::Timestamp = text.parse().ok()?;
    let micros = time.as_microsecond();
    let cut = micros - micros.rem_euclid(MICROS_IN_MILLI);
    Some((cut >= year_two()).then_some(Timestamp::from_micros(cut)))
}

/// The time as RFC 3339 with milliseconds, or `None` if it is outside of the years that RFC 3339
/// can write.
pub(crate) fn format(time: Timestamp) -> Option<String> {
    let cut = time.as_micros() - time.as_micros().rem_euclid(MICROS_IN_MILLI);
    let time = jiff::Timestamp::from_microsecond(cut).ok()?;
    (cut >= year_two()).then(|| format!("{time:.3}"))
}

/// Start of the year 2 in microseconds; everything before stands for "unknown".
const fn year_two() -> i64 {
    const SECONDS_TO_YEAR_TWO: i64 = -62_104_060_800;
    SECONDS_TO_YEAR_TWO * 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads_as(text: &str, millis: Option<i64>) {
        let expected = millis.map(|millis| Timestamp::from_micros(millis * 1_000));
        assert_eq!(parse(text), Some(expected), "{text}");
    }

    #[test]
    fn digits_beyond_milliseconds_are_cut_off() {
        reads_as("1970-01-01T00:00:01.234Z", Some(1_234));
        reads_as("1970-01-01T00:00:01.234999999Z", Some(1_234));
        reads_as("1970-01-01T01:00:01.2349+01:00", Some(1_234));
        reads_as("1969-12-31T23:59:59.9995Z", Some(-1));
    }

    #[test]
    fn the_zero_time_is_unknown() {
        reads_as("0001-01-01T00:00:00Z", None);
        reads_as("0001-01-01T00:00:00.000Z", None);
        reads_as("0002-01-01T00:00:00Z", Some(year_two() / 1_000));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "now",
            "2026-08-20",
            "2026-08-20T10:11:12",
            "2026-08-20 10:11:12Z",
            "2026-13-20T10:11:12Z",
            "2026-08-20T10:11:12Z[UTC]",
            "1755684672",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_is_written_with_milliseconds() {
        assert_eq!(
            format(Timestamp::from_micros(1_234_567)).unwrap(),
            "1970-01-01T00:00:01.234Z"
        );
        assert_eq!(format(Timestamp::from_micros(i64::MIN / 2)), None);
    }
}
