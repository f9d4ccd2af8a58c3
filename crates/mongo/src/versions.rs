//! Where versions begin.
//!
//! They count up from a number drawn when a document is created, so that whoever still holds
//! the version of a deleted document cannot overwrite its successor.

use ring::rand::{SecureRandom as _, SystemRandom};

use crate::{Error, Result};

/// First versions are below this: every JSON reader keeps them exactly, however often they
/// count up.
const FIRST_BELOW: u64 = 1 << 48;

/// A version for a new document.
pub(crate) fn first() -> Result<i64> {
    let mut bytes = [0; 8];
    let drawn = SystemRandom::new().fill(&mut bytes);
    drawn.map_err(|_| Error::Unavailable("the system gives no random numbers".to_owned()))?;
    let first = u64::from_le_bytes(bytes) % FIRST_BELOW;
    Ok(i64::try_from(first).unwrap_or_default())
}

/// A version as the server stores it; `None` if it can never have stored that.
pub(crate) fn stored(version: u64) -> Option<i64> {
    i64::try_from(version)
        .ok()
        .filter(|version| *version < i64::MAX)
}
