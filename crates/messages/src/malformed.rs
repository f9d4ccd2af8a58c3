//! Why something cannot be understood, in words that are safe anywhere.

use std::borrow::Cow;
use std::fmt;

/// A message that cannot be understood; the same bytes will never be.
///
/// The reason holds nothing of the input, so it may be logged, put into headers and published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Malformed {
    /// Why, as a lower-case fragment.
    pub reason: Cow<'static, str>,
}

impl Malformed {
    /// A reason known at compile time.
    #[must_use]
    pub const fn because(reason: &'static str) -> Self {
        Self {
            reason: Cow::Borrowed(reason),
        }
    }

    /// A reason made of the field's name and the words of an error that repeats no input.
    pub(crate) fn in_field(field: &str, error: impl fmt::Display) -> Self {
        Self {
            reason: Cow::Owned(format!("{field}: {error}")),
        }
    }
}

/// One device of a list that cannot be understood; the others of the list are not affected.
#[derive(Clone, PartialEq, Eq)]
pub struct BadDevice {
    /// The id as it was sent, if it was a text of at most 128 bytes. It may hold anything:
    /// encode it before it goes into a subject, a header or a log.
    pub device: Option<String>,
    /// What is wrong with it.
    pub malformed: Malformed,
}

/// The id is shown as a subject token, since the raw text may hold control characters.
impl fmt::Debug for BadDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BadDevice")
            .field(
                "device",
                &self.device.as_deref().map(lifecycle::encode_token),
            )
            .field("reason", &self.malformed.reason)
            .finish()
    }
}
