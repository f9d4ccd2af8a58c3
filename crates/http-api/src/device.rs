//! Devices as Mender's workflows send them.

use lifecycle::{DeviceRef, Event, EventId, Status, Timestamp};
use messages::{DeviceId, TenantId};
use uuid::Uuid;

use crate::json::{Object, Wrong};

/// What an event is about; the first part of its name, so that the log can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Provision,
    Status,
    Decommission,
}

impl Kind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Provision => "http-provision",
            Self::Status => "http-status",
            Self::Decommission => "http-decommission",
        }
    }
}

/// The parts of a device that matter here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    /// As sent; may be empty.
    pub(crate) id: String,
    /// As sent; may be empty.
    pub(crate) status: String,
    pub(crate) revision: Option<u64>,
    pub(crate) created: Option<Timestamp>,
}

impl Device {
    /// Reads a device, auth sets included: a wrong type there is an error too.
    pub(crate) fn read(text: &str) -> Result<Self, Wrong> {
        let object = Object::read(text)?;
        // The old name goes before the new one.
        let id = match object.text("device_id")? {
            id if id.is_empty() => object.text("id")?,
            id => id,
        };
        for set in object.array("auth_sets")? {
            auth_set(set)?;
        }
        Ok(Self {
            id,
            status: object.text("status")?,
            revision: object.unsigned("revision")?,
            created: time(&object, "created_ts")?,
        })
    }

    /// What Mender says of the device, as an event of its own: that a call was repeated is found out
    /// by what it says, since workflows repeat it without a name.
    pub(crate) fn into_event(
        self,
        kind: Kind,
        tenant: TenantId,
        device: DeviceId,
        status: Status,
    ) -> Event {
        let is_final = status == Status::Decommissioned;
        Event {
            id: EventId(format!("{}-{}", kind.as_str(), Uuid::new_v4())),
            about: DeviceRef { tenant, device },
            status,
            revision: self.revision.filter(|_| !is_final),
            created: self.created,
            replay: 0,
        }
    }
}

fn auth_set(text: &str) -> Result<(), Wrong> {
    let within = |Wrong(text)| Wrong(format!("auth_sets: {text}"));
    let set = Object::read(text).map_err(within)?;
    for name in ["id", "device_id", "pubkey", "status"] {
        set.text(name).map_err(within)?;
    }
    set.object("identity_data").map_err(within)?;
    time(&set, "ts").map_err(within).map(drop)
}

fn time(object: &Object<'_>, name: &str) -> Result<Option<Timestamp>, Wrong> {
    match object.text(name)? {
        text if text.is_empty() => Ok(None),
        text => messages::created_time(&text).map_err(|error| Wrong(format!("{name}: {error}"))),
    }
}
