//! Who may read and who may edit.
//!
//! Asked before the body is read and before the hub is: a refusal makes no hub call and does not
//! tell whether the device exists.

use std::future::Future;

use async_nats::HeaderMap;
use messages::{AuditMessage, DeviceId, ModuleId, TenantId};

use crate::{NotRecorded, TwinError};

mod bearer;
mod by_mender;
mod by_token;
mod cache;
mod roles;

pub use by_mender::{ByMender, Question, Rbac, Unknown, Verdict};
pub use by_token::ByToken;
pub use roles::{Permission, RoleClaim, Roles};

/// What is asked, and the third token of the subject: `<prefix>.twin.<verb>.<tenant>`.
///
/// [`Verb::of_device`] verbs go on with the device, and with the module if it is about one. The
/// tenant is the fourth token in any case, so that NATS permissions can guard it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Reading a twin.
    Get,
    /// Replacing the desired properties.
    Set,
    /// Merging into desired properties and tags.
    Patch,
    /// Looking for twins.
    Query,
    /// Calling a direct method.
    Method,
    /// Scheduling an edit or a method for many devices.
    JobCreate,
    /// Reading how far a job is.
    JobGet,
    /// Cancelling a job.
    JobCancel,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 8] = [
        Self::Get,
        Self::Set,
        Self::Patch,
        Self::Query,
        Self::Method,
        Self::JobCreate,
        Self::JobGet,
        Self::JobCancel,
    ];

    /// The token in the subject, and the name of the endpoint.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Set => "set",
            Self::Patch => "patch",
            Self::Query => "query",
            Self::Method => "method",
            Self::JobCreate => "job-create",
            Self::JobGet => "job-get",
            Self::JobCancel => "job-cancel",
        }
    }

    /// Whether it changes something, here or on a device.
    #[must_use]
    pub const fn edits(self) -> bool {
        match self {
            Self::Get | Self::Query | Self::JobGet => false,
            Self::Set | Self::Patch | Self::Method | Self::JobCreate | Self::JobCancel => true,
        }
    }

    /// Whether it is about one device, or one of its modules, which the subject names. The others
    /// are about the devices of a tenant.
    #[must_use]
    pub const fn of_device(self) -> bool {
        match self {
            Self::Get | Self::Set | Self::Patch | Self::Method => true,
            Self::Query | Self::JobCreate | Self::JobGet | Self::JobCancel => false,
        }
    }
}

/// Everything that a decision may depend on. Tenant, device and module are the subject's, which
/// NATS permissions guard; headers are the caller's own words.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// What is asked.
    pub verb: Verb,
    /// Of whose devices.
    pub tenant: &'a TenantId,
    /// Of which device; there is one exactly if [`Verb::of_device`].
    pub device: Option<&'a DeviceId>,
    /// Of which module of the device.
    pub module: Option<&'a ModuleId>,
    /// The request's headers.
    pub headers: Option<&'a HeaderMap>,
}

/// Who asks, as far as it was proved. For the audit log: it holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// What the proof was.
    pub by: Proof,
    /// The tenant that the caller belongs to, where a token said so.
    pub tenant: Option<TenantId>,
    /// The user, as the token names it.
    pub subject: Option<String>,
    /// The id of the token, which tells one session or personal token from another.
    pub token_id: Option<String>,
}

/// By what a caller is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// By being let on the subject: NATS knows who it is, we do not.
    Subject,
    /// By a token that was verified here.
    Token,
    /// By a token that Mender's useradm has verified.
    Mender,
}

impl Caller {
    /// Whoever NATS let on the subject.
    #[must_use]
    pub const fn on_subject() -> Self {
        Self {
            by: Proof::Subject,
            tenant: None,
            subject: None,
            token_id: None,
        }
    }
}

/// A refusal, with the caller if that much was proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// What the caller is told: [`TwinError::Unauthenticated`] or [`TwinError::Forbidden`], and
    /// [`TwinError::Undecided`] if it could not be found out.
    pub error: TwinError,
    /// Who was refused; `None` if that is not proved.
    pub caller: Option<Caller>,
}

impl From<TwinError> for Denied {
    /// A refusal of nobody in particular.
    fn from(error: TwinError) -> Self {
        Self {
            error,
            caller: None,
        }
    }
}

/// Decides whether a request is carried out, and keeps a record of edits.
pub trait Access: Send + Sync + 'static {
    /// Who asks, if it may.
    fn check(&self, asked: Asked<'_>) -> impl Future<Output = Result<Caller, Denied>> + Send;

    /// Stores a record of the audit log. An edit whose beginning is not stored is not done. Whoever
    /// has no log keeps none.
    fn record(
        &self,
        record: &AuditMessage,
    ) -> impl Future<Output = Result<(), NotRecorded>> + Send {
        let _ = record;
        std::future::ready(Ok(()))
    }
}

/// NATS permissions decide: whoever may publish on the subject may do what it says.
#[derive(Debug, Clone, Copy, Default)]
pub struct BySubject;

impl Access for BySubject {
    async fn check(&self, _asked: Asked<'_>) -> Result<Caller, Denied> {
        Ok(Caller::on_subject())
    }
}

#[cfg(test)]
#[path = "access_tests.rs"]
mod table;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_is_told_from_editing_and_a_new_verb_has_to_be_decided() {
        let reads = Verb::ALL.map(|verb| (verb.as_str(), verb.edits(), verb.of_device()));
        assert_eq!(
            reads,
            [
                ("get", false, true),
                ("set", true, true),
                ("patch", true, true),
                ("query", false, false),
                ("method", true, true),
                ("job-create", true, false),
                ("job-get", false, false),
                ("job-cancel", true, false),
            ]
        );
    }
}
