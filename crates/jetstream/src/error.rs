//! What can go wrong between us and NATS, sorted by who can help.
//!
//! A missing stream is the operator's to make, an old server the operator's to replace; all that
//! is left is a call that may work later. Texts come from the server and the client library and
//! hold no credentials.

use std::error::Error as StdError;

use async_nats::jetstream::{self, context, stream};
use reconciler::ports::PortError;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something with NATS did not work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not reachable, not answering, or a permission is missing (the server answers neither).
    #[error("NATS is not available: {0}")]
    Unavailable(String),
    /// A stream, consumer or bucket that `setup` makes is not there.
    #[error("{kind} {name} does not exist: run `mender-iothub setup`")]
    Missing {
        /// `stream`, `consumer` or `bucket`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The server is too old.
    #[error(
        "the NATS server is version {found}, but {needed} or later is needed (for scheduled messages)"
    )]
    Server {
        /// What the server says it is.
        found: String,
        /// The oldest that will do.
        needed: &'static str,
    },
    /// Somebody else takes the same messages from the source stream: each would miss some of them.
    #[error(
        "consumer {consumer} of stream {stream} already reads {filter}: two readers would share or \
         repeat the events, so remove one of them first"
    )]
    Overlap {
        /// The source stream.
        stream: String,
        /// The other consumer.
        consumer: String,
        /// What it reads.
        filter: String,
    },
    /// The server refuses for good.
    #[error("{0}")]
    Refused(String),
    /// A setting that cannot be used, for instance a file that cannot be read.
    #[error("{0}")]
    Configuration(String),
    /// What is stored cannot be understood.
    #[error("not understood: {0}")]
    NotUnderstood(String),
}

impl Error {
    /// Wraps an error of the client library, with what was tried; the causes are part of the text.
    pub(crate) fn unavailable(what: &str, error: &dyn StdError) -> Self {
        Self::Unavailable(format!("{what}: {}", chain(error)))
    }
}

impl From<Error> for PortError {
    fn from(error: Error) -> Self {
        match error {
            Error::NotUnderstood(text) => Self::NotUnderstood(text),
            Error::Unavailable(text) => Self::Unavailable(text),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

/// An error with its causes, each once.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

/// What the JetStream API answered, wherever in the chain the client library has put it: some of
/// its errors have it as their source, others as their kind.
pub(crate) fn api_error(error: &(dyn StdError + 'static)) -> Option<jetstream::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(api) = answer(error) {
            return Some(api);
        }
        next = error.source();
    }
    None
}

fn answer(error: &(dyn StdError + 'static)) -> Option<jetstream::Error> {
    macro_rules! kinds {
        ($($error:ty => $kind:path),* $(,)?) => {
            $(if let Some(error) = error.downcast_ref::<$error>() {
                return match error.kind() {
                    $kind(api) => Some(api),
                    _ => None,
                };
            })*
        };
    }
    kinds! {
        context::GetStreamError => context::GetStreamErrorKind::JetStream,
        context::CreateStreamError => context::CreateStreamErrorKind::JetStream,
        stream::ConsumerError => stream::ConsumerErrorKind::JetStream,
        stream::DeleteMessageError => stream::DeleteMessageErrorKind::JetStream,
        stream::LastRawMessageError => stream::LastRawMessageErrorKind::JetStream,
    }
    error.downcast_ref::<jetstream::Error>().cloned()
}
