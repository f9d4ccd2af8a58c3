//! What Mender's workflows publish about devices.
//!
//! Three messages exist, each in the shapes of several server versions: a device was provisioned,
//! the status of some devices changed, a device was decommissioned. Operators write the workflow
//! definitions, so the `event` name may be missing; then the fields tell which one it is.
//!
//! A list is read item by item, so that one bad id does not lose the other devices. Nothing but
//! the fields named here is looked at: `identity_data` and keys come from the device.

use lifecycle::{DeviceId, DeviceRef, Event, EventId, Status, TenantId, Timestamp};
use serde::Deserialize;

use crate::event::status;
use crate::json::{self, Field, present};
use crate::{BadDevice, Malformed, time};

/// The most devices that one message may name. Mender's own consumer takes 100; more than this
/// is no list of a workflow, and each item costs a message of its own.
pub const MAX_DEVICES: usize = 1_000;
/// The longest id that [`BadDevice::device`] repeats, in bytes.
const MAX_SHOWN_ID: usize = 128;

/// One message of a Mender workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MenderMessage {
    /// The tenant of all its devices; empty in open-source Mender.
    pub tenant: TenantId,
    /// Its devices in the order of the message, none in an empty list.
    pub devices: Vec<Result<MenderDevice, BadDevice>>,
}

/// What a message says of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MenderDevice {
    /// The device.
    pub device: DeviceId,
    /// Its status, [`Status::Decommissioned`] included.
    pub status: Status,
    /// Its revision, where the sender gives one that may be compared.
    pub revision: Option<u64>,
    /// When Mender created it, where the sender says so; cut to milliseconds.
    pub created: Option<Timestamp>,
}

impl MenderDevice {
    /// The event that this makes, in its first life.
    #[must_use]
    pub fn into_event(self, id: EventId, tenant: TenantId) -> Event {
        Event {
            id,
            about: DeviceRef {
                tenant,
                device: self.device,
            },
            status: self.status,
            revision: self.revision,
            created: self.created,
            replay: 0,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message<'a> {
    #[serde(borrow, deserialize_with = "present")]
    event: Field<'a>,
    #[serde(borrow, deserialize_with = "present")]
    tenant_id: Field<'a>,
    #[serde(borrow, deserialize_with = "present")]
    status: Field<'a>,
    #[serde(borrow, deserialize_with = "present")]
    device_id: Field<'a>,
    #[serde(borrow, deserialize_with = "present")]
    device: Field<'a>,
    #[serde(borrow, deserialize_with = "present")]
    devices: Field<'a>,
}

/// A device object, of which the fields differ between server versions.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Object<'a> {
    #[serde(borrow, deserialize_with = "present")]
    id: Field<'a>,
    #[serde(borrow, deserialize_with = "present")]
    device_id: Field<'a>,
    #[serde(borrow, deserialize_with = "present")]
    status: Field<'a>,
    #[serde(borrow, deserialize_with = "present")]
    revision: Field<'a>,
    #[serde(borrow, deserialize_with = "present")]
    created_ts: Field<'a>,
}

enum Kind {
    Provisioned,
    StatusChanged,
    Decommissioned,
}

/// Reads a message that a Mender workflow published (`schemas/mender-event.schema.json`).
pub fn parse_mender(body: &[u8]) -> Result<MenderMessage, Malformed> {
    let message: Message<'_> = json::object(json::checked(body)?)?;
    let kind = message.kind()?;
    let tenant = json::text(message.tenant_id, "tenant_id")?
        .unwrap_or_default()
        .parse()
        .map_err(|error| Malformed::in_field("tenant_id", error))?;
    let devices = match kind {
        Kind::StatusChanged => message.changed()?,
        Kind::Provisioned => vec![message.provisioned()?],
        Kind::Decommissioned => vec![message.decommissioned()?],
    };
    Ok(MenderMessage { tenant, devices })
}

impl Message<'_> {
    /// Without a name, a delete is believed only if the message says nothing else of the device:
    /// a null where a status should be is a mistake of the workflow, not a decommission.
    fn kind(&self) -> Result<Kind, Malformed> {
        match json::text(self.event, "event")?.as_deref() {
            Some("device-provisioned") => Ok(Kind::Provisioned),
            Some("device-status-changed") => Ok(Kind::StatusChanged),
            Some("device-decommissioned") => Ok(Kind::Decommissioned),
            Some(_) => Err(Malformed::because("unknown event")),
            None if self.devices.is_some() => Ok(Kind::StatusChanged),
            None if self.device.is_some() || self.status.is_some() => Ok(Kind::Provisioned),
            None if self.device_id.is_some() => Ok(Kind::Decommissioned),
            None => Err(Malformed::because("the message names no device")),
        }
    }

    fn changed(&self) -> Result<Vec<Result<MenderDevice, BadDevice>>, Malformed> {
        let devices = self
            .devices
            .ok_or(Malformed::because("devices is missing"))?;
        let said = status(self.status)?;
        let list = unquoted(devices.get());
        if json::too_deep(&list) {
            return Err(Malformed::because("devices: nested more than 128 deep"));
        }
        if list.trim() == "null" || list.trim().is_empty() {
            return Ok(Vec::new());
        }
        let items = json::items(&list).ok_or(Malformed::because("devices: not a list"))?;
        if items.len() > MAX_DEVICES {
            return Err(Malformed::because("devices: more than 1000"));
        }
        Ok(items
            .into_iter()
            .map(|item| match json::object::<Object<'_>>(item.get()) {
                Ok(device) => device.read(said),
                Err(malformed) => Err(BadDevice {
                    device: None,
                    malformed,
                }),
            })
            .collect())
    }

    fn provisioned(&self) -> Result<Result<MenderDevice, BadDevice>, Malformed> {
        let object = self.device.map(|device| unquoted(device.get()));
        let mut device = match object.as_deref().filter(|text| text.trim() != "null") {
            Some(text) if json::too_deep(text) => {
                return Err(Malformed::because("device: nested more than 128 deep"));
            }
            Some(text) => json::object::<Object<'_>>(text)
                .map_err(|error| Malformed::in_field("device", error))?,
            None => Object::default(),
        };
        let outer = json::text(self.device_id, "device_id")?;
        let inner = device.id()?;
        if matches!((&outer, &inner), (Some(outer), Some(inner)) if outer != inner) {
            return Err(Malformed::because("device_id contradicts device.id"));
        }
        if inner.is_none() {
            device.device_id = self.device_id;
        }
        let said = status(self.status)?;
        let read = device.read(said);
        if matches!(&read, Ok(device) if device.status == Status::Decommissioned) {
            return Err(Malformed::because(
                "a provisioned device cannot be decommissioned",
            ));
        }
        Ok(read)
    }

    fn decommissioned(&self) -> Result<Result<MenderDevice, BadDevice>, Malformed> {
        let said = status(self.status)?;
        if said.is_some_and(|status| status != Status::Decommissioned) {
            return Err(Malformed::because("status contradicts the decommission"));
        }
        let device = Object {
            device_id: self.device_id,
            ..Object::default()
        };
        Ok(device.read(Some(Status::Decommissioned)))
    }
}

impl Object<'_> {
    /// `device_id`, which old senders use, goes before `id`, as in Mender's own consumer.
    fn id(&self) -> Result<Option<String>, Malformed> {
        match json::text(self.device_id, "device_id")? {
            Some(id) => Ok(Some(id)),
            None => json::text(self.id, "id"),
        }
    }

    /// What the object says; `said` is the status that the message gives for all its devices.
    fn read(&self, said: Option<Status>) -> Result<MenderDevice, BadDevice> {
        let id = self.id().map_err(|malformed| BadDevice {
            device: None,
            malformed,
        })?;
        self.read_of(id.as_deref(), said)
            .map_err(|malformed| BadDevice {
                device: id.filter(|id| id.len() <= MAX_SHOWN_ID),
                malformed,
            })
    }

    fn read_of(&self, id: Option<&str>, said: Option<Status>) -> Result<MenderDevice, Malformed> {
        let device = id
            .ok_or(Malformed::because("the device has no id"))?
            .parse()
            .map_err(|error| Malformed::in_field("device id", error))?;
        let status = match said {
            Some(said) => said,
            None => status(self.status)?.ok_or(Malformed::because("status is missing"))?,
        };
        let revision = json::unsigned(self.revision, "revision")?;
        Ok(MenderDevice {
            device,
            status,
            // A decommission ends every revision; the one it carries (0) means nothing.
            revision: revision.filter(|_| status != Status::Decommissioned),
            created: time::created(self.created_ts, "created_ts")?,
        })
    }
}

/// The JSON text that a JSON string holds, or the text itself if it is no string: some senders
/// encode a value twice.
fn unquoted(text: &str) -> std::borrow::Cow<'_, str> {
    match serde_json::from_str::<String>(text) {
        Ok(inner) => inner.into(),
        Err(_) => text.into(),
    }
}

#[cfg(test)]
#[path = "mender_tests.rs"]
mod tests;
