//! How identities and twins look on the wire, field by field in the service's order.
//!
//! Answers are built from structs rather than from JSON maps because clients and tests compare
//! bytes, and because what is omitted and what is `null` differs between the two objects.

pub(crate) mod modules;
mod twins;

use std::fmt::Write;

use ring::digest::{SHA256, digest};
use serde::Serialize;

use crate::authentication::{Authentication, AuthenticationType};
use crate::dates::Ticks;
use crate::identity::{Capabilities, Status};
use crate::registry::Device;
use modules::ModuleView;
pub(crate) use twins::SectionView;
use twins::TwinView;

/// Hex digits of a key's SHA-256 that stand for the key where it must not be shown.
const FINGERPRINT_DIGITS: usize = 16;
/// First api-version seen to capitalise the thumbprint names of a twin.
const CAPITALS_SINCE: &str = "2021-04-12";

/// Whether to print keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    /// As they are.
    Shown,
    /// Only a fingerprint of the primary one.
    Hidden,
}

/// How a date is printed.
type Date = fn(Ticks) -> String;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IdentityView<'a> {
    device_id: &'a str,
    generation_id: String,
    etag: String,
    connection_state: &'static str,
    status: Status,
    status_reason: Option<&'a str>,
    connection_state_updated_time: String,
    status_updated_time: String,
    last_activity_time: String,
    cloud_to_device_message_count: u32,
    authentication: AuthenticationView<'a>,
    capabilities: Capabilities,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_scope: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    parent_scopes: &'a [String],
}

#[derive(Serialize)]
#[serde(untagged)]
enum AuthenticationView<'a> {
    Full(&'a Authentication),
    Fingerprint {
        #[serde(rename = "type")]
        kind: AuthenticationType,
        fingerprint: Option<String>,
    },
}

impl<'a> AuthenticationView<'a> {
    fn new(authentication: &'a Authentication, keys: Keys) -> Self {
        match keys {
            Keys::Shown => Self::Full(authentication),
            Keys::Hidden => Self::Fingerprint {
                kind: authentication.kind,
                fingerprint: authentication
                    .symmetric_key
                    .primary_key
                    .as_deref()
                    .map(fingerprint),
            },
        }
    }
}

impl<'a> IdentityView<'a> {
    fn new(device: &'a Device, keys: Keys, date: Date) -> Self {
        let (identity, queued) = (&device.identity, device.queued_messages);
        Self {
            device_id: &identity.device_id,
            generation_id: identity.generation.count().to_string(),
            etag: identity.etag.text(),
            connection_state: device.life.state(),
            status: identity.status,
            status_reason: identity.status_reason.as_deref(),
            connection_state_updated_time: date(device.life.since),
            status_updated_time: date(identity.status_updated),
            last_activity_time: date(device.life.active),
            cloud_to_device_message_count: queued,
            authentication: AuthenticationView::new(&identity.authentication, keys),
            capabilities: identity.capabilities,
            device_scope: identity.device_scope.as_deref(),
            parent_scopes: &identity.parent_scopes,
        }
    }
}

/// Sixteen hex digits that change when the key does and do not give it away.
pub(crate) fn fingerprint(key: &str) -> String {
    let mut text = String::with_capacity(FINGERPRINT_DIGITS);
    for byte in &digest(&SHA256, key.as_bytes()).as_ref()[..FINGERPRINT_DIGITS / 2] {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
    }
    text
}

/// The date as everything but create answers print it.
fn with_zone(date: Ticks) -> String {
    date.to_string()
}

/// In the answer to a create, and only there, "never" lacks its `Z`.
fn as_created(date: Ticks) -> String {
    if date == Ticks::NEVER {
        date.without_zone()
    } else {
        date.to_string()
    }
}

/// An identity as GET, list and updates answer it.
pub(crate) fn identity(device: &Device) -> String {
    to_json(&IdentityView::new(device, Keys::Shown, with_zone))
}

/// An identity as its creation answers it.
pub(crate) fn created_identity(device: &Device) -> String {
    to_json(&IdentityView::new(device, Keys::Shown, as_created))
}

/// A twin, in the dialect of an api-version.
pub(crate) fn twin(device: &Device, api_version: &str) -> String {
    to_json(&TwinView::new(device, api_version))
}

#[derive(Serialize)]
struct DeviceView<'a> {
    #[serde(flatten)]
    identity: IdentityView<'a>,
    twin: TwinView<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    modules: Vec<ModuleWhole<'a>>,
}

#[derive(Serialize)]
struct ModuleWhole<'a> {
    #[serde(flatten)]
    identity: ModuleView<'a>,
    twin: TwinView<'a>,
}

/// Identity, twin and modules in one object, for the control port.
pub(crate) fn device(device: &Device, keys: Keys) -> String {
    let id = &device.identity.device_id;
    let whole = |module| ModuleWhole {
        identity: ModuleView::new(id, module, keys, with_zone),
        twin: TwinView::of_module(id, module, CAPITALS_SINCE),
    };
    to_json(&DeviceView {
        identity: IdentityView::new(device, keys, with_zone),
        twin: TwinView::new(device, CAPITALS_SINCE),
        modules: device.modules.values().map(whole).collect(),
    })
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("text keys and plain values always serialize")
}

#[cfg(test)]
mod tests;
