//! What the hub counts.

use serde_json::Value;

use crate::document::Document;
use crate::error::{Error, Result};

/// How many devices the registry holds. The hub counts now and then, so the numbers need not fit
/// each other: five devices of which six are enabled have been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceStatistics {
    /// All devices.
    pub total: u64,
    /// Those that may connect.
    pub enabled: u64,
    /// Those that may not.
    pub disabled: u64,
}

impl DeviceStatistics {
    /// Reads the hub's answer.
    pub fn from_json(body: &[u8]) -> Result<Self> {
        let document = Document::parse(body, &[])?;
        Ok(Self {
            total: count(&document, "totalDeviceCount")?,
            enabled: count(&document, "enabledDeviceCount")?,
            disabled: count(&document, "disabledDeviceCount")?,
        })
    }
}

/// How many devices are connected.
pub(crate) fn connected_from_json(body: &[u8]) -> Result<u64> {
    count(&Document::parse(body, &[])?, "connectedDeviceCount")
}

/// How many messages were thrown away.
pub(crate) fn purged_from_json(body: &[u8]) -> Result<u64> {
    count(&Document::parse(body, &[])?, "totalMessagesPurged")
}

fn count(document: &Document, name: &str) -> Result<u64> {
    let number = document.get(name).and_then(Value::as_u64);
    number.ok_or_else(|| Error::malformed("a count is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_are_taken_as_they_come() {
        let body = br#"{"totalDeviceCount":5,"enabledDeviceCount":6,"disabledDeviceCount":0}"#;
        let counts = DeviceStatistics::from_json(body).unwrap();
        assert_eq!((counts.total, counts.enabled, counts.disabled), (5, 6, 0));
    }

    #[test]
    fn a_count_that_is_missing_or_no_count_is_an_error() {
        for body in ["{}", r#"{"connectedDeviceCount":-1}"#, "[]", ""] {
            assert!(connected_from_json(body.as_bytes()).is_err(), "{body}");
        }
    }
}
