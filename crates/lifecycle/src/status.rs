//! What Mender says of a device, and what that asks of the hub.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Status of a device in Mender, with the pseudo status `decommissioned`
/// (Mender server, `deviceauth`: `model/device.go`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// An auth set was accepted.
    Accepted,
    /// Pre-authorised by an operator, not seen yet.
    Preauthorized,
    /// An auth set waits for a decision.
    Pending,
    /// The auth set was rejected.
    Rejected,
    /// No auth set is left; the web UI calls it dismissed.
    Noauth,
    /// The device was deleted for good.
    Decommissioned,
}

/// A status that Mender does not have. The text is not repeated: it may hold anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown status")]
pub struct UnknownStatus;

impl Status {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Preauthorized => "preauthorized",
            Self::Pending => "pending",
            Self::Rejected => "rejected",
            Self::Noauth => "noauth",
            Self::Decommissioned => "decommissioned",
        }
    }

    /// What the hub should hold. No `_` arm: a seventh status must be a decision.
    #[must_use]
    pub const fn wanted(self) -> Wanted {
        match self {
            Self::Accepted | Self::Preauthorized => Wanted::Enabled,
            Self::Pending | Self::Rejected | Self::Noauth => Wanted::Disabled,
            Self::Decommissioned => Wanted::Absent,
        }
    }

    /// Whether an identity is made, and its connection string delivered, if there is none.
    #[must_use]
    pub const fn creates(self) -> bool {
        matches!(self, Self::Accepted)
    }
}

impl FromStr for Status {
    type Err = UnknownStatus;
    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        match text {
            "accepted" => Ok(Self::Accepted),
            "preauthorized" => Ok(Self::Preauthorized),
            "pending" => Ok(Self::Pending),
            "rejected" => Ok(Self::Rejected),
            "noauth" | "dismissed" => Ok(Self::Noauth),
            "decommissioned" => Ok(Self::Decommissioned),
            _ => Err(UnknownStatus),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the newest event asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// The identity may connect.
    Enabled,
    /// The identity, if there is one, may not connect.
    Disabled,
    /// There is no identity.
    Absent,
}

/// What `deviceauth` answers when asked about one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MenderView {
    /// It knows the device, with this status.
    Known(Status),
    /// It is deleting the device.
    Decommissioning,
    /// It does not know the device.
    Absent,
}
