//! What configurations write.

use serde_json::{Value, json};

use crate::error::{Error, Result};

const DESIRED: &str = "properties.desired";

/// What a configuration or deployment writes: desired properties of devices, of modules, or the
/// modules of IoT Edge devices. The hub refuses mixtures.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigurationContent {
    kind: &'static str,
    value: Value,
}

impl ConfigurationContent {
    /// Desired properties of devices. Every key is a path that begins with `properties.desired`.
    ///
    /// ```
    /// use iothub::ConfigurationContent;
    /// use serde_json::json;
    ///
    /// assert!(ConfigurationContent::device(json!({"properties.desired.interval": 5})).is_ok());
    /// assert!(ConfigurationContent::device(json!({"interval": 5})).is_err());
    /// ```
    pub fn device(content: Value) -> Result<Self> {
        Self::of_properties("deviceContent", content)
    }

    /// Desired properties of modules. Every key is a path that begins with `properties.desired`.
    /// The configuration's condition then begins with `FROM devices.modules WHERE`.
    pub fn module(content: Value) -> Result<Self> {
        Self::of_properties("moduleContent", content)
    }

    /// The modules of IoT Edge devices with their desired properties, `$edgeAgent` among them.
    ///
    /// ```
    /// use iothub::ConfigurationContent;
    /// use serde_json::json;
    ///
    /// let modules = json!({"$edgeAgent": {"properties.desired": {"schemaVersion": "1.1"}}});
    /// assert!(ConfigurationContent::edge(modules).is_ok());
    /// ```
    pub fn edge(modules: Value) -> Result<Self> {
        if modules.get("$edgeAgent").is_none() {
            return Err(Error::invalid("a deployment needs $edgeAgent"));
        }
        Ok(Self {
            kind: "modulesContent",
            value: modules,
        })
    }

    fn of_properties(kind: &'static str, value: Value) -> Result<Self> {
        let keys = value.as_object().filter(|content| !content.is_empty());
        if keys.is_some_and(|keys| keys.keys().all(|key| key.starts_with(DESIRED))) {
            Ok(Self { kind, value })
        } else {
            Err(Error::invalid(
                "the keys of a content begin with properties.desired",
            ))
        }
    }

    pub(crate) fn is_edge(&self) -> bool {
        self.kind == "modulesContent"
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({self.kind: self.value})
    }
}
