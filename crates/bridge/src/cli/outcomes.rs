//! Arguments of `outcomes`.

use clap::{Args, Subcommand, ValueEnum};
use lifecycle::{DeviceId, Outcome, TenantId, Timestamp};

#[derive(Debug, Subcommand)]
pub(crate) enum Outcomes {
    /// Shows how events ended: the last ones, then each one as it comes, until Ctrl-C.
    ///
    /// The log reaches back seven days. With `--output json` each line is one JSON object. If NATS
    /// is away for a while, it goes on where it was: nothing is left out, nothing comes twice.
    Tail(Tail),
}

#[derive(Debug, Args)]
pub(crate) struct Tail {
    /// Only this tenant's.
    #[arg(long)]
    pub(crate) tenant: Option<TenantId>,
    /// Only this device's.
    #[arg(long)]
    pub(crate) device: Option<DeviceId>,
    /// Only events that ended so. Several are separated by commas.
    #[arg(long, value_enum, value_name = "OUTCOME", value_delimiter = ',')]
    pub(crate) outcome: Vec<EndedAs>,
    /// Begin with what ended then or later: so long ago (90s, 15m, 2h, 3d), or at a time
    /// (2026-08-20T10:11:12Z).
    #[arg(long, value_name = "WHEN", value_parser = since)]
    pub(crate) since: Option<Timestamp>,
    /// Begin with the last so many: 10 if not said, with --since all of them.
    #[arg(long, short = 'n', visible_alias = "limit", value_name = "NUMBER",
          value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub(crate) lines: Option<u32>,
    /// Show what there is and end.
    #[arg(long)]
    pub(crate) no_follow: bool,
}

/// How an event can end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EndedAs {
    /// The hub was changed.
    Applied,
    /// The hub was so already.
    Unchanged,
    /// A newer event had been there before.
    Superseded,
    /// There is no integration, or the device is somebody else's.
    Ignored,
    /// It became a dead letter.
    Dead,
}

impl From<EndedAs> for Outcome {
    fn from(kind: EndedAs) -> Self {
        match kind {
            EndedAs::Applied => Self::Applied,
            EndedAs::Unchanged => Self::Unchanged,
            EndedAs::Superseded => Self::Superseded,
            EndedAs::Ignored => Self::Ignored,
            EndedAs::Dead => Self::Dead,
        }
    }
}

fn since(text: &str) -> Result<Timestamp, String> {
    let now = jiff::Timestamp::now().as_microsecond();
    if let Some(seconds) = seconds(text) {
        let micros = seconds.checked_mul(1_000_000);
        let ago = micros.and_then(|micros| i64::try_from(micros).ok());
        return Ok(Timestamp::from_micros(
            now.saturating_sub(ago.unwrap_or(now)),
        ));
    }
    let at: Result<jiff::Timestamp, _> = text.parse();
    let at = at.map_err(|_| {
        "neither so long ago (90s, 15m, 2h, 3d) nor a time (2026-08-20T10:11:12Z)".to_owned()
    })?;
    Ok(Timestamp::from_micros(at.as_microsecond()))
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
    fn a_beginning_is_a_time_or_so_long_ago() {
        let at = since("2026-08-20T10:11:12Z").unwrap();
        assert_eq!(at.as_micros(), 1_787_220_672_000_000);
        let now = jiff::Timestamp::now().as_microsecond();
        for (text, seconds) in [("90s", 90), ("15m", 900), ("2h", 7_200), ("3d", 259_200)] {
            let ago = now - since(text).unwrap().as_micros();
            assert!((ago - seconds * 1_000_000).abs() < 60_000_000, "{text}");
        }
        assert_eq!(since("99999999999999d").unwrap(), Timestamp::from_micros(0));
        for bad in ["", "m", "-5m", "5", "5y", "yesterday", "2026-08-20", "5ä"] {
            assert!(since(bad).is_err(), "{bad}");
        }
    }
}
