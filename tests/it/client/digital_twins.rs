//! Digital twins.

use std::time::Duration;

use anyhow::{Result, ensure};
use iothub::{Command, Hub, Kind};
use serde_json::{Value, json};

use super::{OLD, Steps, UNKNOWN, id, refused};

pub(super) async fn go(steps: &mut Steps) -> Result<()> {
    read(steps).await;
    patch(steps).await;
    patch_badly(steps).await;
    call(steps).await;
    Ok(())
}

fn add(path: &str, value: impl Into<Value>) -> Value {
    json!([{"op": "add", "path": path, "value": value.into()}])
}

async fn desired(hub: &Hub, key: &str) -> Result<Value> {
    Ok(hub.twin(&id("device")?).await?.desired()[key].clone())
}

async fn read(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let twin = hub.digital_twin(&id("device")?).await?;
        ensure!((twin.id(), twin.model_id()) == (Some("device"), ""));
        ensure!(twin.fields["temperature"] == 21);
        ensure!(twin.etag.as_deref() == hub.twin(&id("device")?).await?.etag());
        Ok(())
    };
    steps.step("read", go).await;
    let go = async |hub: &Hub| refused(Kind::NotFound, hub.digital_twin(&id(UNKNOWN)?).await);
    steps.step("read what does not exist", go).await;
}

async fn patch(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let device = id("device")?;
        hub.patch_digital_twin(&device, &add("/target", 23), None)
            .await?;
        ensure!(desired(hub, "target").await? == 23);
        let twin = hub.digital_twin(&device).await?;
        ensure!(twin.fields["$metadata"]["target"]["desiredValue"] == 23);
        Ok(())
    };
    steps.step("patch a property", go).await;
    let go = async |hub: &Hub| {
        let patch = add("/thermostat/limit", 30);
        hub.patch_digital_twin(&id("device")?, &patch, None).await?;
        ensure!(desired(hub, "thermostat").await? == json!({"__t": "c", "limit": 30}));
        Ok(())
    };
    steps.step("patch a component", go).await;
    let go = async |hub: &Hub| {
        let device = id("device")?;
        let etag = hub.digital_twin(&device).await?.etag;
        let patch = add("/target", 24);
        let newer = hub
            .patch_digital_twin(&device, &patch, etag.as_deref())
            .await?;
        ensure!(newer.is_some() && newer != etag && desired(hub, "target").await? == 24);
        Ok(())
    };
    steps.step("patch in this version", go).await;
}

async fn patch_badly(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let patched = hub
            .patch_digital_twin(&id("device")?, &add("/target", 25), Some(OLD))
            .await;
        refused(Kind::PreconditionFailed, patched)
    };
    steps.step("patch in an old version", go).await;
    let go = async |hub: &Hub| {
        let patch = json!([{"op": "test", "path": "/target", "value": 24}]);
        refused(
            Kind::Invalid,
            hub.patch_digital_twin(&id("device")?, &patch, None).await,
        )
    };
    steps.step("patch with an unknown step", go).await;
}

async fn call(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let payload = json!({"text": "zwölf"});
        let command = Command::new("echo")?.payload(payload.clone())?;
        let answer = hub.call_command(&id("device")?, &command).await?;
        ensure!((answer.status, answer.payload) == (Some(200), payload));
        Ok(())
    };
    steps.step("call a command", go).await;
    let go = async |hub: &Hub| {
        let command = Command::new("echo")?
            .of_component("thermostat")?
            .payload(json!({"n": 1}))?
            .response_timeout(Duration::from_secs(10))?;
        let answer = hub.call_command(&id("device")?, &command).await?;
        ensure!((answer.status, answer.payload) == (Some(200), json!({"n": 1})));
        Ok(())
    };
    steps.step("call a command of a component", go).await;
    let go = async |hub: &Hub| {
        let called = hub
            .call_command(&id("offline")?, &Command::new("echo")?)
            .await;
        let offline = |error: &iothub::Error| error.name() == Some("DeviceNotOnline");
        ensure!(called.as_ref().is_err_and(offline), "{called:?}");
        Ok(())
    };
    steps.step("call a device that is offline", go).await;
}
