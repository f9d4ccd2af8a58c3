//! The id of a module: a second party on a device, with a twin of its own.

use std::fmt;
use std::str::FromStr;

use lifecycle::{DeviceId, IdError};
use serde::{Deserialize, Serialize};

/// The id of a module, by the same rule as the id of a device. Ids that begin with `$` belong to
/// IoT Edge.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ModuleId(DeviceId);

impl ModuleId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The id as one NATS subject token.
    #[must_use]
    pub fn to_token(&self) -> String {
        self.0.to_token()
    }
}

impl FromStr for ModuleId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        text.parse().map(Self)
    }
}

impl fmt::Display for ModuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
