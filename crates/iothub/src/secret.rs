//! Text that must not be seen.
//!
//! Keys, tokens and connection strings travel through many layers, and each of them may log what
//! it holds. So the type itself keeps quiet: it has no `Display` and no serialization, its
//! `Debug` prints stars, and its bytes are overwritten when it is dropped. Whoever needs the text
//! has to write [`Secret::expose`], which a reviewer can search for.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// A key, token or connection string.
///
/// ```
/// let key = iothub::Secret::from("aGVsbG8=");
/// assert_eq!(format!("{key:?}"), "***");
/// assert_eq!(key.expose(), "aGVsbG8=");
/// ```
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
