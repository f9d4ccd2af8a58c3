//! Device ids, checked once.
//!
//! An id becomes a path segment of a URL and a part of a connection string, so what it may hold
//! is decided here and nowhere else. Azure's own rule also admits `.` and `..`, which URL parsers
//! take for "this folder" and "the folder above" even when they are percent-encoded: a call about
//! the device `..` would be a call about something else. They are refused.

use std::fmt;
use std::str::FromStr;

/// Longest id the hub takes, in characters (all of them ASCII).
pub const MAX_DEVICE_ID: usize = 128;

/// What the hub takes besides letters and digits. The published list lacks `:` and `;`, the
/// service and its SDKs take both.
const PUNCTUATION: &[u8] = b"-:.+%_#*?!(),=@;$'";

/// The id of a device, valid for the hub and safe in a path. Upper and lower case differ.
///
/// ```
/// let id: iothub::DeviceId = "e8f9a7c2-71b3".parse()?;
/// assert_eq!(id.as_str(), "e8f9a7c2-71b3");
/// assert!("../jobs".parse::<iothub::DeviceId>().is_err());
/// # Ok::<(), iothub::InvalidDeviceId>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId(String);

/// Why a text is no id of a device or module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDeviceId {
    /// There is nothing.
    #[error("an id may not be empty")]
    Empty,
    /// More than [`MAX_DEVICE_ID`] characters.
    #[error("an id has at most 128 characters")]
    TooLong,
    /// A character outside the hub's set.
    #[error("an id may not hold the byte {0:#04x}")]
    Character(u8),
    /// `.` or `..`.
    #[error("`.` and `..` are no ids, because they change the path of a URL")]
    DotSegment,
}

impl DeviceId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a connection string can carry this id. The hub takes `;` in ids, but there it
    /// would end the part.
    #[must_use]
    pub fn fits_connection_string(&self) -> bool {
        !self.0.contains(';')
    }
}

impl FromStr for DeviceId {
    type Err = InvalidDeviceId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        check(text)?;
        Ok(Self(text.to_owned()))
    }
}

/// The rule for the ids of devices, which those of modules follow too.
pub(crate) fn check(text: &str) -> Result<(), InvalidDeviceId> {
    if text.is_empty() {
        return Err(InvalidDeviceId::Empty);
    }
    if let Some(byte) = text
        .bytes()
        .find(|b| !b.is_ascii_alphanumeric() && !PUNCTUATION.contains(b))
    {
        return Err(InvalidDeviceId::Character(byte));
    }
    if text.len() > MAX_DEVICE_ID {
        return Err(InvalidDeviceId::TooLong);
    }
    if matches!(text, "." | "..") {
        return Err(InvalidDeviceId::DotSegment);
    }
    Ok(())
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, why: InvalidDeviceId) {
        assert_eq!(text.parse::<DeviceId>(), Err(why));
    }

    #[test]
    fn every_character_of_the_hubs_set_is_taken() {
        let id = "azAZ09-:.+%_#*?!(),=@;$'";
        assert_eq!(id.parse::<DeviceId>().unwrap().as_str(), id);
    }

    #[test]
    fn other_characters_are_refused() {
        refused("a/b", InvalidDeviceId::Character(b'/'));
        refused("a b", InvalidDeviceId::Character(b' '));
        refused("a\nb", InvalidDeviceId::Character(b'\n'));
        refused("ä", InvalidDeviceId::Character(0xc3));
        refused("a\\b", InvalidDeviceId::Character(b'\\'));
    }

    #[test]
    fn the_length_is_limited() {
        refused("", InvalidDeviceId::Empty);
        refused(&"a".repeat(129), InvalidDeviceId::TooLong);
        assert!("a".repeat(128).parse::<DeviceId>().is_ok());
    }

    #[test]
    fn dot_segments_are_refused_and_three_dots_are_not() {
        refused(".", InvalidDeviceId::DotSegment);
        refused("..", InvalidDeviceId::DotSegment);
        assert!("...".parse::<DeviceId>().is_ok());
    }

    #[test]
    fn an_id_with_a_semicolon_does_not_fit_a_connection_string() {
        let id: DeviceId = "a;b".parse().unwrap();
        assert!(!id.fits_connection_string());
        let id: DeviceId = "a=b".parse().unwrap();
        assert!(id.fits_connection_string());
    }
}
