//! Whose hub is whose, and since when.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use black_box::{Emulator, until};
use serde_json::{Value, json};

use crate::integrations::TwoHubs;
use crate::stage::{SOON, Stage};

/// How long a request may be under way from the worker's last look at the integration. Shorter than
/// what a create takes in the test below, so that the writes that follow a create would show.
const UNDER_WAY: Duration = Duration::from_millis(500);

async fn ids(hub: &Emulator) -> Result<BTreeSet<String>> {
    let devices = hub.devices().await?;
    let id = |device: &Value| device["deviceId"].as_str().unwrap_or_default().to_owned();
    Ok(devices.iter().map(id).collect())
}

fn set(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(ToString::to_string).collect()
}

/// The running worker on the first hub, and the second hub beside it.
async fn run(hubs: TwoHubs) -> Result<(Stage, Emulator, black_box::Installation)> {
    let worker = hubs.installation.start().await?;
    let stage = Stage {
        worker,
        mender: hubs.parts.mender,
        hub: hubs.parts.hub,
        nats: hubs.parts.nats,
        dir: hubs.parts.dir,
    };
    Ok((stage, hubs.other, hubs.installation))
}

#[tokio::test]
async fn tenants_share_a_hub_or_have_their_own_and_never_meet() -> Result<()> {
    let hubs = TwoHubs::start("tenants").await?;
    for (tenant, hub) in [
        ("t1", &hubs.parts.hub),
        ("t2", &hubs.parts.hub),
        ("t3", &hubs.other),
    ] {
        hubs.set(tenant, hub).await?;
    }
    let (stage, other, _) = run(hubs).await?;
    let accepted = r#"{"status":"accepted","revision":1}"#;
    for place in ["t1.d1", "t2.d2", "t3.d3", "t1.same", "t3.same"] {
        stage.publish(place, accepted).await?;
    }
    assert_eq!(stage.tally(5).await?, [("applied".to_owned(), 5)].into());
    // In the same hub an id belongs to whoever came first.
    stage.publish("t2.same", accepted).await?;
    assert_eq!(stage.tally(6).await?.get("ignored"), Some(&1));
    stage
        .publish("t2.same", r#"{"status":"rejected","revision":2}"#)
        .await?;
    stage.tally(7).await?;
    assert_eq!(ids(&stage.hub).await?, set(&["d1", "d2", "same"]));
    assert_eq!(ids(&other).await?, set(&["d3", "same"]));
    let same = stage.identity("same").await?.unwrap_or_default();
    assert_eq!(
        same["status"],
        json!("enabled"),
        "t2 has no say in t1's device"
    );

    let remove = ["integration", "remove", "--tenant", "t1"];
    let refused = stage.worker.cli(&remove).await?;
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("2 identities"),
        "{}",
        refused.stderr
    );
    let forced = [
        "integration",
        "remove",
        "--tenant",
        "t1",
        "--force",
        "--output",
        "json",
    ];
    let removed = stage.worker.cli(&forced).await?.json()?;
    assert_eq!(removed["left_behind"], json!(2), "{removed}");
    assert_eq!(removed["first_left_behind"], json!(["d1", "same"]));
    assert_eq!(ids(&stage.hub).await?, set(&["d1", "d2", "same"]));
    // The others go on.
    stage.publish("t2.d4", accepted).await?;
    stage.publish("t1.d5", accepted).await?;
    stage.tally(9).await?;
    assert_eq!(ids(&stage.hub).await?, set(&["d1", "d2", "d4", "same"]));
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn nothing_is_written_to_the_hub_before_once_a_change_is_acknowledged() -> Result<()> {
    let hubs = TwoHubs::start("generation").await?;
    hubs.set("", &hubs.parts.hub).await?;
    let (stage, other, installation) = run(hubs).await?;
    let slow = json!({"rules": [{"name": "slow", "path": "/devices/*", "delay_ms": 1400}]});
    stage.hub.faults(&slow).await?;
    let publish = async |from: usize, to: usize| {
        for n in from..to {
            let event = r#"{"status":"accepted","revision":1}"#;
            stage.publish(&format!("=.d{n:03}"), event).await?;
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        anyhow::Ok(())
    };
    publish(0, 40).await?;
    let change = async {
        let set = ["integration", "set", "--tier", "unlimited"];
        let done = installation
            .cli_with_input(&set, other.connection_string())
            .await?;
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        Ok(SystemTime::now().duration_since(UNIX_EPOCH)? + UNDER_WAY)
    };
    let (acknowledged, ()) = tokio::try_join!(change, publish(40, 120))?;
    publish(120, 240).await?;
    until(SOON, "the last device in the new hub", async || {
        Ok(ids(&other).await?.contains("d239").then_some(()))
    })
    .await?;
    stage.tally(240).await?;
    let acknowledged = u64::try_from(acknowledged.as_micros())?;
    let writes = stage.hub.journal().await?.into_iter();
    let late: Vec<_> = writes
        .filter(|entry| entry.method != "GET" && entry.arrived_us > acknowledged)
        .collect();
    assert_eq!(late, [], "written to the hub before");
    let (old, new) = (ids(&stage.hub).await?, ids(&other).await?);
    assert!(!old.is_empty() && !old.contains("d239"));
    let lost = (0..240)
        .map(|n| format!("d{n:03}"))
        .filter(|id| !old.contains(id) && !new.contains(id));
    assert_eq!(lost.collect::<Vec<_>>(), Vec::<String>::new());
    stage.dir.passed();
    Ok(())
}
