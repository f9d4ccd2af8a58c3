//! Who may read and who may edit.
//!
//! Asked before the body is read and before the hub is: a refusal makes no hub call and does not
//! tell whether the device exists.

use std::future::Future;

use async_nats::HeaderMap;
use messages::DeviceRef;

use crate::TwinError;

/// What is asked of a twin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Reading it.
    Get,
    /// Replacing its desired properties.
    Set,
}

impl Verb {
    /// The token in the subject, and the name of the endpoint.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Set => "set",
        }
    }

    /// Whether it changes the twin.
    #[must_use]
    pub const fn edits(self) -> bool {
        match self {
            Self::Get => false,
            Self::Set => true,
        }
    }
}

/// Everything that a decision may depend on. The tenant is the subject's, which NATS permissions
/// guard; headers are the caller's own words.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// What is asked.
    pub verb: Verb,
    /// Of which device.
    pub about: &'a DeviceRef,
    /// The request's headers.
    pub headers: Option<&'a HeaderMap>,
}

/// Decides whether a request is carried out.
pub trait Access: Send + Sync + 'static {
    /// [`TwinError::Unauthenticated`] or [`TwinError::Forbidden`] if it is not.
    fn check(&self, asked: Asked<'_>) -> impl Future<Output = Result<(), TwinError>> + Send;
}

/// NATS permissions decide: whoever may publish on the subject may do what it says.
#[derive(Debug, Clone, Copy, Default)]
pub struct BySubject;

impl Access for BySubject {
    async fn check(&self, _asked: Asked<'_>) -> Result<(), TwinError> {
        Ok(())
    }
}
