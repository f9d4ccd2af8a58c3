//! What Mender is told to do and what it holds: the simulator's side of the story.

use anyhow::Result;
use black_box::{Simulator, evidence::Status};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::fleet::Change;

/// The fleet's tenant: open-source Mender has none.
const TENANT: &str = "";
/// One message in so many comes twice.
const TWICE: usize = 10;

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
