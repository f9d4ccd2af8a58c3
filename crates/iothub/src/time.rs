//! Points in time, as the hub writes them.
//!
//! Most end in `Z`; those in the answer to a create may not, and mean UTC all the same. "Never" is
//! the first day of the year 1, with or without `Z`.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Reads a time of the hub's. `None` for "never", and for what is no time.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use iothub::time::parse;
///
/// let noon = UNIX_EPOCH + Duration::from_millis(1_767_268_800_500);
/// assert_eq!(parse("2026-01-01T12:00:00.5Z"), Some(noon));
/// assert_eq!(parse("2026-01-01T12:00:00.5"), Some(noon));
/// assert_eq!(parse("0001-01-01T00:00:00"), None);
/// ```
#[must_use]
pub fn parse(text: &str) -> Option<SystemTime> {
    let zoned = text.parse::<Timestamp>().ok();
    let bare = || {
        let civil: DateTime = text.parse().ok()?;
        Some(TimeZone::UTC.to_zoned(civil).ok()?.timestamp())
    };
    let time = zoned.or_else(bare)?;
    // Nothing in a hub is older than the hubs; "never" is much older.
    (time >= Timestamp::UNIX_EPOCH).then(|| SystemTime::from(time))
}

/// Writes a time as the hub reads it. `None` beyond the year 9999.
pub(crate) fn format(time: SystemTime) -> Option<String> {
    Timestamp::try_from(time).ok().map(|time| time.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn never_is_no_time_and_nor_is_nonsense() {
        for text in [
            "0001-01-01T00:00:00Z",
            "0001-01-01T00:00:00",
            "",
            "noon",
            "2026-13-01T00:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn seven_digits_of_a_second_are_kept() {
        let time = parse("2020-06-25T20:25:29.3360931Z").unwrap();
        assert_eq!(
            time.duration_since(UNIX_EPOCH).unwrap().subsec_nanos(),
            336_093_100
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(millis in 0u64..250_000_000_000_000) {
            let time = UNIX_EPOCH + Duration::from_millis(millis);
            prop_assert_eq!(parse(&format(time).unwrap()), Some(time));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,40}") {
            let _ = parse(&text);
        }
    }
}
