//! Digital twins: the same device seen through its model (IoT Plug and Play).
//!
//! A digital twin is the device twin in another shape, edited with JSON Patch, and its commands are
//! direct methods with other names. Under Microsoft Entra ID the service refuses commands with 401
//! whatever the roles say; the direct method `component*command` does the same and works.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::method::{Patience, check_payload};

/// Longest name of a component or command, in characters.
const MAX_NAME: usize = 128;

/// A device's digital twin.
#[derive(Debug, Clone, PartialEq)]
pub struct DigitalTwin {
    /// `$dtId`, `$metadata` with the model's id, properties and components.
    pub fields: Map<String, Value>,
    /// The version for edits, without quotes, which is that of the device twin.
    pub etag: Option<String>,
}

impl DigitalTwin {
    /// Reads a digital twin. Without a `$dtId` it is [`crate::Kind::Malformed`].
    pub fn from_json(body: &[u8], etag: Option<String>) -> Result<Self> {
        let fields: Map<String, Value> = serde_json::from_slice(body)
            .map_err(|_| Error::malformed("the body is no JSON object"))?;
        let this = Self { fields, etag };
        match this.id() {
            Some(_) => Ok(this),
            None => Err(Error::malformed("the body names no digital twin")),
        }
    }

    /// The device's id.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.fields.get("$dtId")?.as_str()
    }

    /// The id of the device's model; empty if it has none.
    #[must_use]
    pub fn model_id(&self) -> &str {
        let metadata = self.fields.get("$metadata");
        let model = metadata.and_then(|metadata| metadata.get("$model")?.as_str());
        model.unwrap_or_default()
    }
}

/// A command to call.
///
/// ```
/// use iothub::Command;
///
/// let command = Command::new("getMaxMinReport")?
///     .of_component("thermostat1")?
///     .payload(serde_json::json!("2026-01-01T12:00:00Z"))?;
/// # Ok::<(), iothub::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    name: String,
    component: Option<String>,
    payload: Value,
    patience: Patience,
}

impl Command {
    /// A command of the device itself, without payload, whose device must be connected now and
    /// answer within 30 s. Names are letters, digits and `_`, and begin with a letter.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        Ok(Self {
            name: checked(name.into())?,
            component: None,
            payload: Value::Null,
            patience: Patience::default(),
        })
    }

    /// The same command of a component.
    pub fn of_component(mut self, component: impl Into<String>) -> Result<Self> {
        self.component = Some(checked(component.into())?);
        Ok(self)
    }

    /// The same command with this payload, any JSON of at most [`crate::MAX_METHOD_PAYLOAD`] bytes.
    pub fn payload(mut self, payload: Value) -> Result<Self> {
        check_payload(&payload)?;
        self.payload = payload;
        Ok(self)
    }

    /// How long the device may take to answer: 5 to 300 s, rounded up to seconds.
    pub fn response_timeout(mut self, timeout: Duration) -> Result<Self> {
        self.patience.response(timeout)?;
        Ok(self)
    }

    /// How long to wait for a device that is not connected: 0 to 300 s, rounded up to seconds, and
    /// not longer than it may take to answer.
    pub fn connect_timeout(mut self, timeout: Duration) -> Result<Self> {
        self.patience.connect(timeout)?;
        Ok(self)
    }

    pub(crate) fn parts(&self) -> (Option<&str>, &str, &Value, Patience) {
        (
            self.component.as_deref(),
            &self.name,
            &self.payload,
            self.patience,
        )
    }
}

/// A name in a model, which becomes a path segment.
fn checked(name: String) -> Result<String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if begins && name.len() <= MAX_NAME && name.bytes().all(fits) {
        Ok(name)
    } else {
        Err(Error::invalid(
            "the name of a command or component is malformed",
        ))
    }
}

/// What a device answered to a command.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandAnswer {
    /// Whatever number the device chose, if the hub passed it on.
    pub status: Option<i64>,
    /// Any JSON; null if there was none.
    pub payload: Value,
}

/// A patch is an array of operations.
pub(crate) fn check_patch(patch: &Value) -> Result<&Value> {
    let operations = patch.as_array().filter(|operations| !operations.is_empty());
    if operations.is_some_and(|all| all.iter().all(|one| one.get("op").is_some())) {
        Ok(patch)
    } else {
        Err(Error::invalid("an edit of a digital twin is a JSON Patch"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_twin_without_a_model_has_an_empty_one() {
        let body = br#"{"$dtId":"d","$metadata":{"$model":""}}"#;
        let twin = DigitalTwin::from_json(body, None).unwrap();
        assert_eq!((twin.id(), twin.model_id()), (Some("d"), ""));
        assert!(DigitalTwin::from_json(b"{}", None).is_err());
        assert!(DigitalTwin::from_json(b"[]", None).is_err());
    }

    #[test]
    fn names_are_those_of_models() {
        for name in ["", "1a", "_a", "a.b", "..", "a/b", "a b", &"a".repeat(129)] {
            assert!(Command::new(name).is_err(), "{name}");
            assert!(
                Command::new("c").unwrap().of_component(name).is_err(),
                "{name}"
            );
        }
        assert!(Command::new("getReport_2").is_ok());
    }

    #[test]
    fn a_patch_is_an_array_of_operations() {
        for wrong in [json!({}), json!([]), json!([1]), json!([{"path": "/a"}])] {
            assert!(check_patch(&wrong).is_err(), "{wrong}");
        }
        assert!(check_patch(&json!([{"op": "remove", "path": "/a"}])).is_ok());
    }
}
