//! Azure's device SDKs connect to the emulator, with what a device is given and nothing else.
//!
//! The scripts `sdk/*/device.*` are devices; here is the back end, and in the last tests the whole
//! chain: a device that Mender accepts connects with what Mender delivers to it.

mod script;

use anyhow::{Context as _, Result, ensure};
use black_box::tools::AzureSdk;
use black_box::{Emulator, TestDir, until};
use iothub::{Hub, Kind, Method};
use serde_json::{Value, json};

use self::script::Device;
pub(crate) use self::script::room;
use crate::client::{client, id};
use crate::device_operations::covers;
use crate::stage::{SOON, Stage};

const DEVICE: &str = "device-1";

/// The hub's side of a device.
struct BackEnd<'a> {
    emulator: &'a Emulator,
    hub: Hub,
}

impl BackEnd<'_> {
    async fn edit(&self, edit: Value) -> Result<()> {
        self.emulator.put_device(DEVICE, &edit).await.map(drop)
    }

    async fn shows(&self, state: &str) -> Result<Value> {
        until(SOON, &format!("the device to be {state}"), async || {
            let devices = self.emulator.devices().await?;
            let device = devices.into_iter().find(|it| it["deviceId"] == DEVICE);
            Ok(device.filter(|it| it["connectionState"] == state))
        })
        .await
    }

    async fn is_offline(&self) -> Result<()> {
        let (id, method) = (id(DEVICE)?, Method::new("reboot")?);
        match self.hub.call_method(&id, &method).await {
            Err(error) if error.kind() == Kind::NotFound => Ok(()),
            other => anyhow::bail!("not offline: {other:?}"),
        }
    }
}

async fn lives(sdk: AzureSdk, test: &str) -> Result<()> {
    let Some((sdk, at)) = room(sdk, test).await? else {
        return Ok(());
    };
    let dir = TestDir::new(&format!("device-{}", sdk.name()))?;
    let emulator = Emulator::start_for_devices(at, dir.path()).await?;
    let hub = client(&emulator, emulator.connection_string())?;
    let back_end = BackEnd {
        emulator: &emulator,
        hub,
    };
    back_end.edit(json!({"desired": {"speed": 1}})).await?;
    let path = format!("/devices/{DEVICE}/connection-string");
    let name = emulator.control().text(&path).await?;
    let mut device = Device::start(&sdk, name.trim(), emulator.ca_file(), dir.path())?;
    talks(&mut device, &back_end).await?;
    comes_and_goes(&mut device, &back_end).await?;
    covers(sdk.who(), test, &emulator.journal().await?)?;
    dir.passed();
    Ok(())
}

/// Twin and methods while it is connected.
async fn talks(device: &mut Device, back_end: &BackEnd<'_>) -> Result<()> {
    let connected = device.says("connected").await?;
    ensure!(
        connected["twin"]["desired"] == json!({"speed": 1, "$version": 2}),
        "{connected}"
    );
    back_end.shows("Connected").await?;
    back_end.edit(json!({"desired": {"speed": 2}})).await?;
    let told = device.says("desired").await?;
    ensure!(
        told["patch"] == json!({"speed": 2, "$version": 3}),
        "{told}"
    );
    device.says("reported").await?;
    let shown = back_end.shows("Connected").await?;
    ensure!(shown["twin"]["properties"]["reported"]["following"] == 2);
    let payload = json!({"in": [1, "zwölf", null]});
    let method = Method::new("reboot")?.payload(payload.clone())?;
    let answer = back_end.hub.call_method(&id(DEVICE)?, &method).await?;
    ensure!(
        (answer.status, &answer.payload) == (207, &json!({"heard": payload})),
        "{answer:?}"
    );
    let heard = device.says("method").await?;
    ensure!(heard["payload"] == payload, "{heard}");
    Ok(())
}

/// Cut off when it is disabled, back when it is enabled, cut off for good when it is deleted.
async fn comes_and_goes(device: &mut Device, back_end: &BackEnd<'_>) -> Result<()> {
    back_end.edit(json!({"status": "disabled"})).await?;
    device.says("disconnected").await?;
    device.says("refused").await?;
    back_end.shows("Disconnected").await?;
    back_end.edit(json!({"status": "enabled"})).await?;
    let again = device.says("connected").await?;
    ensure!(again["twin"]["reported"]["following"] == 2, "{again}");
    back_end.emulator.delete_device(DEVICE).await?;
    device.says("disconnected").await?;
    device.says("refused").await?;
    back_end.is_offline().await
}

#[tokio::test]
async fn python_is_a_device() -> Result<()> {
    lives(AzureSdk::Python, "devices::python_is_a_device").await
}

#[tokio::test]
async fn node_is_a_device() -> Result<()> {
    lives(AzureSdk::Node, "devices::node_is_a_device").await
}

/// From Mender's decision to the device's connection, through the real worker.
async fn follows_mender(sdk: AzureSdk, test: &str) -> Result<()> {
    let Some((sdk, at)) = room(sdk, test).await? else {
        return Ok(());
    };
    let stage = Stage::for_devices(&format!("chain-{}", sdk.name()), at).await?;
    let id = stage.device().await?;
    stage.status(&id, "accepted").await?;
    stage.tally(1).await?;
    let (delivered, _) = stage.delivered(&id).await?;
    let delivered = delivered.context("no connection string was delivered")?;
    // The device SDKs take no port, and the hub of a test has one; a real hub's has none.
    let port = stage.hub.hub().rsplit_once(':').context("a port")?.1;
    let name = delivered.replacen(&format!(":{port};"), ";", 1);
    let ca_file = stage.hub.ca_file();
    let mut device = Device::start(&sdk, &name, ca_file, stage.dir.path())?;
    device.says("connected").await?;
    stage.status(&id, "rejected").await?;
    device.says("disconnected").await?;
    device.says("refused").await?;
    stage.status(&id, "accepted").await?;
    device.says("connected").await?;
    stage.decommission(&id).await?;
    device.says("disconnected").await?;
    device.says("refused").await?;
    stage.hub_shows(&id, None).await?;
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_python_device_follows_what_mender_decides() -> Result<()> {
    let test = "devices::a_python_device_follows_what_mender_decides";
    follows_mender(AzureSdk::Python, test).await
}

#[tokio::test]
async fn a_node_device_follows_what_mender_decides() -> Result<()> {
    let test = "devices::a_node_device_follows_what_mender_decides";
    follows_mender(AzureSdk::Node, test).await
}
