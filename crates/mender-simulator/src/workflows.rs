//! Which messages a change puts on the stream.
//!
//! The shape depends on the server's version: main sends one message for the first acceptance of a
//! device, v4 sends two, and v4 names devices shortly wherever main shows them whole.

use crate::fleet::{Change, Device, DeviceKey};
use crate::options::ServerVersion;
use crate::status::Status;
use crate::wire::{self, Decommissioned, EventDevice, Provisioned, StatusChanged};

const PROVISION: &str = "lifecycle.device.provision";
const STATUS: &str = "lifecycle.device.status";
const DECOMMISSION: &str = "lifecycle.device.decommission";

/// One message for the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// Without the name of the stream in front.
    pub(crate) subject: String,
    pub(crate) body: Vec<u8>,
    /// How many events it holds: one for each device in it.
    pub(crate) events: u64,
    /// The device that is gone once this is published.
    pub(crate) finishes: Option<DeviceKey>,
}

impl Message {
    fn new(subject: &str, body: Vec<u8>) -> Self {
        Self {
            subject: subject.to_owned(),
            body,
            events: 1,
            finishes: None,
        }
    }
}

/// What a status change sends.
pub(crate) fn changed(version: ServerVersion, change: &Change, request_id: &str) -> Vec<Message> {
    let device = &change.device;
    let mut messages = Vec::new();
    if !change.provisions || version.is_v4() {
        messages.push(status(version, device, request_id));
    }
    if change.provisions {
        let shape = if version.is_v4() {
            EventDevice::Full(Box::new(device.into()))
        } else {
            EventDevice::Main(device.into())
        };
        let body = wire::encode(&Provisioned::new(device, shape, request_id));
        messages.push(Message::new(PROVISION, body));
    }
    messages
}

/// The status of a device, as after a change.
pub(crate) fn status(version: ServerVersion, device: &Device, request_id: &str) -> Message {
    let shape = if version.is_v4() {
        EventDevice::Short(device.into())
    } else {
        EventDevice::Main(device.into())
    };
    let body = wire::encode(&StatusChanged::new(device, shape, request_id));
    Message::new(STATUS, body)
}

/// What a decommissioning sends.
pub(crate) fn decommissioned(device: &Device, request_id: &str) -> Message {
    let mut message = if device.status == Status::Preauthorized {
        let event = StatusChanged::preauthorized_gone(device, request_id);
        Message::new(STATUS, wire::encode(&event))
    } else {
        let event = Decommissioned::new(device, request_id);
        Message::new(DECOMMISSION, wire::encode(&event))
    };
    message.finishes = Some(device.key.clone());
    message
}

/// A message as somebody wrote it. What holds no list of devices is one event, because it will be
/// one dead letter.
pub(crate) fn raw(subject: &str, body: Vec<u8>, events: Option<u64>) -> Message {
    Message {
        events: events.unwrap_or_else(|| events_in(&body)),
        ..Message::new(subject, body)
    }
}

fn events_in(body: &[u8]) -> u64 {
    let message: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let devices = match &message["devices"] {
        // Old senders pass the list as text.
        serde_json::Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
        other => other.clone(),
    };
    devices.as_array().map_or(1, |devices| devices.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(provisions: bool) -> Change {
        let key = DeviceKey {
            tenant: String::new(),
            id: "d".to_owned(),
        };
        let device = Device {
            key,
            status: Status::Accepted,
            revision: 3,
            created: jiff::Timestamp::UNIX_EPOCH,
            updated: jiff::Timestamp::UNIX_EPOCH,
            provisioned: false,
            decommissioning: false,
            auth_set: "a".to_owned(),
        };
        Change { device, provisions }
    }

    #[track_caller]
    fn check(version: ServerVersion, provisions: bool, subjects: &[&str]) {
        let messages = changed(version, &change(provisions), "r");
        let sent: Vec<_> = messages.iter().map(|message| &message.subject).collect();
        assert_eq!(sent, subjects);
    }

    #[test]
    fn main_sends_one_message_whatever_happens() {
        check(ServerVersion::Main, true, &[PROVISION]);
        check(ServerVersion::Main, false, &[STATUS]);
    }

    #[test]
    fn v4_sends_two_for_the_first_acceptance() {
        check(ServerVersion::V40, true, &[STATUS, PROVISION]);
        check(ServerVersion::V41, false, &[STATUS]);
    }

    #[test]
    fn a_preauthorized_device_goes_with_a_status_event() {
        let mut device = change(false).device;
        let message = decommissioned(&device, "r");
        assert_eq!(message.subject, DECOMMISSION);
        assert_eq!(message.finishes, Some(device.key.clone()));
        device.status = Status::Preauthorized;
        assert_eq!(decommissioned(&device, "r").subject, STATUS);
    }

    #[test]
    fn events_are_counted_by_devices() {
        let count = |body: &str| raw("s", body.as_bytes().to_vec(), None).events;
        assert_eq!(count(r#"{"devices":[{"id":"a"},{"id":"b"}]}"#), 2);
        assert_eq!(count(r#"{"devices":"[{\"id\":\"a\"},{\"id\":\"b\"}]"}"#), 2);
        assert_eq!(count(r#"{"devices":[]}"#), 0);
        assert_eq!(count(r#"{"device_id":"a"}"#), 1);
        assert_eq!(count("{ not json"), 1);
        assert_eq!(raw("s", Vec::new(), Some(4)).events, 4);
    }
}
