//! Many changes in one call.
//!
//! The call is not a transaction: each item is carried out or refused for itself, and an answer of
//! 400 is a result if it says so. What would make the result ambiguous (the same identity twice) or
//! turn a condition into none (a missing ETag) is refused before it is sent. Each item counts as
//! one registry operation of the hub's throttle, so a call saves time but no allowance.

mod outcome;

use std::fmt;

use serde_json::{Map, Value};

pub use outcome::{BulkOutcome, ItemOutcome};

use crate::device_id::DeviceId;
use crate::document::Document;
use crate::error::{Error, Result};
use crate::identity::{Identity, NewIdentity, SECRET, check_authentication, check_reason};
use crate::module::{Module, ModuleId, NewModule};
use crate::request::{check_etag, object};

/// Most items of one call.
pub const MAX_BULK: usize = 100;

/// What only the hub writes, and names that differ in bulk calls.
const LEFT_OUT: [&str; 9] = [
    "deviceId",
    "moduleId",
    "etag",
    "generationId",
    "connectionState",
    "connectionStateUpdatedTime",
    "statusUpdatedTime",
    "lastActivityTime",
    "cloudToDeviceMessageCount",
];

/// One change in a bulk call: to a device, a module, or the twin of either.
///
/// The conditional modes are the plain names; the unconditional ones say so. `Debug` shows no key.
///
/// ```
/// use iothub::{BulkItem, NewIdentity};
///
/// let new = NewIdentity::new("dev-1".parse()?);
/// let item = BulkItem::create(&new)?.with_twin(&serde_json::json!({"tags": {"site": "north"}}))?;
/// assert_eq!(item.device_id().as_str(), "dev-1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct BulkItem {
    device: DeviceId,
    module: Option<ModuleId>,
    document: Document,
}

impl BulkItem {
    /// Creates a device, or fails with [`crate::Kind::AlreadyExists`].
    pub fn create(new: &NewIdentity) -> Result<Self> {
        Ok(Self::of("create", &new.device_id, None, new.fields()?))
    }

    /// Creates a module of a device that exists already. `managed_by` is not part of bulk calls:
    /// such a module is refused here.
    pub fn create_module(new: &NewModule) -> Result<Self> {
        if new.managed_by.is_some() {
            return Err(Error::invalid("a bulk call cannot set managedBy"));
        }
        let module = Some(&new.module_id);
        Ok(Self::of("create", &new.device_id, module, new.fields()))
    }

    /// Sends a device back as it was read and changed, in the version it was read in.
    pub fn update(identity: &Identity) -> Result<Self> {
        let item = Self::update_any_version(identity)?;
        item.matching("updateIfMatchETag", "eTag", identity.etag())
    }

    /// Sends a device back whatever its version is now.
    pub fn update_any_version(identity: &Identity) -> Result<Self> {
        check_reason(identity.status_reason())?;
        let fields = writable(identity.document())?;
        Ok(Self::of("update", identity.device_id(), None, fields))
    }

    /// Sends a module back as it was read and changed, in the version it was read in.
    pub fn update_module(module: &Module) -> Result<Self> {
        let item = Self::update_module_any_version(module)?;
        item.matching("updateIfMatchETag", "eTag", module.etag())
    }

    /// Sends a module back whatever its version is now.
    pub fn update_module_any_version(module: &Module) -> Result<Self> {
        let fields = writable(module.document())?;
        let id = Some(module.module_id());
        Ok(Self::of("update", module.device_id(), id, fields))
    }

    /// Deletes a device, its twin and its modules, in this version (without quotes).
    pub fn delete(device: &DeviceId, etag: &str) -> Result<Self> {
        let item = Self::delete_any_version(device);
        item.matching("deleteIfMatchETag", "eTag", Some(etag))
    }

    /// Deletes a device whatever its version is now.
    #[must_use]
    pub fn delete_any_version(device: &DeviceId) -> Self {
        Self::of("delete", device, None, Map::new())
    }

    /// Deletes a module and its twin, in this version (without quotes).
    pub fn delete_module(device: &DeviceId, module: &ModuleId, etag: &str) -> Result<Self> {
        let item = Self::delete_module_any_version(device, module);
        item.matching("deleteIfMatchETag", "eTag", Some(etag))
    }

    /// Deletes a module whatever its version is now.
    #[must_use]
    pub fn delete_module_any_version(device: &DeviceId, module: &ModuleId) -> Self {
        Self::of("delete", device, Some(module), Map::new())
    }

    /// Merges `{"tags": .., "properties": {"desired": ..}}` into a device's twin. With an `etag`
    /// (the twin's, without quotes), only if the twin still has this version.
    pub fn update_twin(device: &DeviceId, patch: &Value, etag: Option<&str>) -> Result<Self> {
        Self::twin(device, None, patch, etag)
    }

    /// The same for a module's twin.
    pub fn update_module_twin(
        device: &DeviceId,
        module: &ModuleId,
        patch: &Value,
        etag: Option<&str>,
    ) -> Result<Self> {
        Self::twin(device, Some(module), patch, etag)
    }

    /// The same item with a twin of its own: `{"tags": .., "properties": {"desired": ..}}`. For
    /// items that create.
    pub fn with_twin(mut self, twin: &Value) -> Result<Self> {
        for name in ["tags", "properties"] {
            if let Some(part) = object(twin)?.get(name) {
                self.document.set(name, part.clone());
            }
        }
        Ok(self)
    }

    /// The device it is about.
    #[must_use]
    pub fn device_id(&self) -> &DeviceId {
        &self.device
    }

    /// The module it is about, if it is not about the device itself.
    #[must_use]
    pub fn module_id(&self) -> Option<&ModuleId> {
        self.module.as_ref()
    }

    fn of(
        mode: &'static str,
        device: &DeviceId,
        module: Option<&ModuleId>,
        fields: Map<String, Value>,
    ) -> Self {
        let mut document = Document::new(fields, SECRET);
        document.set("id", device.as_str());
        if let Some(module) = module {
            document.set("moduleId", module.as_str());
        }
        document.set("importMode", mode);
        Self {
            device: device.clone(),
            module: module.cloned(),
            document,
        }
    }

    fn twin(
        device: &DeviceId,
        module: Option<&ModuleId>,
        patch: &Value,
        etag: Option<&str>,
    ) -> Result<Self> {
        let item = Self::of("updateTwin", device, module, Map::new()).with_twin(patch)?;
        match etag {
            None => Ok(item),
            Some(_) => item.matching("updateTwinIfMatchETag", "twinETag", etag),
        }
    }

    /// The same item with a condition. The hub takes a conditional mode without an ETag for an
    /// unconditional one.
    fn matching(
        mut self,
        mode: &'static str,
        name: &'static str,
        etag: Option<&str>,
    ) -> Result<Self> {
        let etag = etag.ok_or_else(|| Error::invalid("the item has no etag to match"))?;
        check_etag(etag)?;
        self.document.set("importMode", mode);
        self.document.set(name, etag);
        Ok(self)
    }
}

/// What can be written of an identity or module, with all that is unknown here. The hub sends a
/// null `statusReason`, but does not describe one as part of a bulk call.
fn writable(document: &Document) -> Result<Map<String, Value>> {
    check_authentication(document)?;
    let none = |name: &str, value: &Value| name == "statusReason" && value.is_null();
    let kept = document
        .fields()
        .iter()
        .filter(|(name, value)| !LEFT_OUT.contains(&name.as_str()) && !none(name, value));
    Ok(kept
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect())
}

/// The body of the call: a bare array.
pub(crate) fn to_body(items: &[BulkItem]) -> Result<Vec<u8>> {
    if !(1..=MAX_BULK).contains(&items.len()) {
        return Err(Error::invalid("a bulk call has 1 to 100 items"));
    }
    for (place, item) in items.iter().enumerate() {
        let same = |other: &BulkItem| item.device == other.device && item.module == other.module;
        if items[..place].iter().any(same) {
            return Err(Error::invalid("a bulk call names each identity once"));
        }
    }
    let mut body = vec![b'['];
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            body.push(b',');
        }
        body.extend(item.document.to_bytes());
    }
    body.push(b']');
    Ok(body)
}

impl fmt::Debug for BulkItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.document.fmt(f)
    }
}

#[cfg(test)]
#[path = "bulk_tests.rs"]
mod tests;
