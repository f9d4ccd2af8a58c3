//! One device identity: what a caller may write, the rules for it, and how it is printed.
//!
//! A write is always a full replacement, so the body is first turned into an [`IdentityEdit`] that
//! has a value for everything, and only then meets the stored state. The traps of the real service
//! live in that first step: a body without `authentication` asks for new keys, one without
//! `statusReason` clears it, and fields the hub owns are ignored whatever they say.

use serde::{Deserialize, Serialize};

use crate::authentication::{Authentication, AuthenticationDraft, AuthenticationEdit, FreshKeys};
use crate::dates::Ticks;
use crate::errors::ServiceError;
use crate::etag::IdentityEtag;
use crate::hierarchy;

/// Longest `statusReason`, in characters.
const MAX_STATUS_REASON: usize = 128;
/// Longest device id, in bytes (ids are ASCII).
const MAX_ID: usize = 128;

/// Whether a device may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// It may.
    Enabled,
    /// It may not; its identity and twin stay readable and writable.
    Disabled,
}

impl Status {
    fn parse(text: &str) -> Result<Self, ServiceError> {
        match text {
            "enabled" => Ok(Self::Enabled),
            "disabled" => Ok(Self::Disabled),
            _ => Err(ServiceError::invalid(
                "The status must be 'enabled' or 'disabled'.",
            )),
        }
    }
}

/// The body of a PUT, as far as a caller may write it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct IdentityDraft {
    pub(crate) device_id: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) status_reason: Option<String>,
    pub(crate) authentication: Option<AuthenticationDraft>,
    pub(crate) capabilities: Option<Capabilities>,
    pub(crate) device_scope: Option<String>,
    pub(crate) parent_scopes: Option<Vec<String>>,
}

/// What a device can be beside a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Capabilities {
    /// Whether this is an IoT Edge gateway.
    #[serde(default)]
    pub(crate) iot_edge: bool,
}

/// A draft that passed every rule that needs no stored state.
#[derive(Debug, Clone)]
pub(crate) struct IdentityEdit {
    pub(crate) status: Status,
    /// Whether the caller named the status.
    pub(crate) names_status: bool,
    pub(crate) status_reason: Option<String>,
    pub(crate) authentication: AuthenticationEdit,
    pub(crate) capabilities: Capabilities,
    pub(crate) device_scope: Option<String>,
    pub(crate) parent_scopes: Vec<String>,
}

impl IdentityDraft {
    /// Reads a request body. The reason given to the caller names a place, never the content, which
    /// may hold keys.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ServiceError> {
        serde_json::from_slice(body).map_err(|error| {
            let place = format!("line {} column {}", error.line(), error.column());
            ServiceError::invalid(format!("The request body is not a valid device: {place}."))
        })
    }

    /// Applies the rules. `id` is the one in the path; the body must name the same.
    pub(crate) fn check(self, id: &str) -> Result<IdentityEdit, ServiceError> {
        if self.device_id.as_deref() != Some(id) {
            let text = "The device ID in the request body does not match the one in the URI.";
            return Err(ServiceError::invalid(text));
        }
        let status = self
            .status
            .as_deref()
            .map_or(Ok(Status::Enabled), Status::parse)?;
        let reason = self.status_reason.as_deref().unwrap_or_default();
        if reason.chars().count() > MAX_STATUS_REASON {
            return Err(ServiceError::invalid(
                "The status reason is longer than 128 characters.",
            ));
        }
        Ok(IdentityEdit {
            names_status: self.status.is_some(),
            status,
            status_reason: self.status_reason,
            authentication: AuthenticationEdit::check(self.authentication)?,
            capabilities: self.capabilities.unwrap_or_default(),
            device_scope: self.device_scope,
            parent_scopes: self.parent_scopes.unwrap_or_default(),
        })
    }
}

/// Refuses ids the service refuses: empty, too long, other characters, or a path's dot segments.
pub(crate) fn check_id(id: &str) -> Result<(), ServiceError> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-:.+%_#*?!(),=@;$'".contains(&byte);
    let sound = (1..=MAX_ID).contains(&id.len()) && id.bytes().all(known);
    if sound && id != "." && id != ".." {
        return Ok(());
    }
    Err(ServiceError::invalid(
        "The device ID is empty, too long or contains invalid characters.",
    ))
}

/// A stored identity.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) device_id: String,
    /// Ticks of its creation, unique in the hub: tells it from a later one of the same id.
    pub(crate) generation: Ticks,
    pub(crate) etag: IdentityEtag,
    pub(crate) status: Status,
    pub(crate) status_reason: Option<String>,
    pub(crate) status_updated: Ticks,
    pub(crate) authentication: Authentication,
    pub(crate) capabilities: Capabilities,
    pub(crate) device_scope: Option<String>,
    pub(crate) parent_scopes: Vec<String>,
}

impl Identity {
    /// A new identity. `generation` must be later than any other of this hub.
    pub(crate) fn create(
        id: &str,
        edit: IdentityEdit,
        generation: Ticks,
        etag: IdentityEtag,
        keys: FreshKeys,
    ) -> Result<Self, ServiceError> {
        let scopes = hierarchy::scopes(id, &edit, None, generation)?;
        Ok(Self {
            device_id: id.to_owned(),
            generation,
            etag,
            status: edit.status,
            status_reason: edit.status_reason,
            status_updated: Ticks::NEVER,
            authentication: edit.authentication.resolve(None, keys),
            capabilities: edit.capabilities,
            device_scope: scopes.own,
            parent_scopes: scopes.parents,
        })
    }

    /// Replaces everything a caller may write and moves the etag; nothing changes on an error.
    pub(crate) fn replace(
        &mut self,
        edit: IdentityEdit,
        now: Ticks,
        keys: FreshKeys,
    ) -> Result<(), ServiceError> {
        let scopes = hierarchy::scopes(&self.device_id, &edit, Some(self), now)?;
        if edit.status != self.status {
            self.status_updated = now;
        }
        self.status = edit.status;
        self.status_reason = edit.status_reason;
        self.authentication = edit
            .authentication
            .resolve(Some(&self.authentication), keys);
        self.capabilities = edit.capabilities;
        self.device_scope = scopes.own;
        self.parent_scopes = scopes.parents;
        self.etag = self.etag.next();
        Ok(())
    }

    /// A draft that would leave this identity as it is, for edits of single fields.
    pub(crate) fn as_draft(&self) -> IdentityDraft {
        IdentityDraft {
            device_id: Some(self.device_id.clone()),
            status: Some(
                if self.status == Status::Enabled {
                    "enabled"
                } else {
                    "disabled"
                }
                .to_owned(),
            ),
            status_reason: self.status_reason.clone(),
            authentication: Some(self.authentication.as_draft()),
            capabilities: Some(self.capabilities),
            device_scope: self.device_scope.clone(),
            parent_scopes: Some(self.parent_scopes.clone()),
        }
    }
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
