//! Device identities, kept whole.
//!
//! Updating an identity replaces it: what is left out is reset, and leaving out the keys makes the
//! hub invent new ones, which locks the device out. So an [`Identity`] keeps every field the hub
//! sent, known or not, changes only what its setters change, and goes back as it came.

use std::fmt;

use serde_json::{Map, Value, json};
use zeroize::Zeroize;

use crate::device_id::DeviceId;
use crate::error::{Error, Result};
use crate::secret::Secret;

/// Longest `statusReason`, in characters.
pub const MAX_STATUS_REASON: usize = 128;
const AUTHENTICATION: &str = "authentication";

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

/// What to create. The hub makes the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIdentity {
    /// The id, in the exact case it will have.
    pub device_id: DeviceId,
    /// Whether the device may connect at once.
    pub status: Status,
    /// Any text of at most [`MAX_STATUS_REASON`] characters.
    pub status_reason: Option<String>,
}

impl NewIdentity {
    /// The body of the creating request.
    pub(crate) fn to_body(&self) -> Result<Vec<u8>> {
        check_reason(self.status_reason.as_deref())?;
        let body = json!({
            "deviceId": self.device_id.as_str(),
            "status": self.status.as_str(),
            "statusReason": self.status_reason,
        });
        Ok(body.to_string().into_bytes())
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
    fields: Map<String, Value>,
}

impl Identity {
    /// Reads an identity. Without a valid `deviceId` it is [`crate::Kind::Malformed`].
    pub fn from_json(body: &[u8]) -> Result<Self> {
        let fields: Map<String, Value> = serde_json::from_slice(body)
            .map_err(|_| Error::malformed("the body is no JSON object"))?;
        let device_id = fields
            .get("deviceId")
            .and_then(Value::as_str)
            .and_then(|id| id.parse().ok());
        let device_id = device_id.ok_or_else(|| Error::malformed("the body names no device"))?;
        Ok(Self { device_id, fields })
    }

    /// The device's id.
    #[must_use]
    pub fn device_id(&self) -> &DeviceId {
        &self.device_id
    }

    /// Tells this identity from a later one with the same id.
    #[must_use]
    pub fn generation_id(&self) -> Option<&str> {
        self.text("generationId")
    }

    /// The version, without quotes, as [`crate::Hub::delete_device`] takes it.
    #[must_use]
    pub fn etag(&self) -> Option<&str> {
        self.text("etag")
    }

    /// Whether the device may connect.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        match self.text("status")? {
            "enabled" => Some(Status::Enabled),
            "disabled" => Some(Status::Disabled),
            _ => None,
        }
    }

    /// The free text that was stored with the status.
    #[must_use]
    pub fn status_reason(&self) -> Option<&str> {
        self.text("statusReason")
    }

    /// Whether the device is connected now. `None` if the hub does not say.
    #[must_use]
    pub fn is_connected(&self) -> Option<bool> {
        match self.text("connectionState")? {
            "Connected" => Some(true),
            "Disconnected" => Some(false),
            _ => None,
        }
    }

    /// The primary key, in base64. `None` for devices that have certificates instead.
    #[must_use]
    pub fn primary_key(&self) -> Option<Secret> {
        let key = self
            .fields
            .get(AUTHENTICATION)?
            .get("symmetricKey")?
            .get("primaryKey")?
            .as_str()?;
        (!key.is_empty()).then(|| Secret::from(key))
    }

    /// Any other field, as the hub sent it.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    /// Allows or forbids connections, once the identity is sent back.
    pub fn set_status(&mut self, status: Status) {
        self.fields.insert("status".into(), status.as_str().into());
    }

    /// Changes or clears the reason, once the identity is sent back.
    pub fn set_status_reason(&mut self, reason: Option<&str>) {
        self.fields.insert("statusReason".into(), reason.into());
    }

    /// The body of the updating request: all fields, changed or not.
    pub(crate) fn to_body(&self) -> Result<Vec<u8>> {
        check_reason(self.status_reason())?;
        // An identity that came without keys in it would get new ones.
        if !self
            .fields
            .get(AUTHENTICATION)
            .is_some_and(Value::is_object)
        {
            return Err(Error::invalid(
                "an identity without its authentication would lose its keys",
            ));
        }
        Ok(serde_json::to_vec(&self.fields).expect("maps with text keys are always JSON"))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name)?.as_str()
    }
}

fn check_reason(reason: Option<&str>) -> Result<()> {
    match reason {
        Some(text) if text.chars().count() > MAX_STATUS_REASON => {
            Err(Error::invalid("a status reason has at most 128 characters"))
        }
        _ => Ok(()),
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        if let Some(authentication) = self.fields.get_mut(AUTHENTICATION) {
            wipe(authentication);
        }
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        _ => {}
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, value) in &self.fields {
            if name == AUTHENTICATION {
                map.entry(name, &format_args!("***"));
            } else {
                map.entry(name, value);
            }
        }
        map.finish()
    }
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
