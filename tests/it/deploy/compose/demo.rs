//! The demo of the compose file, with processes in the place of containers: the same command lines and
//! variables, only the addresses are this machine's.

use std::time::Duration;

use anyhow::{Context as _, Result};
use black_box::{Emulator, Installation, NatsServer, Simulator, TestDir, until};
use serde_json::{Value, json};

use super::{compose, members, texts};

const SOON: Duration = Duration::from_secs(30);

/// The arguments of a service without those that say where to listen or where to keep certificates.
fn arguments<'a>(compose: &'a Value, service: &str) -> Vec<&'a str> {
    let all = texts(&compose["services"][service]["command"]);
    let where_to = ["--listen=", "--tls-dir=", "--nats=", "--hub="];
    let kept = all
        .into_iter()
        .filter(|it| !where_to.iter().any(|place| it.starts_with(place)));
    kept.collect()
}

#[tokio::test]
async fn the_demo_makes_an_accepted_device_in_the_hub() -> Result<()> {
    let compose = compose()?;
    let dir = TestDir::new("compose")?;
    let nats = NatsServer::start(dir.path()).await?;
    let hub = Emulator::start(dir.path(), &arguments(&compose, "demo-hub")).await?;
    let mender = arguments(&compose, "demo-mender");
    let mender = Simulator::start(dir.path(), nats.url(), &mender).await?;

    let mut worker = Installation::new(dir.path(), "").await?;
    for (name, value) in members(&compose["services"]["demo"]["environment"]) {
        let value = value.as_str().with_context(|| name.clone())?;
        let value = value
            .replace("nats://demo-nats:4222", nats.url())
            .replace("demo-mender:8080", mender.listen())
            .replace("demo-hub:8443", hub.hub())
            .replace("/tls/ca.pem", &hub.ca_file().display().to_string())
            .replace("0.0.0.0:9464", "127.0.0.1:0");
        assert!(!value.contains("demo-"), "{name}: {value}");
        worker = worker.variable(name, &value);
    }
    for step in ["demo-setup", "demo-integration"] {
        let done = worker.cli(&arguments(&compose, step)).await?;
        assert_eq!(done.code, Some(0), "{step}: {}", done.stderr);
    }
    assert_eq!(arguments(&compose, "demo"), ["run"]);
    let worker = worker.start().await?;

    // As deploy/README.md says it.
    let new = json!({"devices": [{"id": "d1"}]});
    let _: Value = mender.control().post("/simulator/devices", &new).await?;
    let accepted = json!({"id": "d1", "status": "accepted"});
    let _: Value = mender
        .control()
        .post("/simulator/devices/status", &accepted)
        .await?;
    until(SOON, "the device in the hub", async || {
        let shown = worker
            .cli(&["device", "show", "d1", "--output", "json"])
            .await?;
        let there = hub.devices().await?.iter().any(|it| it["deviceId"] == "d1");
        Ok((shown.code == Some(0) && there).then_some(()))
    })
    .await?;
    dir.passed();
    Ok(())
}
