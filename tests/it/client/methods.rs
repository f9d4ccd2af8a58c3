//! Direct methods.

use std::time::Duration;

use anyhow::{Result, ensure};
use iothub::{Hub, Kind, Method};
use serde_json::json;

use super::{Steps, UNKNOWN, id, refused};

pub(super) async fn go(steps: &mut Steps) -> Result<()> {
    calls(steps).await;
    refusals(steps).await;
    Ok(())
}

async fn calls(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let payload = json!({"list": [1, "a", null], "text": "zwölf"});
        let method = Method::new("echo")?.payload(payload.clone())?;
        let answer = hub.call_method(&id("device")?, &method).await?;
        ensure!(
            (answer.status, &answer.payload) == (200, &payload),
            "{answer:?}"
        );
        Ok(())
    };
    steps.step("call a method", go).await;
    let go = async |hub: &Hub| {
        let answer = hub
            .call_method(&id("device")?, &Method::new("fail")?)
            .await?;
        let wanted = (500, json!({"why": "because"}));
        ensure!((answer.status, answer.payload) == wanted);
        Ok(())
    };
    steps
        .step("call a method that fails on the device", go)
        .await;
    let go = async |hub: &Hub| {
        let method = Method::new("echo")?.payload(json!("hello"))?;
        let device = id("device")?;
        let answer = hub
            .call_module_method(&device, &"module".parse()?, &method)
            .await?;
        ensure!((answer.status, answer.payload) == (200, json!("hello")));
        Ok(())
    };
    steps.step("call a method of a module", go).await;
}

async fn refusals(steps: &mut Steps) {
    let go = async |hub: &Hub| {
        let called = hub
            .call_method(&id("offline")?, &Method::new("echo")?)
            .await;
        ensure!(
            called
                .as_ref()
                .is_err_and(|error| error.name() == Some("DeviceNotOnline")),
            "{called:?}"
        );
        Ok(())
    };
    steps.step("call a device that is offline", go).await;
    let go = async |hub: &Hub| {
        let called = hub.call_method(&id(UNKNOWN)?, &Method::new("echo")?).await;
        refused(Kind::NotFound, called)
    };
    steps.step("call a device that does not exist", go).await;
    let go = async |_: &Hub| {
        let limited = Method::new("echo")?.response_timeout(Duration::from_secs(4));
        refused(Kind::Invalid, limited)
    };
    steps.step("call with too short a time limit", go).await;
}
