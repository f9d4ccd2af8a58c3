//! What can go wrong, sorted by what to do next.

use mongodb::error::ErrorKind;
use reconciler::ports::PortError;

/// Code of the server's error for a key that is there already
/// (mongodb.com, "Error Codes": `DuplicateKey`).
const DUPLICATE_KEY: i32 = 11_000;

/// Result of a call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed. No text holds a user, a password or a connection string.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not reachable, not answering, or not done by a majority; the same call may work later.
    /// A write that failed so may have been done all the same: read before the next one.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// What is stored cannot be understood; it is left as it is.
    #[error("not understood: {0}")]
    NotUnderstood(String),
    /// The connection string or the server will not do.
    #[error("{0}")]
    Configuration(String),
    /// `setup` has not been run for this database.
    #[error("database {database} lacks an index: run `mender-iothub setup`")]
    Missing {
        /// The database.
        database: String,
    },
}

impl Error {
    /// What the driver says, as something that may work later.
    pub(crate) fn unavailable(what: &str, error: &mongodb::error::Error) -> Self {
        Self::Unavailable(format!("failed to {what}: {}", error.kind))
    }
}

impl From<Error> for PortError {
    fn from(error: Error) -> Self {
        match error {
            Error::NotUnderstood(what) => Self::NotUnderstood(what),
            Error::Unavailable(what) => Self::Unavailable(what),
            other @ (Error::Configuration(_) | Error::Missing { .. }) => {
                Self::Unavailable(other.to_string())
            }
        }
    }
}

/// Whether the server refused a write because its key is there already.
pub(crate) fn is_duplicate(error: &mongodb::error::Error) -> bool {
    use mongodb::error::WriteFailure::WriteError;
    match error.kind.as_ref() {
        ErrorKind::Command(command) => command.code == DUPLICATE_KEY,
        ErrorKind::Write(WriteError(write)) => write.code == DUPLICATE_KEY,
        _ => false,
    }
}
