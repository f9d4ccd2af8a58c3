//! Module identities, kept whole like those of devices.
//!
//! A module is a second party on a device, with keys and a twin of its own. Updating it replaces it,
//! keys included, so a [`Module`] too goes back as it came.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::authentication::Authentication;
use crate::device_id::{self, DeviceId, InvalidDeviceId};
use crate::document::{self, Document};
use crate::error::{Error, Result};
use crate::identity::{SECRET, check_authentication, key, replace_authentication};
use crate::secret::Secret;

/// The id of a module, by the same rule as the id of a device. Upper and lower case differ.
///
/// Ids that begin with `$` belong to IoT Edge: they can be read, and the hub refuses to make them.
///
/// ```
/// let id: iothub::ModuleId = "$edgeAgent".parse()?;
/// assert_eq!(id.as_str(), "$edgeAgent");
/// # Ok::<(), iothub::InvalidDeviceId>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModuleId(String);

impl ModuleId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ModuleId {
    type Err = InvalidDeviceId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        device_id::check(text)?;
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ModuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A module to create. At most 50 fit on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewModule {
    /// The device it belongs to, which must exist.
    pub device_id: DeviceId,
    /// The id, in the exact case it will have.
    pub module_id: ModuleId,
    /// How the module will prove who it is. The hub makes keys unless told otherwise.
    pub authentication: Authentication,
    /// Free text that says who looks after the module.
    pub managed_by: Option<String>,
}

impl NewModule {
    /// A module with keys that the hub makes.
    #[must_use]
    pub fn new(device_id: DeviceId, module_id: ModuleId) -> Self {
        Self {
            device_id,
            module_id,
            authentication: Authentication::default(),
            managed_by: None,
        }
    }

    /// The body of the creating request.
    pub(crate) fn to_body(&self) -> Vec<u8> {
        let mut fields = self.fields();
        fields.insert("deviceId".into(), self.device_id.as_str().into());
        fields.insert("moduleId".into(), self.module_id.as_str().into());
        if let Some(text) = &self.managed_by {
            fields.insert("managedBy".into(), text.as_str().into());
        }
        Value::Object(fields).to_string().into_bytes()
    }

    /// What a bulk call takes besides the ids.
    pub(crate) fn fields(&self) -> Map<String, Value> {
        let field = self.authentication.to_field();
        field
            .map(|value| ("authentication".to_owned(), value))
            .into_iter()
            .collect()
    }
}

/// A module's identity as the hub sent it, with all its fields.
///
/// `Debug` leaves the keys out, and dropping it overwrites them.
///
/// ```
/// let sent = br#"{"moduleId":"m","managedBy":null,"deviceId":"dev-1","etag":"MQ==",
///     "authentication":{"symmetricKey":{"primaryKey":"a2V5","secondaryKey":"a2V5"},"type":"sas"}}"#;
/// let module = iothub::Module::from_json(sent)?;
/// assert_eq!((module.device_id().as_str(), module.module_id().as_str()), ("dev-1", "m"));
/// assert_eq!(module.primary_key().unwrap().expose(), "a2V5");
/// # Ok::<(), iothub::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Module {
    device: DeviceId,
    id: ModuleId,
    document: Document,
}

impl Module {
    /// Reads a module. Without valid ids it is [`crate::Kind::Malformed`].
    pub fn from_json(body: &[u8]) -> Result<Self> {
        Self::from_document(Document::parse(body, SECRET)?)
    }

    /// Reads an array of modules.
    pub(crate) fn list_from_json(body: &[u8]) -> Result<Vec<Self>> {
        let all = Document::parse_all(body, SECRET)?;
        all.into_iter().map(Self::from_document).collect()
    }

    fn from_document(document: Document) -> Result<Self> {
        let ids = || {
            let device = document.text("deviceId")?.parse().ok()?;
            Some((device, document.text("moduleId")?.parse().ok()?))
        };
        let (device, id) = ids().ok_or_else(|| Error::malformed("the body names no module"))?;
        Ok(Self {
            device,
            id,
            document,
        })
    }

    /// The id of its device.
    #[must_use]
    pub fn device_id(&self) -> &DeviceId {
        &self.device
    }

    /// The module's id.
    #[must_use]
    pub fn module_id(&self) -> &ModuleId {
        &self.id
    }

    /// Tells this module from a later one with the same ids.
    #[must_use]
    pub fn generation_id(&self) -> Option<&str> {
        self.document.text("generationId")
    }

    /// The version, without quotes, as [`crate::Hub::delete_module`] takes it.
    #[must_use]
    pub fn etag(&self) -> Option<&str> {
        self.document.text("etag")
    }

    /// Who looks after the module; `iotEdge` for those of IoT Edge itself.
    #[must_use]
    pub fn managed_by(&self) -> Option<&str> {
        self.document.text("managedBy")
    }

    /// Whether the module is connected now. `None` if the hub does not say.
    #[must_use]
    pub fn is_connected(&self) -> Option<bool> {
        document::is_connected(&self.document)
    }

    /// The primary key, in base64. `None` for modules that have certificates instead.
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

    /// Changes or clears who looks after the module, once it is sent back.
    pub fn set_managed_by(&mut self, text: Option<&str>) {
        self.document.set("managedBy", text);
    }

    /// Changes how the module proves who it is, once it is sent back. This ends the keys or
    /// certificates it has now.
    pub fn replace_authentication(&mut self, authentication: &Authentication) {
        replace_authentication(&mut self.document, authentication);
    }

    /// The body of the updating request: all fields, changed or not.
    pub(crate) fn to_body(&self) -> Result<Vec<u8>> {
        check_authentication(&self.document)?;
        Ok(self.document.to_bytes())
    }

    /// All fields, for calls that name some of them differently.
    pub(crate) fn document(&self) -> &Document {
        &self.document
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.document.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    const SENT: &str = r#"{"moduleId":"m1","managedBy":null,"deviceId":"d1","generationId":"637","etag":"MQ==","connectionState":"Connected","authentication":{"symmetricKey":{"primaryKey":"cHJpbWFyeQ==","secondaryKey":"c2Vjb25kYXJ5"},"type":"sas"},"later":1.50}"#;

    #[test]
    fn a_module_goes_back_as_it_came_but_for_what_was_set() {
        let mut module = Module::from_json(SENT.as_bytes()).unwrap();
        module.set_managed_by(Some("fleet"));
        let mut expected: Value = serde_json::from_str(SENT).unwrap();
        expected["managedBy"] = "fleet".into();
        let body = module.to_body().unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), expected);
        assert!(String::from_utf8(body).unwrap().contains("1.50"));
    }

    #[test]
    fn its_fields_can_be_asked_for_and_its_keys_are_not_shown() {
        let module = Module::from_json(SENT.as_bytes()).unwrap();
        assert_eq!((module.etag(), module.managed_by()), (Some("MQ=="), None));
        assert_eq!(module.generation_id(), Some("637"));
        assert_eq!(module.is_connected(), Some(true));
        assert_eq!(module.secondary_key().unwrap().expose(), "c2Vjb25kYXJ5");
        assert!(!format!("{module:?}").contains("c2Vjb25kYXJ5"));
    }

    #[test]
    fn a_body_without_both_ids_is_malformed() {
        for body in ["", "[]", r#"{"deviceId":"d"}"#, r#"{"moduleId":"m"}"#] {
            let error = Module::from_json(body.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), Kind::Malformed, "{body}");
        }
    }

    #[test]
    fn an_update_that_would_make_new_keys_is_refused() {
        let module = Module::from_json(br#"{"deviceId":"d","moduleId":"m"}"#).unwrap();
        assert_eq!(module.to_body().unwrap_err().kind(), Kind::Invalid);
    }
}
