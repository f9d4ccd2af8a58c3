//! The bytes that Mender puts on the stream, and the devices that deviceauth shows.
//!
//! The workflows worker writes JSON as Go's encoder does: keys sorted, no blanks, and `&`, `<`,
//! `>` and the two line separators of Unicode escaped. So the fields here stand in alphabetical
//! order on purpose (the order of a struct is the order of its JSON), and the formatter adds the
//! escapes.

use std::collections::BTreeMap;
use std::io;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::ser::Formatter;

use crate::fleet::Device;
use crate::status::Status;

/// Sent on the first acceptance of a device.
#[derive(Serialize)]
pub(crate) struct Provisioned<'a> {
    device: EventDevice<'a>,
    device_id: &'a str,
    event: &'static str,
    request_id: &'a str,
    status: &'static str,
    tenant_id: &'a str,
}

/// Sent when devices change their status.
#[derive(Serialize)]
pub(crate) struct StatusChanged<'a> {
    devices: Vec<EventDevice<'a>>,
    event: &'static str,
    request_id: &'a str,
    status: &'static str,
    tenant_id: &'a str,
}

/// Sent when a device is decommissioned.
#[derive(Serialize)]
pub(crate) struct Decommissioned<'a> {
    device_id: &'a str,
    event: &'static str,
    request_id: &'a str,
    tenant_id: &'a str,
}

/// A device within an event; which shape it has depends on event and version.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum EventDevice<'a> {
    /// Of main, in every event.
    Main(MainDevice<'a>),
    /// Of v4, in `provision_device`.
    Full(Box<FullDevice<'a>>),
    /// Of v4, in `update_device_status`, and of every version when a preauthorized device goes.
    Short(ShortDevice<'a>),
}

/// A device in the events of main.
#[derive(Serialize)]
pub(crate) struct MainDevice<'a> {
    auth_sets: Vec<AuthSet<'a>>,
    created_ts: Timestamp,
    id: &'a str,
    revision: u64,
    status: &'static str,
}

/// A device in deviceauth's lists, and in v4's `provision_device`. It has no revision.
#[derive(Serialize)]
pub(crate) struct FullDevice<'a> {
    auth_sets: Vec<AuthSet<'a>>,
    check_in_time: Timestamp,
    created_ts: Timestamp,
    decommissioning: bool,
    id: &'a str,
    identity_data: BTreeMap<&'static str, String>,
    status: &'static str,
    updated_ts: Timestamp,
}

/// A device by its name.
#[derive(Serialize)]
pub(crate) struct ShortDevice<'a> {
    id: &'a str,
    revision: u64,
}

#[derive(Serialize)]
struct AuthSet<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    device_id: Option<&'a str>,
    id: &'a str,
    identity_data: BTreeMap<&'static str, String>,
    pubkey: String,
    status: &'static str,
    ts: Timestamp,
}

impl<'a> Provisioned<'a> {
    pub(crate) fn new(device: &'a Device, shape: EventDevice<'a>, request_id: &'a str) -> Self {
        Self {
            device: shape,
            device_id: &device.key.id,
            event: "device-provisioned",
            request_id,
            status: device.status.as_str(),
            tenant_id: &device.key.tenant,
        }
    }
}

impl<'a> StatusChanged<'a> {
    pub(crate) fn new(device: &'a Device, shape: EventDevice<'a>, request_id: &'a str) -> Self {
        Self {
            devices: vec![shape],
            event: "device-status-changed",
            request_id,
            status: device.status.as_str(),
            tenant_id: &device.key.tenant,
        }
    }

    /// A preauthorized device was deleted: a status that no device ever has, and revision 0.
    pub(crate) fn preauthorized_gone(device: &'a Device, request_id: &'a str) -> Self {
        let shape = EventDevice::Short(ShortDevice {
            id: &device.key.id,
            revision: 0,
        });
        Self {
            status: "decommissioned",
            ..Self::new(device, shape, request_id)
        }
    }
}

impl<'a> Decommissioned<'a> {
    pub(crate) fn new(device: &'a Device, request_id: &'a str) -> Self {
        Self {
            device_id: &device.key.id,
            event: "device-decommissioned",
            request_id,
            tenant_id: &device.key.tenant,
        }
    }
}

impl<'a> From<&'a Device> for MainDevice<'a> {
    fn from(device: &'a Device) -> Self {
        Self {
            auth_sets: auth_sets(device, Some(&device.key.id)),
            created_ts: device.created,
            id: &device.key.id,
            revision: device.revision,
            status: device.status.as_str(),
        }
    }
}

impl<'a> From<&'a Device> for FullDevice<'a> {
    fn from(device: &'a Device) -> Self {
        Self {
            auth_sets: auth_sets(device, None),
            check_in_time: device.updated,
            created_ts: device.created,
            decommissioning: device.decommissioning,
            id: &device.key.id,
            identity_data: identity_data(device),
            status: device.status.as_str(),
            updated_ts: device.updated,
        }
    }
}

impl<'a> From<&'a Device> for ShortDevice<'a> {
    fn from(device: &'a Device) -> Self {
        Self {
            id: &device.key.id,
            revision: device.revision,
        }
    }
}

fn auth_sets<'a>(device: &'a Device, device_id: Option<&'a str>) -> Vec<AuthSet<'a>> {
    if device.status == Status::NoAuth {
        return Vec::new();
    }
    vec![AuthSet {
        device_id,
        id: &device.auth_set,
        identity_data: identity_data(device),
        pubkey: public_key(device),
        status: device.status.as_str(),
        ts: device.created,
    }]
}

/// Something that differs between devices and never changes for one.
fn identity_data(device: &Device) -> BTreeMap<&'static str, String> {
    let bytes = device.key.id.bytes();
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let pairs = hash.to_be_bytes().map(|byte| format!("{byte:02x}"));
    let mac = pairs[..6].join(":");
    BTreeMap::from([("mac", mac)])
}

/// Looks like a key to a parser of events; nobody verifies anything with it.
fn public_key(device: &Device) -> String {
    let body = device.auth_set.replace('-', "");
    format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n")
}

/// The JSON of a value, written as Go's encoder writes it.
pub(crate) fn encode(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Go);
    value
        .serialize(&mut serializer)
        .expect("these types have text keys only, and a Vec takes every byte");
    bytes
}

struct Go;

impl Formatter for Go {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        let mut rest = fragment;
        while let Some(at) = rest.find(['&', '<', '>', '\u{2028}', '\u{2029}']) {
            let (plain, tail) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut characters = tail.chars();
            if let Some(special) = characters.next() {
                write!(writer, "\\u{:04x}", u32::from(special))?;
            }
            rest = characters.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
