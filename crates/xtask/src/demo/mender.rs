//! What Mender is told to do and what it holds: the simulator's side of the story.

use std::{collections::HashMap, fmt::Write as _};

use anyhow::Result;
use black_box::Simulator;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::fleet::{Change, Status};

/// The fleet's tenant: open-source Mender has none.
const TENANT: &str = "";
/// One message in so many comes twice.
const TWICE: usize = 10;

/// What has been published.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Published {
    /// Events: one for each device that a message names.
    pub(super) events: u64,
    /// Messages.
    pub(super) messages: u64,
}

/// What Mender holds of one device.
#[derive(Debug, Clone)]
pub(super) struct Truth {
    pub(super) status: Status,
    /// Fingerprint of the key in the connection string that was last deployed to the device.
    pub(super) delivered_key: Option<String>,
    /// How often its configuration was deployed.
    pub(super) deployments: u64,
}

/// Makes devices that nobody has decided about and of which nothing is told.
pub(super) async fn make(simulator: &Simulator, count: usize) -> Result<Vec<String>> {
    let order = json!({"tenant": TENANT, "count": count, "publish": false});
    order_devices(simulator, &order).await
}

/// Makes devices of these statuses; the events that tell of them are held back until [`release`].
pub(super) async fn announce(simulator: &Simulator, statuses: &[Status]) -> Result<Vec<String>> {
    let devices: Vec<Value> = statuses.iter().map(|it| json!({"status": it})).collect();
    let order = json!({"tenant": TENANT, "devices": devices, "publish": true, "hold": true});
    order_devices(simulator, &order).await
}

async fn order_devices(simulator: &Simulator, order: &Value) -> Result<Vec<String>> {
    let made: Made = simulator
        .control()
        .post("/simulator/devices", order)
        .await?;
    Ok(made.ids)
}

#[derive(Deserialize)]
struct Made {
    ids: Vec<String>,
}

/// Changes statuses; the events are held back until [`release`], some of them twice.
pub(super) async fn change(simulator: &Simulator, changes: &[Change]) -> Result<()> {
    let path = "/simulator/devices/status";
    hold(simulator, path, "changes", changes).await
}

/// Decommissions devices; the events are held back until [`release`], some of them twice.
pub(super) async fn decommission(simulator: &Simulator, ids: &[String]) -> Result<()> {
    let path = "/simulator/devices/decommission";
    hold(simulator, path, "ids", ids).await
}

async fn hold(
    simulator: &Simulator,
    path: &str,
    name: &str,
    items: &[impl Serialize],
) -> Result<()> {
    let (twice, once): (Vec<_>, Vec<_>) =
        items.iter().enumerate().partition(|(n, _)| n % TWICE == 0);
    for (duplicate, items) in [(0, once), (1, twice)] {
        let items: Vec<_> = items.into_iter().map(|(_, item)| item).collect();
        let order = json!({"tenant": TENANT, name: items, "duplicate": duplicate, "hold": true});
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
    let order = json!({"subject": "lifecycle.device.status", "body": body});
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
