//! The ways in which a connection ends.

use std::fmt;

use super::wire::Broken;
use crate::registry::Cut;

/// Why a connection has ended.
#[derive(Debug)]
pub(super) enum End {
    /// The device said goodbye.
    Left,
    /// The hub cut it.
    Cut(Cut),
    /// Its token is over.
    Expired,
    /// Nothing came for longer than was agreed.
    Silent,
    /// It asked for what it may not, or out of order.
    Violation,
    /// The connection broke.
    Broken(Broken),
}

impl From<Broken> for End {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Left => "left",
            Self::Cut(Cut::Replaced) => "replaced",
            Self::Cut(Cut::Deleted) => "deleted",
            Self::Cut(Cut::Disabled) => "disabled",
            Self::Cut(Cut::KeyChanged) => "key-changed",
            Self::Cut(Cut::Slow) | Self::Broken(Broken::Stuck) => "slow",
            Self::Expired => "expired",
            Self::Silent => "silent",
            Self::Violation => "violation",
            Self::Broken(Broken::Malformed(_)) => "malformed",
            Self::Broken(Broken::Closed | Broken::Io(_)) => "lost",
        })
    }
}
