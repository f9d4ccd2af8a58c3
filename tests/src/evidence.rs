//! What a judge goes by: what Mender and the hub hold in the end, as their own control ports tell it.
//!
//! Nothing here comes from the worker: one that is sure of itself and wrong must not get away with
//! it. Keys are compared by fingerprint, so no verdict can show one.

use std::{collections::HashMap, fmt::Write as _};

use anyhow::{Context as _, Result};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Emulator, Simulator};

/// A device's status in Mender, as it is written on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words of Mender")]
pub enum Status {
    Accepted,
    Preauthorized,
    Pending,
    Rejected,
    Noauth,
    Decommissioned,
}

/// What has been published.
#[derive(Debug, Clone, Copy, Default)]
pub struct Published {
    /// Events that the stream confirmed: one for each device that a message names.
    pub events: u64,
    /// Messages that the stream confirmed.
    pub messages: u64,
    /// Messages sent again although the first one may have been stored.
    pub repeated: u64,
}

/// What Mender holds of one device.
#[derive(Debug, Clone)]
pub struct Truth {
    /// Its status.
    pub status: Status,
    /// Fingerprint of the key in the connection string that was last deployed to the device.
    pub delivered_key: Option<String>,
    /// How often its configuration was deployed.
    pub deployments: u64,
}

/// One identity, as far as it is judged.
#[derive(Debug, Clone, Deserialize)]
pub struct Identity {
    status: String,
    authentication: Authentication,
}

#[derive(Debug, Clone, Deserialize)]
struct Authentication {
    fingerprint: Option<String>,
}

impl Identity {
    /// One that a test of a judge needs.
    #[must_use]
    pub fn new(enabled: bool, fingerprint: Option<&str>) -> Self {
        Self {
            status: if enabled { "enabled" } else { "disabled" }.to_owned(),
            authentication: Authentication {
                fingerprint: fingerprint.map(str::to_owned),
            },
        }
    }

    /// Whether the device may connect.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.status == "enabled"
    }

    /// The first 16 hex digits of SHA-256 of the primary key's text.
    #[must_use]
    pub fn key_fingerprint(&self) -> Option<&String> {
        self.authentication.fingerprint.as_ref()
    }
}

/// Every identity in the hub, by device id.
pub async fn identities(emulator: &Emulator) -> Result<HashMap<String, Identity>> {
    let devices = emulator.devices().await?;
    let identity = |device: Value| {
        let id = device["deviceId"].as_str().map(str::to_owned);
        let id = id.context("the hub holds an identity without deviceId")?;
        Ok((id, serde_json::from_value(device)?))
    };
    devices.into_iter().map(identity).collect()
}

/// The hub's whole answer about one identity, keys included; not to be shown to anybody.
pub async fn bytes_of(emulator: &Emulator, id: &str) -> Result<Option<String>> {
    let (status, text) = emulator
        .control()
        .ask(&format!("/devices/{id}?keys=true"))
        .await?;
    Ok(status.is_success().then_some(text))
}

/// All devices of Mender by id, and what was published in all.
pub async fn truth(simulator: &Simulator) -> Result<(HashMap<String, Truth>, Published)> {
    let shown: Shown = simulator.control().get("/simulator/truth").await?;
    let published = Published {
        events: shown.events_published,
        messages: shown.messages_published,
        repeated: shown.messages_repeated,
    };
    let devices = shown.devices.into_iter();
    let truths = devices.map(|device| (device.id.clone(), device.truth()));
    Ok((truths.collect(), published))
}

#[derive(Deserialize)]
struct Shown {
    devices: Vec<ShownDevice>,
    events_published: u64,
    messages_published: u64,
    messages_repeated: u64,
}

#[derive(Deserialize)]
struct ShownDevice {
    id: String,
    status: Status,
    delivered: Option<String>,
    deployments: u64,
}

impl ShownDevice {
    fn truth(self) -> Truth {
        let delivered = self.delivered.as_deref();
        Truth {
            status: self.status,
            delivered_key: delivered.and_then(|it| key_fingerprint(it, &self.id)),
            deployments: self.deployments,
        }
    }
}

/// The first 16 hex digits of SHA-256 of the key's text, as the hub shows it. Nothing if the
/// connection string is another device's.
fn key_fingerprint(connection_string: &str, device: &str) -> Option<String> {
    let part = |name| {
        let mut parts = connection_string.split(';');
        parts.find_map(|part| part.strip_prefix(name))
    };
    let key = part("SharedAccessKey=").filter(|_| part("DeviceId=") == Some(device))?;
    let hash = digest(&SHA256, key.as_bytes());
    let mut text = String::new();
    for byte in &hash.as_ref()[..8] {
        write!(text, "{byte:02x}").ok()?;
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_of_the_key_alone_and_of_the_device_itself() {
        let fingerprint = |text| key_fingerprint(text, "d");
        let one = fingerprint("HostName=h;DeviceId=d;SharedAccessKey=abc=").unwrap();
        let same = fingerprint("HostName=i;DeviceId=d;SharedAccessKey=abc=").unwrap();
        assert_eq!((&one, one.len()), (&same, 16));
        assert_ne!(fingerprint("DeviceId=d;SharedAccessKey=abd="), Some(one));
        assert_eq!(fingerprint("DeviceId=e;SharedAccessKey=abc="), None);
        assert_eq!(fingerprint("HostName=h;DeviceId=d"), None);
    }
}
