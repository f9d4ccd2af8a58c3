//! What Mender is told to do and what it holds: the simulator's side of the story.

use std::{collections::HashMap, fmt::Write as _};

use anyhow::Result;
use black_box::Simulator;
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use serde_json::{Value, json};

use super::fleet::{Change, Status};

/// The fleet's tenant: open-source Mender has none.
const TENANT: &str = "";
/// Devices in one request to the simulator.
const CHUNK: usize = 2_000;

/// What has been published.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct Published {
    /// Events: one for each device that a message names.
    #[serde(rename = "published")]
    pub(super) events: u64,
    /// Messages.
    pub(super) messages: u64,
}

/// What Mender holds of one device.
#[derive(Debug, Clone)]
pub(super) struct Truth {
    pub(super) status: Status,
    /// Fingerprint of the key in the connection string that was stored for the device.
    pub(super) delivered_key: Option<String>,
    /// How often its configuration was deployed.
    pub(super) deployments: u64,
}

/// Makes devices that nobody has decided about; they are not published.
pub(super) async fn make(simulator: &Simulator, count: usize) -> Result<Vec<String>> {
    let order = json!({"tenant": TENANT, "count": count, "publish": false});
    let made: Made = simulator
        .control()
        .post("/simulator/devices", &order)
        .await?;
    Ok(made.ids)
}

#[derive(Deserialize)]
struct Made {
    ids: Vec<String>,
}

/// Changes statuses; the events are held back until [`release`]. One message in `twice` comes twice.
pub(super) async fn change(simulator: &Simulator, changes: &[Change], twice: u64) -> Result<()> {
    for changes in changes.chunks(CHUNK) {
        let order = json!({
            "tenant": TENANT, "changes": changes, "duplicate": twice, "hold": true,
        });
        let path = "/simulator/devices/status";
        simulator.control().post::<Value>(path, &order).await?;
    }
    Ok(())
}

/// Decommissions devices; the events are held back until [`release`].
pub(super) async fn decommission(simulator: &Simulator, ids: &[String], twice: u64) -> Result<()> {
    for ids in ids.chunks(CHUNK) {
        let order = json!({"tenant": TENANT, "ids": ids, "duplicate": twice, "hold": true});
        let path = "/simulator/devices/decommission";
        simulator.control().post::<Value>(path, &order).await?;
    }
    Ok(())
}

/// Publishes everything that was held back, in an order that `seed` decides.
pub(super) async fn release(simulator: &Simulator, seed: u64) -> Result<()> {
    let order = json!({ "shuffle_seed": seed });
    let path = "/simulator/release";
    simulator.control().post::<Value>(path, &order).await?;
    Ok(())
}

/// Publishes a message just as it is.
pub(super) async fn publish_raw(simulator: &Simulator, body: &str) -> Result<()> {
    let order = json!({"subject": "WORKFLOWS.lifecycle.device.status", "body": body});
    simulator
        .control()
        .post::<Value>("/simulator/raw", &order)
        .await?;
    Ok(())
}

/// All devices by id, and what was published in all.
pub(super) async fn truth(simulator: &Simulator) -> Result<(HashMap<String, Truth>, Published)> {
    let shown: Shown = simulator.control().get("/simulator/truth").await?;
    let published = Published {
        events: shown.events_published,
        messages: shown.messages_published,
    };
    let devices = shown.devices.into_iter();
    let truths = devices.map(|device| (device.id.clone(), device.truth()));
    Ok((truths.collect(), published))
}

/// All devices as the simulator shows them, but for the connection strings.
pub(super) async fn devices(simulator: &Simulator) -> Result<Vec<Value>> {
    let mut shown: Value = simulator.control().get("/simulator/truth").await?;
    let devices = shown["devices"].as_array_mut().map(std::mem::take);
    let mut devices = devices.unwrap_or_default();
    for device in &mut devices {
        device["delivered"] = Value::Bool(!device["delivered"].is_null());
    }
    Ok(devices)
}

#[derive(Deserialize)]
struct Shown {
    devices: Vec<ShownDevice>,
    events_published: u64,
    messages_published: u64,
}

#[derive(Deserialize)]
struct ShownDevice {
    id: String,
    status: Status,
    delivered: Option<Value>,
    deployments: u64,
}

impl ShownDevice {
    fn truth(self) -> Truth {
        let connection_string = self
            .delivered
            .as_ref()
            .and_then(|it| it["azureConnectionString"].as_str());
        Truth {
            status: self.status,
            delivered_key: connection_string.and_then(key_fingerprint),
            deployments: self.deployments,
        }
    }
}

/// The first 16 hex digits of SHA-256 of the key's text, as the hub shows it.
fn key_fingerprint(connection_string: &str) -> Option<String> {
    let mut parts = connection_string.split(';');
    let key = parts.find_map(|part| part.strip_prefix("SharedAccessKey="))?;
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
    fn a_fingerprint_is_of_the_key_alone() {
        let fingerprint = key_fingerprint("HostName=h;DeviceId=d;SharedAccessKey=abc=").unwrap();
        let other = key_fingerprint("HostName=i;DeviceId=e;SharedAccessKey=abc=").unwrap();
        assert_eq!(fingerprint, other);
        assert_eq!(fingerprint.len(), 16);
        assert_eq!(key_fingerprint("HostName=h;DeviceId=d"), None);
    }
}
