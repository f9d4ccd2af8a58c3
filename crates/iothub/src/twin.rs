//! Device twins.
//!
//! A twin is a document with a few fields of the hub's around two sections and the tags. The
//! values are JSON as it came: numbers keep all their digits. The hub interleaves the sections with
//! its own bookkeeping, `$metadata` and `$version`; [`Twin::without_metadata`] takes it out.

use std::fmt;

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// What the hub adds to the sections. No key of a user may begin with `$`.
const BOOKKEEPING: [&str; 2] = ["$metadata", "$version"];

static EMPTY: Value = Value::Null;

/// A device's twin as the hub sent it.
///
/// `Debug` shows id and versions only: what stands in a twin is its owner's affair.
///
/// ```
/// let sent = br#"{"deviceId":"dev-1","etag":"AAAAAAAAAAE=","version":2,"properties":{
///     "desired":{"interval":5,"$metadata":{},"$version":1},"reported":{"$version":1}}}"#;
/// let twin = iothub::Twin::from_json(sent)?.without_metadata();
/// assert_eq!(twin.desired(), &serde_json::json!({"interval": 5}));
/// assert_eq!(twin.etag(), Some("AAAAAAAAAAE="));
/// # Ok::<(), iothub::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Twin(Map<String, Value>);

impl Twin {
    /// Reads a twin. Without a `deviceId` it is [`crate::Kind::Malformed`].
    pub fn from_json(body: &[u8]) -> Result<Self> {
        let fields = serde_json::from_slice(body)
            .map_err(|_| Error::malformed("the body is no JSON object"))?;
        Self::from_fields(fields)
    }

    /// Takes a row of a query for a twin.
    pub(crate) fn from_fields(fields: Map<String, Value>) -> Result<Self> {
        if fields.get("deviceId").is_some_and(Value::is_string) {
            Ok(Self(fields))
        } else {
            Err(Error::malformed("the body names no device"))
        }
    }

    /// The device's id.
    #[must_use]
    pub fn device_id(&self) -> &str {
        self.text("deviceId").unwrap_or_default()
    }

    /// The module's id, if it is the twin of a module.
    #[must_use]
    pub fn module_id(&self) -> Option<&str> {
        self.text("moduleId")
    }

    /// The version for edits of the twin, without quotes.
    #[must_use]
    pub fn etag(&self) -> Option<&str> {
        self.text("etag")
    }

    /// The version of the device's identity, without quotes.
    #[must_use]
    pub fn device_etag(&self) -> Option<&str> {
        self.text("deviceEtag")
    }

    /// Grows with each edit of tags or desired properties.
    #[must_use]
    pub fn version(&self) -> Option<u64> {
        self.0.get("version")?.as_u64()
    }

    /// What the back end wants of the device; null if the hub sent none.
    #[must_use]
    pub fn desired(&self) -> &Value {
        self.section("desired")
    }

    /// What the device says of itself; null if the hub sent none.
    #[must_use]
    pub fn reported(&self) -> &Value {
        self.section("reported")
    }

    /// What the device does not see; null while empty.
    #[must_use]
    pub fn tags(&self) -> &Value {
        self.0.get("tags").unwrap_or(&EMPTY)
    }

    /// The whole twin, with the fields that have no accessor.
    #[must_use]
    pub fn raw(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The same twin without `$metadata` and `$version`, at whatever depth.
    #[must_use]
    pub fn without_metadata(mut self) -> Self {
        for name in ["properties", "tags"] {
            if let Some(part) = self.0.get_mut(name) {
                strip(part);
            }
        }
        self
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    fn section(&self, name: &str) -> &Value {
        self.0
            .get("properties")
            .and_then(|properties| properties.get(name))
            .unwrap_or(&EMPTY)
    }
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for name in BOOKKEEPING {
                fields.remove(name);
            }
            fields.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

impl fmt::Debug for Twin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Twin")
            .field("device_id", &self.device_id())
            .field("etag", &self.etag())
            .field("version", &self.version())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SENT: &str = r#"{"deviceId":"d1","etag":"AAAAAAAAAAE=","deviceEtag":"NjQ1MTQxOTM4","status":"enabled","statusUpdateTime":"0001-01-01T00:00:00Z","x509Thumbprint":{"PrimaryThumbprint":null},"version":2,"tags":{"site":{"floor":3}},"properties":{"desired":{"a":{"b":1.10,"$metadata":{}},"list":[{"$version":1,"c":null}],"$metadata":{"$lastUpdated":"2020-06-25T20:25:29.3360931Z"},"$version":7},"reported":{"big":123456789012345678901234567890,"$metadata":{},"$version":1}}}"#;

    fn sent() -> Twin {
        Twin::from_json(SENT.as_bytes()).unwrap()
    }

    #[test]
    fn its_fields_can_be_asked_for() {
        let twin = sent();
        assert_eq!(twin.device_id(), "d1");
        assert_eq!(twin.etag(), Some("AAAAAAAAAAE="));
        assert_eq!(twin.device_etag(), Some("NjQ1MTQxOTM4"));
        assert_eq!(twin.version(), Some(2));
        assert_eq!(twin.tags(), &json!({"site": {"floor": 3}}));
        assert_eq!(twin.raw()["status"], "enabled");
        assert_eq!(twin.desired()["$version"], 7);
    }

    #[test]
    fn bookkeeping_is_removed_at_any_depth_and_nothing_else() {
        let twin = sent().without_metadata();
        assert_eq!(
            twin.desired().to_string(),
            r#"{"a":{"b":1.10},"list":[{"c":null}]}"#
        );
        assert_eq!(
            twin.reported().to_string(),
            r#"{"big":123456789012345678901234567890}"#
        );
        assert_eq!(twin.version(), Some(2));
    }

    #[test]
    fn missing_sections_are_null() {
        let twin = Twin::from_json(br#"{"deviceId":"d"}"#).unwrap();
        assert!(twin.tags().is_null() && twin.desired().is_null() && twin.reported().is_null());
    }

    #[test]
    fn debug_shows_no_property() {
        let shown = format!("{:?}", sent());
        assert!(shown.contains("d1") && !shown.contains("floor"), "{shown}");
    }

    #[test]
    fn a_body_that_is_no_twin_is_malformed() {
        for body in ["", "{}", "[]", "<html>"] {
            assert_eq!(
                Twin::from_json(body.as_bytes()).unwrap_err().kind(),
                crate::Kind::Malformed
            );
        }
    }
}
