//! The port: what the service needs of a hub, and what can go wrong there.

use std::future::Future;

use messages::twin::{BadRequest, ErrorCode, TwinDocument};
use messages::{DeviceId, TenantId};
use serde_json::Value;

/// Reads and edits twins in the hub of a tenant.
pub trait TwinHub: Send + Sync + 'static {
    /// The twin as it is now. The hub's bookkeeping may still be in it.
    fn get(
        &self,
        tenant: &TenantId,
        device: &DeviceId,
    ) -> impl Future<Output = Result<TwinDocument, TwinError>> + Send;

    /// Replaces the desired properties and leaves the tags; returns the twin afterwards. With an
    /// `etag` only if the twin still has it, else [`TwinError::Conflict`].
    fn set(
        &self,
        tenant: &TenantId,
        device: &DeviceId,
        desired: Value,
        etag: Option<String>,
    ) -> impl Future<Output = Result<TwinDocument, TwinError>> + Send;
}

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
    /// The hub has no such device.
    #[error("no such device")]
    NotFound,
    /// The tenant has no hub.
    #[error("the tenant has no integration")]
    NoIntegration,
    /// The twin is not the one that the caller has seen.
    #[error("the twin was changed meanwhile")]
    Conflict {
        /// ETag that the twin has now, where that is known. Callers read it by another `get`.
        etag: Option<String>,
    },
    /// The request, or the twin that it would make, is too large.
    #[error("too large: a request may have 64 KiB, desired properties 32 KiB")]
    TooLarge,
    /// Too many requests, here or at the hub.
    #[error("too many requests; try again later")]
    Throttled,
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
            Self::NotFound | Self::NoIntegration => ErrorCode::NotFound,
            Self::Conflict { .. } => ErrorCode::Conflict,
            Self::TooLarge => ErrorCode::TooLarge,
            Self::Throttled => ErrorCode::Throttled,
            Self::HubRefused | Self::HubUnavailable => ErrorCode::BadHub,
            Self::Undecided => ErrorCode::Unavailable,
            Self::TimedOut => ErrorCode::TimedOut,
        }
    }
}

impl From<BadRequest> for TwinError {
    fn from(bad: BadRequest) -> Self {
        match bad {
            BadRequest::TooLarge => Self::TooLarge,
            BadRequest::Invalid(reason) => Self::Invalid(reason),
        }
    }
}
