//! Identifiers, parsed once and trusted afterwards.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::token;

/// The longest device id that Azure IoT Hub takes, in characters
/// (learn.microsoft.com, "Understand the identity registry in your IoT hub").
const MAX_DEVICE_ID: usize = 128;
/// The longest tenant id accepted, in bytes; Mender's own have 24.
const MAX_TENANT_ID: usize = 128;
/// Punctuation that Azure IoT Hub allows in device ids, less `;` (see [`DeviceId`]).
const DEVICE_ID_PUNCTUATION: &str = "-:.+%_#*?!(),=@$'";

/// Why a text is not an id. The text itself is not repeated: it may hold anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// A device needs an id.
    #[error("device id is empty")]
    Empty,
    /// Longer than the hub or the subject allows.
    #[error("id is longer than 128 characters")]
    TooLong,
    /// A character that Azure IoT Hub refuses, or that would break a connection string.
    #[error("id has a character that Azure IoT Hub does not allow, or a ';'")]
    Character,
    /// `.` and `..` change the meaning of a URL path.
    #[error("id is '.' or '..'")]
    Dots,
}

macro_rules! text_id {
    ($name:ident) => {
        impl $name {
            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The id as one NATS subject token.
            #[must_use]
            pub fn to_token(&self) -> String {
                token::encode(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

/// A Mender tenant; empty in open-source Mender. Printable, at most 128 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(String);
text_id!(TenantId);

impl FromStr for TenantId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.len() > MAX_TENANT_ID {
            return Err(IdError::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(IdError::Character);
        }
        Ok(Self(text.to_owned()))
    }
}

/// A device id that both Mender and Azure IoT Hub can carry.
///
/// Azure also takes `;`, which would break the device's connection string, and `.` and `..`,
/// which would break its URL: those are refused here, before any request is built.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceId(String);
text_id!(DeviceId);

impl FromStr for DeviceId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.is_empty() {
            return Err(IdError::Empty);
        }
        if text.chars().count() > MAX_DEVICE_ID {
            return Err(IdError::TooLong);
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || DEVICE_ID_PUNCTUATION.contains(c);
        if !text.chars().all(allowed) {
            return Err(IdError::Character);
        }
        if text == "." || text == ".." {
            return Err(IdError::Dots);
        }
        Ok(Self(text.to_owned()))
    }
}

/// One device of one tenant: the key of a record.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeviceRef {
    /// The tenant.
    pub tenant: TenantId,
    /// The device.
    pub device: DeviceId,
}

impl DeviceRef {
    /// `<tenant>.<device>`, each as one token: the tail of subjects and the key in the store.
    #[must_use]
    pub fn to_tokens(&self) -> String {
        format!("{}.{}", self.tenant.to_token(), self.device.to_token())
    }
}

/// Which hub a tenant's devices are kept in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IntegrationRef {
    /// Stable name of the integration; part of every mark.
    pub id: String,
    /// Host of the hub. Another host is another registry: what was known is void.
    pub hub: String,
    /// Counts the changes of the integration.
    pub generation: u64,
}

/// The name of one intended request, unique for ever. Made by the caller, since this crate has
/// no randomness.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IntentId(pub String);

/// The text in an identity's `statusReason` that proves who created it:
/// `mender:<integration>:<intent>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mark {
    /// [`IntegrationRef::id`] of the creator.
    pub integration: String,
    /// The create request that made the identity.
    pub intent: IntentId,
}

impl Mark {
    /// Reads a mark out of a `statusReason`; `None` if it is somebody else's text.
    #[must_use]
    pub fn parse(status_reason: &str) -> Option<Self> {
        let (integration, intent) = status_reason.strip_prefix("mender:")?.rsplit_once(':')?;
        if integration.is_empty() || intent.is_empty() {
            return None;
        }
        Some(Self {
            integration: integration.to_owned(),
            intent: IntentId(intent.to_owned()),
        })
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mender:{}:{}", self.integration, self.intent.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_ids_follow_the_hub_except_where_they_would_break_a_url_or_connection_string() {
        for good in [
            "a",
            "7b1f0f5e-0a0b-4b7d-9a53-2f6d1b9a3c11",
            "a:b.c+d%e_#*?!(),=@$'",
        ] {
            assert_eq!(
                good.parse::<DeviceId>().map(String::from),
                Ok(good.to_owned())
            );
        }
        let long = "x".repeat(129);
        for (bad, why) in [
            ("", IdError::Empty),
            (".", IdError::Dots),
            ("..", IdError::Dots),
            ("a;b", IdError::Character),
            ("a/b", IdError::Character),
            ("a b", IdError::Character),
            ("a\nb", IdError::Character),
            ("\u{e4}", IdError::Character),
            (long.as_str(), IdError::TooLong),
        ] {
            assert_eq!(bad.parse::<DeviceId>(), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn a_mark_reads_back_and_other_reasons_are_not_marks() {
        let mark = Mark {
            integration: "i-1".into(),
            intent: IntentId("x9".into()),
        };
        assert_eq!(Mark::parse(&mark.to_string()), Some(mark));
        for other in [
            "",
            "stolen",
            "mender:",
            "mender::x",
            "mender:a:",
            "Mender:a:b",
        ] {
            assert_eq!(Mark::parse(other), None, "{other:?}");
        }
    }
}
