//! What can go wrong with the database.

/// Result of a call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed. No text holds a user, a password or a connection string.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not reachable, not answering, or not letting us in.
    #[error("iot-manager's MongoDB: failed to {what}: {why}")]
    Unavailable {
        /// What was tried.
        what: &'static str,
        /// What the driver said.
        why: String,
    },
    /// The connection string or the name of the database will not do.
    #[error("iot-manager's MongoDB: {0}")]
    Configuration(&'static str),
}

impl Error {
    pub(crate) fn unavailable(what: &'static str, error: &mongodb::error::Error) -> Self {
        let why = error.kind.to_string();
        Self::Unavailable { what, why }
    }
}
