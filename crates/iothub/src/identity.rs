//! Device identities, kept whole.
//!
//! Updating an identity replaces it: what is left out is reset, and leaving out the keys makes the
//! hub invent new ones, which locks the device out. So an [`Identity`] keeps every field the hub
//! sent, known or not, changes only what its setters change, and goes back as it came.

mod edge;
mod new;

use std::fmt;

use serde_json::{Value, json};

pub use new::NewIdentity;

use crate::authentication::Authentication;
use crate::device_id::DeviceId;
use crate::document::{self, Document};
use crate::error::{Error, Result};
use crate::secret::Secret;

/// Longest `statusReason`, in characters.
pub const MAX_STATUS_REASON: usize = 128;
const AUTHENTICATION: &str = "authentication";
/// What an identity or module holds that must not be shown.
pub(crate) const SECRET: &[&str] = &[AUTHENTICATION];

/// Whether a device may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// It may.
    Enabled,
    /// It may not, but keeps its twin.
    Disabled,
}

impl Status {
    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
        }
    }
}

/// A device's identity as the hub sent it, with all its fields.
///
/// `Debug` leaves the keys out, and dropping it overwrites them.
///
/// ```
/// use iothub::{Identity, Status};
///
/// let sent = br#"{"deviceId":"dev-1","etag":"MQ==","status":"enabled","statusReason":null,"news":7,
///     "authentication":{"symmetricKey":{"primaryKey":"a2V5","secondaryKey":"a2V5"},"type":"sas"}}"#;
/// let mut identity = Identity::from_json(sent)?;
/// identity.set_status(Status::Disabled);
/// assert_eq!(identity.status(), Some(Status::Disabled));
/// assert_eq!(identity.primary_key().unwrap().expose(), "a2V5");
/// assert_eq!(identity.field("news").unwrap(), 7);
/// assert!(!format!("{identity:?}").contains("a2V5"));
/// # Ok::<(), iothub::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Identity {
    device_id: DeviceId,
    document: Document,
}

impl Identity {
    /// Reads an identity. Without a valid `deviceId` it is [`crate::Kind::Malformed`].
    pub fn from_json(body: &[u8]) -> Result<Self> {
        Self::from_document(Document::parse(body, SECRET)?)
            .ok_or_else(|| Error::malformed("the body names no device"))
    }

    /// Reads an array of identities. One whose id is none for this client is left out, with a
    /// warning in the log: it must not hide all the others.
    pub(crate) fn list_from_json(body: &[u8]) -> Result<Vec<Self>> {
        let all = Document::parse_all(body, SECRET)?;
        let read = |document: Document| {
            let identity = Self::from_document(document);
            if identity.is_none() {
                tracing::warn!("an identity in the hub's list has no usable id and is left out");
            }
            identity
        };
        Ok(all.into_iter().filter_map(read).collect())
    }

    fn from_document(document: Document) -> Option<Self> {
        let device_id = document.text("deviceId")?.parse().ok()?;
        Some(Self {
            device_id,
            document,
        })
    }

    /// The device's id.
    #[must_use]
    pub fn device_id(&self) -> &DeviceId {
        &self.device_id
    }

    /// Tells this identity from a later one with the same id.
    #[must_use]
    pub fn generation_id(&self) -> Option<&str> {
        self.document.text("generationId")
    }

    /// The version, without quotes, as [`crate::Hub::delete_device`] takes it.
    #[must_use]
    pub fn etag(&self) -> Option<&str> {
        self.document.text("etag")
    }

    /// Whether the device may connect.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        match self.document.text("status")? {
            "enabled" => Some(Status::Enabled),
            "disabled" => Some(Status::Disabled),
            _ => None,
        }
    }

    /// The free text that was stored with the status.
    #[must_use]
    pub fn status_reason(&self) -> Option<&str> {
        self.document.text("statusReason")
    }

    /// Whether the device is connected now. `None` if the hub does not say.
    #[must_use]
    pub fn is_connected(&self) -> Option<bool> {
        document::is_connected(&self.document)
    }

    /// The primary key, in base64. `None` for devices that have certificates instead.
    #[must_use]
    pub fn primary_key(&self) -> Option<Secret> {
        key(&self.document, "primaryKey")
    }

    /// The secondary key, in base64.
    #[must_use]
    pub fn secondary_key(&self) -> Option<Secret> {
        key(&self.document, "secondaryKey")
    }

    /// Any other field, as the hub sent it.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.document.get(name)
    }

    /// Allows or forbids connections, once the identity is sent back.
    pub fn set_status(&mut self, status: Status) {
        self.document.set("status", status.as_str());
    }

    /// Changes or clears the reason, once the identity is sent back.
    pub fn set_status_reason(&mut self, reason: Option<&str>) {
        self.document.set("statusReason", reason);
    }

    /// Changes how the device proves who it is, once the identity is sent back. This ends the keys
    /// or certificates it has now; with [`Authentication::GeneratedKeys`] the hub makes new keys.
    pub fn replace_authentication(&mut self, authentication: &Authentication) {
        replace_authentication(&mut self.document, authentication);
    }

    /// The body of the updating request: all fields, changed or not.
    pub(crate) fn to_body(&self) -> Result<Vec<u8>> {
        check_reason(self.status_reason())?;
        check_authentication(&self.document)?;
        Ok(self.document.to_bytes())
    }

    /// All fields, for calls that name some of them differently.
    pub(crate) fn document(&self) -> &Document {
        &self.document
    }
}

/// A key of a device or module, unless it has none.
pub(crate) fn key(document: &Document, name: &str) -> Option<Secret> {
    let keys = document.get(AUTHENTICATION)?.get("symmetricKey")?;
    let key = keys.get(name)?.as_str()?;
    (!key.is_empty()).then(|| Secret::from(key))
}

pub(crate) fn replace_authentication(document: &mut Document, authentication: &Authentication) {
    // No key at all is the hub's sign to make both.
    let new = authentication.to_field().unwrap_or_else(
        || json!({"type": "sas", "symmetricKey": {"primaryKey": null, "secondaryKey": null}}),
    );
    document.set(AUTHENTICATION, new);
}

/// An identity or module that came without keys in it would get new ones.
pub(crate) fn check_authentication(document: &Document) -> Result<()> {
    if document.get(AUTHENTICATION).is_some_and(Value::is_object) {
        Ok(())
    } else {
        Err(Error::invalid(
            "an identity without its authentication would lose its keys",
        ))
    }
}

pub(crate) fn check_reason(reason: Option<&str>) -> Result<()> {
    match reason {
        Some(text) if text.chars().count() > MAX_STATUS_REASON => {
            Err(Error::invalid("a status reason has at most 128 characters"))
        }
        _ => Ok(()),
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.document.fmt(f)
    }
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
