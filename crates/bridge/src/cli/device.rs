//! Arguments of `device`.

use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use lifecycle::{TenantId, Wanted};

use super::{Adopt, OneDevice, Resync, Retry};

#[derive(Debug, Subcommand)]
pub(crate) enum Device {
    /// Shows what Mender wants of a device, what the hub has, what is still open, and why.
    ///
    /// Exit code 1 if nothing is known of the device.
    Show(OneDevice),
    /// Lists devices, in pages.
    List(DeviceList),
    /// Shows how the events about a device ended, newest first, with its dead letters.
    ///
    /// Outcomes are kept for seven days, dead letters for thirty.
    History(DeviceHistory),
    /// Makes identities ours that somebody else made in the hub: from then on they follow Mender.
    Adopt(Adopt),
    /// Delivers a device's connection string once more, with a new key if asked.
    Resync(Resync),
    /// Takes up work that was given up, whether or not a dead letter of it is left.
    ///
    /// Mender is asked for each device's present status. Nothing is made for a device that Mender does
    /// not accept, nothing is deleted that was not decommissioned, and identities of others stay as they are.
    /// May be repeated. Dead letters stay until they are replayed or purged.
    Retry(Retry),
}

#[derive(Debug, Args)]
pub(crate) struct DeviceList {
    /// Only this tenant's.
    #[arg(long)]
    pub(crate) tenant: Option<TenantId>,
    /// Only devices in this state.
    #[arg(long, value_enum)]
    pub(crate) state: Option<DeviceState>,
    /// Only devices that Mender wants to be so in the hub.
    #[arg(long, value_enum)]
    pub(crate) wanted: Option<DeviceWanted>,
    /// Only devices with an error, or with one that contains TEXT (in upper or lower case).
    #[arg(long, value_name = "TEXT", num_args = 0..=1, default_missing_value = "")]
    pub(crate) error: Option<String>,
    /// Only devices whose record has not changed for so long, for instance 90s, 10m, 2h or 3d.
    #[arg(long, value_name = "AGE")]
    pub(crate) unchanged_for: Option<Age>,
    /// At most so many.
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: usize,
    /// Go on after the last page; the list says what to put here.
    #[arg(long, value_name = "PLACE")]
    pub(crate) after: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DeviceHistory {
    #[command(flatten)]
    pub(crate) device: OneDevice,
    /// At most so many outcomes.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
}

/// How far the worker is with a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeviceState {
    /// The hub is as Mender wants it.
    Settled,
    /// Something is still to be done.
    Working,
    /// The work was given up; there is a dead letter.
    Parked,
}

impl DeviceState {
    /// Its name, as in arguments and JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Working => "working",
            Self::Parked => "parked",
        }
    }
}

/// What Mender wants of a device in the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeviceWanted {
    /// There and able to connect.
    Enabled,
    /// Not able to connect, if it is there.
    Disabled,
    /// Not there.
    Absent,
}

impl From<DeviceWanted> for Wanted {
    fn from(wanted: DeviceWanted) -> Self {
        match wanted {
            DeviceWanted::Enabled => Self::Enabled,
            DeviceWanted::Disabled => Self::Disabled,
            DeviceWanted::Absent => Self::Absent,
        }
    }
}

/// A length of time in words: `90s`, `10m`, `2h`, `3d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Age(pub(crate) Duration);

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "a number and s, m, h or d, for instance 90s, 10m, 2h or 3d".to_owned();
        let (number, unit) =
            text.split_at(text.len() - text.chars().last().map_or(0, char::len_utf8));
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(wrong()),
        };
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let seconds = number.checked_mul(seconds).ok_or_else(wrong)?;
        Ok(Self(Duration::from_secs(seconds)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_a_number_and_a_unit() {
        for (text, seconds) in [("90s", 90), ("10m", 600), ("2h", 7_200), ("3d", 259_200)] {
            assert_eq!(
                text.parse(),
                Ok(Age(Duration::from_secs(seconds))),
                "{text}"
            );
        }
        for wrong in [
            "",
            "5",
            "m",
            "-1s",
            "1.5h",
            "1 h",
            "1w",
            "3\u{b5}",
            "99999999999999999999d",
        ] {
            assert!(wrong.parse::<Age>().is_err(), "{wrong}");
        }
    }
}
