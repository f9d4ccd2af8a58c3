//! `/readyz` and `/healthz` while things go away and come back.

use anyhow::{Context as _, Result, ensure};
use black_box::{Worker, until};
use serde_json::Value;

use crate::stage::{SOON, Stage};

/// Waits until exactly these dependencies are missing; returns what is said about the first.
async fn missing(worker: &Worker, names: &[&str]) -> Result<String> {
    until(SOON, &format!("{names:?} to be missing"), async || {
        let (status, body) = worker.http().ask("/readyz").await?;
        let shown: Value = serde_json::from_str(&body).context(body)?;
        ensure!(shown["ready"] == status.is_success(), "{status}: {shown}");
        let all = shown["dependencies"].as_array().context("no list")?;
        let missing: Vec<_> = all.iter().filter(|it| it["ready"] == false).collect();
        let are_those = missing.iter().map(|it| &it["name"]).eq(names);
        let said = missing.first().map(|it| it["because"].as_str());
        Ok(are_those.then(|| said.flatten().unwrap_or_default().to_owned()))
    })
    .await
}

#[tokio::test]
async fn readyz_tells_what_is_gone_and_back_and_healthz_that_no_restart_is_needed() -> Result<()> {
    let mut stage = Stage::new("probes").await?;
    missing(&stage.worker, &[]).await?;

    stage.hub.process().freeze()?;
    stage.nats.process().kill9()?;
    missing(&stage.worker, &["nats", "streams", "store"]).await?;
    assert_eq!(stage.worker.http().ask("/healthz").await?.0.as_u16(), 204);
    stage.nats.restart().await?;

    // Nobody asks the hub for anything now but whoever looks whether it is there.
    let said = missing(&stage.worker, &["hub"]).await?;
    assert!(said.contains(stage.hub.hub()), "{said}");
    assert_eq!(stage.worker.http().ask("/healthz").await?.0.as_u16(), 204);
    stage.hub.process().thaw()?;
    missing(&stage.worker, &[]).await?;

    let context = stage.nats.jetstream().await?;
    let events = context.get_stream("IOTHUB_EVENTS").await?;
    events.delete_consumer("iothub-worker").await?;
    let said = missing(&stage.worker, &["streams"]).await?;
    assert!(said.contains("mender-iothub setup"), "{said}");
    let setup = stage.worker.cli(&["setup"]).await?;
    assert_eq!(setup.code, Some(0), "{}", setup.stderr);
    missing(&stage.worker, &[]).await?;
    stage
        .publish("=.d1", r#"{"status":"accepted","revision":1}"#)
        .await?;
    stage.hub_shows("d1", Some("enabled")).await?;
    stage.dir.passed();
    Ok(())
}
