//! The bodies of control calls, read strictly: a misspelt key would make a test prove nothing.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::control_errors::ControlError;
use crate::delivery::{Delivery, MAX_DUPLICATE};
use crate::fleet::DeviceKey;
use crate::status::Status;

/// Most devices that one call may make.
const MAX_DEVICES: usize = 100_000;

/// `POST /simulator/devices`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Additions {
    #[serde(default)]
    pub(crate) tenant: String,
    count: Option<usize>,
    devices: Option<Vec<DeviceOrder>>,
    /// Whether events tell of the new devices.
    #[serde(default)]
    pub(crate) publish: bool,
}

/// One device to be made.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceOrder {
    pub(crate) id: Option<String>,
    pub(crate) created_ts: Option<Timestamp>,
    #[serde(default = "pending")]
    pub(crate) status: Status,
}

fn pending() -> Status {
    Status::Pending
}

impl Additions {
    /// The devices, one way or the other.
    pub(crate) fn orders(&self) -> Result<Vec<DeviceOrder>, ControlError> {
        let any = DeviceOrder {
            id: None,
            created_ts: None,
            status: Status::Pending,
        };
        let orders = match (self.count, &self.devices) {
            (Some(count), None) if count <= MAX_DEVICES => vec![any; count],
            (None, Some(devices)) if devices.len() <= MAX_DEVICES => devices.clone(),
            (Some(_), None) | (None, Some(_)) => {
                return Err(body(format!("at most {MAX_DEVICES} devices at once")));
            }
            _ => return Err(body("either `count` or `devices`")),
        };
        Ok(orders)
    }
}

/// `POST /simulator/devices/status`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Statuses {
    #[serde(default)]
    tenant: String,
    id: Option<String>,
    status: Option<Status>,
    changes: Option<Vec<StatusOrder>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusOrder {
    id: String,
    status: Status,
}

impl Statuses {
    /// The changes in their order, one way or the other.
    pub(crate) fn changes(self) -> Result<Vec<(DeviceKey, Status)>, ControlError> {
        let orders = match (self.id, self.status, self.changes) {
            (Some(id), Some(status), None) => vec![StatusOrder { id, status }],
            (None, None, Some(changes)) => changes,
            _ => return Err(body("either `id` and `status`, or `changes`")),
        };
        let keyed = |order: StatusOrder| (key(&self.tenant, order.id), order.status);
        Ok(orders.into_iter().map(keyed).collect())
    }
}

/// `POST /simulator/devices/decommission`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decommission {
    #[serde(default)]
    tenant: String,
    ids: Vec<String>,
}

impl Decommission {
    /// The devices to go.
    pub(crate) fn keys(self) -> Vec<DeviceKey> {
        let keyed = |id| key(&self.tenant, id);
        self.ids.into_iter().map(keyed).collect()
    }
}

/// `POST /simulator/raw`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Raw {
    pub(crate) subject: String,
    body: Option<String>,
    body_base64: Option<String>,
    /// How many events it is, where that is not what it looks like.
    pub(crate) events: Option<u64>,
}

impl Raw {
    /// The bytes to publish, and the subject if it is one.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, ControlError> {
        let token = |token: &str| {
            let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '*' | '>');
            !token.is_empty() && !token.contains(bad)
        };
        if !self.subject.split('.').all(token) {
            return Err(body("`subject` is none that can be published to"));
        }
        match (&self.body, &self.body_base64) {
            (Some(text), None) => Ok(text.clone().into_bytes()),
            (None, Some(text)) => STANDARD
                .decode(text)
                .map_err(|error| body(format!("`body_base64`: {error}"))),
            _ => Err(body("either `body` or `body_base64`")),
        }
    }
}

/// `POST /simulator/release`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Release {
    pub(crate) shuffle_seed: Option<u64>,
}

/// Reads a body; an empty one is an empty object.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ControlError> {
    let bytes = if bytes.is_empty() { b"{}" } else { bytes };
    serde_json::from_slice(bytes).map_err(|error| body(error.to_string()))
}

/// Reads a body that says also how its events are delivered.
pub(crate) fn read_with_delivery<T: DeserializeOwned>(
    bytes: &[u8],
) -> Result<(T, Delivery), ControlError> {
    let mut order: Map<String, Value> = read(bytes)?;
    let mut delivery = Map::new();
    for name in ["duplicate", "shuffle_seed", "hold", "lose"] {
        delivery.extend(order.remove_entry(name));
    }
    let delivery: Delivery = value(delivery)?;
    if delivery.duplicate > MAX_DUPLICATE {
        return Err(body(format!("`duplicate` is at most {MAX_DUPLICATE}")));
    }
    Ok((value(order)?, delivery))
}

fn value<T: DeserializeOwned>(map: Map<String, Value>) -> Result<T, ControlError> {
    serde_json::from_value(Value::Object(map)).map_err(|error| body(error.to_string()))
}

fn key(tenant: &str, id: String) -> DeviceKey {
    DeviceKey {
        tenant: tenant.to_owned(),
        id,
    }
}

fn body(reason: impl Into<String>) -> ControlError {
    ControlError::Body(reason.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_call_names_one_device_or_many() {
        let read = |text: &str| read_with_delivery::<Statuses>(text.as_bytes());
        let (one, delivery) = read(r#"{"id":"a","status":"dismissed","duplicate":2}"#).expect("ok");
        assert_eq!(one.changes().expect("one").len(), 1);
        assert_eq!(delivery.duplicate, 2);
        let many = r#"{"tenant":"t","changes":[{"id":"a","status":"accepted"},
            {"id":"a","status":"rejected"}],"shuffle_seed":7,"hold":true}"#;
        let (many, delivery) = read(many).expect("ok");
        let changes = many.changes().expect("two");
        assert_eq!(changes[1], (key("t", "a".to_owned()), Status::Rejected));
        assert_eq!((delivery.shuffle_seed, delivery.hold), (Some(7), true));
        let (both, _) = read(r#"{"id":"a","status":"accepted","changes":[]}"#).expect("read");
        assert!(both.changes().is_err());
    }

    #[test]
    fn misspelt_keys_are_refused() {
        assert!(read_with_delivery::<Statuses>(br#"{"changes":[],"duplicates":1}"#).is_err());
        assert!(read_with_delivery::<Statuses>(br#"{"changes":[],"duplicate":101}"#).is_err());
        assert!(read_with_delivery::<Statuses>(br#"{"id":"a","status":"Accepted"}"#).is_err());
        assert!(read::<Additions>(br#"{"coutn":1}"#).is_err());
    }

    #[test]
    fn devices_are_counted_or_listed() {
        let orders = |text: &str| read::<Additions>(text.as_bytes()).expect("read").orders();
        assert_eq!(
            orders(r#"{"count":3}"#).map(|orders| orders.len()).ok(),
            Some(3)
        );
        assert_eq!(
            orders(r#"{"devices":[{}]}"#)
                .map(|orders| orders.len())
                .ok(),
            Some(1)
        );
        assert!(orders("{}").is_err());
        assert!(orders(r#"{"count":1,"devices":[]}"#).is_err());
        assert!(orders(r#"{"count":100001}"#).is_err());
    }

    #[test]
    fn raw_bytes_need_a_subject_to_go_to() {
        let bytes = |text: &str| read::<Raw>(text.as_bytes()).expect("read").bytes();
        assert_eq!(bytes(r#"{"subject":"a.b","body":"{"}"#), Ok(b"{".to_vec()));
        assert_eq!(
            bytes(r#"{"subject":"a","body_base64":"/w=="}"#),
            Ok(vec![0xff])
        );
        assert!(bytes(r#"{"subject":"a..b","body":""}"#).is_err());
        assert!(bytes(r#"{"subject":"a.>","body":""}"#).is_err());
        assert!(bytes(r#"{"subject":"a"}"#).is_err());
        assert!(bytes(r#"{"subject":"a","body_base64":"?"}"#).is_err());
    }
}
