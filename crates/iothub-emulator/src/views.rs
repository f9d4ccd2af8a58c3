//! How identities and twins look on the wire, field by field in the service's order.
//!
//! Answers are built from structs rather than from JSON maps because clients and tests compare
//! bytes, and because what is omitted and what is `null` differs between the two objects.

use std::fmt::Write;

use ring::digest::{SHA256, digest};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::authentication::{Authentication, AuthenticationType, Thumbprints};
use crate::dates::Ticks;
use crate::identity::{Capabilities, Identity, Status};
use crate::registry::Device;
use crate::twin::{Document, Section};

/// Devices do not connect to this emulator yet, so every one is offline and always was.
const CONNECTION_STATE: &str = "Disconnected";
/// Hex digits of a key's SHA-256 that stand for the key where it must not be shown.
const FINGERPRINT_DIGITS: usize = 16;
/// First api-version in which a twin carries `modelId` (after `2020-05-31-preview`, inclusive).
const MODEL_ID_SINCE: &str = "2020-05-31";
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

impl<'a> IdentityView<'a> {
    fn new(identity: &'a Identity, keys: Keys, date: fn(Ticks) -> String) -> Self {
        let authentication = match keys {
            Keys::Shown => AuthenticationView::Full(&identity.authentication),
            Keys::Hidden => AuthenticationView::Fingerprint {
                kind: identity.authentication.kind,
                fingerprint: identity
                    .authentication
                    .symmetric_key
                    .primary_key
                    .as_deref()
                    .map(fingerprint),
            },
        };
        Self {
            device_id: &identity.device_id,
            generation_id: identity.generation.count().to_string(),
            etag: identity.etag.text(),
            connection_state: CONNECTION_STATE,
            status: identity.status,
            status_reason: identity.status_reason.as_deref(),
            connection_state_updated_time: date(Ticks::NEVER),
            status_updated_time: date(identity.status_updated),
            last_activity_time: date(Ticks::NEVER),
            cloud_to_device_message_count: 0,
            authentication,
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
pub(crate) fn identity(identity: &Identity) -> String {
    to_json(&IdentityView::new(identity, Keys::Shown, with_zone))
}

/// An identity as its creation answers it.
pub(crate) fn created_identity(identity: &Identity) -> String {
    to_json(&IdentityView::new(identity, Keys::Shown, as_created))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TwinView<'a> {
    device_id: &'a str,
    etag: String,
    device_etag: String,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_reason: Option<&'a str>,
    status_update_time: Ticks,
    connection_state: &'static str,
    last_activity_time: Ticks,
    cloud_to_device_message_count: u32,
    authentication_type: AuthenticationType,
    x509_thumbprint: ThumbprintsView<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_id: Option<&'static str>,
    version: u64,
    #[serde(skip_serializing_if = "Document::is_empty")]
    tags: &'a Document,
    properties: PropertiesView<'a>,
    capabilities: Capabilities,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_scope: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    parent_scopes: &'a [String],
}

#[derive(Serialize)]
#[serde(untagged)]
enum ThumbprintsView<'a> {
    Camel(&'a Thumbprints),
    #[serde(rename_all = "PascalCase")]
    Capitals {
        primary_thumbprint: Option<&'a str>,
        secondary_thumbprint: Option<&'a str>,
    },
}

#[derive(Serialize)]
struct PropertiesView<'a> {
    desired: SectionView<'a>,
    reported: SectionView<'a>,
}

struct SectionView<'a>(&'a Section);

impl Serialize for SectionView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in &self.0.values {
            map.serialize_entry(key, value)?;
        }
        map.serialize_entry("$metadata", &self.0.metadata)?;
        map.serialize_entry("$version", &self.0.version)?;
        map.end()
    }
}

impl<'a> TwinView<'a> {
    fn new(device: &'a Device, api_version: &str) -> Self {
        let (identity, twin) = (&device.identity, &device.twin);
        let thumbprints = &identity.authentication.x509_thumbprint;
        let x509_thumbprint = if api_version < CAPITALS_SINCE {
            ThumbprintsView::Camel(thumbprints)
        } else {
            ThumbprintsView::Capitals {
                primary_thumbprint: thumbprints.primary_thumbprint.as_deref(),
                secondary_thumbprint: thumbprints.secondary_thumbprint.as_deref(),
            }
        };
        Self {
            device_id: &identity.device_id,
            etag: twin.etag.text(),
            device_etag: identity.etag.text(),
            status: identity.status,
            status_reason: identity.status_reason.as_deref(),
            status_update_time: identity.status_updated,
            connection_state: CONNECTION_STATE,
            last_activity_time: Ticks::NEVER,
            cloud_to_device_message_count: 0,
            authentication_type: identity.authentication.kind,
            x509_thumbprint,
            model_id: (api_version >= MODEL_ID_SINCE).then_some(""),
            version: twin.etag.version(),
            tags: &twin.tags,
            properties: PropertiesView {
                desired: SectionView(&twin.desired),
                reported: SectionView(&twin.reported),
            },
            capabilities: identity.capabilities,
            device_scope: identity.device_scope.as_deref(),
            parent_scopes: &identity.parent_scopes,
        }
    }
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
}

/// Identity and twin in one object, for the control port.
pub(crate) fn device(device: &Device, keys: Keys) -> String {
    let identity = IdentityView::new(&device.identity, keys, with_zone);
    to_json(&DeviceView {
        identity,
        twin: TwinView::new(device, CAPITALS_SINCE),
    })
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("text keys and plain values always serialize")
}

#[cfg(test)]
#[path = "views_tests.rs"]
mod tests;
