//! An edit of a device behind the service's back, as an operator or a test makes it.
//!
//! Unlike a PUT it names only what should change, so it can disable somebody else's device or
//! rotate a key without knowing the rest. It still obeys the rules for the fields themselves:
//! a state that no real hub could be in would prove nothing.

use serde::{Deserialize, Deserializer};

use crate::authentication::AuthenticationDraft;
use crate::errors::ServiceError;
use crate::identity::{Capabilities, Identity, IdentityDraft};
use crate::twin::{Document, TwinDraft};

/// The body of `PUT /devices/{id}` on the control port.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HandEdit {
    device_id: Option<String>,
    status: Option<String>,
    /// `Some(None)` clears it, `None` leaves it.
    #[expect(
        clippy::option_option,
        reason = "null and absent mean different things here"
    )]
    #[serde(default, deserialize_with = "even_null")]
    status_reason: Option<Option<String>>,
    authentication: Option<AuthenticationDraft>,
    capabilities: Option<Capabilities>,
    device_scope: Option<String>,
    parent_scopes: Option<Vec<String>>,
    tags: Option<Document>,
    desired: Option<Document>,
    /// Messages that wait for the device.
    cloud_to_device_message_count: Option<u32>,
}

#[expect(
    clippy::option_option,
    reason = "null and absent mean different things here"
)]
fn even_null<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(input).map(Some)
}

impl HandEdit {
    /// Reads a request body; an empty one means "make it exist, or just move its etag".
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ServiceError> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        // The message of the parser names the unknown field; it quotes values only of the wrong
        // type, and the one who reads it is the one who sent them.
        serde_json::from_slice(body).map_err(|error| ServiceError::invalid(error.to_string()))
    }

    /// Whether the identity, and with it its etag, moves. An edit of the twin or of waiting
    /// messages alone leaves it.
    pub(crate) fn touches_identity(&self) -> bool {
        let other = self.tags.is_some()
            || self.desired.is_some()
            || self.cloud_to_device_message_count.is_some();
        let any_field = self.status.is_some()
            || self.status_reason.is_some()
            || self.authentication.is_some()
            || self.capabilities.is_some()
            || self.device_scope.is_some()
            || self.parent_scopes.is_some();
        any_field || !other
    }

    /// How many messages shall wait for the device, if the edit says.
    pub(crate) fn queued_messages(&self) -> Option<u32> {
        self.cloud_to_device_message_count
    }

    /// The part that goes to the twin.
    pub(crate) fn twin(&self) -> TwinDraft {
        TwinDraft::new(self.tags.clone(), self.desired.clone())
    }

    /// The whole identity after this edit, as if somebody had sent it in full.
    pub(crate) fn onto(self, id: &str, before: Option<&Identity>) -> IdentityDraft {
        let base = before.map(Identity::as_draft).unwrap_or_default();
        IdentityDraft {
            device_id: self.device_id.or_else(|| Some(id.to_owned())),
            status: self.status.or(base.status),
            status_reason: self.status_reason.unwrap_or(base.status_reason),
            authentication: self.authentication.or(base.authentication),
            capabilities: self.capabilities.or(base.capabilities),
            device_scope: self.device_scope.or(base.device_scope),
            parent_scopes: self.parent_scopes.or(base.parent_scopes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> HandEdit {
        HandEdit::parse(body.as_bytes()).unwrap()
    }

    #[test]
    fn unknown_fields_are_named_in_the_refusal() {
        let error = HandEdit::parse(br#"{"stauts":"disabled"}"#).unwrap_err();
        assert!(error.text.contains("stauts"), "{}", error.text);
    }

    #[test]
    fn null_clears_the_reason_and_silence_keeps_it() {
        assert_eq!(parse(r#"{"statusReason":null}"#).status_reason, Some(None));
        assert_eq!(parse("{}").status_reason, None);
    }

    #[test]
    fn only_an_edit_of_the_twin_alone_leaves_the_identity() {
        assert!(parse("").touches_identity());
        assert!(parse(r#"{"status":"disabled","tags":{}}"#).touches_identity());
        assert!(!parse(r#"{"tags":{"a":1}}"#).touches_identity());
        assert!(!parse(r#"{"desired":{"a":1}}"#).touches_identity());
    }
}
