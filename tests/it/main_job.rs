//! The main job: what Mender says of a device comes true in the hub.

use anyhow::Result;
use serde_json::{Value, json};

use crate::stage::{SOON, Stage};

#[tokio::test]
async fn a_device_follows_mender_from_acceptance_to_decommission() -> Result<()> {
    let stage = Stage::new("follow").await?;
    let id = stage.device().await?;
    stage.status(&id, "accepted").await?;
    stage.hub_shows(&id, Some("enabled")).await?;
    assert_eq!(stage.tally(1).await?, [("applied".to_owned(), 1)].into());
    stage.status(&id, "rejected").await?;
    stage.hub_shows(&id, Some("disabled")).await?;
    stage.status(&id, "accepted").await?;
    stage.hub_shows(&id, Some("enabled")).await?;
    stage.status(&id, "noauth").await?;
    stage.hub_shows(&id, Some("disabled")).await?;
    stage.decommission(&id).await?;
    stage.hub_shows(&id, None).await?;
    assert_eq!(stage.tally(5).await?, [("applied".to_owned(), 5)].into());
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn the_connection_string_of_the_live_key_is_delivered_once_and_the_twin_tagged() -> Result<()>
{
    let stage = Stage::new("deliver").await?;
    let id = stage.device().await?;
    stage.status(&id, "accepted").await?;
    stage.tally(1).await?;
    let with_keys = stage.hub.devices_with_keys().await?;
    let key = with_keys[0]["authentication"]["symmetricKey"]["primaryKey"]
        .as_str()
        .unwrap();
    let expected = format!(
        "HostName={};DeviceId={id};SharedAccessKey={key}",
        stage.hub.hub()
    );
    assert_eq!(stage.delivered(&id).await?, (Some(expected.clone()), 1));
    assert_eq!(with_keys[0]["twin"]["tags"], json!({"mender": true}));
    stage.status(&id, "rejected").await?;
    stage.status(&id, "accepted").await?;
    stage.tally(3).await?;
    assert_eq!(
        stage.delivered(&id).await?,
        (Some(expected), 1),
        "not delivered twice"
    );
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_device_that_somebody_else_made_stays_as_it_is() -> Result<()> {
    let stage = Stage::new("foreign").await?;
    let id = stage.device().await?;
    stage
        .hub
        .put_device(
            &id,
            &json!({"status": "disabled", "statusReason": "stolen"}),
        )
        .await?;
    let before = stage.identity(&id).await?;
    for status in ["accepted", "rejected"] {
        stage.status(&id, status).await?;
    }
    stage.decommission(&id).await?;
    assert_eq!(stage.tally(3).await?.get("ignored"), Some(&3));
    assert_eq!(stage.identity(&id).await?, before);
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn statuses_that_do_not_create_leave_an_absent_device_absent() -> Result<()> {
    let stage = Stage::new("absent").await?;
    let id = stage.device().await?;
    for status in ["rejected", "pending", "noauth"] {
        stage.status(&id, status).await?;
    }
    stage.decommission(&id).await?;
    let tally = stage.tally(4).await?;
    assert_eq!(tally.get("applied"), None, "{tally:?}");
    assert_eq!(stage.hub.devices().await?, [Value::Null; 0]);
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn our_own_events_do_the_same_and_stale_ones_change_nothing() -> Result<()> {
    let stage = Stage::new("own").await?;
    let accepted = r#"{"status":"accepted","revision":5,"created_ts":"2026-08-20T10:11:12.345Z"}"#;
    stage.publish("=.dev-1", accepted).await?;
    stage.hub_shows("dev-1", Some("enabled")).await?;
    stage
        .publish("=.dev-1", r#"{"status":"rejected","revision":4}"#)
        .await?;
    stage.publish("=.dev-1", accepted).await?;
    assert_eq!(stage.tally(3).await?.get("superseded"), Some(&2));
    assert_eq!(stage.identity("dev-1").await?.unwrap()["status"], "enabled");
    let journal = stage.hub.journal().await?;
    let written = journal
        .iter()
        .filter(|call| call.effective && call.device.as_deref() == Some("dev-1"));
    let written: Vec<_> = written.map(|call| call.operation.as_str()).collect();
    assert_eq!(written, ["create", "twin-patch"], "one write, and its tag");
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_tenant_without_integration_is_ignored() -> Result<()> {
    let stage = Stage::new("no-integration").await?;
    stage
        .publish("t2.dev-1", r#"{"status":"accepted","revision":1}"#)
        .await?;
    assert_eq!(stage.tally(1).await?, [("ignored".to_owned(), 1)].into());
    assert_eq!(
        stage
            .hub
            .journal()
            .await?
            .iter()
            .filter(|call| call.effective)
            .count(),
        0
    );
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn the_worker_killed_at_any_moment_goes_on_where_it_stopped() -> Result<()> {
    let mut stage = Stage::new("kill").await?;
    let made: Value = stage
        .mender
        .control()
        .post("/simulator/devices", &json!({"tenant": "", "count": 40}))
        .await?;
    let ids: Vec<String> = serde_json::from_value(made["ids"].clone())?;
    stage
        .hub
        .faults(&json!({"rules": [
            {"name": "slow", "method": "PUT", "path": "/devices/*", "delay_ms": 30},
            {"name": "lost", "method": "PUT", "path": "/devices/*", "every": 7, "effect": "after",
             "reply": "drop"}
        ]}))
        .await?;
    for id in &ids {
        stage.status(id, "accepted").await?;
    }
    for creates in [5, 20] {
        black_box::until(SOON, "creates in the journal", async || {
            let journal = stage.hub.journal().await?;
            let done = journal
                .iter()
                .filter(|call| call.operation == "create" && call.effective);
            Ok((done.count() >= creates).then_some(()))
        })
        .await?;
        stage.worker.kill9()?;
        stage.worker.process().exit(SOON).await?;
        stage.worker.start_again().await?;
    }
    let tally = stage.tally(40).await?;
    assert_eq!(tally.get("dead"), None, "{tally:?}");
    assert_eq!(tally.values().sum::<usize>(), 40);
    let identities = stage.hub.devices_with_keys().await?;
    assert_eq!(identities.len(), 40);
    for identity in identities {
        let id = identity["deviceId"].as_str().unwrap();
        let key = identity["authentication"]["symmetricKey"]["primaryKey"]
            .as_str()
            .unwrap();
        let (delivered, _) = stage.delivered(id).await?;
        assert!(
            delivered.is_some_and(|text| text.ends_with(key)),
            "{id}: another key"
        );
        assert_eq!(identity["status"], "enabled", "{id}");
    }
    stage.dir.passed();
    Ok(())
}
