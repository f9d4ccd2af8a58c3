//! Why a request was not carried out, by what the caller should do about it.

use messages::twin::{BadRequest, ErrorCode};

/// Why a request was not carried out, by what the caller should do about it.
///
/// The texts go to callers. Variants without a text of their own are the place for everything
/// that only operators may know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TwinError {
    /// The request is wrong, in words for the caller.
    #[error("{0}")]
    Invalid(String),
    /// The caller did not say who it is.
    #[error("who asks is not known")]
    Unauthenticated,
    /// The caller may not do this. Says nothing of the device.
    #[error("not allowed")]
    Forbidden,
    /// Whether the caller may do this could not be found out, so it may not now. Says nothing of
    /// the device.
    #[error("whether this is allowed cannot be found out now; try again later")]
    Undecided,
    /// The audit log cannot be written, so nothing was done.
    #[error("edits cannot be recorded now, so nothing was done; try again later")]
    Unrecorded,
    /// The tenant has no such device, or the device no such module.
    #[error("no such device")]
    NotFound,
    /// The tenant has no hub.
    #[error("the tenant has no integration")]
    NoIntegration,
    /// A method was called of a device that is not connected. It was not carried out.
    #[error("the device is not connected")]
    Offline,
    /// The tenant has no such job.
    #[error("no such job")]
    NoSuchJob,
    /// The twin is not the one that the caller has seen.
    #[error("the twin was changed meanwhile")]
    Conflict {
        /// ETag that the twin has now, where that is known. Callers read it by another `get`.
        etag: Option<String>,
    },
    /// The tenant has a job of this id.
    #[error("there is a job of this id")]
    JobExists,
    /// Only a job that has not begun can be cancelled.
    #[error("the job runs or has ended, so it cannot be cancelled")]
    JobOver,
    /// The request, or the twin that it would make, is too large; in words for the caller.
    #[error("{0}")]
    TooLarge(String),
    /// Too many requests, here or at the hub.
    #[error("too many requests; try again later")]
    Throttled,
    /// The hub runs as many jobs as its tier allows.
    #[error("the hub runs no more jobs at once; wait for the others, or ask for fewer devices")]
    JobsAtOnce,
    /// The hub does not let us in, or did not do what was asked.
    #[error("the hub refused")]
    HubRefused,
    /// The hub, or what is needed to find it, cannot be reached.
    #[error("the hub cannot be reached")]
    HubUnavailable,
    /// No answer in time.
    #[error("no answer in time; an edit may have taken effect")]
    TimedOut,
}

impl TwinError {
    /// The number that the reply carries.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid(_) => ErrorCode::Invalid,
            Self::Unauthenticated => ErrorCode::Unauthenticated,
            Self::Forbidden => ErrorCode::Forbidden,
            Self::NotFound | Self::NoIntegration | Self::Offline | Self::NoSuchJob => {
                ErrorCode::NotFound
            }
            Self::Conflict { .. } | Self::JobExists | Self::JobOver => ErrorCode::Conflict,
            Self::TooLarge(_) => ErrorCode::TooLarge,
            Self::Throttled | Self::JobsAtOnce => ErrorCode::Throttled,
            Self::HubRefused | Self::HubUnavailable => ErrorCode::BadHub,
            Self::Undecided | Self::Unrecorded => ErrorCode::Unavailable,
            Self::TimedOut => ErrorCode::TimedOut,
        }
    }

    /// The ETag that goes along with the error.
    #[must_use]
    pub fn etag(&self) -> Option<&str> {
        match self {
            Self::Conflict { etag } => etag.as_deref(),
            _ => None,
        }
    }
}

impl From<BadRequest> for TwinError {
    fn from(bad: BadRequest) -> Self {
        match bad {
            BadRequest::TooLarge(reason) => Self::TooLarge(reason),
            BadRequest::Invalid(reason) => Self::Invalid(reason),
        }
    }
}
