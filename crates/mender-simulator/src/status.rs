//! Statuses, and which of them Mender lets follow each other.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Status of a device, which here is also that of its only auth set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Accepted,
    Preauthorized,
    Pending,
    Rejected,
    /// No auth set is left. People dismiss a device to get here.
    #[serde(alias = "dismissed")]
    NoAuth,
}

impl Status {
    /// As Mender writes it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Preauthorized => "preauthorized",
            Self::Pending => "pending",
            Self::Rejected => "rejected",
            Self::NoAuth => "noauth",
        }
    }

    /// Reads Mender's spelling, nothing else.
    pub(crate) fn of(text: &str) -> Option<Self> {
        [
            Self::Accepted,
            Self::Preauthorized,
            Self::Pending,
            Self::Rejected,
            Self::NoAuth,
        ]
        .into_iter()
        .find(|status| status.as_str() == text)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which changes Mender makes. That a preauthorized device becomes accepted stands for the device
/// asking to be let in; that one without auth set becomes pending, for it asking again.
pub(crate) fn allowed(from: Status, to: Status) -> bool {
    match to {
        Status::Accepted => matches!(
            from,
            Status::Pending | Status::Rejected | Status::Preauthorized
        ),
        Status::Pending | Status::NoAuth => from != Status::Preauthorized,
        Status::Rejected => matches!(from, Status::Pending | Status::Accepted),
        Status::Preauthorized => from != Status::Accepted,
    }
}
